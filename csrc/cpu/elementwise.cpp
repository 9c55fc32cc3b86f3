// Arithmetic on arrays: two inputs broadcast to one output, and functions of one input. Bound by
// memory, but for pow. The output may be an input that has its shape.

#include "kernels/elementwise.h"

#include "cpu/simd_activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// In elements copied, for the size of the chunks.
constexpr int64_t kCopyCost = 1, kDivideCost = 2, kExpCost = 4, kPowCost = 32;

// -- two inputs --

// One row of the output; a stride of 0 repeats one value. Never both: the row would be one element.
template <class T, class F>
DLCORE_INLINE void map_row(const T* a, int64_t stride_a, const T* b, int64_t stride_b, T* y,
                           int64_t n, bool past_caches, const F& f) {
  if (!stride_b)
    map_inputs<T>(y, n, past_caches, f, Each<T>{a}, Same<T>{splat<T>(*b)});
  else if (!stride_a)
    map_inputs<T>(y, n, past_caches, f, Same<T>{splat<T>(*a)}, Each<T>{b});
  else
    map_inputs<T>(y, n, past_caches, f, Each<T>{a}, Each<T>{b});
}

// Walks the rows of the output in order, with the two inputs' offsets.
struct Rows {
  const Broadcast& shape;
  int64_t a = 0, b = 0;
  int64_t index[kMaxDims] = {};

  DLCORE_INLINE_MEMBER Rows(const Broadcast& s, int64_t row) : shape(s) {
    for (int d = s.ndim - 2; d >= 0; --d) {
      index[d] = row % s.size[d];
      row /= s.size[d];
      a += index[d] * s.stride_a[d];
      b += index[d] * s.stride_b[d];
    }
  }
  DLCORE_INLINE_MEMBER void next() {
    for (int d = shape.ndim - 2; d >= 0; --d) {
      a += shape.stride_a[d];
      b += shape.stride_b[d];
      if (++index[d] < shape.size[d]) return;
      a -= shape.size[d] * shape.stride_a[d];
      b -= shape.size[d] * shape.stride_b[d];
      index[d] = 0;
    }
  }
};

// Short rows beside one row vector (a bias): the vector is written out a few times, so that many
// rows become one long one.
constexpr int64_t kTile = 512;

template <class T, class F>
DLCORE_INLINE void map_tiled(const T* whole, const T* row, bool row_first, T* y, int64_t rows,
                             int64_t cols, int64_t grain, const F& f) {
  T tile[kTile];
  const int64_t group = kTile / cols;
  for (int64_t i = 0; i < group * cols; ++i) tile[i] = row[i % cols];
  parallel_for(rows, round_up(ceil_div(grain, cols), group), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r += group) {
      const int64_t n = smaller(group, end - r) * cols;
      const T* part = whole + r * cols;
      if (row_first)
        map_inputs<T>(y + r * cols, n, false, f, Each<T>{tile}, Each<T>{part});
      else
        map_inputs<T>(y + r * cols, n, false, f, Each<T>{part}, Each<T>{tile});
    }
  });
}

template <class T, class F>
DLCORE_INLINE void map_broadcast(const T* a, const T* b, T* y, const Broadcast& s, int64_t cost,
                                 const F& f) {
  const int last = s.ndim - 1;
  const int64_t cols = s.size[last], stride_a = s.stride_a[last], stride_b = s.stride_b[last];
  const int64_t grain = map_grain(cols, cost);
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= s.size[d];

  if (s.ndim == 2 && cols <= kTile / 4 && stride_a && stride_b &&
      (!s.stride_a[0] || !s.stride_b[0])) {
    const bool row_first = !s.stride_a[0];
    return map_tiled<T>(row_first ? b : a, row_first ? a : b, row_first, y, rows, cols, grain, f);
  }
  constexpr int64_t kStreamedRow = 4096;  // bytes: shorter, the unaligned ends cost more
  const int64_t row_bytes = cols * static_cast<int64_t>(sizeof(T));
  const bool past_caches =
      rows * row_bytes >= kStreamBytes && row_bytes >= kStreamedRow && a != y && b != y;
  const int64_t blocks = ceil_div(cols, grain);  // of a long row
  parallel_for(rows * blocks, blocks > 1 ? 1 : ceil_div(grain, cols),
               [&](int64_t begin, int64_t end) {
                 Rows row(s, begin / blocks);
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t from = i % blocks * grain;
                   const int64_t n = smaller(grain, cols - from);
                   map_row<T>(a + row.a + from * stride_a, stride_a, b + row.b + from * stride_b,
                              stride_b, y + i / blocks * cols + from, n, past_caches, f);
                   if ((i + 1) % blocks == 0) row.next();
                 }
               });
}

