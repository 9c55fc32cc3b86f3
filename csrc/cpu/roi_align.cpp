// RoI align: the mean of bilinear samples of a region's bins, forward and backward.
//
// A bilinear sample is a weight for its rows times a weight for its columns, and so is the mean
// over a bin. So a region has two short lists for each of its bins, rows and columns with their
// weights, the same for every channel. Forward adds up a bin's rows as vectors along the width
// first, then the columns of each bin; with many regions, on a copy of the picture whose channels
// lie side by side, where every step is a vector of channels. Backward goes the same way back,
// each plane of dx by one thread with the regions in their order: any number of threads gives the
// same bits.

#include "cpu/roi.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChannels = 16;  // planes that share the search for a region's taps
// A picture is turned when this many times its regions' bins are more than its pixels. Turning
// costs 0.4 ns a value; a bin of 256 channels then takes 1 us in place of 2 to 3.
constexpr int64_t kBinsToPixels = 12;

// Channels side by side that are summed at once: four vectors.
template <class T>
constexpr int64_t kStep = 4 * kLanes<T>;

// Rows (or columns) that a bin reads and their weights: taps first[b] to first[b + 1] of bin b.
template <class T>
struct Taps {
  int32_t* first;
  int32_t* at;
  T* weight;
  int64_t begin, end;  // the rows that any bin reads lie in between
};

// Where the samples of one axis of a region lie. torchvision's arithmetic, in float64.
struct Samples {
  double start, bin;
  int64_t count;  // samples to a bin: given, or one for every pixel of it
  double step;    // from one to the next

  Samples(double low, double high, const RoiAlign& p, int64_t bins) {
    const double offset = p.aligned ? 0.5 : 0;
    start = low - offset;
    double length = (high - offset) - start;
    if (!p.aligned && length < 1) length = 1;
    bin = length / static_cast<double>(bins);
    const double adaptive = ceil_of(bin);
    count = p.sampling_ratio > 0 ? p.sampling_ratio
            : adaptive < 1       ? 0
            : adaptive > 0x1p40  ? int64_t(1) << 40
                                 : static_cast<int64_t>(adaptive);
    step = count > 0 ? bin / static_cast<double>(count) : 0;
  }
  double at(int64_t b, int64_t i) const {
    return start + static_cast<double>(b) * bin + (static_cast<double>(i) + 0.5) * step;
  }
  // The samples of bin b that may lie in [-1, size]: others weigh nothing, however many there are.
  // A few are not worth the search.
  void inside(int64_t b, int64_t size, int64_t& from, int64_t& to) const {
    from = 0, to = count;
    if (count <= 64 || !(step > 0)) return;
    const double base = start + static_cast<double>(b) * bin;
    const double low = floor_of((-1 - base) / step) - 2;
    const double high = ceil_of((static_cast<double>(size) - base) / step) + 2;
    if (low > 0) from = low > static_cast<double>(count) ? count : static_cast<int64_t>(low);
    if (high < static_cast<double>(count)) to = high < 0 ? 0 : static_cast<int64_t>(high);
  }
};

// Adds weight to row `at` of the bin whose taps begin at `first`; samples come in order.
template <class T>
DLCORE_INLINE void add_tap(const Taps<T>& taps, int32_t first, int32_t& used, int64_t at,
                           double weight) {
  for (int32_t k = used; k > first && k > used - 2; --k)
    if (taps.at[k - 1] == at) {
      taps.weight[k - 1] += static_cast<T>(weight);
      return;
    }
  taps.at[used] = static_cast<int32_t>(at);
  taps.weight[used++] = static_cast<T>(weight);
}

// The taps of all bins along one axis of `size` rows. Weights add up to 1 for a bin inside.
template <class T>
void find_taps(const Samples& s, int64_t bins, int64_t size, Taps<T>& taps) {
  int32_t used = 0;
  taps.begin = size, taps.end = 0;
  const double share = s.count > 0 ? 1 / static_cast<double>(s.count) : 0;
  for (int64_t b = 0; b < bins; ++b) {
    const int32_t first = taps.first[b] = used;
    int64_t from, to;
    s.inside(b, size, from, to);
    for (int64_t i = from; i < to; ++i) {
      double v = s.at(b, i);
      if (!(v >= -1 && v <= static_cast<double>(size))) continue;
      if (v < 0) v = 0;
      int64_t low = static_cast<int64_t>(v);
      if (low >= size - 1) low = size - 1, v = static_cast<double>(low);
      const double rest = v - static_cast<double>(low);
      add_tap<T>(taps, first, used, low, (1 - rest) * share);
      if (rest > 0) add_tap<T>(taps, first, used, low + 1, rest * share);
      taps.begin = smaller(taps.begin, low);
      taps.end = larger(taps.end, low + 1 + (rest > 0));
    }
  }
  taps.first[bins] = used;
  if (taps.begin > taps.end) taps.begin = taps.end = 0;
}

