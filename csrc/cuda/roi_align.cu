// RoI align: the mean of bilinear samples of a region's bins, forward and backward. Backward
// gathers: an element of dx asks the regions that reach it, in their order, which of their samples
// lie within a pixel.

#include "cuda/roi.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Where the samples of one axis of a region lie. torchvision's arithmetic, in float64.
struct Samples {
  double start, bin;
  int64_t count;  // samples to a bin: given, or one for every pixel of it
  double step;    // from one to the next
  int64_t size;

  __device__ Samples(double low, double high, const RoiAlign& p, int64_t bins, int64_t size_)
      : size(size_) {
    const double offset = p.aligned ? 0.5 : 0;
    start = low - offset;
    double length = (high - offset) - start;
    if (!p.aligned && length < 1) length = 1;
    bin = length / static_cast<double>(bins);
    const double adaptive = ::ceil(bin);
    count = p.sampling_ratio > 0 ? p.sampling_ratio
            : adaptive < 1       ? 0
            : adaptive > 0x1p40  ? int64_t(1) << 40
                                 : static_cast<int64_t>(adaptive);
    step = count > 0 ? bin / static_cast<double>(count) : 0;
  }
  __device__ double at(int64_t b, int64_t i) const {
    return start + static_cast<double>(b) * bin + (static_cast<double>(i) + 0.5) * step;
  }
  // The samples of bin b between two places, and a few more.
  __device__ void between(int64_t b, double low, double high, int64_t& from, int64_t& to) const {
    from = 0, to = count;
    if (count <= 8 || !(step > 0)) return;
    const double base = start + static_cast<double>(b) * bin;
    const double first = ::floor((low - base) / step) - 2, last = ::ceil((high - base) / step) + 2;
    const double all = static_cast<double>(count);
    if (first > 0) from = first > all ? count : static_cast<int64_t>(first);
    if (last < all) to = last < 0 ? 0 : static_cast<int64_t>(last);
  }
  __device__ void inside(int64_t b, int64_t& from, int64_t& to) const {
    between(b, -1, static_cast<double>(size), from, to);
  }
  // The two pixels that a sample is made of: `low` with 1 - rest, the next with rest. False: it
  // lies outside.
  __device__ bool taps(int64_t b, int64_t i, int& low, double& rest) const {
    double v = at(b, i);
    if (!(v >= -1 && v <= static_cast<double>(size))) return false;
    if (v < 0) v = 0;
    low = static_cast<int>(v);
    if (low >= size - 1) low = static_cast<int>(size - 1), v = static_cast<double>(low);
    rest = v - static_cast<double>(low);
    return true;
  }
  __device__ double share() const { return count > 0 ? 1 / static_cast<double>(count) : 0; }
  // What pixel `at` is worth in bin b.
  template <class T>
  __device__ T weight(int64_t b, int at) const {
    int64_t from, to;
    // The end pixels stand for all that lies up to one beyond.
    between(b, at == 0 ? -1 : at - 1, at >= size - 1 ? static_cast<double>(size) : at + 1, from,
            to);
    double sum = 0;
    for (int64_t i = from; i < to; ++i) {
      int low;
      double rest;
      if (!taps(b, i, low, rest)) continue;
      if (low == at) sum += 1 - rest;
      if (low + 1 == at) sum += rest;
    }
    return static_cast<T>(sum * share());
  }
  // The bins [first, end) that may have samples within a pixel of `at`.
  __device__ void bins_near(int at, int64_t bins, int64_t& first, int64_t& end) const {
    first = 0, end = bins;
    if (!(bin > 0)) return;
    const double low = at == 0 ? -1 : at - 1, high = at >= size - 1 ? double(size) : at + 1;
    first = pixel_of(::floor((low - start) / bin) - 1, 0, bins);
    end = pixel_of(::ceil((high - start) / bin) + 1, 0, bins);
  }
};

