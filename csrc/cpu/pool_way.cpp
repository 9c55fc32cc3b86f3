// The order of the work of pooling windows, forward and backward.

#include "cpu/pool_way.h"

#include "cpu/gemm_pack.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
DLCORE_INLINE PoolLine<T> take_line(Scratch& scratch, int64_t n, bool taps) {
  T* values = scratch.take<T>(n);
  return {values, taps ? scratch.take<T>(n) : nullptr};
}

// Whole vectors of padding. Its tap is the last one and loses against that of an equal element.
template <class T>
DLCORE_INLINE void fill(const PoolWay<T>& way, PoolLine<T> to, int64_t n) {
  using Index = decltype(Mask<T>{}[0] + 0);
  for (int64_t j = 0; j < n; j += kLanes<T>) {
    store<T>(to.values + j, splat<T>(way.padding));
    if (way.taps) store<T>(to.taps + j, Vec<T>(Mask<T>{} + (Index(1) << 30)));
  }
}

// The rows of x under rows of y, and the tap of each one's first column. An element of x is `lanes`
// numbers.
template <class T>
struct RowsUnder {
  const PoolWay<T>& way;
  const Pool& p;
  int64_t lanes;
  const T** rows;
  int64_t* taps;
  int64_t count = 0, plane = -1, d = 0, h = 0;  // of the last row

  RowsUnder(const PoolWay<T>& way, const Pool& p, int64_t lanes, Scratch& scratch)
      : way(way),
        p(p),
        lanes(lanes),
        rows(scratch.take<const T*>(way.rows)),
        taps(scratch.take<int64_t>(way.rows)) {}
  static int64_t bytes(const PoolWay<T>& way) { return 2 * (way.rows * 8 + 64); }

  DLCORE_INLINE_MEMBER void find(const T* x, const OutputRow& y) {
    const int64_t row = p.w.size * lanes;
    const bool next =
        h >= way.inner && y.h == h + 1 && y.h < way.inner_end && y.d == d && y.plane == plane;
    plane = y.plane, d = y.d, h = y.h;
    if (next) {
      for (int64_t i = 0; i < count; ++i) rows[i] += p.h.stride * row;
      return;
    }
    const PoolSpan ds = way.span(p.d, d), hs = way.span(p.h, h);
    int64_t n = 0;
    for (int64_t q = 0; q < ds.count; ++q) {
      const int64_t slice = plane * p.d.size + ds.begin + q * ds.step;
      const T* from = x + (slice * p.h.size + hs.begin) * row;
      for (int64_t r = 0; r < hs.count; ++r, ++n, from += hs.step * row) {
        rows[n] = from;
        taps[n] = (ds.tap + q) * way.tap_slice + (hs.tap + r) * way.tap_row;
      }
    }
    count = n;
  }
};

// Neighbours in a row in the lanes, to the end. Lines of a block of rows lie in scratch memory.
template <class T>
DLCORE_INLINE void reduce_rows(const PoolWay<T>& way, const T* x, const Pool& p) {
  constexpr int64_t L = kLanes<T>, kSize = static_cast<int64_t>(sizeof(T));
  const PoolFrame f = way.frame;
  const T* const x_end = x + p.planes * in_size(p);
  const int64_t pitch = round_up(f.low + f.columns + f.high, L) + 2 * L;
  const int64_t rows = larger(1, kBlockBytes / (pitch * kSize)), size = rows * pitch + 4 * L;
  const int64_t cost = way.rows * f.columns + way.columns * p.w.out + 64;
  parallel_for(p.planes * p.d.out * p.h.out, grain_for(cost / 2), [&](int64_t begin, int64_t end) {
    Scratch scratch(2 * size * kSize + RowsUnder<T>::bytes(way) + 2 * 64);
    const PoolLine<T> block = take_line<T>(scratch, size, way.taps);
    RowsUnder<T> under(way, p, 1, scratch);
    fill(way, block, size);
    OutputRow next(p, begin), done = next;
    for (int64_t row = begin; row < end; row += rows) {
      const int64_t n = smaller(rows, end - row);
      bool nan = false;
      for (int64_t i = 0; i < n; ++i, next.next(p)) {
        const PoolLine<T> line = block.at(i * pitch + f.low);
        under.find(x, next);
        nan |= way.down(way.self, under.rows, under.taps, under.count, f.columns, x_end, line);
        if (way.scale) way.scale(way.self, f.columns, line);
        fill(way, line.at(f.columns), f.high);
      }
      for (int64_t i = 0; i < n; ++i, done.next(p))
        way.close(way.self, block.at(i * pitch), way.divisor(way.self, done.d, done.h),
                  (row + i) * p.w.out, end * p.w.out);
      if (nan) way.again(way.self, row * p.w.out, n * p.w.out);
    }
  });
}

