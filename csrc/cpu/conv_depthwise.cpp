// Depthwise convolution and its gradient of x. With stride 1 the gradient is the convolution of dy
// with the taps backwards; with a stride, the results of one phase are a convolution of dy by the
// taps that reach them.

#include "cpu/conv_depthwise.h"

#include "cpu/conv_depthwise_lanes.h"
#include "cpu/conv_depthwise_rows.h"
#include "cpu/conv_depthwise_strips.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// kVectors vectors of results, any taps.
template <class T, int kVectors>
DLCORE_INLINE void taps_at(const T* x, const Taps<T>& taps, T start, const Limits<T>& limits,
                           int64_t n, T* y, const T* limit) {
  Vec<T> sum[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) sum[v] = splat<T>(start);
  for (int64_t t = 0; t < taps.count; ++t) {
    const Vec<T> w = splat<T>(taps.weight[t]);
    const T* from = x + taps.offset[t];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[v] += w * load<T>(from + v * kLanes<T>);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    store_results<T>(y + v * kLanes<T>, n - v * kLanes<T>, limits.of(sum[v]), limit);
  }
}

// One row of n results. Elements from n on to the next whole vector are written while they lie
// before `limit`.
template <class T>
__attribute__((noinline)) void taps_row(const T* x, const Taps<T>& taps, T start,
                                        const Limits<T>& limits, int64_t n, T* y, const T* limit) {
  constexpr int kVectors = 6;
  int64_t j = 0;
  for (; j + kVectors * kLanes<T> <= n; j += kVectors * kLanes<T>)
    taps_at<T, kVectors>(x + j, taps, start, limits, n - j, y + j, limit);
  for (; j + kLanes<T> < n; j += 2 * kLanes<T>)
    taps_at<T, 2>(x + j, taps, start, limits, n - j, y + j, limit);
  if (j < n) taps_at<T, 1>(x + j, taps, start, limits, n - j, y + j, limit);
}

// Any kernel, stride and dilation.
template <class T>
void any_planes(const PlaneCall<T>& call) {
  const Conv2d& c = call.c;
  const PaddedRows<T> padded(
      c.height, c.width, c.pad_left, c.stride_w,
      round_up(c.out_w, kLanes<T>) + (c.kernel_w - 1) * c.dilation_w / c.stride_w);
  const int64_t row = padded.row(), count = call.sources * call.taps();
  const int64_t weights_size = round_up(count, kLineElements<T>);
  const Limits<T> limits(call.finish);
  each_block<T>(
      call, row, weights_size + ceil_div(count * 8, static_cast<int64_t>(sizeof(T))),
      [=](int64_t plane, int64_t first, int64_t rows, T* planes, int64_t slab, T* scratch) {
        int64_t* const offset = reinterpret_cast<int64_t*>(scratch + weights_size);
        for (int64_t i = 0; i < call.sources; ++i) {
          pad_block<T>(
              padded, call.source(plane) + i * c.height * c.width, first * c.stride_h - c.pad_top,
              (rows - 1) * c.stride_h + (c.kernel_h - 1) * c.dilation_h + 1, planes + i * slab);
          for (int64_t t = 0; t < call.taps(); ++t) {
            const int64_t right = t % c.kernel_w * c.dilation_w;
            const int64_t at = call.backward ? call.taps() - 1 - t : t;
            scratch[i * call.taps() + t] = call.weights(plane)[i * call.taps() + at];
            offset[i * call.taps() + t] =
                i * slab + t / c.kernel_w * c.dilation_h * row + padded.tap(right);
          }
        }
        const Taps<T> taps{count, offset, scratch};
        T* const y = call.y + (plane * c.out_h + first) * c.out_w;
        for (int64_t i = 0; i < rows; ++i)
          taps_row<T>(planes + i * c.stride_h * row, taps, call.start(plane), limits, c.out_w,
                      y + i * c.out_w, y + rows * c.out_w);
      });
}

