// Soft non-maximum suppression: overlap lowers a score instead of removing the box.
//
// As many passes over the boxes that are left as boxes are kept: each pass lowers the scores by the
// box just taken and finds the next highest. A box whose score falls below the least is gone;
// when half are gone the rest are moved together.

#include "cpu/boxes.h"
#include "cpu/scratch.h"
#include "cpu/simd_math.h"
#include "kernels/nms.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChunk = 4096;  // boxes of one task: some 10 us

template <class T>
using Index = decltype(Mask<T>{}[0] + 0);

// The highest score of a chunk, its first place, and how many boxes are left.
template <class T>
struct Best {
  T score;
  int64_t place, left;
};

// Boxes that are left, by columns; a score of -inf is a box that is gone.
template <class T>
struct Left {
  T* column[6];  // x1, y1, x2, y2, area, score
  int64_t* index;
  int64_t n;

  DLCORE_INLINE_MEMBER void move(int64_t from, int64_t to) {
    for (T* c : column) c[to] = c[from];
    index[to] = index[from];
  }
  void drop_gone() {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i)
      if (column[5][i] != -kInf<T>) move(i, kept++);
    n = kept;
    for (int64_t i = n; i < n + kLanes<T>; ++i) column[5][i] = -kInf<T>;
  }
};

template <class T>
struct Decay {
  T iou_threshold, minus_inverse_sigma, least;
  bool gaussian;

  DLCORE_INLINE_MEMBER Vec<T> factor(Vec<T> iou) const {
    if (gaussian) return exp<T>(iou * iou * minus_inverse_sigma);
    return iou >= iou_threshold ? T(1) - iou : splat<T>(T(1));
  }
};

// Lowers the scores of boxes begin to end (whole vectors) by box b.
template <class T>
DLCORE_INLINE Best<T> lower(const Left<T>& left, int64_t begin, int64_t end, const T* b,
                            const Decay<T>& decay) {
  Vec<T> best = splat<T>(-kInf<T>);
  Mask<T> where{}, count{};
  for (int64_t i = begin; i < end; i += kLanes<T>) {
    const Vec<T> w = min<T>(load<T>(left.column[2] + i), splat<T>(b[2])) -
                     max<T>(load<T>(left.column[0] + i), splat<T>(b[0]));
    const Vec<T> h = min<T>(load<T>(left.column[3] + i), splat<T>(b[3])) -
                     max<T>(load<T>(left.column[1] + i), splat<T>(b[1]));
    const Vec<T> inter = ((w > T(0)) & (h > T(0))) ? w * h : Vec<T>{};
    const Vec<T> quotient = inter / ((load<T>(left.column[4] + i) + b[4]) - inter);
    const Vec<T> iou = inter > T(0) ? quotient : Vec<T>{};  // no area, or NaN: no overlap
    const Vec<T> before = load<T>(left.column[5] + i);
    Vec<T> score = before * decay.factor(iou);
    // One that is gone stays so: rounding, or what lies behind the last box, makes a quotient above
    // 1, whose factor below 0 would turn -inf into inf.
    const Mask<T> stays = (score >= decay.least) & (before >= decay.least);
    score = stays ? score : splat<T>(-kInf<T>);
    store<T>(left.column[5] + i, score);
    const Mask<T> wins = score > best;
    best = wins ? score : best;
    where = wins ? Mask<T>{} + static_cast<Index<T>>((i - begin) / kLanes<T>) : where;
    count -= stays;
  }
  Best<T> found{-kInf<T>, 0, 0};
  for (int64_t l = 0; l < kLanes<T>; ++l) {
    found.left += count[l];
    const int64_t place = begin + where[l] * kLanes<T> + l;
    const bool first = best[l] == found.score && place < found.place;
    if (best[l] > found.score || first) found.score = best[l], found.place = place;
  }
  return found;
}

template <class T>
Best<T> lower_all(const Left<T>& left, const T* b, const Decay<T>& decay, Best<T>* chunks) {
  parallel_for(left.n, kChunk, [&](int64_t begin, int64_t end) {
    chunks[begin / kChunk] = lower<T>(left, begin, end, b, decay);
  });
  Best<T> all = chunks[0];
  for (int64_t c = 1; c < ceil_div(left.n, kChunk); ++c) {
    all.left += chunks[c].left;
    if (chunks[c].score > all.score) all.score = chunks[c].score, all.place = chunks[c].place;
  }
  return all;
}

// keep = the boxes in the order in which they are taken, kept_scores = their lowered scores;
// `count` is their number. A score that is not at least `least` (NaN is not) is never taken; of
// equal ones the first is.
template <class T>
void soft_nms(const T* boxes, const T* scores, int64_t* keep, T* kept_scores, int64_t* count,
              int64_t n, T iou_threshold, T sigma, T least, bool gaussian) {
  *count = 0;
  if (n == 0) return;
  const int64_t room = n + kLanes<T>;
  Scratch scratch(6 * (room * static_cast<int64_t>(sizeof(T)) + 64) + room * 8 + 64 +
                  ceil_div(n, kChunk) * static_cast<int64_t>(sizeof(Best<T>)) + 64);
  Left<T> left;
  for (T*& column : left.column) column = scratch.take<T>(room);
  left.index = scratch.take<int64_t>(room);
  Best<T>* chunks = scratch.take<Best<T>>(ceil_div(n, kChunk));
  left.n = n;
  for (int64_t i = 0; i < n; ++i) {
    const T* p = boxes + 4 * i;
    for (int64_t c = 0; c < 4; ++c) left.column[c][i] = p[c];
    left.column[4][i] = (p[2] - p[0]) * (p[3] - p[1]);
    left.column[5][i] = scores[i] >= least ? scores[i] : -kInf<T>;
    left.index[i] = i;
  }
  left.drop_gone();
  const Decay<T> decay{iou_threshold, T(-1) / sigma, least, gaussian};
  const T nowhere[5] = {kInf<T>, 0, -kInf<T>, 0, 0};  // overlaps nothing: the first pass only looks
  Best<T> best{};
  if (left.n > 0) best = lower_all<T>(left, nowhere, decay, chunks);
  while (left.n > 0 && best.left > 0) {
    T box[5];
    for (int64_t c = 0; c < 5; ++c) box[c] = left.column[c][best.place];
    keep[*count] = left.index[best.place];
    kept_scores[(*count)++] = best.score;
    left.column[5][best.place] = -kInf<T>;
    if (2 * best.left <= left.n) left.drop_gone();
    if (left.n > 0) best = lower_all<T>(left, box, decay, chunks);
  }
}

}  // namespace

DLCORE_EXPORT(soft_nms)

}  // namespace DLCORE_ISA
}  // namespace dlcore
