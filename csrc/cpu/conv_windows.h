// Windows of x as vectors: the implicit im2col.
//
// A vector of the column matrix is one tap (r, s) of kLanes neighbouring output pixels. Those lie
// in a few output rows, so the vector is a few pieces: lanes that read consecutive (or every
// second) elements of one row of x. The pieces depend on the pixels and the tap but not on the
// channel: they are worked out once and then serve every channel with one masked load each.
#pragma once

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Lanes begin..end-1 are x[offset + lane * step]; lanes of no piece are padding.
struct Piece {
  int64_t offset;
  int32_t begin, end;
  uint32_t mask;  // of the elements read: one bit in `step`
};

// x as the packer sees it. Strides above 2 have been turned into phases (split_row), padding
// included, so that what remains is a step of 1.
template <class T>
struct Windows {
  Conv2d c;
  int64_t image, plane, row;  // strides of x
  int64_t step;               // 1 or 2
  bool split;
  bool whole;  // the window is all of x: an image is one column
  int64_t phase_size;

  explicit Windows(const Conv2d& conv) : c(conv) {
    // A 1x1 window that takes every pixel: one long row.
    if (c.kernel_h * c.kernel_w == 1 && c.stride_h * c.stride_w == 1 && c.out_h == c.height &&
        c.out_w == c.width && c.pad_top == 0 && c.pad_left == 0) {
      c.width = c.out_w = c.height * c.width;
      c.height = c.out_h = 1;
    }
    whole = c.out_h * c.out_w == 1 && c.kernel_h == c.height && c.kernel_w == c.width &&
            c.pad_top == 0 && c.pad_left == 0 && c.dilation_h * c.dilation_w == 1;
    split = c.stride_w > 2 && !whole;
    step = split || whole ? 1 : c.stride_w;
    phase_size = round_up(c.out_w + (c.kernel_w - 1) * c.dilation_w / c.stride_w, kLanes<T>);
    row = split ? phase_size * c.stride_w : c.width;
    plane = row * c.height;
    image = plane * c.channels;
  }
  int64_t pixels() const { return c.out_h * c.out_w; }
  int64_t taps() const { return c.kernel_h * c.kernel_w; }
};

template <int N>
struct Constant {
  static constexpr int value = N;
};

// The pieces of kVectors neighbouring vectors of pixels, for every tap. All vectors are given the
// same number of pieces, empty ones included, so that reading them takes no branch.
template <class T, int kVectors>
class Pieces {
 public:
  static int64_t bytes(const Windows<T>& w) {
    const int64_t runs = kVectors * most(w);
    return runs * static_cast<int64_t>(sizeof(Run)) +
           (w.taps() + w.c.kernel_w) * runs * static_cast<int64_t>(sizeof(Piece));
  }
  Pieces() = default;
  Pieces(const Windows<T>& w, void* memory) : w_(&w) {
    run_ = static_cast<Run*>(memory);
    piece_ = reinterpret_cast<Piece*>(run_ + kVectors * most(w));
    across_ = piece_ + w.taps() * kVectors * most(w);
  }

  // At n pixels from `first`, counted through the images of a batch.
  void aim(int64_t first, int64_t n) {
    const Conv2d& c = w_->c;
    int64_t image = first / w_->pixels(), oh = first % w_->pixels() / c.out_w;
    int64_t ow = first % w_->pixels() % c.out_w;
    int runs[kVectors], total = 0;
    count_ = 1;
    for (int v = 0; v < kVectors; ++v) {
      runs[v] = 0;
      const int64_t lanes = smaller(kLanes<T>, n - v * kLanes<T>);
      for (int64_t lane = 0; lane < lanes; ++runs[v]) {
        const int64_t size = smaller(c.out_w - ow, lanes - lane);
        run_[total++] = {image * w_->image, oh * c.stride_h - c.pad_top, ow, lane, size, 0};
        lane += size;
        ow += size;
        if (ow == c.out_w) ow = 0, ++oh;
        if (oh == c.out_h) oh = 0, ++image;
      }
      if (runs[v] > count_) count_ = runs[v];
    }
    for (int64_t s = 0; s < c.kernel_w; ++s)
      for (int i = 0; i < total; ++i) across_[s * total + i] = make_across(run_[i], s);
    Piece* piece = piece_;
    for (int64_t r = 0; r < c.kernel_h; ++r) {
      for (int i = 0; i < total; ++i) {
        const int64_t ih = run_[i].top + r * c.dilation_h;
        run_[i].row = ih >= 0 && ih < c.height ? run_[i].image + ih * w_->row : -1;
      }
      for (int64_t s = 0; s < c.kernel_w; ++s) {
        const Piece* across = across_ + s * total;
        const Run* run = run_;
        for (int v = 0; v < kVectors; ++v) {
          for (int i = 0; i < runs[v]; ++i, ++across, ++run, ++piece) {
            *piece = *across;
            piece->offset += run->row;
            if (run->row < 0) *piece = Piece{};
          }
          for (int i = runs[v]; i < count_; ++i) *piece++ = Piece{};
        }
      }
    }
  }

