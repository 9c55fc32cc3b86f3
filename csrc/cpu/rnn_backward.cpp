// Recurrent layers backward. From the last step to the first: the gradient of h comes from the
// result and from the step after, through one product with W_hh; the gates' gradients are made of
// it while it is in L1. The gradients of x and of the weights are then one product each over all
// steps (cpu/rnn_weights.h). tanh(c) is made again: reading it would take longer.

#include "cpu/rnn_weights.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// The gradient of h after the step in hand: what the step after left, and the result's.
template <class T>
DLCORE_INLINE Vec<T> gradient_of_state(const Backward<T>& run, const Step& s, int64_t row,
                                       int64_t u, int64_t lanes) {
  Vec<T> dh = read<T>(run.dh.at(row) + u, lanes);
  if (run.dy.p) dh += read(run.dy.at(s.first + row) + u, lanes);
  return dh;
}

template <class T>
DLCORE_INLINE Vec<T> before(const Step& s, int64_t row, int64_t u, int64_t lanes, Rows<const T> all,
                            Rows<const T> initial) {
  const T* state = state_before(s, row, all, initial);
  return read_or_zero(state ? state + u : nullptr, lanes);
}

template <class T>
DLCORE_INLINE Vec<T> sigmoid_slope(Vec<T> y) {
  return y * (T(1) - y);
}
template <class T>
DLCORE_INLINE Vec<T> tanh_slope(Vec<T> y) {
  return T(1) - y * y;
}

struct ElmanUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step&,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> dh) const {
    const Vec<T> h = read(run.y.at(s.first + row) + u, lanes);
    const Vec<T> slope =
        run.r->cell == RnnCell::relu ? (h > T(0) ? splat<T>(T(1)) : Vec<T>{}) : tanh_slope<T>(h);
    store_part<T>(run.sums.at(s.first + row) + u, lanes, dh * slope);
  }
};

struct LstmUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step& earlier,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> dh) const {
    const int64_t n = run.r->hidden;
    const T *gates = run.gates.at(s.first + row) + u, *peephole = run.weights().peephole;
    const Vec<T> in = read(gates, lanes), forget = read(gates + n, lanes);
    const Vec<T> fresh = read(gates + 2 * n, lanes), out = read(gates + 3 * n, lanes);
    const Vec<T> c = read(run.cells.at(s.first + row) + u, lanes);
    const Vec<T> c_before = before<T>(earlier, row, u, lanes, run.cells, run.c0);
    T* dc_at = run.dc.at(row) + u;
    const Vec<T> tanh_c = tanh<T>(c);
    const Vec<T> d_out = dh * tanh_c * sigmoid_slope<T>(out);
    Vec<T> dc = read<T>(dc_at, lanes) + dh * out * tanh_slope<T>(tanh_c);
    if (peephole) dc += d_out * read(peephole + 2 * n + u, lanes);
    const Vec<T> d_in = dc * fresh * sigmoid_slope<T>(in);
    const Vec<T> d_forget = dc * c_before * sigmoid_slope<T>(forget);
    const Vec<T> d_fresh = dc * in * tanh_slope<T>(fresh);
    dc *= forget;
    if (peephole) dc += d_in * read(peephole + u, lanes) + d_forget * read(peephole + n + u, lanes);
    store_part<T>(dc_at, lanes, dc);
    T* sums = run.sums.at(s.first + row) + u;
    store_part<T>(sums, lanes, d_in);
    store_part<T>(sums + n, lanes, d_forget);
    store_part<T>(sums + 2 * n, lanes, d_fresh);
    store_part<T>(sums + 3 * n, lanes, d_out);
    if (run.h.p) store_part<T>(run.h.at(s.first + row) + u, lanes, out * tanh_c);
  }
};

struct GruUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step& earlier,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> dh) const {
    const int64_t n = run.r->hidden;
    const T* gates = run.gates.at(s.first + row) + u;
    const Vec<T> from_state = read(gates, lanes), reset = read(gates + n, lanes);
    const Vec<T> update = read(gates + 2 * n, lanes), fresh = read(gates + 3 * n, lanes);
    const Vec<T> h = before<T>(earlier, row, u, lanes, run.y, run.h0);
    const Vec<T> d_fresh = dh * (T(1) - update) * tanh_slope<T>(fresh);
    T* sums = run.sums.at(s.first + row) + u;
    store_part<T>(sums, lanes, d_fresh * reset);
    store_part<T>(sums + n, lanes, d_fresh * from_state * sigmoid_slope<T>(reset));
    store_part<T>(sums + 2 * n, lanes, dh * (h - fresh) * sigmoid_slope<T>(update) * run.r->update);
    store_part<T>(sums + 3 * n, lanes, d_fresh);
    store_part<T>(run.dh.at(row) + u, lanes, dh * update);
  }
};

