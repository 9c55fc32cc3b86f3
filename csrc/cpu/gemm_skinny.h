// A few rows or columns against a large matrix: up to 8 vectors times W, where reading W is most of
// the time. Nothing is packed, W is read once.
//
//   spread  W's rows run along the result: some rows of W at a time are added to sums that stay in
//           L2, one slice of k after another.
//   dots    W's rows run along k: a few of them times all vectors, sums in registers.
//
// A core reads memory fastest in a few runs at once, each onward for as long as possible, fetched
// by the hardware: 28 GB/s of 4 runs against 20 of one, on a Zen 3; fetching by instruction costs
// speed there. So the rows that are read together lie far apart, and each run goes on through whole
// rows to the end of its part.
// The slices of k come from the shape and are added in order, so threads change no bit.
#pragma once

#include "cpu/gemm_blocked.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kMostVectors = 8;
constexpr int64_t kSkinnyBytes = 1 << 19;  // of W: below, the register tile reads it from L2
constexpr int64_t kSumBytes = 1 << 17;     // of sums in spread: a quarter of the smallest L2
constexpr int64_t kMostDots = 512;         // rows of W whose results wait to be finished, in dots
constexpr int64_t kMostCuts = 8;           // of W: long runs, few sums, and threads enough

template <class T>
constexpr int64_t kBlock = 2 * kLanes<T>;  // columns of W whose sums lie together, in spread

// Whether W is fetched by instruction all the same: with many vectors a core with AVX-512 has so
// much to do for a line that it looks but a few lines ahead.
template <int V>
constexpr bool kFetches = kVectorBytes == 64 && V >= 3;
template <class T>
constexpr int64_t kAhead = 16 * kLineElements<T>;

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
  if (s.w_width != 1 || s.width < (s.tall ? 1 : 2) * kBlock<T>) return false;
  return large || (s.tall && s.vectors <= 4 && s.width >= 4 * kLanes<T>);
}

// x(v, k) to packed[k * k_step + v * v_step]; zeros for the vectors from the last to `room`.
template <class T>
__attribute__((noinline)) void pack_vectors(const Skinny<T>& s, int64_t room, int64_t k_step,
                                            int64_t v_step, T* packed) {
  for (int64_t p = 0; p < s.k; ++p)
    for (int64_t v = 0; v < room; ++v)
      packed[p * k_step + v * v_step] = v < s.vectors ? s.x[v * s.x_vector + p * s.x_k] : T(0);
}

// The epilogue on sums[v * row + i], the results for w0 <= w < w0 + width.
template <class T>
__attribute__((noinline)) void finish_vectors(const Skinny<T>& s, const T* sums, int64_t row,
                                              int64_t w0, int64_t width) {
  const Product<T>& g = *s.g;
  const Epilogue<T>* e = g.epilogue.any() ? &g.epilogue : nullptr;
  if (!s.tall) {
    finish_tile(sums, row, s.vectors, width, {g.c + w0, g.c_row, g.alpha, g.beta, e, 0, w0});
    return;
  }
  constexpr int64_t kStep = kBlock<T>, kRow = kLanes<T> > kMostVectors ? kLanes<T> : kMostVectors;
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

// sums[v][i] += x[p][v] * w[p][i] for kSteps rows of W, `apart` from each other, and the blocks
// [b0, b1). The last block of W is a whole one too: it begins before the end of the one before it.
template <class T, int V, int kSteps>
DLCORE_INLINE void add_rows(const T* x, const T* w, int64_t w_row, int64_t apart, int64_t width,
                            int64_t b0, int64_t b1, T* sums) {
  const T* row[kSteps];
  T factor[kSteps][V];  // on the stack: addresses that take no register
  for (int p = 0; p < kSteps; ++p) {
    row[p] = w + p * apart * w_row;
    for (int v = 0; v < V; ++v) factor[p][v] = x[p * apart * V + v];
  }
  for (int64_t b = b0; b < b1; ++b, sums += V * kBlock<T>) {
    if (V * kSteps > 8) __asm__ volatile("" : "+m"(factor));
    const int64_t at = smaller(b * kBlock<T>, width - kBlock<T>);
    Vec<T> rows[kSteps][2];
#pragma GCC unroll 8
    for (int p = 0; p < kSteps; ++p)
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        rows[p][i] = load<T>(row[p] + at + i * kLanes<T>);
        if constexpr (kFetches<V>) __builtin_prefetch(row[p] + at + i * kLanes<T> + kAhead<T>);
      }
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      Vec<T> sum[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) sum[i] = load<T>(sums + (2 * v + i) * kLanes<T>);
#pragma GCC unroll 8
      for (int p = 0; p < kSteps; ++p)
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) sum[i] += splat<T>(factor[p][v]) * rows[p][i];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) store<T>(sums + (2 * v + i) * kLanes<T>, sum[i]);
    }
  }
}

