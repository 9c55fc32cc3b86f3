// Recurrent layers backward. From the last step to the first: the gradient of h comes from the
// result and from the step after, through one product with W_hh; the gates' gradients are made of
// it in the same launch. The gradients of x and of the weights are then one product each over all
// steps. tanh(c) is made again.

#include "cuda/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One direction while it runs. `before` and `after` are meant in the order of forward.
template <class T>
struct Backward {
  RnnWeights<const T> weights;
  RnnCell cell;
  T update;
  int64_t hidden, outputs;
  Rows<const T> y, dy, gates, cells, h0, c0;
  Rows<T> sums;       // (rows, columns * hidden): gradients of what went into the gates
  Rows<T> dh, dc;     // (batch, ...): of h and c after the step in hand; at the end of h0 and c0
  Rows<T> projected;  // (rows, outputs): gradients of h, with a projection
  Rows<T> h;          // (rows, hidden): h before its projection
};
template <class T>
struct Directions {
  Backward<T> run[2];
  Step later[2], now[2], earlier[2];
};

template <class T>
__device__ T before(const Step& earlier, int64_t b, int64_t u, Rows<const T> all,
                    Rows<const T> initial) {
  const T* const state = state_before(earlier, b, all, initial);
  return state ? state[u] : T(0);
}

template <class T>
__device__ T sigmoid_slope(T y) {
  return y * (T(1) - y);
}
template <class T>
__device__ T tanh_slope(T y) {
  return T(1) - y * y;
}

// What follows a product for row `row`, sequence b and unit u, from the gradient that it completes.

struct ElmanUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step&, int64_t row, int64_t, int64_t u,
                             T dh) {
    const T h = run.y.at(row)[u];
    const T slope = run.cell == RnnCell::relu ? (h > T(0) ? T(1) : T(0)) : tanh_slope(h);
    run.sums.at(row)[u] = dh * slope;
  }
};

struct LstmUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step& earlier, int64_t row, int64_t b,
                             int64_t u, T dh) {
    const int64_t n = run.hidden;
    const T *const gates = run.gates.at(row) + u, *const peephole = run.weights.peephole;
    const T in = gates[0], forget = gates[n], fresh = gates[2 * n], out = gates[3 * n];
    const T tanh_c = math::tanh(run.cells.at(row)[u]);
    const T c_before = before(earlier, b, u, run.cells, run.c0);
    const T d_out = dh * tanh_c * sigmoid_slope(out);
    T dc = run.dc.at(b)[u] + dh * out * tanh_slope(tanh_c);
    if (peephole) dc += d_out * peephole[2 * n + u];
    const T d_in = dc * fresh * sigmoid_slope(in);
    const T d_forget = dc * c_before * sigmoid_slope(forget);
    T* const sums = run.sums.at(row) + u;
    sums[0] = d_in;
    sums[n] = d_forget;
    sums[2 * n] = dc * in * tanh_slope(fresh);
    sums[3 * n] = d_out;
    dc *= forget;
    if (peephole) dc += d_in * peephole[u] + d_forget * peephole[n + u];
    run.dc.at(b)[u] = dc;
    if (run.h.p) run.h.at(row)[u] = out * tanh_c;
  }
};

struct ProjectedUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step&, int64_t row, int64_t, int64_t u,
                             T dh) {
    run.projected.at(row)[u] = dh;
  }
};

struct GruUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step& earlier, int64_t row, int64_t b,
                             int64_t u, T dh) {
    const int64_t n = run.hidden;
    const T* const gates = run.gates.at(row) + u;
    const T from_state = gates[0], reset = gates[n], update = gates[2 * n], fresh = gates[3 * n];
    const T h = before(earlier, b, u, run.y, run.h0);
    const T d_fresh = dh * (T(1) - update) * tanh_slope(fresh);
    T* const sums = run.sums.at(row) + u;
    sums[0] = d_fresh * reset;
    sums[n] = d_fresh * from_state * sigmoid_slope(reset);
    sums[2 * n] = dh * (h - fresh) * sigmoid_slope(update) * run.update;
    sums[3 * n] = d_fresh;
    run.dh.at(b)[u] = dh * update;
  }
};

// All but the reset gate, which waits for the second product.
struct ResetFirstUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step& earlier, int64_t row, int64_t b,
                             int64_t u, T dh) {
    const int64_t n = run.hidden;
    const T* const gates = run.gates.at(row) + u;
    const T update = gates[n], fresh = gates[2 * n];
    const T h = before(earlier, b, u, run.y, run.h0);
    T* const sums = run.sums.at(row) + u;
    sums[n] = dh * (h - fresh) * sigmoid_slope(update) * run.update;
    sums[2 * n] = dh * (T(1) - update) * tanh_slope(fresh);
    run.dh.at(b)[u] = dh * update;
  }
};

