// Recurrent layers backward, when the gradients of all steps' sums are there: those of x and of the
// weights, one product each. h and c before each step are gathered again: keeping them would take
// longer.
#pragma once

#include "cpu/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One direction while it runs. `before` and `after` are meant in the order of forward.
template <class T>
struct Backward {
  const Rnn<T>* r;
  const RnnGradients<T>* wanted;
  int64_t direction;
  Rows<const T> y, dy, gates, cells, h0, c0;
  Rows<T> bias;       // (groups of sequences, columns * hidden): sums of `sums`
  Rows<T> sums;       // (rows, columns * hidden): gradients of what went into the gates
  Rows<T> dh, dc;     // (batch, ...): of h and c after the step in hand; at the end of h0 and c0
  Rows<T> inner;      // (batch, hidden): what a step's second product gives
  Rows<T> projected;  // (rows, outputs): gradients of h, with a projection
  Rows<T> h;          // (rows, hidden): h before its projection
  Factor<T> first, second;

  const RnnWeights<const T>& weights() const { return r->weights[direction]; }
};

// Of a row of sums: where those begin that x went into.
template <class T>
DLCORE_INLINE int64_t input_column(const Rnn<T>& r) {
  return r.cell == RnnCell::gru ? r.hidden : 0;
}

template <class T>
DLCORE_INLINE bool projects(const Backward<T>& run) {
  return run.weights().hr;
}

// The state before each row's step, n of it.
template <class T>
void states_before(const Backward<T>& run, Rows<const T> all, Rows<const T> initial, int64_t n,
                   Rows<T> to) {
  const Rnn<T>& r = *run.r;
  parallel_for(r.steps, grain_for(r.batch * n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Step now = step_of(r, run.direction, i), earlier = step_of(r, run.direction, i - 1);
      for (int64_t b = 0; b < now.count; ++b)
        copy_or_zero<T>(state_before(earlier, b, all, initial), to.at(now.first + b), n);
    }
  });
}

// to[u] = the sum over the rows of f(row, u, lanes), in slices: a chain over all rows would gather
// too many roundings.
template <class T, class F>
DLCORE_INLINE void column_sums(int64_t rows, int64_t n, T* to, const F& f) {
  constexpr int64_t kSlice = 256, kWide = 8;  // vectors: half a KiB of each row at a time
  parallel_for(n, kWide * kLanes<T>, [&](int64_t begin, int64_t end) {
    const int64_t count = ceil_div(end - begin, kLanes<T>);
    Vec<T> total[kWide] = {};
    for (int64_t row0 = 0; row0 < rows; row0 += kSlice) {
      Vec<T> part[kWide] = {};
      for (int64_t row = row0; row < smaller(row0 + kSlice, rows); ++row)
        for (int64_t v = 0; v < count; ++v) {
          const int64_t u = begin + v * kLanes<T>;
          part[v] += f(row, u, smaller(kLanes<T>, end - u));
        }
      for (int64_t v = 0; v < count; ++v) total[v] += part[v];
    }
    for (int64_t v = 0; v < count; ++v) {
      const int64_t u = begin + v * kLanes<T>;
      store_part<T>(to + u, smaller(kLanes<T>, end - u), total[v]);
    }
  });
}

template <class T>
void bias_gradients(const Backward<T>& run, const RnnWeights<T>& to) {
  const Rnn<T>& r = *run.r;
  const int64_t n = rnn_gates(r.cell) * r.hidden, from_x = input_column(r);
  const auto sum = [&](int64_t column, int64_t count, T* db) {
    for (int64_t i = 0; i < count; ++i) {
      db[i] = run.bias.p[column + i];
      for (int64_t g = 1; g < groups_of(r).count; ++g) db[i] += run.bias.at(g)[column + i];
    }
  };
  if (to.ih_bias) sum(from_x, n, to.ih_bias);
  if (!to.hh_bias) return;
  sum(from_x, n, to.hh_bias);
  if (r.cell == RnnCell::gru) sum(0, r.hidden, to.hh_bias + 2 * r.hidden);
}