// The taps of a region along both axes, in scratch of its own.
template <class T>
class RegionTaps {
 public:
  explicit RegionTaps(const RoiAlign& p)
      : p_(p), scratch_(bytes(p.out_h, p.height) + bytes(p.out_w, p.width)) {
    take(rows, p.out_h, p.height);
    take(columns, p.out_w, p.width);
  }
  void find(const Region& region) {
    find_taps<T>(Samples(region.y1, region.y2, p_, p_.out_h), p_.out_h, p_.height, rows);
    find_taps<T>(Samples(region.x1, region.x2, p_, p_.out_w), p_.out_w, p_.width, columns);
  }
  Taps<T> rows, columns;

 private:
  // Without a sampling ratio a bin reads at most every row once or twice at its ends.
  int64_t most(int64_t bins, int64_t size) const {
    return bins * (p_.sampling_ratio > 0 ? smaller(2 * p_.sampling_ratio, 2 * size) : 2 * size);
  }
  int64_t bytes(int64_t bins, int64_t size) const {
    return (bins + 1) * 4 + most(bins, size) * (4 + int64_t(sizeof(T))) + 192;
  }
  void take(Taps<T>& taps, int64_t bins, int64_t size) {
    taps.first = scratch_.take<int32_t>(bins + 1);
    taps.at = scratch_.take<int32_t>(most(bins, size));
    taps.weight = scratch_.take<T>(most(bins, size));
  }
  const RoiAlign& p_;
  Scratch scratch_;
};

// -- forward, channels apart --

// Adds up the rows of a bin: to[j] for columns j from begin to end.
template <class T>
DLCORE_INLINE void add_rows(const T* plane, int64_t width, const Taps<T>& rows, int64_t bin,
                            int64_t begin, int64_t end, T* to) {
  for (int64_t j = begin; j < end; j += kLanes<T>) {
    const int64_t n = smaller(kLanes<T>, end - j);
    Vec<T> sum{};
    for (int32_t k = rows.first[bin]; k < rows.first[bin + 1]; ++k) {
      const T* p = plane + rows.at[k] * width + j;
      sum += rows.weight[k] * (n == kLanes<T> ? load<T>(p) : load_part<T>(p, n, T(0)));
    }
    store<T>(to + j, sum);
  }
}

template <class T>
DLCORE_INLINE void align_plane(const T* plane, const RegionTaps<T>& taps, const RoiAlign& p,
                               T* sums, T* y) {
  const Taps<T>&rows = taps.rows, &columns = taps.columns;
  for (int64_t h = 0; h < p.out_h; ++h, y += p.out_w) {
    add_rows<T>(plane, p.width, rows, h, columns.begin, columns.end, sums);
    for (int64_t w = 0; w < p.out_w; ++w) {
      T sum = 0;
      for (int32_t k = columns.first[w]; k < columns.first[w + 1]; ++k)
        sum += columns.weight[k] * sums[columns.at[k]];
      y[w] = sum;
    }
  }
}

template <class T>
void align_by_planes(const T* x, const T* rois, T* y, const RoiAlign& p) {
  const int64_t groups = ceil_div(p.channels, kChannels), bins = p.out_h * p.out_w;
  const int64_t cost = kChannels * bins * 8;
  parallel_for(p.rois * groups, grain_for(cost), [&](int64_t begin, int64_t end) {
    RegionTaps<T> taps(p);
    Scratch scratch((p.width + kLanes<T>)*static_cast<int64_t>(sizeof(T)) + 64);
    T* sums = scratch.take<T>(p.width + kLanes<T>);
    for (int64_t item = begin, known = -1; item < end; ++item) {
      const int64_t r = item / groups, c0 = item % groups * kChannels;
      const Region region(rois + 5 * r, p.spatial_scale);
      if (region.finite && r != known) taps.find(region);
      known = r;
      for (int64_t c = c0; c < smaller(c0 + kChannels, p.channels); ++c) {
        T* to = y + (r * p.channels + c) * bins;
        if (region.finite)
          align_plane<T>(x + (region.image * p.channels + c) * p.height * p.width, taps, p, sums,
                         to);
        else
          fill_row<T>(std::numeric_limits<T>::quiet_NaN(), bins, to);
      }
    }
  });
}

// -- forward, channels side by side --

// The transposed square of v: perfect shuffles, as often as 2 divides its side.
template <class T>
DLCORE_INLINE void transpose(Vec<T>* v) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t step = 1; step < L; step *= 2) {
    Vec<T> next[L];
    for (int64_t i = 0; i < L / 2; ++i) {
      next[2 * i] = zip_low_of(v[i], v[i + L / 2], AllLanes<T>{});
      next[2 * i + 1] = zip_high_of(v[i], v[i + L / 2], AllLanes<T>{});
    }
    for (int64_t i = 0; i < L; ++i) v[i] = next[i];
  }
}

