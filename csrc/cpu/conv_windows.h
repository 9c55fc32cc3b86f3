// Windows of x as vectors: the implicit im2col.
//
// A vector of the column matrix is one tap (r, s) of kLanes neighbouring output pixels. Those lie
// in a few output rows, so the vector is a few pieces: lanes that read consecutive (or every
// second) elements of one row of x. The pieces depend on the pixels and the tap but not on the
// channel: they are worked out once and then serve every channel with one masked load each.
#pragma once

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "shapes.h"

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
  int64_t phase_size;

  explicit Windows(const Conv2d& conv) : c(conv) {
    // A 1x1 window that takes every pixel: one long row.
    if (c.kernel_h * c.kernel_w == 1 && c.stride_h * c.stride_w == 1 && c.out_h == c.height &&
        c.out_w == c.width && c.pad_top == 0 && c.pad_left == 0) {
      c.width = c.out_w = c.height * c.width;
      c.height = c.out_h = 1;
    }
    split = c.stride_w > 2;
    step = split ? 1 : c.stride_w;
    phase_size = round_up(c.out_w + (c.kernel_w - 1) * c.dilation_w / c.stride_w, kLanes<T>);
    row = split ? phase_size * c.stride_w : c.width;
    plane = row * c.height;
    image = plane * c.channels;
  }
  int64_t pixels() const { return c.out_h * c.out_w; }
  int64_t taps() const { return c.kernel_h * c.kernel_w; }
};

// The pieces of kVectors neighbouring vectors of pixels, for every tap.
template <class T, int kVectors>
class Pieces {
 public:
  static int64_t bytes(const Windows<T>& w) { return layout(w).bytes; }
  Pieces(const Windows<T>& w, void* memory) : w_(w) {
    const Layout l = layout(w);
    char* base = static_cast<char*>(memory);
    start_ = reinterpret_cast<int32_t*>(base);
    run_ = reinterpret_cast<Run*>(base + l.runs);
    piece_ = reinterpret_cast<Piece*>(base + l.pieces);
  }

  // For n pixels from `first`, counted through the images of a batch.
  void aim(int64_t first, int64_t n) {
    const Conv2d& c = w_.c;
    int32_t runs = 0, run_start[kVectors + 1];
    int64_t image = first / w_.pixels(), oh = first % w_.pixels() / c.out_w;
    int64_t ow = first % w_.pixels() % c.out_w;
    for (int64_t v = 0; v < kVectors; ++v) {
      run_start[v] = runs;
      const int64_t lanes = smaller(kLanes<T>, n - v * kLanes<T>);
      for (int64_t lane = 0; lane < lanes;) {
        const int64_t size = smaller(c.out_w - ow, lanes - lane);
        run_[runs++] = {image * w_.image, oh * c.stride_h - c.pad_top, ow, lane, size};
        lane += size;
        ow += size;
        if (ow == c.out_w) ow = 0, ++oh;
        if (oh == c.out_h) oh = 0, ++image;
      }
    }
    run_start[kVectors] = runs;

    int32_t count = 0;
    int64_t at = 0;
    for (int64_t r = 0; r < c.kernel_h; ++r)
      for (int64_t s = 0; s < c.kernel_w; ++s) {
        const int64_t shift =
            w_.split ? s * c.dilation_w % c.stride_w * w_.phase_size + s * c.dilation_w / c.stride_w
                     : s * c.dilation_w - c.pad_left;
        for (int64_t v = 0; v < kVectors; ++v) {
          start_[at++] = count;
          for (int32_t i = run_start[v]; i < run_start[v + 1]; ++i)
            count += add_piece(run_[i], r * c.dilation_h, shift, piece_[count]);
        }
      }
    start_[at] = count;
  }

  // Vector v of a tap from one channel's plane.
  __attribute__((always_inline)) Vec<T> read(const T* x, int64_t tap, int64_t v) const {
    const int32_t begin = start_[tap * kVectors + v], end = start_[tap * kVectors + v + 1];
    return w_.step == 1 ? gather<1>(x, begin, end) : gather<2>(x, begin, end);
  }

  // x += the vector, at the same places: the adjoint of read.
  __attribute__((always_inline)) void add(T* x, int64_t tap, int64_t v, Vec<T> value) const {
    const int32_t begin = start_[tap * kVectors + v], end = start_[tap * kVectors + v + 1];
    for (int32_t i = begin; i < end; ++i)
      w_.step == 1 ? scatter<1>(x, piece_[i], value) : scatter<2>(x, piece_[i], value);
  }

