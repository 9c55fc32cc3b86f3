// Recurrent layers forward: Elman's (tanh, relu), LSTM (Hochreiter and Schmidhuber 1997, with the
// forget gate of Gers et al. 2000; peepholes and projection after Sak et al. 2014) and GRU (Cho et
// al. 2014). x W_ih^T is one product for all steps; then a launch to a step, two where a step has
// two products (a projection, a reset gate that comes first): h W_hh^T of some sequences and units
// of all gates in a block, which goes on with the gates. Directions of a layer run side by side.

#include <type_traits>

#include "cuda/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One direction while it runs.
template <class T>
struct Forward {
  RnnWeights<const T> weights;
  T update;
  int64_t hidden, outputs;
  bool keeps;        // what backward needs
  Rows<T> gates;     // (rows, columns * hidden): x W_ih^T + bias, then what rnn.h says
  Rows<T> cells;     // (rows, hidden)
  Rows<T> y;         // (rows, outputs)
  Rows<const T> h0;  // (batch, outputs), or null
  Rows<T> h_n, c_n;  // (batch, ...): h and c after each sequence's last step so far
  Rows<T> inner;     // (batch, hidden): what a step's second product reads
};
template <class T>
struct Directions {
  Forward<T> run[2];
  Step now[2], earlier[2];
};

template <class T>
__device__ const T* before(const Forward<T>& run, const Step& earlier, int64_t b) {
  return state_before<T>(earlier, b, {run.y.p, run.y.row}, run.h0);
}
template <class T>
__device__ T state_of(const Forward<T>& run, const Step& earlier, int64_t b, int64_t u) {
  const T* const h = before(run, earlier, b);
  return h ? h[u] : T(0);
}
template <class T>
__device__ void put_state(const Forward<T>& run, int64_t row, int64_t b, int64_t u, T h) {
  run.y.at(row)[u] = h;
  run.h_n.at(b)[u] = h;
}

// A stage is a product and what follows it. Weights of gate g are (units, depth) from weights(run,
// g) on; finish(run, step before, row, sequence, unit, sums).

// h = f(sum)
template <bool kRelu>
struct ElmanStage {
  static constexpr int kGates = 1;
  static constexpr bool kInner = false;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int) {
    return run.weights.hh;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step&, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[1]) {
    const T sum = sums[0] + run.gates.at(row)[u];
    put_state(run, row, b, u, !kRelu ? math::tanh(sum) : sum < T(0) ? T(0) : sum);
  }
};

// i, f, o = sigmoid(sums + peepholes), g = tanh(sum), c = f c + i g, h = o tanh(c)
template <bool kProjects>
struct LstmStage {
  static constexpr int kGates = 4;
  static constexpr bool kInner = false;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int gate) {
    return run.weights.hh + gate * run.hidden * run.outputs;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step&, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[4]) {
    const int64_t n = run.hidden;
    const T* const peephole = run.weights.peephole;
    T* const gates = run.gates.at(row) + u;
    T* const cell = run.c_n.at(b) + u;
    T c = *cell, in = sums[0] + gates[0], forget = sums[1] + gates[n];
    T out = sums[3] + gates[3 * n];
    if (peephole) {
      in += c * peephole[u];
      forget += c * peephole[n + u];
    }
    in = math::sigmoid(in);
    forget = math::sigmoid(forget);
    const T fresh = math::tanh(sums[2] + gates[2 * n]);
    c = forget * c + in * fresh;
    if (peephole) out += c * peephole[2 * n + u];
    out = math::sigmoid(out);
    *cell = c;
    if (run.keeps) {
      gates[0] = in;
      gates[n] = forget;
      gates[2 * n] = fresh;
      gates[3 * n] = out;
      run.cells.at(row)[u] = c;
    }
    const T h = out * math::tanh(c);
    if (kProjects)
      run.inner.at(b)[u] = h;
    else
      put_state(run, row, b, u, h);
  }
};
struct ProjectionStage {
  static constexpr int kGates = 1;
  static constexpr bool kInner = true;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int) {
    return run.weights.hr;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step&, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[1]) {
    put_state(run, row, b, u, sums[0]);
  }
};

