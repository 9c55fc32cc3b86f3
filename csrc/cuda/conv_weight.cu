// The gradients of a convolution's weights and bias. dw is a product whose depth is all positions
// of all images: it is cut into shares of a length that the shape gives, and the shares are added
// up in their order. Where a group has few results a block adds up one weight.

#include "cuda/channel_sums.h"
#include "cuda/conv.h"
#include "cuda/each.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// dw (groups, out_group, in_group * taps), or `shares` of them.
template <class T>
struct WeightGradient {
  const T *x, *dy;
  T* dw;
  ConvShape s;
  int64_t share;  // positions, of all images

  __device__ int64_t columns() const { return s.in_group * s.taps; }
};

// A column of dw: its channel of x and where its tap sees x.
struct Column {
  int64_t offset;
  int z, y, x;
  template <class T>
  __device__ Column(const WeightGradient<T>& g, int64_t n) {
    const ConvAxis *d = g.s.axis, *h = d + 1, *w = d + 2;
    const int64_t line = n / w->kernel, slice = line / h->kernel, channel = slice / d->kernel;
    x = static_cast<int>(n - line * w->kernel) * w->dilation - w->pad;
    y = static_cast<int>(line - slice * h->kernel) * h->dilation - h->pad;
    z = static_cast<int>(slice - channel * d->kernel) * d->dilation - d->pad;
    offset = channel * g.s.in;
  }
};

// Where position k of all images lies in dy, and in x for a tap at 0.
struct Pixel {
  int64_t image, at;
  int z, y, x;
  __device__ Pixel(const ConvShape& s, int64_t k) {
    const ConvAxis *d = s.axis, *h = d + 1, *w = d + 2;
    image = k / s.out;
    at = k - image * s.out;
    const int place = static_cast<int>(at), line = place / w->out, slice = line / h->out;
    x = (place - line * w->out) * w->stride;
    y = (line - slice * h->out) * h->stride;
    z = slice * d->stride;
  }
};

template <class T>
__device__ T seen_by(const WeightGradient<T>& g, const T* x, const Pixel& pixel,
                     const Column& column) {
  const ConvAxis *d = g.s.axis, *h = d + 1, *w = d + 2;
  const int z = pixel.z + column.z, i = pixel.y + column.y, j = pixel.x + column.x;
  const bool inside = static_cast<unsigned>(z) < unsigned(d->in) &&
                      static_cast<unsigned>(i) < unsigned(h->in) &&
                      static_cast<unsigned>(j) < unsigned(w->in);
  return inside ? x[column.offset + (int64_t(z) * h->in + i) * w->in + j] : T(0);
}

template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    weight_kernel(const __grid_constant__ WeightGradient<T> g, int64_t tiles, int64_t row_tiles,
                  int64_t column_tiles) {
  __shared__ Tile<T> a_tile, b_tile;
  const ConvShape& s = g.s;
  const int t = static_cast<int>(threadIdx.x), deep = t % kDeep;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t m0 = tile % row_tiles * kTile, others = tile / row_tiles;
    const int64_t n0 = others % column_tiles * kTile, item = others / column_tiles;
    const int64_t group = item % s.groups, part = item / s.groups;
    const int64_t end = smaller((part + 1) * g.share, s.batch * s.out);
    Results<T> results;
    for (int64_t k = part * g.share; k < end; k += kDeep) {
      const Pixel pixel(s, smaller(k + deep, end - 1));
      const bool inside = k + deep < end;
      const T* const dy =
          g.dy + ((pixel.image * s.groups + group) * s.out_group + m0) * s.out + pixel.at;
      const T* const x = g.x + (pixel.image * s.groups + group) * s.in_group * s.in;
#pragma unroll
      for (int i = 0; i < kTile * kDeep / kBlock; ++i) {
        const int along = t / kDeep + i * (kBlock / kDeep);
        a_tile.v[deep][along] = inside && m0 + along < s.out_group ? dy[along * s.out] : T(0);
        b_tile.v[deep][along] =
            inside && n0 + along < g.columns() ? seen_by(g, x, pixel, Column(g, n0 + along)) : T(0);
      }
      __syncthreads();
      results.add(a_tile, b_tile);
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const int64_t m = m0 + results.row + r, n = n0 + results.col + j;
        if (m < s.out_group && n < g.columns())
          g.dw[((part * s.groups + group) * s.out_group + m) * g.columns() + n] = results.sum[r][j];
      }
  }
}

template <class T>
struct JoinShares {
  const T* partial;
  T* dw;
  int64_t shares, size;
  template <class Index>
  __device__ void at(Index i) const {
    double sum = 0;
    for (int64_t k = 0; k < shares; ++k) sum += static_cast<double>(partial[k * size + i]);
    dw[i] = static_cast<T>(sum);
  }
};

