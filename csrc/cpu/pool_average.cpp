// Average and power-average (Lp) pooling over windows, forward and backward. Means of whole planes
// are in pool_global.cpp.

#include "cpu/pool_halves.h"
#include "cpu/pool_way.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// By how many elements a window's sum is divided, along one axis: those inside the padded input,
// or inside the input itself.
DLCORE_INLINE int64_t window_count(const PoolAxis& a, int64_t o, bool include_pad) {
  const PoolSpan span = span_of(a, o);
  if (adaptive(a) || !include_pad) return span.count;
  const int64_t start = window_begin(a, o);
  return smaller(start + a.kernel, a.size + a.high) - start;
}
DLCORE_INLINE bool counts_alike(const PoolAxis& a, bool include_pad) {
  return !adaptive(a) && window_count(a, 0, include_pad) == a.kernel &&
         window_count(a, a.out - 1, include_pad) == a.kernel;
}

// The divisors of all outputs: a row's times a column's, in whole vectors. Where all are alike
// there is one of each.
template <class T>
struct Counts {
  bool uniform;
  int64_t height;
  T full;  // of a row that is cut off nowhere
  T *rows, *columns, *scales;

  explicit Counts(const AvgPool& p) : height(p.h.out) {
    uniform = p.divisor || (counts_alike(p.d, p.include_pad) && counts_alike(p.h, p.include_pad) &&
                            counts_alike(p.w, p.include_pad));
    const int64_t all = p.divisor ? p.divisor : taps_of(p);
    full = static_cast<T>(uniform ? all : p.d.kernel * p.h.kernel);
    const int64_t down = uniform ? 1 : p.d.out * p.h.out, n = uniform ? 1 : p.w.out;
    const int64_t size = round_up(n, kLanes<T>);
    columns = static_cast<T*>(buffer_acquire(static_cast<size_t>(2 * size + down) * sizeof(T)));
    scales = columns + size;
    rows = scales + size;
    for (int64_t j = 0; j < size; ++j) {
      const int64_t o = smaller(j, n - 1);
      columns[j] = uniform ? T(1) : static_cast<T>(window_count(p.w, o, p.include_pad));
      scales[j] = 1 / (full * columns[j]);
    }
    for (int64_t i = 0; i < down; ++i)
      rows[i] = uniform ? full
                        : static_cast<T>(window_count(p.d, i / p.h.out, p.include_pad) *
                                         window_count(p.h, i % p.h.out, p.include_pad));
  }
  Counts(const Counts&) = delete;
  ~Counts() { buffer_release(columns); }
};

template <class T>
struct Mean {
  static constexpr bool kShort = true;
  T identity = 0, full;
  const T *row_counts, *column_counts, *column_scales;
  int64_t height, step;  // 0 where all are alike
  explicit Mean(const Counts<T>& c)
      : full(c.full),
        row_counts(c.rows),
        column_counts(c.columns),
        column_scales(c.scales),
        height(c.height),
        step(c.uniform ? 0 : 1) {}
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return v; }
  bool plain() const { return true; }
  DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> v) const { return a + v; }
  DLCORE_INLINE_MEMBER T row(int64_t d, int64_t h) const {
    return row_counts[(d * height + h) * step];
  }
  DLCORE_INLINE_MEMBER bool common(Vec<T> counts) const {
    return !any_lane<T>(counts != splat<T>(full));
  }
  DLCORE_INLINE_MEMBER T column(int64_t j) const { return column_counts[j * step]; }
  DLCORE_INLINE_MEMBER T scale(int64_t j) const { return column_scales[j * step]; }
  DLCORE_INLINE_MEMBER Vec<T> columns(int64_t j) const { return load<T>(column_counts + j * step); }
  DLCORE_INLINE_MEMBER Vec<T> scales(int64_t j) const { return load<T>(column_scales + j * step); }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> sum, Vec<T> count) const { return sum / count; }
};

// y = sum of each window / its divisor.
template <class T>
void avg_pool_forward(const T* x, T* y, const AvgPool& p) {
  const Counts<T> counts(p);
  if (halves(p))
    return each_half<T>(p, x, [y, scale = counts.scales[0]](int64_t at, int64_t n, Vec<T>* v) {
      store_lanes(y + at, n, in_order(((v[0] + v[1]) + (v[2] + v[3])) * scale));
    });
  reduce_windows<T>(x, y, p, Mean<T>(counts));
}

// dx = sums of dy over rows and columns, each times its scale, 1 / count. The axes are those of
// dx's way, `size` and `out` exchanged: an element is made of the windows that hold it.
template <class T>
struct Spread {
  const Pool& p;
  const T *row_scales, *column_scales;
  int64_t step;  // of scales: 0 where all are alike
  T* dx;

