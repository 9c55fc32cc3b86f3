// Recurrent layers forward: Elman's (tanh, relu), LSTM (Hochreiter and Schmidhuber 1997, with the
// forget gate of Gers et al. 2000; peepholes and projection after Sak et al. 2014) and GRU (Cho et
// al. 2014). x W_ih^T is one product for all steps; each step adds h W_hh^T tile by tile and goes
// on with the gates while they are in L1 (cpu/rnn.h). Bound by multiply-adds from some 16 sequences
// up, where the gates of an LSTM take a fifth of a step; with one, by reading W_hh at every step.

#include "cpu/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One direction while it runs.
template <class T>
struct Forward {
  const Rnn<T>* r;
  int64_t direction;
  bool keep;         // what backward needs
  Rows<T> gates;     // (rows, columns * hidden): x W_ih^T + bias, then what rnn.h says
  Rows<T> cells;     // (rows, hidden)
  Rows<T> state[2];  // (batch, outputs): h before and after a step, which then change places
  Rows<T> cell;      // (batch, hidden): c
  Rows<T> inner;     // (batch, hidden): what a step's second product reads
  Rows<T> y;         // (rows, outputs)
  Factor<T> first, second;

  const RnnWeights<const T>& weights() const { return r->weights[direction]; }
};

// Where a gate's sum is in a row of `gates`, and whether x W_ih^T lies there to be added to.
struct Sum {
  int64_t column;
  bool adds;
};

// f(r, u, lanes, sums) for the units of a block and sequences [r0, r1) of a step: sums[g] has those
// of gate g from unit u on. `a` are all sequences' rows, `gates` the step's.
template <class T, int kGates, class F>
DLCORE_INLINE void for_units(const Factor<T>& w, int64_t block, int64_t r0, int64_t r1,
                             Rows<const T> a, Rows<T> gates, const Sum (&sum)[kGates], const F& f) {
  constexpr int64_t kWide = kGates * kTileCols<T>;
  const int64_t u0 = block * kTileCols<T>, n = smaller(kTileCols<T>, w.units - u0);
  alignas(64) T tile[kTileRows * kWide];
  const Groups parts = balanced(larger(r1 - r0, 0), kTileRows);
  for (int64_t part = 0; part < parts.count; ++part) {
    const int64_t begin = r0 + parts.begin(part), end = r0 + parts.begin(part + 1);
    const T* added[kGates];
    for (int g = 0; g < kGates; ++g)
      added[g] = sum[g].adds ? gates.at(begin) + sum[g].column + u0 : nullptr;
    if (w.panels && end - begin == 1)
      multiply_one<T>(w, block, a.at(begin), tile, added);
    else if (w.panels)
      for (int g = 0; g < kGates; ++g)
        multiply_tile<T>(w, block, g, end - begin, {a.at(begin), a.row},
                         {tile + g * kTileCols<T>, kWide}, {added[g], gates.row});
    for (int64_t r = begin; r < end; ++r)
      for (int64_t v = 0; v < n; v += kLanes<T>) {
        const T* sums[kGates];
        for (int g = 0; g < kGates; ++g)
          sums[g] = w.panels ? tile + (r - begin) * kWide + g * kTileCols<T> + v
                             : gates.at(r) + sum[g].column + u0 + v;
        f(r, u0 + v, smaller(kLanes<T>, n - v), sums);
      }
  }
}

// What one product of a step reads and where its sums go when W is not packed.
template <class T>
struct Place {
  Factor<T> Forward<T>::* factor;
  Rows<T> Forward<T>::* sums;
  bool inner;  // reads `inner` instead of the state

  DLCORE_INLINE_MEMBER Rows<const T> operand(const Forward<T>& run, int64_t i) const {
    const Rows<T>& rows = inner ? run.inner : run.state[i % 2];
    return {rows.p, rows.row};
  }
};

template <class T>
DLCORE_INLINE Rows<T> from(Rows<T> rows, int64_t first) {
  return {rows.at(first), rows.row};
}

// Without panels: the sums of all units of a step.
template <class T>
__attribute__((noinline)) void sum_up(const Rnn<T>& r, const Forward<T>* runs, int64_t i,
                                      const Place<T>& place, const Sum* sum, int gates) {
  if ((runs[0].*place.factor).panels) return;
  for (int64_t d = 0; d < r.directions; ++d) {
    const Step s = step_of(r, d, i);
    const Rows<T> to = from(runs[d].*place.sums, s.first);
    for (int g = 0; g < gates; ++g)
      multiply_all<T>(runs[d].*place.factor, g, s.count, place.operand(runs[d], i),
                      {to.p + sum[g].column, to.row}, sum[g].adds);
  }
}

// What the thread computes next.
template <class T>
struct Later {
  const Forward<T>* run;
  Step now;
  int64_t rows, units;  // from the part in hand to that one

