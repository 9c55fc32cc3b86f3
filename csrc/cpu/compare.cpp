// Comparisons and tests, whose results are bools of one byte, 0 or 1, and choices by them. Bound by
// memory: two arrays read, a quarter (float) or an eighth (double) of one written.

#include "kernels/compare.h"

#include "cpu/simd.h"
#include "kernels/elementwise.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// 1 for each of the n first lanes that are true, else 0.
template <class T>
DLCORE_INLINE void store_truth(uint8_t* y, int64_t n, Mask<T> truth) {
  typedef uint8_t Narrow __attribute__((vector_size(kLanes<T>)));
  const Narrow bytes = __builtin_convertvector(truth, Narrow) & 1;
  if (n == kLanes<T>) {
    std::memcpy(y, &bytes, sizeof bytes);
  } else {
    uint8_t each[kLanes<T>];
    std::memcpy(each, &bytes, sizeof bytes);
    for (int64_t i = 0; i < n; ++i) y[i] = each[i];
  }
}

// y[i] = f(inputs[i]...); f takes Vec<T> and returns Mask<T>.
template <class T, class F, class... Inputs>
DLCORE_INLINE void map_truth(uint8_t* y, int64_t n, const F& f, const Inputs&... x) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store_truth<T>(y + i, kLanes<T>, f(x.at(i)...));
  if (i < n) store_truth<T>(y + i, n - i, f(x.part(i, n - i)...));
}

// Calls body(offset of each input, offset of the output, n) for pieces of the rows of a broadcast
// shape.
template <int kInputs, class Body>
DLCORE_INLINE void for_rows(int ndim, const int64_t* size, const int64_t* const (&stride)[kInputs],
                            const Body& body) {
  const int last = ndim - 1;
  const int64_t cols = size[last], grain = map_grain(cols, 1), pieces = ceil_div(cols, grain);
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= size[d];
  parallel_for(rows * pieces, pieces > 1 ? 1 : ceil_div(grain, cols),
               [&](int64_t begin, int64_t end) {
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t row = item / pieces, from = item % pieces * grain;
                   int64_t offset[kInputs];
                   for (int i = 0; i < kInputs; ++i) offset[i] = from * stride[i][last];
                   for (int64_t d = last - 1, left = row; d >= 0; left /= size[d--])
                     for (int i = 0; i < kInputs; ++i) offset[i] += left % size[d] * stride[i][d];
                   body(offset, row * cols + from, smaller(grain, cols - from));
                 }
               });
}

template <class T, class F>
DLCORE_INLINE void compare(const T* a, const T* b, uint8_t* y, const Broadcast& s, const F& f) {
  const int64_t each_a = s.stride_a[s.ndim - 1], each_b = s.stride_b[s.ndim - 1];
  for_rows<2>(s.ndim, s.size, {s.stride_a, s.stride_b},
              [=](const int64_t* offset, int64_t at, int64_t n) {
                const T *p = a + offset[0], *q = b + offset[1];
                if (!each_b)
                  map_truth<T>(y + at, n, f, Each<T>{p}, Same<T>{splat<T>(*q)});
                else if (!each_a)
                  map_truth<T>(y + at, n, f, Same<T>{splat<T>(*p)}, Each<T>{q});
                else
                  map_truth<T>(y + at, n, f, Each<T>{p}, Each<T>{q});
              });
}

template <class T>
void eq(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  compare<T>(a, b, y, shape, [](Vec<T> v, Vec<T> w) -> Mask<T> { return v == w; });
}

template <class T>
void ne(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  compare<T>(a, b, y, shape, [](Vec<T> v, Vec<T> w) -> Mask<T> { return v != w; });
}

template <class T>
void lt(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  compare<T>(a, b, y, shape, [](Vec<T> v, Vec<T> w) -> Mask<T> { return v < w; });
}

template <class T>
void le(const T* a, const T* b, uint8_t* y, const Broadcast& shape) {
  compare<T>(a, b, y, shape, [](Vec<T> v, Vec<T> w) -> Mask<T> { return v <= w; });
}

template <class T, class F>
DLCORE_INLINE void test(const T* x, uint8_t* y, int64_t n, const F& f) {
  parallel_for(n, map_grain(n, 1), [=](int64_t begin, int64_t end) {
    map_truth<T>(y + begin, end - begin, f, Each<T>{x + begin});
  });
}

template <class T>
void isnan(const T* x, uint8_t* y, int64_t n) {
  test<T>(x, y, n, [](Vec<T> v) -> Mask<T> { return v != v; });
}

template <class T>
void isinf(const T* x, uint8_t* y, int64_t n) {
  test<T>(x, y, n, [](Vec<T> v) -> Mask<T> { return (v == kInf<T>) | (v == -kInf<T>); });
}

// inf - inf and NaN - NaN are NaN.
template <class T>
void isfinite(const T* x, uint8_t* y, int64_t n) {
  test<T>(x, y, n, [](Vec<T> v) -> Mask<T> { return v - v == T(0); });
}

// -- choices --

// All ones in the lanes whose byte is not 0; the lanes past n are 0.
template <class T>
DLCORE_INLINE Mask<T> load_truth(const uint8_t* p, int64_t n) {
  typedef uint8_t Narrow __attribute__((vector_size(kLanes<T>)));
  Narrow bytes;
  if (n == kLanes<T>) {
    std::memcpy(&bytes, p, sizeof bytes);
  } else {
    uint8_t each[kLanes<T>] = {};
    for (int64_t i = 0; i < n; ++i) each[i] = p[i];
    std::memcpy(&bytes, each, sizeof bytes);
  }
  return __builtin_convertvector(bytes, Mask<T>) != 0;
}

// y = condition ? a : b.
template <class T>
void where(const uint8_t* condition, const T* a, const T* b, T* y, const Choice& s) {
  const int last = s.ndim - 1;
  for_rows<3>(s.ndim, s.size, {s.stride_c, s.stride_a, s.stride_b},
              [=, &s](const int64_t* offset, int64_t at, int64_t n) {
                const uint8_t* c = condition + offset[0];
                const T *p = a + offset[1], *q = b + offset[2];
                for (int64_t i = 0; i < n; i += kLanes<T>) {
                  const int64_t m = smaller(kLanes<T>, n - i);
                  const auto from = [=](const T* x, int64_t each) {
                    return !each            ? splat<T>(*x)
                           : m == kLanes<T> ? load<T>(x + i)
                                            : load_part<T>(x + i, m, T(0));
                  };
                  const Mask<T> chosen = s.stride_c[last] ? load_truth<T>(c + i, m)
                                         : *c             ? ~Mask<T>{}
                                                          : Mask<T>{};
                  const Vec<T> v = chosen ? from(p, s.stride_a[last]) : from(q, s.stride_b[last]);
                  if (m == kLanes<T>)
                    store<T>(y + at + i, v);
                  else
                    store_part<T>(y + at + i, m, v);
                }
              });
}

}  // namespace

DLCORE_EXPORT(eq)
DLCORE_EXPORT(ne)
DLCORE_EXPORT(lt)
DLCORE_EXPORT(le)
DLCORE_EXPORT(isnan)
DLCORE_EXPORT(isinf)
DLCORE_EXPORT(isfinite)
DLCORE_EXPORT(where)

}  // namespace DLCORE_ISA
}  // namespace dlcore