template <class T>
void convolve_planes(const PlaneCall<T>& call) {
  const Conv2d& c = call.c;
  if constexpr (kIsFloat<T>) {
    if (call.sources == 1 && call.shared == 1 && lanes_pay<T>(one_deep(c)))
      return lanes_forward<T>(one_deep(c), call.x, call.weight, call.bias, call.y, call.backward,
                              call.finish);
#if defined(__AVX512F__)
    if (call.sources == 1 && strips_pay(c)) return forward_planes(call);
#else
    const bool fast = has_fast_taps<T>(c) && call.sources == 1 && c.out_h >= kRows;
    if (fast && c.stride_h == 1 && c.stride_w == 1) return fast_planes<T, 1>(call);
    if (fast && c.stride_h == 2 && c.stride_w == 2) return fast_planes<T, 2>(call);
#endif
  }
  any_planes<T>(call);
}

template <class T>
DLCORE_INLINE void forward(const Conv2d& c, const T* x, const T* weight, const T* bias, T* y,
                           const Finish<T>& finish) {
  convolve_planes<T>({c, x, weight, bias, y, 1, c.out_channels / c.channels, false, finish});
}

// What dx with a stride has of its planes. Rows and columns are counted from the corner of the
// padding, in steps of the stride: dx lies from row i0 and column j0 on, `rows` by `columns`. dy
// has `top` rows and `left` columns of padding before element (i0, j0).
template <class T>
struct Strided {
  int64_t many, top, left, i0, j0, rows, columns;
  PaddedRows<T> padded;
  int64_t slab, line;  // elements of dy with its padding, of a row of dx with its padding

  explicit Strided(const Conv2d& c) {
    many = c.out_channels / c.channels;
    top = (c.kernel_h - 1) * c.dilation_h / c.stride_h;
    left = (c.kernel_w - 1) * c.dilation_w / c.stride_w;
    i0 = c.pad_top / c.stride_h, j0 = c.pad_left / c.stride_w;
    rows = ceil_div(c.pad_top + c.height, c.stride_h) - i0;
    columns = ceil_div(c.pad_left + c.width, c.stride_w) - j0;
    const int64_t width = round_up(columns, kLanes<T>);
    padded = PaddedRows<T>(c.out_h, c.out_w, left - j0, 1, left + width);
    slab = (top + rows) * padded.row();
    line = width * c.stride_w;
  }
};

// The row h of dx (from the padding's corner) out of a row with its padding.
template <class T>
DLCORE_INLINE T* row_of(const Conv2d& c, T* dx, int64_t plane, int64_t h) {
  h -= c.pad_top;
  return h < 0 || h >= c.height ? nullptr : dx + (plane * c.height + h) * c.width;
}

// The taps of the results (stride_h i + a, stride_w j + b), and where they read dy from (i, j) on.
template <class T>
DLCORE_INLINE int64_t phase_taps(const Conv2d& c, const Strided<T>& s, int64_t a, int64_t b,
                                 const T* weight, int64_t* offset, T* of_phase) {
  int64_t n = 0;
  for (int64_t r = 0; r < c.kernel_h; ++r) {
    const int64_t down = a - r * c.dilation_h;
    if (down % c.stride_h != 0) continue;
    for (int64_t q = 0; q < c.kernel_w; ++q) {
      const int64_t right = b - q * c.dilation_w;
      if (right % c.stride_w != 0) continue;
      for (int64_t k = 0; k < s.many; ++k) {
        of_phase[n] = weight[(k * c.kernel_h + r) * c.kernel_w + q];
        offset[n++] =
            k * s.slab + (s.top + down / c.stride_h) * s.padded.row() + s.left + right / c.stride_w;
      }
    }
  }
  return n;
}

