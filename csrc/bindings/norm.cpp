// Batch, instance, group and local response norm.

#include "bindings/norm.h"

#include <cstring>
#include <limits>

namespace dlcore {
namespace {

// What follows a normalization: a residual is added, the sum cut to [low, high].
struct Ending {
  Array residual;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  Ending() = default;
  Ending(const char* op, const Array& x, py::handle residual_, py::handle activation) {
    if (!residual_.is_none()) residual = like_x(op, "residual", residual_, x);
    if (activation.is_none()) return;
    CHECK_TYPE(py::isinstance<py::str>(activation), op, ": activation must be a name or None, got ",
               Py_TYPE(activation.ptr())->tp_name);
    const std::string name = word(activation);
    CHECK(name == "none" || name == "relu" || name == "relu6", op,
          ": activation must be one of none, relu, relu6, got '", name, "'");
    if (name == "none") return;
    low = 0;
    if (name == "relu6") high = 6;
  }
  bool cuts() const { return low == 0; }
};

// x as (batch, channels, size).
struct Channels {
  Array x;
  int64_t batch, channels, size = 1;

  Channels(const char* op, py::handle x_, int least_axes) : x(op, "x", x_) {
    CHECK(x.ndim() >= least_axes, op, ": x must have axes (batch, channels",
          least_axes > 2 ? ", and at least one more)" : ", ...)", ", got x.shape = ", x.shape());
    batch = x.size(0);
    channels = x.size(1);
    for (int i = 2; i < x.ndim(); ++i) size *= x.size(i);
  }

