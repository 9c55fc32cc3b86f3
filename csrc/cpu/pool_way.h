// How windows are reduced: the order of the work is written once (pool_way.cpp), and calls what
// differs between maxima, means and their gradients through pointers, a row or more at a time.
#pragma once

#include "cpu/pool.h"

namespace dlcore {
namespace DLCORE_ISA {

// How a line of elements under a row of outputs lies in memory: with padding before and behind.
struct PoolFrame {
  int64_t low, columns, high;
};

// Values and, where they are kept, where each came from: bits of the same width.
template <class T>
struct PoolLine {
  T* values;
  T* taps;  // may be null
  DLCORE_INLINE_MEMBER PoolLine at(int64_t i) const {
    return {values + i, taps ? taps + i : nullptr};
  }
};

template <class T>
struct PoolWay {
  const void* self;
  bool taps;     // whether places are kept beside values
  bool plain;    // whether down keeps a single row as it is
  bool numbers;  // whether down wants the taps of rows: tap_row apart, those of slices tap_slice
  int64_t tap_row, tap_slice;
  int64_t rows, columns;     // the most elements under an output, in other rows and in one
  int64_t inner, inner_end;  // outputs of the height with rows of x as many and as far apart
  T padding;
  PoolFrame frame;
  PoolSpan (*span)(const PoolAxis& a, int64_t o);
  // The longest piece of a row under n outputs.
  int64_t (*reach)(const PoolAxis& a, int64_t n);
  // Reduces n columns of rows to a line. Nothing at or past `end` is read. Returns whether there
  // was a NaN, if that matters.
  bool (*down)(const void* self, const T* const* rows, const int64_t* taps, int64_t count,
               int64_t n, const T* end, PoolLine<T> line);
  // Before close, where it is not null: n numbers of a line.
  void (*scale)(const void* self, int64_t n, PoolLine<T> line);
  // By what the sums of a row of y are divided.
  T (*divisor)(const void* self, int64_t d, int64_t h);
  // Neighbours in a row in the lanes: a line with its padding becomes the outputs from `at` on.
  // Others up to `end` may be written over.
  void (*close)(const void* self, PoolLine<T> line, T divisor, int64_t at, int64_t end);
  // Rows in the lanes: a line becomes n outputs, those from `first` on of their rows.
  void (*along)(const void* self, PoolLine<T> line, const PoolSpan* spans, int64_t first, int64_t n,
                const T* divisors, PoolLine<T> to);
  // n outputs of each lane go to y from at + lane * step on.
  void (*finish)(const void* self, PoolLine<T> found, int64_t n, int64_t lanes, int64_t at,
                 int64_t step);
  // Once more, of outputs made of a NaN.
  void (*again)(const void* self, int64_t at, int64_t n);
};

// y = windows of x reduced, where x and y have the sizes of p. `close` says that close() may be
// used.
void reduce_by(const PoolWay<float>& way, const float* x, const Pool& p, bool close);
void reduce_by(const PoolWay<double>& way, const double* x, const Pool& p, bool close);

// Columns of up to kLanes rows become vectors, and back.
void turn_in(const float* from, int64_t row, int64_t rows, int64_t columns, float* to);
void turn_in(const double* from, int64_t row, int64_t rows, int64_t columns, double* to);
void turn_out(const float* from, int64_t columns, int64_t rows, float* to, int64_t row);
void turn_out(const double* from, int64_t columns, int64_t rows, double* to, int64_t row);

namespace {

// The pointers to the members of W of these names.
template <class T, class W>
DLCORE_INLINE PoolWay<T> way_of(const W& w) {
  PoolWay<T> way;
  way.self = &w;
  way.plain = false;
  way.inner = way.inner_end = 0;
  way.scale = nullptr;
  way.span = &W::span;
  way.reach = &W::reach;
  way.down = [](const void* self, const T* const* rows, const int64_t* taps, int64_t count,
                int64_t n, const T* end, PoolLine<T> line) {
    return static_cast<const W*>(self)->down(rows, taps, count, n, end, line);
  };
  way.divisor = [](const void* self, int64_t d, int64_t h) {
    return static_cast<const W*>(self)->divisor(d, h);
  };
  way.close = [](const void* self, PoolLine<T> line, T divisor, int64_t at, int64_t end) {
    static_cast<const W*>(self)->close(line, divisor, at, end);
  };
  way.along = [](const void* self, PoolLine<T> line, const PoolSpan* spans, int64_t first,
                 int64_t n, const T* divisors, PoolLine<T> to) {
    static_cast<const W*>(self)->along(line, spans, first, n, divisors, to);
  };
  way.finish = [](const void* self, PoolLine<T> found, int64_t n, int64_t lanes, int64_t at,
                  int64_t step) { static_cast<const W*>(self)->finish(found, n, lanes, at, step); };
  way.again = [](const void* self, int64_t at, int64_t n) {
    static_cast<const W*>(self)->again(at, n);
  };
  return way;
}

DLCORE_INLINE bool in_pairs(const PoolAxis& w) {
  return w.stride == 2 && w.dilation == 1 && (w.kernel == 2 || w.kernel == 3);
}

// Windows: what maxima and means have in common.
template <class T>
struct Windows {
  const Pool& p;

