// RoI pool: the largest element of each bin of a region, forward and backward. Backward gathers: an
// element of dx asks the regions that reach it, in their order, which of their bins found it.

#include "cuda/roi.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Bins of equal, fractional length over whole pixels, outwards: bin b of n over `length` pixels
// covers floor(b length / n) to ceil((b + 1) length / n).
struct Bins {
  double start, length, n;
  int64_t size;
  __device__ Bins(double low, double high, int64_t bins, int64_t size_)
      : start(rounded(low)), n(static_cast<double>(bins)), size(size_) {
    const double last = rounded(high);
    length = last - start + 1 > 1 ? last - start + 1 : 1;
  }
  __device__ int begin(int64_t b) const {
    return pixel_of(::floor(static_cast<double>(b) * length / n) + start, 0, size);
  }
  __device__ int end(int64_t b) const {
    return pixel_of(::ceil(static_cast<double>(b + 1) * length / n) + start, 0, size);
  }

 private:
  __device__ static double rounded(double v) {  // halves away from 0
    return v < 0 ? -::floor(0.5 - v) : ::floor(v + 0.5);
  }
};

template <class T>
struct PoolRegions {
  const T *x, *rois;
  T* y;
  int32_t* places;
  RoiPool p;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> o(i, p.channels, p.out_h, p.out_w);
    const Region region(rois + 5 * int64_t(o.outer), p.spatial_scale);
    T best = T(0);
    int32_t found = -1;
    if (region.finite) {
      const Bins rows(region.y1, region.y2, p.out_h, p.height);
      const Bins columns(region.x1, region.x2, p.out_w, p.width);
      const T* const plane = x + (region.image * p.channels + o.d) * p.height * p.width;
      const int bottom = rows.end(o.h), left = columns.begin(o.w), right = columns.end(o.w);
      for (int r = rows.begin(o.h); r < bottom; ++r)
        for (int s = left; s < right; ++s) {
          const int32_t at = static_cast<int32_t>(r * p.width + s);
          const T v = plane[at];
          if (found >= 0 && !(v > best) && !(v != v && best == best)) continue;
          best = v;
          found = at;
        }
    } else {
      best = kNan<T>;
    }
    y[i] = best;
    if (places) places[i] = found;
  }
};

// y (rois, channels, out_h, out_w) = the largest of each bin, the first of equal ones, 0 for an
// empty one, NaN for a region with a coordinate that is not finite. places (may be null) gets where
// each was found in its plane, -1 for none.
template <class T>
void roi_pool_forward(const T* x, const T* rois, T* y, int32_t* places, const RoiPool& p) {
  each(p.rois * p.channels * p.out_h * p.out_w, p.batch * p.channels * p.height * p.width,
       PoolRegions<T>{x, rois, y, places, p});
}

template <class T>
struct FindReach {
  const T* rois;
  Reach* reach;
  RoiPool p;
  template <class Index>
  __device__ void at(Index r) const {
    const Region region(rois + 5 * int64_t(r), p.spatial_scale);
    Reach to{static_cast<int>(region.image), 0, 0, 0, 0};
    if (region.finite) {
      const Bins rows(region.y1, region.y2, p.out_h, p.height);
      const Bins columns(region.x1, region.x2, p.out_w, p.width);
      to.top = rows.begin(0), to.bottom = rows.end(p.out_h - 1);
      to.left = columns.begin(0), to.right = columns.end(p.out_w - 1);
    }
    reach[r] = to;
  }
};

template <class T>
struct PoolBack {
  const T* dy;
  const Reach* reach;
  const int32_t* places;
  T* dx;
  RoiPool p;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> e(i, p.channels, p.height, p.width);
    const int y = static_cast<int>(e.h), x = static_cast<int>(e.w);
    const int32_t place = static_cast<int32_t>(e.h * p.width + e.w);
    const int64_t bins = p.out_h * p.out_w;
    T sum = T(0);
    for (int64_t r = 0; r < p.rois; ++r) {
      if (!reach[r].has(e.outer, y, x)) continue;
      const int64_t from = (r * p.channels + e.d) * bins;
      for (int64_t b = from; b < from + bins; ++b)
        if (places[b] == place) sum += dy[b];
    }
    dx[i] = sum;
  }
};

// dx = dy at the places, added up in the order of the regions, 0 elsewhere.
template <class T>
void roi_pool_backward(const T* dy, const T* rois, const int32_t* places, T* dx, const RoiPool& p) {
  const Scratch<Reach> reach(larger(1, p.rois));
  each(p.rois, p.rois, FindReach<T>{rois, reach, p});
  each(p.batch * p.channels * p.height * p.width, p.rois * p.channels * p.out_h * p.out_w,
       PoolBack<T>{dy, reach, places, dx, p});
}

}  // namespace

DLCORE_CUDA_EXPORT(roi_pool_forward)
DLCORE_CUDA_EXPORT(roi_pool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