  template <class T>
  ChannelNorm<T> geometry(int64_t groups, const Array& weight, const Array& bias, const Array& mean,
                          const Array& rstd, const Ending& ending) const {
    return {batch,
            channels,
            size,
            groups,
            data_or_null<T>(weight),
            data_or_null<T>(bias),
            mean.data<T>(),
            rstd.data<T>(),
            data_or_null<T>(ending.residual),
            static_cast<T>(ending.low),
            static_cast<T>(ending.high)};
  }
};

// A running statistic, to be updated in place; undefined when None.
Array running(const char* op, const char* name, py::handle object, const Channels& c,
              bool is_written) {
  Array a = parameter(op, name, object, c.x, {c.channels});
  CHECK(!a.defined() || !is_written || (a.object().is(object) && PyArray_ISWRITEABLE(a.get())), op,
        ": ", name,
        " is updated in place and must be writable, contiguous and native: pass a copy");
  return a;
}

// Normalizes with the statistics of x; groups is 0 for batch norm.
py::object normalize(const char* op, const Channels& c, int64_t groups, py::handle running_mean_,
                     py::handle running_var_, py::handle weight_, py::handle bias_,
                     py::handle momentum_, py::handle eps_, const Ending& ending = {}) {
  const Array weight = parameter(op, "weight", weight_, c.x, {c.channels});
  const Array bias = parameter(op, "bias", bias_, c.x, {c.channels});
  const Array running_mean = running(op, "running_mean", running_mean_, c, true);
  const Array running_var = running(op, "running_var", running_var_, c, true);
  CHECK(running_mean.defined() == running_var.defined(), op,
        ": running_mean and running_var must be given both or neither");
  const double momentum = real_argument(op, "momentum", momentum_), eps = parse_eps(op, eps_);
  Array y = Array::empty_like(op, c.x);
  const Shape sets = groups ? Shape{c.batch, groups} : Shape{c.channels};
  Array mean = Array::empty(op, sets, c.x.typenum()), rstd = Array::empty_like(op, mean);
  with_kernels(c.x, 4 * c.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.channel_norm_forward(c.x.template data<T>(), y.data<T>(),
                           c.geometry<T>(groups, weight, bias, mean, rstd, ending),
                           data_or_null<T>(running_mean), data_or_null<T>(running_var), momentum,
                           eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release());
}

// Normalizes with a mean and a variance that are given for each channel.
py::object normalize_by(const char* op, const Channels& c, py::handle running_mean_,
                        py::handle running_var_, py::handle weight_, py::handle bias_,
                        py::handle eps_, const Ending& ending = {}) {
  const Array weight = parameter(op, "weight", weight_, c.x, {c.channels});
  const Array bias = parameter(op, "bias", bias_, c.x, {c.channels});
  const Array given_mean = running(op, "running_mean", running_mean_, c, false);
  const Array given_var = running(op, "running_var", running_var_, c, false);
  CHECK(given_mean.defined() && given_var.defined(), op,
        ": running_mean and running_var must be given when the statistics of x are not used");
  const double eps = parse_eps(op, eps_);
  Array y = Array::empty_like(op, c.x);
  Array mean = Array::empty_like(op, given_mean), rstd = Array::empty_like(op, given_var);
  // A copy: a step of training before backward would change the running one.
  std::memcpy(mean.data<void>(), given_mean.data<void>(), static_cast<size_t>(mean.nbytes()));
  with_kernels(c.x, 2 * c.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.channel_norm_inference(c.x.template data<T>(), y.data<T>(),
                             c.geometry<T>(0, weight, bias, mean, rstd, ending),
                             given_var.data<T>(), eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release());
}

py::object batch_norm_forward(py::handle x_, py::handle running_mean, py::handle running_var,
                              py::handle weight, py::handle bias, bool training,
                              py::handle momentum, py::handle eps, py::handle residual,
                              py::handle activation) {
  const char* op = "batch_norm";
  const Channels c(op, x_, 2);
  const Ending ending(op, c.x, residual, activation);
  if (!training) return normalize_by(op, c, running_mean, running_var, weight, bias, eps, ending);
  CHECK(c.batch * c.size > 1 || c.channels == 0, op,
        ": x must have at least 2 values for each channel in training, got x.shape = ", c.x.shape(),
        ": enlarge the batch");
  return normalize(op, c, 0, running_mean, running_var, weight, bias, momentum, eps, ending);
}

py::object instance_norm_forward(py::handle x_, py::handle running_mean, py::handle running_var,
                                 py::handle weight, py::handle bias, bool use_input_stats,
                                 py::handle momentum, py::handle eps) {
  const char* op = "instance_norm";
  const Channels c(op, x_, 3);
  if (!use_input_stats) return normalize_by(op, c, running_mean, running_var, weight, bias, eps);
  CHECK(
      c.size > 1 || c.batch * c.channels == 0, op,
      ": x must have at least 2 values for each channel of a sample, got x.shape = ", c.x.shape());
  return normalize(op, c, c.channels, running_mean, running_var, weight, bias, momentum, eps);
}

int64_t parse_groups(const char* op, const Channels& c, py::handle num_groups) {
  const int64_t groups = int_argument(op, "num_groups", num_groups);
  CHECK(groups >= 1, op, ": num_groups must be at least 1, got ", groups);
  CHECK(c.channels % groups == 0, op,
        ": num_groups must divide the channels, got num_groups = ", groups,
        " for x.shape = ", c.x.shape());
  return groups;
}

py::object group_norm_forward(py::handle x_, py::handle num_groups, py::handle weight,
                              py::handle bias, py::handle eps) {
  const char* op = "group_norm";
  const Channels c(op, x_, 2);
  const int64_t groups = parse_groups(op, c, num_groups);
  return normalize(op, c, groups, py::none(), py::none(), weight, bias, py::float_(0.0), eps);
}

// y and dresidual may be undefined, and are used where `ending` cuts.
py::object normalize_backward(const char* op, const Channels& c, int64_t groups, const Array& dy,
                              py::handle weight_, py::handle bias_, py::handle mean_,
                              py::handle rstd_, bool batch_statistics, const Ending& ending = {},
                              const Array& y = {}, Array dresidual = {}) {
  const Array weight = parameter(op, "weight", weight_, c.x, {c.channels});
  const Array bias = parameter(op, "bias", bias_, c.x, {c.channels});
  const int64_t sets = groups ? c.batch * groups : c.channels;
  const Array mean = statistics(op, "mean", mean_, c.x, sets);
  const Array rstd = statistics(op, "rstd", rstd_, c.x, sets);
  const auto gradient = [&](bool wanted) {
    return wanted ? Array::empty(op, {c.channels}, c.x.typenum()) : Array();
  };
  Array dx = Array::empty_like(op, c.x);
  Array dweight = gradient(weight.defined()), dbias = gradient(bias.defined());
  with_kernels(c.x, 8 * c.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.channel_norm_backward(c.x.template data<T>(), data_or_null<T>(y), dy.data<T>(), dx.data<T>(),
                            data_or_null<T>(dweight), data_or_null<T>(dbias),
                            ending.cuts() ? data_or_null<T>(dresidual) : nullptr,
                            c.geometry<T>(groups, weight, bias, mean, rstd, ending),
                            batch_statistics);
  });
  return py::make_tuple(dx.release(), or_none(dweight), or_none(dbias), or_none(dresidual));
}

// y is forward's result, which must be given where an activation followed a residual. Returns dx,
// and dweight, dbias and dresidual or None.
py::object batch_norm_backward(py::handle x_, py::handle dy_, py::handle weight, py::handle bias,
                               py::handle mean, py::handle rstd, bool training,
                               py::handle activation, py::handle y_, bool want_dresidual) {
  const char* op = "batch_norm_backward";
  const Channels c(op, x_, 2);
  const Array dy = like_x(op, "dy", dy_, c.x);
  const Ending ending(op, c.x, py::none(), activation);
  const Array y = ending.cuts() && !y_.is_none() ? like_x(op, "y", y_, c.x) : Array();
  Array dresidual;
  if (want_dresidual) dresidual = ending.cuts() ? Array::empty_like(op, dy) : dy;
  return normalize_backward(op, c, 0, dy, weight, bias, mean, rstd, training, ending, y, dresidual);
}

py::object group_norm_backward(py::handle x_, py::handle dy, py::handle num_groups,
                               py::handle weight, py::handle bias, py::handle mean,
                               py::handle rstd) {
  const char* op = "group_norm_backward";
  const Channels c(op, x_, 2);
  const int64_t groups = parse_groups(op, c, num_groups);
  return normalize_backward(op, c, groups, like_x(op, "dy", dy, c.x), weight, bias, mean, rstd,
                            true);
}

// -- local response norm --

LocalNorm parse_window(const char* op, const Channels& c, py::handle size_) {
  const int64_t size = int_argument(op, "size", size_);
  CHECK(size >= 1, op, ": size must be at least 1, got ", size);
  return {c.batch, c.channels, c.size, size / 2, (size - 1) / 2};
}

py::object local_norm_forward(py::handle x_, py::handle size, py::handle alpha_, py::handle beta_,
                              py::handle k_, py::handle out) {
  const char* op = "local_response_norm";
  const Channels c(op, x_, 3);
  const LocalNorm p = parse_window(op, c, size);
  const double alpha = real_argument(op, "alpha", alpha_), beta = real_argument(op, "beta", beta_);
  const double k = real_argument(op, "k", k_);
  Output y(op, out, c.x.shape(), c.x.typenum(), {}, {&c.x});
  with_kernels(c.x, 16 * c.x.numel(), [&](const auto& kernel) {
    using T = scalar_of<decltype(kernel)>;
    kernel.local_norm_forward(c.x.template data<T>(), y.data<T>(), p, alpha, beta, k);
  });
  return y.finish();
}

py::object local_norm_backward(py::handle x_, py::handle dy_, py::handle size, py::handle alpha_,
                               py::handle beta_, py::handle k_) {
  const char* op = "local_response_norm_backward";
  const Channels c(op, x_, 3);
  const LocalNorm p = parse_window(op, c, size);
  const Array dy = like_x(op, "dy", dy_, c.x);
  const double alpha = real_argument(op, "alpha", alpha_), beta = real_argument(op, "beta", beta_);
  const double k = real_argument(op, "k", k_);
  Array dx = Array::empty_like(op, c.x);
  with_kernels(c.x, 32 * c.x.numel(), [&](const auto& kernel) {
    using T = scalar_of<decltype(kernel)>;
    kernel.local_norm_backward(c.x.template data<T>(), dy.data<T>(), dx.data<T>(), p, alpha, beta,
                               k);
  });
  return dx.release();
}

}  // namespace

void bind_norm(Module& m) {
  const auto arg = [](const char* name) { return py::arg(name); };
  m.def("batch_norm_forward", &batch_norm_forward, arg("x"), arg("running_mean"),
        arg("running_var"), arg("weight"), arg("bias"), arg("training"), arg("momentum"),
        arg("eps"), arg("residual"), arg("activation"));
  m.def("batch_norm_backward", &batch_norm_backward, arg("x"), arg("dy"), arg("weight"),
        arg("bias"), arg("mean"), arg("rstd"), arg("training"), arg("activation"), arg("y"),
        arg("want_dresidual"));
  m.def("instance_norm_forward", &instance_norm_forward, arg("x"), arg("running_mean"),
        arg("running_var"), arg("weight"), arg("bias"), arg("use_input_stats"), arg("momentum"),
        arg("eps"));
  m.def("group_norm_forward", &group_norm_forward, arg("x"), arg("num_groups"), arg("weight"),
        arg("bias"), arg("eps"));
  m.def("group_norm_backward", &group_norm_backward, arg("x"), arg("dy"), arg("num_groups"),
        arg("weight"), arg("bias"), arg("mean"), arg("rstd"));
  m.def("local_norm_forward", &local_norm_forward, arg("x"), arg("size"), arg("alpha"), arg("beta"),
        arg("k"), arg("out") = py::none());
  m.def("local_norm_backward", &local_norm_backward, arg("x"), arg("dy"), arg("size"), arg("alpha"),
        arg("beta"), arg("k"));
}

}  // namespace dlcore