// Small planes, each in a lane.
template <class T>
DLCORE_INLINE void reduce_small_planes(const PoolWay<T>& way, const T* x, const Pool& p) {
  constexpr int64_t L = kLanes<T>, kSize = static_cast<int64_t>(sizeof(T));
  const int64_t in = in_size(p), out = out_size(p);
  const int64_t numbers = (in + 2 * p.w.size + 2 * out + 1) * L;
  const int64_t cost = L * (in + (way.rows + way.columns + 4) * out);
  parallel_for(ceil_div(p.planes, L), grain_for(cost / 2), [&](int64_t begin, int64_t end) {
    Scratch scratch(numbers * kSize + RowsUnder<T>::bytes(way) + p.w.out * 32 + 7 * 64);
    T* planes = scratch.take<T>(in * L);
    const PoolLine<T> line = take_line<T>(scratch, p.w.size * L, way.taps);
    const PoolLine<T> found = take_line<T>(scratch, out * L, way.taps);
    T* divisors = scratch.take<T>(L);
    RowsUnder<T> under(way, p, L, scratch);
    PoolSpan* spans = scratch.take<PoolSpan>(p.w.out);
    for (int64_t o = 0; o < p.w.out; ++o) spans[o] = way.span(p.w, o);
    fill_row<T>(T(0), in * L, planes);
    for (int64_t group = begin; group < end; ++group) {
      const int64_t first = group * L, lanes = smaller(L, p.planes - first);
      turn_in(x + first * in, in, lanes, in, planes);
      // Eight short streams are more than the hardware foresees.
      const int64_t ahead = smaller(in * L, (p.planes - first - lanes) * in);
      for (int64_t i = 0; i < ahead; i += 64 / kSize) __builtin_prefetch(x + (first + L) * in + i);
      OutputRow row(p, 0);
      bool nan = false;
      for (int64_t o = 0; o < out; o += p.w.out, row.next(p)) {
        under.find(planes, row);
        nan |= way.down(way.self, under.rows, under.taps, under.count, p.w.size * L,
                        planes + in * L, line);
        store<T>(divisors, splat<T>(way.divisor(way.self, row.d, row.h)));
        way.along(way.self, line, spans, 0, p.w.out, divisors, found.at(o * L));
      }
      way.finish(way.self, found, out, lanes, first * out, out);
      if (nan) way.again(way.self, first * out, lanes * out);
    }
  });
}