  static PoolSpan span(const PoolAxis& a, int64_t i) {
    int64_t first, end;
    if (adaptive(a)) {
      first = i * a.size / a.out;
      end = ceil_div((i + 1) * a.size, a.out);
    } else {
      const int64_t place = i + a.low, top = larger(place - a.kernel + a.stride, 0);
      const auto over = [&](int64_t v) {  // a division takes as long as a row of 16
        return a.stride == 1 ? v : a.stride == 2 ? v / 2 : v / a.stride;
      };
      first = over(top);
      end = smaller(a.size, over(place) + 1);
    }
    return {smaller(first, a.size), 1, larger(end - first, 0), first};
  }
  static int64_t reach(const PoolAxis& a, int64_t n) {
    return adaptive(a) ? n * a.size / a.out + 3 : (n + a.kernel) / a.stride + 2;
  }
  static int64_t most(const PoolAxis& a) {
    return adaptive(a) ? reach(a, 1) : ceil_div(a.kernel, a.stride);
  }
  PoolWay<T> way() const {
    PoolWay<T> way = way_of<T>(*this);
    way.taps = false;
    way.numbers = true;
    way.tap_row = 1;
    way.tap_slice = p.h.size;
    way.rows = most(p.d) * most(p.h);
    way.columns = most(p.w);
    way.padding = 0;
    if (step)
      way.scale = [](const void* self, int64_t n, PoolLine<T> line) {
        static_cast<const Spread*>(self)->scale(n, line);
      };
    const int64_t low = before();
    way.frame = {low, p.w.size,
                 larger(0, (p.w.out - 1 + p.w.low) / larger(p.w.stride, 1) + 1 - p.w.size)};
    return way;
  }
  // Windows that begin before the first one and would reach into x.
  int64_t before() const { return ceil_div(p.w.kernel - 1, larger(p.w.stride, 1)); }
  T divisor(int64_t, int64_t) const { return T(1); }

  bool down(const T* const* rows, const int64_t* numbers, int64_t count, int64_t n, const T* end,
            PoolLine<T> line) const {
    constexpr int64_t L = kLanes<T>;
    const auto sums = [=, this](int64_t first, bool add) __attribute__((always_inline)) {
      const Vec<T> scale = splat<T>(row_scales[numbers[first] * step]);
      for (int64_t j = 0; j < n; j += L) {
        const T* from = rows[first] + j;
        const Vec<T> v = load_lanes(from, from + L <= end ? L : n - j) * scale;
        store<T>(line.values + j, add ? load<T>(line.values + j) + v : v);
      }
    };
    if (count == 0) fill_row<T>(T(0), n, line.values);
    if (count > 0) sums(0, false);
    for (int64_t i = 1; i < count; ++i) sums(i, true);
    return false;
  }
  void scale(int64_t n, PoolLine<T> line) const {
    for (int64_t j = 0; j < n; j += kLanes<T>)
      store<T>(line.values + j, load<T>(line.values + j) * load<T>(column_scales + j));
  }
  // With a stride of 1 or 2: element i is in window o where o stride - low <= i < that + kernel.
  void close(PoolLine<T> line, T, int64_t at, int64_t end) const {
    constexpr int64_t L = kLanes<T>;
    const int64_t stride = p.w.stride, kernel = p.w.kernel, n = p.w.out;
    const T* from[2];  // where the sums of each phase begin
    int64_t taps[2];
    for (int64_t phase = 0; phase < 2; ++phase) {
      const int64_t place = phase + p.w.low, tap = stride == 2 ? place % 2 : 0;
      from[phase] = line.values + before() + (stride == 2 ? place / 2 : place);
      taps[phase] = stride == 2 ? (kernel - tap + 1) / 2 : kernel;
    }
    const auto sums = [&](int64_t phase, int64_t j) __attribute__((always_inline)) {
      Vec<T> sum{};
      for (int64_t t = 0; t < taps[phase]; ++t) sum += load<T>(from[phase] + j - t);
      return sum;
    };
    const auto store_at = [=, this](int64_t i, Vec<T> v) {
      const int64_t lanes = at + i + L <= end ? L : smaller(L, n - i);
      if (lanes > 0) store_lanes(dx + at + i, lanes, v);
    };
    if (stride == 1) {
      for (int64_t i = 0; i < n; i += L) store_at(i, sums(0, i));
      return;
    }
    for (int64_t i = 0; i < n; i += 2 * L) {
      const Vec<T> even = sums(0, i / 2), odd = sums(1, i / 2);
      store_at(i, zip_low_of(even, odd, AllLanes<T>{}));
      store_at(i + L, zip_high_of(even, odd, AllLanes<T>{}));
    }
  }
  void along(PoolLine<T> line, const PoolSpan* spans, int64_t, int64_t n, const T*,
             PoolLine<T> to) const {
    constexpr int64_t L = kLanes<T>;
    for (int64_t o = 0; o < n; ++o) {
      const PoolSpan span = spans[o];
      Vec<T> sum{};
      for (int64_t s = 0; s < span.count; ++s)
        sum += load<T>(line.values + (span.begin + s) * L) * column_scales[(span.tap + s) * step];
      store<T>(to.values + o * L, sum);
    }
  }
  void finish(PoolLine<T> found, int64_t n, int64_t lanes, int64_t at, int64_t row) const {
    turn_out(found.values, n, lanes, dx + at, row);
  }
  void again(int64_t, int64_t) const {}
};

