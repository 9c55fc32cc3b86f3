// Bindings of y = f(x), one element at a time: activations and elementwise functions.
#pragma once

#include "bindings/array.h"

namespace dlcore {

// One element's work, in multiply-adds, for the decision to release the GIL.
constexpr int64_t kCopyCost = 1, kExpCost = 8;

// A kernel of the table, whatever its dtype.
#define PICK(kernel)                                          \
  Slot {                                                      \
    &KernelTable<float>::kernel, &KernelTable<double>::kernel \
  }
template <class F, class D>
struct Slot {
  F KernelTable<float>::* of_float;
  D KernelTable<double>::* of_double;
  const F& operator()(const KernelTable<float>& k) const { return k.*of_float; }
  const D& operator()(const KernelTable<double>& k) const { return k.*of_double; }
};
template <class F, class D>
Slot(F KernelTable<float>::*, D KernelTable<double>::*) -> Slot<F, D>;  // for Clang 14

template <class Pick>
py::object unary(const char* op, const char* name, py::handle x_, py::handle out, int64_t cost,
                 Pick pick) {
  const Array x(op, name, x_);
  Output y(op, out, x.shape(), x.typenum(), {&x});
  const int64_t n = x.numel();
  with_kernels(x, n * cost, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    pick(k)(x.data<T>(), y.data<T>(), n);
  });
  return y.finish();
}

// dx from dy and the saved input or output, called `name`.
template <class Pick>
py::object unary_backward(const char* op, const char* name, py::handle saved_, py::handle dy_,
                          int64_t cost, Pick pick) {
  const Array saved(op, name, saved_), dy(op, "dy", dy_);
  check_same_dtype(op, name, saved, "dy", dy);
  CHECK(saved.same_shape(dy), op, ": dy must have ", name, ".shape = ", saved.shape(),
        ", got dy.shape = ", dy.shape());
  Array dx = Array::empty_like(op, dy);
  const int64_t n = dy.numel();
  with_kernels(dy, n * cost, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    pick(k)(saved.data<T>(), dy.data<T>(), dx.data<T>(), n);
  });
  return dx.release();
}

template <class Pick>
void def_unary(Module& m, const char* function, const char* op, int64_t cost, Pick pick) {
  m.def(
      function, [=](py::handle x, py::handle out) { return unary(op, "x", x, out, cost, pick); },
      py::arg("x"), py::arg("out") = py::none());
}
template <class Pick>
void def_unary(Module& m, const char* op, int64_t cost, Pick pick) {
  def_unary(m, op, op, cost, pick);
}

template <class Pick>
void def_unary_backward(Module& m, const char* op, const char* name, int64_t cost, Pick pick) {
  m.def(
      op,
      [=](py::handle saved, py::handle dy) {
        return unary_backward(op, name, saved, dy, cost, pick);
      },
      py::arg(name), py::arg("dy"));
}

}  // namespace dlcore
