// Recurrent layers: the result against plain loops, the gradients against numbers that carry their
// derivative with them.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

// A number and its derivative by one input.
struct Dual {
  Wide v = 0, d = 0;
};
Dual operator+(Dual a, Dual b) {
  return {a.v + b.v, a.d + b.d};
}
Dual operator-(Dual a, Dual b) {
  return {a.v - b.v, a.d - b.d};
}
Dual operator*(Dual a, Dual b) {
  return {a.v * b.v, a.v * b.d + a.d * b.v};
}
Dual sigmoid(Dual a) {
  const Wide s = 1 / (1 + std::exp(-a.v));
  return {s, a.d * s * (1 - s)};
}
Dual tanh(Dual a) {
  const Wide t = std::tanh(a.v);
  return {t, a.d * (1 - t * t)};
}
Dual relu(Dual a) {
  return a.v > 0 ? a : Dual{};
}
const Dual kOne{1, 0};

using Duals = std::vector<Dual>;

struct Layer {
  RnnCell cell;
  int64_t batch, inputs, hidden, outputs, directions;
  bool peephole;
  int update;
  std::vector<int64_t> first;

  int64_t steps() const { return static_cast<int64_t>(first.size()) - 1; }
  int64_t rows() const { return first.back(); }
  bool projects() const { return outputs != hidden; }
  int64_t width() const { return directions * outputs; }
};

// x, h0, c0, then six weights to a direction: the sizes of all.
std::vector<int64_t> sizes_of(const Layer& l) {
  const int64_t n = rnn_gates(l.cell) * l.hidden;
  std::vector<int64_t> all = {l.rows() * l.inputs, l.directions * l.batch * l.outputs,
                              l.directions * l.batch * l.hidden};
  for (int64_t d = 0; d < l.directions; ++d)
    for (const int64_t size :
         {n * l.inputs, n * l.outputs, n, n, l.projects() ? l.outputs * l.hidden : 0,
          l.peephole ? 3 * l.hidden : 0})
      all.push_back(size);
  return all;
}

// h and c of one sequence after one step.
void step(const Layer& l, const Duals* w, const Dual* x, Dual* h, Dual* c) {
  const int64_t n = l.hidden, gates = rnn_gates(l.cell);
  Duals from_x(gates * n), from_h(gates * n), next(n);
  const auto product = [&](int64_t row, const Dual* state) {
    Dual sum = w[3][row];
    for (int64_t k = 0; k < l.outputs; ++k) sum = sum + w[1][row * l.outputs + k] * state[k];
    return sum;
  };
  for (int64_t row = 0; row < gates * n; ++row) {
    from_x[row] = w[2][row];
    for (int64_t k = 0; k < l.inputs; ++k)
      from_x[row] = from_x[row] + w[0][row * l.inputs + k] * x[k];
    from_h[row] = product(row, h);
  }
  Duals reset_h(l.outputs);
  for (int64_t u = 0; u < n && l.cell == RnnCell::gru_reset_first; ++u)
    reset_h[u] = sigmoid(from_x[u] + from_h[u]) * h[u];
  for (int64_t u = 0; u < n; ++u) {
    const auto sum = [&](int64_t g) { return from_x[g * n + u] + from_h[g * n + u]; };
    const auto peep = [&](int64_t g) { return l.peephole ? w[5][g * n + u] * c[u] : Dual{}; };
    if (l.cell == RnnCell::lstm) {
      const Dual in = sigmoid(sum(0) + peep(0)), forget = sigmoid(sum(1) + peep(1));
      c[u] = forget * c[u] + in * tanh(sum(2));
      next[u] = sigmoid(sum(3) + peep(2)) * tanh(c[u]);
    } else if (gates == 3) {
      const Dual update = sigmoid(sum(1) * Dual{static_cast<Wide>(l.update), 0});
      const Dual other = l.cell == RnnCell::gru ? sigmoid(sum(0)) * from_h[2 * n + u]
                                                : product(2 * n + u, reset_h.data());
      next[u] = (kOne - update) * tanh(from_x[2 * n + u] + other) + update * h[u];
    } else {
      next[u] = l.cell == RnnCell::tanh ? tanh(sum(0)) : relu(sum(0));
    }
  }
  for (int64_t u = 0; u < l.outputs; ++u) {
    h[u] = l.projects() ? Dual{} : next[u];
    for (int64_t k = 0; k < n && l.projects(); ++k) h[u] = h[u] + w[4][u * n + k] * next[k];
  }
}

// y, h_n, c_n.
std::vector<Duals> run(const Layer& l, const std::vector<Duals>& in) {
  std::vector<Duals> out = {Duals(l.rows() * l.width()), in[1], in[2]};
  for (int64_t d = 0; d < l.directions; ++d)
    for (int64_t i = 0; i < l.steps(); ++i) {
      const int64_t t = d ? l.steps() - 1 - i : i;
      for (int64_t row = l.first[t]; row < l.first[t + 1]; ++row) {
        const int64_t b = row - l.first[t];
        Dual* h = &out[1][(d * l.batch + b) * l.outputs];
        step(l, &in[3 + 6 * d], &in[0][row * l.inputs], h, &out[2][(d * l.batch + b) * l.hidden]);
        std::copy(h, h + l.outputs, &out[0][row * l.width() + d * l.outputs]);
      }
    }
  return out;
}

Expected values_of(const Duals& all) {
  Expected e;
  for (const Dual& a : all) e.push(a.v, 1 + std::fabs(a.v));
  return e;
}