template <class T>
void add(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost, [](Vec<T> v, Vec<T> w) { return v + w; });
}

template <class T>
void sub(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost, [](Vec<T> v, Vec<T> w) { return v - w; });
}

template <class T>
void mul(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost, [](Vec<T> v, Vec<T> w) { return v * w; });
}

template <class T>
void div(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kDivideCost, [](Vec<T> v, Vec<T> w) { return v / w; });
}

// NaN where either is NaN: max and min return w when either is.
template <class T>
void maximum(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost,
                   [](Vec<T> v, Vec<T> w) { return v == v ? max<T>(v, w) : v; });
}

template <class T>
void minimum(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost,
                   [](Vec<T> v, Vec<T> w) { return v == v ? min<T>(v, w) : v; });
}

// The derivative of max(a, b) by a: 1 where a > b, 1/2 where they are equal, else 0.
template <class T>
void maximum_slope(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kCopyCost, [](Vec<T> v, Vec<T> w) {
    return v > w ? splat<T>(T(1)) : v == w ? splat<T>(T(0.5)) : Vec<T>{};
  });
}

template <class T>
void pow(const T* a, const T* b, T* y, const Broadcast& shape) {
  map_broadcast<T>(a, b, y, shape, kPowCost, [](Vec<T> v, Vec<T> w) { return power<T>(v, w); });
}

// y = a, repeated along the axes where a's stride is 0.
template <class T>
void expand(const T* a, T* y, const Broadcast& s) {
  const int last = s.ndim - 1;
  const int64_t cols = s.size[last];
  int64_t rows = 1;
  for (int d = 0; d < last; ++d) rows *= s.size[d];
  const bool past_caches =
      rows * cols * static_cast<int64_t>(sizeof(T)) >= kStreamBytes && cols >= 1024;
  const auto same = [](Vec<T> v) { return v; };
  const int64_t grain = map_grain(cols, kCopyCost), blocks = ceil_div(cols, grain);
  parallel_for(rows * blocks, blocks > 1 ? 1 : ceil_div(grain, cols),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const T* from = a + Rows(s, i / blocks).a;
                   const int64_t start = i % blocks * grain, n = smaller(grain, cols - start);
                   T* to = y + i / blocks * cols + start;
                   if (s.stride_a[last])
                     map_inputs<T>(to, n, past_caches, same, Each<T>{from + start});
                   else
                     map_inputs<T>(to, n, past_caches, same, Same<T>{splat<T>(*from)});
                 }
               });
}

// -- one input --

template <class T>
void exp(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return exp<T>(v); }, x);
}

template <class T>
void expm1(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return expm1<T>(v); }, x);
}

template <class T>
void log(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return log<T>(v); }, x);
}

template <class T>
void log1p(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return log1p<T>(v); }, x);
}

template <class T>
void erf(const T* x, T* y, int64_t n) {
  map<T>(y, n, kExpCost, [](Vec<T> v) { return erf<T>(v); }, x);
}

template <class T>
void sqrt(const T* x, T* y, int64_t n) {
  map<T>(y, n, kDivideCost, [](Vec<T> v) { return sqrt<T>(v); }, x);
}

