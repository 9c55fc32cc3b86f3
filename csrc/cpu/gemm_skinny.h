// A few rows or columns against a large matrix: up to 8 vectors times W, where reading W is all the
// time. Nothing is packed, W is read once, in the order in which it lies.
//
//   spread  W's rows run along the result: the sums of a piece of it stay in L1, and some rows of W
//           at a time are added to them.
//   dots    W's rows run along k: a few of them times all vectors, sums in registers.
// The sums over k are never cut, so threads change no bit.
#pragma once

#include "cpu/gemm_blocked.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kMostVectors = 8;
constexpr int64_t kSkinnyBytes = 1 << 19;  // of W: below, the register tile reads it from L2
constexpr int64_t kPiece = 1024;           // of the result, in spread
constexpr int64_t kMostDots = 192;         // rows of W of a chunk, in dots

// result(v, w) = sum over k of x(v, k) * W(w, k) for v < vectors, w < width. `tall` says that the
// vectors are columns of C and W is A; else they are rows of C and W is B.
template <class T>
struct Skinny {
  const Product<T>* g;
  bool tall;
  int64_t vectors, width, k;
  const T* x;
  int64_t x_vector, x_k;
  const T* w;
  int64_t w_width, w_k;
};

template <class T>
DLCORE_INLINE Skinny<T> as_skinny(const Product<T>& g) {
  if (g.m <= g.n) return {&g, false, g.m, g.n, g.k, g.a, g.a_row, g.a_col, g.b, g.b_col, g.b_row};
  return {&g, true, g.n, g.m, g.k, g.b, g.b_col, g.b_row, g.a, g.a_row, g.a_col};
}

template <class T>
DLCORE_INLINE bool is_skinny(const Product<T>& g) {
  const Skinny<T> s = as_skinny(g);
  if (s.vectors > kMostVectors || s.k == 0) return false;
  if (s.w_k == 1 && s.k >= 2 * kLanes<T>) return true;
  const bool large = s.width * s.k * static_cast<int64_t>(sizeof(T)) >= kSkinnyBytes;
  return s.w_width == 1 && (large || (s.tall && s.vectors <= 4 && s.width >= 4 * kLanes<T>));
}

// The epilogue on sums[v * row + i], the results for w0 <= w < w0 + width.
template <class T>
DLCORE_INLINE void finish_vectors(const Skinny<T>& s, const T* sums, int64_t row, int64_t w0,
                                  int64_t width) {
  const Product<T>& g = *s.g;
  const Epilogue<T>* e = g.epilogue.any() ? &g.epilogue : nullptr;
  if (!s.tall) {
    finish_tile(sums, row, s.vectors, width, {g.c + w0, g.c_row, g.alpha, g.beta, e, 0, w0});
    return;
  }
  constexpr int64_t kStep = 64, kRow = kLanes<T> > kMostVectors ? kLanes<T> : kMostVectors;
  alignas(64) T turned[kStep * kRow] = {};
  for (int64_t i0 = 0; i0 < width; i0 += kStep) {
    const int64_t count = smaller(kStep, width - i0);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t v = 0; v < s.vectors; ++v) turned[i * kRow + v] = sums[v * row + i0 + i];
    const int64_t at = w0 + i0;
    finish_tile(turned, kRow, count, s.vectors,
                {g.c + at * g.c_row, g.c_row, g.alpha, g.beta, e, at, 0});
  }
}

template <class T>
struct One {
  Vec<T> v[1];
};
template <class T>
struct Two {
  Vec<T> v[2];
};

// sums[v][j] += x[p][v] * w[p][j] for kSteps rows of W, two vectors of j at a time.
template <class T, int V, int kSteps>
DLCORE_INLINE void add_rows(const T* x, const T* w, int64_t w_row, int64_t width, T* sums) {
  const auto at = [&](int64_t j, auto vectors, auto read, auto write) {
    constexpr int kWide = sizeof(vectors) / sizeof(Vec<T>);
    Vec<T> rows[kSteps][kWide];
#pragma GCC unroll 8
    for (int p = 0; p < kSteps; ++p)
#pragma GCC unroll 2
      for (int i = 0; i < kWide; ++i) {
        rows[p][i] = read(w + p * w_row + j + i * kLanes<T>);
        __builtin_prefetch(w + (p + kSteps) * w_row + j + i * kLanes<T>);
      }
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      Vec<T> sum[kWide];
#pragma GCC unroll 2
      for (int i = 0; i < kWide; ++i) sum[i] = load<T>(sums + v * kPiece + j + i * kLanes<T>);
#pragma GCC unroll 8
      for (int p = 0; p < kSteps; ++p)
#pragma GCC unroll 2
        for (int i = 0; i < kWide; ++i) sum[i] += splat<T>(x[p * V + v]) * rows[p][i];
#pragma GCC unroll 2
      for (int i = 0; i < kWide; ++i) write(sums + v * kPiece + j + i * kLanes<T>, sum[i]);
    }
  };
  const auto whole = [](const T* p) { return load<T>(p); };
  const auto keep = [](T* p, Vec<T> v) { store<T>(p, v); };
  int64_t j = 0;
  for (; j + 2 * kLanes<T> <= width; j += 2 * kLanes<T>) at(j, Two<T>{}, whole, keep);
  for (; j < width; j += kLanes<T>) {
    const int64_t rest = smaller(width - j, kLanes<T>);
    at(j, One<T>{}, [rest](const T* p) { return load_part<T>(p, rest, T(0)); }, keep);
  }
}

