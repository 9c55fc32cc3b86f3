// Losses of each element, by the definition in long double.
#include "check.h"

namespace dlcore {
namespace {

// A value and the gradients by x, target and other, each with the size of its terms.
struct Term {
  Wide value = 0, size = 0;
  Term() = default;
  Term(Wide v) : value(v), size(std::fabs(v)) {}
  Term(Wide v, Wide s) : value(v), size(std::fabs(s)) {}
};
struct Terms {
  Term of[4];
};

Wide softplus(Wide x) {
  return std::max<Wide>(x, 0) + std::log1p(std::exp(-std::fabs(x)));
}
Wide sigmoid(Wide x) {
  return 1 / (1 + std::exp(-x));
}

Terms expected(LossFormula formula, Wide x, Wide t, Wide c, const Wide* number) {
  const Wide d = x - t, size = std::fabs(d);
  switch (formula) {
    case LossFormula::squares:
      return {{number[0] * d * d, 2 * number[0] * d, -2 * number[0] * d, {}}};
    case LossFormula::piecewise: {
      const bool inside = size < number[0];
      const Wide slope = inside ? 2 * number[1] * d : (d < 0 ? -number[2] : number[2]);
      const Wide value = inside ? number[1] * d * d : number[2] * size - number[3];
      return {{{value, inside ? value : number[2] * size}, slope, -slope, {}}};
    }
    case LossFormula::log_squares: {
      const Wide a = std::log1p(x), b = std::log1p(t), gap = a - b, terms = std::fabs(a) + b;
      return {{{gap * gap, 2 * gap * terms},
               {2 * gap / (1 + x), 2 * terms / (1 + x)},
               {-2 * gap / (1 + t), 2 * terms / (1 + t)},
               {}}};
    }
    case LossFormula::log_cosh:
      return {{std::log1p(std::sinh(d) * std::sinh(d)) / 2, std::tanh(d), -std::tanh(d), {}}};
    case LossFormula::binary:
      return {{-(t * std::log(x) + (1 - t) * std::log1p(-x)),
               {d / (x * (1 - x)), (x + t) / (x * (1 - x))},
               {std::log1p(-x) - std::log(x), std::log1p(-x) + std::log(x)},
               {}}};
    case LossFormula::logits: {
      const Wide yes = c * t, no = 1 - t, above = softplus(x), below = softplus(-x);
      const Wide p = sigmoid(x), q = sigmoid(-x);
      return {{yes * below + no * above,
               {no * p - yes * q, no * p + yes * q},
               {c * below - above, c * below + above},
               {}}};
    }
    case LossFormula::focal: {
      const Wide alpha = number[0], gamma = number[1], no = 1 - t;
      const Wide above = softplus(x), below = softplus(-x), p = sigmoid(x), q = sigmoid(-x);
      const Wide ce = t * below + no * above, m = t * q + no * p;
      const Wide share = alpha * t + (1 - alpha) * no, power = std::pow(m, gamma);
      const Wide rate = gamma * std::pow(m, gamma - 1);
      // The logarithm of m and its product with gamma are rounded.
      const Wide more = 1 + gamma * std::fabs(std::log(m));
      const Wide a = share * no * p * power, b = share * t * q * power,
                 turn = share * ce * rate * (no - t) * p * q;
      const Wide u = share * below * power, v = share * above * power,
                 w = share * ce * rate * (q - p), z = (2 * alpha - 1) * ce * power;
      return {{{share * ce * power, share * ce * power * more},
               {a - b + turn, (a + b + std::fabs(turn)) * more},
               {u - v + w + z, (u + v + std::fabs(w) + std::fabs(z)) * more},
               {}}};
    }
    case LossFormula::divergence: {
      const Wide share = number[0] != 0 ? std::exp(t) : t;
      const Wide log_t = number[0] != 0 ? t : std::log(t), terms = std::fabs(log_t) + std::fabs(x);
      const Wide value = share * (log_t - x);
      if (number[0] != 0)
        return {{{value, share * terms}, -share, {value + share, share * (terms + 1)}, {}}};
      return {{{value, share * terms}, -share, {log_t - x + 1, terms + 1}, {}}};
    }
    case LossFormula::hinge_embedding: {
      const Wide gap = number[0] - x;
      const Wide value = t == 1 ? x : std::max<Wide>(gap, 0);
      return {{{value, std::fabs(x) + number[0]}, Wide(t == 1 ? 1 : gap >= 0 ? -1 : 0), {}, {}}};
    }
    case LossFormula::ranking: {
      const Wide z = number[0] - t * (x - c),
                 size = number[0] + std::fabs(t * x) + std::fabs(t * c);
      if (z < 0) return {{{0, size}, {}, {}, {}}};
      return {{{z, size}, -t, c - x, t}};
    }
    case LossFormula::soft_margin: {
      const Wide q = sigmoid(-t * x);
      return {{softplus(-t * x), -t * q, -x * q, {}}};
    }
    case LossFormula::poisson: {
      const bool logarithm = number[0] != 0, full = number[1] != 0;
      const Wide rate = logarithm ? std::exp(x) : x;
      const Wide log_rate = logarithm ? x : std::log(x + number[2]);
      Terms y{{{rate - t * log_rate, rate + std::fabs(t * log_rate)},
               logarithm ? Term(rate - t, rate + t)
                         : Term(1 - t / (x + number[2]), 1 + t / (x + number[2])),
               -log_rate,
               {}}};
      if (full && t > 1) {
        const Wide terms[4] = {t * std::log(t), -t, 0.5L * std::log(2 * kPi * t), 0};
        for (const Wide term : terms) {
          y.of[0].value += term;
          y.of[0].size += std::fabs(term);
        }
        y.of[2].value += std::log(t) + 0.5L / t;
        y.of[2].size += std::log(t) + 0.5L / t;
      }
      return y;
    }
    case LossFormula::gaussian: {
      const Wide v = std::max<Wide>(c, number[0]), q = d * d / v;
      return {{{(std::log(v) + q) / 2 + number[1],
                (std::fabs(std::log(v)) + q) / 2 + std::fabs(number[1])},
               d / v,
               -d / v,
               {(1 - q) / v / 2, (1 + q) / v / 2}}};
    }
  }
  return {};
}

struct Case {
  LossFormula formula;
  double x_low, x_high, t_low, t_high;
  bool signs;  // the target is 1 or -1
  bool other;
  double number[4];
};

constexpr Case kCases[] = {
    {LossFormula::squares, -3, 3, -2, 2, false, false, {0.5}},
    {LossFormula::piecewise, -3, 3, -2, 2, false, false, {0, 0, 1, 0}},
    {LossFormula::piecewise, -3, 3, -2, 2, false, false, {1.5, 0.5, 1.5, 1.125}},
    {LossFormula::log_squares, 0, 9, 0, 9, false, false, {}},
    {LossFormula::log_cosh, -30, 30, -2, 2, false, false, {}},
    {LossFormula::log_cosh, 0.5, 0.6, 0.5, 0.6, false, false, {}},
    {LossFormula::binary, 0.001, 0.999, 0, 1, false, false, {}},
    {LossFormula::logits, -9, 9, 0, 1, false, false, {}},
    {LossFormula::logits, -40, 40, 0, 1, false, true, {}},
    {LossFormula::focal, -6, 6, 0, 1, false, false, {0.25, 2}},
    {LossFormula::focal, -6, 6, 0, 1, false, false, {0.75, 1.5}},
    {LossFormula::divergence, -5, 0, 0.01, 1, false, false, {0}},
    {LossFormula::divergence, -5, 0, -5, 0, false, false, {1}},
    {LossFormula::hinge_embedding, -2, 2, 0, 1, true, false, {0.75}},
    {LossFormula::ranking, -2, 2, 0, 1, true, true, {0.25}},
    {LossFormula::soft_margin, -20, 20, 0, 1, true, false, {}},
    {LossFormula::poisson, -3, 3, 0, 5, false, false, {1, 1, 0}},
    {LossFormula::poisson, 0.1, 9, 0, 5, false, false, {0, 0, 0.0078125}},
    {LossFormula::gaussian, -2, 2, -2, 2, false, true, {0.0078125, 0.5}},
};

template <class T>
void run(const Case& of, int64_t n, bool weighted) {
  const Values<T> x = numbers<T>(n, of.x_low, of.x_high), other = numbers<T>(n, 0.1, 2, 3),
                  weight = numbers<T>(n, 0.5, 2, 5), dy = numbers<T>(n, -2, 2, 9);
  Values<T> target = numbers<T>(n, of.t_low, of.t_high, 7);
  if (of.signs)
    for (T& t : target) t = t < T(0.5) ? T(-1) : T(1);
  ElementLoss<T> loss{of.formula,
                      x.data(),
                      target.data(),
                      of.other ? other.data() : nullptr,
                      weighted ? weight.data() : nullptr,
                      {},
                      n};
  Wide number[4];
  for (int i = 0; i < 4; ++i) number[i] = loss.number[i] = static_cast<T>(of.number[i]);
  const bool needs = of.formula == LossFormula::ranking || of.formula == LossFormula::gaussian;
  const T scale = T(0.25);
  Expected value(n), total(1), slope[3] = {Expected(n), Expected(n), Expected(n)}, even(n);
  for (int64_t i = 0; i < n; ++i) {
    const Terms y = expected(of.formula, x[i], target[i], of.other ? Wide(other[i]) : 1, number);
    const Wide w = weighted ? Wide(weight[i]) : 1;
    value.set(i, y.of[0].value * w, y.of[0].size * w);
    total.value[0] += value.value[i];
    total.scale[0] += value.scale[i];
    for (int j = 0; j < 3; ++j) {
      const Term& s = y.of[j + 1];
      slope[j].set(i, s.value * w * dy[i] * scale, s.size * w * dy[i] * scale);
    }
    even.set(i, y.of[1].value * w * scale, y.of[1].size * w * scale);
  }
  // Two functions of up to 3 eps each, a handful of products; the sum's chains of at most 32.
  const double allowed = 12;
  check<T>("element_loss", {{value, allowed}, {total, allowed + chain(32)}, {even, allowed}},
           [&](const KernelTable<T>& k, T* const* to) {
             double sum;
             const T one = 1;
             T* const slopes[3] = {to[2], nullptr, nullptr};
             k.element_loss(loss, &one, 0, scale, to[0], &sum, slopes);
             to[1][0] = static_cast<T>(sum);
           });
  check<T>("element_loss", {{slope[0], allowed}, {slope[1], allowed}, {slope[2], allowed}},
           [&](const KernelTable<T>& k, T* const* to) {
             T* const slopes[3] = {to[0], to[1], needs ? to[2] : nullptr};
             if (!needs) std::fill_n(to[2], n, T(0));
             k.element_loss(loss, dy.data(), 1, scale, nullptr, nullptr, slopes);
           });
}

template <class T>
void all() {
  for (const Case& one : kCases)
    for (const int64_t n : {1, 17, 3000}) run<T>(one, n, n != 17);
  run<T>(kCases[0], 40009, false);
  run<T>(kCases[8], 40009, true);
}

}  // namespace

void check_loss_element() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