  // f(tap, v, vector v of that tap) for all taps and the first `vectors` vectors, from the plane x
  // of one channel.
  template <class F>
  __attribute__((always_inline)) void read(const T* x, int64_t vectors, const F& f) const {
    each(vectors, [&](auto count, auto step, int64_t tap, int64_t v, const Piece* p, int n) {
      Vec<T> low{}, high{};
      for (int i = 0; i < (count.value ? count.value : n); ++i)
        take<step.value>(x, p[i], low, high);
      f(tap, v, step.value == 1 ? low : even_of(low, high, AllLanes<T>{}));
    });
  }

  // The adjoint of read: adds f(tap, v) at the places of vector v.
  template <class F>
  __attribute__((always_inline)) void add(T* x, int64_t vectors, const F& f) const {
    each(vectors, [&](auto count, auto step, int64_t tap, int64_t v, const Piece* p, int n) {
      const Vec<T> value = f(tap, v);
      for (int i = 0; i < (count.value ? count.value : n); ++i)
        if (count.value == 1 || p[i].mask) put<step.value>(x, p[i], value);
    });
  }

 private:
  // Neighbouring pixels of one output row.
  struct Run {
    int64_t image, top, ow, lane, size;
    int64_t row;  // of x under the current tap row; negative when there is none
  };
  // Of runs in a vector.
  static int64_t most(const Windows<T>& w) {
    return smaller(kLanes<T>, (kLanes<T> - 1) / w.c.out_w + 2);
  }

  // What tap column s makes of a run, offset from the start of a row of x.
  Piece make_across(const Run& run, int64_t s) const {
    const Conv2d& c = w_->c;
    int64_t from = 0, to = run.size, iw;
    if (w_->split) {
      const int64_t at = s * c.dilation_w;
      iw = at % c.stride_w * w_->phase_size + at / c.stride_w + run.ow;
    } else {
      iw = run.ow * w_->step + s * c.dilation_w - c.pad_left;
      if (iw < 0) from = (-iw + w_->step - 1) >> (w_->step - 1);
      to = smaller(run.size, (c.width - iw + w_->step - 1) >> (w_->step - 1));
    }
    if (from >= to) return Piece{};
    const int64_t begin = run.lane + from, end = run.lane + to;
    const uint64_t one = 1, every = w_->step == 1 ? 0xffffffffu : 0x55555555u;
    const uint64_t mask = ((one << end * w_->step) - (one << begin * w_->step)) & every;
    return {iw - run.lane * w_->step, static_cast<int32_t>(begin), static_cast<int32_t>(end),
            static_cast<uint32_t>(mask)};
  }