// Adds up the slices' sums of the blocks [b0, b1) and finishes them.
template <class T>
__attribute__((noinline)) void finish_blocks(const Skinny<T>& s, T* sums, int64_t slices,
                                             int64_t b0, int64_t b1) {
  const int64_t size = s.vectors * kBlock<T>, slice = ceil_div(s.width, kBlock<T>) * size;
  for (int64_t b = b0; b < b1; ++b) {
    T* sum = sums + b * size;
    for (int64_t other = 1; other < slices; ++other)
      for (int64_t i = 0; i < size; i += kLanes<T>)
        store<T>(sum + i, load<T>(sum + i) + load<T>(sum + other * slice + i));
    const int64_t w0 = b * kBlock<T>, known = larger(0, w0 + kBlock<T> - s.width);
    finish_vectors(s, sum + known, kBlock<T>, w0, kBlock<T> - known);
  }
}

// x is packed: [k][V]. sums has room for V sums of every block and slice.
template <class T, int V>
DLCORE_INLINE void spread(const Skinny<T>& s, Groups pieces, Groups slices, const T* x, T* sums) {
  constexpr int kSteps = V <= 4 ? 4 : 5;  // their loads and stores of sums take less than the FMAs
  constexpr int64_t kSize = V * kBlock<T>;
  const int64_t blocks = ceil_div(s.width, kBlock<T>);
  parallel_for(pieces.count * slices.count, 1, [&](int64_t chunk, int64_t) {
    const int64_t piece = chunk / slices.count, slice = chunk % slices.count;
    const int64_t b0 = pieces.begin(piece), b1 = pieces.begin(piece + 1);
    const int64_t p0 = slices.begin(slice), p1 = slices.begin(slice + 1);
    const int64_t run = (p1 - p0) / kSteps;
    T* to = sums + (slice * blocks + b0) * kSize;
    __builtin_memset(to, 0, static_cast<size_t>((b1 - b0) * kSize) * sizeof(T));
    for (int64_t p = p0; p < p0 + run; ++p)
      add_rows<T, V, kSteps>(x + p * V, s.w + p * s.w_k, s.w_k, run, s.width, b0, b1, to);
    for (int64_t p = p0 + run * kSteps; p < p1; ++p)
      add_rows<T, V, 1>(x + p * V, s.w + p * s.w_k, s.w_k, 0, s.width, b0, b1, to);
    if (slices.count == 1) finish_blocks(s, sums, 1, b0, b1);
  });
  if (slices.count > 1)
    parallel_for(blocks, grain_for(kSize * slices.count), [&](int64_t begin, int64_t end) {
      finish_blocks(s, sums, slices.count, begin, end);
    });
}

template <class T, int V>
void spread(const Skinny<T>& s) {
  constexpr int64_t kSize = V * kBlock<T>, kBytes = kSize * static_cast<int64_t>(sizeof(T));
  const int64_t blocks = ceil_div(s.width, kBlock<T>);
  const Groups pieces = balanced(blocks, kSumBytes / kBytes);
  const int64_t cuts = smaller(kMostCuts, ceil_div(s.width * s.k * V, kChunkWork));
  const Groups slices = balanced(s.k, larger(32, ceil_div(s.k, ceil_div(cuts, pieces.count))));
  const bool as_is = V == 1 && s.x_k == 1;
  const int64_t size = slices.count * blocks * kSize + kLanes<T>;  // finish_tile reads on
  Scratch<T> scratch(size + (as_is ? 0 : V * s.k));
  T* x = scratch.get() + size;
  if (!as_is) pack_vectors(s, V, V, 1, x);
  spread<T, V>(s, pieces, slices, as_is ? s.x : x, scratch.get());
}

// sums[v * kMostDots + r * apart] = x_v . w_r for R rows of W, `apart` from each other, kUnroll
// vectors of k at a time.
template <class T, int V, int R>
DLCORE_INLINE void dots(int64_t k, const T* x, int64_t x_row, const T* w, int64_t w_row,
                        int64_t apart, T* sums) {
  constexpr int kUnroll = V * R >= 8 ? 1 : V * R >= 4 ? 2 : 4;  // 8 sums hide the latency
  Vec<T> sum[kUnroll][R][V] = {};
  const int64_t step = w_row * apart;
  int64_t p = 0;
  for (; p + kUnroll * kLanes<T> <= k; p += kUnroll * kLanes<T>)
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      Vec<T> rows[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        rows[r] = load<T>(w + r * step + p + u * kLanes<T>);
        if constexpr (kFetches<V>) __builtin_prefetch(w + r * step + p + u * kLanes<T> + kAhead<T>);
      }
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
      for (int r = 0; r < R; ++r) sum[0][r][v] += left * load_part<T>(w + r * step + p, rest, T(0));
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      Vec<T> all = sum[0][r][v];
#pragma GCC unroll 4
      for (int u = 1; u < kUnroll; ++u) all += sum[u][r][v];
      sums[v * kMostDots + r * apart] = hsum<T>(all);
    }
}