// `d` is the gradient of r h.
struct ResetUnits {
  template <class T>
  __device__ static void run(const Backward<T>& run, const Step& earlier, int64_t row, int64_t b,
                             int64_t u, T d) {
    const T reset = run.gates.at(row)[u];
    run.sums.at(row)[u] = d * before(earlier, b, u, run.y, run.h0) * sigmoid_slope(reset);
    run.dh.at(b)[u] += d * reset;
  }
};

// dh = dh of the step after, through W_hh, added where the units left something there; then `Units`
// of the step in hand. Of a gru the columns of the sums begin with its last gate.
template <class T, class Units>
__global__ void __launch_bounds__(kStepBlock, 4)
    first_kernel(const __grid_constant__ Directions<T> all, int64_t depth, int64_t turn,
                 bool adds) {
  const Backward<T>& run = all.run[blockIdx.z];
  const Step later = all.later[blockIdx.z], now = all.now[blockIdx.z];
  const int64_t units = run.outputs;
  T sum[1];
  multiply<T, 1, true>(
      later.count, units, depth,
      [&](int64_t b) -> const T* { return run.sums.at(later.first + b); },
      [&](int, int64_t u, int64_t k) {
        return run.weights.hh[(k < depth - turn ? k + turn : k - (depth - turn)) * units + u];
      },
      sum);
  const int64_t b = own_sequence(), u = own_unit();
  if (u >= units || b >= larger(later.count, now.count)) return;
  T* const at = run.dh.at(b) + u;
  T dh = *at;
  if (b < later.count) *at = dh = adds ? dh + sum[0] : sum[0];
  if (b >= now.count) return;
  if (run.dy.p) dh += run.dy.at(now.first + b)[u];
  Units::run(run, all.earlier[blockIdx.z], now.first + b, b, u, dh);
}

// A step's second product, with a projection or W_hn, and `Units` of it.
template <class T, class Units, bool kProjects>
__global__ void __launch_bounds__(kStepBlock, 4)
    second_kernel(const __grid_constant__ Directions<T> all, int64_t depth) {
  const Backward<T>& run = all.run[blockIdx.z];
  const Step now = all.now[blockIdx.z];
  const int64_t units = run.hidden;
  const T* const w = kProjects ? run.weights.hr : run.weights.hh + 2 * units * units;
  T sum[1];
  multiply<T, 1, true>(
      now.count, units, depth,
      [&](int64_t b) -> const T* {
        return kProjects ? run.projected.at(now.first + b) : run.sums.at(now.first + b) + 2 * units;
      },
      [&](int, int64_t u, int64_t k) { return w[k * units + u]; }, sum);
  const int64_t b = own_sequence(), u = own_unit();
  if (b < now.count && u < units)
    Units::run(run, all.earlier[blockIdx.z], now.first + b, b, u, sum[0]);
}

template <class Units, class T>
void first_stage(const Rnn<T>& r, const Directions<T>& all) {
  const bool gru = r.cell == RnnCell::gru, reset_first = r.cell == RnnCell::gru_reset_first;
  const int64_t depth = (reset_first ? 2 : rnn_gates(r.cell)) * r.hidden;
  int64_t most = 0;
  for (int64_t d = 0; d < r.directions; ++d)
    most = larger(most, larger(all.later[d].count, all.now[d].count));
  launch(first_kernel<T, Units>, step_size(r.outputs, most, r.directions), all, depth,
         gru ? 2 * r.hidden : 0, gru || reset_first);
}
template <class Units, bool kProjects, class T>
void second_stage(const Rnn<T>& r, const Directions<T>& all) {
  const int64_t most = larger(all.now[0].count, all.now[1].count);
  launch(second_kernel<T, Units, kProjects>, step_size(r.hidden, most, r.directions), all,
         kProjects ? r.outputs : r.hidden);
}

template <class T>
void run_step(const Rnn<T>& r, const Directions<T>& all) {
  switch (r.cell) {
    case RnnCell::tanh:
    case RnnCell::relu:
      return first_stage<ElmanUnits>(r, all);
    case RnnCell::lstm:
      if (!r.weights[0].hr) return first_stage<LstmUnits>(r, all);
      first_stage<ProjectedUnits>(r, all);
      return second_stage<LstmUnits, true>(r, all);
    case RnnCell::gru:
      return first_stage<GruUnits>(r, all);
    case RnnCell::gru_reset_first:
      first_stage<ResetFirstUnits>(r, all);
      return second_stage<ResetUnits, false>(r, all);
  }
}