  __attribute__((noinline)) void fetch(int64_t r, int64_t u) const {
    __asm__ volatile("");  // else GCC takes this for a function that does nothing
    const auto line = [](const T* p) { __builtin_prefetch(p); };
    r += rows, u += units;
    if (r >= now.count) return;
    const int64_t n = run->r->hidden;
    for (int64_t c = 0; c < rnn_columns(run->r->cell); ++c)
      line(run->gates.at(now.first + r) + c * n + u);
    if (run->cells.p) line(run->cells.at(now.first + r) + u);
    line(run->y.at(now.first + r) + u);
  }
};

template <class T>
__attribute__((noinline)) Later<T> later(const Rnn<T>& r, const Forward<T>* runs, int64_t i,
                                         const Part& part, const Part& next) {
  return {&runs[next.direction], step_of(r, next.direction, i), next.r0 - part.r0,
          (next.block - part.block) * kTileCols<T>};
}

// A product and what follows it, for all sequences of a step: f(run, step, r, u, lanes, sums).
template <class T, int kGates, class F>
DLCORE_INLINE void stage(const Rnn<T>& r, const Forward<T>* runs, int64_t i, const Place<T>& place,
                         const Sum (&sum)[kGates], const F& f) {
  sum_up<T>(r, runs, i, place, sum, kGates);
  for_blocks(r, runs[0].*place.factor, i, [&](const Part& part, const Part& next, bool next_step) {
    const Forward<T>& run = runs[part.direction];
    const Step s = step_of(r, part.direction, i);
    Later<T> coming{};
    if constexpr (kFetches<T>) coming = later(r, runs, i + next_step, part, next);
    for_units<T>(run.*place.factor, part.block, part.r0, smaller(part.r1, s.count),
                 place.operand(run, i), from(run.*place.sums, s.first), sum,
                 [&](int64_t row, int64_t u, int64_t lanes, const T* const(&sums)[kGates]) {
                   if constexpr (kFetches<T>) coming.fetch(row, u);
                   f(run, s, row, u, lanes, sums);
                 });
  });
}

template <class T>
constexpr Place<T> kFirst{&Forward<T>::first, &Forward<T>::gates, false};

// h of a sequence: for the next step, and the result.
template <class T>
DLCORE_INLINE void put_state(const Forward<T>& run, const Step& s, int64_t i, int64_t r, int64_t u,
                             int64_t lanes, Vec<T> h) {
  store_part<T>(run.state[(i + 1) % 2].at(r) + u, lanes, h);
  store_part<T>(run.y.at(s.first + r) + u, lanes, h);
}

// h = f(sum)
template <class T>
__attribute__((noinline)) void elman_step(const Rnn<T>& r, const Forward<T>* runs, int64_t i) {
  const bool relus = r.cell == RnnCell::relu;
  stage<T, 1>(r, runs, i, kFirst<T>, {{0, true}},
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[1]) {
                const Vec<T> sum = read(sums[0], lanes);
                put_state<T>(run, s, i, row, u, lanes, relus ? relu<T>(sum) : tanh<T>(sum));
              });
}

// i, f, o = sigmoid(sums + peepholes), g = tanh(sum), c = f c + i g, h = o tanh(c)
template <class T>
DLCORE_INLINE void lstm_units(const Forward<T>& run, const Step& s, int64_t row, int64_t u,
                              int64_t lanes, const T* const (&sums)[4], Vec<T>& h) {
  const int64_t hidden = run.r->hidden;
  const T* peephole = run.weights().peephole;
  T* cell = run.cell.at(row) + u;
  Vec<T> c = read(cell, lanes);
  Vec<T> in = read(sums[0], lanes), forget = read(sums[1], lanes), out = read(sums[3], lanes);
  if (peephole) {
    in += c * read(peephole + u, lanes);
    forget += c * read(peephole + hidden + u, lanes);
  }
  in = sigmoid<T>(in);
  forget = sigmoid<T>(forget);
  const Vec<T> fresh = tanh<T>(read(sums[2], lanes));
  c = forget * c + in * fresh;
  if (peephole) out += c * read(peephole + 2 * hidden + u, lanes);
  out = sigmoid<T>(out);
  store_part<T>(cell, lanes, c);
  if (run.keep) {
    T* gates = run.gates.at(s.first + row) + u;
    store_part<T>(gates, lanes, in);
    store_part<T>(gates + hidden, lanes, forget);
    store_part<T>(gates + 2 * hidden, lanes, fresh);
    store_part<T>(gates + 3 * hidden, lanes, out);
    store_part<T>(run.cells.at(s.first + row) + u, lanes, c);
  }
  h = out * tanh<T>(c);
}

