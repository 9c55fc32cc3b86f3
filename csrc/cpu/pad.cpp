// Padding: elements added at the ends of the axes, or taken away, forward and backward.
//
// A row of y is a stretch of a row of x with a few elements at its ends, so the cost is one copy of
// x. Backward adds up, for each row of dx, the rows of dy that are copies of it.

#include "kernels/pad.h"

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One axis: which element of x each element of y is a copy of.
struct Ends {
  PadMode mode;
  int64_t size, out, before;
  int64_t begin, end;  // the elements of x that y holds in their own order

  Ends(const Pad& p, int axis)
      : mode(p.mode), size(p.size[axis]), out(p.out[axis]), before(p.before[axis]) {
    begin = smaller(size, larger(0, -before));
    end = larger(begin, smaller(size, out - before));
  }
  int64_t inner_begin() const { return begin + before; }
  int64_t inner_end() const { return end + before; }

  // -1: the constant.
  DLCORE_INLINE_MEMBER int64_t source(int64_t o) const {
    const int64_t i = o - before;
    if (i >= begin && i < end) return i;
    if (mode == PadMode::constant) return -1;
    if (mode == PadMode::replicate) return i < 0 ? 0 : size - 1;
    if (mode == PadMode::reflect) return i < 0 ? -i : 2 * (size - 1) - i;
    return i < begin ? i + (end - begin) : i - (end - begin);
  }

  // Calls body(o) for each element of y that is a copy of element i of x.
  template <class Body>
  DLCORE_INLINE_MEMBER void each_copy(int64_t i, const Body& body) const {
    const auto inside = [&](int64_t o) {
      if (o >= 0 && o < out) body(o);
    };
    inside(i + before);
    if (mode == PadMode::reflect) {
      if (i > 0) inside(before - i);
      if (i < size - 1) inside(2 * (size - 1) - i + before);
    } else if (mode == PadMode::replicate) {
      if (i == 0)
        for (int64_t o = 0; o < before; ++o) inside(o);
      if (i == size - 1)
        for (int64_t o = size + before; o < out; ++o) body(o);
    } else if (i >= begin && i < end) {
      inside(i - (end - begin) + before);
      inside(i + (end - begin) + before);
    }
  }
};

// As copy_row; a last part of a vector is copied with what lies before it. Long ones may go past
// the caches.
template <class T>
DLCORE_INLINE void copy_stretch(const T* x, int64_t n, bool past_caches, T* y) {
  constexpr int64_t L = kLanes<T>;
  if (past_caches) return map_unfenced<T>(y, n, true, [](Vec<T> v) { return v; }, Each<T>{x});
  if (n < L) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i];
    return;
  }
  for (int64_t i = 0; i < n - L; i += L) store<T>(y + i, load<T>(x + i));
  store<T>(y + n - L, load<T>(x + n - L));
}

template <class T>
DLCORE_INLINE void fill_stretch(T value, int64_t n, T* y) {
  if (n >= kLanes<T>) return fill_row<T>(value, n, y);
  for (int64_t i = 0; i < n; ++i) y[i] = value;
}

template <class T>
DLCORE_INLINE void pad_row(const T* x, const Ends& e, T value, bool past_caches, T* y) {
  const int64_t first = smaller(e.out, larger(0, e.inner_begin()));
  const int64_t last = larger(first, e.inner_end());
  if (e.mode == PadMode::constant) {
    fill_stretch<T>(value, first, y);
    fill_stretch<T>(value, e.out - last, y + last);
  } else {
    for (int64_t o = 0; o < first; ++o) y[o] = x[e.source(o)];
    for (int64_t o = last; o < e.out; ++o) y[o] = x[e.source(o)];
  }
  copy_stretch<T>(x + first - e.before, last - first, past_caches, y + first);
}

// The row of x that row `row` of y is a copy of; -1 for a row of the constant. The rows of a plane
// follow one another: only its axes above the second last need divisions.
class Rows {
 public:
  explicit Rows(const Pad& p) : p_(p), height_(p, p.ndim - 2) {}

  template <class Body>
  DLCORE_INLINE_MEMBER void each(int64_t begin, int64_t end, const Body& body) const {
    for (int64_t row = begin; row < end;) {
      const int64_t plane = row / height_.out;
      const int64_t from = plane_source(plane);
      const int64_t first = plane * height_.out, stop = smaller(end, first + height_.out);
      for (; row < stop; ++row) {
        const int64_t h = height_.source(row - first);
        body(row, from < 0 || h < 0 ? -1 : from * height_.size + h);
      }
    }
  }

 private:
  int64_t plane_source(int64_t plane) const {
    int64_t source = 0, step = 1;
    for (int axis = p_.ndim - 3; axis >= 0; --axis) {
      const Ends e(p_, axis);
      const int64_t i = e.source(plane % e.out);
      if (i < 0) return -1;
      source += i * step;
      step *= e.size;
      plane /= e.out;
    }
    return source;
  }

