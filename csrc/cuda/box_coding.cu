// Boxes as what a detector predicts: shifts and log scales relative to given boxes, and the grids
// of given boxes. With (c, s) the centre and the side of a box along an axis:
//   code of a target:  wc (c' - c) / s, ws log(s' / s)
//   box of a code:     c' = (d / wc) s + c, s' = exp(min(e / ws, clip)) s
// The weights are the host's.

#include "cuda/boxes.h"
#include "cuda/each.h"
#include "kernels/box_coding.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Centre and side along one axis.
template <class T>
struct Extent {
  T centre, side;
  __device__ Extent(T low, T high) : side(high - low) { centre = low + T(0.5) * side; }
};

// The gradient of the two corners from that of centre and side.
template <class T>
__device__ void to_corners(T centre, T side, T& low, T& high) {
  low = T(0.5) * centre - side;
  high = T(0.5) * centre + side;
}

// Of x, y, width, height.
template <class T>
struct Weights {
  T x, y, w, h;
  explicit Weights(const T* host) : x(host[0]), y(host[1]), w(host[2]), h(host[3]) {}
};

template <class T>
struct Encode {
  const T *target, *given;
  T* y;
  Weights<T> weights;
  __device__ static void axis(const Extent<T>& target, const Extent<T>& given, T wc, T ws, T& shift,
                              T& scale) {
    shift = wc * (target.centre - given.centre) / given.side;
    scale = ws * math::log(target.side / given.side);
  }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> t = load_box(target, i), g = load_box(given, i);
    Box<T> code;
    axis({t.x1, t.x2}, {g.x1, g.x2}, weights.x, weights.w, code.x1, code.x2);
    axis({t.y1, t.y2}, {g.y1, g.y2}, weights.y, weights.h, code.y1, code.y2);
    store_box(y, i, code);
  }
};

// y[i] = the code of target[i] relative to given[i].
template <class T>
void encode_boxes(const T* target, const T* given, T* y, int64_t n, const T* weights) {
  each(n, 4 * n, Encode<T>{target, given, y, Weights<T>(weights)});
}

template <class T>
struct EncodeBack {
  const T *target, *given, *dy;
  T *dtarget, *dgiven;
  Weights<T> weights;
  __device__ static void axis(const Extent<T>& target, const Extent<T>& given, T wc, T ws, T dshift,
                              T dscale, T& t_low, T& t_high, T& g_low, T& g_high) {
    const T centre = dshift * wc / given.side;
    const T distance = (target.centre - given.centre) / given.side;
    to_corners(centre, dscale * ws / target.side, t_low, t_high);
    to_corners(-centre, -(dscale * ws / given.side) - centre * distance, g_low, g_high);
  }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> t = load_box(target, i), g = load_box(given, i), d = load_box(dy, i);
    Box<T> dt, dg;
    axis({t.x1, t.x2}, {g.x1, g.x2}, weights.x, weights.w, d.x1, d.x2, dt.x1, dt.x2, dg.x1, dg.x2);
    axis({t.y1, t.y2}, {g.y1, g.y2}, weights.y, weights.h, d.y1, d.y2, dt.y1, dt.y2, dg.y1, dg.y2);
    store_box(dtarget, i, dt);
    store_box(dgiven, i, dg);
  }
};
template <class T>
void encode_boxes_backward(const T* target, const T* given, const T* dy, T* dtarget, T* dgiven,
                           int64_t n, const T* weights) {
  each(n, 4 * n, EncodeBack<T>{target, given, dy, dtarget, dgiven, Weights<T>(weights)});
}

