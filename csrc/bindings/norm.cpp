#include <cstring>

#include "bindings/array.h"

namespace dlcore {
namespace {

// An int or a sequence of ints: the last axes of x.
Shape parse_shape(const char* op, py::handle value) {
  Shape shape;
  if (PyIndex_Check(value.ptr())) {
    shape.size[shape.ndim++] = int_argument(op, "normalized_shape", value);
    return shape;
  }
  CHECK_TYPE(PyTuple_Check(value.ptr()) || PyList_Check(value.ptr()), op,
             ": normalized_shape must be an int or a tuple of ints, got ",
             Py_TYPE(value.ptr())->tp_name);
  const py::sequence sizes = py::reinterpret_borrow<py::sequence>(value);
  CHECK(sizes.size() > 0 && sizes.size() <= NPY_MAXDIMS, op,
        ": normalized_shape must name at least one axis of x, got ", sizes.size());
  for (const auto& size : sizes)
    shape.size[shape.ndim++] = int_argument(op, "normalized_shape", size);
  return shape;
}

// An optional argument that must have the dtype of x and this shape.
Array parameter(const char* op, const char* name, py::handle object, const Array& x,
                const Shape& shape) {
  Array a = optional_array(op, name, object);
  if (!a.defined()) return a;
  check_same_dtype(op, "x", x, name, a);
  CHECK(a.shape() == shape, op, ": ", name, " must have shape ", shape, ", got ", name,
        ".shape = ", a.shape());
  return a;
}

// Statistics that forward returned.
Array statistics(const char* op, const char* name, py::handle object, const Array& x,
                 int64_t count) {
  Array a(op, name, object);
  check_same_dtype(op, "x", x, name, a);
  CHECK(a.numel() == count, op, ": ", name, " must be what forward returned, got ", name,
        ".shape = ", a.shape());
  return a;
}

Array output_gradient(const char* op, py::handle dy_, const Array& x) {
  Array dy(op, "dy", dy_);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.same_shape(x), op, ": dy must have x.shape = ", x.shape(),
        ", got dy.shape = ", dy.shape());
  return dy;
}

template <class T>
T* data_or_null(const Array& a) {
  return a.defined() ? a.data<T>() : nullptr;
}
py::object or_none(Array& a) {
  return a.defined() ? a.release() : py::object(py::none());
}

double parse_eps(const char* op, py::handle value) {
  const double eps = real_argument(op, "eps", value);
  CHECK(eps >= 0, op, ": eps must be at least 0, got ", eps);
  return eps;
}

// -- layer norm and RMS norm --

struct Rows {
  Array x;
  Shape normalized;
  int64_t rows, cols;