template <class T>
__attribute__((noinline)) void lstm_step(const Rnn<T>& r, const Forward<T>* runs, int64_t i) {
  const int64_t n = r.hidden;
  const Sum sum[4] = {{0, true}, {n, true}, {2 * n, true}, {3 * n, true}};
  const bool projects = runs[0].weights().hr;
  stage<T, 4>(r, runs, i, kFirst<T>, sum,
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[4]) {
                Vec<T> h;
                lstm_units<T>(run, s, row, u, lanes, sums, h);
                if (projects)
                  store_part<T>(run.inner.at(row) + u, lanes, h);
                else
                  put_state<T>(run, s, i, row, u, lanes, h);
              });
  if (!projects) return;
  stage<T, 1>(r, runs, i, Place<T>{&Forward<T>::second, &Forward<T>::y, true}, {{0, false}},
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[1]) {
                put_state<T>(run, s, i, row, u, lanes, read(sums[0], lanes));
              });
}

// r, z = sigmoid(sums), n = tanh(x W_in^T + r (h W_hn^T + b_hn)), h = n + z (h - n)
template <class T>
__attribute__((noinline)) void gru_step(const Rnn<T>& r, const Forward<T>* runs, int64_t i) {
  const int64_t n = r.hidden;
  const Sum sum[3] = {{n, true}, {2 * n, true}, {0, false}};
  stage<T, 3>(r, runs, i, kFirst<T>, sum,
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[3]) {
                T* gates = run.gates.at(s.first + row) + u;
                const T* bias = run.weights().hh_bias;
                const Vec<T> reset = sigmoid<T>(read(sums[0], lanes));
                const Vec<T> update = sigmoid<T>(read(sums[1], lanes) * r.update);
                const Vec<T> from_state =
                    read(sums[2], lanes) + read_or_zero(bias ? bias + 2 * n + u : nullptr, lanes);
                const Vec<T> fresh = tanh<T>(read(gates + 3 * n, lanes) + reset * from_state);
                const Vec<T> h = read<T>(run.state[i % 2].at(row) + u, lanes);
                if (run.keep) {
                  store_part<T>(gates, lanes, from_state);
                  store_part<T>(gates + n, lanes, reset);
                  store_part<T>(gates + 2 * n, lanes, update);
                  store_part<T>(gates + 3 * n, lanes, fresh);
                }
                put_state<T>(run, s, i, row, u, lanes, fresh + update * (h - fresh));
              });
}

// r, z = sigmoid(sums), n = tanh(x W_in^T + (r h) W_hn^T), h = n + z (h - n)
template <class T>
__attribute__((noinline)) void reset_first_step(const Rnn<T>& r, const Forward<T>* runs,
                                                int64_t i) {
  const int64_t n = r.hidden;
  const Sum sum[2] = {{0, true}, {n, true}};
  stage<T, 2>(r, runs, i, kFirst<T>, sum,
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[2]) {
                T* gates = run.gates.at(s.first + row) + u;
                const Vec<T> reset = sigmoid<T>(read(sums[0], lanes));
                store_part<T>(gates + n, lanes, sigmoid<T>(read(sums[1], lanes) * r.update));
                store_part<T>(gates, lanes, reset);
                const Vec<T> h = read<T>(run.state[i % 2].at(row) + u, lanes);
                store_part<T>(run.inner.at(row) + u, lanes, reset * h);
              });
  stage<T, 1>(r, runs, i, Place<T>{&Forward<T>::second, &Forward<T>::gates, true}, {{2 * n, true}},
              [=](const Forward<T>& run, const Step& s, int64_t row, int64_t u, int64_t lanes,
                  const T* const(&sums)[1]) {
                T* gates = run.gates.at(s.first + row) + u;
                const Vec<T> fresh = tanh<T>(read(sums[0], lanes)), update = read(gates + n, lanes);
                const Vec<T> h = read<T>(run.state[i % 2].at(row) + u, lanes);
                store_part<T>(gates + 2 * n, lanes, fresh);
                put_state<T>(run, s, i, row, u, lanes, fresh + update * (h - fresh));
              });
}

// x W_ih^T and the biases that may be added to it.
template <class T>
__attribute__((noinline)) void inputs_of_all_steps(const Rnn<T>& r, const Forward<T>& run) {
  const RnnWeights<const T>& w = run.weights();
  const int64_t n = rnn_gates(r.cell) * r.hidden;
  const int64_t both = r.cell == RnnCell::gru ? 2 * r.hidden : n;  // b_hn is not for here
  Scratch scratch(n * static_cast<int64_t>(sizeof(T)));
  T* bias = w.ih_bias ? scratch.take<T>(n) : nullptr;
  for (int64_t i = 0; bias && i < n; ++i) bias[i] = w.ih_bias[i] + (i < both ? w.hh_bias[i] : T(0));
  product<T>(r.rows(), n, r.inputs, r.x, r.inputs, 1, w.ih, 1, r.inputs,
             run.gates.p + run.gates.row - n, run.gates.row, false, bias, r.bf16);
}

