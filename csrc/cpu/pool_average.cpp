// Average pooling over windows, average and maximum over whole planes; forward and backward.

#include "cpu/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// By how many elements a window's sum is divided, along one axis: those inside the padded input,
// or inside the input itself.
DLCORE_INLINE int64_t window_count(int64_t o, int64_t size, int64_t kernel, int64_t stride,
                                   int64_t pad_low, int64_t pad_high, bool include_pad) {
  const int64_t start = o * stride - pad_low, end = smaller(start + kernel, size + pad_high);
  return include_pad ? end - start : smaller(end, size) - larger(start, 0);
}
DLCORE_INLINE int64_t row_count(const Pool2d& p, int64_t oh, bool include_pad) {
  return window_count(oh, p.height, p.kernel_h, p.stride_h, p.pad_top, p.pad_bottom, include_pad);
}
template <class T>
DLCORE_INLINE void column_counts(const Pool2d& p, bool include_pad, int64_t n, T* counts) {
  for (int64_t ow = 0; ow < n; ++ow)
    counts[ow] = ow >= p.out_w ? T(1)
                               : static_cast<T>(window_count(ow, p.width, p.kernel_w, p.stride_w,
                                                             p.pad_left, p.pad_right, include_pad));
}

// y = sum of each window / its element count; the padding counts when include_pad.
template <class T>
void avg_pool2d_forward(const T* x, T* y, const Pool2d& p, bool include_pad) {
  const Geometry<T> g(p);
  const int64_t cost = g.input_rows * (p.width + p.kernel_w * p.out_w);
  parallel_for(p.planes * g.blocks, grain_for(cost), [=](int64_t begin, int64_t end) {
    Scratch scratch((g.split_size(p) + (g.input_rows + 1) * g.width) * sizeof(T) + 8 * p.kernel_w +
                    256);
    T* split = scratch.take<T>(g.split_size(p));
    T* rows = scratch.take<T>(g.input_rows * g.width);
    T* counts = scratch.take<T>(g.width);
    int64_t* offsets = scratch.take<int64_t>(p.kernel_w);
    tap_offsets(p, g, offsets);
    fill_row<T>(T(0), g.split_size(p), split);
    column_counts<T>(p, include_pad, g.width, counts);

    const auto row_pass = [=](const T* in, int64_t i) {
      for (int64_t j = 0; j < g.width; j += kLanes<T>) {
        Vec<T> sum = load<T>(in + j);
        for (int64_t s = 1; s < p.kernel_w; ++s) sum += load<T>(in + offsets[s] + j);
        store<T>(rows + i * g.width + j, sum);
      }
    };
    const auto column_pass = [=](int64_t plane, int64_t oh, int64_t i) {
      const int64_t start = oh * p.stride_h - p.pad_top;
      const int64_t r0 = first_tap(start, 1), r1 = end_tap(start, p.height, p.kernel_h, 1);
      const T count = static_cast<T>(row_count(p, oh, include_pad));
      T* out = y + (plane * p.out_h + oh) * p.out_w;
      for (int64_t j = 0; j < p.out_w; j += kLanes<T>) {
        Vec<T> sum{};
        for (int64_t r = r0; r < r1; ++r) sum += load<T>(rows + (i + r) * g.width + j);
        store_part<T>(out + j, smaller(kLanes<T>, p.out_w - j),
                      sum / (load<T>(counts + j) * count));
      }
    };
    for (int64_t item = begin; item < end; ++item)
      pool_block<T>(x, p, g, item, split, row_pass, column_pass);
  });
}

