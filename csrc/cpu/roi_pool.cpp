// RoI pool: the largest element of each bin of a region, forward and backward.
//
// A bin's rows are reduced as vectors along the width first, then its columns. Bound by reading
// each region once for every channel.

#include "cpu/roi.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChannels = 16;  // planes that share a region's bins

template <class T>
using Place = decltype(Mask<T>{}[0] + 0);

// The first and the last but one pixel of each bin along one axis.
struct Bins {
  int32_t *begin, *end;

  // Bins of equal, fractional length over whole pixels, outwards: bin b of n over `length` pixels
  // covers floor(b length / n) to ceil((b + 1) length / n).
  void find(double low, double high, int64_t bins, int64_t size) {
    const double start = rounded(low), last = rounded(high);
    const double length = last - start + 1 > 1 ? last - start + 1 : 1;
    const double n = static_cast<double>(bins);
    for (int64_t b = 0; b < bins; ++b) {
      const double at = static_cast<double>(b);
      begin[b] = inside(floor_of(at * length / n) + start, size);
      end[b] = inside(ceil_of((at + 1) * length / n) + start, size);
    }
  }

 private:
  static double rounded(double v) {  // halves away from 0
    return v < 0 ? -floor_of(0.5 - v) : floor_of(v + 0.5);
  }
  static int32_t inside(double v, int64_t size) {
    if (!(v > 0)) return 0;
    return static_cast<int32_t>(v < static_cast<double>(size) ? v : static_cast<double>(size));
  }
};

// NaN is the largest; of equal ones the first row.
template <class T>
DLCORE_INLINE bool beats(T v, Place<T> row, T best, Place<T> best_row) {
  if (v != v) return best == best || row < best_row;
  return v > best || (v == best && row < best_row);
}

// The largest of each column j from begin to end over the rows of a bin, and its row.
template <class T, bool kPlaces>
DLCORE_INLINE void reduce_rows(const T* plane, int64_t width, int64_t top, int64_t bottom,
                               int64_t begin, int64_t end, T* to, Place<T>* rows) {
  for (int64_t j = begin; j < end; j += kLanes<T>) {
    const int64_t n = smaller(kLanes<T>, end - j);
    Vec<T> best = splat<T>(-kInf<T>);
    Mask<T> where = Mask<T>{} + static_cast<Place<T>>(top);
    for (int64_t r = top; r < bottom; ++r) {
      const T* p = plane + r * width + j;
      const Vec<T> v = n == kLanes<T> ? load<T>(p) : load_part<T>(p, n, T(0));
      const Mask<T> wins = (v > best) | ((v != v) & (best == best));
      best = wins ? v : best;
      if constexpr (kPlaces) where = wins ? Mask<T>{} + static_cast<Place<T>>(r) : where;
    }
    store<T>(to + j, best);
    if constexpr (kPlaces) std::memcpy(rows + j, &where, sizeof where);
  }
}

template <class T>
struct Work {
  Bins rows, columns;
  T* best;
  Place<T>* best_row;
};

template <class T, bool kPlaces>
DLCORE_INLINE void pool_plane(const T* plane, const Work<T>& work, const RoiPool& p, T* y,
                              int32_t* places) {
  const Bins &rows = work.rows, &columns = work.columns;
  const int64_t left = columns.begin[0], right = columns.end[p.out_w - 1];
  for (int64_t h = 0; h < p.out_h; ++h) {
    const bool some = rows.begin[h] < rows.end[h];
    if (some)
      reduce_rows<T, kPlaces>(plane, p.width, rows.begin[h], rows.end[h], left, right, work.best,
                              work.best_row);
    for (int64_t w = 0; w < p.out_w; ++w) {
      const int64_t begin = columns.begin[w], end = some ? columns.end[w] : begin;
      T best = begin < end ? work.best[begin] : T(0);
      int64_t at = begin;
      for (int64_t j = begin + 1; j < end; ++j) {
        const bool wins = beats<T>(work.best[j], kPlaces ? work.best_row[j] : 0, best,
                                   kPlaces ? work.best_row[at] : 0);
        best = wins ? work.best[j] : best;
        at = wins ? j : at;
      }
      y[h * p.out_w + w] = best;
      if constexpr (kPlaces)
        places[h * p.out_w + w] =
            begin < end ? static_cast<int32_t>(work.best_row[at] * p.width + at) : -1;
    }
  }
}

