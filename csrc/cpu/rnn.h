// What forward and backward of recurrent layers share: the recurrent product, and who computes
// what.
//
// The units of a step are cut into blocks as wide as the register tile. The recurrent weights are
// packed once: a block's panels of all gates lie together, so that the pointwise part finds all it
// needs in L1, and the pool gives a block to the same core at every step, whose L2 keeps its
// panels. One fork-join to a step, two where a step has two products (a projection, a reset gate
// that comes first). Directions of a layer run side by side.
#pragma once

#include "cpu/gemm_pack.h"
#include "cpu/scratch.h"
#include "cpu/simd_activation.h"
#include "kernels/gemm.h"
#include "kernels/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {

// One product, not empty. In gemm.cpp.
void gemm_with_row_bias(const Gemm<float>& g, const float* row_bias);
void gemm_with_row_bias(const Gemm<double>& g, const double* row_bias);

namespace {

// C = A B + beta C + bias of any matrices whose rows or columns are contiguous.
template <class T>
__attribute__((noinline)) void product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row,
                                       int64_t a_col, const T* b, int64_t b_row, int64_t b_col,
                                       T* c, int64_t c_row, bool add, const T* bias = nullptr,
                                       bool bf16 = false) {
  if (m == 0 || n == 0) return;
  Gemm<T> g{};
  g.bf16 = bf16;
  g.m = m, g.n = n, g.k = k;
  g.a = a, g.a_row = a_row, g.a_col = a_col;
  g.b = b, g.b_row = b_row, g.b_col = b_col;
  g.c = c, g.c_row = c_row;
  g.alpha = T(1), g.beta = T(add);
  g.bias = bias;
  g.batch = 1;
  gemm_with_row_bias(g, nullptr);
}

// A row whose distance from the next is an odd number of lines: rows a power of 2 apart would share
// a few sets of L1.
template <class T>
DLCORE_INLINE int64_t spread_row(int64_t n) {
  return (ceil_div(n, kLineElements<T>) | 1) * kLineElements<T>;
}

template <class T>
DLCORE_INLINE void copy_or_zero(const T* from, T* to, int64_t n) {
  if (from)
    memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  else
    memset(to, 0, static_cast<size_t>(n) * sizeof(T));
}

// What rounding to whole lines may add to a few arrays.
template <class T>
constexpr int64_t kRoundings = 32 * kLineElements<T>;

template <class T>
DLCORE_INLINE Vec<T> read(const T* p, int64_t lanes) {
  return load_part<T>(p, lanes, T(0));
}
template <class T>
DLCORE_INLINE Vec<T> read_or_zero(const T* p, int64_t lanes) {
  return p ? load_part<T>(p, lanes, T(0)) : Vec<T>{};
}

// W of a recurrent product: element (k, u) of gate g is w[g * gate_step + k * k_step + u * u_step],
// k counted from row `turn` on, and around.
template <class T>
struct Factor {
  const T* w;
  int64_t gates, units, depth;
  int64_t gate_step, k_step, u_step;
  int64_t turn = 0;
  T* panels = nullptr;  // packed; null where one step is all there is

  DLCORE_INLINE_MEMBER int64_t blocks() const { return ceil_div(units, kTileCols<T>); }
  DLCORE_INLINE_MEMBER T* panel(int64_t block, int64_t gate) const {
    return panels + (block * gates + gate) * b_panel_size<T>(depth);
  }
  DLCORE_INLINE_MEMBER int64_t size() const { return blocks() * gates * b_panel_size<T>(depth); }
};

template <class T>
__attribute__((noinline)) void pack(const Factor<T>& f) {
  parallel_for(f.blocks() * f.gates, grain_for(2 * f.depth * kTileCols<T>),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t block = i / f.gates, gate = i % f.gates;
                   const int64_t u = block * kTileCols<T>, n = smaller(kTileCols<T>, f.units - u);
                   const T* w = f.w + gate * f.gate_step + u * f.u_step;
                   T* panel = f.panel(block, gate);
                   const int64_t head = f.depth - f.turn;
                   pack_b_panel<T>(head, n, w + f.turn * f.k_step, f.k_step, f.u_step, panel);
                   if (f.turn)
                     pack_b_panel<T>(f.turn, n, w, f.k_step, f.u_step, panel + head * kTileCols<T>);
                 }
               });
}

// Rows of a matrix: (count, any), `row` elements apart.
template <class T>
struct Rows {
  T* p;
  int64_t row;
  DLCORE_INLINE_MEMBER T* at(int64_t r) const { return p + r * row; }
};