// Rows of y, each in a lane. Long ones are cut.
template <class T>
DLCORE_INLINE void reduce_turned_rows(const PoolWay<T>& way, const T* x, const Pool& p) {
  constexpr int64_t L = kLanes<T>, kSize = static_cast<int64_t>(sizeof(T)), kColumns = 512;
  const PoolAxis& w = p.w;
  const int64_t cut = w.size <= kColumns ? w.out : larger(1, kColumns * w.out / w.size);
  const int64_t reach = smaller(w.size, way.reach(w, cut)), pitch = round_up(reach, L) + L;
  const int64_t rows = p.planes * p.d.out * p.h.out, groups = ceil_div(rows, L);
  const int64_t numbers = 2 * (L * pitch + L * reach + L * cut) + L;
  const bool direct = way.plain && in_size(p) == w.size && out_size(p) == w.out;
  const int64_t cost = L * ((way.rows + 2) * reach + (way.columns + 4) * cut + 64);
  parallel_for(groups * ceil_div(w.out, cut), grain_for(cost / 2), [&](int64_t begin, int64_t end) {
    Scratch scratch(numbers * kSize + RowsUnder<T>::bytes(way) + cut * 32 + 8 * 64);
    const PoolLine<T> lines = take_line<T>(scratch, L * pitch, way.taps);
    const PoolLine<T> line = take_line<T>(scratch, L * reach, way.taps);
    const PoolLine<T> found = take_line<T>(scratch, L * cut, way.taps);
    T* divisors = scratch.take<T>(L);
    RowsUnder<T> under(way, p, 1, scratch);
    PoolSpan* spans = scratch.take<PoolSpan>(cut);
    fill_row<T>(way.divisor(way.self, 0, 0), L, divisors);
    int64_t spans_from = -1, left = 0, columns = 0;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t c0 = item / groups * cut, n = smaller(cut, w.out - c0);
      if (spans_from != c0) {
        int64_t right = 0;
        left = w.size;
        for (int64_t o = 0; o < n; ++o) {
          const PoolSpan span = spans[o] = way.span(w, c0 + o);
          left = smaller(left, span.begin);
          right = larger(right, span.begin + (span.count - 1) * span.step + 1);
        }
        for (int64_t o = 0; o < n; ++o) spans[o].begin -= left;
        columns = right - left;
        spans_from = c0;
        under.plane = -1;
      }
      const int64_t first = item % groups * L, lanes = smaller(L, rows - first);
      bool nan = false;
      if (direct) {
        turn_in(x + first * w.size + left, w.size, lanes, columns, line.values);
      } else {
        OutputRow row(p, first);
        for (int64_t l = 0; l < lanes; ++l, row.next(p)) {
          under.find(x + left, row);
          nan |= way.down(way.self, under.rows, under.taps, under.count, columns,
                          x + p.planes * in_size(p), lines.at(l * pitch));
          divisors[l] = way.divisor(way.self, row.d, row.h);
        }
        turn_in(lines.values, pitch, lanes, columns, line.values);
        if (way.taps) turn_in(lines.taps, pitch, lanes, columns, line.taps);
      }
      way.along(way.self, line, spans, c0, n, divisors, found);
      way.finish(way.self, found, n, lanes, first * w.out + c0, w.out);
      for (int64_t l = 0; nan && l < lanes; ++l) way.again(way.self, (first + l) * w.out + c0, n);
    }
  });
}

// Whole planes are transposed while they stay in L1, and while their rows are short.
template <class T>
DLCORE_INLINE void reduce(const PoolWay<T>& way, const T* x, const Pool& p, bool close) {
  constexpr int64_t L = kLanes<T>;
  const bool small = p.planes >= L / 2 && in_size(p) <= 512 && out_size(p) <= 512;
  const bool wide = p.w.out >= 2 * L && p.w.size >= 2 * L;
  if (small && !(close && wide)) return reduce_small_planes(way, x, p);
  close ? reduce_rows(way, x, p) : reduce_turned_rows(way, x, p);
}

}  // namespace

void reduce_by(const PoolWay<float>& way, const float* x, const Pool& p, bool close) {
  reduce(way, x, p, close);
}
void reduce_by(const PoolWay<double>& way, const double* x, const Pool& p, bool close) {
  reduce(way, x, p, close);
}
void turn_in(const float* from, int64_t row, int64_t rows, int64_t columns, float* to) {
  transpose<float>(from, row, rows, columns, to, kLanes<float>);
}
void turn_in(const double* from, int64_t row, int64_t rows, int64_t columns, double* to) {
  transpose<double>(from, row, rows, columns, to, kLanes<double>);
}
void turn_out(const float* from, int64_t columns, int64_t rows, float* to, int64_t row) {
  transpose<float>(from, kLanes<float>, columns, rows, to, row);
}
void turn_out(const double* from, int64_t columns, int64_t rows, double* to, int64_t row) {
  transpose<double>(from, kLanes<double>, columns, rows, to, row);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