 private:
  // Neighbouring pixels of one output row.
  struct Run {
    int64_t image, top, ow, lane, size;
  };
  struct Layout {
    int64_t runs, pieces, bytes;
  };
  static Layout layout(const Windows<T>& w) {
    const int64_t runs = kVectors * smaller(kLanes<T>, (kLanes<T> - 1) / w.c.out_w + 2);
    const int64_t starts = round_up((w.taps() * kVectors + 1) * sizeof(int32_t), 64);
    const int64_t pieces = round_up(starts + runs * sizeof(Run), 64);
    // One more: add_piece writes before it knows that nothing is inside.
    return {starts, pieces, pieces + (w.taps() * runs + 1) * static_cast<int64_t>(sizeof(Piece))};
  }

  // Returns 1, or 0 when the whole run is padding for this tap.
  int32_t add_piece(const Run& run, int64_t down, int64_t shift, Piece& piece) const {
    const int64_t ih = run.top + down, iw = run.ow * w_.step + shift;
    int64_t from = 0, to = run.size;
    if (!w_.split) {
      if (iw < 0) from = (-iw + w_.step - 1) >> (w_.step - 1);
      to = smaller(run.size, (w_.c.width - iw + w_.step - 1) >> (w_.step - 1));
    }
    if (ih < 0 || ih >= w_.c.height || from >= to) return 0;
    piece.offset = run.image + ih * w_.row + iw - run.lane * w_.step;
    piece.begin = static_cast<int32_t>(run.lane + from);
    piece.end = static_cast<int32_t>(run.lane + to);
    const uint64_t one = 1, every = w_.step == 1 ? 0xffffffffu : 0x55555555u;
    piece.mask = static_cast<uint32_t>(
        ((one << piece.end * w_.step) - (one << piece.begin * w_.step)) & every);
    return 1;
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
  __attribute__((always_inline)) Vec<T> gather(const T* x, int32_t begin, int32_t end) const {
    Vec<T> low{}, high{};
    for (int32_t i = begin; i < end; ++i) {
      const Piece& piece = piece_[i];
      low = masked(low, piece.mask, x + piece.offset);
      if constexpr (kStep == 2)
        high = masked(high, piece.mask >> kLanes<T>, x + piece.offset + kLanes<T>);
    }
    return kStep == 1 ? low : even_of(low, high, AllLanes<T>{});
  }

  template <int kStep>
  static __attribute__((always_inline)) void scatter(T* x, const Piece& piece, Vec<T> v) {
    T* p = x + piece.offset;
    if constexpr (kStep == 1) {
      masked_add(p, piece.mask, v);
    } else {
      masked_add(p, piece.mask, zip_low_of(v, v, AllLanes<T>{}));
      masked_add(p + kLanes<T>, piece.mask >> kLanes<T>, zip_high_of(v, v, AllLanes<T>{}));
    }
  }
#else
  template <int kStep>
  __attribute__((always_inline)) Vec<T> gather(const T* x, int32_t begin, int32_t end) const {
    Vec<T> v{};
    for (int32_t i = begin; i < end; ++i) {
      const Piece& piece = piece_[i];
      const T* p = x + piece.offset;
      if (kStep == 1 && piece.end - piece.begin == kLanes<T>) return load<T>(p);
      for (int32_t lane = piece.begin; lane < piece.end; ++lane) v[lane] = p[lane * kStep];
    }
    return v;
  }

  template <int kStep>
  static __attribute__((always_inline)) void scatter(T* x, const Piece& piece, Vec<T> v) {
    T* p = x + piece.offset;
    if (kStep == 1 && piece.end - piece.begin == kLanes<T>) return store<T>(p, load<T>(p) + v);
    for (int32_t lane = piece.begin; lane < piece.end; ++lane) p[lane * kStep] += v[lane];
  }
#endif

  const Windows<T>& w_;
  int32_t* start_;  // of each (tap, vector), one more at the end
  Run* run_;
  Piece* piece_;
};

// Channels first..last-1 of the pixels that `pieces` is aimed at, k-major as a B panel.
template <class T, int kVectors>
DLCORE_INLINE void pack_panel(const T* x, const Windows<T>& w, const Pieces<T, kVectors>& pieces,
                              int64_t first, int64_t last, T* panel) {
  const int64_t taps = w.taps();
  for (int64_t channel = first; channel < last; ++channel)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int v = 0; v < kVectors; ++v, panel += kLanes<T>)
        store<T>(panel, pieces.read(x + channel * w.plane, tap, v));
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
