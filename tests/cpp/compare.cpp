// Comparisons, tests and choices, with special values among the numbers.
#include <algorithm>

#include "unary.h"

namespace dlcore {
namespace {

// Few values, so that many are equal, and the special ones.
template <class T>
Values<T> steps(int64_t n, uint32_t seed) {
  Values<T> all = numbers<T>(n, -2, 5, seed);
  for (T& v : all) v = std::floor(v) < 3 ? std::floor(v) : v < 4 ? T(INFINITY) : T(NAN);
  return all;
}

template <class T>
void comparisons(int64_t rows, int64_t cols) {
  using K = KernelTable<T>;
  struct Row {
    Kernel<void(const T*, const T*, uint8_t*, const Broadcast&)> K::* kernel;
    bool (*f)(T, T);
  };
  const Row all[] = {{&K::eq, [](T a, T b) { return a == b; }},
                     {&K::ne, [](T a, T b) { return a != b; }},
                     {&K::lt, [](T a, T b) { return a < b; }},
                     {&K::le, [](T a, T b) { return a <= b; }}};
  const Values<T> a = steps<T>(rows * cols, 1), b = steps<T>(std::max(rows, cols), 3);
  for (const Row& row : all)
    for (const bool by_row : {true, false}) {  // b is a row, or a column
      const Broadcast shape{2, {rows, cols}, {cols, 1}, {!by_row, by_row}};
      Expected want;
      for (int64_t i = 0; i < rows * cols; ++i)
        want.push(row.f(a[i], b[by_row ? i % cols : i / cols]));
      check<T>((kernels<T>().*row.kernel).name, want, 0, [&](const K& k, T* y) {
        std::vector<uint8_t> truth(rows * cols);
        (k.*row.kernel)(a.data(), b.data(), truth.data(), shape);
        std::copy(truth.begin(), truth.end(), y);
      });
    }

  // A condition for each column, of a whole matrix or a number for each row.
  std::vector<uint8_t> chosen(cols);
  for (int64_t i = 0; i < cols; ++i) chosen[i] = i * 7 % 3 == 0;
  const Choice shape{2, {rows, cols}, {0, 1}, {cols, 1}, {1, 0}};
  Expected want;
  for (int64_t i = 0; i < rows * cols; ++i) want.push(chosen[i % cols] ? a[i] : b[i / cols]);
  check<T>("where", want, 0,
           [&](const auto& k, T* y) { k.where(chosen.data(), a.data(), b.data(), y, shape); });
}

template <class T>
void tests() {
  using K = KernelTable<T>;
  struct Row {
    Kernel<void(const T*, uint8_t*, int64_t)> K::* kernel;
    bool (*f)(T);
  };
  const Row all[] = {{&K::isnan, [](T v) { return std::isnan(v); }},
                     {&K::isinf, [](T v) { return std::isinf(v); }},
                     {&K::isfinite, [](T v) { return std::isfinite(v); }}};
  for (const Row& row : all)
    for (const int64_t n : kLengths) {
      const Values<T> x = steps<T>(n, 7);
      Expected want;
      for (const T v : x) want.push(row.f(v));
      check<T>((kernels<T>().*row.kernel).name, want, 0, [&](const K& k, T* y) {
        std::vector<uint8_t> truth(n);
        (k.*row.kernel)(x.data(), truth.data(), n);
        std::copy(truth.begin(), truth.end(), y);
      });
    }
}

template <class T>
void all() {
  for (const int64_t cols : {1, 3, 16, 33, 700}) comparisons<T>(60, cols);
  comparisons<T>(1, 40009);
  tests<T>();
}

}  // namespace

void check_compare() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