// dx of one plane, row by row; the phases of a row are joined when all are there.
template <class T>
DLCORE_INLINE void any_strided(const Conv2d& c, const Strided<T>& s, const T* planes,
                               const T* weight, int64_t plane, T* split, char* memory, T* dx) {
  const int64_t list = s.many * c.kernel_h * c.kernel_w, width = s.line / c.stride_w;
  int64_t* const count = reinterpret_cast<int64_t*>(memory);
  int64_t* const offset = count + c.stride_w;
  T* const of_phase = reinterpret_cast<T*>(offset + list);
  for (int64_t a = 0; a < c.stride_h; ++a) {
    for (int64_t b = 0, n = 0; b < c.stride_w; n += count[b++])
      count[b] = phase_taps<T>(c, s, a, b, weight, offset + n, of_phase + n);
    for (int64_t i = 0; i < s.rows; ++i) {
      T* const to = row_of(c, dx, plane, (s.i0 + i) * c.stride_h + a);
      if (!to) continue;
      for (int64_t b = 0, n = 0; b < c.stride_w; n += count[b++])
        taps_row<T>(planes + i * s.padded.row(), {count[b], offset + n, of_phase + n}, T(0),
                    Limits<T>({}), s.columns, split + b * width, split + (b + 1) * width);
      join_row<T>(split, width, c.pad_left - s.j0 * c.stride_w, c.stride_w, c.width, to);
    }
  }
}

// Two rows of dx of stride 2, with their padding: the four phases share what they read of dy.
template <class T, int K>
__attribute__((noinline)) void strided_rows(const T* dy, int64_t row, const T* weight,
                                            int64_t columns, T* even, T* odd) {
  Vec<T> w[K * K];
#pragma GCC unroll 32
  for (int t = 0; t < K * K; ++t) w[t] = splat<T>(weight[t]);
  for (int64_t j = 0; j < columns; j += kLanes<T>) {
    Vec<T> sum[2][2] = {};
#pragma GCC unroll 4
    for (int i = 0; 2 * i < K; ++i)
#pragma GCC unroll 4
      for (int k = 0; 2 * k < K; ++k) {
        const Vec<T> v = load<T>(dy + j - i * row - k);
#pragma GCC unroll 4
        for (int phase = 0; phase < 4; ++phase)
          if (2 * i + phase / 2 < K && 2 * k + phase % 2 < K)
            sum[phase / 2][phase % 2] += w[(2 * i + phase / 2) * K + 2 * k + phase % 2] * v;
      }
    const AllLanes<T> all;
    store<T>(even + 2 * j, zip_low_of(sum[0][0], sum[0][1], all));
    store<T>(even + 2 * j + kLanes<T>, zip_high_of(sum[0][0], sum[0][1], all));
    store<T>(odd + 2 * j, zip_low_of(sum[1][0], sum[1][1], all));
    store<T>(odd + 2 * j + kLanes<T>, zip_high_of(sum[1][0], sum[1][1], all));
  }
}

template <class T, int K>
DLCORE_INLINE void fast_strided(const Conv2d& c, const Strided<T>& s, const T* planes,
                                const T* weight, int64_t plane, T* lines, T* dx) {
  const int64_t row = s.padded.row();
  for (int64_t i = 0; i < s.rows; ++i) {
    strided_rows<T, K>(planes + (s.top + i) * row + s.left, row, weight, s.columns, lines,
                       lines + s.line);
    for (int64_t a = 0; a < 2; ++a) {
      T* const to = row_of(c, dx, plane, 2 * (s.i0 + i) + a);
      const T* const from = lines + a * s.line + c.pad_left - 2 * s.j0;
      if (to && c.width >= kLanes<T>)
        copy_whole<T>(from, c.width, to);
      else if (to)
        store_part<T>(to, c.width, load<T>(from));
    }
  }
}

