// What the poolings share: which elements a window holds, and the order of the work.
//
// A window is reduced down the columns first: the rows of x under one row of y, over height and
// depth, become one line with the padding written around it. The line is split into its stride
// phases (rows.h), so that one tap of neighbouring outputs is one vector load, and is reduced along
// the row. Of 3 x 3 taps 3 + 3 are left, of 3 x 3 x 3 9 + 3.
//
// Vectors may end beyond a row. A load does where the array goes on; a store where the chunk does,
// which writes the following row later.
#pragma once

#include "cpu/norm.h"
#include "cpu/rows.h"
#include "cpu/scratch.h"
#include "cpu/simd_math.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kBlockBytes = 16 << 10;  // lines reduced along the row together: half of L1

DLCORE_INLINE bool adaptive(const PoolAxis& a) {
  return a.stride == 0;
}
DLCORE_INLINE int64_t in_size(const Pool& p) {
  return p.d.size * p.h.size * p.w.size;
}
DLCORE_INLINE int64_t out_size(const Pool& p) {
  return p.d.out * p.h.out * p.w.out;
}
DLCORE_INLINE int64_t taps_of(const Pool& p) {
  return p.d.kernel * p.h.kernel * p.w.kernel;
}

// Where output o's window begins: before the input, if the padding does.
DLCORE_INLINE int64_t window_begin(const PoolAxis& a, int64_t o) {
  return adaptive(a) ? o * a.size / a.out : o * a.stride - a.low;
}

// The elements of a window that are inside: begin, begin + step, ..., and the first one's tap.
struct Span {
  int64_t begin, step, count, tap;
};
DLCORE_INLINE Span span_of(const PoolAxis& a, int64_t o) {
  const int64_t start = window_begin(a, o);
  if (adaptive(a)) return {start, 1, ceil_div((o + 1) * a.size, a.out) - start, 0};
  int64_t tap = larger(-start, 0), end = larger(a.size - start, 0);
  if (a.dilation > 1) {  // a division costs as much as a row of 16
    tap = ceil_div(tap, a.dilation);
    end = ceil_div(end, a.dilation);
  }
  return {start + tap * a.dilation, a.dilation, smaller(end, a.kernel) - tap, tap};
}

// body(o, tap) for the windows that hold element i.
template <class Body>
DLCORE_INLINE void each_window(const PoolAxis& a, int64_t i, const Body& body) {
  if (adaptive(a)) {
    for (int64_t o = i * a.out / a.size; o < ceil_div((i + 1) * a.out, a.size); ++o)
      body(o, i - window_begin(a, o));
    return;
  }
  const int64_t place = i + a.low;
  if (a.dilation > 1) {
    for (int64_t tap = smaller(a.kernel - 1, place / a.dilation); tap >= 0; --tap) {
      const int64_t start = place - tap * a.dilation;
      if (start % a.stride == 0 && start / a.stride < a.out) body(start / a.stride, tap);
    }
    return;
  }
  const int64_t first = larger(place - a.kernel + a.stride, 0);
  const int64_t end = smaller(a.out, (a.stride > 1 ? place / a.stride : place) + 1);
  for (int64_t o = a.stride > 1 ? first / a.stride : first; o < end; ++o)
    body(o, place - o * a.stride);
}
DLCORE_INLINE int64_t most_windows(const PoolAxis& a) {
  return adaptive(a) ? a.out / a.size + 2 : a.kernel;
}

// Rows of y one after the other, through heights, depths and planes.
struct OutputRow {
  int64_t plane, d, h;

  OutputRow(const Pool& p, int64_t row)
      : plane(row / p.h.out / p.d.out), d(row / p.h.out % p.d.out), h(row % p.h.out) {}
  DLCORE_INLINE_MEMBER void next(const Pool& p) {
    if (++h < p.h.out) return;
    h = 0;
    if (++d < p.d.out) return;
    d = 0;
    ++plane;
  }
};

// The rows of x under a row of y, and the tap of each one's first column. Returns how many.
template <class T>
DLCORE_INLINE int64_t rows_under(const T* x, const Pool& p, const OutputRow& y, const T** rows,
                                 int64_t* taps) {
  const Span d = span_of(p.d, y.d), h = span_of(p.h, y.h);
  const T* plane = x + y.plane * in_size(p);
  int64_t n = 0;
  for (int64_t q = 0; q < d.count; ++q)
    for (int64_t r = 0; r < h.count; ++r, ++n) {
      rows[n] = plane + ((d.begin + q * d.step) * p.h.size + h.begin + r * h.step) * p.w.size;
      taps[n] = ((d.tap + q) * p.h.kernel + h.tap + r) * p.w.kernel;
    }
  return n;
}