template <class T>
struct Decode {
  const T *code, *given;
  T* y;
  Weights<T> weights;
  T clip;
  int64_t codes;
  __device__ void axis(const Extent<T>& given, T wc, T ws, T shift, T scale, T& low,
                       T& high) const {
    const T centre = shift / wc * given.side + given.centre;
    const T half = T(0.5) * (math::exp(lower_of(clip, scale / ws)) * given.side);
    low = centre - half;
    high = centre + half;
  }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> d = load_box(code, i), g = load_box(given, i / static_cast<Index>(codes));
    Box<T> box;
    axis({g.x1, g.x2}, weights.x, weights.w, d.x1, d.x2, box.x1, box.x2);
    axis({g.y1, g.y2}, weights.y, weights.h, d.y1, d.y2, box.y1, box.y2);
    store_box(y, i, box);
  }
};

// y (n, codes, 4) = the boxes of codes (n, codes, 4) relative to given (n, 4).
template <class T>
void decode_boxes(const T* code, const T* given, T* y, int64_t n, int64_t codes, const T* weights,
                  T clip) {
  each(n * codes, 4 * n * codes, Decode<T>{code, given, y, Weights<T>(weights), clip, codes});
}

template <class T>
struct DecodeBack {
  const T *code, *given, *dy;
  T *dcode, *dgiven;
  Weights<T> weights;
  T clip;
  int64_t codes;
  __device__ void axis(const Extent<T>& given, T wc, T ws, T shift, T scale, T d_low, T d_high,
                       T& dshift, T& dscale, T& g_low, T& g_high) const {
    const T centre = d_low + d_high, side = T(0.5) * (d_high - d_low), power = scale / ws;
    const T growth = math::exp(lower_of(clip, power));
    dshift = centre * given.side / wc;
    dscale = power <= clip ? side * growth * given.side / ws : T(0);
    to_corners(centre, centre * (shift / wc) + side * growth, g_low, g_high);
  }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> c = load_box(code, i), d = load_box(dy, i);
    const Box<T> g = load_box(given, i / static_cast<Index>(codes));
    Box<T> dc, dg;
    axis({g.x1, g.x2}, weights.x, weights.w, c.x1, c.x2, d.x1, d.x2, dc.x1, dc.x2, dg.x1, dg.x2);
    axis({g.y1, g.y2}, weights.y, weights.h, c.y1, c.y2, d.y1, d.y2, dc.y1, dc.y2, dg.y1, dg.y2);
    store_box(dcode, i, dc);
    store_box(dgiven, i, dg);
  }
};

// dgiven (n, codes, 4): what each code gives, to be added up.
template <class T>
void decode_boxes_backward(const T* code, const T* given, const T* dy, T* dcode, T* dgiven,
                           int64_t n, int64_t codes, const T* weights, T clip) {
  each(n * codes, 4 * n * codes,
       DecodeBack<T>{code, given, dy, dcode, dgiven, Weights<T>(weights), clip, codes});
}

template <class T>
struct OnGrid {
  const T* boxes;
  T* y;
  int64_t n;
  BoxGrid grid;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> p(i, 1, grid.columns, n);
    const T down = static_cast<T>((static_cast<double>(p.outer) + grid.offset) * grid.step_y);
    const T across = static_cast<T>((static_cast<double>(p.h) + grid.offset) * grid.step_x);
    const Box<T> box = load_box(boxes, p.w);
    store_box(y, i, Box<T>{box.x1 + across, box.y1 + down, box.x2 + across, box.y2 + down});
  }
};

// y (rows, columns, n, 4) = each of the n boxes moved to each place of a grid.
template <class T>
void grid_boxes(const T* boxes, T* y, int64_t n, const BoxGrid& p) {
  const int64_t all = p.rows * p.columns * n;
  each(all, 4 * all, OnGrid<T>{boxes, y, n, p});
}

}  // namespace

DLCORE_CUDA_EXPORT(encode_boxes)
DLCORE_CUDA_EXPORT(encode_boxes_backward)
DLCORE_CUDA_EXPORT(decode_boxes)
DLCORE_CUDA_EXPORT(decode_boxes_backward)
DLCORE_CUDA_EXPORT(grid_boxes)

}  // namespace DLCORE_ISA
}  // namespace dlcore
