// Tables of functions of one array and of their gradients: a kernel of this kind takes one line.
#pragma once

#include "check.h"

namespace dlcore {

using Function = std::function<Wide(Wide)>;

inline Wide one(Wide) {
  return 1;
}

// Sizes around every vector width, and one of several chunks.
constexpr int64_t kLengths[] = {1, 3, 15, 16, 17, 1000, 40009};

template <class T>
struct Unary {
  Kernel<void(const T*, T*, int64_t)> KernelTable<T>::* kernel;
  double low, high;
  Function f;
  double allowed;
  Function amplified = one;  // see Expected
};

template <class T>
void check_table(const std::vector<Unary<T>>& rows) {
  for (const Unary<T>& row : rows)
    for (const int64_t n : kLengths) {
      const Values<T> x = numbers<T>(n, row.low, row.high);
      Expected want;
      for (const T v : x) want.push(row.f(v), row.f(v) * row.amplified(v));
      check<T>((kernels<T>().*row.kernel).name, want, row.allowed,
               [&](const KernelTable<T>& k, T* y) { (k.*row.kernel)(x.data(), y, n); });
    }
}

// Kernels (x or y, dy, dx): dx = dy times what f says of the first argument.
template <class T>
struct Gradient {
  Kernel<void(const T*, const T*, T*, int64_t)> KernelTable<T>::* kernel;
  double low, high;
  Function f;
  double allowed;
  Function scale = nullptr;  // f itself, unless terms cancel
};

template <class T>
void check_table(const std::vector<Gradient<T>>& rows) {
  for (const Gradient<T>& row : rows)
    for (const int64_t n : kLengths) {
      const Values<T> x = numbers<T>(n, row.low, row.high), dy = numbers<T>(n, -2, 2, 7);
      Expected want;
      for (int64_t i = 0; i < n; ++i)
        want.push(dy[i] * row.f(x[i]), dy[i] * (row.scale ? row.scale : row.f)(x[i]));
      check<T>(
          (kernels<T>().*row.kernel).name, want, row.allowed,
          [&](const KernelTable<T>& k, T* dx) { (k.*row.kernel)(x.data(), dy.data(), dx, n); });
    }
}

}  // namespace dlcore
