// What a CTC model says: the best path, and prefix beam search (Graves 2012, chapter 7; Hannun et
// al. 2014), which adds up the paths of a sequence. Scalar code on doubles; a sample is one piece
// of work.

#include "cpu/scratch.h"
#include "cpu/simd_math.h"
#include "kernels/ctc.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr double kNever = -kInf<double>;

// The most probable class of each step; repeats, then blanks, are left out. NaN is the largest.
template <class T>
void ctc_greedy(const T* log_probs, int64_t* labels, int64_t* counts, T* scores,
                const CtcProblem& p) {
  parallel_for(p.batch, grain_for(p.steps * p.classes), [=, &p](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      double score = 0;
      int64_t count = 0, before = p.blank;
      for (int64_t t = 0; t < p.input_lengths[b]; ++t) {
        const T* x = log_probs + (t * p.batch + b) * p.classes;
        int64_t best = 0;
        for (int64_t c = 1; c < p.classes; ++c)
          if (x[c] > x[best] || (x[c] != x[c] && x[best] == x[best])) best = c;
        score += static_cast<double>(x[best]);
        if (best != before && best != p.blank) labels[b * p.steps + count++] = best;
        before = best;
      }
      counts[b] = count;
      scores[b] = static_cast<T>(score);
    }
  });
}

// log(exp(a) + exp(b)). Not inlined: as long as all the code around it.
__attribute__((noinline)) double join(double a, double b) {
  const double top = a > b ? a : b, rest = a > b ? b : a;
  if (rest == kNever) return top;
  return top + log1p<double>(exp_up_to_40<double>(splat<double>(rest - top)))[0];
}

// All sequences that were ever in the beam, as a tree: a sequence is a node, its labels those on
// the way from the root. One that comes back gets its old node, so that its continuations are
// known.
struct Tree {
  int32_t *parent, *label, *child, *sibling;
  int32_t* place;  // in the beam, or -1
  int32_t size = 0;

  Tree(Scratch& scratch, int64_t most)
      : parent(scratch.take<int32_t>(most)),
        label(scratch.take<int32_t>(most)),
        child(scratch.take<int32_t>(most)),
        sibling(scratch.take<int32_t>(most)),
        place(scratch.take<int32_t>(most)) {}
  static int64_t bytes(int64_t most) { return 5 * (4 * most + 64); }

  int32_t add(int32_t under, int32_t with) {
    parent[size] = under;
    label[size] = with;
    child[size] = place[size] = -1;
    sibling[size] = under < 0 ? -1 : child[under];
    if (under >= 0) child[under] = size;
    return size++;
  }
  int32_t find(int32_t under, int32_t with) const {
    int32_t node = child[under];
    while (node >= 0 && label[node] != with) node = sibling[node];
    return node;
  }
};

// A sequence, the logarithms of the probability of its paths that end in a blank and in its last
// label. `label` is -1, or what is yet to be put behind the sequence of `node`.
struct Entry {
  double by_blank, by_label, total;
  int32_t node, label;
};

// The best entries, the best first; of equals the one that came first.
struct Beam {
  Entry* entries;
  int64_t width, count = 0;

  double least() const { return count < width ? kNever : entries[count - 1].total; }
  void offer(const Entry& e) {
    if (!(e.total > least())) return;
    int64_t at = count < width ? count++ : count - 1;
    for (; at > 0 && entries[at - 1].total < e.total; --at) entries[at] = entries[at - 1];
    entries[at] = e;
  }
};

// A step's most probable classes without the blank, the best first. No more than width + 1 of them
// can matter to a sequence: all are as good as they are probable but the repeated last label.
template <class T>
DLCORE_INLINE int64_t best_classes(const T* x, const CtcProblem& p, int64_t most, int32_t* best) {
  int64_t count = 0;
  for (int64_t c = 0; c < p.classes; ++c) {
    if (c == p.blank || !(x[c] > -kInf<T>)) continue;  // NaN too
    if (count == most && !(x[c] > x[best[count - 1]])) continue;
    int64_t at = count < most ? count++ : count - 1;
    for (; at > 0 && x[best[at - 1]] < x[c]; --at) best[at] = best[at - 1];
    best[at] = static_cast<int32_t>(c);
  }
  return count;
}