  Rows(const char* op, py::handle x_, py::handle normalized_shape)
      : x(op, "x", x_), normalized(parse_shape(op, normalized_shape)) {
    const int first = x.ndim() - normalized.ndim;
    bool fits = first >= 0;
    for (int i = 0; fits && i < normalized.ndim; ++i) fits = normalized[i] == x.size(first + i);
    CHECK(fits, op,
          ": normalized_shape must be the last axes of x, got normalized_shape = ", normalized,
          " for x.shape = ", x.shape());
    cols = normalized.numel(op);
    rows = 1;
    for (int i = 0; i < first; ++i) rows *= x.size(i);
    if (cols == 0) rows = 0;
  }
  Array row_array(const char* op) const { return Array::empty(op, {rows}, x.typenum()); }
};

py::object layer_norm_forward(py::handle x_, py::handle normalized_shape, py::handle weight_,
                              py::handle bias_, py::handle eps_) {
  const char* op = "layer_norm";
  const Rows r(op, x_, normalized_shape);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const Array bias = parameter(op, "bias", bias_, r.x, r.normalized);
  const double eps = parse_eps(op, eps_);
  Array y = Array::empty_like(op, r.x), mean = r.row_array(op), rstd = r.row_array(op);
  with_kernels(r.x, 4 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.layer_norm_forward(r.x.template data<T>(), data_or_null<T>(weight), data_or_null<T>(bias),
                         y.data<T>(), mean.data<T>(), rstd.data<T>(), r.rows, r.cols, eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release());
}

py::object rms_norm_forward(py::handle x_, py::handle normalized_shape, py::handle weight_,
                            py::handle eps_) {
  const char* op = "rms_norm";
  const Rows r(op, x_, normalized_shape);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const double smallest = r.x.is_float() ? 0x1p-23 : 0x1p-52;
  const double eps = eps_.is_none() ? smallest : parse_eps(op, eps_);
  Array y = Array::empty_like(op, r.x), rstd = r.row_array(op);
  with_kernels(r.x, 3 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.rms_norm_forward(r.x.template data<T>(), data_or_null<T>(weight), y.data<T>(), rstd.data<T>(),
                       r.rows, r.cols, eps);
  });
  return py::make_tuple(y.release(), rstd.release());
}

// mean is None for RMS norm. Returns dx, and dweight and dbias or None.
py::object layer_norm_backward(py::handle x_, py::handle dy_, py::handle normalized_shape,
                               py::handle weight_, py::handle mean_, py::handle rstd_,
                               bool has_bias) {
  const char* op = mean_.is_none() ? "rms_norm_backward" : "layer_norm_backward";
  const Rows r(op, x_, normalized_shape);
  const Array dy = output_gradient(op, dy_, r.x);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const Array mean = mean_.is_none() ? Array() : statistics(op, "mean", mean_, r.x, r.rows);
  const Array rstd = statistics(op, "rstd", rstd_, r.x, r.rows);
  const auto gradient = [&](bool wanted) {
    return wanted ? Array::empty(op, r.normalized, r.x.typenum()) : Array();
  };
  Array dx = Array::empty_like(op, r.x);
  Array dweight = gradient(weight.defined()), dbias = gradient(has_bias);
  with_kernels(r.x, 8 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.layer_norm_backward(r.x.template data<T>(), dy.data<T>(), data_or_null<T>(weight),
                          data_or_null<T>(mean), rstd.data<T>(), dx.data<T>(),
                          data_or_null<T>(dweight), data_or_null<T>(dbias), r.rows, r.cols);
  });
  return py::make_tuple(dx.release(), or_none(dweight), or_none(dbias));
}

// -- batch, instance and group norm --

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
                          const Array& rstd) const {
    return {
        batch,          channels,      size, groups, data_or_null<T>(weight), data_or_null<T>(bias),
        mean.data<T>(), rstd.data<T>()};
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
                     py::handle momentum_, py::handle eps_) {
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
    k.channel_norm_forward(
        c.x.template data<T>(), y.data<T>(), c.geometry<T>(groups, weight, bias, mean, rstd),
        data_or_null<T>(running_mean), data_or_null<T>(running_var), momentum, eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release());
}

// Normalizes with a mean and a variance that are given for each channel.
py::object normalize_by(const char* op, const Channels& c, py::handle running_mean_,
                        py::handle running_var_, py::handle weight_, py::handle bias_,
                        py::handle eps_) {
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
                             c.geometry<T>(0, weight, bias, mean, rstd), given_var.data<T>(), eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release());
}

