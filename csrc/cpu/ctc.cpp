// CTC loss with its gradient (Graves, Fernandez, Gomez, Schmidhuber 2006), in log space.
//
// The states of a target of S labels are S + 1 blanks and the S labels between them, in two arrays:
// all blanks share one emission, and the states a state is reached from are neighbours, so that one
// step is vectors of log-sum-exp over two (blanks) and three (labels) unaligned loads. What a step
// leaves is taken relative to the largest state of the step before, the sum of these shifts kept in
// double: the rounding of a float is that of the differences between states, not of their common
// size, which grows with every step. A sample is one piece of work; its rows stay in cache.

#include "kernels/ctc.h"

#include "cpu/scratch.h"
#include "cpu/softmax.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// log(exp(a) + ...); -inf when all are.
template <class T, class... Rest>
DLCORE_INLINE Vec<T> log_sum_exp(Vec<T> a, Rest... rest) {
  Vec<T> top = a;
  ((top = max<T>(top, rest)), ...);
  top = finite_shift<T>(top);
  return top + log<T>((exp_up_to_40<T>(a - top) + ... + exp_up_to_40<T>(rest - top)));
}

// Where the arrays of a row lie. Label -1, blank `width` and all that are no states are -inf.
template <class T>
struct Layout {
  int64_t width;  // of each array: S + 1 in whole vectors
  explicit Layout(int64_t labels) : width(round_up(labels + 1, kLanes<T>)) {}
  int64_t size() const { return 2 * width + 2 * kLanes<T>; }
  template <class P>
  P* label(P* row) const {
    return row + kLanes<T>;
  }
  template <class P>
  P* blank(P* row) const {
    return row + kLanes<T> + width;
  }
  // Nothing but the blank before (or behind) all labels has been passed.
  void start(T* row, int64_t at) const {
    for (int64_t i = 0; i < size(); ++i) row[i] = -kInf<T>;
    blank(row)[at] = T(0);
  }
};

// One sample's problem and memory.
template <class T>
struct Sample {
  const T* log_probs;
  const int64_t* target;
  int64_t steps, labels, stride, blank;  // stride: from one step to the next
  Layout<T> layout;
  bool keeps;       // every row, for the gradient
  T* alphas;        // rows: the start, then one to a step; two when they are not kept
  T* emissions;     // rows: of the labels
  T* penalty;       // 0 where a label may follow the one before without a blank, -inf otherwise
  T* betas;         // two rows
  T* sums;          // a row: of all that follows a state
  double* offsets;  // of the rows of alphas

  T* alpha(int64_t row) const { return alphas + (keeps ? row : row & 1) * layout.size(); }
  T* emission(int64_t t) const { return emissions + (keeps ? t : 0) * layout.width; }
};

// to = log-sum-exp of what leads to each state + its emission - shift; from is the row of the step
// before (ahead = 0) or after it (ahead = 1). sums, unless null, gets it without the last two.
// Returns the largest state.
template <class T>
__attribute__((noinline)) T advance(const Sample<T>& s, const T* from, const T* emission,
                                    T blank_emission, T shift, int64_t ahead, T* to, T* sums) {
  const T *label = s.layout.label(from), *blank = s.layout.blank(from);
  T *to_label = s.layout.label(to), *to_blank = s.layout.blank(to);
  Vec<T> top = splat<T>(-kInf<T>);
  const Vec<T> of_blank = splat<T>(blank_emission - shift);
  for (int64_t j = 0; j < s.layout.width; j += kLanes<T>) {
    const Vec<T> skip = load<T>(label + j + 2 * ahead - 1) + load<T>(s.penalty + j + ahead);
    const Vec<T> labels = log_sum_exp<T>(load<T>(label + j), load<T>(blank + j + ahead), skip);
    const Vec<T> blanks = log_sum_exp<T>(load<T>(blank + j), load<T>(label + j + ahead - 1));
    if (sums) {
      store<T>(s.layout.label(sums) + j, labels);
      store<T>(s.layout.blank(sums) + j, blanks);
    }
    const Vec<T> new_labels = labels + (load<T>(emission + j) - shift);
    const Vec<T> new_blanks = blanks + of_blank;
    store<T>(to_label + j, new_labels);
    store<T>(to_blank + j, new_blanks);
    top = max<T>(new_blanks, max<T>(new_labels, top));
  }
  return finite_shift<T>(max_all<T>(top))[0];
}

template <class T>
DLCORE_INLINE void find_penalties(const Sample<T>& s) {
  for (int64_t j = 0; j < s.layout.width + kLanes<T>; ++j) {
    const bool may = j > 0 && j < s.labels && s.target[j] != s.target[j - 1];
    s.penalty[j] = may ? T(0) : -kInf<T>;
  }
}

// The loss; leaves the rows of alphas and emissions when they are kept.
template <class T>
DLCORE_INLINE double pass_forward(const Sample<T>& s) {
  double offset = 0;  // of the row at hand: what was subtracted on the way to it
  T shift = 0;
  s.layout.start(s.alpha(0), 0);
  for (int64_t t = 0; t < s.steps; ++t) {
    const T* x = s.log_probs + t * s.stride;
    T *const emission = s.emission(t), *const to = s.alpha(t + 1);
    for (int64_t j = 0; j < s.labels; ++j) emission[j] = x[s.target[j]];
    for (int64_t j = s.labels; j < s.layout.width; ++j) emission[j] = -kInf<T>;
    s.layout.label(to)[-1] = -kInf<T>;
    const T largest = advance<T>(s, s.alpha(t), emission, x[s.blank], shift, 0, to, nullptr);
    offset += static_cast<double>(shift);
    shift = largest;
    if (s.keeps) s.offsets[t] = offset;
  }
  const T* last = s.alpha(s.steps);
  const Vec<T> by_label = splat<T>(s.layout.label(last)[s.labels - 1]);
  const Vec<T> by_blank = splat<T>(s.layout.blank(last)[s.labels]);
  return 0 - (offset + static_cast<double>(log_sum_exp<T>(by_label, by_blank)[0]));  // no -0
}

