// Additive scores, whose backward makes tanh again instead of keeping it, and rotary positions.
// Scores are bound by tanh, some 15 cycles a vector; rotation by memory.

#include "cpu/scratch.h"
#include "cpu/simd_activation.h"
#include "kernels/attention.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTanhCost = 16;

template <class T>
DLCORE_INLINE int64_t row_grain(int64_t others, int64_t depth) {
  return grain_for(others * depth * kTanhCost / kLanes<T>);
}

template <class T>
void additive_scores_forward(const T* q, const T* k, const T* w, T* s, const AdditiveSizes& p) {
  const int64_t depth = p.depth, keys = p.keys, queries = p.queries;
  parallel_for(p.batch * queries, row_grain<T>(keys, depth), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < keys; ++j) {
        const T *a = q + i * depth, *b = k + (i / queries * keys + j) * depth;
        Vec<T> sum{};
        for (int64_t e = 0; e < depth; e += kLanes<T>) {
          const int64_t n = smaller(kLanes<T>, depth - e);
          sum += load_part<T>(w + e, n, T(0)) *
                 tanh<T>(load_part<T>(a + e, n, T(0)) + load_part<T>(b + e, n, T(0)));
        }
        s[i * keys + j] = hsum<T>(sum);
      }
  });
}

// For each of batch x rows of a: da = sum over the others b of ds w (1 - t^2), and dw, unless null,
// = sum of ds t. ds of row i and other j lies at i * ds_row + j * ds_other in its matrix.
template <class T>
__attribute__((noinline)) void row_gradients(const T* a, const T* b, const T* w, const T* ds, T* da,
                                             T* dw, int64_t batch, int64_t rows, int64_t others,
                                             int64_t depth, int64_t ds_row, int64_t ds_other) {
  parallel_for(batch * rows, row_grain<T>(others, depth), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / rows;
      const T *other = b + n * others * depth, *d = ds + n * rows * others + i % rows * ds_row;
      for (int64_t e = 0; e < depth; e += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, depth - e);
        const Vec<T> own = load_part<T>(a + i * depth + e, lanes, T(0));
        Vec<T> slope{}, sum{};
        for (int64_t j = 0; j < others; ++j) {
          const Vec<T> t = tanh<T>(own + load_part<T>(other + j * depth + e, lanes, T(0)));
          const T factor = d[j * ds_other];
          slope += factor * (T(1) - t * t);
          sum += factor * t;
        }
        store_part<T>(da + i * depth + e, lanes, slope * load_part<T>(w + e, lanes, T(0)));
        if (dw) store_part<T>(dw + i * depth + e, lanes, sum);
      }
    }
  });
}

template <class T>
void additive_scores_backward(const T* q, const T* k, const T* w, const T* ds, T* dq, T* dk, T* dw,
                              const AdditiveSizes& p) {
  const int64_t rows = p.batch * p.queries, depth = p.depth;
  Scratch scratch((rows * depth + kLanes<T>)*static_cast<int64_t>(sizeof(T)));
  T* each = scratch.take<T>(rows * depth);
  row_gradients<T>(q, k, w, ds, dq, each, p.batch, p.queries, p.keys, depth, p.keys, 1);
  row_gradients<T>(k, q, w, ds, dk, nullptr, p.batch, p.keys, p.queries, depth, 1, p.keys);
  for (int64_t e = 0; e < depth; ++e) dw[e] = T(0);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t e = 0; e < depth; ++e) dw[e] += each[i * depth + e];
}

// y may be x.
template <class T>
void rotary(const T* x, const T* cos, const T* sin, T* y, int64_t outer, int64_t rows, int64_t half,
            bool interleaved, bool back) {
  const T sign = back ? T(-1) : T(1);
  const int64_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : half;
  parallel_for(outer * rows, grain_for(4 * half), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T *c = cos + i % rows * half, *s = sin + i % rows * half;
      const T* from = x + i * 2 * half;
      T* to = y + i * 2 * half;
      int64_t e = 0;
      for (; !interleaved && e + kLanes<T> <= half; e += kLanes<T>) {
        const Vec<T> a = load<T>(from + e), b = load<T>(from + e + half);
        const Vec<T> turn = load<T>(s + e) * sign, stay = load<T>(c + e);
        store<T>(to + e, a * stay - b * turn);
        store<T>(to + e + half, b * stay + a * turn);
      }
      for (; e < half; ++e) {
        const T a = from[e * step], b = from[e * step + apart], turn = s[e] * sign;
        to[e * step] = a * c[e] - b * turn;
        to[e * step + apart] = b * c[e] + a * turn;
      }
    }
  });
}

}  // namespace

DLCORE_EXPORT(additive_scores_forward)
DLCORE_EXPORT(additive_scores_backward)
DLCORE_EXPORT(rotary)

}  // namespace DLCORE_ISA
}  // namespace dlcore