// r, z = sigmoid(sums), n = tanh(x W_in^T + r (h W_hn^T + b_hn)), h = n + z (h - n)
struct GruStage {
  static constexpr int kGates = 3;
  static constexpr bool kInner = false;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int gate) {
    return run.weights.hh + gate * run.hidden * run.outputs;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step& earlier, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[3]) {
    const int64_t n = run.hidden;
    T* const gates = run.gates.at(row) + u;
    const T reset = math::sigmoid(sums[0] + gates[n]);
    const T update = math::sigmoid((sums[1] + gates[2 * n]) * run.update);
    const T bias = run.weights.hh_bias ? run.weights.hh_bias[2 * n + u] : T(0);
    const T from_state = sums[2] + bias;
    const T fresh = math::tanh(gates[3 * n] + reset * from_state);
    if (run.keeps) {
      gates[0] = from_state;
      gates[n] = reset;
      gates[2 * n] = update;
      gates[3 * n] = fresh;
    }
    put_state(run, row, b, u, fresh + update * (state_of(run, earlier, b, u) - fresh));
  }
};

// r, z = sigmoid(sums), n = tanh(x W_in^T + (r h) W_hn^T), h = n + z (h - n)
struct ResetStage {
  static constexpr int kGates = 2;
  static constexpr bool kInner = false;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int gate) {
    return run.weights.hh + gate * run.hidden * run.outputs;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step& earlier, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[2]) {
    const int64_t n = run.hidden;
    T* const gates = run.gates.at(row) + u;
    const T reset = math::sigmoid(sums[0] + gates[0]);
    gates[n] = math::sigmoid((sums[1] + gates[n]) * run.update);
    gates[0] = reset;
    run.inner.at(b)[u] = reset * state_of(run, earlier, b, u);
  }
};
struct AfterResetStage {
  static constexpr int kGates = 1;
  static constexpr bool kInner = true;
  template <class T>
  __device__ static const T* weights(const Forward<T>& run, int) {
    return run.weights.hh + 2 * run.hidden * run.outputs;
  }
  template <class T>
  __device__ static void finish(const Forward<T>& run, const Step& earlier, int64_t row, int64_t b,
                                int64_t u, const T (&sums)[1]) {
    const int64_t n = run.hidden;
    T* const gates = run.gates.at(row) + u;
    const T fresh = math::tanh(sums[0] + gates[2 * n]), update = gates[n];
    gates[2 * n] = fresh;
    put_state(run, row, b, u, fresh + update * (state_of(run, earlier, b, u) - fresh));
  }
};

template <class T, class Stage>
__global__ void __launch_bounds__(kStepBlock, 4)
    stage_kernel(const __grid_constant__ Directions<T> all, int64_t units, int64_t depth) {
  const Forward<T>& run = all.run[blockIdx.z];
  const Step now = all.now[blockIdx.z], earlier = all.earlier[blockIdx.z];
  T sums[Stage::kGates];
  multiply<T, Stage::kGates, false>(
      now.count, units, depth,
      [&](int64_t b) -> const T* {
        return Stage::kInner ? run.inner.at(b) : before(run, earlier, b);
      },
      [&](int g, int64_t u, int64_t k) { return Stage::weights(run, g)[u * depth + k]; }, sums);
  const int64_t b = own_sequence(), u = own_unit();
  if (b < now.count && u < units) Stage::finish(run, earlier, now.first + b, b, u, sums);
}

