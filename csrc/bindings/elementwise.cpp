#include "bindings/broadcast.h"
#include "bindings/unary.h"

namespace dlcore {
namespace {

template <class Pick>
py::object binary(const char* op, const Operand& a, const Operand& b, py::handle out, int64_t cost,
                  Pick pick) {
  const Array& one = array_of(op, "a or b", a, b);
  if (!a.is_number() && !b.is_number()) check_same_dtype(op, "a", a.array(), "b", b.array());
  Broadcast walk;
  const Shape shape = broadcast(op, a, b, walk);
  Output y(op, out, shape, one.typenum(), {&a.array(), &b.array()});
  const int64_t n = y.array().numel();
  if (n == 0) return y.finish();
  with_kernels(one, n * cost, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    pick(k)(a.data<T>(), b.data<T>(), y.data<T>(), walk);
  });
  return y.finish();
}

template <class Pick>
void def_binary(Module& m, const char* op, int64_t cost, Pick pick) {
  m.def(
      op,
      [=](py::handle a, py::handle b, py::handle out) {
        return binary(op, Operand(op, "a", a), Operand(op, "b", b), out, cost, pick);
      },
      py::arg("a"), py::arg("b"), py::arg("out") = py::none());
}

// Exponents that need no logarithm: the same result, rounded less.
py::object pow(py::handle a_, py::handle b_, py::handle out) {
  const Operand a("pow", "a", a_), b("pow", "b", b_);
  if (b.is_number() && !a.is_number()) {
    if (b.number() == 2) return unary("pow", "a", a_, out, kCopyCost, PICK(square));
    if (b.number() == -1) return unary("pow", "a", a_, out, kCopyCost, PICK(reciprocal));
  }
  return binary("pow", a, b, out, 4 * kExpCost, PICK(pow));
}

py::object expand(py::handle a_, const std::vector<int64_t>& sizes) {
  const Array a("expand", "a", a_);
  CHECK(sizes.size() <= NPY_MAXDIMS, "expand: shape must have at most ", NPY_MAXDIMS, " axes");
  Shape shape;
  for (int64_t size : sizes) shape.size[shape.ndim++] = size;
  Broadcast walk;
  const Shape wide = broadcast("expand", "a and shape", a.shape(), shape, walk);
  CHECK(wide == shape, "expand: shape must be one that a broadcasts to, got a.shape = ", a.shape(),
        " and ", shape);
  Array y = Array::empty("expand", shape, a.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(a, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.expand(a.data<T>(), y.data<T>(), walk);
  });
  return y.release();
}

py::object clip(py::handle x_, double low, double high, py::handle out) {
  CHECK(low <= high, "clip: min must not be above max, got ", low, " and ", high);
  return unary("clip", "x", x_, out, kCopyCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, T* y, int64_t n) {
      k.clip(x, y, n, static_cast<T>(low), static_cast<T>(high));
    };
  });
}

py::object clip_backward(py::handle x, py::handle dy, double low, double high) {
  return unary_backward("clip_backward", "x", x, dy, kCopyCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, const T* dy, T* dx, int64_t n) {
      k.clip_backward(x, dy, dx, n, static_cast<T>(low), static_cast<T>(high));
    };
  });
}

}  // namespace

void bind_elementwise(Module& m) {
  def_binary(m, "add", kCopyCost, PICK(add));
  def_binary(m, "sub", kCopyCost, PICK(sub));
  def_binary(m, "mul", kCopyCost, PICK(mul));
  def_binary(m, "div", kCopyCost, PICK(div));
  def_binary(m, "maximum", kCopyCost, PICK(maximum));
  def_binary(m, "minimum", kCopyCost, PICK(minimum));
  def_binary(m, "maximum_slope", kCopyCost, PICK(maximum_slope));
  m.def("expand", &expand, py::arg("a"), py::arg("shape"));
  m.def("pow", &pow, py::arg("a"), py::arg("b"), py::arg("out") = py::none());

  def_unary(m, "exp", kExpCost, PICK(exp));
  def_unary(m, "expm1", kExpCost, PICK(expm1));
  def_unary(m, "log", kExpCost, PICK(log));
  def_unary(m, "log1p", kExpCost, PICK(log1p));
  def_unary(m, "erf", kExpCost, PICK(erf));
  def_unary(m, "sqrt", kCopyCost, PICK(sqrt));
  def_unary(m, "rsqrt", kCopyCost, PICK(rsqrt));
  def_unary(m, "reciprocal", kCopyCost, PICK(reciprocal));
  def_unary(m, "square", kCopyCost, PICK(square));
  def_unary(m, "abs", kCopyCost, PICK(abs));
  def_unary(m, "neg", kCopyCost, PICK(neg));
  def_unary(m, "sign", kCopyCost, PICK(sign));
  m.def("clip", &clip, py::arg("x"), py::arg("min"), py::arg("max"), py::arg("out") = py::none());

  def_unary_backward(m, "expm1_backward", "y", kCopyCost, PICK(expm1_backward));
  def_unary_backward(m, "log1p_backward", "x", kCopyCost, PICK(log1p_backward));
  def_unary_backward(m, "erf_backward", "x", kExpCost, PICK(erf_backward));
  def_unary_backward(m, "sqrt_backward", "y", kCopyCost, PICK(sqrt_backward));
  def_unary_backward(m, "rsqrt_backward", "y", kCopyCost, PICK(rsqrt_backward));
  def_unary_backward(m, "reciprocal_backward", "y", kCopyCost, PICK(reciprocal_backward));
  def_unary_backward(m, "square_backward", "x", kCopyCost, PICK(square_backward));
  def_unary_backward(m, "abs_backward", "x", kCopyCost, PICK(abs_backward));
  m.def("clip_backward", &clip_backward, py::arg("x"), py::arg("dy"), py::arg("min"),
        py::arg("max"));
}

}  // namespace dlcore
