// Picking rows or single elements by their numbers, and adding up into them. Bound by memory: one
// read and one write. Sums are made in the order of the index, whatever the number of threads: what
// goes to one row is listed first (a counting sort, which is stable), then each row of the result
// is written once.

#include "kernels/gather.h"

#include "cpu/scratch.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Rows that are asked for ahead: their places are no pattern that a CPU sees.
constexpr int64_t kAheadBytes = int64_t(8) << 10;
constexpr int64_t kLine = 64;

template <class T>
DLCORE_INLINE void fetch_row(const T* p, int64_t n) {
  const int64_t bytes = smaller(n * static_cast<int64_t>(sizeof(T)), kAheadBytes);
  for (int64_t i = 0; i < bytes; i += kLine)
    __builtin_prefetch(reinterpret_cast<const char*>(p) + i);
}
template <class T>
DLCORE_INLINE int64_t rows_ahead(int64_t inner) {
  return larger(1, smaller(16, kAheadBytes / (inner * static_cast<int64_t>(sizeof(T)))));
}

template <class T>
DLCORE_INLINE bool past_caches(int64_t n) {
  return n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
}

// A row of the table, while the one that is wanted some rows later is asked for, a line with every
// load.
template <class T>
struct Row {
  const T *p, *later;
  DLCORE_INLINE_MEMBER Vec<T> at(int64_t i) const {
    __builtin_prefetch(later + i);
    return load<T>(p + i);
  }
  DLCORE_INLINE_MEMBER Vec<T> part(int64_t i, int64_t n) const {
    __builtin_prefetch(later + i);
    return load_part<T>(p + i, n, T(0));
  }
  DLCORE_INLINE_MEMBER void fetch(int64_t) const {}
};

template <class T>
void take_rows(const T* x, const int64_t* index, T* y, int64_t outer, int64_t rows, int64_t count,
               int64_t inner) {
  const bool streamed = past_caches<T>(outer * count * inner);
  const int64_t ahead = rows_ahead<T>(inner);
  parallel_for(outer * count, grain_for(inner), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {
      const int64_t o = r / count, stop = smaller(end, (o + 1) * count);
      const T* const table = x + o * rows * inner;
      const int64_t* const from = index - o * count;
      for (; r < stop; ++r) {
        if (inner == 1) {
          y[r] = table[from[r]];
          continue;
        }
        const Row<T> row{table + from[r] * inner,
                         table + from[smaller(r + ahead, stop - 1)] * inner};
        __builtin_prefetch(row.later + inner - 1);
        map_unfenced<T>(y + r * inner, inner, streamed, [](Vec<T> v) { return v; }, row);
      }
    }
    if (streamed) stream_fence();
  });
}

// The places of the index, those of row r from starts[r] to starts[r + 1], as they come.
DLCORE_INLINE void list_by_row(const int64_t* index, int64_t count, int64_t rows, int32_t* starts,
                               int32_t* order) {
  std::memset(starts, 0, static_cast<size_t>(rows + 1) * sizeof(int32_t));
  for (int64_t i = 0; i < count; ++i) ++starts[index[i] + 1];
  for (int64_t r = 1; r <= rows; ++r) starts[r] += starts[r - 1];
  for (int64_t i = 0; i < count; ++i) order[starts[index[i]]++] = static_cast<int32_t>(i);
  for (int64_t r = rows; r > 0; --r) starts[r] = starts[r - 1];
  starts[0] = 0;
}

// The terms of one row of y.
template <class T>
struct Terms {
  const T* x;
  const int32_t* order;
  int64_t n;
  T all;  // of the sum
};

template <class T>
DLCORE_INLINE const T* source(const Terms<T>& t, int64_t e, const RowSums<T>& s) {
  return t.x + (s.from ? s.from[t.order[e]] : t.order[e]) * s.inner;
}

// kVectors neighbouring vectors of columns, or the first `lanes` of one.
template <class T, int kVectors>
DLCORE_INLINE void add_columns(const Terms<T>& t, const T* base, T* y, int64_t at, int64_t lanes,
                               const RowSums<T>& s) {
  const auto part = [=](const T* p) {
    return lanes == kLanes<T> ? load<T>(p) : load_part<T>(p, lanes, T(0));
  };
  Vec<T> sum[kVectors] = {};
  for (int64_t e = 0; e < t.n; ++e) {
    const T* const p = source(t, e, s) + at;
    const T factor = s.scale ? s.scale[t.order[e]] : T(1);
    for (int v = 0; v < kVectors; ++v) sum[v] += factor * part(p + v * kLanes<T>);
  }
  for (int v = 0; v < kVectors; ++v) {
    const int64_t i = at + v * kLanes<T>;
    Vec<T> total = sum[v] * t.all;
    if (base) total += part(base + i);
    if (lanes == kLanes<T>)
      store<T>(y + i, total);
    else
      store_part<T>(y + i, lanes, total);
  }
}