// The sequences of the beam as they are after a step: by a blank, by their last label again, and by
// way of the sequence one shorter when that is in the beam too.
template <class T>
DLCORE_INLINE void stay(const Beam& beam, const Tree& tree, const T* x, int64_t blank, Beam& next) {
  for (int64_t k = 0; k < beam.count; ++k) {
    Entry e = beam.entries[k];
    const int32_t last = tree.label[e.node], shorter = tree.parent[e.node];
    const double of_blank = x[blank] == x[blank] ? static_cast<double>(x[blank]) : kNever;
    if (last >= 0) {
      double arriving = e.by_label;
      if (tree.place[shorter] >= 0) {
        const Entry& from = beam.entries[tree.place[shorter]];
        arriving = join(arriving, tree.label[shorter] == last ? from.by_blank : from.total);
      }
      e.by_label = x[last] == x[last] ? arriving + static_cast<double>(x[last]) : kNever;
    }
    e.by_blank = e.total + of_blank;
    e.total = join(e.by_blank, e.by_label);
    next.offer(e);
  }
}

template <class T>
DLCORE_INLINE void extend(const Beam& beam, const Tree& tree, const T* x, const int32_t* best,
                          int64_t classes, Beam& next) {
  for (int64_t k = 0; k < beam.count; ++k) {
    const Entry& from = beam.entries[k];
    for (int64_t i = 0; i < classes; ++i) {
      const double emission = static_cast<double>(x[best[i]]);
      if (!(from.total + emission > next.least())) break;
      const double before = best[i] == tree.label[from.node] ? from.by_blank : from.total;
      const int32_t known = tree.find(from.node, best[i]);
      if (known >= 0 && tree.place[known] >= 0) continue;  // it stayed
      next.offer({kNever, before + emission, before + emission, from.node, best[i]});
    }
  }
}

template <class T>
DLCORE_INLINE void search(const T* log_probs, int64_t* labels, int64_t* counts, T* scores,
                          int64_t width, int64_t nbest, const CtcProblem& p, int64_t b) {
  const int64_t steps = p.input_lengths[b], nodes = steps * width + 1;
  Scratch scratch(Tree::bytes(nodes) + 2 * (width * static_cast<int64_t>(sizeof(Entry)) + 64) +
                  4 * (width + 1) + 64);
  Tree tree(scratch, nodes);
  Beam beam{scratch.take<Entry>(width), width}, next{scratch.take<Entry>(width), width};
  int32_t* const best = scratch.take<int32_t>(width + 1);
  beam.offer({0, kNever, 0, tree.add(-1, -1), -1});
  tree.place[0] = 0;
  for (int64_t t = 0; t < steps; ++t) {
    const T* x = log_probs + (t * p.batch + b) * p.classes;
    next.count = 0;
    stay<T>(beam, tree, x, p.blank, next);
    extend<T>(beam, tree, x, best, best_classes<T>(x, p, width + 1, best), next);
    for (int64_t k = 0; k < beam.count; ++k) tree.place[beam.entries[k].node] = -1;
    for (int64_t k = 0; k < next.count; ++k) {
      Entry& e = next.entries[k];
      if (e.label >= 0) {
        const int32_t known = tree.find(e.node, e.label);
        e.node = known >= 0 ? known : tree.add(e.node, e.label);
        e.label = -1;
      }
      tree.place[e.node] = static_cast<int32_t>(k);
    }
    const Beam done = beam;
    beam = next;
    next = done;
  }
  for (int64_t k = 0; k < nbest; ++k) {
    int64_t count = 0;
    if (k < beam.count) {
      int64_t* const to = labels + k * p.steps;
      for (int32_t n = beam.entries[k].node; n > 0; n = tree.parent[n]) ++count;
      int64_t at = count;
      for (int32_t n = beam.entries[k].node; n > 0; n = tree.parent[n]) to[--at] = tree.label[n];
    }
    counts[k] = count;
    scores[k] = static_cast<T>(k < beam.count ? beam.entries[k].total : kNever);
  }
}

// The nbest most probable sequences among `width` at a time; NaN counts as -inf. labels is (batch,
// nbest, steps), counts and scores are (batch, nbest); a score of -inf: there is no such sequence.
template <class T>
void ctc_beam_search(const T* log_probs, int64_t* labels, int64_t* counts, T* scores, int64_t width,
                     int64_t nbest, const CtcProblem& p) {
  const int64_t cost = p.steps * (p.classes + 64 * width);
  parallel_for(p.batch, grain_for(cost), [=, &p](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      search<T>(log_probs, labels + b * nbest * p.steps, counts + b * nbest, scores + b * nbest,
                width, nbest, p, b);
  });
}

}  // namespace

DLCORE_EXPORT(ctc_greedy)
DLCORE_EXPORT(ctc_beam_search)

}  // namespace DLCORE_ISA
}  // namespace dlcore