// All but the reset gate, which waits for the second product.
struct ResetFirstUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step& earlier,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> dh) const {
    const int64_t n = run.r->hidden;
    const T* gates = run.gates.at(s.first + row) + u;
    const Vec<T> update = read(gates + n, lanes), fresh = read(gates + 2 * n, lanes);
    const Vec<T> h = before<T>(earlier, row, u, lanes, run.y, run.h0);
    T* sums = run.sums.at(s.first + row) + u;
    store_part<T>(sums + n, lanes, dh * (h - fresh) * sigmoid_slope<T>(update) * run.r->update);
    store_part<T>(sums + 2 * n, lanes, dh * (T(1) - update) * tanh_slope<T>(fresh));
    store_part<T>(run.dh.at(row) + u, lanes, dh * update);
  }
};

// `d` is the gradient of r h.
struct ResetUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step& earlier,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> d) const {
    const Vec<T> reset = read(run.gates.at(s.first + row) + u, lanes);
    const Vec<T> h = before<T>(earlier, row, u, lanes, run.y, run.h0);
    store_part<T>(run.sums.at(s.first + row) + u, lanes, d * h * sigmoid_slope<T>(reset));
    T* dh = run.dh.at(row) + u;
    store_part<T>(dh, lanes, read<T>(dh, lanes) + d * reset);
  }
};

struct ProjectedUnits {
  template <class T>
  DLCORE_INLINE_MEMBER void operator()(const Backward<T>& run, const Step& s, const Step&,
                                       int64_t row, int64_t u, int64_t lanes, Vec<T> dh) const {
    store_part<T>(run.projected.at(s.first + row) + u, lanes, dh);
  }
};

// c = [c +] a W for at most kTileRows sequences and a block's units.
template <class T>
__attribute__((noinline)) void multiply(const Factor<T>& w, int64_t block, int64_t begin,
                                        int64_t end, Rows<const T> a, Rows<T> c, bool add) {
  if (end <= begin) return;
  const int64_t u0 = block * kTileCols<T>;
  T* to = c.at(begin) + u0;
  if (end - begin == 1) {
    alignas(64) T one[kTileCols<T>];
    const T* const added[] = {add ? to : nullptr};
    multiply_one<T>(w, block, a.at(begin), one, added);
    for (int64_t v = 0; v < smaller(kTileCols<T>, w.units - u0); ++v) to[v] = one[v];
    return;
  }
  multiply_tile<T>(w, block, 0, end - begin, {a.at(begin), a.row}, {to, c.row},
                   {add ? to : nullptr, c.row});
}

// f(r, u, lanes) for the units of a block and sequences [r0, r1).
template <class T, class F>
DLCORE_INLINE void each_unit(int64_t units, int64_t block, int64_t r0, int64_t r1, const F& f) {
  const int64_t u0 = block * kTileCols<T>, u1 = smaller(u0 + kTileCols<T>, units);
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t u = u0; u < u1; u += kLanes<T>) f(r, u, smaller(kLanes<T>, u1 - u));
}

// f(begin, end) for the sequences [r0, r1), a tile's rows at a time.
template <class F>
DLCORE_INLINE void each_part(int64_t r0, int64_t r1, const F& f) {
  const Groups parts = balanced(larger(r1 - r0, 0), kTileRows);
  for (int64_t i = 0; i < parts.count; ++i) f(r0 + parts.begin(i), r0 + parts.begin(i + 1));
}

template <class T>
DLCORE_INLINE Rows<const T> rows_of(Rows<T> rows, int64_t first, int64_t column = 0) {
  return {rows.p + first * rows.row + column, rows.row};
}

// What the thread computes next.
template <class T>
struct Later {
  const Backward<T>* run;
  Step now, earlier;
  int64_t rows, units;  // from the part in hand to that one

  __attribute__((noinline)) void fetch(int64_t r, int64_t u) const {
    __asm__ volatile("");  // else GCC takes this for a function that does nothing
    const auto line = [](const T* p) { __builtin_prefetch(p); };
    r += rows, u += units;
    if (r >= now.count) return;
    const int64_t n = run->r->hidden;
    for (int64_t c = 0; c < rnn_columns(run->r->cell); ++c) {
      if (run->gates.p) line(run->gates.at(now.first + r) + c * n + u);
      line(run->sums.at(now.first + r) + c * n + u);
    }
    if (run->dy.p) line(run->dy.at(now.first + r) + u);
    if (run->cells.p) line(run->cells.at(now.first + r) + u);
    if (r < earlier.count) line((run->cells.p ? run->cells : run->y).at(earlier.first + r) + u);
  }
};