// How the lines of a block of output rows lie in scratch memory: `low` elements of padding,
// `columns` of x, `high` of padding. They follow one another without a gap, as one long line, when
// the windows tile the row and the caller does not mind.
template <class T>
struct Lines {
  int64_t low, columns, high, pitch, rows;
  bool joined;
  int64_t phase;  // elements of a split line's phase; with adaptive windows, of a tap's line
  const PoolAxis& w;

  Lines(const Pool& p, bool may_join) : w(p.w) {
    constexpr int64_t L = kLanes<T>;
    const int64_t span = (w.kernel - 1) * w.dilation + 1;
    const int64_t reach = adaptive(w) ? w.size + 1 : (w.out - 1) * w.stride + span;
    low = w.low;
    columns = smaller(w.size, larger(reach - low, 0));
    high = reach - low - columns;
    joined = may_join && low == 0 && w.size == w.out * w.stride && span <= w.stride;
    pitch = joined ? w.size : round_up(reach, L) + 2 * L;
    rows = larger(1, kBlockBytes / (pitch * static_cast<int64_t>(sizeof(T))));
    if (adaptive(w))
      phase = round_up(w.out, L);
    else
      phase = round_up(ceil_div(joined ? rows * pitch : pitch, w.stride), L) + 2 * L;
  }
  int64_t size() const { return rows * pitch + 4 * kLanes<T>; }
  int64_t split_size() const {
    if (w.stride == 1) return 0;
    return phase * (adaptive(w) ? w.kernel : w.stride) + 4 * kLanes<T>;
  }
  // Where each tap of output 0 lies in a split line, that of output j is j further. With adaptive
  // windows also, for each tap and output, where in the line it comes from.
  int64_t table_size() const { return w.kernel + (adaptive(w) ? w.kernel * phase : 0); }
  void fill_table(int64_t* table) const {
    for (int64_t s = 0; s < w.kernel; ++s) {
      const int64_t at = s * w.dilation;
      table[s] = adaptive(w)     ? s * phase
                 : w.stride == 1 ? at
                                 : at % w.stride * phase + at / w.stride;
    }
    if (!adaptive(w)) return;
    for (int64_t j = 0; j < phase; ++j) {
      const Span window = span_of(w, smaller(j, w.out - 1));
      for (int64_t s = 0; s < w.kernel; ++s)  // w.size is the padding's place
        table[w.kernel + s * phase + j] = s < window.count ? window.begin + s : w.size;
    }
  }
  // Splits a run of lines; returns what the table's places count from.
  const T* split(const T* line, int64_t lines, const int64_t* table, T* to) const {
    if (w.stride == 1) return line;
    if (adaptive(w)) {
      const int64_t* source = table + w.kernel;
      for (int64_t i = 0; i < w.kernel * phase; ++i) to[i] = line[source[i]];
    } else {
      const int64_t n = joined ? lines * pitch : low + columns + high;
      split_row<T>(line, n, 0, w.stride, to, phase);
    }
    return to;
  }
};

// Calls f.template operator()<n>() for the counts that nearly all windows have, 2 and 3, and with 0
// for the others: a loop of a known length costs half the instructions.
template <class F>
DLCORE_INLINE void with_count(int64_t count, const F& f) {
  if (count == 2) return f.template operator()<2>();
  if (count == 3) return f.template operator()<3>();
  f.template operator()<0>();
}

// line[j] = the n columns of `rows` reduced. Nothing at or past `end` is read.
template <int kCount, class T, class Op>
DLCORE_INLINE void reduce_columns(const T* const* rows, int64_t many, int64_t n, const T* end,
                                  const Op& op, T* line) {
  constexpr int64_t L = kLanes<T>;
  const int64_t count = kCount ? kCount : many;
  int64_t j = 0;
  for (; j + 2 * L <= n; j += 2 * L) {
    Vec<T> a = op.take(load<T>(rows[0] + j)), b = op.take(load<T>(rows[0] + j + L));
    for (int64_t i = 1; i < count; ++i) {
      a = op.join(a, op.take(load<T>(rows[i] + j)));
      b = op.join(b, op.take(load<T>(rows[i] + j + L)));
    }
    store<T>(line + j, a);
    store<T>(line + j + L, b);
  }
  for (; j < n; j += L) {
    const int64_t lanes = rows[count - 1] + j + L <= end ? L : smaller(L, n - j);
    Vec<T> a = op.take(load_lanes(rows[0] + j, lanes));
    for (int64_t i = 1; i < count; ++i) a = op.join(a, op.take(load_lanes(rows[i] + j, lanes)));
    store<T>(line + j, a);
  }
}