  const Pad& p_;
  Ends height_;
};

template <class T>
DLCORE_INLINE Pad with_two_axes(const Pad& p) {
  if (p.ndim > 1) return p;
  Pad wide = p;
  wide.ndim = 2;
  wide.size[0] = wide.out[0] = 1, wide.before[0] = 0;
  wide.size[1] = p.size[0], wide.out[1] = p.out[0], wide.before[1] = p.before[0];
  return wide;
}

// y = x with p.before elements added before each axis and the rest behind: the value, x mirrored at
// its end elements, its end elements, or x repeated. Negative numbers take elements away.
template <class T>
void pad_forward(const T* x, T* y, const Pad& given, T value) {
  const Pad p = with_two_axes<T>(given);
  const Ends width(p, p.ndim - 1);
  int64_t rows = 1;
  for (int axis = 0; axis < p.ndim - 1; ++axis) rows *= p.out[axis];
  const bool past_caches = rows * width.out * int64_t(sizeof(T)) >= kStreamBytes &&
                           width.out * int64_t(sizeof(T)) >= 512;
  parallel_for(rows, grain_for(width.out + 16), [&](int64_t begin, int64_t end) {
    Rows(p).each(begin, end, [&](int64_t row, int64_t from) {
      T* to = y + row * width.out;
      if (from < 0)
        fill_stretch<T>(value, width.out, to);
      else
        pad_row<T>(x + from * width.size, width, value, past_caches, to);
    });
    if (past_caches) stream_fence();
  });
}

// dx = (or, when `add`, +=) what one row of dy gives back.
template <class T>
DLCORE_INLINE void give_back(const T* dy, const Ends& e, bool add, T* dx) {
  constexpr int64_t L = kLanes<T>;
  const int64_t first = smaller(e.out, larger(0, e.inner_begin()));
  const int64_t last = larger(first, e.inner_end());
  const int64_t begin = first - e.before, n = last - first;
  const T* inner = dy + first;
  T* to = dx + begin;
  if (!add) {
    for (int64_t i = 0; i < begin; ++i) dx[i] = T(0);
    for (int64_t i = begin + n; i < e.size; ++i) dx[i] = T(0);
    copy_stretch<T>(inner, n, false, to);
  } else {
    int64_t i = 0;
    for (; i + L <= n; i += L) store<T>(to + i, load<T>(to + i) + load<T>(inner + i));
    for (; i < n; ++i) to[i] += inner[i];
  }
  for (int64_t o = 0; o < first; ++o) dx[e.source(o)] += dy[o];
  for (int64_t o = last; o < e.out; ++o) dx[e.source(o)] += dy[o];
}

// The constant's gradient is lost: what is left is the padding taken away again.
template <class T>
void constant_backward(const T* dy, T* dx, const Pad& p) {
  Pad back = p;
  for (int axis = 0; axis < p.ndim; ++axis) {
    back.size[axis] = p.out[axis], back.out[axis] = p.size[axis];
    back.before[axis] = -p.before[axis];
  }
  pad_forward<T>(dy, dx, back, T(0));
}

// dx: each element the sum of dy at its copies, rows of dy in their order.
template <class T>
void pad_backward(const T* dy, T* dx, const Pad& p) {
  if (p.mode == PadMode::constant) return constant_backward<T>(dy, dx, p);
  // Axes from the last: at most three are padded, those above are one.
  Pad deep = p;
  deep.ndim = 4;
  for (int axis = 0; axis < 4; ++axis) {
    const int from = p.ndim - 4 + axis;
    deep.size[axis] = from < 0 ? 1 : p.size[from];
    deep.out[axis] = from < 0 ? 1 : p.out[from];
    deep.before[axis] = from < 0 ? 0 : p.before[from];
  }
  const Ends depth(deep, 1), height(deep, 2), width(deep, 3);
  const int64_t rows = deep.size[0] * depth.size * height.size;
  parallel_for(rows, grain_for(width.out + 32), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t h = row % height.size, d = row / height.size % depth.size;
      const int64_t volume = row / (height.size * depth.size) * depth.out;
      T* to = dx + row * width.size;
      bool add = false;
      depth.each_copy(d, [&](int64_t od) {
        height.each_copy(h, [&](int64_t oh) {
          const T* from = dy + ((volume + od) * height.out + oh) * width.out;
          give_back<T>(from, width, add, to);
          add = true;
        });
      });
      if (!add) fill_row<T>(T(0), width.size, to);
    }
  });
}

}  // namespace

DLCORE_EXPORT(pad_forward)
DLCORE_EXPORT(pad_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