template <class T>
__attribute__((noinline)) Later<T> later(const Rnn<T>& r, const Backward<T>* runs, int64_t i,
                                         const Part& part, const Part& next) {
  return {&runs[next.direction], step_of(r, next.direction, i), step_of(r, next.direction, i - 1),
          next.r0 - part.r0, (next.block - part.block) * kTileCols<T>};
}

// Adds what the units of a step left to the sums for the biases.
template <class T>
__attribute__((noinline)) void add_up(const Backward<T>& run, const Step& now, int64_t block,
                                      int64_t group, int64_t r0, int64_t r1) {
  const int64_t n = run.r->hidden, u0 = block * kTileCols<T>, u1 = smaller(u0 + kTileCols<T>, n);
  for (int64_t c = 0; c < rnn_columns(run.r->cell) * n; c += n)
    for (int64_t u = c + u0; u < c + u1; u += kLanes<T>) {
      const int64_t lanes = smaller(kLanes<T>, c + u1 - u);
      T* bias = run.bias.at(group) + u;
      Vec<T> sum = read<T>(bias, lanes);
      for (int64_t r = r0; r < r1; ++r) sum += read<T>(run.sums.at(now.first + r) + u, lanes);
      store_part<T>(bias, lanes, sum);
    }
}

// dh = dh of the step after, through W_hh; then `units` of step i, when that is not -1.
template <class T, class F>
DLCORE_INLINE void first_stage(const Rnn<T>& r, const Backward<T>* runs, int64_t i,
                               const F& units) {
  const bool adds = r.cell == RnnCell::gru || r.cell == RnnCell::gru_reset_first;
  for (int64_t d = 0; d < r.directions && !runs[0].first.panels; ++d) {
    const Step later = step_of(r, d, i + 1);
    multiply_all<T>(runs[d].first, 0, later.count, rows_of(runs[d].sums, later.first), runs[d].dh,
                    adds);
  }
  for_blocks(r, runs[0].first, i, [&](const Part& part, const Part& next, bool next_step) {
    const int64_t d = part.direction;
    const Backward<T>& run = runs[d];
    const Step after = step_of(r, d, i + 1), now = step_of(r, d, i), earlier = step_of(r, d, i - 1);
    Later<T> coming{};
    if constexpr (kFetches<T>) coming = later(r, runs, i - next_step, part, next);
    each_part(part.r0, part.r1, [&](int64_t begin, int64_t end) {
      if (run.first.panels)
        multiply<T>(run.first, part.block, begin, smaller(end, after.count),
                    rows_of(run.sums, after.first), run.dh, adds);
      each_unit<T>(r.outputs, part.block, begin, smaller(end, now.count),
                   [&](int64_t row, int64_t u, int64_t lanes) {
                     if constexpr (kFetches<T>) coming.fetch(row, u);
                     units(run, now, earlier, row, u, lanes,
                           gradient_of_state(run, now, row, u, lanes));
                   });
    });
    if (run.second.units == 0)
      add_up(run, now, part.block, part.group, part.r0, smaller(part.r1, now.count));
  });
}

// The second product of step i, of `operand`'s rows, and `units` of it.
template <class T, class Operand, class F>
DLCORE_INLINE void second_stage(const Rnn<T>& r, const Backward<T>* runs, int64_t i,
                                const Operand& operand, const F& units) {
  for (int64_t d = 0; d < r.directions && !runs[0].second.panels; ++d) {
    const Step now = step_of(r, d, i);
    multiply_all<T>(runs[d].second, 0, now.count, operand(runs[d], now), runs[d].inner, false);
  }
  for_blocks(r, runs[0].second, i, [&](const Part& part, const Part&, bool) {
    const Backward<T>& run = runs[part.direction];
    const Step now = step_of(r, part.direction, i), earlier = step_of(r, part.direction, i - 1);
    const int64_t r1 = smaller(part.r1, now.count);
    each_part(part.r0, r1, [&](int64_t begin, int64_t end) {
      if (run.second.panels)
        multiply<T>(run.second, part.block, begin, end, operand(run, now), run.inner, false);
      each_unit<T>(r.hidden, part.block, begin, end, [&](int64_t row, int64_t u, int64_t lanes) {
        units(run, now, earlier, row, u, lanes, read<T>(run.inner.at(row) + u, lanes));
      });
    });
    add_up(run, now, part.block, part.group, part.r0, r1);
  });
}