// dx = the sum of dy / count over the windows that cover an element: down the columns of dy first,
// then spread along the row into the stride phases, which are joined.
template <class T>
void avg_pool2d_backward(const T* dy, T* dx, const Pool2d& p, bool include_pad) {
  const int64_t before = (p.kernel_w - 1) / p.stride_w;  // zeros left of a row of sums
  const int64_t phase_size = round_up(ceil_div(p.width + p.pad_left, p.stride_w), kLanes<T>);
  const int64_t sums_size = before + larger(phase_size, round_up(p.out_w, kLanes<T>));
  const int64_t cost = p.height * (p.width * ceil_div(p.kernel_w, p.stride_w) +
                                   p.out_w * ceil_div(p.kernel_h, p.stride_h));
  parallel_for(p.planes, grain_for(cost), [=](int64_t begin, int64_t end) {
    Scratch scratch(
        (phase_size * p.stride_w + sums_size + round_up(p.out_w, kLanes<T>)) * sizeof(T) + 192);
    T* split = scratch.take<T>(phase_size * p.stride_w);
    T* sums = scratch.take<T>(sums_size);
    T* counts = scratch.take<T>(round_up(p.out_w, kLanes<T>));
    fill_row<T>(T(0), sums_size, sums);
    column_counts<T>(p, include_pad, round_up(p.out_w, kLanes<T>), counts);

    for (int64_t item = begin * p.height; item < end * p.height; ++item) {
      const int64_t plane = item / p.height, row = item % p.height + p.pad_top;
      const int64_t low = row < p.kernel_h ? 0 : (row - p.kernel_h) / p.stride_h + 1;
      const int64_t high = smaller(p.out_h, row / p.stride_h + 1);
      for (int64_t j = 0; j < p.out_w; j += kLanes<T>) {
        const int64_t n = smaller(kLanes<T>, p.out_w - j);
        Vec<T> sum{};
        for (int64_t oh = low; oh < high; ++oh)
          sum += load_part<T>(dy + (plane * p.out_h + oh) * p.out_w + j, n, T(0)) /
                 (load<T>(counts + j) * static_cast<T>(row_count(p, oh, include_pad)));
        store<T>(sums + before + j, sum);
      }
      for (int64_t phase = 0; phase < p.stride_w; ++phase)
        for (int64_t j = 0; j < phase_size; j += kLanes<T>) {
          Vec<T> sum{};
          for (int64_t t = 0; phase + t * p.stride_w < p.kernel_w; ++t)
            sum += load<T>(sums + before + j - t);
          store<T>(split + phase * phase_size + j, sum);
        }
      join_row<T>(split, phase_size, p.pad_left, p.stride_w, p.width, dx + item * p.width);
    }
  });
}

// y[plane] = the mean of its n elements.
template <class T>
void global_avg_pool_forward(const T* x, T* y, int64_t planes, int64_t n) {
  parallel_for(planes, grain_for(n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const T* in = x + plane * n;
      Vec<T> sum[4] = {};
      int64_t i = 0;
      for (; i + 4 * kLanes<T> <= n; i += 4 * kLanes<T>)
        for (int j = 0; j < 4; ++j) sum[j] += load<T>(in + i + j * kLanes<T>);
      for (; i + kLanes<T> <= n; i += kLanes<T>) sum[0] += load<T>(in + i);
      if (i < n) sum[1] += load_part<T>(in + i, n - i, T(0));
      y[plane] = hsum<T>((sum[0] + sum[1]) + (sum[2] + sum[3])) / static_cast<T>(n);
    }
  });
}

template <class T>
void global_avg_pool_backward(const T* dy, T* dx, int64_t planes, int64_t n) {
  parallel_for(planes, grain_for(n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane)
      fill_row<T>(dy[plane] / static_cast<T>(n), n, dx + plane * n);
  });
}

// y[plane] = the largest of its n elements, NaN if there is one; where[plane] (may be null) its
// first place.
template <class T>
void global_max_pool_forward(const T* x, T* y, int64_t* where, int64_t planes, int64_t n) {
  parallel_for(planes, grain_for(2 * n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const T* in = x + plane * n;
      Vec<T> best = splat<T>(-kInf<T>);
      for (int64_t i = 0; i < n; i += kLanes<T>) {
        const int64_t left = n - i;
        const Vec<T> v = left >= kLanes<T> ? load<T>(in + i) : load_part<T>(in + i, left, -kInf<T>);
        best = ((v > best) | (v != v)) ? v : best;
      }
      const T top = fold<T>(best, [](Vec<T> a, Vec<T> b) { return ((a > b) | (a != a)) ? a : b; });
      y[plane] = top;
      if (!where) continue;
      int64_t i = 0;
      while (i < n - 1 && in[i] != top && in[i] == in[i]) ++i;
      where[plane] = i;
    }
  });
}

template <class T>
void global_max_pool_backward(const T* dy, const int64_t* where, T* dx, int64_t planes, int64_t n) {
  parallel_for(planes, grain_for(n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      fill_row<T>(T(0), n, dx + plane * n);
      dx[plane * n + where[plane]] = dy[plane];
    }
  });
}

}  // namespace

DLCORE_EXPORT(avg_pool2d_forward)
DLCORE_EXPORT(avg_pool2d_backward)
DLCORE_EXPORT(global_avg_pool_forward)
DLCORE_EXPORT(global_avg_pool_backward)
DLCORE_EXPORT(global_max_pool_forward)
DLCORE_EXPORT(global_max_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
