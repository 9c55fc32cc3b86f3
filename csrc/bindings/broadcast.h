// Operands that broadcast: arrays, or numbers that take an array's dtype.
#pragma once

#include <algorithm>
#include <string>

#include "bindings/array.h"

namespace dlcore {

// An array, or a number that takes the other operand's dtype.
class Operand {
 public:
  Operand(const char* op, const char* name, py::handle object) {
    if (PyArray_Check(object.ptr())) [[likely]] {
      array_ = Array(op, name, object);
    } else {
      CHECK_TYPE(PyNumber_Check(object.ptr()), op, ": ", name,
                 " must be an array or a number, got ", Py_TYPE(object.ptr())->tp_name,
                 cure(name, object));
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

// A walk over the result with neighbouring axes merged, for N operands.
template <int N>
struct Walk {
  int ndim = 0;
  int64_t size[kMaxDims];
  int64_t stride[N][kMaxDims];
};

// The shape of the result. `names` are the operands' in the message: "a and b".
template <int N>
Shape broadcast(const char* op, const char* names, const Shape (&of)[N], Walk<N>& walk) {
  Shape y;
  for (const Shape& shape : of) y.ndim = std::max(y.ndim, shape.ndim);
  const auto shapes = [&] {
    std::string all = text(of[0]);
    for (int i = 1; i < N; ++i) all += text(i == N - 1 ? " and " : ", ", of[i]);
    return all;
  };
  int64_t step[N];
  for (int64_t& s : step) s = 1;
  Walk<N> inner_first;
  for (int d = 1; d <= y.ndim; ++d) {
    int64_t in[N], stride[N], n = 1;
    for (int i = 0; i < N; ++i) {
      in[i] = d <= of[i].ndim ? of[i][-d] : 1;
      CHECK(in[i] == n || in[i] == 1 || n == 1, op, ": ", names,
            " must broadcast (sizes equal or 1, from the last axis), got shapes ", shapes());
      if (in[i] != 1) n = in[i];
    }
    y.size[y.ndim - d] = n;
    if (n == 1) continue;
    Walk<N>& f = inner_first;
    const int last = f.ndim - 1;
    bool merges = f.ndim > 0;
    for (int i = 0; i < N; ++i) {
      stride[i] = in[i] == 1 ? 0 : step[i];
      step[i] *= in[i];
      merges = merges && stride[i] == f.stride[i][last] * f.size[last];
    }
    if (merges) {
      f.size[last] *= n;
      continue;
    }
    CHECK(f.ndim < kMaxDims, op, ": axes that repeat and that do not must not alternate more than ",
          kMaxDims, " times, got shapes ", shapes());
    f.size[f.ndim] = n;
    for (int i = 0; i < N; ++i) f.stride[i][f.ndim] = stride[i];
    ++f.ndim;
  }
  walk.ndim = std::max(inner_first.ndim, 1);
  walk.size[0] = 1;
  for (auto& stride : walk.stride) stride[0] = 1;
  for (int d = 0; d < inner_first.ndim; ++d) {
    const int from = inner_first.ndim - 1 - d;
    walk.size[d] = inner_first.size[from];
    for (int i = 0; i < N; ++i) walk.stride[i][d] = inner_first.stride[i][from];
  }
  return y;
}

inline Shape broadcast(const char* op, const char* names, const Shape& a, const Shape& b,
                       Broadcast& to) {
  Walk<2> walk;
  const Shape y = broadcast<2>(op, names, {a, b}, walk);
  to.ndim = walk.ndim;
  std::copy_n(walk.size, walk.ndim, to.size);
  std::copy_n(walk.stride[0], walk.ndim, to.stride_a);
  std::copy_n(walk.stride[1], walk.ndim, to.stride_b);
  return y;
}

inline Shape broadcast(const char* op, const Operand& a, const Operand& b, Broadcast& walk) {
  if (a.is_number() || b.is_number() || !a.array().same_shape(b.array()))
    return broadcast(op, "a and b", a.shape(), b.shape(), walk);
  walk.ndim = 1;
  walk.size[0] = a.array().numel();
  walk.stride_a[0] = walk.stride_b[0] = 1;
  return a.array().shape();
}

// The array of two operands, of which one at least must be one.
inline const Array& array_of(const char* op, const char* names, const Operand& a,
                             const Operand& b) {
  const Array& one = a.is_number() ? b.array() : a.array();
  CHECK_TYPE(one.defined(), op, ": ", names, " must be an array, got two numbers");
  return one;
}

}  // namespace dlcore