// to (cols, rows up to whole vectors) = from (rows, cols) transposed; the lanes past rows are 0.
template <class T>
DLCORE_INLINE void transpose_rows(const T* from, int64_t row_step, int64_t rows, int64_t cols,
                                  T* to, int64_t to_step) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t c = 0; c < cols; c += L) {
    const int64_t n = smaller(L, cols - c);
    for (int64_t r = 0; r < rows; r += L) {
      Vec<T> v[L] = {};
      for (int64_t i = 0; i < L && r + i < rows; ++i) {
        const T* p = from + (r + i) * row_step + c;
        v[i] = n == L ? load<T>(p) : load_part<T>(p, n, T(0));
      }
      transpose<T>(v);
      for (int64_t i = 0; i < n; ++i) store<T>(to + (c + i) * to_step + r, v[i]);
    }
  }
}

// One bin of kVectors vectors of channels: every row tap with every column tap.
template <class T, int64_t kVectors>
DLCORE_INLINE void align_bin(const T* image, int64_t row_step, int64_t column_step,
                             const RegionTaps<T>& taps, int64_t h, int64_t w, T* to) {
  const Taps<T>&rows = taps.rows, &columns = taps.columns;
  Vec<T> sum[kVectors] = {};
  for (int32_t i = rows.first[h]; i < rows.first[h + 1]; ++i)
    for (int32_t j = columns.first[w]; j < columns.first[w + 1]; ++j) {
      const T* p = image + rows.at[i] * row_step + columns.at[j] * column_step;
      const Vec<T> weight = splat<T>(rows.weight[i] * columns.weight[j]);
      for (int64_t v = 0; v < kVectors; ++v) sum[v] += weight * load<T>(p + v * kLanes<T>);
    }
  for (int64_t v = 0; v < kVectors; ++v) store<T>(to + v * kLanes<T>, sum[v]);
}

// Channels c to c + kStep of one region, from the picture (height, width, channels up to whole
// vectors). `sums` has a place for each bin's channels and one for each channel's bins.
template <class T>
DLCORE_INLINE void align_channels(const T* image, int64_t c, const RegionTaps<T>& taps,
                                  const RoiAlign& p, T* sums, bool past_caches, T* y) {
  constexpr int64_t L = kLanes<T>;
  const int64_t bins = p.out_h * p.out_w, padded = round_up(p.channels, L);
  const int64_t row_step = p.width * padded, width = smaller(kStep<T>, padded - c);
  T* const turned = sums + bins * kStep<T>;
  for (int64_t b = 0; b < bins; ++b) {
    const int64_t h = b / p.out_w, w = b % p.out_w;
    T* to = sums + b * width;
    if (width == kStep<T>)
      align_bin<T, 4>(image + c, row_step, padded, taps, h, w, to);
    else
      for (int64_t v = 0; v < width; v += L)
        align_bin<T, 1>(image + c + v, row_step, padded, taps, h, w, to + v);
  }
  for (int64_t v = 0; v < width; v += L)
    for (int64_t b = 0; b < bins; b += L) {
      Vec<T> square[L] = {};
      for (int64_t i = 0; i < L && b + i < bins; ++i)
        square[i] = load<T>(sums + (b + i) * width + v);
      transpose<T>(square);
      for (int64_t i = 0; i < L; ++i)
        if (b + L <= bins)
          store<T>(turned + (v + i) * bins + b, square[i]);
        else
          store_part<T>(turned + (v + i) * bins + b, bins - b, square[i]);
    }
  const int64_t n = smaller(width, p.channels - c) * bins;
  map_range<T>(turned, y + c * bins, n, past_caches, [](Vec<T> v) { return v; });
}

template <class T>
void align_by_channels(const T* x, const T* rois, T* y, const RoiAlign& p, int64_t n) {
  const int64_t plane = p.height * p.width, bins = p.out_h * p.out_w;
  const int64_t padded = round_up(p.channels, kLanes<T>), blocks = ceil_div(padded, kStep<T>);
  Scratch scratch(plane * padded * static_cast<int64_t>(sizeof(T)) + 64);
  T* image = scratch.take<T>(plane * padded);
  parallel_for(plane, round_up(grain_for(2 * padded), kLanes<T>), [=](int64_t begin, int64_t end) {
    transpose_rows<T>(x + n * p.channels * plane + begin, plane, p.channels, end - begin,
                      image + begin * padded, padded);
  });
  const bool past_caches =
      p.rois * p.channels * bins * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
  // A block of channels after the other: all regions read the same part of the picture, which
  // stays in the second-level cache.
  parallel_for(p.rois * blocks, grain_for(bins * kStep<T> * 2), [&](int64_t begin, int64_t end) {
    RegionTaps<T> taps(p);
    Scratch own(2 * bins * kStep<T> * static_cast<int64_t>(sizeof(T)) + 64);
    T* sums = own.take<T>(2 * bins * kStep<T>);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t r = item % p.rois, c = item / p.rois * kStep<T>;
      const Region region(rois + 5 * r, p.spatial_scale);
      if (region.image != n) continue;
      T* to = y + r * p.channels * bins;
      if (region.finite) {
        taps.find(region);
        align_channels<T>(image, c, taps, p, sums, past_caches, to);
      } else {
        fill_row<T>(std::numeric_limits<T>::quiet_NaN(), smaller(kStep<T>, p.channels - c) * bins,
                    to + c * bins);
      }
    }
  });
}