template <class T>
void rsqrt(const T* x, T* y, int64_t n) {
  map<T>(y, n, kDivideCost, [](Vec<T> v) { return rsqrt<T>(v); }, x);
}

template <class T>
void reciprocal(const T* x, T* y, int64_t n) {
  map<T>(y, n, kDivideCost, [](Vec<T> v) { return T(1) / v; }, x);
}

template <class T>
void square(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return v * v; }, x);
}

template <class T>
void abs(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return abs<T>(v); }, x);
}

template <class T>
void neg(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return -v; }, x);
}

// -1, 0 or 1; NaN stays NaN.
template <class T>
void sign(const T* x, T* y, int64_t n) {
  map<T>(y, n, kCopyCost, [](Vec<T> v) { return sign<T>(v); }, x);
}

template <class T>
void clip(const T* x, T* y, int64_t n, T low, T high) {
  map<T>(y, n, kCopyCost, [=](Vec<T> v) { return clamp<T>(v, low, high); }, x);
}

// -- gradients of one input, from the output y or the input x, whichever is shorter --

template <class T>
void expm1_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * v + d; }, y, dy);
}

template <class T>
void log1p_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kDivideCost, [](Vec<T> v, Vec<T> d) { return d / (v + T(1)); }, x, dy);
}

// 2 / sqrt(pi) exp(-x^2) dy, the square as h^2 / 2.
template <class T>
void erf_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(
      dx, n, kExpCost,
      [](Vec<T> v, Vec<T> d) {
        Vec<T> e;
        bell<T>(v * T(1.4142135623730951), e);
        return d * (e * T(1.1283791670955126));
      },
      x, dy);
}

template <class T>
void sqrt_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kDivideCost, [](Vec<T> v, Vec<T> d) { return d * T(0.5) / v; }, y, dy);
}

template <class T>
void rsqrt_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * T(-0.5) * (v * v * v); }, y, dy);
}

template <class T>
void reciprocal_backward(const T* y, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return -d * (v * v); }, y, dy);
}

template <class T>
void square_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * (v + v); }, x, dy);
}

// 0 at 0.
template <class T>
void abs_backward(const T* x, const T* dy, T* dx, int64_t n) {
  map<T>(dx, n, kCopyCost, [](Vec<T> v, Vec<T> d) { return d * sign<T>(v); }, x, dy);
}

// dy on and within the limits, 0 beyond.
template <class T>
void clip_backward(const T* x, const T* dy, T* dx, int64_t n, T low, T high) {
  map<T>(
      dx, n, kCopyCost,
      [=](Vec<T> v, Vec<T> d) { return ((v >= low) & (v <= high)) ? d : Vec<T>{}; }, x, dy);
}

}  // namespace

DLCORE_EXPORT(add)
DLCORE_EXPORT(sub)
DLCORE_EXPORT(mul)
DLCORE_EXPORT(div)
DLCORE_EXPORT(pow)
DLCORE_EXPORT(maximum)
DLCORE_EXPORT(minimum)
DLCORE_EXPORT(maximum_slope)
DLCORE_EXPORT(expand)
DLCORE_EXPORT(exp)
DLCORE_EXPORT(expm1)
DLCORE_EXPORT(log)
DLCORE_EXPORT(log1p)
DLCORE_EXPORT(erf)
DLCORE_EXPORT(sqrt)
DLCORE_EXPORT(rsqrt)
DLCORE_EXPORT(reciprocal)
DLCORE_EXPORT(square)
DLCORE_EXPORT(abs)
DLCORE_EXPORT(neg)
DLCORE_EXPORT(sign)
DLCORE_EXPORT(clip)
DLCORE_EXPORT(expm1_backward)
DLCORE_EXPORT(log1p_backward)
DLCORE_EXPORT(erf_backward)
DLCORE_EXPORT(sqrt_backward)
DLCORE_EXPORT(rsqrt_backward)
DLCORE_EXPORT(reciprocal_backward)
DLCORE_EXPORT(square_backward)
DLCORE_EXPORT(abs_backward)
DLCORE_EXPORT(clip_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