  template <class F>
  __attribute__((always_inline)) void each(int64_t vectors, const F& f) const {
    w_->step == 1 ? each_counted(Constant<1>{}, vectors, f)
                  : each_counted(Constant<2>{}, vectors, f);
  }
  template <class Step, class F>
  __attribute__((always_inline)) void each_counted(Step step, int64_t vectors, const F& f) const {
    switch (count_) {
      case 1:
        return each_piece(Constant<1>{}, step, vectors, f);
      case 2:
        return each_piece(Constant<2>{}, step, vectors, f);
      case 3:
        return each_piece(Constant<3>{}, step, vectors, f);
      case 4:
        return each_piece(Constant<4>{}, step, vectors, f);
      default:
        return each_piece(Constant<0>{}, step, vectors, f);
    }
  }
  template <class Count, class Step, class F>
  __attribute__((always_inline)) void each_piece(Count count, Step step, int64_t vectors,
                                                 const F& f) const {
    const int64_t taps = w_->taps();
    const int n = Count::value ? Count::value : count_;
    const Piece* row = piece_;
    for (int64_t tap = 0; tap < taps; ++tap, row += kVectors * n)
      for (int64_t v = 0; v < vectors; ++v) f(count, step, tap, v, row + v * n, n);
  }

#if defined(__AVX512F__)
  static __attribute__((always_inline)) Vec<T> masked(Vec<T> old, uint32_t mask, const T* p) {
    if constexpr (sizeof(T) == 4)
      return Vec<T>(_mm512_mask_loadu_ps(__m512(old), static_cast<__mmask16>(mask), p));
    else
      return Vec<T>(_mm512_mask_loadu_pd(__m512d(old), static_cast<__mmask8>(mask), p));
  }
  static __attribute__((always_inline)) void masked_add(T* p, uint32_t mask, Vec<T> v) {
    v += masked(Vec<T>{}, mask, p);
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), __m512(v));
    else
      _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), __m512d(v));
  }

  template <int kStep>
  static __attribute__((always_inline)) void take(const T* x, const Piece& piece, Vec<T>& low,
                                                  Vec<T>& high) {
    low = masked(low, piece.mask, x + piece.offset);
    if constexpr (kStep == 2)
      high = masked(high, piece.mask >> kLanes<T>, x + piece.offset + kLanes<T>);
  }

  template <int kStep>
  static __attribute__((always_inline)) void put(T* x, const Piece& piece, Vec<T> v) {
    T* p = x + piece.offset;
    if constexpr (kStep == 1) {
      masked_add(p, piece.mask, v);
    } else {
      masked_add(p, piece.mask, zip_low_of(v, v, AllLanes<T>{}));
      masked_add(p + kLanes<T>, piece.mask >> kLanes<T>, zip_high_of(v, v, AllLanes<T>{}));
    }
  }
#else
  // low and high hold the lanes as even_of wants them; with a step of 1, low is the vector.
  template <int kStep>
  static __attribute__((always_inline)) void take(const T* x, const Piece& piece, Vec<T>& low,
                                                  Vec<T>& high) {
    const T* p = x + piece.offset;
    if (kStep == 1 && piece.end - piece.begin == kLanes<T>) {
      low = load<T>(p);
      return;
    }
    for (int32_t lane = piece.begin; lane < piece.end; ++lane) {
      const int32_t at = lane * kStep;
      (at < kLanes<T> ? low : high)[at % kLanes<T>] = p[at];
    }
  }

  template <int kStep>
  static __attribute__((always_inline)) void put(T* x, const Piece& piece, Vec<T> v) {
    T* p = x + piece.offset;
    if (kStep == 1 && piece.end - piece.begin == kLanes<T>) return store<T>(p, load<T>(p) + v);
    for (int32_t lane = piece.begin; lane < piece.end; ++lane) p[lane * kStep] += v[lane];
  }
#endif

  const Windows<T>* w_ = nullptr;
  Run* run_ = nullptr;
  Piece* piece_ = nullptr;   // [tap][vector][count_]
  Piece* across_ = nullptr;  // [tap column][run]
  int count_ = 1;            // pieces of every vector
};

// Channels first..last-1 of the pixels that `pieces` is aimed at, k-major as a B panel.
template <class T, int kVectors>
DLCORE_INLINE void pack_panel(const T* x, const Windows<T>& w, const Pieces<T, kVectors>& pieces,
                              int64_t first, int64_t last, T* panel) {
  constexpr int64_t kRow = kVectors * kLanes<T>;
  for (int64_t channel = first; channel < last; ++channel, panel += w.taps() * kRow)
    pieces.read(x + channel * w.plane, kVectors, [=](int64_t tap, int64_t v, Vec<T> value) {
      store<T>(panel + tap * kRow + v * kLanes<T>, value);
    });
}

// All rows of `planes` planes of x into their phases, zeros around.
template <class T>
DLCORE_INLINE void split_planes(const T* x, const Windows<T>& w, int64_t planes, T* split) {
  const Conv2d& c = w.c;
  const int64_t columns = smaller(c.width, w.row - c.pad_left);
  parallel_for(planes * c.height, grain_for(2 * w.row), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      fill_row<T>(T(0), w.row, split + i * w.row);
      split_row<T>(x + i * c.width, columns, c.pad_left, c.stride_w, split + i * w.row,
                   w.phase_size);
    }
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
