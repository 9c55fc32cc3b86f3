// Resizing of depth, height and width: nearest, linear, cubic, area, antialiased; forward,
// backward.
//
// Every mode is separable: an element is a weighted sum along each axis, and so is its gradient,
// with the same taps transposed. So one routine serves all. Down a column rows are added up as
// vectors; along a row, kLanes rows at once are transposed, so that a tap is one number times a
// vector of rows whatever the mode. The longer of input and output is made last (or read first):
// that pass writes (reads) memory, the other stays in the caches.

#include "cpu/gemm_pack.h"
#include "cpu/resize_taps.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTurned = 512;  // columns of kLanes rows that are transposed at once
constexpr int64_t kWindowBytes = int64_t(1) << 17;  // of rows between the two passes: in L2

// -- down the columns --

// y = the taps of row o, of rows of n elements that begin at x and are row_step apart.
template <class T>
DLCORE_INLINE void blend(const T* x, int64_t row_step, const Taps<T>& taps, int64_t o, int64_t n,
                         bool past_caches, T* y) {
  constexpr int64_t L = kLanes<T>;
  const int64_t k0 = taps.first[o], k1 = taps.first[o + 1];
  const auto same = [](Vec<T> v) { return v; };
  const auto row = [&](int64_t k) { return x + taps.at[k] * row_step; };
  if (k1 == k0) return fill_row<T>(T(0), n, y);
  if (k1 == k0 + 1 && taps.weight[k0] == 1)
    return map_unfenced<T>(y, n, past_caches, same, Each<T>{row(k0)});
  if (k1 == k0 + 2) {
    const Vec<T> a = splat<T>(taps.weight[k0]), b = splat<T>(taps.weight[k0 + 1]);
    const auto sum = [=](Vec<T> u, Vec<T> v) { return a * u + b * v; };
    return map_unfenced<T>(y, n, past_caches, sum, Each<T>{row(k0)}, Each<T>{row(k0 + 1)});
  }
  int64_t j = 0;
  for (; j + 4 * L <= n; j += 4 * L) {
    Vec<T> sum[4] = {};
    for (int64_t k = k0; k < k1; ++k) {
      const Vec<T> weight = splat<T>(taps.weight[k]);
      const T* from = row(k) + j;
      for (int64_t v = 0; v < 4; ++v) sum[v] += weight * load<T>(from + v * L);
    }
    for (int64_t v = 0; v < 4; ++v) store<T>(y + j + v * L, sum[v]);
  }
  for (; j < n; j += L) {
    const int64_t part = smaller(L, n - j);
    Vec<T> sum{};
    for (int64_t k = k0; k < k1; ++k)
      sum += splat<T>(taps.weight[k]) *
             (part == L ? load<T>(row(k) + j) : load_part<T>(row(k) + j, part, T(0)));
    if (part == L)
      store<T>(y + j, sum);
    else
      store_part<T>(y + j, part, sum);
  }
}

template <class T>
DLCORE_INLINE bool goes_past_caches(int64_t elements) {
  return elements * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
}

// y (planes, taps.out, n) = x (planes, taps.in, n) along the middle.
template <class T>
DLCORE_INLINE void resize_columns(const T* x, T* y, int64_t planes, const Taps<T>& taps,
                                  int64_t n) {
  constexpr int64_t kPiece = 8192;  // elements of a row: many rows of it stay in L2
  const int64_t pieces = ceil_div(n, kPiece);
  const bool past_caches = goes_past_caches<T>(planes * taps.out * n);
  const int64_t taps_of_row = taps.first[taps.out] / taps.out + 1;
  const int64_t cost = smaller(n, kPiece) * taps_of_row / 4;
  parallel_for(planes * pieces * taps.out, grain_for(cost), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t o = item % taps.out, j = item / taps.out % pieces * kPiece;
      const int64_t plane = item / (taps.out * pieces);
      blend<T>(x + plane * taps.in * n + j, n, taps, o, smaller(kPiece, n - j), past_caches,
               y + (plane * taps.out + o) * n + j);
    }
    if (past_caches) stream_fence();
  });
}

// -- along the rows --

// The taps of the rows in pieces: outputs `begin` to `end` read inputs `low` to `high`.
struct Piece {
  int64_t begin, end, low, high;
};

template <class T>
class RowTaps {
 public:
  explicit RowTaps(const Taps<T>& taps) : taps(taps), step_(piece_step(taps)) {
    for (int64_t o = 0; o < taps.out; o += step_) {
      const Piece p = piece(o);
      turned_ = larger(turned_, p.high - p.low);
    }
  }
  // Scratch of one thread, in elements: the rows turned, the results turned.
  int64_t room() const { return (turned_ + step_) * kLanes<T> + 64; }

