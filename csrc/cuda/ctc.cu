// CTC loss with its gradient (Graves, Fernandez, Gomez, Schmidhuber 2006), in log space, a block to
// a sample and a thread to a label and the blank before it.
//
// What a step leaves is taken relative to the largest state of the step before, the sum of these
// shifts kept in double: the rounding of a float is that of the differences between states, not of
// their common size, which grows with every step.

#include "cuda/math.h"
#include "cuda/reduce.h"
#include "kernels/ctc.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One sample, its scratch in elements from the beginning.
struct Sample {
  int64_t steps, labels, target;
  int64_t rows;     // of states: all of forward's, for the gradient, then two of backward's
  int64_t parts;    // two rows of the labels' probabilities
  int64_t offsets;  // double, of forward's rows
  int64_t links;    // two rows: links to the next label that is the same, whether it is the first
};

// What all samples share.
template <class T>
struct Problem {
  const T* log_probs;
  const int64_t* targets;
  const Sample* samples;
  int64_t steps, batch, classes, blank;
  T* room;
  double* offsets;
  int32_t* links;  // of each label: the next one that is the same, or -1; whether it is the first
  bool keeps;
};

// A row of states: S labels, then the S + 1 blanks around them.
template <class T>
struct States {
  T* p;
  int64_t labels;
  __device__ T& label(int64_t j) const { return p[j]; }
  __device__ T& blank(int64_t j) const { return p[labels + j]; }
  // Nothing but the blank before (or behind) all labels has been passed.
  __device__ void start(int64_t at) const {
    for (int64_t i = threadIdx.x; i < 2 * labels + 1; i += kBlock)
      p[i] = i == labels + at ? T(0) : -kInf<T>;
  }
};

template <class T>
__device__ T finite_or_zero(T top) {
  return top == -kInf<T> ? T(0) : top;
}

// log(exp(a) + ...); -inf when all are.
template <class T>
__device__ T log_sum_exp(T a, T b, T c) {
  const T top = finite_or_zero(Larger()(Larger()(a, b), c));
  return top + math::log((math::exp(a - top) + math::exp(b - top)) + math::exp(c - top));
}

// One sample of a problem, by all threads of a block.
template <class T>
struct Pass {
  const Problem<T>& p;
  Sample s;
  int64_t batch;
  const int64_t* target;

  __device__ Pass(const Problem<T>& p_, const Sample& s_, int64_t b)
      : p(p_), s(s_), batch(b), target(p_.targets + s_.target) {}

  __device__ States<T> row(int64_t i) const {
    return {p.room + s.rows + i * (2 * s.labels + 1), s.labels};
  }
  __device__ States<T> alpha(int64_t i) const { return row(p.keeps ? i : i & 1); }
  __device__ States<T> beta(int64_t i) const { return row(s.steps + 1 + (i & 1)); }
  __device__ const T* scores(int64_t t) const {
    return p.log_probs + (t * p.batch + batch) * p.classes;
  }
  // Whether label j may follow the one before without a blank.
  __device__ bool skips(int64_t j) const {
    return j > 0 && j < s.labels && target[j] != target[j - 1];
  }
};

// Steps from the first to the last; the loss in all threads.
template <class T>
__device__ double pass_forward(const Pass<T>& pass) {
  const Sample& s = pass.s;
  double offset = 0;  // of the row at hand: what was subtracted on the way to it
  T shift = 0;
  pass.alpha(0).start(0);
  __syncthreads();
  for (int64_t t = 0; t < s.steps; ++t) {
    const T* const x = pass.scores(t);
    const States<T> from = pass.alpha(t), to = pass.alpha(t + 1);
    T top = -kInf<T>;
    for (int64_t j = threadIdx.x; j <= s.labels; j += kBlock) {
      const T before = j ? from.label(j - 1) : -kInf<T>;
      const T blank = log_sum_exp(from.blank(j), before, -kInf<T>) + (x[pass.p.blank] - shift);
      top = Larger()(blank, top);
      if (j < s.labels) {
        const T sum = log_sum_exp(from.label(j), from.blank(j), pass.skips(j) ? before : -kInf<T>);
        const T label = sum + (x[pass.target[j]] - shift);
        top = Larger()(label, top);
        to.label(j) = label;
      }
      to.blank(j) = blank;
    }
    top = block_fold<kBlock>(top, Larger());  // and the row is there
    offset += static_cast<double>(shift);
    shift = finite_or_zero(top);
    if (pass.p.keeps && threadIdx.x == 0) pass.p.offsets[s.offsets + t] = offset;
  }
  const States<T> last = pass.alpha(s.steps);
  const T by_label = s.labels ? last.label(s.labels - 1) : -kInf<T>;
  const T all = log_sum_exp(by_label, last.blank(s.labels), -kInf<T>);
  return 0 - (offset + static_cast<double>(all));  // no -0
}

// Labels that are the same, each linked to the next: their sum has one order.
template <class T>
__device__ void link_labels(const Pass<T>& pass) {
  int32_t* const next = pass.p.links + pass.s.links;
  int32_t* const first = next + pass.s.labels;
  for (int64_t j = threadIdx.x; j < pass.s.labels; j += kBlock) {
    int64_t after = j + 1, before = j - 1;
    while (after < pass.s.labels && pass.target[after] != pass.target[j]) ++after;
    while (before >= 0 && pass.target[before] != pass.target[j]) --before;
    next[j] = after < pass.s.labels ? static_cast<int32_t>(after) : -1;
    first[j] = before < 0;
  }
}

