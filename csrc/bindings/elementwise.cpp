#include "bindings/unary.h"

namespace dlcore {
namespace {

// An array, or a number that takes the other operand's dtype.
class Operand {
 public:
  Operand(const char* op, const char* name, py::handle object) {
    if (PyArray_Check(object.ptr())) [[likely]] {
      array_ = Array(op, name, object);
    } else {
      CHECK_TYPE(PyNumber_Check(object.ptr()), op, ": ", name,
                 " must be an array or a number, got ", Py_TYPE(object.ptr())->tp_name);
      f64_ = real_argument(op, name, object);
      f32_ = static_cast<float>(f64_);
    }
  }
  bool is_number() const { return !array_.defined(); }
  double number() const { return f64_; }
  const Array& array() const { return array_; }
  Shape shape() const { return is_number() ? Shape() : array_.shape(); }
  template <class T>
  const T* data() const {
    if (!is_number()) return array_.data<T>();
    if constexpr (sizeof(T) == sizeof(float))
      return &f32_;
    else
      return &f64_;
  }

 private:
  Array array_;
  float f32_ = 0;
  double f64_ = 0;
};

// The shape of the result, and the walk over it with neighbouring axes merged.
Shape broadcast(const char* op, const char* b_name, const Shape& as, const Shape& bs,
                Broadcast& walk) {
  Shape y;
  y.ndim = std::max(as.ndim, bs.ndim);
  Broadcast inner_first{};  // as walk, the last axis first
  int64_t step_a = 1, step_b = 1;
  for (int d = 1; d <= y.ndim; ++d) {
    const int64_t in_a = d <= as.ndim ? as[-d] : 1, in_b = d <= bs.ndim ? bs[-d] : 1;
    CHECK(in_a == in_b || in_a == 1 || in_b == 1, op, ": a and ", b_name,
          " must broadcast (sizes equal or 1, from the last axis), got shapes ", as, " and ", bs);
    const int64_t n = in_a == 1 ? in_b : in_a;
    y.size[y.ndim - d] = n;
    if (n == 1) continue;
    const int64_t stride_a = in_a == 1 ? 0 : step_a, stride_b = in_b == 1 ? 0 : step_b;
    step_a *= in_a;
    step_b *= in_b;
    Broadcast& f = inner_first;
    const int last = f.ndim - 1;
    if (f.ndim && stride_a == f.stride_a[last] * f.size[last] &&
        stride_b == f.stride_b[last] * f.size[last]) {
      f.size[last] *= n;
      continue;
    }
    CHECK(f.ndim < kMaxDims, op, ": axes that repeat and that do not must not alternate more than ",
          kMaxDims, " times, got shapes ", as, " and ", bs);
    f.size[f.ndim] = n;
    f.stride_a[f.ndim] = stride_a;
    f.stride_b[f.ndim++] = stride_b;
  }
  walk = {1, {1}, {1}, {1}};
  if (inner_first.ndim) walk.ndim = inner_first.ndim;
  for (int d = 0; d < inner_first.ndim; ++d) {
    const int from = inner_first.ndim - 1 - d;
    walk.size[d] = inner_first.size[from];
    walk.stride_a[d] = inner_first.stride_a[from];
    walk.stride_b[d] = inner_first.stride_b[from];
  }
  return y;
}

Shape broadcast(const char* op, const Operand& a, const Operand& b, Broadcast& walk) {
  if (a.is_number() || b.is_number() || !a.array().same_shape(b.array()))
    return broadcast(op, "b", a.shape(), b.shape(), walk);
  walk.ndim = 1;
  walk.size[0] = a.array().numel();
  walk.stride_a[0] = walk.stride_b[0] = 1;
  return a.array().shape();
}

template <class Pick>
py::object binary(const char* op, const Operand& a, const Operand& b, py::handle out, int64_t cost,
                  Pick pick) {
  const Array& one = a.is_number() ? b.array() : a.array();
  CHECK_TYPE(one.defined(), op, ": a or b must be an array, got two numbers");
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
void def_binary(py::module_& m, const char* op, int64_t cost, Pick pick) {
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
  const Shape wide = broadcast("expand", "shape", a.shape(), shape, walk);
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

void bind_elementwise(py::module_& m) {
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