template <class T>
void layer(const Layer& l, bool gradients) {
  std::vector<Values<T>> values;
  std::vector<Duals> in;
  for (const int64_t size : sizes_of(l)) {
    values.push_back(numbers<T>(size, -1, 1, 3 + static_cast<uint32_t>(values.size())));
    in.emplace_back();
    for (const T v : values.back()) in.back().push_back({static_cast<Wide>(v), 0});
  }
  Rnn<T> r{};
  r.cell = l.cell;
  r.update = static_cast<T>(l.update);
  r.steps = l.steps(), r.batch = l.batch, r.inputs = l.inputs, r.hidden = l.hidden;
  r.outputs = l.outputs, r.directions = l.directions;
  r.first = l.first.data();
  r.x = values[0].data(), r.h0 = values[1].data(), r.c0 = values[2].data();
  for (int64_t d = 0; d < l.directions; ++d) {
    const auto w = [&](int64_t i) {
      const Values<T>& v = values[3 + 6 * d + i];
      return v.empty() ? nullptr : v.data();
    };
    r.weights[d] = {w(0), w(1), w(2), w(3), w(4), w(5)};
  }
  const bool lstm = l.cell == RnnCell::lstm;
  std::vector<Duals> out = run(l, in);
  if (!lstm) out[2].clear();
  // Errors of a step reach all later ones.
  const double allowed = 4 * (chain(l.inputs) + chain(l.outputs)) + 8;
  std::vector<Want> wants;
  for (const Duals& one : out) wants.push_back({values_of(one), allowed});
  check<T>("rnn_forward", wants, [&](const KernelTable<T>& k, T* const* to) {
    k.rnn_forward(r, to[0], to[1], to[2], nullptr, nullptr);
  });
  if (!gradients) return;

  std::vector<Values<T>> d_out;
  for (const Duals& one : out)
    d_out.push_back(numbers<T>(static_cast<int64_t>(one.size()), -1, 1,
                               31 + static_cast<uint32_t>(d_out.size())));
  wants.clear();
  for (Duals& one : in) {
    Expected e(static_cast<int64_t>(one.size()));
    Wide largest = 0;
    for (int64_t i = 0; i < e.size(); ++i) {
      one[i].d = 1;
      const std::vector<Duals> y = run(l, in);
      one[i].d = 0;
      for (size_t j = 0; j < out.size(); ++j)
        for (size_t at = 0; at < out[j].size(); ++at) e.value[i] += y[j][at].d * d_out[j][at];
      largest = std::max(largest, std::fabs(e.value[i]));
    }
    std::fill(e.scale.begin(), e.scale.end(), largest);
    wants.push_back({e, 4 * allowed});
  }
  if (!lstm) wants[2] = {Expected(), 0};
  check<T>("rnn_backward", wants, [&](const KernelTable<T>& k, T* const* to) {
    const int64_t columns = rnn_columns(l.cell) * l.hidden, all = l.directions * l.rows();
    Values<T> y(l.rows() * l.width()), h_n(values[1].size()), c_n(values[2].size());
    Values<T> gates(all * columns), cells(all * l.hidden);
    k.rnn_forward(r, y.data(), h_n.data(), c_n.data(), gates.data(), lstm ? cells.data() : nullptr);
    RnnGradients<T> g{};
    g.dy = d_out[0].data(), g.dh_n = d_out[1].data(), g.dc_n = lstm ? d_out[2].data() : nullptr;
    g.dx = to[0], g.dh0 = to[1], g.dc0 = to[2];
    for (int64_t d = 0; d < l.directions; ++d) {
      T* const* w = to + 3 + 6 * d;
      g.weights[d] = {
          w[0], w[1], w[2], w[3], l.projects() ? w[4] : nullptr, l.peephole ? w[5] : nullptr};
    }
    k.rnn_backward(r, y.data(), gates.data(), cells.data(), g);
  });
}

template <class T>
void all_layers() {
  const std::vector<int64_t> one = {0, 1, 2, 3}, many = {0, 3, 5, 6}, single = {0, 3};
  for (const RnnCell cell :
       {RnnCell::tanh, RnnCell::relu, RnnCell::lstm, RnnCell::gru, RnnCell::gru_reset_first})
    for (const int64_t directions : {1, 2}) {
      layer<T>({cell, 1, 2, 5, 5, directions, false, 1, one}, true);
      layer<T>({cell, 4, 2, 5, 5, directions, false, 1, many}, true);
      layer<T>({cell, 3, 2, 5, 5, directions, false, 1, single}, true);
    }
  layer<T>({RnnCell::gru_reset_first, 3, 2, 5, 5, 2, false, -1, many}, true);
  layer<T>({RnnCell::lstm, 3, 2, 5, 3, 2, true, 1, many}, true);
  layer<T>({RnnCell::lstm, 3, 2, 5, 3, 2, true, 1, single}, true);
  layer<T>({RnnCell::lstm, 31, 3, 70, 70, 2, false, 1, {0, 31, 60}}, false);
}

template <class T>
void rows() {
  const Values<T> x = numbers<T>(5 * 7, -1, 1);
  const std::vector<int64_t> index = {4, -1, 0, 4};
  Expected y;
  for (const int64_t i : index)
    for (int64_t j = 0; j < 7; ++j) y.push(i < 0 ? 2 : static_cast<Wide>(x[i * 7 + j]));
  check<T>("place_rows", y, 0,
           [&](const auto& k, T* to) { k.place_rows(x.data(), index.data(), to, 4, 7, T(2)); });
}

}  // namespace

void check_rnn() {
  all_layers<float>();
  all_layers<double>();
  rows<float>();
  rows<double>();
}

}  // namespace dlcore