// Steps from the last to the first. dx of one step: -scale times the probability that a path is in
// a state of the class; zeros before.
template <class T>
__device__ void pass_backward(const Pass<T>& pass, double loss, T scale, T* dx) {
  const Sample& s = pass.s;
  const int32_t *const next = pass.p.links + s.links, *const first = next + s.labels;
  double offset = 0;
  T shift = 0;
  link_labels(pass);
  pass.beta(s.steps).start(s.labels);
  __syncthreads();
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    const T* const x = pass.scores(t);
    const States<T> from = pass.beta(t + 1), to = pass.beta(t), alpha = pass.alpha(t + 1);
    T* const part = pass.p.room + s.parts + (t & 1) * s.labels;
    const T all = static_cast<T>(pass.p.offsets[s.offsets + t] + offset + loss);
    T top = -kInf<T>, blanks = T(0);
    for (int64_t j = threadIdx.x; j <= s.labels; j += kBlock) {
      const T own = j < s.labels ? from.label(j) : -kInf<T>;
      const T blank = log_sum_exp(from.blank(j), own, -kInf<T>);
      blanks += math::exp((alpha.blank(j) + blank) + all) * scale;
      to.blank(j) = blank + (x[pass.p.blank] - shift);
      top = Larger()(to.blank(j), top);
      if (j == s.labels) continue;
      const T label =
          log_sum_exp(own, from.blank(j + 1), pass.skips(j + 1) ? from.label(j + 1) : -kInf<T>);
      part[j] = math::exp((alpha.label(j) + label) + all) * scale;
      to.label(j) = label + (x[pass.target[j]] - shift);
      top = Larger()(to.label(j), top);
    }
    top = block_fold<kBlock>(top, Larger());  // and the parts are there
    blanks = block_fold<kBlock>(blanks, Plus());
    T* const to_class = dx + (t * pass.p.batch + pass.batch) * pass.p.classes;
    for (int64_t j = threadIdx.x; j < s.labels; j += kBlock) {
      if (!first[j]) continue;
      T sum = T(0);
      for (int64_t i = j; i >= 0; i = next[i]) sum -= part[i];
      to_class[pass.target[j]] = sum;
    }
    if (threadIdx.x == 0) to_class[pass.p.blank] = -blanks;
    offset += static_cast<double>(shift);
    shift = finite_or_zero(top);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    ctc_kernel(const __grid_constant__ Problem<T> p, T* loss, T* dx, const T* scale,
               bool zero_infinity, int64_t first) {
  const int64_t b = first + blockIdx.x;
  const Pass<T> pass(p, p.samples[blockIdx.x], b);
  const double value = pass_forward(pass);
  const bool infinite = value == kInf<double>;
  if (threadIdx.x == 0) loss[b] = infinite && zero_infinity ? T(0) : static_cast<T>(value);
  if (!dx) return;
  if (!infinite) {
    pass_backward(pass, value, scale[b], dx);
  } else if (!zero_infinity) {
    for (int64_t i = threadIdx.x; i < pass.s.steps * p.classes; i += kBlock)
      dx[(i / p.classes * p.batch + b) * p.classes + i % p.classes] = kInf<T> - kInf<T>;
  }
}

// Sample b, whose scratch begins at `end`, which it moves.
Sample place(const CtcProblem& p, int64_t b, bool keeps, Sample& end) {
  const int64_t steps = p.input_lengths[b], labels = p.target_lengths[b];
  Sample s = end;
  s.steps = steps;
  s.labels = labels;
  s.target = p.starts[b];
  end.rows = s.parts = s.rows + (keeps ? steps + 3 : 2) * (2 * labels + 1);
  end.rows += keeps ? 2 * labels : 0;
  end.offsets += keeps ? steps : 0;
  end.links += keeps ? 2 * labels : 0;
  return s;
}

// loss[b] = -log of the sum, over all paths that collapse to the target, of the product of their
// emissions; inf when there is none. dx is the derivative by each log-probability, as they are
// given: minus the probability that a path takes the class at that step. What the problem points to
// and `scale` are the host's.
template <class T>
void ctc_loss(const T* log_probs, T* loss, T* dx, const T* scale, bool zero_infinity,
              const CtcProblem& p) {
  if (dx) device_clear(dx, static_cast<size_t>(p.steps * p.batch * p.classes) * sizeof(T));
  const Uploaded<T> scales(dx ? scale : nullptr, p.batch);
  constexpr int64_t kMost = 64;  // samples at a time
  for (int64_t first = 0; first < p.batch; first += kMost) {
    const int64_t count = smaller(kMost, p.batch - first);
    Sample samples[kMost], end{};
    int64_t labels = 0;
    for (int64_t b = first; b < first + count; ++b) {
      samples[b - first] = place(p, b, dx != nullptr, end);
      labels = larger(labels, p.starts[b] + p.target_lengths[b]);
    }
    const Uploaded<Sample> all(samples, count);
    const Uploaded<int64_t> targets(p.targets, labels);
    const Scratch<T> room(end.rows);
    const Scratch<double> offsets(end.offsets);
    const Scratch<int32_t> links(end.links);
    const Problem<T> problem{log_probs, targets, all,     p.steps, p.batch,      p.classes,
                             p.blank,   room,    offsets, links,   dx != nullptr};
    launch(ctc_kernel<T>, Size{static_cast<unsigned>(count), kBlock}, problem, loss, dx, scales,
           zero_infinity, first);
  }
}

}  // namespace

DLCORE_CUDA_EXPORT(ctc_loss)

}  // namespace DLCORE_ISA
}  // namespace dlcore