  static PoolSpan span(const PoolAxis& a, int64_t o) { return span_of(a, o); }
  static int64_t reach(const PoolAxis& a, int64_t n) {
    return adaptive(a) ? ceil_div(n * a.size, a.out) + 1
                       : (n - 1) * a.stride + (a.kernel - 1) * a.dilation + 1;
  }
  template <class W>
  DLCORE_INLINE_MEMBER PoolWay<T> way(const W& w, T padding) const {
    PoolWay<T> way = way_of<T>(w);
    way.tap_row = p.w.kernel;
    way.tap_slice = p.h.kernel * p.w.kernel;
    way.rows = p.d.kernel * p.h.kernel;
    way.columns = p.w.kernel;
    way.padding = padding;
    if (!adaptive(p.h)) {
      way.inner = ceil_div(p.h.low, p.h.stride);
      way.inner_end = (p.h.size + p.h.low - (p.h.kernel - 1) * p.h.dilation - 1) / p.h.stride + 1;
    }
    const int64_t reached = reach(p.w, p.w.out);
    const int64_t columns = smaller(p.w.size, larger(reached - p.w.low, 0));
    way.frame = {p.w.low, columns, reached - p.w.low - columns};
    return way;
  }
  // Of float64 only the plain way: the others are 2 KB each.
  bool has_close() const { return p.w.stride == 1 || (kIsFloat<T> && in_pairs(p.w)); }

  // body(j, kernel, ordered, value) for outputs j, j + 1, ... of a row: value(from, s) is their tap
  // s in a line, in an order that `ordered` changes.
  template <class Body>
  DLCORE_INLINE_MEMBER void each_close(bool unrolled, const Body& body) const {
    constexpr int64_t L = kLanes<T>;
    const int64_t step = p.w.dilation, n = p.w.out, kernel = p.w.kernel;
    const auto close = [&](int64_t count) __attribute__((always_inline)) {
      for (int64_t j = 0; j < n; j += L)
        body(
            j, count, [](Vec<T> v) { return v; },
            [=](const T* line, int64_t s) { return load<T>(line + j + s * step); });
    };
    const auto pairs = [&](int64_t count) __attribute__((always_inline)) {
      for (int64_t j = 0; j < n; j += L)
        body(
            j, count, [](Vec<T> v) { return in_order(v); },
            [=](const T* line, int64_t s) {
              const T* from = line + 2 * j + s / 2 * 2;  // the third is the next output's first
              const Vec<T> a = load<T>(from), b = load<T>(from + L);
              return s % 2 ? odd_mixed<T>(a, b) : even_mixed<T>(a, b);
            });
    };
    if constexpr (kIsFloat<T>) {
      if (p.w.stride == 2) return kernel == 2 ? pairs(2) : pairs(3);
      if (unrolled && kernel == 3) return close(3);
    }
    close(kernel);
  }
};

// An Op reduces windows. It has kShort, whether loops for 2 and 3 are worth their code; identity,
// the value of padding; take(v), of an element, plain(), whether that is v; join(a, v); finish(a,
// divisor), where the divisor of an output is row(d, h), of its row, times columns(j) or column(j).
// A division takes as long as the rest of an output: most rows are common(divisors) and have
// scales(j) or scale(j) to multiply by.

// line[j] = the n columns of `rows` reduced. Nothing at or past `end` is read.
template <class T, class Op>
DLCORE_INLINE void reduce_columns(const T* const* rows, int64_t many, int64_t n, const T* end,
                                  const Op& shared, T* line) {
  constexpr int64_t L = kLanes<T>;
  const Op op = shared;
  with_count(Op::kShort ? many : 0, [&]<int kCount>() {
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
  });
}

// The way of an Op.
template <class T, class Op>
struct Reduced : Windows<T> {
  Op op;
  T* y;

