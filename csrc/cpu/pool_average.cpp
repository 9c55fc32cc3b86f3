// Average and power-average (Lp) pooling over windows, forward and backward. Means of whole planes
// are in pool_global.cpp.

#include "cpu/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// By how many elements a window's sum is divided, along one axis: those inside the padded input,
// or inside the input itself.
DLCORE_INLINE int64_t window_count(const PoolAxis& a, int64_t o, bool include_pad) {
  const Span span = span_of(a, o);
  if (adaptive(a) || !include_pad) return span.count;
  const int64_t start = window_begin(a, o);
  return smaller(start + a.kernel, a.size + a.high) - start;
}
DLCORE_INLINE bool counts_alike(const PoolAxis& a, bool include_pad) {
  return !adaptive(a) && window_count(a, 0, include_pad) == a.kernel &&
         window_count(a, a.out - 1, include_pad) == a.kernel;
}

// The divisors of all outputs: a row's times a column's. Where all are alike they are in one
// vector.
template <class T>
struct Counts {
  const AvgPool& p;
  bool uniform;
  T* columns;  // whole vectors

  explicit Counts(const AvgPool& p) : p(p) {
    uniform = p.divisor || (counts_alike(p.d, p.include_pad) && counts_alike(p.h, p.include_pad) &&
                            counts_alike(p.w, p.include_pad));
    const int64_t n = round_up(uniform ? 1 : p.w.out, kLanes<T>);
    columns = static_cast<T*>(buffer_acquire(static_cast<size_t>(n) * sizeof(T)));
    for (int64_t j = 0; j < n; ++j) {
      const int64_t o = smaller(j, p.w.out - 1);
      columns[j] = p.divisor ? T(1) : static_cast<T>(window_count(p.w, o, p.include_pad));
    }
  }
  Counts(const Counts&) = delete;
  ~Counts() { buffer_release(columns); }

  DLCORE_INLINE_MEMBER T of_row(int64_t od, int64_t oh) const {
    if (p.divisor) return static_cast<T>(p.divisor);
    return static_cast<T>(window_count(p.d, od, p.include_pad) *
                          window_count(p.h, oh, p.include_pad));
  }
  DLCORE_INLINE_MEMBER Vec<T> of_columns(int64_t j) const {
    return load<T>(columns + (uniform ? 0 : j));
  }
};

template <class T>
struct Mean {
  static constexpr bool kShort = true;
  const Counts<T>& counts;
  bool uniform;
  T identity = 0;
  explicit Mean(const Counts<T>& counts) : counts(counts), uniform(counts.uniform) {}
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return v; }
  DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> v) const { return a + v; }
  DLCORE_INLINE_MEMBER T count(const OutputRow& row) const { return counts.of_row(row.d, row.h); }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> sum, T count, int64_t j) const {
    return sum / (counts.of_columns(j) * count);
  }
};

// y = sum of each window / its divisor.
template <class T>
void avg_pool_forward(const T* x, T* y, const AvgPool& p) {
  const Counts<T> counts(p);
  reduce_windows<T>(x, y, p, Mean<T>(counts));
}

// The windows over a row of x: their gradients' rows, and by what each is divided.
template <class T>
struct Covering {
  const T* row;
  T scale;
};

// to[j] = the sum of the rows, each times its scale, / the columns' counts; `last` may be read up
// to.
template <class T>
DLCORE_INLINE void add_rows(const Covering<T>* rows, int64_t count, const Counts<T>& counts,
                            int64_t n, const T* last, T* to) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t j = 0; j < n; j += L) {
    const bool whole = j + L <= n;
    Vec<T> sum{};
    for (int64_t i = 0; i < count; ++i) {
      const T* from = rows[i].row + j;
      const Vec<T> v = whole || from + L <= last ? load<T>(from) : load_part<T>(from, n - j, T(0));
      sum += v * rows[i].scale;
    }
    sum /= counts.of_columns(j);
    store<T>(to + j, sum);
  }
}

// Whether the windows tile the axis: each element is in one.
DLCORE_INLINE bool tiles(const PoolAxis& a) {
  return a.low == 0 && a.dilation == 1 && a.kernel == a.stride && a.size == a.out * a.stride;
}

// dx = dy / count, each as often as its window is large. Rows of dy follow one another, so that a
// block of them is scaled and widened as one, however short they are.
template <class T>
DLCORE_INLINE void fill_tiles(const T* dy, T* dx, const AvgPool& p) {
  const PoolAxis& w = p.w;
  const int64_t rows = larger(1, kBlockBytes / (w.size * static_cast<int64_t>(sizeof(T))));
  const int64_t cost = w.size * (1 + p.d.kernel * p.h.kernel) + 32;
  const T scale = 1 / static_cast<T>(p.divisor ? p.divisor : taps_of(p));
  parallel_for(p.planes * p.d.out * p.h.out, grain_for(cost / 2), [&](int64_t begin, int64_t end) {
    Scratch scratch(rows * (w.size + w.out) * static_cast<int64_t>(sizeof(T)) + 2 * 64);
    T* scaled = scratch.take<T>(rows * w.out);
    T* wide = scratch.take<T>(rows * w.size);
    OutputRow from(p, begin);
    for (int64_t row = begin; row < end; row += rows) {
      const int64_t n = smaller(rows, end - row);
      map_range<T>(dy + row * w.out, scaled, n * w.out, false, [=](Vec<T> v) { return v * scale; });
      join_row<T>(scaled, 0, 0, w.stride, n * w.size, wide);  // all phases are the same
      for (int64_t i = 0; i < n; ++i, from.next(p))
        for (int64_t q = 0; q < p.d.kernel; ++q) {
          const int64_t slice = from.plane * p.d.size + from.d * p.d.kernel + q;
          T* to = dx + (slice * p.h.size + from.h * p.h.kernel) * w.size;
          for (int64_t r = 0; r < p.h.kernel; ++r)
            copy_row(wide + i * w.size, w.size, to + r * w.size);
        }
    }
  });
}

