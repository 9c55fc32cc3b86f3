#include "bindings/array.h"

namespace dlcore {
namespace {

py::object relu_forward(py::handle x_, py::handle out) {
  const Array x("relu", "x", x_);
  Output y("relu", out, x.shape(), x.typenum(), {&x});
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.relu_forward(x.data<T>(), y.data<T>(), x.numel());
  });
  return y.finish();
}

py::object relu_backward(py::handle y_, py::handle dy_) {
  const Array y("relu_backward", "y", y_), dy("relu_backward", "dy", dy_);
  check_same_dtype("relu_backward", "y", y, "dy", dy);
  CHECK(y.same_shape(dy), "relu_backward: dy must have y.shape = ", y.shape(), ", got dy.shape = ", dy.shape());
  Array dx = Array::empty_like("relu_backward", y);
  with_kernels(y, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.relu_backward(y.data<T>(), dy.data<T>(), dx.data<T>(), y.numel());
  });
  return dx.release();
}

}  // namespace

void bind_activation(py::module_& m) {
  m.def("relu_forward", &relu_forward, py::arg("x"), py::arg("out") = py::none());
  m.def("relu_backward", &relu_backward, py::arg("y"), py::arg("dy"));
}

}  // namespace dlcore
