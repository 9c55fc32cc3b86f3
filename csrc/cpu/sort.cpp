// Orders along an axis, equal elements as they come, and the first k of such an order. NaN counts
// as the largest. A sort is some passes of a radix sort over whole numbers that rise like the
// elements (score_order.h); the first few of many come from one pass over the row, in which almost
// all elements meet one comparison with the worst of the best so far.

#include "kernels/sort.h"

#include "cpu/any_lane.h"
#include "cpu/score_order.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kSortCost = 64;  // of an element, see grain_for

// One row or column: n elements, `step` apart.
template <class T>
struct Line {
  const T* x;
  int64_t n, step;
  Key<T> flip;  // makes the order that wanted comes first the rising one

  DLCORE_INLINE_MEMBER Key<T> key(int64_t i) const { return falling_key<T>(x[i * step]) ^ flip; }
};

// The first k of the line's order.
template <class T>
DLCORE_INLINE void sort_line(const Line<T>& line, T* y, int64_t* index, int64_t k) {
  Scratch scratch(order_bytes(line.n, sizeof(T)) + line.n * 4 + 64);
  int32_t* const order = scratch.take<int32_t>(line.n);
  order_by_key<T>([&line](int64_t i) { return line.key(i); }, line.n, order, scratch);
  for (int64_t j = 0; j < k; ++j) {
    index[j * line.step] = order[j];
    if (y) y[j * line.step] = line.x[order[j] * line.step];
  }
}

template <class T>
constexpr Key<T> flip_of(bool descending) {
  return descending ? Key<T>(0) : ~Key<T>(0);
}

// body(line, where the result begins) for every row or column.
template <class T, class Body>
DLCORE_INLINE void for_lines(const T* x, int64_t outer, int64_t n, int64_t inner, int64_t k,
                             bool descending, int64_t cost, const Body& body) {
  parallel_for(outer * inner, grain_for(cost), [=](int64_t begin, int64_t end) {
    for (int64_t l = begin; l < end; ++l) {
      const int64_t o = l / inner, i = l % inner;
      body(Line<T>{x + o * n * inner + i, n, inner, flip_of<T>(descending)}, o * k * inner + i);
    }
  });
}

template <class T>
void sort(const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner,
          bool descending) {
  for_lines<T>(x, outer, n, inner, n, descending, kSortCost * n, [=](const Line<T>& l, int64_t at) {
    sort_line<T>(l, y ? y + at : nullptr, index + at, n);
  });
}

// A heap with the last of its order on top.
template <class T>
DLCORE_INLINE bool comes_before(const Ranked<T>& a, const Ranked<T>& b) {
  return a.key < b.key || (a.key == b.key && a.index < b.index);
}
template <class T>
DLCORE_INLINE void sift(Ranked<T>* heap, int64_t size, int64_t at) {
  const Ranked<T> moved = heap[at];
  for (int64_t child; (child = 2 * at + 1) < size; at = child) {
    if (child + 1 < size && comes_before<T>(heap[child], heap[child + 1])) ++child;
    if (!comes_before<T>(moved, heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

// Whether none of these elements can be among the best. NaN is looked at.
template <class T>
DLCORE_INLINE bool all_worse(const T* p, Vec<T> worst, bool largest) {
  Mask<T> worse = ~Mask<T>{};
  for (int v = 0; v < 4; ++v) {
    const Vec<T> x = load<T>(p + v * kLanes<T>);
    worse &= largest ? x <= worst : x >= worst;
  }
  return !any<T>(~worse);
}

template <class T>
DLCORE_INLINE void best_of_line(const Line<T>& line, T* y, int64_t* index, int64_t k,
                                bool largest) {
  Scratch scratch(k * static_cast<int64_t>(sizeof(Ranked<T>)) + 64);
  Ranked<T>* const heap = scratch.take<Ranked<T>>(k);
  for (int64_t i = 0; i < k; ++i) heap[i] = {line.key(i), static_cast<int32_t>(i)};
  for (int64_t i = k / 2 - 1; i >= 0; --i) sift<T>(heap, k, i);
  for (int64_t i = k; i < line.n;) {
    int64_t stop = i + 1;
    if (line.step == 1 && i + 4 * kLanes<T> <= line.n) {
      stop = i + 4 * kLanes<T>;
      if (all_worse<T>(line.x + i, splat<T>(line.x[heap[0].index]), largest)) {
        i = stop;
        continue;
      }
    }
    for (; i < stop; ++i) {
      const T value = line.x[i * line.step], worst = line.x[heap[0].index * line.step];
      if (largest ? value <= worst : value >= worst) continue;
      const Key<T> key = line.key(i);
      if (key >= heap[0].key) continue;
      heap[0] = {key, static_cast<int32_t>(i)};
      sift<T>(heap, k, 0);
    }
  }
  for (int64_t last = k - 1; last >= 0; --last) {
    const int64_t from = heap[0].index;
    index[last * line.step] = from;
    y[last * line.step] = line.x[from * line.step];
    heap[0] = heap[last];
    sift<T>(heap, last, 0);
  }
}

template <class T>
void topk(const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner, int64_t k,
          bool largest) {
  const bool few = 8 * k <= n;
  for_lines<T>(x, outer, n, inner, k, largest, few ? n : kSortCost * n,
               [=](const Line<T>& line, int64_t at) {
                 if (few)
                   best_of_line<T>(line, y + at, index + at, k, largest);
                 else
                   sort_line<T>(line, y + at, index + at, k);
               });
}

}  // namespace

DLCORE_EXPORT(sort)
DLCORE_EXPORT(topk)

}  // namespace DLCORE_ISA
}  // namespace dlcore