// h after each sequence's last step.
template <class T>
__attribute__((noinline)) void last_states(const Forward<T>& run, T* h_n) {
  const Rnn<T>& r = *run.r;
  const T* h0 = r.h0 ? r.h0 + run.direction * r.batch * r.outputs : nullptr;
  for (int64_t t = 0; t < r.steps; ++t)
    for (int64_t b = t + 1 < r.steps ? r.count(t + 1) : 0; b < r.count(t); ++b)
      copy_or_zero<T>(run.y.at(run.direction ? b : r.first[t] + b), h_n + b * r.outputs, r.outputs);
  for (int64_t b = r.steps ? r.count(0) : 0; b < r.batch; ++b)
    copy_or_zero<T>(h0 ? h0 + b * r.outputs : nullptr, h_n + b * r.outputs, r.outputs);
}

template <class T>
void run_steps(const Rnn<T>& r, const Forward<T>* runs) {
  for (int64_t i = 0; i < r.steps; ++i) switch (r.cell) {
      case RnnCell::tanh:
      case RnnCell::relu:
        elman_step(r, runs, i);
        break;
      case RnnCell::lstm:
        lstm_step(r, runs, i);
        break;
      case RnnCell::gru:
        gru_step(r, runs, i);
        break;
      case RnnCell::gru_reset_first:
        reset_first_step(r, runs, i);
        break;
    }
}

template <class T>
void rnn_forward(const Rnn<T>& r, T* y, T* h_n, T* c_n, T* gates, T* cells) {
  const bool lstm = r.cell == RnnCell::lstm, first_reset = r.cell == RnnCell::gru_reset_first;
  const int64_t columns = rnn_columns(r.cell) * r.hidden, rows = r.rows();
  const int64_t state_row = spread_row<T>(r.outputs), inner_row = spread_row<T>(r.hidden);
  const int64_t first_gates = rnn_gates(r.cell) - first_reset;
  const bool packs = r.steps > 1;
  Forward<T> runs[2] = {};
  int64_t size = 0;
  for (int64_t d = 0; d < r.directions; ++d) {
    Forward<T>& run = runs[d];
    run.r = &r;
    run.direction = d;
    run.keep = gates != nullptr;
    const RnnWeights<const T>& w = r.weights[d];
    const int64_t gate = r.hidden * r.outputs;
    run.first = {w.hh, first_gates, r.hidden, r.outputs, gate, 1, r.outputs};
    if (w.hr) run.second = {w.hr, 1, r.outputs, r.hidden, 0, 1, r.hidden};
    if (first_reset) run.second = {w.hh + 2 * gate, 1, r.hidden, r.hidden, 0, 1, r.hidden};
    size += 2 * r.batch * state_row + r.batch * inner_row + (gates ? 0 : rows * columns);
    if (packs) size += run.first.size() + run.second.size();
  }
  Scratch scratch((size + kRoundings<T>)*static_cast<int64_t>(sizeof(T)));
  for (int64_t d = 0; d < r.directions; ++d) {
    Forward<T>& run = runs[d];
    const int64_t states = r.batch * r.outputs;
    run.gates = {gates ? gates + d * rows * columns : scratch.take<T>(rows * columns), columns};
    if (cells) run.cells = {cells + d * rows * r.hidden, r.hidden};
    for (Rows<T>& state : run.state) {
      state = {scratch.take<T>(r.batch * state_row), state_row};
      for (int64_t b = 0; b < r.batch; ++b)
        copy_or_zero<T>(r.h0 ? r.h0 + d * states + b * r.outputs : nullptr, state.at(b), r.outputs);
    }
    run.inner = {scratch.take<T>(r.batch * inner_row), inner_row};
    run.y = {y + d * r.outputs, r.directions * r.outputs};
    if (lstm) {
      const int64_t at = d * r.batch * r.hidden;
      run.cell = {c_n + at, r.hidden};
      copy_or_zero<T>(r.c0 ? r.c0 + at : nullptr, run.cell.p, r.batch * r.hidden);
    }
    inputs_of_all_steps(r, run);
    Factor<T>* const factors[] = {&run.first, &run.second};
    for (Factor<T>* f : factors) {
      if (!packs || f->units == 0) continue;
      f->panels = scratch.take<T>(f->size());
      pack(*f);
    }
  }
  run_steps(r, runs);
  for (int64_t d = 0; d < r.directions; ++d) last_states(runs[d], h_n + d * r.batch * r.outputs);
}

}  // namespace

DLCORE_EXPORT(rnn_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