  // y = `rows` rows of x resized, any number of them.
  DLCORE_INLINE_MEMBER void resize(const T* x, int64_t rows, T* room, T* y) const {
    if (taps.copies) {
      for (int64_t r = 0; r < rows; ++r) take(x + r * taps.in, y + r * taps.out);
      return;
    }
    for (int64_t r = 0; r < rows; r += kLanes<T>)
      several(x + r * taps.in, smaller(kLanes<T>, rows - r), room, y + r * taps.out);
  }

  const Taps<T>& taps;

 private:
  static int64_t piece_step(const Taps<T>& taps) {
    const int64_t n = taps.in > taps.out ? kTurned * taps.out / taps.in : kTurned;
    return larger(kLanes<T>, n / kLanes<T> * kLanes<T>);
  }
  Piece piece(int64_t begin) const {
    Piece p{begin, smaller(begin + step_, taps.out), taps.in, 0};
    for (int64_t k = taps.first[p.begin]; k < taps.first[p.end]; ++k) {
      p.low = smaller(p.low, taps.at[k]);
      p.high = larger(p.high, taps.at[k] + 1);
    }
    p.low = smaller(p.low, p.high);
    return p;
  }
  DLCORE_INLINE_MEMBER void take(const T* x, T* y) const {
    if (taps.identity) return copy_row<T>(x, taps.in, y);
    for (int64_t o = 0; o < taps.out; ++o) y[o] = x[taps.at[o]];
  }
  // Up to kLanes rows: a lane to each.
  DLCORE_INLINE_MEMBER void several(const T* x, int64_t rows, T* room, T* y) const {
    constexpr int64_t L = kLanes<T>;
    T* const results = room + turned_ * L;
    for (int64_t o = 0; o < taps.out; o += step_) {
      const Piece p = piece(o);
      transpose<T>(x + p.low, taps.in, rows, p.high - p.low, room, L);
      for (int64_t i = p.begin; i < p.end; ++i) {
        Vec<T> sum{};
        for (int64_t k = taps.first[i]; k < taps.first[i + 1]; ++k)
          sum += splat<T>(taps.weight[k]) * load<T>(room + (taps.at[k] - p.low) * L);
        store<T>(results + (i - p.begin) * L, sum);
      }
      transpose<T>(results, L, p.end - p.begin, rows, y + p.begin, taps.out);
    }
  }

  int64_t step_, turned_ = 0;
};

// -- planes --

// Rows first, into a window of them, then columns: for results with more rows than x.
template <class T>
class RowsThenColumns {
 public:
  RowsThenColumns(int64_t planes, const Taps<T>& height, const RowTaps<T>& width)
      : planes_(planes), height_(height), width_(width) {
    const int64_t fitting = larger(1, kWindowBytes / (width.taps.out * int64_t(sizeof(T))));
    if (fitting >= height.in) {
      // Several small planes at once, so that whole vectors of rows are resized.
      together_ = smaller(smaller(planes, fitting / height.in), kLanes<T>);
      block_ = height.out;
    } else {
      together_ = 1;
      block_ = larger(1, height.out * fitting / height.in);
    }
    blocks_ = ceil_div(height.out, block_);
    for (int64_t b = 0; b < blocks_; ++b) {
      const Piece p = window(b);
      window_ = larger(window_, p.high - p.low);
    }
    window_ *= together_;
  }

  void run(const T* x, T* y) const {
    const int64_t out = width_.taps.out;
    const bool past_caches = goes_past_caches<T>(planes_ * height_.out * out);
    const int64_t items = ceil_div(planes_, together_) * blocks_;
    parallel_for(items, grain_for(together_ * block_ * out), [&](int64_t begin, int64_t end) {
      Scratch scratch((window_ * out + width_.room()) * int64_t(sizeof(T)) + 128);
      T* const window = scratch.take<T>(window_ * out);
      T* const room = scratch.take<T>(width_.room());
      for (int64_t item = begin; item < end; ++item)
        this->item(x, item, window, room, past_caches, y);
      if (past_caches) stream_fence();
    });
  }