py::object batch_norm_forward(py::handle x_, py::handle running_mean, py::handle running_var,
                              py::handle weight, py::handle bias, bool training,
                              py::handle momentum, py::handle eps) {
  const char* op = "batch_norm";
  const Channels c(op, x_, 2);
  if (!training) return normalize_by(op, c, running_mean, running_var, weight, bias, eps);
  CHECK(c.batch * c.size > 1 || c.channels == 0, op,
        ": x must have at least 2 values for each channel in training, got x.shape = ", c.x.shape(),
        ": enlarge the batch");
  return normalize(op, c, 0, running_mean, running_var, weight, bias, momentum, eps);
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

py::object normalize_backward(const char* op, const Channels& c, int64_t groups, py::handle dy_,
                              py::handle weight_, py::handle mean_, py::handle rstd_,
                              bool batch_statistics, bool has_bias) {
  const Array dy = output_gradient(op, dy_, c.x);
  const Array weight = parameter(op, "weight", weight_, c.x, {c.channels});
  const int64_t sets = groups ? c.batch * groups : c.channels;
  const Array mean = statistics(op, "mean", mean_, c.x, sets);
  const Array rstd = statistics(op, "rstd", rstd_, c.x, sets);
  const auto gradient = [&](bool wanted) {
    return wanted ? Array::empty(op, {c.channels}, c.x.typenum()) : Array();
  };
  Array dx = Array::empty_like(op, c.x);
  Array dweight = gradient(weight.defined()), dbias = gradient(has_bias);
  with_kernels(c.x, 8 * c.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.channel_norm_backward(c.x.template data<T>(), dy.data<T>(), dx.data<T>(),
                            data_or_null<T>(dweight), data_or_null<T>(dbias),
                            c.geometry<T>(groups, weight, Array(), mean, rstd), batch_statistics);
  });
  return py::make_tuple(dx.release(), or_none(dweight), or_none(dbias));
}

py::object batch_norm_backward(py::handle x_, py::handle dy, py::handle weight, py::handle mean,
                               py::handle rstd, bool training, bool has_bias) {
  const char* op = "batch_norm_backward";
  return normalize_backward(op, Channels(op, x_, 2), 0, dy, weight, mean, rstd, training, has_bias);
}

py::object group_norm_backward(py::handle x_, py::handle dy, py::handle num_groups,
                               py::handle weight, py::handle mean, py::handle rstd, bool has_bias) {
  const char* op = "group_norm_backward";
  const Channels c(op, x_, 2);
  const int64_t groups = parse_groups(op, c, num_groups);
  return normalize_backward(op, c, groups, dy, weight, mean, rstd, true, has_bias);
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
  const Array dy = output_gradient(op, dy_, c.x);
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
  m.def("layer_norm_forward", &layer_norm_forward, arg("x"), arg("normalized_shape"), arg("weight"),
        arg("bias"), arg("eps"));
  m.def("rms_norm_forward", &rms_norm_forward, arg("x"), arg("normalized_shape"), arg("weight"),
        arg("eps"));
  m.def("layer_norm_backward", &layer_norm_backward, arg("x"), arg("dy"), arg("normalized_shape"),
        arg("weight"), arg("mean"), arg("rstd"), arg("has_bias"));
  m.def("batch_norm_forward", &batch_norm_forward, arg("x"), arg("running_mean"),
        arg("running_var"), arg("weight"), arg("bias"), arg("training"), arg("momentum"),
        arg("eps"));
  m.def("batch_norm_backward", &batch_norm_backward, arg("x"), arg("dy"), arg("weight"),
        arg("mean"), arg("rstd"), arg("training"), arg("has_bias"));
  m.def("instance_norm_forward", &instance_norm_forward, arg("x"), arg("running_mean"),
        arg("running_var"), arg("weight"), arg("bias"), arg("use_input_stats"), arg("momentum"),
        arg("eps"));
  m.def("group_norm_forward", &group_norm_forward, arg("x"), arg("num_groups"), arg("weight"),
        arg("bias"), arg("eps"));
  m.def("group_norm_backward", &group_norm_backward, arg("x"), arg("dy"), arg("num_groups"),
        arg("weight"), arg("mean"), arg("rstd"), arg("has_bias"));
  m.def("local_norm_forward", &local_norm_forward, arg("x"), arg("size"), arg("alpha"), arg("beta"),
        arg("k"), arg("out") = py::none());
  m.def("local_norm_backward", &local_norm_backward, arg("x"), arg("dy"), arg("size"), arg("alpha"),
        arg("beta"), arg("k"));
}

}  // namespace dlcore
