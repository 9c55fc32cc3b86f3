// Boxes as what a detector predicts: shifts and log scales relative to given boxes, and the grids
// of given boxes.
//
// With (c, s) the centre and the side of a box along an axis:
//   code of a target:  wc (c' - c) / s, ws log(s' / s)
//   box of a code:     c' = (d / wc) s + c, s' = exp(min(e / ws, clip)) s
// Memory bounds decoding, log and exp cost some 20 multiplies each.

#include "kernels/box_coding.h"

#include "cpu/boxes.h"
#include "cpu/simd_math.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kCodeCost = 64;  // a box, in multiplies

// Centre and side along one axis.
template <class T>
struct Extent {
  Vec<T> centre, side;

  DLCORE_INLINE_MEMBER Extent(Vec<T> low, Vec<T> high) : side(high - low) {
    centre = low + T(0.5) * side;
  }
};

// The gradient of the two corners from that of centre and side.
template <class T>
DLCORE_INLINE void to_corners(Vec<T> centre, Vec<T> side, Vec<T>& low, Vec<T>& high) {
  low = T(0.5) * centre - side;
  high = T(0.5) * centre + side;
}

template <class T>
DLCORE_INLINE void encode_axis(const Extent<T>& target, const Extent<T>& given, T wc, T ws,
                               Vec<T>& shift, Vec<T>& scale) {
  shift = wc * (target.centre - given.centre) / given.side;
  scale = ws * log<T>(target.side / given.side);
}

// y[i] = the code of target[i] relative to given[i]. weights: of x, y, width, height.
template <class T>
void encode_boxes(const T* target, const T* given, T* y, int64_t n, const T* weights) {
  each_vector_of_boxes<T>(n, kCodeCost, [=](int64_t i, int64_t count) {
    const Box<T> t = load_boxes<T>(target + 4 * i, count), g = load_boxes<T>(given + 4 * i, count);
    Box<T> code;
    encode_axis<T>({t.x1, t.x2}, {g.x1, g.x2}, weights[0], weights[2], code.x1, code.x2);
    encode_axis<T>({t.y1, t.y2}, {g.y1, g.y2}, weights[1], weights[3], code.y1, code.y2);
    store_boxes<T>(y + 4 * i, count, code);
  });
}

template <class T>
void encode_boxes_backward(const T* target, const T* given, const T* dy, T* dtarget, T* dgiven,
                           int64_t n, const T* weights) {
  each_vector_of_boxes<T>(n, kCodeCost, [=](int64_t i, int64_t count) {
    const Box<T> t = load_boxes<T>(target + 4 * i, count), g = load_boxes<T>(given + 4 * i, count);
    const Box<T> d = load_boxes<T>(dy + 4 * i, count);
    Box<T> dt, dg;
    const auto axis = [](const Extent<T>& target, const Extent<T>& given, T wc, T ws, Vec<T> dshift,
                         Vec<T> dscale, Vec<T>& t_low, Vec<T>& t_high, Vec<T>& g_low,
                         Vec<T>& g_high) {
      const Vec<T> centre = dshift * wc / given.side;
      const Vec<T> distance = (target.centre - given.centre) / given.side;
      to_corners<T>(centre, dscale * ws / target.side, t_low, t_high);
      to_corners<T>(-centre, -(dscale * ws / given.side) - centre * distance, g_low, g_high);
    };
    axis({t.x1, t.x2}, {g.x1, g.x2}, weights[0], weights[2], d.x1, d.x2, dt.x1, dt.x2, dg.x1,
         dg.x2);
    axis({t.y1, t.y2}, {g.y1, g.y2}, weights[1], weights[3], d.y1, d.y2, dt.y1, dt.y2, dg.y1,
         dg.y2);
    store_boxes<T>(dtarget + 4 * i, count, dt);
    store_boxes<T>(dgiven + 4 * i, count, dg);
  });
}

// Boxes i to i + count of a list in which each of `given` stands `codes` times.
template <class T>
DLCORE_INLINE Box<T> repeated_boxes(const T* given, int64_t i, int64_t count, int64_t codes) {
  if (codes == 1) return load_boxes<T>(given + 4 * i, count);
  Box<T> box{};
  for (int64_t l = 0; l < count; ++l) {
    const T* p = given + 4 * ((i + l) / codes);
    box.x1[l] = p[0], box.y1[l] = p[1], box.x2[l] = p[2], box.y2[l] = p[3];
  }
  return box;
}

