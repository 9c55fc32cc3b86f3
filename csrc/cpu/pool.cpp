// The largest or smallest of each window, and where it was found. Backward is in pool_backward.cpp,
// averages in pool_average.cpp, whole planes in pool_global.cpp.
//
// Bound by memory: one read of x, one write of y and, for backward, one byte per output.

#include "cpu/pool_halves.h"
#include "cpu/pool_taps.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// The largest of x ^ sign, NaN if there is one.
template <class T>
struct Largest {
  static constexpr bool kShort = true;
  Bits<T> sign;
  T identity = -kInf<T>;
  bool uniform = true;
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return turned<T>(v, sign); }
  DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> v) const {
    return a == a ? max<T>(a, v) : a;  // max gives its second operand where it is NaN
  }
  DLCORE_INLINE_MEMBER T count(const OutputRow&) const { return T(1); }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> a, T, int64_t) const { return turned<T>(a, sign); }
};

// Lines of values and, as bits of the same width, of taps. A window's taps grow in the order in
// which PyTorch looks through it; padding has the last one and so loses against an equal -inf.
template <class T>
struct TapLines {
  using Index = decltype(Mask<T>{}[0] + 0);
  static constexpr Index kPadding = Index(1) << 30;
  T* values;
  T* taps;
};

// values[j] and taps[j] = the largest of the n columns of `rows`, the first of equal ones. Returns
// lanes that are not 0 if a value was NaN, for which that is not true.
template <int kCount, class T>
DLCORE_INLINE Mask<T> largest_of_columns(const T* const* rows, const int64_t* row_taps,
                                         int64_t many, int64_t n, const T* end, Bits<T> sign,
                                         TapLines<T> to) {
  using Index = typename TapLines<T>::Index;
  constexpr int64_t L = kLanes<T>;
  const int64_t count = kCount ? kCount : many;
  Mask<T> nan{};
  const auto step = [&](int64_t j, const auto& value) {
    Vec<T> best = value(0);
    Mask<T> tap = Mask<T>{} + static_cast<Index>(row_taps[0]);
    nan |= best != best;
    for (int64_t i = 1; i < count; ++i) {
      const Vec<T> v = value(i);
      nan |= v != v;
      tap = v > best ? Mask<T>{} + static_cast<Index>(row_taps[i]) : tap;
      best = max<T>(v, best);
    }
    store<T>(to.values + j, best);
    store<T>(to.taps + j, Vec<T>(tap));
  };
  int64_t j = 0;
  for (; j + L <= n; j += L)
    step(j, [=](int64_t i) { return turned<T>(load<T>(rows[i] + j), sign); });
  if (j < n) {
    const int64_t lanes = rows[count - 1] + j + L <= end ? L : n - j;
    step(j, [=](int64_t i) { return turned<T>(load_lanes(rows[i] + j, lanes), sign); });
  }
  return nan;
}

template <class T>
DLCORE_INLINE bool any_lane(Mask<T> mask) {
  uint64_t words[kVectorBytes / 8], any = 0;
  std::memcpy(words, &mask, sizeof words);
  for (const uint64_t word : words) any |= word;
  return any != 0;
}

// The same along the row, for n outputs.
template <int kCount, class T>
DLCORE_INLINE void largest_of_taps(TapLines<T> from, const int64_t* places, int64_t many, int64_t n,
                                   Bits<T> sign, T* y, const T* end, const TapWriter& taps) {
  using Index = typename TapLines<T>::Index;
  constexpr int64_t L = kLanes<T>;
  const int64_t kernel = kCount ? kCount : many;
  for (int64_t j = 0; j < n; j += L) {
    Vec<T> best = load<T>(from.values + places[0] + j);
    Mask<T> tap = Mask<T>(load<T>(from.taps + places[0] + j));
    for (int64_t s = 1; s < kernel; ++s) {
      const Vec<T> v = load<T>(from.values + places[s] + j);
      const Mask<T> other = Mask<T>(load<T>(from.taps + places[s] + j)) + static_cast<Index>(s);
      const Mask<T> wins = (v > best) | ((v == best) & (other < tap));
      tap = wins ? other : tap;
      best = max<T>(v, best);
    }
    const int64_t lanes = y + j + L <= end ? L : smaller(L, n - j);
    store_lanes(y + j, lanes, turned<T>(best, sign));
    taps.store<T>(j, lanes, tap);
  }
}