 private:
  Piece window(int64_t block) const {
    Piece p{block * block_, smaller((block + 1) * block_, height_.out), height_.in, 0};
    for (int64_t k = height_.first[p.begin]; k < height_.first[p.end]; ++k) {
      p.low = smaller(p.low, height_.at[k]);
      p.high = larger(p.high, height_.at[k] + 1);
    }
    if (together_ > 1) p.low = 0, p.high = height_.in;  // the rows of all planes in one stretch
    p.low = smaller(p.low, p.high);
    return p;
  }
  DLCORE_INLINE_MEMBER void item(const T* x, int64_t item, T* window, T* room, bool past_caches,
                                 T* y) const {
    const int64_t first = item / blocks_ * together_, out = width_.taps.out;
    const int64_t count = smaller(together_, planes_ - first);
    const Piece p = this->window(item % blocks_);
    const int64_t rows = p.high - p.low;
    width_.resize(x + (first * height_.in + p.low) * width_.taps.in, count * rows, room, window);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t o = p.begin; o < p.end; ++o)
        blend<T>(window + (i * rows - p.low) * out, out, height_, o, out, past_caches,
                 y + ((first + i) * height_.out + o) * out);
  }

  int64_t planes_, together_, block_, blocks_, window_ = 0;
  const Taps<T>& height_;
  const RowTaps<T>& width_;
};

// Columns first, kLanes rows of the result at a time, then rows: for results with fewer rows.
template <class T>
void columns_then_rows(const T* x, T* y, int64_t planes, const Taps<T>& height,
                       const RowTaps<T>& width) {
  constexpr int64_t L = kLanes<T>;
  const int64_t in = width.taps.in, out = width.taps.out;
  const int64_t reads = height.first[height.out] / height.out + 1;
  const int64_t grain = round_up(grain_for(in * reads / 4 + out), L);
  parallel_for(planes * height.out, grain, [&](int64_t begin, int64_t end) {
    Scratch scratch((L * in + width.room()) * int64_t(sizeof(T)) + 128);
    T* const rows = scratch.take<T>(L * in);
    T* const room = scratch.take<T>(width.room());
    for (int64_t row = begin; row < end; row += L) {
      const int64_t count = smaller(L, end - row);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t o = (row + r) % height.out, plane = (row + r) / height.out;
        const T* from = x + plane * height.in * in;
        if (height.copies && width.taps.copies)
          width.resize(from + height.at[o] * in, 1, room, y + (row + r) * out);
        else
          blend<T>(from, in, height, o, in, false, rows + r * in);
      }
      if (!(height.copies && width.taps.copies)) width.resize(rows, count, room, y + row * out);
    }
  });
}

template <class T>
void rows_only(const T* x, T* y, int64_t rows, const RowTaps<T>& width) {
  const int64_t in = width.taps.in, out = width.taps.out;
  const int64_t grain = round_up(grain_for(in + out), kLanes<T>);
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    Scratch scratch(width.room() * int64_t(sizeof(T)) + 64);
    width.resize(x + begin * in, end - begin, scratch.take<T>(width.room()), y + begin * out);
  });
}

template <class T>
void resize_planes(const T* x, T* y, int64_t planes, const Taps<T>& height, const Taps<T>& width) {
  if (width.identity) return resize_columns<T>(x, y, planes, height, width.in);
  const RowTaps<T> rows(width);
  if (height.identity) return rows_only<T>(x, y, planes * height.in, rows);
  if (height.out > height.in) return RowsThenColumns<T>(planes, height, rows).run(x, y);
  columns_then_rows<T>(x, y, planes, height, rows);
}

template <class T>
void resize_volumes(const T* x, T* y, int64_t planes, const Taps<T>& depth, const Taps<T>& height,
                    const Taps<T>& width) {
  if (depth.identity) return resize_planes<T>(x, y, planes * depth.in, height, width);
  const int64_t in = height.in * width.in, out = height.out * width.out;
  const bool last = depth.out > depth.in;
  const int64_t between = planes * (last ? depth.in * out : depth.out * in);
  Scratch scratch(between * int64_t(sizeof(T)) + 64);
  T* const middle = scratch.take<T>(between);
  if (last) {
    resize_planes<T>(x, middle, planes * depth.in, height, width);
    resize_columns<T>(middle, y, planes, depth, out);
  } else {
    resize_columns<T>(x, middle, planes, depth, in);
    resize_planes<T>(middle, y, planes * depth.out, height, width);
  }
}

template <class T>
DLCORE_INLINE void resize_any(const T* x, T* y, const Resize& p, bool transposed) {
  const AxisTaps<T> depth(p, p.depth, transposed), height(p, p.height, transposed),
      width(p, p.width, transposed);
  resize_volumes<T>(x, y, p.planes, *depth, *height, *width);
}

// y = x resized. Nearest copies elements as they are; a NaN spreads to all that it is a tap of.
template <class T>
void resize_forward(const T* x, T* y, const Resize& p) {
  resize_any<T>(x, y, p, false);
}

// dx = the gradient of x.
template <class T>
void resize_backward(const T* dy, T* dx, const Resize& p) {
  resize_any<T>(dy, dx, p, true);
}

}  // namespace

DLCORE_EXPORT(resize_forward)
DLCORE_EXPORT(resize_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
