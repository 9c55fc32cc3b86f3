#include "bindings/activation.h"

#include "bindings/unary.h"

namespace dlcore {
namespace {

py::object leaky_relu_forward(py::handle x_, double slope, py::handle out) {
  return unary("leaky_relu", "x", x_, out, kCopyCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, T* y, int64_t n) {
      k.leaky_relu_forward(x, y, n, static_cast<T>(slope));
    };
  });
}

py::object leaky_relu_backward(py::handle x_, py::handle dy_, double slope) {
  return unary_backward("leaky_relu_backward", "x", x_, dy_, kCopyCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, const T* dy, T* dx, int64_t n) {
      k.leaky_relu_backward(x, dy, dx, n, static_cast<T>(slope));
    };
  });
}

struct Named {
  const char* name;
  Activation activation;
};
constexpr Named kActivations[] = {
    {"none", Activation::none},   {"relu", Activation::relu},
    {"relu6", Activation::relu6}, {"leaky_relu", Activation::leaky_relu},
    {"gelu", Activation::gelu},   {"gelu_tanh", Activation::gelu_tanh},
    {"silu", Activation::silu},   {"sigmoid", Activation::sigmoid},
    {"tanh", Activation::tanh},
};

}  // namespace

Activation activation_argument(const char* op, py::handle activation) {
  if (activation.is_none()) return Activation::none;
  CHECK_TYPE(PyUnicode_Check(activation.ptr()), op, ": activation must be a name or None, got ",
             Py_TYPE(activation.ptr())->tp_name);
  for (const Named& one : kActivations)
    if (PyUnicode_CompareWithASCIIString(activation.ptr(), one.name) == 0) return one.activation;
  std::string known;
  for (const Named& one : kActivations) known += std::string(known.empty() ? "" : ", ") + one.name;
  CHECK(false, op, ": activation must be one of ", known, ", got ", shown(activation));
}

void bind_activation(Module& m) {
  def_unary(m, "relu_forward", "relu", kCopyCost, PICK(relu_forward));
  def_unary(m, "relu6_forward", "relu6", kCopyCost, PICK(relu6_forward));
  def_unary(m, "sigmoid_forward", "sigmoid", kExpCost, PICK(sigmoid_forward));
  def_unary(m, "tanh_forward", "tanh", kExpCost, PICK(tanh_forward));
  def_unary(m, "gelu_forward", "gelu", kExpCost, PICK(gelu_forward));
  def_unary(m, "gelu_tanh_forward", "gelu", kExpCost, PICK(gelu_tanh_forward));
  def_unary(m, "silu_forward", "silu", kExpCost, PICK(silu_forward));
  m.def("leaky_relu_forward", &leaky_relu_forward, py::arg("x"), py::arg("negative_slope"),
        py::arg("out") = py::none());

  def_unary_backward(m, "relu_backward", "y", kCopyCost, PICK(relu_backward));
  def_unary_backward(m, "relu6_backward", "y", kCopyCost, PICK(relu6_backward));
  def_unary_backward(m, "sigmoid_backward", "y", kCopyCost, PICK(sigmoid_backward));
  def_unary_backward(m, "tanh_backward", "y", kCopyCost, PICK(tanh_backward));
  def_unary_backward(m, "gelu_backward", "x", kExpCost, PICK(gelu_backward));
  def_unary_backward(m, "gelu_tanh_backward", "x", kExpCost, PICK(gelu_tanh_backward));
  def_unary_backward(m, "silu_backward", "x", kExpCost, PICK(silu_backward));
  m.def("leaky_relu_backward", &leaky_relu_backward, py::arg("x"), py::arg("dy"),
        py::arg("negative_slope"));
}

}  // namespace dlcore