template <class Stage, class T>
void stage(const Rnn<T>& r, const Directions<T>& all) {
  const bool projection = std::is_same_v<Stage, ProjectionStage>;
  const int64_t units = projection ? r.outputs : r.hidden;
  const int64_t depth = Stage::kInner ? r.hidden : r.outputs;
  const int64_t most = larger(all.now[0].count, all.now[1].count);
  launch(stage_kernel<T, Stage>, step_size(units, most, r.directions), all, units, depth);
}

template <class T>
void run_step(const Rnn<T>& r, const Directions<T>& all) {
  switch (r.cell) {
    case RnnCell::tanh:
      return stage<ElmanStage<false>>(r, all);
    case RnnCell::relu:
      return stage<ElmanStage<true>>(r, all);
    case RnnCell::lstm:
      if (!r.weights[0].hr) return stage<LstmStage<false>>(r, all);
      stage<LstmStage<true>>(r, all);
      return stage<ProjectionStage>(r, all);
    case RnnCell::gru:
      return stage<GruStage>(r, all);
    case RnnCell::gru_reset_first:
      stage<ResetStage>(r, all);
      return stage<AfterResetStage>(r, all);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    add_biases_kernel(const T* a, const T* b, T* sum, int64_t n, int64_t both) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads())
    sum[i] = a[i] + (i < both ? b[i] : T(0));
}

// x W_ih^T and the biases that may be added to it.
template <class T>
void inputs_of_all_steps(const Rnn<T>& r, const Forward<T>& run) {
  const RnnWeights<const T>& w = run.weights;
  const int64_t n = rnn_gates(r.cell) * r.hidden;
  const int64_t both = r.cell == RnnCell::gru ? 2 * r.hidden : n;  // b_hn is not for here
  const Scratch<T> bias(n);
  if (w.ih_bias)
    launch(add_biases_kernel<T>, Size{blocks_for(n, kBlock), kBlock}, w.ih_bias, w.hh_bias, bias, n,
           both);
  product<T>(r.rows(), n, r.inputs, r.x, r.inputs, 1, w.ih, 1, r.inputs,
             run.gates.p + run.gates.row - n, run.gates.row, false,
             w.ih_bias ? static_cast<T*>(bias) : nullptr);
}

template <class T>
void rnn_forward(const Rnn<T>& r, T* y, T* h_n, T* c_n, T* gates, T* cells) {
  const int64_t columns = rnn_columns(r.cell) * r.hidden, rows = r.rows();
  const int64_t states = r.batch * r.outputs, inner = r.batch * r.hidden;
  const Scratch<T> own_gates(gates ? 0 : r.directions * rows * columns);
  const Scratch<T> room(r.directions * inner);
  Directions<T> all{};
  for (int64_t d = 0; d < r.directions; ++d) {
    Forward<T>& run = all.run[d];
    run.weights = r.weights[d];
    run.update = r.update;
    run.hidden = r.hidden;
    run.outputs = r.outputs;
    run.keeps = gates != nullptr;
    run.gates = {(gates ? gates : own_gates) + d * rows * columns, columns};
    if (cells) run.cells = {cells + d * rows * r.hidden, r.hidden};
    run.y = {y + d * r.outputs, r.directions * r.outputs};
    run.h0 = {r.h0 ? r.h0 + d * states : nullptr, r.outputs};
    run.h_n = {h_n + d * states, r.outputs};
    run.inner = {room + d * inner, r.hidden};
    copy_or_clear(run.h0.p, run.h_n.p, states);
    if (r.cell == RnnCell::lstm) {
      run.c_n = {c_n + d * inner, r.hidden};
      copy_or_clear(r.c0 ? r.c0 + d * inner : nullptr, run.c_n.p, inner);
    }
    inputs_of_all_steps(r, run);
  }
  for (int64_t i = 0; i < r.steps; ++i) {
    for (int64_t d = 0; d < r.directions; ++d) {
      all.now[d] = step_of(r, d, i);
      all.earlier[d] = step_of(r, d, i - 1);
    }
    run_step(r, all);
  }
}

}  // namespace

DLCORE_CUDA_EXPORT(rnn_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