// y (rois, channels, out_h, out_w) = the mean of the samples of each bin; NaN for a region with a
// coordinate that is not finite. Regions' batch indices are whole numbers from 0 to batch - 1.
template <class T>
void roi_align_forward(const T* x, const T* rois, T* y, const RoiAlign& p) {
  Scratch scratch(p.batch * int64_t(sizeof(int64_t)) + 64);
  int64_t* in_image = scratch.take<int64_t>(p.batch);
  for (int64_t n = 0; n < p.batch; ++n) in_image[n] = 0;
  for (int64_t r = 0; r < p.rois; ++r) ++in_image[static_cast<int64_t>(rois[5 * r])];
  int64_t busiest = 0;
  for (int64_t n = 0; n < p.batch; ++n) busiest = larger(busiest, in_image[n]);
  if (busiest * p.out_h * p.out_w * kBinsToPixels < p.height * p.width || p.channels < kLanes<T>)
    return align_by_planes<T>(x, rois, y, p);
  for (int64_t n = 0; n < p.batch; ++n)
    if (in_image[n]) align_by_channels<T>(x, rois, y, p, n);
}

// -- backward --

// dx of one plane: what each region's bins give back to the rows and columns they read.
template <class T>
DLCORE_INLINE void give_back(const T* dy, const RegionTaps<T>& taps, const RoiAlign& p, T* sums,
                             T* plane) {
  const Taps<T>&rows = taps.rows, &columns = taps.columns;
  for (int64_t h = 0; h < p.out_h; ++h, dy += p.out_w) {
    if (rows.first[h] == rows.first[h + 1]) continue;
    for (int64_t j = columns.begin; j < columns.end; j += kLanes<T>) store<T>(sums + j, Vec<T>{});
    for (int64_t w = 0; w < p.out_w; ++w)
      for (int32_t k = columns.first[w]; k < columns.first[w + 1]; ++k)
        sums[columns.at[k]] += columns.weight[k] * dy[w];
    for (int32_t k = rows.first[h]; k < rows.first[h + 1]; ++k) {
      T* row = plane + rows.at[k] * p.width;
      const T weight = rows.weight[k];
      int64_t j = columns.begin;
      for (; j + kLanes<T> <= columns.end; j += kLanes<T>)
        store<T>(row + j, load<T>(row + j) + weight * load<T>(sums + j));
      for (; j < columns.end; ++j) row[j] += weight * sums[j];
    }
  }
}

// dx = the gradient of x; a region that is not finite gives none.
template <class T>
void roi_align_backward(const T* dy, const T* rois, T* dx, const RoiAlign& p) {
  const int64_t groups = ceil_div(p.channels, kChannels), bins = p.out_h * p.out_w;
  const int64_t plane = p.height * p.width;
  if (p.rois == 0) return fill_row<T>(T(0), p.batch * p.channels * plane, dx);
  const int64_t cost = kChannels * (plane + p.rois * bins * 8 / larger(p.batch, 1));
  parallel_for(p.batch * groups, grain_for(cost), [&](int64_t begin, int64_t end) {
    RegionTaps<T> taps(p);
    Scratch scratch((p.width + kLanes<T>)*static_cast<int64_t>(sizeof(T)) + 64);
    T* sums = scratch.take<T>(p.width + kLanes<T>);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t n = item / groups, c0 = item % groups * kChannels;
      const int64_t channels = smaller(kChannels, p.channels - c0);
      T* to = dx + (n * p.channels + c0) * plane;
      fill_row<T>(T(0), channels * plane, to);
      for (int64_t r = 0; r < p.rois; ++r) {
        const Region region(rois + 5 * r, p.spatial_scale);
        if (region.image != n || !region.finite) continue;
        taps.find(region);
        for (int64_t c = 0; c < channels; ++c)
          give_back<T>(dy + (r * p.channels + c0 + c) * bins, taps, p, sums, to + c * plane);
      }
    }
  });
}

}  // namespace

DLCORE_EXPORT(roi_align_forward)
DLCORE_EXPORT(roi_align_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