// y (n, codes, 4) = the boxes of codes (n, codes, 4) relative to given (n, 4).
template <class T>
void decode_boxes(const T* code, const T* given, T* y, int64_t n, int64_t codes, const T* weights,
                  T clip) {
  each_vector_of_boxes<T>(n * codes, kCodeCost, [=](int64_t i, int64_t count) {
    const Box<T> d = load_boxes<T>(code + 4 * i, count);
    const Box<T> g = repeated_boxes<T>(given, i, count, codes);
    Box<T> box;
    const auto axis = [=](const Extent<T>& given, T wc, T ws, Vec<T> shift, Vec<T> scale,
                          Vec<T>& low, Vec<T>& high) {
      const Vec<T> centre = shift / wc * given.side + given.centre;
      const Vec<T> half = T(0.5) * (exp<T>(min<T>(splat<T>(clip), scale / ws)) * given.side);
      low = centre - half;
      high = centre + half;
    };
    axis({g.x1, g.x2}, weights[0], weights[2], d.x1, d.x2, box.x1, box.x2);
    axis({g.y1, g.y2}, weights[1], weights[3], d.y1, d.y2, box.y1, box.y2);
    store_boxes<T>(y + 4 * i, count, box);
  });
}

// dgiven (n, codes, 4): what each code gives, to be added up.
template <class T>
void decode_boxes_backward(const T* code, const T* given, const T* dy, T* dcode, T* dgiven,
                           int64_t n, int64_t codes, const T* weights, T clip) {
  each_vector_of_boxes<T>(n * codes, kCodeCost, [=](int64_t i, int64_t count) {
    const Box<T> c = load_boxes<T>(code + 4 * i, count), d = load_boxes<T>(dy + 4 * i, count);
    const Box<T> g = repeated_boxes<T>(given, i, count, codes);
    Box<T> dc, dg;
    const auto axis = [=](const Extent<T>& given, T wc, T ws, Vec<T> shift, Vec<T> scale,
                          Vec<T> d_low, Vec<T> d_high, Vec<T>& dshift, Vec<T>& dscale,
                          Vec<T>& g_low, Vec<T>& g_high) {
      const Vec<T> centre = d_low + d_high, side = T(0.5) * (d_high - d_low);
      const Vec<T> power = scale / ws;
      const Vec<T> growth = exp<T>(min<T>(splat<T>(clip), power));
      dshift = centre * given.side / wc;
      dscale = power <= clip ? side * growth * given.side / ws : Vec<T>{};
      to_corners<T>(centre, centre * (shift / wc) + side * growth, g_low, g_high);
    };
    axis({g.x1, g.x2}, weights[0], weights[2], c.x1, c.x2, d.x1, d.x2, dc.x1, dc.x2, dg.x1, dg.x2);
    axis({g.y1, g.y2}, weights[1], weights[3], c.y1, c.y2, d.y1, d.y2, dc.y1, dc.y2, dg.y1, dg.y2);
    store_boxes<T>(dcode + 4 * i, count, dc);
    store_boxes<T>(dgiven + 4 * i, count, dg);
  });
}

// y (rows, columns, n, 4) = each of the n boxes moved to each place of a grid.
template <class T>
void grid_boxes(const T* boxes, T* y, int64_t n, const BoxGrid& p) {
  parallel_for(p.rows, grain_for(p.columns * n * 4), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T down = static_cast<T>((static_cast<double>(i) + p.offset) * p.step_y);
      for (int64_t j = 0; j < p.columns; ++j) {
        const T across = static_cast<T>((static_cast<double>(j) + p.offset) * p.step_x);
        T* to = y + (i * p.columns + j) * n * 4;
        for (int64_t b = 0; b < n; ++b, to += 4) {
          to[0] = boxes[4 * b] + across, to[1] = boxes[4 * b + 1] + down;
          to[2] = boxes[4 * b + 2] + across, to[3] = boxes[4 * b + 3] + down;
        }
      }
    }
  });
}

}  // namespace

DLCORE_EXPORT(encode_boxes)
DLCORE_EXPORT(encode_boxes_backward)
DLCORE_EXPORT(decode_boxes)
DLCORE_EXPORT(decode_boxes_backward)
DLCORE_EXPORT(grid_boxes)

}  // namespace DLCORE_ISA
}  // namespace dlcore
