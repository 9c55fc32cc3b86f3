// Convolution over one to three axes and its gradient of x, as an implicit product on the ordinary
// units: right for every stride, dilation, padding and group. The windows are gathered straight
// into the tiles of the product. The gradient is a product for each phase of the stride, whose
// elements see the same taps. Where a group has few results, as depthwise, a thread makes one.
// Each result is one chain of FMAs, channel by channel, tap by tap.

#include "cuda/activation.h"
#include "cuda/conv.h"
#include "cuda/each.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// y from x, or backward x from y, of weights (groups, out_group, in_group, taps).
template <class T>
struct Convolve {
  const T *source, *weight, *bias;
  T* result;
  Finish<T> finish;
  ConvShape s;
  bool backward;

  __device__ int64_t rows() const { return backward ? s.in_group : s.out_group; }
  __device__ int64_t channels() const { return backward ? s.out_group : s.in_group; }
  __device__ int64_t source_plane() const { return backward ? s.out : s.in; }
  __device__ int64_t result_plane() const { return backward ? s.in : s.out; }
  // Where the taps of a row of results and a channel of the source begin.
  __device__ int64_t taps_at(int64_t group, int64_t row, int64_t channel) const {
    const int64_t o = backward ? channel : row, i = backward ? row : channel;
    return ((group * s.out_group + o) * s.in_group + i) * s.taps;
  }
  // A sum becomes element `at` of the result, of row `row`.
  __device__ void write(int64_t at, int64_t row, T v) const {
    if (bias) v += bias[row];
    if (finish.residual) v += finish.residual[at];
    result[at] = activate(finish.activation, v, finish.slope);
  }
};

// -- tiles --

// A deep step of a tile: a channel and a tap.
struct Step {
  int64_t weight, offset;  // of the weights and of the source
  int z, y, x;             // of the source's place; far outside where there is no such step
};

template <class T>
__device__ Step step_of(const Convolve<T>& c, const Seen* seen, int64_t k, int64_t depth) {
  if (k >= depth) return {0, 0, -(1 << 30), 0, 0};
  const int taps = seen[0].taps * seen[1].taps * seen[2].taps;
  const int64_t channel = k / taps;
  const int tap = static_cast<int>(k - channel * taps), line = tap / seen[2].taps;
  const int x = tap - line * seen[2].taps, z = line / seen[1].taps, y = line - z * seen[1].taps;
  const auto own = [=](const Seen& a, int j) { return a.first_tap + j * a.tap_step; };
  const int at = (own(seen[0], z) * c.s.axis[1].kernel + own(seen[1], y)) * c.s.axis[2].kernel +
                 own(seen[2], x);
  return {c.taps_at(0, 0, channel) + at, channel * c.source_plane(), z * seen[0].reach,
          y * seen[1].reach, x * seen[2].reach};
}

// Position n of the results of a phase: its image, its place there, and where it sees the source.
struct Position {
  int64_t image, at;
  int z, y, x;
  __device__ Position(const Seen* seen, const ConvAxis* axis, bool backward, int64_t n) {
    const int64_t line = n / seen[2].positions, slice = line / seen[1].positions;
    const int w = static_cast<int>(n - line * seen[2].positions);
    const int h = static_cast<int>(line - slice * seen[1].positions);
    image = slice / seen[0].positions;
    const int d = static_cast<int>(slice - image * seen[0].positions);
    const auto own = [=](const Seen& a, int p) { return int64_t(a.first + p * a.step); };
    const int height = backward ? axis[1].in : axis[1].out;
    const int width = backward ? axis[2].in : axis[2].out;
    at = (own(seen[0], d) * height + own(seen[1], h)) * width + own(seen[2], w);
    z = seen[0].base + d * seen[0].move;
    y = seen[1].base + h * seen[1].move;
    x = seen[2].base + w * seen[2].move;
  }
};