template <class T>
struct Align {
  const T *x, *rois;
  T* y;
  RoiAlign p;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> o(i, p.channels, p.out_h, p.out_w);
    const Region region(rois + 5 * int64_t(o.outer), p.spatial_scale);
    if (!region.finite) {
      y[i] = kNan<T>;
      return;
    }
    const Samples rows(region.y1, region.y2, p, p.out_h, p.height);
    const Samples columns(region.x1, region.x2, p, p.out_w, p.width);
    const T* const plane = x + (region.image * p.channels + o.d) * p.height * p.width;
    const double share = columns.share();
    int64_t top, bottom, left, right;
    rows.inside(o.h, top, bottom);
    columns.inside(o.w, left, right);
    T sum = T(0);
    for (int64_t r = top; r < bottom; ++r) {
      int low;
      double rest;
      if (!rows.taps(o.h, r, low, rest)) continue;
      const T* const row = plane + int64_t(low) * p.width;
      const T* const next = rest > 0 ? row + p.width : row;
      T upper = T(0), lower = T(0);
      for (int64_t s = left; s < right; ++s) {
        int at;
        double part;
        if (!columns.taps(o.w, s, at, part)) continue;
        const T a = static_cast<T>((1 - part) * share), b = static_cast<T>(part * share);
        upper += a * row[at];
        if (rest > 0) lower += a * next[at];
        if (part > 0) {
          upper += b * row[at + 1];
          if (rest > 0) lower += b * next[at + 1];
        }
      }
      sum += static_cast<T>((1 - rest) * rows.share()) * upper;
      if (rest > 0) sum += static_cast<T>(rest * rows.share()) * lower;
    }
    y[i] = sum;
  }
};

// y (rois, channels, out_h, out_w) = the mean of the samples of each bin; NaN for a region with a
// coordinate that is not finite. Regions' batch indices are whole numbers from 0 to batch - 1.
template <class T>
void roi_align_forward(const T* x, const T* rois, T* y, const RoiAlign& p) {
  each(p.rois * p.channels * p.out_h * p.out_w, p.batch * p.channels * p.height * p.width,
       Align<T>{x, rois, y, p});
}

template <class T>
struct FindReach {
  const T* rois;
  Reach* reach;
  RoiAlign p;
  template <class Index>
  __device__ void at(Index r) const {
    const Region region(rois + 5 * int64_t(r), p.spatial_scale);
    Reach to{static_cast<int>(region.image), 0, 0, 0, 0};
    if (region.finite) {
      const Samples rows(region.y1, region.y2, p, p.out_h, p.height);
      const Samples columns(region.x1, region.x2, p, p.out_w, p.width);
      const auto span = [](const Samples& s, int64_t bins, int& begin, int& end) {
        double low = s.start, high = s.start + static_cast<double>(bins) * s.bin;
        if (high < low) {  // a region turned inside out
          const double kept = low;
          low = high;
          high = kept;
        }
        // A sample on a pixel's edge may be rounded to its other side.
        begin = pixel_of(::floor(low) - 2, 0, s.size);
        end = pixel_of(::ceil(high) + 3, 0, s.size);
        if (low < 1) begin = 0;
        if (high > static_cast<double>(s.size - 2)) end = static_cast<int>(s.size);
      };
      span(rows, p.out_h, to.top, to.bottom);
      span(columns, p.out_w, to.left, to.right);
    }
    reach[r] = to;
  }
};

template <class T>
struct AlignBack {
  const T *dy, *rois;
  const Reach* reach;
  T* dx;
  RoiAlign p;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> e(i, p.channels, p.height, p.width);
    const int y = static_cast<int>(e.h), x = static_cast<int>(e.w);
    T sum = T(0);
    for (int64_t r = 0; r < p.rois; ++r) {
      if (!reach[r].has(e.outer, y, x)) continue;
      const Region region(rois + 5 * r, p.spatial_scale);
      const Samples rows(region.y1, region.y2, p, p.out_h, p.height);
      const Samples columns(region.x1, region.x2, p, p.out_w, p.width);
      const T* const from = dy + (r * p.channels + e.d) * p.out_h * p.out_w;
      int64_t top, bottom, left, right;
      rows.bins_near(y, p.out_h, top, bottom);
      columns.bins_near(x, p.out_w, left, right);
      for (int64_t h = top; h < bottom; ++h) {
        const T tall = rows.weight<T>(h, y);
        if (tall == T(0)) continue;
        T line = T(0);
        for (int64_t w = left; w < right; ++w) {
          const T wide = columns.weight<T>(w, x);
          if (wide != T(0)) line += wide * from[h * p.out_w + w];
        }
        sum += tall * line;
      }
    }
    dx[i] = sum;
  }
};

// dx = the gradient of x; a region that is not finite gives none.
template <class T>
void roi_align_backward(const T* dy, const T* rois, T* dx, const RoiAlign& p) {
  const Scratch<Reach> reach(larger(1, p.rois));
  each(p.rois, p.rois, FindReach<T>{rois, reach, p});
  each(p.batch * p.channels * p.height * p.width, p.rois * p.channels * p.out_h * p.out_w,
       AlignBack<T>{dy, rois, reach, dx, p});
}

}  // namespace

DLCORE_CUDA_EXPORT(roi_align_forward)
DLCORE_CUDA_EXPORT(roi_align_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