template <class T>
void state_weight_gradients(const Backward<T>& run, T* dw) {
  const Rnn<T>& r = *run.r;
  const int64_t n = r.hidden, rows = r.rows(), outs = r.outputs;
  const bool gru = r.cell == RnnCell::gru, reset_first = r.cell == RnnCell::gru_reset_first;
  Scratch scratch(rows * outs * static_cast<int64_t>(sizeof(T)));
  T* before = scratch.take<T>(rows * outs);
  states_before<T>(run, run.y, run.h0, outs, {before, outs});
  const auto multiply = [&](int64_t column, int64_t gate, int64_t gates) {
    product<T>(gates * n, outs, rows, run.sums.p + column, 1, run.sums.row, before, outs, 1,
               dw + gate * n * outs, outs, false, nullptr, r.bf16);
  };
  if (gru) {
    multiply(n, 0, 2);
    multiply(0, 2, 1);
  } else if (reset_first) {
    multiply(0, 0, 2);
    parallel_for(rows, grain_for(n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        map_inputs<T>(
            before + row * n, n, false, [](Vec<T> h, Vec<T> reset) { return h * reset; },
            Each<T>{before + row * n}, Each<T>{run.gates.at(row)});
    });
    multiply(2 * n, 2, 1);
  } else {
    multiply(0, 0, rnn_gates(r.cell));
  }
}

template <class T>
__attribute__((noinline)) void copy_rows(Rows<const T> from, Rows<T> to, int64_t rows, int64_t n) {
  parallel_for(rows, grain_for(n), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) copy_or_zero<T>(from.at(r), to.at(r), n);
  });
}

// Both weights' gradients as one product, of x beside h: to pack the gradients of the gates, which
// are wider than both, a second time took 0.7 of 31 ms.
template <class T>
void joint_weight_gradients(const Backward<T>& run, const RnnWeights<T>& to) {
  const Rnn<T>& r = *run.r;
  const int64_t n = rnn_gates(r.cell) * r.hidden, rows = r.rows();
  const int64_t both = r.inputs + r.outputs, width = spread_row<T>(both);
  Scratch scratch((rows + n) * width * static_cast<int64_t>(sizeof(T)));
  const Rows<T> beside = {scratch.take<T>(rows * width), width};
  const Rows<T> sums = {scratch.take<T>(n * width), width};
  copy_rows<T>({r.x, r.inputs}, beside, rows, r.inputs);
  states_before<T>(run, run.y, run.h0, r.outputs, {beside.p + r.inputs, width});
  product<T>(n, both, rows, run.sums.p, 1, run.sums.row, beside.p, width, 1, sums.p, width, false,
             nullptr, r.bf16);
  copy_rows<T>({sums.p, width}, {to.ih, r.inputs}, n, r.inputs);
  copy_rows<T>({sums.p + r.inputs, width}, {to.hh, r.outputs}, n, r.outputs);
}

template <class T>
void peephole_gradients(const Backward<T>& run, T* dp) {
  const Rnn<T>& r = *run.r;
  const int64_t n = r.hidden, rows = r.rows();
  Scratch scratch(rows * n * static_cast<int64_t>(sizeof(T)));
  T* before = scratch.take<T>(rows * n);
  states_before<T>(run, run.cells, run.c0, n, {before, n});
  const auto sum = [&](int64_t gate, Rows<const T> c, T* to) {
    column_sums<T>(rows, n, to, [&](int64_t row, int64_t u, int64_t lanes) {
      return read<T>(run.sums.at(row) + gate * n + u, lanes) * read(c.at(row) + u, lanes);
    });
  };
  sum(0, {before, n}, dp);
  sum(1, {before, n}, dp + n);
  sum(3, run.cells, dp + 2 * n);
}

template <class T>
void weight_gradients(const Backward<T>& run) {
  const Rnn<T>& r = *run.r;
  const RnnGradients<T>& g = *run.wanted;
  const RnnWeights<T>& to = g.weights[run.direction];
  const int64_t n = rnn_gates(r.cell) * r.hidden, rows = r.rows(), ins = r.inputs;
  const T* sums = run.sums.p + input_column(r);
  if (g.dx)
    product<T>(rows, ins, n, sums, run.sums.row, 1, run.weights().ih, ins, 1, g.dx, ins,
               run.direction > 0, nullptr, r.bf16);
  const bool one_left = r.cell != RnnCell::gru && r.cell != RnnCell::gru_reset_first;
  if (to.ih && to.hh && one_left && ins + r.outputs <= rows / 2) {
    joint_weight_gradients<T>(run, to);
  } else {
    if (to.ih)
      product<T>(n, ins, rows, sums, 1, run.sums.row, r.x, ins, 1, to.ih, ins, false, nullptr,
                 r.bf16);
    if (to.hh) state_weight_gradients<T>(run, to.hh);
  }
  if (to.hr)
    product<T>(r.outputs, r.hidden, rows, run.projected.p, 1, run.projected.row, run.h.p, run.h.row,
               1, to.hr, r.hidden, false, nullptr, r.bf16);
  bias_gradients<T>(run, to);
  if (to.peephole) peephole_gradients<T>(run, to.peephole);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