// One row of y in PyTorch's words: a later NaN takes over from an earlier one.
template <class T>
void largest_one_by_one(const T* const* rows, const int64_t* row_taps, int64_t count,
                        const PoolAxis& w, bool lowest, T* y, TapWriter taps) {
  for (int64_t ow = 0; ow < w.out; ++ow) {
    const Span span = span_of(w, ow);
    T best = -kInf<T>;
    int64_t tap = row_taps[0] + span.tap;
    for (int64_t i = 0; i < count; ++i)
      for (int64_t s = 0; s < span.count; ++s) {
        const T x = rows[i][span.begin + s * span.step], v = lowest ? -x : x;
        if (!(v > best) && v == v) continue;
        best = v;
        tap = row_taps[i] + span.tap + s;
      }
    y[ow] = lowest ? -best : best;
    taps.store_one(ow, tap);
  }
}

template <class T>
DLCORE_INLINE void largest_with_taps(const T* x, T* y, void* taps, const Pool& p, bool lowest) {
  const Lines<T> lines(p, true);
  const Bits<T> sign = sign_of<T>(lowest);
  const int64_t depth = p.d.kernel * p.h.kernel;
  const int64_t cost = 2 * (depth * p.w.size + p.w.kernel * p.w.out) + 64;
  parallel_for(p.planes * p.d.out * p.h.out, grain_for(cost), [&](int64_t begin, int64_t end) {
    Scratch scratch(2 * (lines.size() + lines.split_size()) * static_cast<int64_t>(sizeof(T)) +
                    (2 * depth + lines.table_size()) * 8 + 7 * 64);
    const TapLines<T> block{scratch.take<T>(lines.size()), scratch.take<T>(lines.size())};
    const TapLines<T> split{scratch.take<T>(lines.split_size()),
                            scratch.take<T>(lines.split_size())};
    const T** rows = scratch.take<const T*>(depth);
    int64_t* row_taps = scratch.take<int64_t>(depth);
    int64_t* table = scratch.take<int64_t>(lines.table_size());
    lines.fill_table(table);
    const Vec<T> padding = Vec<T>(Mask<T>{} + TapLines<T>::kPadding);
    for (int64_t j = 0; j < lines.size(); j += kLanes<T>) {
      store<T>(block.values + j, splat<T>(-kInf<T>));
      store<T>(block.taps + j, padding);
    }
    const T* x_end = x + p.planes * in_size(p);
    const T* y_end = y + end * p.w.out;
    const auto at = [](TapLines<T> all, int64_t i) {
      return TapLines<T>{all.values + i, all.taps + i};
    };

    OutputRow above(p, begin);
    for (int64_t row = begin; row < end; row += lines.rows) {
      const int64_t n = smaller(lines.rows, end - row);
      OutputRow again = above;
      Mask<T> nan{};
      for (int64_t i = 0; i < n; ++i, above.next(p)) {
        const TapLines<T> line = at(block, i * lines.pitch + lines.low);
        const int64_t count = rows_under(x, p, above, rows, row_taps);
        with_count(count, [&]<int kCount>() {
          nan |=
              largest_of_columns<kCount>(rows, row_taps, count, lines.columns, x_end, sign, line);
        });
        for (int64_t j = lines.columns; j < lines.columns + lines.high; j += kLanes<T>) {
          store<T>(line.values + j, splat<T>(-kInf<T>));
          store<T>(line.taps + j, padding);
        }
      }
      if (any_lane<T>(nan)) {
        for (int64_t i = row; i < row + n; ++i, again.next(p)) {
          const int64_t count = rows_under(x, p, again, rows, row_taps);
          largest_one_by_one(rows, row_taps, count, p.w, lowest, y + i * p.w.out,
                             TapWriter(taps, p, i * p.w.out));
        }
        continue;
      }
      const int64_t runs = lines.joined ? 1 : n, together = lines.joined ? n : 1;
      for (int64_t i = 0; i < runs; ++i) {
        const TapLines<T> line = at(block, i * lines.pitch);
        const TapLines<T> from{
            const_cast<T*>(lines.split(line.values, together, table, split.values)),
            const_cast<T*>(lines.split(line.taps, together, table, split.taps))};
        const int64_t to = (row + i) * p.w.out;
        with_count(p.w.kernel, [&]<int kCount>() {
          largest_of_taps<kCount>(from, table, p.w.kernel, together * p.w.out, sign, y + to, y_end,
                                  TapWriter(taps, p, to));
        });
      }
    }
  });
}

// y = the largest of each window, or the smallest, its first occurrence on ties; NaN wins. taps
// (may be null) gets the place in the window: uint8 while a window has at most 256 elements, else
// int32.
template <class T>
void max_pool_forward(const T* x, T* y, void* taps, const Pool& p, bool lowest) {
  if (halves(p)) return halves_forward<T>(x, y, static_cast<uint8_t*>(taps), p, lowest);
  if (taps) return largest_with_taps<T>(x, y, taps, p, lowest);
  reduce_windows<T>(x, y, p, Largest<T>{sign_of<T>(lowest)});
}

}  // namespace

DLCORE_EXPORT(max_pool_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