// A weight, by a block.
template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    one_weight_kernel(const __grid_constant__ WeightGradient<T> g, int64_t weights) {
  const ConvShape& s = g.s;
  for (int64_t i = blockIdx.x; i < weights; i += gridDim.x) {
    const int64_t channel = i / g.columns(), group = channel / s.out_group;
    const Column column(g, i - channel * g.columns());
    PartSums<T, 1> sum;
    int few = 0;
    for (int64_t k = threadIdx.x; k < s.batch * s.out; k += kBlock) {
      const Pixel pixel(s, k);
      const T d = g.dy[(pixel.image * s.groups * s.out_group + channel) * s.out + pixel.at];
      const T* const x = g.x + (pixel.image * s.groups + group) * s.in_group * s.in;
      sum.few[0] += d * seen_by(g, x, pixel, column);
      if (++few % 16 == 0) sum.flush();
    }
    sum.flush();
    sum.template fold<kBlock>();
    if (threadIdx.x == 0) g.dw[i] = static_cast<T>(sum.all[0]);
  }
}

// dw = the gradient with respect to the weights.
template <class T>
void conv3d_backward_weight(const T* x, const T* dy, T* dw, const Conv3d& v) {
  const ConvShape s(v);
  const int64_t positions = s.batch * s.out, columns = s.in_group * s.taps;
  const int64_t weights = s.groups * s.out_group * columns;
  if (weights == 0) return;
  if (s.out_group < kFewRows)
    return launch(one_weight_kernel<T>, Size{blocks_for(weights, 1), kBlock},
                  WeightGradient<T>{x, dy, dw, s, positions}, weights);
  const int64_t row_tiles = ceil_div(s.out_group, kTile), column_tiles = ceil_div(columns, kTile);
  const int64_t tiles = row_tiles * column_tiles * s.groups;
  // As many shares as keep a GPU busy and a chain of sums short; together at most 2^24 numbers, and
  // each long enough to be worth its tile.
  const int64_t wanted = larger(ceil_div(positions, 4096), ceil_div(528, tiles));
  const int64_t most = smaller(ceil_div(positions, 512), larger(1, (int64_t(1) << 24) / weights));
  const int64_t share =
      ceil_div(larger(1, ceil_div(positions, larger(1, smaller(wanted, most)))), kDeep) * kDeep;
  const int64_t shares = larger(1, ceil_div(positions, share));
  const Scratch<T> partial(shares > 1 ? shares * weights : 1);
  launch(weight_kernel<T>,
         Size{static_cast<unsigned>(smaller(tiles * shares, int64_t(1) << 30)), kBlock},
         WeightGradient<T>{x, dy, shares > 1 ? partial : dw, s, share}, tiles * shares, row_tiles,
         column_tiles);
  if (shares > 1) each(weights, weights, JoinShares<T>{partial, dw, shares, weights});
}

// -- bias --

template <class T>
struct SumChannel {
  const T* x;
  double* sums;
  Units units;
  template <int kThreads>
  __device__ void part(int64_t unit, int64_t part) const {
    PartSums<T, 1> sum;
    units.each<kThreads>(unit, part, [&](int64_t i) { sum.few[0] += x[i]; }, [&] { sum.flush(); });
    sum.template fold<kThreads>();
    if (threadIdx.x % kThreads == 0) sums[unit * units.parts() + part] = sum.all[0];
  }
};
template <class T>
struct JoinChannel {
  const double* sums;
  T* db;
  int64_t parts;
  template <class Index>
  __device__ void at(Index c) const {
    double sum = 0;
    for (int64_t i = 0; i < parts; ++i) sum += sums[c * parts + i];
    db[c] = static_cast<T>(sum);
  }
};

// db = the sums of dy over images and positions.
template <class T>
void conv2d_backward_bias(const T* dy, T* db, const Conv2d& c) {
  const Units units = Units::channels(c.batch, c.out_channels, c.out_h * c.out_w);
  const Scratch<double> sums(units.count * units.parts());
  each_part(units, SumChannel<T>{dy, sums, units});
  each(units.count, units.count, JoinChannel<T>{sums, db, units.parts()});
}

template <class T>
void conv2d_backward_weight(const T* x, const T* dy, T* dw, T* db, const Conv2d& c) {
  conv3d_backward_weight(x, dy, dw, volume_of(c));
  if (db) conv2d_backward_bias(dy, db, c);
}

}  // namespace

DLCORE_CUDA_EXPORT(conv2d_backward_weight)
DLCORE_CUDA_EXPORT(conv2d_backward_bias)
DLCORE_CUDA_EXPORT(conv3d_backward_weight)

}  // namespace DLCORE_ISA
}  // namespace dlcore
