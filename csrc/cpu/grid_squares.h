// Samples of pictures in vectors of places: nearest, bilinear and bicubic.
//
// A place has a square of kTaps x kTaps pixels inside the picture, read as pairs: half the loads of
// a gather. At an edge the square is moved inside and its weights with it, added up where pixels
// are mirrored or repeated; pixels that are no taps are put to 0 by masks, so that an infinite one
// does not reach the sum as 0 * inf.
#pragma once

#include "cpu/grid_places.h"
#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
using LaneMask = decltype(Mask<T>{}[0] + 0);

template <class T>
DLCORE_INLINE Mask<T> load_mask(const LaneMask<T>* p) {
  Mask<T> mask;
  std::memcpy(&mask, p, sizeof mask);
  return mask;
}
template <class T>
DLCORE_INLINE void store_mask(LaneMask<T>* p, Mask<T> mask) {
  std::memcpy(p, &mask, sizeof mask);
}
template <class T>
DLCORE_INLINE Vec<T> within(Vec<T> v, Vec<T> low, Vec<T> high) {
  return min<T>(max<T>(v, low), high);
}
template <class T>
DLCORE_INLINE Mask<T> whole_below(Vec<T> v) {  // |v| < 2^31
  const Mask<T> cut = __builtin_convertvector(v, Mask<T>);
  return cut + (__builtin_convertvector(cut, Vec<T>) > v);  // a true lane is -1
}

// GridAxis in vectors.
template <class T>
struct GridAxes : GridAxis<T> {
  explicit GridAxes(const GridAxis<T>& a) : GridAxis<T>(a) {}

  Vec<T> pixels(Vec<T> v) const {
    v = v == v ? v : splat<T>(-1);
    v = this->align ? (v + 1) / 2 * static_cast<T>(this->size - 1)
                    : ((v + 1) * static_cast<T>(this->size) - 1) / 2;
    if (this->padding == SamplePadding::reflection)
      return within<T>(v, splat<T>(-(1 << 30)), splat<T>(1 << 30));
    return within<T>(v, splat<T>(-4), splat<T>(static_cast<T>(this->size + 3)));
  }
  Vec<T> insides(Vec<T> v, Vec<T>& slope) const {
    const Vec<T> none{}, last = splat<T>(static_cast<T>(this->size - 1));
    slope = splat<T>(1);
    if (this->padding == SamplePadding::zeros) return v;
    if (this->padding == SamplePadding::reflection) v = mirrored(v, slope);
    slope = ((v > 0) & (v < last)) ? slope : none;
    return within<T>(v, none, last);
  }

 private:
  Vec<T> mirrored(Vec<T> v, Vec<T>& slope) const {
    const T low = this->align ? T(0) : T(-0.5);
    const T span = static_cast<T>(this->align ? this->size - 1 : this->size);
    v = v - low;
    slope = v < 0 ? -slope : slope;
    v = v < 0 ? -v : v;
    const Mask<T> times = __builtin_convertvector(span > 0 ? v / span : Vec<T>{}, Mask<T>);
    const Vec<T> rest = v - __builtin_convertvector(times, Vec<T>) * span;
    const Mask<T> back = (times & 1) != 0;
    slope = back ? -slope : slope;
    return (back ? span - rest : rest) + low;
  }
};

// kPlaces places along one axis: the first of kTaps pixels, all inside; the weight of each, its
// slope to the coordinate, and whether it is a tap at all.
template <class T, int kTaps>
struct Stretches {
  LaneMask<T> at[kPlaces];
  T weight[kTaps][kPlaces], slope[kTaps][kPlaces];
  LaneMask<T> tap[kTaps][kPlaces];

