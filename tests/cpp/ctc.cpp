// CTC by sums over its states in long double, which holds the probabilities of these few steps.
#include <limits>

#include "check.h"

namespace dlcore {
namespace {

// Two samples: one of all steps, one shorter by one, with a label less.
template <class T>
struct Problem {
  int64_t steps, classes, labels;
  Values<T> x = numbers<T>(steps * 2 * classes, -3, -0.1);
  std::vector<int64_t> targets = std::vector<int64_t>(2 * labels);
  std::vector<int64_t> starts{0, labels}, inputs{steps, steps - 1},
      lengths{labels, labels > 0 ? labels - 1 : 0};
  CtcProblem shape;

  Problem(int64_t steps, int64_t classes, int64_t labels)
      : steps(steps), classes(classes), labels(labels) {
    for (int64_t i = 0; i < 2 * labels; ++i)
      targets[i] = 1 + (i % 3 ? i : i - i / 6) % (classes - 1);  // with repeats
    shape = {steps, 2, classes, 0, targets.data(), starts.data(), inputs.data(), lengths.data()};
  }
  Wide emission(int64_t t, int64_t b, int64_t c) const {
    return std::exp(static_cast<Wide>(x[(t * 2 + b) * classes + c]));
  }
  int64_t label(int64_t b, int64_t state) const {
    return state % 2 ? targets[starts[b] + state / 2] : 0;
  }
  bool leads(int64_t b, int64_t from, int64_t to) const {
    return to == from || to == from + 1 ||
           (to == from + 2 && to % 2 && label(b, from) != label(b, to));
  }
};

template <class T>
void loss(const Problem<T>& p) {
  const T scale[2] = {T(1), T(0.5)};
  Expected losses(2), slopes(p.steps * 2 * p.classes);
  for (Wide& each : slopes.scale) each = 1;  // of probabilities
  for (int64_t b = 0; b < 2; ++b) {
    const int64_t steps = p.inputs[b], states = 2 * p.lengths[b] + 1;
    std::vector<Wide> ahead(steps * states), behind(steps * states);
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t s = 0; s < states; ++s) {
        Wide sum = t == 0 && s < 2;
        for (int64_t f = 0; t > 0 && f <= s; ++f)
          if (p.leads(b, f, s)) sum += ahead[(t - 1) * states + f];
        ahead[t * states + s] = sum * p.emission(t, b, p.label(b, s));
      }
    for (int64_t t = steps - 1; t >= 0; --t)
      for (int64_t s = 0; s < states; ++s) {
        Wide sum = t == steps - 1 && s >= states - 2;
        for (int64_t to = s; t + 1 < steps && to < states; ++to)
          if (p.leads(b, s, to))
            sum += behind[(t + 1) * states + to] * p.emission(t + 1, b, p.label(b, to));
        behind[t * states + s] = sum;
      }
    Wide all = 0;
    for (int64_t s = std::max<int64_t>(states - 2, 0); s < states; ++s)
      all += ahead[(steps - 1) * states + s];
    losses.set(b, -std::log(all), 1 - std::log(all));
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t s = 0; s < states; ++s)
        slopes.value[(t * 2 + b) * p.classes + p.label(b, s)] -=
            scale[b] * ahead[t * states + s] * behind[t * states + s] / all;
  }
  // Some 4 eps in the exponent at each of `steps` log-sum-exps, to either side.
  check<T>("ctc_loss", {{losses, 4}, {slopes, 8 * chain(p.steps)}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.ctc_loss(p.x.data(), to[0], to[1], scale, false, p.shape);
           });
  check<T>("ctc_loss", losses, 4, [&](const auto& k, T* to) {
    k.ctc_loss(p.x.data(), to, nullptr, scale, false, p.shape);
  });
}

// Labels and counts travel as numbers.
template <class T>
void decoding(const Problem<T>& p) {
  Expected scores(2), labels;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0, before = 0; t < p.inputs[b]; ++t) {
      int64_t best = 0;
      for (int64_t c = 1; c < p.classes; ++c)
        if (p.emission(t, b, c) > p.emission(t, b, best)) best = c;
      scores.add(b, p.x[(t * 2 + b) * p.classes + best]);
      if (best != before && best != 0) labels.push(best);
      before = best;
    }
  const double allowed = sizeof(T) == 8 ? chain(p.steps) : 1;  // sums are taken in double
  check<T>("ctc_greedy", {{scores, allowed}, {labels, 0}},
           [&](const KernelTable<T>& k, T* const* to) {
             std::vector<int64_t> found(2 * p.steps), counts(2);
             k.ctc_greedy(p.x.data(), found.data(), counts.data(), to[0], p.shape);
             for (int64_t b = 0, at = 0; b < 2; ++b)
               for (int64_t i = 0; i < counts[b]; ++i)
                 to[1][at++] = static_cast<T>(found[b * p.steps + i]);
           });
}

// A beam that holds every sequence of three classes: their probabilities are the losses' exps.
template <class T>
void beam() {
  constexpr int64_t kWidth = 64;
  Problem<T> p(4, 3, 2);
  Expected scores(2);
  Values<T> loss(2), ones(2, T(1));
  std::vector<int64_t> found(2 * p.steps), counts(2);
  kernels<T>().ctc_beam_search(p.x.data(), found.data(), counts.data(), loss.data(), kWidth, 1,
                               p.shape);
  for (int64_t b = 0; b < 2; ++b) p.starts[b] = b * p.steps;
  p.lengths = counts;
  p.shape.targets = found.data();
  p.shape.target_lengths = p.lengths.data();
  kernels<T>().ctc_loss(p.x.data(), loss.data(), nullptr, ones.data(), false, p.shape);
  for (int64_t b = 0; b < 2; ++b) scores.set(b, -static_cast<Wide>(loss[b]), 1 + loss[b]);
  check<T>("ctc_beam_search", scores, 8, [&](const auto& k, T* to) {
    std::vector<int64_t> labels(2 * p.steps), lengths(2);
    k.ctc_beam_search(p.x.data(), labels.data(), lengths.data(), to, kWidth, 1, p.shape);
  });
}

template <class T>
void all() {
  for (const int64_t labels : {0, 1, 3, 15, 16, 17, 40}) loss<T>({2 * labels + 4, 7, labels});
  decoding<T>({50, 4, 1});
  decoding<T>({600, 200, 1});  // several chunks
  beam<T>();
}

}  // namespace

void check_ctc() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