// The same with the vectors side by side: x is packed, [k][kWide vectors], and meets one element of
// W at a time. For targets whose registers do not hold the sums of 5 vectors and more.
template <class T, int V, int R>
DLCORE_INLINE void side_dots(int64_t k, const T* x, const T* w, int64_t w_row, int64_t apart,
                             T* sums) {
  constexpr int kWide = static_cast<int>((V + kLanes<T> - 1) / kLanes<T>);
  constexpr int kUnroll = R * kWide > 6 ? 1 : 2;
  const int64_t step = w_row * apart;
  Vec<T> total[R][kWide] = {};
  for (int64_t p0 = 0; p0 < k; p0 += kDepth) {  // a lane's sum would gather too many roundings
    Vec<T> sum[kUnroll][R][kWide] = {};
    const auto add = [&](int64_t p, auto& to) {
      Vec<T> left[kWide];
#pragma GCC unroll 4
      for (int i = 0; i < kWide; ++i) left[i] = load<T>(x + (p * kWide + i) * kLanes<T>);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int i = 0; i < kWide; ++i) to[r][i] += left[i] * splat<T>(w[r * step + p]);
    };
    const int64_t end = smaller(p0 + kDepth, k);
    int64_t p = p0;
    for (; p + kUnroll <= end; p += kUnroll)
#pragma GCC unroll 2
      for (int u = 0; u < kUnroll; ++u) add(p + u, sum[u]);
    if (p < end) add(p, sum[0]);
#pragma GCC unroll 2
    for (int u = 0; u < kUnroll; ++u)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int i = 0; i < kWide; ++i) total[r][i] += sum[u][r][i];
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      sums[v * kMostDots + r * apart] = total[r][v / kLanes<T>][v % kLanes<T>];
}

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool kManyRegisters = true;
#else
constexpr bool kManyRegisters = false;
#endif

template <class T, int V>
constexpr bool kSideBySide = V > 4 && !kManyRegisters;

// The results of `rows` rows of W, at most kMostDots.
template <class T, int V>
DLCORE_INLINE void dot_rows(const Skinny<T>& s, const T* x, int64_t x_row, const T* w, int64_t rows,
                            T* sums) {
  if constexpr (kSideBySide<T, V>) {
    constexpr int R = V <= 2 * kLanes<T> ? 6 : 3;
    const int64_t run = rows / R;
    for (int64_t r = 0; r < run; ++r)
      side_dots<T, V, R>(s.k, x, w + r * s.w_width, s.w_width, run, sums + r);
    for (int64_t r = run * R; r < rows; ++r)
      side_dots<T, V, 1>(s.k, x, w + r * s.w_width, s.w_width, 0, sums + r);
  } else {
    constexpr int R = kManyRegisters ? (V <= 4 ? 4 : 3) : V <= 2 ? 4 : 3;  // 24 sums at most, or 12
    const int64_t run = rows / R;
    for (int64_t r = 0; r < run; ++r)
      dots<T, V, R>(s.k, x, x_row, w + r * s.w_width, s.w_width, run, sums + r);
    for (int64_t r = run * R; r < rows; ++r)
      dots<T, V, 1>(s.k, x, x_row, w + r * s.w_width, s.w_width, 0, sums + r);
  }
}

template <class T, int V>
void dots(const Skinny<T>& s) {
  constexpr bool kSide = kSideBySide<T, V>;
  const bool as_is = V == 1 && s.x_k == 1;
  // Rows a multiple of 1 KiB apart would crowd into few sets of L1.
  const int64_t row = round_up(s.k, kLineElements<T>) + kLineElements<T>;
  const int64_t wide = round_up(V, kLanes<T>);
  Scratch<T> packed(as_is ? 0 : kSide ? wide * s.k : V * row);
  if (!as_is) pack_vectors(s, kSide ? wide : V, kSide ? wide : 1, kSide ? 1 : row, packed.get());
  const T* x = as_is ? s.x : packed.get();
  const int64_t grain =
      larger(ceil_div(s.width, kMostCuts), round_up(ceil_div(kChunkWork, s.k * V), 12));
  parallel_for(s.width, grain, [&](int64_t begin, int64_t end) {
    for (int64_t w0 = begin; w0 < end; w0 += kMostDots) {
      alignas(64) T sums[V * kMostDots];
      const int64_t rows = smaller(kMostDots, end - w0);
      dot_rows<T, V>(s, x, row, s.w + w0 * s.w_width, rows, sums);
      finish_vectors(s, sums, kMostDots, w0, rows);
    }
  });
}

template <class T, int V = kMostVectors>
void skinny(const Product<T>& g) {
  const Skinny<T> s = as_skinny(g);
  if (s.vectors != V) {
    if constexpr (V > 1) skinny<T, V - 1>(g);
    return;
  }
  if (s.w_k == 1)
    dots<T, V>(s);
  else
    spread<T, V>(s);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
