#include "bindings/array.h"

namespace dlcore {
namespace {

// An array seen as (outer, n, inner) around one axis.
struct Around {
  int64_t outer = 1, n, inner = 1;

  Around(const char* op, const Array& x, int64_t dim_) {
    CHECK(x.ndim() >= 1, op, ": x must have at least 1 axis, got x.shape = ()");
    const int dim = static_cast<int>(check_dim(op, dim_, x));
    n = x.size(dim);
    for (int i = 0; i < dim; ++i) outer *= x.size(i);
    for (int i = dim + 1; i < x.ndim(); ++i) inner *= x.size(i);
  }
};

template <class Call>
py::object forward(const char* op, py::handle x_, py::handle dim, py::handle out,
                   const Call& call) {
  const Array x(op, "x", x_);
  const Around a(op, x, int_argument(op, "dim", dim));
  Output y(op, out, x.shape(), x.typenum(), {&x});
  if (x.numel() > 0)
    with_kernels(x, 8 * x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      call(k)(x.data<T>(), y.data<T>(), a.outer, a.n, a.inner);
    });
  return y.finish();
}

template <class Call>
py::object backward(const char* op, py::handle y_, py::handle dy_, int64_t dim, const Call& call) {
  const Array y(op, "y", y_), dy(op, "dy", dy_);
  check_same_dtype(op, "y", y, "dy", dy);
  CHECK(y.same_shape(dy), op, ": dy must have y.shape = ", y.shape(),
        ", got dy.shape = ", dy.shape());
  const Around a(op, y, dim);
  Array dx = Array::empty_like(op, y);
  if (y.numel() > 0)
    with_kernels(y, 8 * y.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      call(k)(y.data<T>(), dy.data<T>(), dx.data<T>(), a.outer, a.n, a.inner);
    });
  return dx.release();
}

py::object softmax_forward(py::handle x, py::handle dim, py::handle out) {
  return forward("softmax", x, dim, out, [](const auto& k) { return k.softmax_forward; });
}
py::object softmax_backward(py::handle y, py::handle dy, int64_t dim) {
  return backward("softmax_backward", y, dy, dim, [](const auto& k) { return k.softmax_backward; });
}
py::object log_softmax_forward(py::handle x, py::handle dim, py::handle out) {
  return forward("log_softmax", x, dim, out, [](const auto& k) { return k.log_softmax_forward; });
}
py::object log_softmax_backward(py::handle y, py::handle dy, int64_t dim) {
  return backward("log_softmax_backward", y, dy, dim,
                  [](const auto& k) { return k.log_softmax_backward; });
}

}  // namespace

void bind_softmax(Module& m) {
  m.def("softmax_forward", &softmax_forward, py::arg("x"), py::arg("dim") = -1,
        py::arg("out") = py::none());
  m.def("softmax_backward", &softmax_backward, py::arg("y"), py::arg("dy"), py::arg("dim"));
  m.def("log_softmax_forward", &log_softmax_forward, py::arg("x"), py::arg("dim") = -1,
        py::arg("out") = py::none());
  m.def("log_softmax_backward", &log_softmax_backward, py::arg("y"), py::arg("dy"), py::arg("dim"));
}

}  // namespace dlcore
