#include "bindings/pool.h"

namespace dlcore {
namespace {

// PyTorch's divisor_override: None, or a number other than 0.
int64_t parse_divisor(const char* op, py::handle divisor) {
  if (divisor.is_none()) return 0;
  const int64_t n = int_argument(op, "divisor_override", divisor);
  CHECK(n != 0, op, ": divisor_override must not be 0");
  return n;
}

AvgPool averages(const Pool& p, bool include_pad, int64_t divisor = 0) {
  AvgPool all{};
  static_cast<Pool&>(all) = p;
  all.include_pad = include_pad;
  all.divisor = divisor;
  return all;
}

py::object means(const char* op, int dims, const Array& x, const AvgPool& p, py::handle out) {
  Output y(op, out, pooled_shape(x, dims, p), x.typenum(), {}, {&x});
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (is_global(p) && !p.divisor)
      k.global_avg_pool_forward(x.data<T>(), y.data<T>(), p.planes, plane_size(p));
    else
      k.avg_pool_forward(x.data<T>(), y.data<T>(), p);
  });
  return y.finish();
}

py::object means_gradient(const char* op, int dims, const Array& x, const AvgPool& p,
                          py::handle dy_) {
  const Array dy = output_gradient(op, dims, x, p, dy_);
  Array dx = Array::empty_like(op, x);
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (is_global(p) && !p.divisor)
      k.global_avg_pool_backward(dy.data<T>(), dx.data<T>(), p.planes, plane_size(p));
    else
      k.avg_pool_backward(dy.data<T>(), dx.data<T>(), p);
  });
  return dx.release();
}

py::object avg_pool_forward(const char* op, int dims, py::handle x_, py::handle kernel_size,
                            py::handle stride, py::handle padding, bool ceil_mode,
                            bool count_include_pad, py::handle divisor_override, py::handle out) {
  const Array x = pooled_input(op, dims, x_);
  const Pool p = parse_windows(op, dims, x, kernel_size, stride, padding, py::int_(1), ceil_mode);
  const int64_t divisor = parse_divisor(op, divisor_override);
  return means(op, dims, x, averages(p, count_include_pad, divisor), out);
}

py::object avg_pool_backward(const char* op, int dims, py::handle dy, py::handle x_,
                             py::handle kernel_size, py::handle stride, py::handle padding,
                             bool ceil_mode, bool count_include_pad, py::handle divisor_override) {
  const Array x = pooled_input(op, dims, x_);
  const Pool p = parse_windows(op, dims, x, kernel_size, stride, padding, py::int_(1), ceil_mode);
  const int64_t divisor = parse_divisor(op, divisor_override);
  return means_gradient(op, dims, x, averages(p, count_include_pad, divisor), dy);
}

py::object adaptive_avg_pool_forward(const char* op, int dims, py::handle x_,
                                     py::handle output_size, py::handle out) {
  const Array x = pooled_input(op, dims, x_);
  return means(op, dims, x, averages(parse_adaptive(op, dims, x, output_size), false), out);
}

py::object adaptive_avg_pool_backward(const char* op, int dims, py::handle dy, py::handle x_,
                                      py::handle output_size) {
  const Array x = pooled_input(op, dims, x_);
  return means_gradient(op, dims, x, averages(parse_adaptive(op, dims, x, output_size), false), dy);
}

// What both ways of Lp pooling take: x, its windows, the norm.
struct PowerPool {
  Array x;
  AvgPool p;
  double norm;

  PowerPool(const char* op, int dims, py::handle x_, py::handle norm_type, py::handle kernel_size,
            py::handle stride, bool ceil_mode)
      : x(pooled_input(op, dims, x_)),
        p(averages(
            parse_windows(op, dims, x, kernel_size, stride, py::int_(0), py::int_(1), ceil_mode),
            true)),
        norm(real_argument(op, "norm_type", norm_type)) {
    CHECK(norm > 0 && norm < HUGE_VAL, op, ": norm_type must be positive, got ", norm);
  }
};

py::object lp_pool_forward(const char* op, int dims, py::handle x, py::handle norm_type,
                           py::handle kernel_size, py::handle stride, bool ceil_mode) {
  const PowerPool c(op, dims, x, norm_type, kernel_size, stride, ceil_mode);
  Array y = Array::empty(op, pooled_shape(c.x, dims, c.p), c.x.typenum());
  with_kernels(c.x, work_of(c.p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.lp_pool_forward(c.x.template data<T>(), y.data<T>(), c.p, static_cast<T>(c.norm));
  });
  return y.release();
}

py::object lp_pool_backward(const char* op, int dims, py::handle dy_, py::handle y_, py::handle x,
                            py::handle norm_type, py::handle kernel_size, py::handle stride,
                            bool ceil_mode) {
  const PowerPool c(op, dims, x, norm_type, kernel_size, stride, ceil_mode);
  const Array dy = output_gradient(op, dims, c.x, c.p, dy_);
  const Array y = output_gradient(op, dims, c.x, c.p, y_);
  Array dx = Array::empty_like(op, c.x);
  with_kernels(c.x, work_of(c.p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.lp_pool_backward(c.x.template data<T>(), y.data<T>(), dy.data<T>(), dx.data<T>(), c.p,
                       static_cast<T>(c.norm));
  });
  return dx.release();
}

}  // namespace

void bind_pool_average(Module& m) {
  using py::arg;
  m.def("avg_pool_forward", &avg_pool_forward, arg("op"), arg("dims"), arg("x"), arg("kernel_size"),
        arg("stride"), arg("padding"), arg("ceil_mode"), arg("count_include_pad"),
        arg("divisor_override"), arg("out") = py::none());
  m.def("avg_pool_backward", &avg_pool_backward, arg("op"), arg("dims"), arg("dy"), arg("x"),
        arg("kernel_size"), arg("stride"), arg("padding"), arg("ceil_mode"),
        arg("count_include_pad"), arg("divisor_override"));
  m.def("adaptive_avg_pool_forward", &adaptive_avg_pool_forward, arg("op"), arg("dims"), arg("x"),
        arg("output_size"), arg("out") = py::none());
  m.def("adaptive_avg_pool_backward", &adaptive_avg_pool_backward, arg("op"), arg("dims"),
        arg("dy"), arg("x"), arg("output_size"));
  m.def("lp_pool_forward", &lp_pool_forward, arg("op"), arg("dims"), arg("x"), arg("norm_type"),
        arg("kernel_size"), arg("stride"), arg("ceil_mode"));
  m.def("lp_pool_backward", &lp_pool_backward, arg("op"), arg("dims"), arg("dy"), arg("y"),
        arg("x"), arg("norm_type"), arg("kernel_size"), arg("stride"), arg("ceil_mode"));
}

}  // namespace dlcore