  Reduced(const Pool& p, const Op& op, T* y) : Windows<T>{p}, op(op), y(y) {}

  bool down(const T* const* rows, const int64_t*, int64_t count, int64_t n, const T* end,
            PoolLine<T> line) const {
    reduce_columns<T>(rows, count, n, end, op, line.values);
    return false;
  }
  T divisor(int64_t d, int64_t h) const { return op.row(d, h); }
  void close(PoolLine<T> line, T divisor, int64_t at, int64_t end) const {
    constexpr int64_t L = kLanes<T>;
    const Op all = op;
    const bool common = all.common(splat<T>(divisor));
    const int64_t n = this->p.w.out;
    T* const to = y + at;
    this->each_close(Op::kShort, [=](int64_t j, int64_t kernel, const auto& ordered,
                                     const auto& tap) __attribute__((always_inline)) {
      Vec<T> a = tap(line.values, 0);
      for (int64_t s = 1; s < kernel; ++s) a = all.join(a, tap(line.values, s));
      a = ordered(a);
      a = common ? a * all.scales(j) : all.finish(a, all.columns(j) * divisor);
      store_lanes(to + j, at + j + L <= end ? L : smaller(L, n - j), a);
    });
  }
  void along(PoolLine<T> line, const PoolSpan* spans, int64_t first, int64_t n, const T* divisors,
             PoolLine<T> to) const {
    constexpr int64_t L = kLanes<T>;
    const Op all = op;
    const Vec<T> divided_by = load<T>(divisors);
    const bool common = all.common(divided_by);
    for (int64_t o = 0; o < n; ++o) {
      const PoolSpan span = spans[o];
      const T* from = line.values + span.begin * L;
      const int64_t step = span.step * L;
      Vec<T> a = load<T>(from);
      if (span.count >= 2) a = all.join(a, load<T>(from + step));
      if (span.count >= 3) a = all.join(a, load<T>(from + 2 * step));
      for (int64_t s = 3; s < span.count; ++s) a = all.join(a, load<T>(from + s * step));
      store<T>(to.values + o * L, common ? a * all.scale(first + o)
                                         : all.finish(a, divided_by * all.column(first + o)));
    }
  }
  void finish(PoolLine<T> found, int64_t n, int64_t lanes, int64_t at, int64_t step) const {
    turn_out(found.values, n, lanes, y + at, step);
  }
  void again(int64_t, int64_t) const {}
};

// y = each window of x reduced.
template <class T, class Op>
DLCORE_INLINE void reduce_windows(const T* x, T* y, const Pool& p, const Op& op) {
  const Reduced<T, Op> reduced(p, op, y);
  PoolWay<T> way = reduced.way(reduced, op.identity);
  way.taps = way.numbers = false;
  way.plain = op.plain();
  reduce_by(way, x, p, reduced.has_close());
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