// y = base + all * the sum of scale x over the terms.
template <class T>
DLCORE_INLINE void add_row(const Terms<T>& t, const T* base, T* y, int64_t cols, bool streamed,
                           const RowSums<T>& s) {
  if (t.n == 0) {
    const auto same = [](Vec<T> v) { return v; };
    if (!base)
      map_unfenced<T>(y, cols, streamed, same, Same<T>{Vec<T>{}});
    else if (base != y)
      map_unfenced<T>(y, cols, streamed, same, Each<T>{base});
    return;
  }
  if (t.n == 1 && !base) {
    const T factor = s.scale ? s.scale[t.order[0]] * t.all : t.all;
    map_unfenced<T>(
        y, cols, streamed, [=](Vec<T> v) { return v * factor; }, Each<T>{source(t, 0, s)});
    return;
  }
  int64_t at = 0;
  for (; at + 8 * kLanes<T> <= cols; at += 8 * kLanes<T>)
    add_columns<T, 8>(t, base, y, at, kLanes<T>, s);
  for (; at < cols; at += kLanes<T>)
    add_columns<T, 1>(t, base, y, at, smaller(kLanes<T>, cols - at), s);
}

template <class T>
void add_rows(const T* x, const T* base, T* y, const RowSums<T>& s) {
  if (s.rows == 0 || s.inner == 0) return;
  Scratch scratch(round_up((s.rows + 1) * 4, kLine) + round_up(s.count * 4, kLine));
  int32_t* const starts = scratch.take<int32_t>(s.rows + 1);
  int32_t* const order = scratch.take<int32_t>(s.count);
  list_by_row(s.index, s.count, s.rows, starts, order);
  const bool streamed = base != y && past_caches<T>(s.outer * s.rows * s.inner);
  // A few rows of a small table are many terms each: then their columns are shared out too.
  const int64_t width = s.outer * s.rows >= 64 ? s.inner : smaller(s.inner, 16 * kLanes<T>);
  const int64_t pieces = ceil_div(s.inner, width), each = 1 + s.count / s.rows;
  parallel_for(
      s.outer * s.rows * pieces, grain_for(each * width), [=, &s](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) {
          const int64_t row = item / pieces, at = item % pieces * width;
          const int64_t o = row / s.rows, r = row % s.rows;
          const int64_t first = starts[r];
          const int64_t n = r == s.padding ? 0 : starts[r + 1] - first;
          const T* const from = x + o * s.sources * s.inner + at;
          if (starts[r + 1] < s.count) {
            const int64_t next = order[starts[r + 1]];
            fetch_row(from + (s.from ? s.from[next] : next) * s.inner, width);
          }
          const T all = s.mean ? s.alpha / static_cast<T>(larger(n, 1)) : s.alpha;
          add_row<T>({from, order + first, n, all}, base ? base + row * s.inner + at : nullptr,
                     y + row * s.inner + at, smaller(width, s.inner - at), streamed, s);
        }
        if (streamed) stream_fence();
      });
}

template <class T>
void gather(const T* x, T* y, const Picks& s) {
  parallel_for(s.outer * s.m, grain_for(4 * s.inner), [=, &s](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {
      const int64_t o = r / s.m, stop = smaller(end, (o + 1) * s.m);
      const T* const from = x + o * s.n * s.inner;
      if (s.inner == 1) {
        for (; r < stop; ++r) y[r] = from[s.index[r]];
        continue;
      }
      for (; r < stop; ++r)
        for (int64_t i = 0; i < s.inner; ++i)
          y[r * s.inner + i] = from[s.index[r * s.inner + i] * s.inner + i];
    }
  });
}

// Several picks may go to one place: columns are shared out, each is walked in order.
template <class T>
void scatter(const T* x, const T* source, int64_t step, T* y, bool add, const Picks& s) {
  if (s.inner == 0) return;
  const int64_t width = s.outer >= 64 ? s.inner : smaller(s.inner, 64);
  const int64_t pieces = ceil_div(s.inner, width);
  const auto put = [=](T& place, T value) { place = add ? place + value : value; };
  const auto copy = [=](int64_t at, int64_t n) {
    if (x)
      std::memcpy(y + at, x + at, static_cast<size_t>(n) * sizeof(T));
    else
      std::memset(y + at, 0, static_cast<size_t>(n) * sizeof(T));
  };
  parallel_for(s.outer * pieces, grain_for((4 * s.m + s.n) * width),
               [=, &s](int64_t begin, int64_t end) {
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t o = item / pieces, at = item % pieces * width;
                   const int64_t stop = smaller(s.inner, at + width);
                   T* const to = y + o * s.n * s.inner;
                   if (width == s.inner)
                     copy(o * s.n * s.inner, s.n * s.inner);
                   else
                     for (int64_t row = 0; row < s.n; ++row)
                       copy((o * s.n + row) * s.inner + at, stop - at);
                   if (s.inner == 1) {
                     const int64_t* const index = s.index + o * s.m;
                     const T* const from = source + o * s.m * step;
                     for (int64_t j = 0; j < s.m; ++j)
                       if (index[j] >= 0) put(to[index[j]], from[j * step]);
                     continue;
                   }
                   for (int64_t j = 0; j < s.m; ++j) {
                     const int64_t row = (o * s.m + j) * s.inner;
                     for (int64_t i = at; i < stop; ++i) {
                       const int64_t pick = s.index[row + i];
                       if (pick >= 0) put(to[pick * s.inner + i], source[(row + i) * step]);
                     }
                   }
                 }
               });
}

}  // namespace

DLCORE_EXPORT(take_rows)
DLCORE_EXPORT(add_rows)
DLCORE_EXPORT(gather)
DLCORE_EXPORT(scatter)

}  // namespace DLCORE_ISA
}  // namespace dlcore
