// Padding: elements added at the ends of the axes, or taken away, forward and backward. Bound by
// memory: one read and one write.

#include "cuda/each.h"
#include "kernels/pad.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One axis: which element of x each element of y is a copy of.
struct Ends {
  int64_t size, out, before;
  int64_t begin, end;  // the elements of x that y holds in their own order

  Ends() = default;
  Ends(int64_t size_, int64_t out_, int64_t before_) : size(size_), out(out_), before(before_) {
    begin = smaller(size, larger(0, -before));
    end = larger(begin, smaller(size, out - before));
  }
  bool whole() const { return size == out && before == 0; }

  // -1: the constant.
  __device__ int64_t source(PadMode mode, int64_t o) const {
    const int64_t i = o - before;
    if (i >= begin && i < end) return i;
    if (mode == PadMode::constant) return -1;
    if (mode == PadMode::replicate) return i < 0 ? 0 : size - 1;
    if (mode == PadMode::reflect) return i < 0 ? -i : 2 * (size - 1) - i;
    return i < begin ? i + (end - begin) : i - (end - begin);
  }

  // How many copies of element i y may have, and the k-th; -1: it has not.
  __device__ int64_t copies(PadMode mode, int64_t i) const {
    if (mode != PadMode::replicate) return 3;
    return 1 + (i == 0 ? larger(before, 0) : 0) +
           (i == size - 1 ? larger(out - size - before, 0) : 0);
  }
  __device__ int64_t copy(PadMode mode, int64_t i, int64_t k) const {
    int64_t o = i + before;
    if (k > 0 && mode == PadMode::replicate) {
      const int64_t ahead = i == 0 ? larger(before, 0) : 0;
      o = k <= ahead ? k - 1 : size + before + k - 1 - ahead;
    } else if (k > 0 && mode == PadMode::reflect) {
      if (i == (k == 1 ? 0 : size - 1)) return -1;  // its own mirror image
      o = (k == 1 ? -i : 2 * (size - 1) - i) + before;
    } else if (k > 0) {
      if (i < begin || i >= end) return -1;
      o += k == 1 ? begin - end : end - begin;
    }
    return o >= 0 && o < out ? o : -1;
  }
};

// Axes that lie next to each other and are not padded are one.
struct Merged {
  PadMode mode;
  int ndim = 0;
  int64_t elements = 1, given = 1;  // of y and of x
  Ends axis[kMaxPadDims];

  explicit Merged(const Pad& p) : mode(p.mode) {
    for (int d = 0; d < p.ndim; ++d) {
      const Ends e(p.size[d], p.out[d], p.before[d]);
      elements *= e.out;
      given *= e.size;
      if (ndim > 0 && e.whole() && axis[ndim - 1].whole()) {
        const int64_t n = axis[ndim - 1].size * e.size;
        axis[ndim - 1] = Ends(n, n, 0);
      } else {
        axis[ndim++] = e;
      }
    }
  }
};

template <class T>
struct Padded {
  const T* x;
  T* y;
  T value;
  Merged p;

  template <class Index>
  __device__ void at(Index i) const {
    Index rest = i;
    int64_t from = 0, step = 1;
    for (int d = p.ndim - 1; d >= 0; --d) {
      const Ends& e = p.axis[d];
      const Index above = d > 0 ? rest / static_cast<Index>(e.out) : 0;
      const int64_t source = e.source(p.mode, rest - above * static_cast<Index>(e.out));
      if (source < 0) {
        y[i] = value;
        return;
      }
      from += source * step;
      step *= e.size;
      rest = above;
    }
    y[i] = x[from];
  }
};

// y = x with p.before elements added before each axis and the rest behind: the value, x mirrored at
// its end elements, its end elements, or x repeated. Negative numbers take elements away.
template <class T>
void pad_forward(const T* x, T* y, const Pad& p, T value) {
  const Merged merged(p);
  each(merged.elements, merged.given, Padded<T>{x, y, value, merged});
}

template <class T>
struct GivenBack {
  const T* dy;
  T* dx;
  PadMode mode;
  Ends d, h, w;

  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> e(i, d.size, h.size, w.size);
    T sum = T(0);
    const int64_t wide = w.copies(mode, e.w), tall = h.copies(mode, e.h),
                  deep = d.copies(mode, e.d);
    for (int64_t q = 0; q < deep; ++q) {
      const int64_t od = d.copy(mode, e.d, q);
      if (od < 0) continue;
      for (int64_t r = 0; r < tall; ++r) {
        const int64_t oh = h.copy(mode, e.h, r);
        if (oh < 0) continue;
        const T* const row = dy + ((e.outer * d.out + od) * h.out + oh) * w.out;
        for (int64_t s = 0; s < wide; ++s) {
          const int64_t ow = w.copy(mode, e.w, s);
          if (ow >= 0) sum += row[ow];
        }
      }
    }
    dx[i] = sum;
  }
};

// dx: each element the sum of dy at its copies; of the constant's gradient nothing is left. At most
// the last three axes are padded, unless with the constant.
template <class T>
void pad_backward(const T* dy, T* dx, const Pad& p) {
  if (p.mode == PadMode::constant) {
    Pad back = p;
    for (int d = 0; d < p.ndim; ++d) {
      back.size[d] = p.out[d], back.out[d] = p.size[d];
      back.before[d] = -p.before[d];
    }
    return pad_forward<T>(dy, dx, back, T(0));
  }
  GivenBack<T> body{dy, dx, p.mode, Ends(1, 1, 0), Ends(1, 1, 0), Ends(1, 1, 0)};
  Ends* const axes[] = {&body.w, &body.h, &body.d};
  int64_t n = 1, m = 1;
  for (int k = 0; k < p.ndim; ++k) {
    const int d = p.ndim - 1 - k;
    if (k < 3) *axes[k] = Ends(p.size[d], p.out[d], p.before[d]);
    n *= p.size[d];
    m *= p.out[d];
  }
  each(n, m, body);
}

}  // namespace

DLCORE_CUDA_EXPORT(pad_forward)
DLCORE_CUDA_EXPORT(pad_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