template <class T>
void avg_pool_backward(const T* dy, T* dx, const AvgPool& p) {
  const Counts<T> counts(p);
  if (halves(p))
    return each_half_back<T>(p, dx,
                             [dy, scale = counts.scales[0]](int64_t at, int64_t n, Vec<T>* to) {
                               to[0] = to[1] = to[2] = to[3] = load_lanes(dy + at, n) * scale;
                             });
  for (int64_t i = 0; i < (counts.uniform ? 1 : p.d.out * p.h.out); ++i)
    counts.rows[i] = 1 / counts.rows[i];
  for (int64_t j = 0; j < (counts.uniform ? 1 : p.w.out); ++j)
    counts.columns[j] = 1 / counts.columns[j];
  Pool back = p;
  PoolAxis* const axes[] = {&back.d, &back.h, &back.w};
  for (PoolAxis* a : axes) {
    const int64_t size = a->size;
    a->size = a->out;
    a->out = size;
  }
  const Spread<T> spread{back, counts.rows, counts.columns, counts.uniform ? 0 : 1, dx};
  reduce_by(spread.way(), dy, back, p.w.stride == 1 || p.w.stride == 2);
}

// (the mean of v^norm times the window's size)^(1 / norm), as PyTorch defines it: with windows that
// are cut off at the edge, not quite the norm of their elements.
template <class T>
struct PowerMean : Mean<T> {
  static constexpr bool kShort = false;
  T norm, size;
  PowerMean(const Counts<T>& counts, T norm, int64_t taps)
      : Mean<T>(counts), norm(norm), size(static_cast<T>(taps)) {}

  // Not in every loop: it is 2 KB.
  static __attribute__((noinline)) Vec<T> any_power(Vec<T> v, T exponent) {
    return power<T>(v, splat<T>(exponent));
  }
  static DLCORE_INLINE_MEMBER Vec<T> raised(Vec<T> v, T exponent) {
    if (exponent == T(1)) return v;
    if (exponent == T(2)) return v * v;
    if (exponent == T(0.5)) return sqrt<T>(v);
    return any_power(v, exponent);
  }
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return raised(v, norm); }
  bool plain() const { return norm == T(1); }
  DLCORE_INLINE_MEMBER bool common(Vec<T>) const { return false; }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> sum, Vec<T> count) const {
    return raised(sum * (size / count), 1 / norm);
  }
};

template <class T>
void lp_pool_forward(const T* x, T* y, const AvgPool& p, T norm_type) {
  const Counts<T> counts(p);
  reduce_windows<T>(x, y, p, PowerMean<T>(counts, norm_type, taps_of(p)));
}

// dx = x^(norm - 1) times the average's gradient of dy size y^(1 - norm), 0 where y is 0.
template <class T>
void lp_pool_backward(const T* x, const T* y, const T* dy, T* dx, const AvgPool& p, T norm_type) {
  const int64_t outputs = p.planes * out_size(p), inputs = p.planes * in_size(p);
  const T size = static_cast<T>(taps_of(p));
  T* g = static_cast<T*>(buffer_acquire(static_cast<size_t>(outputs) * sizeof(T)));
  map<T>(
      g, outputs, 16,
      [=](Vec<T> v, Vec<T> d) {
        const Vec<T> slope = norm_type == T(2)   ? splat<T>(T(1)) / v
                             : norm_type == T(1) ? splat<T>(T(1))
                                                 : PowerMean<T>::any_power(v, 1 - norm_type);
        return v == Vec<T>{} ? Vec<T>{} : d * slope * size;
      },
      y, dy);
  avg_pool_backward<T>(g, dx, p);
  buffer_release(g);
  if (norm_type == T(1)) return;
  map<T>(
      dx, inputs, 16,
      [=](Vec<T> v, Vec<T> d) { return d * PowerMean<T>::raised(v, norm_type - 1); }, x,
      static_cast<const T*>(dx));
}

}  // namespace

DLCORE_EXPORT(avg_pool_forward)
DLCORE_EXPORT(avg_pool_backward)
DLCORE_EXPORT(lp_pool_forward)
DLCORE_EXPORT(lp_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
