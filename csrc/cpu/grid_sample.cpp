// Samples of x at the places of a grid, forward and backward.
//
// A place's taps are looked up once and serve every channel. Forward and the gradient of the grid
// are cut by places, the gradient of x by channels: each element is written by one thread, in the
// order of the places, so any number of threads gives the same bits.

#include "cpu/grid_places.h"
#include "cpu/grid_squares.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGroup = 16;  // channels that share the search for the taps

// Taps of a place, and what finding them costs in taps.
DLCORE_INLINE int64_t taps_of(const GridSample& p) {
  return p.mode == SampleMode::nearest ? 1 : p.mode == SampleMode::bicubic ? 16 : 4 * (p.axes - 1);
}
DLCORE_INLINE int64_t plane_of(const GridSample& p) {
  return p.depth * p.height * p.width;
}

// What Found::kRuns times kPlaces places are made of, found before the channels are gone through:
// each then walks a stretch of its plane. Planes are often a multiple of 4 KiB apart, in the same
// sets of a cache.
template <class Found>
class Run {
 public:
  static constexpr int64_t kLength = Found::kRuns * kPlaces;

  Run()
      : scratch_(Found::kRuns * int64_t(sizeof(Found)) + 64),
        found_(scratch_.take<Found>(Found::kRuns)) {}

  template <class T>
  DLCORE_INLINE_MEMBER void find(const GridSample& p, const T* grid, int64_t count, bool slopes) {
    for (int64_t i = 0; i * kPlaces < count; ++i)
      found_[i].find(p, grid + i * kPlaces * p.axes, smaller(kPlaces, count - i * kPlaces), slopes);
    blocks_ = ceil_div(count, kPlaces);
  }
  // Calls body(block, its first place) for all.
  template <class Body>
  DLCORE_INLINE_MEMBER void each(const Body& body) const {
    for (int64_t i = 0; i < blocks_; ++i) body(found_[i], i * kPlaces);
  }

 private:
  Scratch scratch_;
  Found* found_;
  int64_t blocks_ = 0;
};

// Calls body(sample, first place, number of places) for all places, a run at once.
template <class Found, class Body>
DLCORE_INLINE void each_run(const GridSample& p, int64_t cost, const Body& body) {
  constexpr int64_t kLength = Run<Found>::kLength;
  const int64_t runs = ceil_div(p.out, kLength);
  parallel_for(p.batch * runs, grain_for(cost * kLength), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t n = item / runs, j = item % runs * kLength;
      body(n, j, smaller(kLength, p.out - j));
    }
  });
}

// `Found` is what a place is made of: Squares where they serve, or AnyTaps.
template <class T, class Found>
void sample(const T* x, const T* grid, T* y, const GridSample& p) {
  const int64_t plane = plane_of(p);
  each_run<Found>(p, (p.channels + 8) * taps_of(p), [&](int64_t n, int64_t j, int64_t count) {
    Run<Found> run;
    run.find(p, grid + (n * p.out + j) * p.axes, count, false);
    for (int64_t c = n * p.channels; c < (n + 1) * p.channels; ++c)
      run.each([&](const Found& found, int64_t i) {
        found.sample(x + c * plane, y + c * p.out + j + i);
      });
  });
}

template <class T, class Found>
void input_gradient(const T* dy, const T* grid, T* dx, const GridSample& p) {
  const int64_t plane = plane_of(p), groups = ceil_div(p.channels, kGroup);
  const int64_t cost = kGroup * (plane + p.out * taps_of(p) * 2);
  parallel_for(p.batch * groups, grain_for(cost), [&](int64_t begin, int64_t end) {
    Run<Found> run;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t n = item / groups, c0 = item % groups * kGroup;
      const int64_t channels = smaller(kGroup, p.channels - c0), first = n * p.channels + c0;
      fill_row<T>(T(0), channels * plane, dx + first * plane);
      for (int64_t j = 0; j < p.out; j += run.kLength) {
        run.find(p, grid + (n * p.out + j) * p.axes, smaller(run.kLength, p.out - j), false);
        for (int64_t c = first; c < first + channels; ++c)
          run.each([&](const Found& found, int64_t i) {
            found.give_back(dy + c * p.out + j + i, dx + c * plane);
          });
      }
    }
  });
}

template <class T, class Found>
void grid_gradient(const T* dy, const T* x, const T* grid, T* dgrid, const GridSample& p) {
  const int64_t plane = plane_of(p);
  each_run<Found>(p, (2 * p.channels + 8) * taps_of(p), [&](int64_t n, int64_t j, int64_t count) {
    Run<Found> run;
    run.find(p, grid + (n * p.out + j) * p.axes, count, true);
    alignas(64) T moves[Found::kRuns][3][kPlaces] = {};
    for (int64_t c = n * p.channels; c < (n + 1) * p.channels; ++c)
      run.each([&](const Found& found, int64_t i) {
        found.add_moves(dy + c * p.out + j + i, x + c * plane, moves[i / kPlaces]);
      });
    T* to = dgrid + (n * p.out + j) * p.axes;
    for (int64_t i = 0; i < count; ++i)
      for (int axis = 0; axis < p.axes; ++axis) *to++ = moves[i / kPlaces][axis][i % kPlaces];
  });
}

// Calls body.template operator()<Found>().
template <class T, class Body>
DLCORE_INLINE void with_found(const GridSample& p, const Body& body) {
  if constexpr (sizeof(T) == 4)  // for double half the code more
    if (has_squares(p)) {
      if (p.mode == SampleMode::nearest) return body.template operator()<Squares<T, 1>>();
      if (p.mode == SampleMode::bilinear) return body.template operator()<Squares<T, 2>>();
      return body.template operator()<Squares<T, 4>>();
    }
  body.template operator()<AnyTaps<T>>();
}

// y = x at the places; where a tap is outside and nothing is put there, 0. A coordinate that is
// NaN counts as -1.
template <class T>
void grid_sample_forward(const T* x, const T* grid, T* y, const GridSample& p) {
  with_found<T>(p, [&]<class Found>() { sample<T, Found>(x, grid, y, p); });
}

// dx and dgrid (either may be null) = the gradients of x and of the grid.
template <class T>
void grid_sample_backward(const T* dy, const T* x, const T* grid, T* dx, T* dgrid,
                          const GridSample& p) {
  const bool flat = p.mode == SampleMode::nearest;  // steps
  if (dgrid && flat) fill_row<T>(T(0), p.batch * p.out * p.axes, dgrid);
  with_found<T>(p, [&]<class Found>() {
    if (dx) input_gradient<T, Found>(dy, grid, dx, p);
    if (dgrid && !flat) grid_gradient<T, Found>(dy, x, grid, dgrid, p);
  });
}

}  // namespace

DLCORE_EXPORT(grid_sample_forward)
DLCORE_EXPORT(grid_sample_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
