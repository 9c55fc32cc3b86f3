// The largest or smallest of each window, and where it was found. Backward is in pool_backward.cpp,
// averages in pool_average.cpp, whole planes in pool_global.cpp.
//
// Bound by memory: one read of x, one write of y and, for backward, one byte per output.

#include "cpu/pool_taps.h"
#include "cpu/pool_way.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// The largest of x ^ sign, NaN if there is one.
template <class T>
struct Largest {
  static constexpr bool kShort = true;
  Bits<T> sign;
  T identity = -kInf<T>;
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return turned<T>(v, sign); }
  bool plain() const { return sign[0] == 0; }
  DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> v) const {
    return a == a ? max<T>(a, v) : a;  // max gives its second operand where it is NaN
  }
  DLCORE_INLINE_MEMBER T row(int64_t, int64_t) const { return T(1); }
  DLCORE_INLINE_MEMBER bool common(Vec<T>) const { return false; }
  DLCORE_INLINE_MEMBER T scale(int64_t) const { return T(1); }
  DLCORE_INLINE_MEMBER Vec<T> scales(int64_t) const { return Vec<T>{}; }
  DLCORE_INLINE_MEMBER T column(int64_t) const { return T(1); }
  DLCORE_INLINE_MEMBER Vec<T> columns(int64_t) const { return Vec<T>{}; }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> a, Vec<T>) const { return turned<T>(a, sign); }
};

// The largest of each column of some rows, the first of equal ones, and its tap. A window's taps
// grow in the order in which PyTorch looks through it. Keeps lanes that are not 0 once a value was
// NaN, for which that is not true.
template <class T>
struct LargestWithTaps : Windows<T> {
  using Index = decltype(Mask<T>{}[0] + 0);
  Bits<T> sign;
  const T* x;
  T* y;
  void* taps;

  LargestWithTaps(const Pool& p, Bits<T> sign, const T* x, T* y, void* taps)
      : Windows<T>{p}, sign(sign), x(x), y(y), taps(taps) {}
  T divisor(int64_t, int64_t) const { return T(1); }

  bool down(const T* const* rows, const int64_t* row_taps, int64_t many, int64_t n, const T* end,
            PoolLine<T> to) const {
    constexpr int64_t L = kLanes<T>;
    const Bits<T> turning = sign;
    Mask<T> any{};
    with_count(many, [&]<int kCount>() {
      const int64_t count = kCount ? kCount : many;
      const auto step = [&](int64_t j, const auto& value) __attribute__((always_inline)) {
        Vec<T> best = turned<T>(value(0), turning);
        Mask<T> tap = Mask<T>{} + static_cast<Index>(row_taps[0]);
        any |= best != best;
        for (int64_t i = 1; i < count; ++i) {
          const Vec<T> v = turned<T>(value(i), turning);
          any |= v != v;
          tap = v > best ? Mask<T>{} + static_cast<Index>(row_taps[i]) : tap;
          best = max<T>(v, best);
        }
        store<T>(to.values + j, best);
        store<T>(to.taps + j, Vec<T>(tap));
      };
      int64_t j = 0;
      for (; j + L <= n; j += L) step(j, [=](int64_t i) { return load<T>(rows[i] + j); });
      if (j < n) {
        const int64_t lanes = rows[count - 1] + j + L <= end ? L : n - j;
        step(j, [=](int64_t i) { return load_lanes(rows[i] + j, lanes); });
      }
    });
    return any_lane<T>(any);
  }

  DLCORE_INLINE_MEMBER static void join(Vec<T>& best, Mask<T>& tap, Vec<T> v, Mask<T> other) {
    const Mask<T> wins = (v > best) | ((v == best) & (other < tap));
    tap = wins ? other : tap;
    best = max<T>(v, best);
  }

  void close(PoolLine<T> line, T, int64_t at, int64_t end) const {
    constexpr int64_t L = kLanes<T>;
    const TapWriter writer(taps, this->p, at);
    const Bits<T> turning = sign;
    const int64_t n = this->p.w.out;
    T* const to = y + at;
    this->each_close(true, [=](int64_t j, int64_t kernel, const auto& ordered, const auto& tap_of)
                               __attribute__((always_inline)) {
                                 Vec<T> best = tap_of(line.values, 0);
                                 Mask<T> tap = Mask<T>(tap_of(line.taps, 0));
                                 for (int64_t s = 1; s < kernel; ++s)
                                   join(best, tap, tap_of(line.values, s),
                                        Mask<T>(tap_of(line.taps, s)) + static_cast<Index>(s));
                                 const int64_t lanes = at + j + L <= end ? L : smaller(L, n - j);
                                 store_lanes(to + j, lanes, turned<T>(ordered(best), turning));
                                 writer.store<T>(j, lanes, Mask<T>(ordered(Vec<T>(tap))));
                               });
  }