  // Whether every pixel is a tap. `coordinates` has room for whole vectors.
  DLCORE_INLINE_MEMBER bool find(const GridAxis<T>& axis, const T* coordinates, int64_t count) {
    const GridAxes<T> a(axis);
    Mask<T> all = Mask<T>{} == Mask<T>{};
    for (int64_t j = 0; j < count; j += kLanes<T>) {
      Mask<T> pixel[kTaps];
      Vec<T> of_weight[kTaps], of_slope[kTaps];
      find_taps(a, load<T>(coordinates + j), pixel, of_weight, of_slope);
      Mask<T> first = pixel[0];
      for (int i = 1; i < kTaps; ++i) first = pixel[i] < first ? pixel[i] : first;
      const Mask<T> last = Mask<T>{} + static_cast<LaneMask<T>>(a.size - kTaps);
      first = first < 0 ? Mask<T>{} : first > last ? last : first;
      store_mask<T>(at + j, first);
      for (int k = 0; k < kTaps; ++k) {
        Vec<T> w{}, s{};
        Mask<T> is_tap{};
        for (int i = 0; i < kTaps; ++i) {
          const Mask<T> here = pixel[i] == first + k;
          w += here ? of_weight[i] : Vec<T>{};
          s += here ? of_slope[i] : Vec<T>{};
          is_tap |= here;
        }
        store<T>(weight[k] + j, w);
        store<T>(slope[k] + j, s);
        store_mask<T>(tap[k] + j, is_tap);
        all &= is_tap;
      }
    }
    for (int64_t i = 0; i < kLanes<T>; ++i)
      if (!all[i]) return false;
    return true;
  }

 private:
  static DLCORE_INLINE_MEMBER void find_taps(const GridAxes<T>& a, Vec<T> coordinate,
                                             Mask<T>* pixel, Vec<T>* of_weight, Vec<T>* of_slope) {
    const Vec<T> at = a.pixels(coordinate);
    const T scale = a.pixels_to_one();
    Vec<T> moves;
    if constexpr (kTaps == 4) {
      const Vec<T> whole = __builtin_convertvector(whole_below<T>(at), Vec<T>);
      keys_weights<T>(at - whole, of_weight, of_slope);
      for (int i = 0; i < 4; ++i) {
        pixel[i] = __builtin_convertvector(a.insides(whole + T(i - 1), moves), Mask<T>);
        of_slope[i] *= scale;
      }
      return;
    }
    const Vec<T> place = a.insides(at, moves);
    const Mask<T> low = whole_below<T>(place);
    const Vec<T> part = place - __builtin_convertvector(low, Vec<T>);
    if constexpr (kTaps == 1) {  // halves to the even pixel
      const Mask<T> up = (part > T(0.5)) | ((part == T(0.5)) & ((low & 1) != 0));
      pixel[0] = low - up;
      of_weight[0] = splat<T>(1), of_slope[0] = Vec<T>{};
    } else {
      pixel[0] = low, of_weight[0] = 1 - part, of_slope[0] = -moves * scale;
      pixel[1] = low + 1, of_weight[1] = part, of_slope[1] = moves * scale;
    }
  }
};

template <class T, int... I>
DLCORE_INLINE Vec<T> load_each(const T* x, const LaneMask<T>* at, Lanes<I...>) {
  return Vec<T>{x[at[I]]...};
}
// Pairs of float, each as one double, whatever its bits.
template <int... I>
DLCORE_INLINE Vec<double> load_doubles(const float* x, const int32_t* at, Lanes<I...>) {
  const auto one = [=](int32_t i) {
    double pair;
    std::memcpy(&pair, x + i, sizeof pair);
    return pair;
  };
  return Vec<double>{one(at[I])...};
}
// The elements x[at[i]] and those after them.
template <class T>
DLCORE_INLINE void load_pairs(const T* x, const LaneMask<T>* at, Vec<T>& first, Vec<T>& second) {
  if constexpr (sizeof(T) == 4) {
    const auto low = Vec<T>(load_doubles(x, at, AllLanes<double>{}));
    const auto high = Vec<T>(load_doubles(x, at + kLanes<double>, AllLanes<double>{}));
    first = even_of(low, high, AllLanes<T>{});
    second = odd_of(low, high, AllLanes<T>{});
  } else {
    first = load_each<T>(x, at, AllLanes<T>{});
    second = load_each<T>(x + 1, at, AllLanes<T>{});
  }
}

// The squares of kPlaces places: their upper left pixels, and the stretches along both axes.
template <class T, int kTaps>
class Squares {
 public:
  static constexpr int64_t kRuns = 8;

  void find(const GridSample& p, const T* grid, int64_t places, bool) {
    T across[kPlaces], down[kPlaces];
    count_ = places, width_ = p.width;
    for (int64_t j = places; j < round_up(places, kLanes<T>); ++j) across[j] = down[j] = T(0);
    split_pairs<T>(grid, 2 * places, across, down);
    const bool x_whole = x_.find({p.width, p.padding, p.align_corners}, across, places);
    const bool y_whole = y_.find({p.height, p.padding, p.align_corners}, down, places);
    whole_ = x_whole && y_whole;
    for (int64_t j = 0; j < round_up(places, kLanes<T>); ++j)
      at_[j] = y_.at[j] * static_cast<LaneMask<T>>(p.width) + x_.at[j];
  }