template <class T>
void strided_data_gradient(const Conv2d& c, const T* dy, const T* weight, T* dx) {
#if defined(__AVX512F__)
  if constexpr (kIsFloat<T>)
    if (c.out_channels == c.channels && strips_pay(c)) return data_planes(c, dy, weight, dx);
#endif
  const Strided<T> s(c);
  const int64_t list = s.many * c.kernel_h * c.kernel_w;
  const int64_t size = s.many * s.slab + 2 * s.line + kLineElements<T>;
  const int64_t bytes = round_up(size * static_cast<int64_t>(sizeof(T)), 64);
  const int64_t lists = list * static_cast<int64_t>(sizeof(T) + sizeof(int64_t)) + 8 * c.stride_w;
  const int64_t cost = c.height * c.width * (2 + list / (c.stride_h * c.stride_w)) / 8;
  const bool fast = s.many == 1 && c.stride_h == 2 && c.stride_w == 2 &&
                    c.dilation_h * c.dilation_w == 1 && c.kernel_h == c.kernel_w;
  parallel_for(c.batch * c.channels, grain_for(cost), [=](int64_t begin, int64_t end) {
    T* const planes = static_cast<T*>(buffer_acquire(bytes + lists));
    fill_row<T>(T(0), size, planes);
    T* const lines = planes + s.many * s.slab;
    for (int64_t plane = begin; plane < end; ++plane) {
      const T* const w = weight + plane % c.channels * list;
      for (int64_t k = 0; k < s.many; ++k)
        pad_block<T>(s.padded, dy + (plane * s.many + k) * c.out_h * c.out_w, s.i0 - s.top,
                     s.top + s.rows, planes + k * s.slab);
      if constexpr (kIsFloat<T>) {
        if (!kHasStrips && fast && c.kernel_h == 3) {
          fast_strided<T, 3>(c, s, planes, w, plane, lines, dx);
          continue;
        }
        if (fast && c.kernel_h == 5) {
          fast_strided<T, 5>(c, s, planes, w, plane, lines, dx);
          continue;
        }
      }
      any_strided<T>(c, s, planes, w, plane, lines, reinterpret_cast<char*>(planes) + bytes, dx);
    }
    buffer_release(planes);
  });
}

template <class T>
DLCORE_INLINE void data_gradient(const Conv2d& c, const T* dy, const T* weight, T* dx) {
  if (c.stride_h != 1 || c.stride_w != 1) return strided_data_gradient<T>(c, dy, weight, dx);
  Conv2d back = c;
  back.out_channels = c.channels;
  back.height = c.out_h, back.width = c.out_w, back.out_h = c.height, back.out_w = c.width;
  back.pad_top = (c.kernel_h - 1) * c.dilation_h - c.pad_top;
  back.pad_left = (c.kernel_w - 1) * c.dilation_w - c.pad_left;
  convolve_planes<T>({back, dy, weight, nullptr, dx, c.out_channels / c.channels, 1, true, {}});
}

}  // namespace

void depthwise_forward(const Conv2d& c, const float* x, const float* weight, const float* bias,
                       float* y, const Finish<float>& finish) {
  forward<float>(c, x, weight, bias, y, finish);
}
void depthwise_forward(const Conv2d& c, const double* x, const double* weight, const double* bias,
                       double* y, const Finish<double>& finish) {
  forward<double>(c, x, weight, bias, y, finish);
}
void depthwise_data_gradient(const Conv2d& c, const float* dy, const float* weight, float* dx) {
  data_gradient<float>(c, dy, weight, dx);
}
void depthwise_data_gradient(const Conv2d& c, const double* dy, const double* weight, double* dx) {
  data_gradient<double>(c, dy, weight, dx);
}

bool depthwise_volume_pays(const Conv3d& c) {
  return lanes_pay<float>(c);
}
void depthwise_volume(const Conv3d& c, const float* x, const float* weight, const float* bias,
                      float* y, bool backward, const Finish<float>& finish) {
  lanes_forward<float>(c, x, weight, bias, y, backward, finish);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