// dx = the sum of dy / count over the windows that hold an element: down the columns of dy first,
// then spread along the row into the stride phases, which are joined.
template <class T>
void avg_pool_backward(const T* dy, T* dx, const AvgPool& p) {
  if (tiles(p.d) && tiles(p.h) && tiles(p.w)) return fill_tiles<T>(dy, dx, p);
  constexpr int64_t L = kLanes<T>;
  const Counts<T> counts(p);
  const PoolAxis& w = p.w;
  const int64_t stride = larger(w.stride, 1);
  const int64_t before = (w.kernel - 1) / stride;  // zeros left of a row of sums
  const int64_t phase_size = round_up(ceil_div(w.size + w.low, stride), L);
  const int64_t sums_size = before + larger(phase_size, round_up(w.out, L)) + L;
  const int64_t most = most_windows(p.d) * most_windows(p.h);
  const int64_t cost = w.size * ceil_div(w.kernel, stride) +
                       w.out * ceil_div(p.h.kernel, larger(p.h.stride, 1)) + 64;
  const T* dy_end = dy + p.planes * out_size(p);
  parallel_for(p.planes * p.d.size * p.h.size, grain_for(cost), [&](int64_t begin, int64_t end) {
    Scratch scratch((phase_size * stride + sums_size) * static_cast<int64_t>(sizeof(T)) +
                    most * static_cast<int64_t>(sizeof(Covering<T>)) + 3 * 64);
    T* split = scratch.take<T>(phase_size * stride);
    T* sums = scratch.take<T>(sums_size);
    Covering<T>* rows = scratch.take<Covering<T>>(most);
    fill_row<T>(T(0), sums_size, sums);
    const T* before_row = nullptr;  // the only row over the row before this

    int64_t plane = begin / p.h.size / p.d.size;
    int64_t id = begin / p.h.size % p.d.size, ih = begin % p.h.size;
    for (int64_t item = begin; item < end; ++item) {
      T* to = dx + item * w.size;
      int64_t count = 0;
      each_window(p.d, id, [&](int64_t od, int64_t) {
        each_window(p.h, ih, [&](int64_t oh, int64_t) {
          const T* row = dy + ((plane * p.d.out + od) * p.h.out + oh) * w.out;
          rows[count++] = {row, 1 / counts.of_row(od, oh)};
        });
      });
      if (++ih == p.h.size) ih = 0, ++id;
      if (id == p.d.size) id = 0, ++plane;
      const bool again = count == 1 && rows[0].row == before_row;
      before_row = count == 1 ? rows[0].row : nullptr;
      if (!again) {
        add_rows(rows, count, counts, w.out, dy_end, sums + before);
        for (int64_t j = w.out; j < round_up(w.out, L); ++j) sums[before + j] = 0;
      }
      if (adaptive(w)) {
        fill_row<T>(T(0), w.size, to);
        for (int64_t o = 0; o < w.out; ++o) {
          const Span span = span_of(w, o);
          for (int64_t i = span.begin; i < span.begin + span.count; ++i) to[i] += sums[before + o];
        }
        continue;
      }
      for (int64_t phase = 0; phase < stride && !again; ++phase)
        for (int64_t j = 0; j < phase_size; j += L) {
          Vec<T> sum{};
          for (int64_t t = 0; phase + t * stride < w.kernel; ++t)
            sum += load<T>(sums + before + j - t);
          store<T>(split + phase * phase_size + j, sum);
        }
      join_row<T>(split, phase_size, w.low, stride, w.size, to);
    }
  });
}

// (the mean of v^norm times the window's size)^(1 / norm), as PyTorch defines it: with windows that
// are cut off at the edge, not quite the norm of their elements.
template <class T>
struct PowerMean : Mean<T> {
  static constexpr bool kShort = false;
  T norm, size;
  PowerMean(const Counts<T>& counts, T norm)
      : Mean<T>(counts), norm(norm), size(static_cast<T>(taps_of(counts.p))) {}

  static DLCORE_INLINE_MEMBER Vec<T> raised(Vec<T> v, T exponent) {
    if (exponent == T(1)) return v;
    if (exponent == T(2)) return v * v;
    if (exponent == T(0.5)) return sqrt<T>(v);
    return power<T>(v, splat<T>(exponent));
  }
  DLCORE_INLINE_MEMBER Vec<T> take(Vec<T> v) const { return raised(v, norm); }
  DLCORE_INLINE_MEMBER Vec<T> finish(Vec<T> sum, T count, int64_t j) const {
    return raised(sum * (size / (this->counts.of_columns(j) * count)), 1 / norm);
  }
};

template <class T>
void lp_pool_forward(const T* x, T* y, const AvgPool& p, T norm_type) {
  const Counts<T> counts(p);
  reduce_windows<T>(x, y, p, PowerMean<T>(counts, norm_type));
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
                                                 : power<T>(v, splat<T>(1 - norm_type));
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