// -- gradients of weights --

// The state before each row's step, n of it, times `factor` unless that is null.
template <class T>
__global__ void __launch_bounds__(kBlock)
    states_before_kernel(Step now, Step earlier, Rows<const T> all, Rows<const T> initial,
                         int64_t n, Rows<T> to) {
  for (int64_t i = grid_thread(); i < now.count * n; i += grid_threads()) {
    const int64_t b = i / n, u = i - b * n;
    to.at(now.first + b)[u] = before(earlier, b, u, all, initial);
  }
}
template <class T>
void states_before(const Rnn<T>& r, int64_t direction, Rows<const T> all, Rows<const T> initial,
                   int64_t n, T* to) {
  for (int64_t i = 0; i < r.steps; ++i) {
    const Step now = step_of(r, direction, i);
    launch(states_before_kernel<T>, Size{blocks_for(now.count * n, kBlock), kBlock}, now,
           step_of(r, direction, i - 1), all, initial, n, Rows<T>{to, n});
  }
}

// sums[share, c] of a(r, c), or of a(r, c) b(r, c) where b is not null.
template <class T>
__global__ void __launch_bounds__(kWarp* kTall)
    row_sums_kernel(Rows<const T> a, Rows<const T> b, int64_t rows, int64_t n, int64_t share,
                    T* sums) {
  const int64_t begin = blockIdx.y * share, end = smaller(begin + share, rows);
  sum_column(begin, end, n, sums + blockIdx.y * n,
             [&](int64_t r, int64_t c) { return b.p ? a.at(r)[c] * b.at(r)[c] : a.at(r)[c]; });
}
template <class T>
void row_sums(Rows<const T> a, Rows<const T> b, int64_t rows, int64_t n, T* to) {
  const int64_t share = larger(64, ceil_div(rows, 256));
  const int64_t shares = larger(1, ceil_div(rows, share));
  const Scratch<T> sums(shares * n);
  launch(row_sums_kernel<T>,
         Size{dim3(static_cast<unsigned>(ceil_div(n, kWarp)), static_cast<unsigned>(shares)),
              dim3(kWarp, kTall)},
         a, b, rows, n, share, sums);
  join_columns<T, 1>(sums, shares, n, {{to}});
}

template <class T>
Rows<const T> sums_from(const Backward<T>& run, int64_t column) {
  return {run.sums.p + column, run.sums.row};
}