template <class T>
void run_steps(const Rnn<T>& r, const Backward<T>* runs) {
  const auto each = [&](const auto& units) {
    for (int64_t i = r.steps - 1; i >= -1; --i) first_stage(r, runs, i, units);
  };
  const auto each_with_second = [&](const auto& units, const auto& operand, const auto& second) {
    for (int64_t i = r.steps - 1; i >= -1; --i) {
      first_stage(r, runs, i, units);
      if (i >= 0) second_stage(r, runs, i, operand, second);
    }
  };
  switch (r.cell) {
    case RnnCell::tanh:
    case RnnCell::relu:
      return each(ElmanUnits{});
    case RnnCell::gru:
      return each(GruUnits{});
    case RnnCell::gru_reset_first:
      return each_with_second(
          ResetFirstUnits{},
          [](const Backward<T>& run, const Step& s) {
            return rows_of(run.sums, s.first, 2 * run.r->hidden);
          },
          ResetUnits{});
    case RnnCell::lstm:
      if (!projects(runs[0])) return each(LstmUnits{});
      return each_with_second(
          ProjectedUnits{},
          [](const Backward<T>& run, const Step& s) { return rows_of(run.projected, s.first); },
          LstmUnits{});
  }
}

template <class T>
void describe(const Rnn<T>& r, int64_t d, const T* y, const T* gates, const T* cells,
              const RnnGradients<T>& g, Backward<T>& run) {
  const int64_t columns = rnn_columns(r.cell) * r.hidden, rows = r.rows();
  const int64_t all = r.directions * r.outputs, states = r.batch * r.outputs;
  const int64_t inner = r.batch * r.hidden;
  run.r = &r;
  run.wanted = &g;
  run.direction = d;
  run.y = {y + d * r.outputs, all};
  run.dy = {g.dy ? g.dy + d * r.outputs : nullptr, all};
  if (gates) run.gates = {gates + d * rows * columns, columns};
  if (cells) run.cells = {cells + d * rows * r.hidden, r.hidden};
  run.h0 = {r.h0 ? r.h0 + d * states : nullptr, r.outputs};
  run.c0 = {r.c0 ? r.c0 + d * inner : nullptr, r.hidden};
  run.dh = {g.dh0 + d * states, r.outputs};
  copy_or_zero<T>(g.dh_n ? g.dh_n + d * states : nullptr, run.dh.p, states);
  if (r.cell == RnnCell::lstm) {
    run.dc = {g.dc0 + d * inner, r.hidden};
    copy_or_zero<T>(g.dc_n ? g.dc_n + d * inner : nullptr, run.dc.p, inner);
  }
  const RnnWeights<const T>& w = r.weights[d];
  const int64_t n = r.hidden;
  run.first = {w.hh, 1, r.outputs, rnn_gates(r.cell) * n, 0, r.outputs, 1};
  if (r.cell == RnnCell::gru) run.first.turn = 2 * n;  // as the columns of the sums
  if (r.cell == RnnCell::gru_reset_first) {
    run.first.depth = 2 * n;
    run.second = {w.hh + 2 * n * n, 1, n, n, 0, n, 1};
  }
  if (w.hr) run.second = {w.hr, 1, n, r.outputs, 0, n, 1};
}

template <class T>
void rnn_backward(const Rnn<T>& r, const T* y, const T* gates, const T* cells,
                  const RnnGradients<T>& g) {
  const int64_t rows = r.rows(), sums_row = spread_row<T>(rnn_columns(r.cell) * r.hidden);
  const int64_t inner_row = spread_row<T>(r.hidden), projected_row = spread_row<T>(r.outputs);
  const int64_t biases = larger(1, groups_of(r).count) * sums_row;
  const bool packs = r.steps > 1;
  Backward<T> runs[2] = {};
  int64_t size = 0;
  for (int64_t d = 0; d < r.directions; ++d) {
    describe(r, d, y, gates, cells, g, runs[d]);
    size += rows * sums_row + biases;
    if (runs[d].second.units) size += r.batch * inner_row;
    if (projects(runs[d])) size += rows * (projected_row + inner_row);
    if (packs) size += runs[d].first.size() + runs[d].second.size();
  }
  Scratch scratch((size + kRoundings<T>)*static_cast<int64_t>(sizeof(T)));
  for (int64_t d = 0; d < r.directions; ++d) {
    Backward<T>& run = runs[d];
    run.sums = {scratch.take<T>(rows * sums_row), sums_row};
    run.bias = {scratch.take<T>(biases), sums_row};
    copy_or_zero<T>(nullptr, run.bias.p, biases);
    if (run.second.units) run.inner = {scratch.take<T>(r.batch * inner_row), inner_row};
    if (projects(run)) {
      run.projected = {scratch.take<T>(rows * projected_row), projected_row};
      run.h = {scratch.take<T>(rows * inner_row), inner_row};
    }
    Factor<T>* const factors[] = {&run.first, &run.second};
    for (Factor<T>* f : factors) {
      if (!packs || f->units == 0) continue;
      f->panels = scratch.take<T>(f->size());
      pack(*f);
    }
  }
  run_steps(r, runs);
  for (int64_t d = 0; d < r.directions; ++d) weight_gradients(runs[d]);
}

}  // namespace

DLCORE_EXPORT(rnn_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