constexpr int64_t kSumDepth = 384;  // of a chain of multiply-adds

// c(r, u) = [added(r, u) +] a(r, :) . W(:, u) for m <= kTileRows rows and a block's units. c and
// added begin at the block; added may be c, or null.
template <class T>
__attribute__((noinline)) void multiply_tile(const Factor<T>& f, int64_t block, int64_t gate,
                                             int64_t m, Rows<const T> a, Rows<T> c,
                                             Rows<const T> added) {
  const int64_t n = smaller(kTileCols<T>, f.units - block * kTileCols<T>);
  const Groups slices = balanced(f.depth, kSumDepth);
  const T* panel = f.panel(block, gate);
  for (int64_t i = 0; i < slices.count; ++i) {
    const int64_t k = slices.begin(i), depth = slices.begin(i + 1) - k;
    const Rows<const T> sum = i == 0 ? added : Rows<const T>{c.p, c.row};
    run_tile(Operands::rows, m, n, depth, a.p + k, a.row, panel + k * kTileCols<T>, kTileCols<T>,
             {c.p, c.row, T(1), T(sum.p != nullptr), nullptr, 0, 0, nullptr, kLineElements<T>,
              sum.p, sum.row});
  }
}

constexpr int64_t kStreams = 4;

// One sequence alone: sums[s] = a[s] . (depth steps of the panel b[s]), some panels, or parts of
// one, at once. The tile's few sums would wait for each other: 32 bytes a cycle, half of what L2
// has.
template <class T, int kCount>
DLCORE_INLINE void multiply_streams(int64_t depth, const T* const* a, const T* const* b, T* sums) {
  constexpr int64_t kVectors = kTileVectors;
  Vec<T> sum[kCount][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 4
    for (int s = 0; s < kCount; ++s) {
      const Vec<T> left = splat<T>(a[s][k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[s][v] += left * load<T>(b[s] + (k * kVectors + v) * kLanes<T>);
    }
  for (int s = 0; s < kCount; ++s)
    for (int v = 0; v < kVectors; ++v) store<T>(sums + (s * kVectors + v) * kLanes<T>, sum[s][v]);
}

// c(u) = [added(u) +] a . W(:, u) for the units of a block and every gate; gate g's begin at
// c + g * kTileCols and added[g], which may be null. Whole vectors of c are written.
template <class T>
__attribute__((noinline)) void multiply_one(const Factor<T>& f, int64_t block, const T* a, T* c,
                                            const T* const* added) {
  const int64_t n = smaller(kTileCols<T>, f.units - block * kTileCols<T>);
  const int64_t parts = kStreams / f.gates, depth = f.depth / parts;
  alignas(64) T sums[(kStreams + 1) * kTileCols<T>];
  const T *left[kStreams], *panel[kStreams];
  for (int64_t s = 0; s < parts * f.gates; ++s) {
    const int64_t k = s % parts * depth;
    left[s] = a + k;
    panel[s] = f.panel(block, s / parts) + k * kTileCols<T>;
  }
  if (parts * f.gates == kStreams)
    multiply_streams<T, kStreams>(depth, left, panel, sums);
  else
    multiply_streams<T, kStreams - 1>(depth, left, panel, sums);
  const int64_t rest = f.depth - parts * depth;
  for (int64_t g = 0; g < f.gates; ++g)
    for (int64_t v = 0; v < kTileCols<T>; v += kLanes<T>) {
      Vec<T> sum = load<T>(sums + g * parts * kTileCols<T> + v);
      for (int64_t s = 1; s < parts; ++s) sum += load<T>(sums + (g * parts + s) * kTileCols<T> + v);
      for (int64_t k = f.depth - rest; k < f.depth; ++k)
        sum += splat<T>(a[k]) * load<T>(f.panel(block, g) + k * kTileCols<T> + v);
      if (added[g]) sum += load_part<T>(added[g] + v, larger(0, smaller(n - v, kLanes<T>)), T(0));
      store<T>(c + g * kTileCols<T> + v, sum);
    }
}

// The same as one product for all units of a gate, W read where it lies.
template <class T>
__attribute__((noinline)) void multiply_all(const Factor<T>& f, int64_t gate, int64_t m,
                                            Rows<const T> a, Rows<T> c, bool add) {
  const T* w = f.w + gate * f.gate_step;
  const int64_t head = f.depth - f.turn;
  product<T>(m, f.units, head, a.p, a.row, 1, w + f.turn * f.k_step, f.k_step, f.u_step, c.p, c.row,
             add);
  if (f.turn)
    product<T>(m, f.units, f.turn, a.p + head, a.row, 1, w, f.k_step, f.u_step, c.p, c.row, true);
}

constexpr int64_t kGroupRows = 4 * kTileRows;    // sequences that share a panel while it is in L1
constexpr int64_t kForkFrom = int64_t(1) << 18;  // multiply-adds of a step worth another thread
constexpr int64_t kMostPieces = 48;

template <class T>
DLCORE_INLINE Groups groups_of(const Rnn<T>& r) {
  return balanced(r.batch, kGroupRows);
}

// The thread's share that a piece belongs to: the pool shares out pieces evenly and in order.
struct Share {
  int64_t begin, end;
};
DLCORE_INLINE Share share_of(int64_t piece, int64_t pieces) {
  const int64_t threads = num_threads();
  Share share{0, 0};
  for (int64_t i = 1; i <= threads; ++i) {
    share = {share.end, pieces / threads * i + pieces % threads * i / threads};
    if (piece < share.end) break;
  }
  return share;
}

// What one call computes of a step: a block's units for the sequences [r0, r1).
struct Part {
  int64_t direction, block, group, r0, r1;
};

using PartFunction = void (*)(const void* context, const Part& part, const Part& next,
                              bool next_step);

template <class T>
__attribute__((noinline)) void run_blocks(const Rnn<T>& r, const Factor<T>& w, int64_t step,
                                          PartFunction f, const void* context) {
  const Groups groups = groups_of(r);
  const int64_t each = groups.count * w.blocks(), all = r.directions * each;
  const int64_t work = r.directions * r.batch * w.gates * w.units * w.depth;
  const int64_t grain = work < kForkFrom ? all : ceil_div(all, kMostPieces);
  const int64_t pieces = all ? ceil_div(all, grain) : 0;
  const int64_t forth = step % 2 == 0 ? 1 : -1;
  const auto part = [=](int64_t c) -> Part {
    const int64_t group = c % groups.count;
    return {c / each, c % each / groups.count, group, groups.begin(group), groups.begin(group + 1)};
  };
  parallel_for(pieces, 1, [&](int64_t piece, int64_t) {
    const Share share = share_of(piece, pieces);
    if (forth < 0) piece = share.begin + share.end - 1 - piece;
    const int64_t begin = piece * grain, end = smaller(begin + grain, all);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = forth > 0 ? i : begin + end - 1 - i, next = c + forth;
      const bool last = next < share.begin * grain || next >= smaller(share.end * grain, all);
      f(context, part(c), part(last ? c : next), last);
    }
  });
}

// f(part, next, next_step) for all blocks of units and groups of sequences, in any order: every
// other step goes through a thread's blocks backwards, and finds in L2 what the step before read
// last. With 4 MiB of weights and 1 of L2 a step of one sequence takes a seventh less. `next` is
// what the thread is likely to compute next, of the step that follows with next_step.
template <class T, class F>
DLCORE_INLINE void for_blocks(const Rnn<T>& r, const Factor<T>& w, int64_t step, const F& f) {
  run_blocks<T>(
      r, w, step,
      [](const void* context, const Part& part, const Part& next, bool next_step) {
        (*static_cast<const F*>(context))(part, next, next_step);
      },
      &f);
}

// Whether a thread asks for what it computes next, a vector at a time, between the units of the
// part in hand: short runs far apart, which the hardware does not foresee. All of a part's at once
// bring half as much. For what the baseline set serves it is not worth its code.
template <class T>
constexpr bool kFetches = kIsFloat<T> && kVectorBytes > 16;

// The i-th step that a direction takes: sequences r < count are at rows first + r.
struct Step {
  int64_t count, first;
};
template <class T>
DLCORE_INLINE Step step_of(const Rnn<T>& r, int64_t direction, int64_t i) {
  if (i < 0 || i >= r.steps) return {0, 0};
  const int64_t t = direction ? r.steps - 1 - i : i;
  return {r.count(t), r.first[t]};
}

// Where a sequence's state before a step lies: in the rows of the step before, or, when that is its
// first step, in the initial state. Null for zeros.
template <class T>
DLCORE_INLINE const T* state_before(const Step& before, int64_t r, Rows<const T> all,
                                    Rows<const T> initial) {
  if (r < before.count) return all.at(before.first + r);
  return initial.p ? initial.at(r) : nullptr;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
