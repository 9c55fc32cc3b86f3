// Losses with their gradients, by the definition in long double.
#include "check.h"

namespace dlcore {
namespace {

constexpr int64_t kIgnored = -100;

// Scores (outer, n, inner); some targets are ignored.
template <class T>
struct Problem {
  int64_t outer, n, inner;
  Values<T> x = numbers<T>(outer * n * inner, -3, 3);
  Values<T> weight = numbers<T>(n, 0.5, 2, 3);
  Values<T> dy = numbers<T>(outer * inner, 0.5, 1, 5);
  std::vector<int64_t> target = std::vector<int64_t>(outer * inner);
  ClassLoss<T> shape;
  Wide weight_sum = 0;

  Problem(int64_t outer, int64_t n, int64_t inner, bool weighted, double smoothing)
      : outer(outer), n(n), inner(inner) {
    for (int64_t r = 0; r < outer * inner; ++r) target[r] = r % 5 == 3 ? kIgnored : r * 7 % n;
    if (!weighted) weight.assign(n, T(1));
    for (const T w : weight) weight_sum += w;
    shape = {outer,
             n,
             inner,
             target.data(),
             weighted ? weight.data() : nullptr,
             kIgnored,
             static_cast<T>(smoothing),
             static_cast<T>(weight_sum)};
  }
  int64_t rows() const { return outer * inner; }
  int64_t at(int64_t r, int64_t i) const { return (r / inner * n + i) * inner + r % inner; }
};

// The totals are doubles: they travel as the two last outputs, rounded to T.
template <class T>
void store_totals(const double* totals, T* const* to) {
  to[0][0] = static_cast<T>(totals[0]);
  to[0][1] = static_cast<T>(totals[1]);
}

template <class T>
void cross_entropy(const Problem<T>& p) {
  const Wide smoothing = p.shape.smoothing, scale = 0.25L;
  Expected loss(p.rows()), totals(2), dx(p.rows() * p.n), at_once(p.rows() * p.n);
  Values<T> normalizer(2 * p.rows());
  for (int64_t r = 0; r < p.rows(); ++r) {
    const int64_t t = p.target[r];
    if (t == kIgnored) continue;
    Wide top = p.x[p.at(r, 0)], sum = 0;
    for (int64_t i = 0; i < p.n; ++i) top = std::max<Wide>(top, p.x[p.at(r, i)]);
    for (int64_t i = 0; i < p.n; ++i) sum += std::exp(p.x[p.at(r, i)] - top);
    const Wide log_sum = std::log(sum), w = p.weight[t];
    normalizer[2 * r] = static_cast<T>(top);
    normalizer[2 * r + 1] = static_cast<T>(log_sum);
    const Wide hard = (1 - smoothing) * w;
    loss.add(r, hard * (top - p.x[p.at(r, t)]));
    loss.add(r, hard * log_sum);
    for (int64_t i = 0; i < p.n; ++i)
      loss.add(r, smoothing / p.n * p.weight[i] * (top - p.x[p.at(r, i)]));
    loss.add(r, smoothing / p.n * p.weight_sum * log_sum);
    totals.value[0] += loss.value[r];
    totals.scale[0] += loss.scale[r];
    totals.add(1, w);
    const auto slopes = [&](Expected& to, Wide g) {
      const Wide every = g * smoothing / p.n, all = g * hard + every * p.weight_sum;
      for (int64_t i = 0; i < p.n; ++i) {
        const int64_t at = p.at(r, i);
        const Wide l = p.x[at] - static_cast<Wide>(normalizer[2 * r]) - normalizer[2 * r + 1];
        to.add(at, std::exp(l) * all);
        to.add(at, -every * p.weight[i]);
        if (i == t) to.add(at, -g * hard);
        to.scale[at] *= 1 + std::fabs(l);  // two roundings of exp's argument
      }
    };
    slopes(dx, p.dy[r] * scale);
    slopes(at_once, scale);
  }
  // The log of a sum of n exps, two sums of weights and differences, five roundings.
  const double allowed = 4 + chain(p.n) / 2;
  check<T>(
      "cross_entropy_forward", {{loss, allowed}, {totals, allowed + 0.5}, {at_once, 1 + allowed}},
      [&](const KernelTable<T>& k, T* const* to) {
        Values<T> kept(2 * p.rows());
        double sums[2];
        k.cross_entropy_forward(p.x.data(), to[0], kept.data(), to[2], T(scale), sums, p.shape);
        store_totals(sums, to + 1);
      });
  check<T>("cross_entropy_backward", dx, 5, [&](const auto& k, T* to) {
    k.cross_entropy_backward(p.x.data(), normalizer.data(), p.dy.data(), 1, T(scale), to, p.shape);
  });
}

template <class T>
void nll(const Problem<T>& p) {
  const Wide scale = 0.25L;
  Expected loss(p.rows()), totals(2), dx(p.rows() * p.n);
  for (int64_t r = 0; r < p.rows(); ++r) {
    const int64_t t = p.target[r];
    if (t == kIgnored) continue;
    const Wide w = p.weight[t];
    loss.set(r, -w * p.x[p.at(r, t)]);
    totals.add(0, loss.value[r]);
    totals.add(1, w);
    dx.set(p.at(r, t), -w * p.dy[r] * scale);
  }
  check<T>("nll_forward", {{loss, 0.5}, {totals, 1}}, [&](const KernelTable<T>& k, T* const* to) {
    double sums[2];
    k.nll_forward(p.x.data(), to[0], sums, p.shape);
    store_totals(sums, to + 1);
  });
  check<T>("nll_backward", dx, 0.5,
           [&](const auto& k, T* to) { k.nll_backward(p.dy.data(), 1, T(scale), to, p.shape); });
}

template <class T>
void all() {
  for (const bool weighted : {false, true})
    for (const double smoothing : {0.0, 0.25}) {
      for (const int64_t n : {1, 10, 33, 1000}) {
        cross_entropy<T>({9, n, 1, weighted, smoothing});
        cross_entropy<T>({3, n, 19, weighted, smoothing});
      }
      cross_entropy<T>({500, 300, 1, weighted, smoothing});  // several chunks
    }
  for (const bool weighted : {false, true}) {
    nll<T>({900, 10, 1, weighted, 0});
    nll<T>({3, 10, 19, weighted, 0});
  }
}

}  // namespace

void check_loss() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