template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    tile_kernel(const __grid_constant__ Convolve<T> c, int64_t tiles, int64_t row_tiles,
                int64_t position_tiles, int64_t phases) {
  __shared__ Tile<T> a_tile, b_tile;
  __shared__ Step steps[2][kDeep];
  __shared__ Seen seen[3];
  const int t = static_cast<int>(threadIdx.x);
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t m0 = tile % row_tiles * kTile, others = tile / row_tiles;
    const int64_t n0 = others % position_tiles * kTile, group = others / position_tiles / phases;
    if (t < 3) {
      if (c.backward) {
        int64_t phase = others / position_tiles % phases;
        for (int axis = 2; axis > t; --axis) phase /= c.s.axis[axis].stride;
        seen[t].backward(c.s.axis[t], static_cast<int>(phase % c.s.axis[t].stride));
      } else {
        seen[t].forward(c.s.axis[t]);
      }
    }
    __syncthreads();
    const int64_t depth = c.channels() * (seen[0].taps * seen[1].taps * seen[2].taps);
    const int64_t positions =
        c.s.batch * (int64_t(seen[0].positions) * seen[1].positions * seen[2].positions);
    if (t < kDeep) steps[0][t] = step_of(c, seen, t, depth);
    if (positions <= n0) {  // of a phase with fewer
      __syncthreads();
      continue;
    }
    const bool inside = n0 + t % kTile < positions;
    const Position mine(seen, c.s.axis, c.backward, inside ? n0 + t % kTile : n0);
    const T* const source =
        c.source + (mine.image * c.s.groups + group) * c.channels() * c.source_plane();
    const T* const weight = c.weight + c.taps_at(group, m0, 0);
    const int64_t row_step = c.taps_at(0, 1, 0);
    Results<T> results;
    __syncthreads();
    int now = 0;
    for (int64_t k = 0; k < depth; k += kDeep, now ^= 1) {
#pragma unroll
      for (int i = 0; i < kTile * kDeep / kBlock; ++i) {
        const int deep = t % kDeep, m = t / kDeep + i * (kBlock / kDeep);
        a_tile.v[deep][m] = m0 + m < c.rows() && k + deep < depth
                                ? weight[m * row_step + steps[now][deep].weight]
                                : T(0);
        const int down = t / kTile + i * (kBlock / kTile);
        const Step& step = steps[now][down];
        const int z = mine.z + step.z, y = mine.y + step.y, x = mine.x + step.x;
        const bool seen_inside = inside && static_cast<unsigned>(z) < unsigned(seen[0].source) &&
                                 static_cast<unsigned>(y) < unsigned(seen[1].source) &&
                                 static_cast<unsigned>(x) < unsigned(seen[2].source);
        b_tile.v[down][t % kTile] =
            seen_inside
                ? source[step.offset + (int64_t(z) * seen[1].source + y) * seen[2].source + x]
                : T(0);
      }
      if (t < kDeep && k + kDeep < depth)
        steps[now ^ 1][t] = step_of(c, seen, k + kDeep + t, depth);
      __syncthreads();
      results.add(a_tile, b_tile);
      __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const int64_t n = n0 + results.col + j;
      if (n >= positions) continue;
      const Position to(seen, c.s.axis, c.backward, n);
#pragma unroll
      for (int r = 0; r < kEach; ++r) {
        const int64_t m = m0 + results.row + r, channel = group * c.rows() + m;
        if (m < c.rows())
          c.write((to.image * c.s.groups * c.rows() + channel) * c.result_plane() + to.at, channel,
                  results.sum[r][j]);
      }
    }
    __syncthreads();  // before `seen` changes
  }
}

// -- one result to a thread --

template <class T>
struct OneByOne {
  Convolve<T> c;

  // Where tap `tap` of element `at` lies along one axis of the source; -1: nowhere.
  __device__ int place(const ConvAxis& a, int at, int tap) const {
    if (!c.backward) {
      const int from = at * a.stride - a.pad + tap * a.dilation;
      return from < a.in ? from : -1;
    }
    const int from = at + a.pad - tap * a.dilation;
    if (a.stride == 1) return from < a.out ? from : -1;
    return from >= 0 && from % a.stride == 0 && from / a.stride < a.out ? from / a.stride : -1;
  }

