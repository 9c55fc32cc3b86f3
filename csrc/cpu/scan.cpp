// Cumulative sums and products, in double: float32 in gives the rounded exact sum but for some
// 2^-53 a term.

#include "kernels/scan.h"

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// n elements from x on, each kStep after the one before. Four at a time wait for one addition.
template <class T, int kStep>
DLCORE_INLINE double scan(const T* x, T* y, int64_t n, double sum) {
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const T *const p = x + i * kStep, *const q = p + 2 * kStep;
    const double a = static_cast<double>(p[0]), b = a + static_cast<double>(p[kStep]);
    const double c = static_cast<double>(q[0]), d = c + static_cast<double>(q[kStep]);
    T* const to = y + i * kStep;
    to[0] = static_cast<T>(sum + a);
    to[kStep] = static_cast<T>(sum + b);
    to[2 * kStep] = static_cast<T>(sum + (b + c));
    sum += b + d;
    to[3 * kStep] = static_cast<T>(sum);
  }
  for (; i < n; ++i) {
    sum += static_cast<double>(x[i * kStep]);
    y[i * kStep] = static_cast<T>(sum);
  }
  return sum;
}

constexpr int64_t kColumns = 32;  // neighbours whose sums go on together

template <class T>
DLCORE_INLINE void scan_columns(const T* x, T* y, int64_t n, int64_t step, int64_t columns) {
  double sum[kColumns] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      sum[j] += static_cast<double>(x[i * step + j]);
      y[i * step + j] = static_cast<T>(sum[j]);
    }
}

template <class T>
void cumsum(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool reversed) {
  const int64_t last = reversed ? n - 1 : 0;
  if (inner == 1) {
    parallel_for(outer, grain_for(2 * n), [=](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r * n + last;
        if (reversed)
          scan<T, -1>(x + at, y + at, n, 0);
        else
          scan<T, 1>(x + at, y + at, n, 0);
      }
    });
    return;
  }
  const int64_t pieces = ceil_div(inner, kColumns);
  parallel_for(outer * pieces, grain_for(2 * n * kColumns), [=](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t from = p % pieces * kColumns;
      const int64_t at = (p / pieces * n + last) * inner + from;
      const int64_t columns = smaller(kColumns, inner - from);
      scan_columns<T>(x + at, y + at, n, reversed ? -inner : inner, columns);
    }
  });
}

// body(at, columns) for neighbouring columns of every outer index, from the first element on.
template <class Body>
DLCORE_INLINE void for_columns(int64_t outer, int64_t n, int64_t inner, const Body& body) {
  const int64_t pieces = ceil_div(inner, kColumns);
  parallel_for(outer * pieces, grain_for(4 * n * smaller(inner, kColumns)),
               [=](int64_t begin, int64_t end) {
                 for (int64_t p = begin; p < end; ++p) {
                   const int64_t from = p % pieces * kColumns;
                   body(p / pieces * n * inner + from, smaller(kColumns, inner - from));
                 }
               });
}

template <class T>
void cumprod_forward(const T* x, T* y, int64_t outer, int64_t n, int64_t inner) {
  for_columns(outer, n, inner, [=](int64_t at, int64_t columns) {
    double product[kColumns];
    for (int64_t j = 0; j < columns; ++j) product[j] = 1;
    for (int64_t i = at; i < at + n * inner; i += inner)
      for (int64_t j = 0; j < columns; ++j)
        y[i + j] = static_cast<T>(product[j] *= static_cast<double>(x[i + j]));
  });
}

// dx[i] = y[i - 1] s[i], s[i] = dy[i] + x[i + 1] s[i + 1]: no division, so that zeros do no harm.
template <class T>
void cumprod_backward(const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t n,
                      int64_t inner) {
  for_columns(outer, n, inner, [=](int64_t at, int64_t columns) {
    double sum[kColumns] = {};
    const int64_t last = at + (n - 1) * inner;
    for (int64_t i = last; i >= at; i -= inner)
      for (int64_t j = 0; j < columns; ++j) {
        if (i < last) sum[j] *= static_cast<double>(x[i + inner + j]);
        sum[j] += static_cast<double>(dy[i + j]);
        dx[i + j] =
            static_cast<T>(i > at ? sum[j] * static_cast<double>(y[i - inner + j]) : sum[j]);
      }
  });
}

}  // namespace

DLCORE_EXPORT(cumsum)
DLCORE_EXPORT(cumprod_forward)
DLCORE_EXPORT(cumprod_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
