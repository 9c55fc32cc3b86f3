#include "bindings/broadcast.h"
#include "bindings/unary.h"

namespace dlcore {
namespace {

// kernel(a, b), or kernel(b, a) when `turned`: a > b is b < a.
template <class Pick>
py::object compare(const char* op, py::handle a_, py::handle b_, bool turned, Pick pick) {
  const Operand a(op, "a", a_), b(op, "b", b_);
  const Array& one = array_of(op, "a or b", a, b);
  if (!a.is_number() && !b.is_number()) check_same_dtype(op, "a", a.array(), "b", b.array());
  Broadcast walk;
  const Shape shape = broadcast(op, a, b, walk);
  if (turned) std::swap(walk.stride_a, walk.stride_b);
  Array y = Array::empty(op, shape, NPY_BOOL);
  const int64_t n = y.numel();
  if (n == 0) return y.release();
  with_kernels(one, n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const Operand &first = turned ? b : a, &second = turned ? a : b;
    pick(k)(first.data<T>(), second.data<T>(), y.data<uint8_t>(), walk);
  });
  return y.release();
}

template <class Pick>
void def_compare(Module& m, const char* op, bool turned, Pick pick) {
  m.def(
      op, [=](py::handle a, py::handle b) { return compare(op, a, b, turned, pick); }, py::arg("a"),
      py::arg("b"));
}

template <class Pick>
void def_test(Module& m, const char* op, Pick pick) {
  m.def(
      op,
      [=](py::handle x_) {
        const Array x(op, "x", x_);
        Array y = Array::empty(op, x.shape(), NPY_BOOL);
        const int64_t n = x.numel();
        with_kernels(x, n, [&](const auto& k) {
          using T = scalar_of<decltype(k)>;
          pick(k)(x.data<T>(), y.data<uint8_t>(), n);
        });
        return y.release();
      },
      py::arg("x"));
}

py::object where(py::handle condition_, py::handle x_, py::handle y_) {
  const Array condition = Array::boolean("where", "condition", condition_);
  const Operand x("where", "x", x_), y("where", "y", y_);
  const Array& one = array_of("where", "x or y", x, y);
  if (!x.is_number() && !y.is_number()) check_same_dtype("where", "x", x.array(), "y", y.array());
  Walk<3> walk;
  const Shape shape =
      broadcast<3>("where", "condition, x and y", {condition.shape(), x.shape(), y.shape()}, walk);
  Choice choice;
  choice.ndim = walk.ndim;
  std::copy_n(walk.size, walk.ndim, choice.size);
  std::copy_n(walk.stride[0], walk.ndim, choice.stride_c);
  std::copy_n(walk.stride[1], walk.ndim, choice.stride_a);
  std::copy_n(walk.stride[2], walk.ndim, choice.stride_b);
  Array z = Array::empty("where", shape, one.typenum());
  const int64_t n = z.numel();
  if (n == 0) return z.release();
  with_kernels(one, n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.where(condition.data<uint8_t>(), x.data<T>(), y.data<T>(), z.data<T>(), choice);
  });
  return z.release();
}

}  // namespace

void bind_compare(Module& m) {
  def_compare(m, "eq", false, PICK(eq));
  def_compare(m, "ne", false, PICK(ne));
  def_compare(m, "lt", false, PICK(lt));
  def_compare(m, "le", false, PICK(le));
  def_compare(m, "gt", true, PICK(lt));
  def_compare(m, "ge", true, PICK(le));
  def_test(m, "isnan", PICK(isnan));
  def_test(m, "isinf", PICK(isinf));
  def_test(m, "isfinite", PICK(isfinite));
  m.def("where", &where, py::arg("condition"), py::arg("x"), py::arg("y"));
}

}  // namespace dlcore