  void sample(const T* plane, T* y) const {
    for (int64_t j = 0; j < count_; j += kLanes<T>) {
      Vec<T> sum{};
      for (int r = 0; r < kTaps; ++r) {
        Vec<T> v[kTaps];
        load_row(plane, r, j, v);
        sum += load<T>(y_.weight[r] + j) * weighted(x_.weight, v, j);
      }
      if (j + kLanes<T> <= count_)
        store<T>(y + j, sum);
      else
        store_part<T>(y + j, count_ - j, sum);
    }
  }

  // plane += dy at the places, one after the other.
  void give_back(const T* dy, T* plane) const {
    constexpr int64_t L = kLanes<T>;
    for (int64_t j = 0; j < count_; j += L) {
      const int64_t n = smaller(L, count_ - j);
      const Vec<T> g = gradient(dy + j, n);
      T shares[kTaps][kTaps][L];
      for (int r = 0; r < kTaps; ++r)
        for (int c = 0; c < kTaps; ++c) {
          const Vec<T> weight = load<T>(y_.weight[r] + j) * load<T>(x_.weight[c] + j);
          store<T>(shares[r][c], tap(r, c, j) ? weight * g : Vec<T>{});
        }
      for (int64_t i = 0; i < n; ++i) {
        T* to = plane + at_[j + i];
        for (int r = 0; r < kTaps; ++r, to += width_)
          for (int c = 0; c < kTaps; ++c) to[c] += shares[r][c][i];
      }
    }
  }

  // moves[axis] += dy times the slope of the samples along x and y.
  void add_moves(const T* dy, const T* plane, T (*moves)[kPlaces]) const {
    for (int64_t j = 0; j < count_; j += kLanes<T>) {
      const Vec<T> g = gradient(dy + j, smaller(kLanes<T>, count_ - j));
      Vec<T> across{}, down{};
      for (int r = 0; r < kTaps; ++r) {
        Vec<T> v[kTaps];
        load_row(plane, r, j, v);
        across += load<T>(y_.weight[r] + j) * weighted(x_.slope, v, j);
        down += load<T>(y_.slope[r] + j) * weighted(x_.weight, v, j);
      }
      store<T>(moves[0] + j, load<T>(moves[0] + j) + g * across);
      store<T>(moves[1] + j, load<T>(moves[1] + j) + g * down);
    }
  }

 private:
  static DLCORE_INLINE_MEMBER Vec<T> gradient(const T* dy, int64_t n) {
    return n == kLanes<T> ? load<T>(dy) : load_part<T>(dy, n, T(0));
  }
  static DLCORE_INLINE_MEMBER Vec<T> weighted(const T (*factors)[kPlaces], const Vec<T>* v,
                                              int64_t j) {
    Vec<T> sum = load<T>(factors[0] + j) * v[0];
    for (int c = 1; c < kTaps; ++c) sum += load<T>(factors[c] + j) * v[c];
    return sum;
  }
  DLCORE_INLINE_MEMBER Mask<T> tap(int row, int column, int64_t j) const {
    return load_mask<T>(y_.tap[row] + j) & load_mask<T>(x_.tap[column] + j);
  }
  // Row r of the squares of kLanes places from j.
  DLCORE_INLINE_MEMBER void load_row(const T* plane, int r, int64_t j, Vec<T>* v) const {
    const T* row = plane + r * width_;
    if constexpr (kTaps == 1)
      v[0] = load_each<T>(row, at_ + j, AllLanes<T>{});
    else
      for (int c = 0; c < kTaps; c += 2) load_pairs<T>(row + c, at_ + j, v[c], v[c + 1]);
    if (whole_) return;
    for (int c = 0; c < kTaps; ++c) v[c] = tap(r, c, j) ? v[c] : Vec<T>{};
  }

  Stretches<T, kTaps> x_, y_;
  LaneMask<T> at_[kPlaces];
  int64_t count_, width_;
  bool whole_;  // all pixels of each are taps
};

DLCORE_INLINE bool has_squares(const GridSample& p) {
  const int64_t side = p.mode == SampleMode::nearest ? 1 : p.mode == SampleMode::bilinear ? 2 : 4;
  return p.axes == 2 && p.width >= side && p.height >= side &&
         p.width * p.height < (int64_t(1) << 30);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