template <class T>
void bias_gradients(const Rnn<T>& r, const Backward<T>& run, const RnnWeights<T>& to) {
  const int64_t n = rnn_gates(r.cell) * r.hidden, rows = r.rows();
  const bool gru = r.cell == RnnCell::gru;
  const auto all = sums_from(run, gru ? r.hidden : 0);
  if (to.ih_bias) row_sums<T>(all, {}, rows, n, to.ih_bias);
  if (!to.hh_bias) return;
  row_sums<T>(all, {}, rows, gru ? 2 * r.hidden : n, to.hh_bias);
  if (gru) row_sums<T>(sums_from(run, 0), {}, rows, r.hidden, to.hh_bias + 2 * r.hidden);
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    times_reset_kernel(T* h, Rows<const T> gates, int64_t rows, int64_t n) {
  for (int64_t i = grid_thread(); i < rows * n; i += grid_threads()) h[i] *= gates.at(i / n)[i % n];
}

template <class T>
void state_weight_gradients(const Rnn<T>& r, int64_t direction, const Backward<T>& run, T* dw) {
  const int64_t n = r.hidden, rows = r.rows(), outs = r.outputs;
  const Scratch<T> before(rows * outs);
  states_before<T>(r, direction, run.y, run.h0, outs, before);
  const auto multiply = [&](int64_t column, int64_t gate, int64_t gates) {
    product<T>(gates * n, outs, rows, run.sums.p + column, 1, run.sums.row, before, outs, 1,
               dw + gate * n * outs, outs, false);
  };
  if (r.cell == RnnCell::gru) {
    multiply(n, 0, 2);
    multiply(0, 2, 1);
  } else if (r.cell == RnnCell::gru_reset_first) {
    multiply(0, 0, 2);
    launch(times_reset_kernel<T>, Size{blocks_for(rows * n, kBlock), kBlock}, before, run.gates,
           rows, n);
    multiply(2 * n, 2, 1);
  } else {
    multiply(0, 0, rnn_gates(r.cell));
  }
}

template <class T>
void peephole_gradients(const Rnn<T>& r, int64_t direction, const Backward<T>& run, T* dp) {
  const int64_t n = r.hidden, rows = r.rows();
  const Scratch<T> room(rows * n);
  states_before<T>(r, direction, run.cells, run.c0, n, room);
  const Rows<const T> before{room, n};
  row_sums<T>(sums_from(run, 0), before, rows, n, dp);
  row_sums<T>(sums_from(run, n), before, rows, n, dp + n);
  row_sums<T>(sums_from(run, 3 * n), run.cells, rows, n, dp + 2 * n);
}

template <class T>
void weight_gradients(const Rnn<T>& r, int64_t direction, const Backward<T>& run,
                      const RnnGradients<T>& g) {
  const RnnWeights<T>& to = g.weights[direction];
  const int64_t n = rnn_gates(r.cell) * r.hidden, rows = r.rows(), ins = r.inputs;
  const T* const sums = run.sums.p + (r.cell == RnnCell::gru ? r.hidden : 0);
  if (g.dx)
    product<T>(rows, ins, n, sums, run.sums.row, 1, run.weights.ih, ins, 1, g.dx, ins,
               direction > 0);
  if (to.ih) product<T>(n, ins, rows, sums, 1, run.sums.row, r.x, ins, 1, to.ih, ins, false);
  if (to.hh) state_weight_gradients<T>(r, direction, run, to.hh);
  if (to.hr)
    product<T>(r.outputs, r.hidden, rows, run.projected.p, 1, run.projected.row, run.h.p, run.h.row,
               1, to.hr, r.hidden, false);
  bias_gradients<T>(r, run, to);
  if (to.peephole) peephole_gradients<T>(r, direction, run, to.peephole);
}

template <class T>
Backward<T> describe(const Rnn<T>& r, int64_t d, const T* y, const T* gates, const T* cells,
                     const RnnGradients<T>& g) {
  const int64_t columns = rnn_columns(r.cell) * r.hidden, rows = r.rows();
  const int64_t all = r.directions * r.outputs, states = r.batch * r.outputs;
  const int64_t inner = r.batch * r.hidden;
  Backward<T> run{};
  run.weights = r.weights[d];
  run.cell = r.cell;
  run.update = r.update;
  run.hidden = r.hidden;
  run.outputs = r.outputs;
  run.y = {y + d * r.outputs, all};
  run.dy = {g.dy ? g.dy + d * r.outputs : nullptr, all};
  if (gates) run.gates = {gates + d * rows * columns, columns};
  if (cells) run.cells = {cells + d * rows * r.hidden, r.hidden};
  run.h0 = {r.h0 ? r.h0 + d * states : nullptr, r.outputs};
  run.c0 = {r.c0 ? r.c0 + d * inner : nullptr, r.hidden};
  run.dh = {g.dh0 + d * states, r.outputs};
  copy_or_clear(g.dh_n ? g.dh_n + d * states : nullptr, run.dh.p, states);
  if (r.cell == RnnCell::lstm) {
    run.dc = {g.dc0 + d * inner, r.hidden};
    copy_or_clear(g.dc_n ? g.dc_n + d * inner : nullptr, run.dc.p, inner);
  }
  return run;
}

template <class T>
void rnn_backward(const Rnn<T>& r, const T* y, const T* gates, const T* cells,
                  const RnnGradients<T>& g) {
  const int64_t rows = r.rows(), columns = rnn_columns(r.cell) * r.hidden;
  const bool projects = r.weights[0].hr;
  const Scratch<T> sums(r.directions * rows * columns);
  const Scratch<T> projected(projects ? r.directions * rows * r.outputs : 0);
  const Scratch<T> h(projects ? r.directions * rows * r.hidden : 0);
  Directions<T> all{};
  for (int64_t d = 0; d < r.directions; ++d) {
    Backward<T>& run = all.run[d];
    run = describe(r, d, y, gates, cells, g);
    run.sums = {sums + d * rows * columns, columns};
    if (!projects) continue;
    run.projected = {projected + d * rows * r.outputs, r.outputs};
    run.h = {h + d * rows * r.hidden, r.hidden};
  }
  for (int64_t i = r.steps - 1; i >= -1; --i) {
    for (int64_t d = 0; d < r.directions; ++d) {
      all.later[d] = step_of(r, d, i + 1);
      all.now[d] = step_of(r, d, i);
      all.earlier[d] = step_of(r, d, i - 1);
    }
    run_step(r, all);
  }
  for (int64_t d = 0; d < r.directions; ++d) weight_gradients(r, d, all.run[d], g);
}

}  // namespace

DLCORE_CUDA_EXPORT(rnn_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