// dx of one step: -scale times the probability that a path is in a state of the class.
template <class T>
DLCORE_INLINE void write_gradient(const Sample<T>& s, const T* alpha, const T* sums, T offset,
                                  T scale, T* probability, T* dx, int64_t classes) {
  const auto of = [=](const T* a, const T* b) {
    return exp_up_to_40<T>((load<T>(a) + load<T>(b)) + offset) * scale;
  };
  Vec<T> blanks{};
  for (int64_t j = 0; j < s.layout.width; j += kLanes<T>) {
    store<T>(probability + j, of(s.layout.label(alpha) + j, s.layout.label(sums) + j));
    blanks += of(s.layout.blank(alpha) + j, s.layout.blank(sums) + j);
  }
  std::memset(dx, 0, static_cast<size_t>(classes) * sizeof(T));
  for (int64_t j = 0; j < s.labels; ++j) dx[s.target[j]] -= probability[j];
  dx[s.blank] = -hsum<T>(blanks);
}

template <class T>
DLCORE_INLINE void pass_backward(const Sample<T>& s, double loss, T scale, T* dx, int64_t classes) {
  double offset = 0;
  T shift = 0;
  T *from = s.betas, *to = s.betas + s.layout.size();
  s.layout.start(from, s.labels);
  s.layout.start(to, s.labels);
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    T* const emission = s.emission(t);
    const T of_blank = s.log_probs[t * s.stride + s.blank];
    const T largest = advance<T>(s, from, emission, of_blank, shift, 1, to, s.sums);
    write_gradient<T>(s, s.alpha(t + 1), s.sums, static_cast<T>(s.offsets[t] + offset + loss),
                      scale, emission, dx + t * s.stride, classes);
    offset += static_cast<double>(shift);
    shift = largest;
    T* const done = from;
    from = to;
    to = done;
  }
}

template <class T>
DLCORE_INLINE void fill_gradient(T* dx, int64_t begin, int64_t end, int64_t stride, int64_t classes,
                                 T value) {
  for (int64_t t = begin; t < end; ++t)
    for (int64_t c = 0; c < classes; ++c) dx[t * stride + c] = value;
}

template <class T>
DLCORE_INLINE int64_t scratch_bytes(const Layout<T>& layout, int64_t steps, bool keeps) {
  const int64_t rows = keeps ? 2 * steps + 1 : 3;  // alphas and emissions
  constexpr int64_t kOthers = 4 + 2;               // betas, sums, penalty; the arrays' alignment
  return (rows + kOthers) * layout.size() * static_cast<int64_t>(sizeof(T)) + steps * 8;
}

template <class T>
DLCORE_INLINE void one_sample(const T* log_probs, T* loss, T* dx, T scale, bool zero_infinity,
                              const CtcProblem& p, int64_t b) {
  const int64_t steps = p.input_lengths[b], labels = p.target_lengths[b];
  const int64_t stride = p.batch * p.classes;
  const Layout<T> layout(labels);
  const bool keeps = dx != nullptr;
  Scratch scratch(scratch_bytes<T>(layout, steps, keeps));
  const Sample<T> s{log_probs,
                    p.targets + p.starts[b],
                    steps,
                    labels,
                    stride,
                    p.blank,
                    layout,
                    keeps,
                    scratch.take<T>((keeps ? steps + 1 : 2) * layout.size()),
                    scratch.take<T>((keeps ? steps : 1) * layout.width),
                    scratch.take<T>(layout.size()),
                    scratch.take<T>(2 * layout.size()),
                    scratch.take<T>(layout.size()),
                    scratch.take<double>(steps)};
  find_penalties<T>(s);
  const double value = pass_forward<T>(s);
  const bool infinite = value == kInf<double>;
  *loss = infinite && zero_infinity ? T(0) : static_cast<T>(value);
  if (!dx) return;
  if (infinite) {
    const T slope = zero_infinity ? T(0) : std::numeric_limits<T>::quiet_NaN();
    fill_gradient<T>(dx, 0, steps, stride, p.classes, slope);
  } else {
    pass_backward<T>(s, value, scale, dx, p.classes);
  }
  fill_gradient<T>(dx, steps, p.steps, stride, p.classes, T(0));
}

// loss[b] = -log of the sum, over all paths that collapse to the target, of the product of their
// emissions; inf when there is none. dx is the derivative by each log-probability, as they are
// given: minus the probability that a path takes the class at that step.
template <class T>
void ctc_loss(const T* log_probs, T* loss, T* dx, const T* scale, bool zero_infinity,
              const CtcProblem& p) {
  int64_t states = 1;
  for (int64_t b = 0; b < p.batch; ++b) states = larger(states, p.target_lengths[b]);
  constexpr int64_t kStateCost = 32;  // five exp and two log for a blank and a label
  const int64_t cost = p.steps * (states * kStateCost + p.classes);
  parallel_for(p.batch, grain_for(cost), [=, &p](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      one_sample<T>(log_probs + b * p.classes, loss + b, dx ? dx + b * p.classes : nullptr,
                    scale[b], zero_infinity, p, b);
  });
}

}  // namespace

DLCORE_EXPORT(ctc_loss)

}  // namespace DLCORE_ISA
}  // namespace dlcore