// y[j] = the taps of n outputs reduced and finished. What is stored past them lies before `end`.
template <int kCount, class T, class Op>
DLCORE_INLINE void reduce_taps(const T* taps, const int64_t* places, int64_t many, int64_t n,
                               const Op& op, T count, T* y, const T* end) {
  constexpr int64_t L = kLanes<T>;
  const int64_t kernel = kCount ? kCount : many;
  int64_t j = 0;
  for (; j + 2 * L <= n; j += 2 * L) {
    Vec<T> a = load<T>(taps + places[0] + j), b = load<T>(taps + places[0] + j + L);
    for (int64_t s = 1; s < kernel; ++s) {
      a = op.join(a, load<T>(taps + places[s] + j));
      b = op.join(b, load<T>(taps + places[s] + j + L));
    }
    store<T>(y + j, op.finish(a, count, j));
    store<T>(y + j + L, op.finish(b, count, j + L));
  }
  for (; j < n; j += L) {
    Vec<T> a = load<T>(taps + places[0] + j);
    for (int64_t s = 1; s < kernel; ++s) a = op.join(a, load<T>(taps + places[s] + j));
    const int64_t lanes = y + j + L <= end ? L : smaller(L, n - j);
    store_lanes(y + j, lanes, op.finish(a, count, j));
  }
}

// The same from a line that is not split, of windows of 2 or 3 at a stride of 2: the third tap is
// the first of the next output.
template <int kCount, class T, class Op>
DLCORE_INLINE void reduce_pairs(const T* line, int64_t n, const Op& op, T count, T* y,
                                const T* end) {
  constexpr int64_t L = kLanes<T>;
  constexpr AllLanes<T> all{};
  for (int64_t j = 0; j < n; j += L) {
    const T* from = line + 2 * j;
    const Vec<T> low = load<T>(from), high = load<T>(from + L);
    Vec<T> a = op.join(even_of(low, high, all), odd_of(low, high, all));
    if constexpr (kCount == 3)
      a = op.join(a, even_of(load<T>(from + 2), load<T>(from + L + 2), all));
    const int64_t lanes = y + j + L <= end ? L : smaller(L, n - j);
    store_lanes(y + j, lanes, op.finish(a, count, j));
  }
}

// y = each window of x reduced. Op has kShort, whether loops for 2 and 3 are worth their code;
// identity, the value of padding; uniform, whether it finishes all outputs alike; take(v), of an
// element; join(a, v); finish(a, count(row), j), of output j of a row.
template <class T, class Op>
DLCORE_INLINE void reduce_windows(const T* x, T* y, const Pool& p, const Op& op) {
  const Lines<T> lines(p, op.uniform);
  const int64_t depth = p.d.kernel * p.h.kernel;
  const int64_t cost = depth * p.w.size + p.w.kernel * p.w.out + 64;
  parallel_for(p.planes * p.d.out * p.h.out, grain_for(cost / 2), [&](int64_t begin, int64_t end) {
    Scratch scratch((lines.size() + lines.split_size()) * static_cast<int64_t>(sizeof(T)) +
                    (2 * depth + lines.table_size()) * 8 + 5 * 64);
    T* block = scratch.take<T>(lines.size());
    T* split = scratch.take<T>(lines.split_size());
    const T** rows = scratch.take<const T*>(depth);
    int64_t* taps = scratch.take<int64_t>(depth);
    int64_t* table = scratch.take<int64_t>(lines.table_size());
    lines.fill_table(table);
    fill_row<T>(op.identity, lines.size(), block);
    const T* x_end = x + p.planes * in_size(p);
    const T* y_end = y + end * p.w.out;

    OutputRow above(p, begin), done = above;
    for (int64_t row = begin; row < end; row += lines.rows) {
      const int64_t n = smaller(lines.rows, end - row);
      for (int64_t i = 0; i < n; ++i, above.next(p)) {
        T* line = block + i * lines.pitch + lines.low;
        const int64_t count = rows_under(x, p, above, rows, taps);
        with_count(Op::kShort ? count : 0, [&]<int kCount>() {
          reduce_columns<kCount>(rows, count, lines.columns, x_end, op, line);
        });
        for (int64_t j = 0; j < lines.high; j += kLanes<T>)
          store<T>(line + lines.columns + j, splat<T>(op.identity));
      }
      const int64_t runs = lines.joined ? 1 : n, together = lines.joined ? n : 1;
      for (int64_t i = 0; i < runs; ++i, done.next(p)) {
        const T* line = block + i * lines.pitch;
        T* to = y + (row + i) * p.w.out;
        const int64_t outputs = together * p.w.out;
        with_count(Op::kShort ? p.w.kernel : 0, [&]<int kCount>() {
          if constexpr (kCount > 0)
            if (p.w.stride == 2 && p.w.dilation == 1)
              return reduce_pairs<kCount>(line, outputs, op, op.count(done), to, y_end);
          reduce_taps<kCount>(lines.split(line, together, table, split), table, p.w.kernel, outputs,
                              op, op.count(done), to, y_end);
        });
      }
    }
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