// x is packed: [k][V].
template <class T, int V>
void spread(const Skinny<T>& s, const T* x) {
  constexpr int kSteps = V <= 4 ? 8 : 4;
  const int64_t piece = smaller(kPiece, larger(128, round_up(ceil_div(s.width, 8), 64)));
  parallel_for(s.width, piece, [&](int64_t begin, int64_t end) {
    for (int64_t w0 = begin; w0 < end; w0 += kPiece) {
      alignas(64) T sums[V * kPiece];
      const int64_t width = smaller(kPiece, end - w0);
      for (int v = 0; v < V; ++v)
        __builtin_memset(sums + v * kPiece, 0,
                         static_cast<size_t>(round_up(width, kLanes<T>)) * sizeof(T));
      const T* w = s.w + w0;
      int64_t p = 0;
      for (; p + kSteps <= s.k; p += kSteps)
        add_rows<T, V, kSteps>(x + p * V, w + p * s.w_k, s.w_k, width, sums);
      for (; p < s.k; ++p) add_rows<T, V, 1>(x + p * V, w + p * s.w_k, s.w_k, width, sums);
      finish_vectors(s, sums, kPiece, w0, width);
    }
  });
}

// sums[v * kMostDots + r] = x_v . w_r for R rows of W, kUnroll vectors of k at a time.
template <class T, int V, int R>
DLCORE_INLINE void dots(int64_t k, const T* x, int64_t x_row, const T* w, int64_t w_row, T* sums) {
  constexpr int kUnroll = V * R >= 8 ? 1 : V * R >= 4 ? 2 : 4;  // 8 sums hide the latency
  Vec<T> sum[kUnroll][R][V] = {};
  int64_t p = 0;
  for (; p + kUnroll * kLanes<T> <= k; p += kUnroll * kLanes<T>)
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      Vec<T> rows[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) rows[r] = load<T>(w + r * w_row + p + u * kLanes<T>);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const Vec<T> left = load<T>(x + v * x_row + p + u * kLanes<T>);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) sum[u][r][v] += left * rows[r];
      }
    }
  for (; p < k; p += kLanes<T>) {
    const int64_t rest = smaller(k - p, kLanes<T>);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const Vec<T> left = load_part<T>(x + v * x_row + p, rest, T(0));
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        sum[0][r][v] += left * load_part<T>(w + r * w_row + p, rest, T(0));
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      Vec<T> all = sum[0][r][v];
#pragma GCC unroll 4
      for (int u = 1; u < kUnroll; ++u) all += sum[u][r][v];
      sums[v * kMostDots + r] = hsum<T>(all);
    }
}

// x's rows are contiguous.
template <class T, int V>
void dot_rows(const Skinny<T>& s, const T* x, int64_t x_row) {
#if defined(__AVX512F__) || defined(__aarch64__)
  constexpr int R = V <= 4 ? 4 : 3;  // 24 sums at most
#else
  constexpr int R = V <= 2 ? 4 : V <= 4 ? 2 : 1;
#endif
  const int64_t grain = smaller(kMostDots, round_up(ceil_div(kChunkWork, s.k * V), 12));
  parallel_for(s.width, grain, [&](int64_t begin, int64_t end) {
    for (int64_t w0 = begin; w0 < end; w0 += kMostDots) {
      alignas(64) T sums[V * kMostDots];
      const int64_t width = smaller(kMostDots, end - w0);
      const T* w = s.w + w0 * s.w_width;
      int64_t r = 0;
      for (; r + R <= width; r += R)
        dots<T, V, R>(s.k, x, x_row, w + r * s.w_width, s.w_width, sums + r);
      for (; r < width; ++r) dots<T, V, 1>(s.k, x, x_row, w + r * s.w_width, s.w_width, sums + r);
      finish_vectors(s, sums, kMostDots, w0, width);
    }
  });
}

template <class T, int V>
void run_skinny(const Skinny<T>& s) {
  if (s.w_k == 1) {
    // Rows a multiple of 1 KiB apart would crowd into few sets of L1.
    const bool as_is = V == 1 && s.x_k == 1;
    const int64_t row = round_up(s.k, kLineElements<T>) + kLineElements<T>;
    Scratch<T> rows(as_is ? 0 : V * row);
    for (int64_t v = 0; !as_is && v < V; ++v)
      for (int64_t p = 0; p < s.k; ++p) rows.get()[v * row + p] = s.x[v * s.x_vector + p * s.x_k];
    dot_rows<T, V>(s, as_is ? s.x : rows.get(), row);
    return;
  }
  Scratch<T> columns(V * s.k);
  for (int64_t p = 0; p < s.k; ++p)
    for (int64_t v = 0; v < V; ++v) columns.get()[p * V + v] = s.x[v * s.x_vector + p * s.x_k];
  spread<T, V>(s, columns.get());
}

template <class T, int V = kMostVectors>
void skinny(const Product<T>& g) {
  const Skinny<T> s = as_skinny(g);
  if (s.vectors == V)
    run_skinny<T, V>(s);
  else if constexpr (V > 1)
    skinny<T, V - 1>(g);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