  void along(PoolLine<T> line, const PoolSpan* spans, int64_t, int64_t n, const T*,
             PoolLine<T> to) const {
    constexpr int64_t L = kLanes<T>;
    const Bits<T> turning = sign;
    for (int64_t o = 0; o < n; ++o) {
      const PoolSpan span = spans[o];
      const PoolLine<T> from = line.at(span.begin * L);
      Vec<T> best = load<T>(from.values);
      Mask<T> tap = Mask<T>(load<T>(from.taps)) + static_cast<Index>(span.tap);
      for (int64_t s = 1; s < span.count; ++s) {
        const PoolLine<T> next = from.at(s * span.step * L);
        join(best, tap, load<T>(next.values),
             Mask<T>(load<T>(next.taps)) + static_cast<Index>(span.tap + s));
      }
      store<T>(to.values + o * L, turned<T>(best, turning));
      store<T>(to.taps + o * L, Vec<T>(tap));
    }
  }

  void finish(PoolLine<T> found, int64_t n, int64_t lanes, int64_t at, int64_t step) const {
    constexpr int64_t L = kLanes<T>;
    turn_out(found.values, n, lanes, y + at, step);
    T square[L * L];
    for (int64_t i = 0; i < n; i += L) {
      const int64_t o = larger(0, smaller(i, n - L)), some = smaller(L, n);
      turn_out(found.taps + o * L, some, lanes, square, L);
      for (int64_t l = 0; l < lanes; ++l)
        TapWriter(taps, this->p, at + l * step + o)
            .store<T>(0, some, Mask<T>(load<T>(square + l * L)));
    }
  }

  void again(int64_t at, int64_t n) const {
    for (int64_t i = at; i < at + n; ++i) one_by_one(i);
  }

  // An output in PyTorch's words: a later NaN takes over from an earlier one.
  __attribute__((noinline)) void one_by_one(int64_t output) const {
    const Pool& p = this->p;
    const OutputRow row(p, output / p.w.out);
    const PoolSpan d = span_of(p.d, row.d), h = span_of(p.h, row.h),
                   w = span_of(p.w, output % p.w.out);
    const Bits<T> turning = sign;
    T best = -kInf<T>;
    int64_t tap = (d.tap * p.h.kernel + h.tap) * p.w.kernel + w.tap;
    for (int64_t q = 0; q < d.count; ++q)
      for (int64_t r = 0; r < h.count; ++r)
        for (int64_t s = 0; s < w.count; ++s) {
          const int64_t slice = row.plane * p.d.size + d.begin + q * d.step;
          const int64_t line = slice * p.h.size + h.begin + r * h.step;
          const T v = turned<T>(splat<T>(x[line * p.w.size + w.begin + s * w.step]), turning)[0];
          if (!(v > best) && v == v) continue;
          best = v;
          tap = ((d.tap + q) * p.h.kernel + h.tap + r) * p.w.kernel + w.tap + s;
        }
    y[output] = turned<T>(splat<T>(best), turning)[0];
    TapWriter(taps, p, output).store_one(0, tap);
  }
};

// y = the largest of each window, or the smallest, its first occurrence on ties; NaN wins. taps
// (may be null) gets the place in the window: uint8 while a window has at most 256 elements, else
// int32.
template <class T>
void max_pool_forward(const T* x, T* y, void* taps, const Pool& p, bool lowest) {
  const Bits<T> sign = sign_of<T>(lowest);
  if (halves(p)) return halves_forward<T>(x, y, static_cast<uint8_t*>(taps), p, sign);
  if (taps) {
    const LargestWithTaps<T> largest(p, sign, x, y, taps);
    PoolWay<T> way = largest.way(largest, -kInf<T>);
    way.taps = way.numbers = true;
    return reduce_by(way, x, p, largest.has_close());
  }
  reduce_windows<T>(x, y, p, Largest<T>{sign});
}

}  // namespace

DLCORE_EXPORT(max_pool_forward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