  template <class Index>
  __device__ void at(Index i) const {
    const ConvAxis &d = c.s.axis[0], &h = c.s.axis[1], &w = c.s.axis[2];
    const bool back = c.backward;
    const Places<Index> p(i, back ? d.in : d.out, back ? h.in : h.out, back ? w.in : w.out);
    const int64_t rows = c.rows(), all = c.s.groups * rows;
    const int64_t image = p.outer / static_cast<Index>(all), channel = p.outer - image * all;
    const int64_t group = channel / static_cast<Index>(rows), row = channel - group * rows;
    const int height = back ? h.out : h.in, width = back ? w.out : w.in;
    const T* source = c.source + (image * c.s.groups + group) * c.channels() * c.source_plane();
    T sum = T(0);
    for (int64_t k = 0; k < c.channels(); ++k, source += c.source_plane()) {
      const T* weight = c.weight + c.taps_at(group, row, k);
      for (int q = 0; q < d.kernel; ++q) {
        const int z = place(d, static_cast<int>(p.d), q);
        for (int r = 0; r < h.kernel; ++r, weight += w.kernel) {
          const int y = place(h, static_cast<int>(p.h), r);
          if (z < 0 || y < 0) continue;
          const T* const line = source + (int64_t(z) * height + y) * width;
          for (int s = 0; s < w.kernel; ++s) {
            const int x = place(w, static_cast<int>(p.w), s);
            if (x >= 0) sum += weight[s] * line[x];
          }
        }
      }
    }
    c.write(i, channel, sum);
  }
};

template <class T>
void convolve(const Convolve<T>& c) {
  const ConvShape& s = c.s;
  const int64_t rows = c.backward ? s.in_group : s.out_group;
  const int64_t plane = c.backward ? s.in : s.out;
  const int64_t n = s.batch * s.groups * rows * plane;
  if (n == 0) return;
  if (rows < kFewRows)
    return each(n, s.batch * s.groups * larger(s.in_group * s.in, s.out_group * s.out),
                OneByOne<T>{c});
  int64_t phases = 1, positions = s.batch;
  for (const ConvAxis& a : s.axis) {
    phases *= c.backward ? a.stride : 1;
    positions *= c.backward ? ceil_div(a.in, a.stride) : a.out;
  }
  const int64_t row_tiles = ceil_div(rows, kTile), position_tiles = ceil_div(positions, kTile);
  const int64_t tiles = row_tiles * position_tiles * s.groups * phases;
  launch(tile_kernel<T>, Size{static_cast<unsigned>(smaller(tiles, int64_t(1) << 30)), kBlock}, c,
         tiles, row_tiles, position_tiles, phases);
}

// y = finish(conv(x, weight) + bias); bias may be null.
template <class T>
void conv3d_forward(const T* x, const T* weight, const T* bias, T* y, const Conv3d& v,
                    const Finish<T>& finish) {
  convolve(Convolve<T>{x, weight, bias, y, finish, ConvShape(v), false});
}
// dx = the gradient with respect to x.
template <class T>
void conv3d_backward_data(const T* dy, const T* weight, T* dx, const Conv3d& v) {
  convolve(Convolve<T>{dy, weight, nullptr, dx, {}, ConvShape(v), true});
}

template <class T>
void conv2d_forward(const T* x, const T* weight, const T* bias, T* y, const Conv2d& c,
                    const Finish<T>& finish, const T*) {
  conv3d_forward(x, weight, bias, y, volume_of(c), finish);
}
template <class T>
void conv2d_backward_data(const T* dy, const T* weight, T* dx, const Conv2d& c) {
  conv3d_backward_data(dy, weight, dx, volume_of(c));
}

}  // namespace

DLCORE_CUDA_EXPORT(conv2d_forward)
DLCORE_CUDA_EXPORT(conv2d_backward_data)
DLCORE_CUDA_EXPORT(conv3d_forward)
DLCORE_CUDA_EXPORT(conv3d_backward_data)

}  // namespace DLCORE_ISA
}  // namespace dlcore