template <class T, bool kPlaces>
void pool(const T* x, const T* rois, T* y, int32_t* places, const RoiPool& p) {
  const int64_t groups = ceil_div(p.channels, kChannels), bins = p.out_h * p.out_w;
  const int64_t width = p.width + kLanes<T>;
  parallel_for(p.rois * groups, grain_for(kChannels * bins * 8), [&](int64_t begin, int64_t end) {
    Scratch scratch((p.out_h + p.out_w) * 8 + width * 2 * static_cast<int64_t>(sizeof(T)) + 384);
    Work<T> work;
    work.rows = {scratch.take<int32_t>(p.out_h), scratch.take<int32_t>(p.out_h)};
    work.columns = {scratch.take<int32_t>(p.out_w), scratch.take<int32_t>(p.out_w)};
    work.best = scratch.take<T>(width);
    work.best_row = scratch.take<Place<T>>(width);
    for (int64_t item = begin, known = -1; item < end; ++item) {
      const int64_t r = item / groups, c0 = item % groups * kChannels;
      const Region region(rois + 5 * r, p.spatial_scale);
      if (region.finite && r != known) {
        work.rows.find(region.y1, region.y2, p.out_h, p.height);
        work.columns.find(region.x1, region.x2, p.out_w, p.width);
      }
      known = r;
      for (int64_t c = c0; c < smaller(c0 + kChannels, p.channels); ++c) {
        const int64_t to = (r * p.channels + c) * bins;
        if (region.finite) {
          pool_plane<T, kPlaces>(x + (region.image * p.channels + c) * p.height * p.width, work, p,
                                 y + to, kPlaces ? places + to : nullptr);
        } else {
          fill_row<T>(std::numeric_limits<T>::quiet_NaN(), bins, y + to);
          for (int64_t b = 0; kPlaces && b < bins; ++b) places[to + b] = -1;
        }
      }
    }
  });
}

// y (rois, channels, out_h, out_w) = the largest of each bin, 0 for an empty one, NaN for a region
// with a coordinate that is not finite. places (may be null) gets where each was found in its
// plane, -1 for none.
template <class T>
void roi_pool_forward(const T* x, const T* rois, T* y, int32_t* places, const RoiPool& p) {
  if (places)
    pool<T, true>(x, rois, y, places, p);
  else
    pool<T, false>(x, rois, y, places, p);
}

// dx = dy at the places, added up in the order of the regions, 0 elsewhere.
template <class T>
void roi_pool_backward(const T* dy, const T* rois, const int32_t* places, T* dx, const RoiPool& p) {
  const int64_t bins = p.out_h * p.out_w, plane = p.height * p.width;
  const int64_t cost = plane + p.rois * bins * 2 / larger(p.batch, 1);
  parallel_for(p.batch * p.channels, grain_for(cost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* to = dx + i * plane;
      fill_row<T>(T(0), plane, to);
      for (int64_t r = 0; r < p.rois; ++r) {
        if (static_cast<int64_t>(rois[5 * r]) != i / p.channels) continue;
        const int64_t from = (r * p.channels + i % p.channels) * bins;
        for (int64_t b = 0; b < bins; ++b)
          if (places[from + b] >= 0) to[places[from + b]] += dy[from + b];
      }
    }
  });
}

}  // namespace

DLCORE_EXPORT(roi_pool_forward)
DLCORE_EXPORT(roi_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
