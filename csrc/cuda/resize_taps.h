// Which elements of an axis each resized element is made of, and with what weights: a table of the
// device, made there.
//
// PyTorch's arithmetic: the step between elements is in T, places in float64 (rounded to T), so
// that the same elements are chosen; products and sums are one rounding where they are there.
#pragma once

#include "cuda/math.h"
#include "cuda/unfused.h"
#include "kernels/resize.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

inline bool is_nearest(ResizeMode mode) {
  return mode == ResizeMode::nearest || mode == ResizeMode::nearest_exact;
}
__host__ __device__ inline bool is_cubic(ResizeMode mode) {
  return mode == ResizeMode::cubic || mode == ResizeMode::cubic_antialias;
}

// Element o is the sum of weight[o * most + k] * x[begin[o] + k], begin[o] + k <= end[o], where a
// place beyond x is that of its end element. Neither begin nor end decreases from one element to
// the next.
template <class T>
struct Taps {
  ResizeMode mode;
  bool align_corners;
  int64_t size, out, most;
  T step, support;  // how many elements a filter reaches at most
  int64_t *begin, *end;
  T* weight;
  int64_t *low, *high;  // element i is a tap of some of the elements [low[i], high[i])

  Taps(const Resize& p, const ResizeAxis& a)
      : mode(p.mode), align_corners(p.align_corners), size(a.size), out(a.out) {
    if (p.align_corners)
      step = a.out > 1 ? static_cast<T>(a.size - 1) / static_cast<T>(a.out - 1) : T(0);
    else
      step = a.scale > 0 ? static_cast<T>(1 / a.scale)
                         : static_cast<T>(a.size) / static_cast<T>(a.out);
    const T radius = is_cubic(mode) ? T(2) : T(1);
    support = step >= 1 ? radius * step : radius;
    const T reach = 2 * support + 3;
    if (size == 1 && out == 1) mode = ResizeMode::nearest;  // an axis that x does not have
    if (is_nearest(mode) || mode == ResizeMode::area)
      most = 0;
    else if (mode == ResizeMode::linear)
      most = 2;
    else if (mode == ResizeMode::cubic)
      most = 4;
    else
      most = reach < static_cast<T>(size) ? static_cast<int64_t>(reach) : size;
  }
  // The room it takes.
  int64_t integers() const { return 2 * (out + size); }
  int64_t numbers() const { return out * most; }
  void place_in(int64_t*& integer, T*& number) {
    begin = integer, end = begin + out, low = end + out, high = low + size;
    integer = high + size;
    weight = number;
    number += numbers();
  }

  // The weight of tap k of n.
  __device__ T weight_of(int64_t o, int64_t k, int64_t n) const {
    if (mode == ResizeMode::area) return T(1) / static_cast<T>(n);
    return most ? weight[o * most + k] : T(1);
  }
  __device__ int64_t inside(int64_t at) const { return at < 0 ? 0 : at < size ? at : size - 1; }
  // What element i is worth in element o.
  __device__ T share(int64_t i, int64_t o) const {
    const int64_t first = begin[o], n = end[o] - first;
    if (i > 0 && i < size - 1) return weight_of(o, i - first, n);
    T sum = T(0);
    for (int64_t k = 0; k < n; ++k)
      if (inside(first + k) == i) sum += weight_of(o, k, n);
    return sum;
  }
};

// Keys' cubic filter at a distance of |x| < 1 and 1 <= |x| < 2.
template <class T>
__device__ T cubic_near(T x, T a) {
  return times(times(math::fma(a + 2, x, -(a + 3)), x), x) + 1;
}
template <class T>
__device__ T cubic_far(T x, T a) {
  return times(math::fma(times(a, x) - 5 * a, x, 8 * a), x) - 4 * a;
}

template <class T>
struct FindTaps : Taps<T> {
  using Taps<T>::mode, Taps<T>::size, Taps<T>::out, Taps<T>::step, Taps<T>::support;

  __device__ T centre(int64_t o) const {
    return static_cast<T>(times(static_cast<double>(step), static_cast<double>(o) + 0.5));
  }
  __device__ T place(int64_t o) const {
    if (this->align_corners) return times(step, static_cast<T>(o));
    return static_cast<T>(times(static_cast<double>(step), static_cast<double>(o) + 0.5) - 0.5);
  }
  __device__ int64_t scaled(int64_t v) const {  // floor(v * size / out), which may overflow
    return v / out * size + v % out * size / out;
  }
  __device__ void set(int64_t o, int64_t begin, int64_t end) const {
    this->begin[o] = begin;
    this->end[o] = end;
  }

  __device__ void find(int64_t o) const {
    T* const weight = this->weight + o * this->most;
    if (mode == ResizeMode::nearest || mode == ResizeMode::nearest_exact) {
      T at = times(step, static_cast<T>(o));
      if (mode == ResizeMode::nearest_exact) {
        const T place = this->place(o);
        at = static_cast<T>(static_cast<double>(place < 0 ? T(0) : place) + 0.5);
      }
      const int64_t i = smaller(size - 1, static_cast<int64_t>(static_cast<float>(at)));
      set(o, i, i + 1);
    } else if (mode == ResizeMode::area) {
      set(o, scaled(o), size - scaled(out - 1 - o));
    } else if (mode == ResizeMode::linear) {
      if (size == out) {
        weight[0] = T(1);
        return set(o, o, o + 1);
      }
      const T place = this->place(o), at = place < 0 ? T(0) : place;
      const int64_t i = smaller(size - 1, static_cast<int64_t>(at));
      const T apart = at - static_cast<T>(i), part = apart > 1 ? T(1) : apart;
      weight[0] = 1 - part;
      weight[1] = part;
      set(o, i, i + 2);
    } else if (mode == ResizeMode::cubic) {
      cubic(o, weight);
    } else {
      antialias(o, weight);
    }
  }

  __device__ void cubic(int64_t o, T* weight) const {
    const T at = place(o), a = T(-0.75);
    const int64_t whole = static_cast<int64_t>(at);
    const int64_t i = smaller(size - 1, static_cast<T>(whole) > at ? whole - 1 : whole);
    const T apart = at - static_cast<T>(i), part = apart > 1 ? T(1) : apart, rest = 1 - part;
    weight[0] = cubic_far(part + 1, a);
    weight[1] = cubic_near(part, a);
    weight[2] = cubic_near(rest, a);
    weight[3] = cubic_far(rest + 1, a);
    set(o, i - 1, i + 3);
  }

  __device__ void antialias(int64_t o, T* weight) const {
    const T centre = this->centre(o), a = T(-0.5);
    const T shrink = step >= 1 ? static_cast<T>(1.0 / static_cast<double>(step)) : T(1);
    const auto pixel = [](T v) { return static_cast<int64_t>(static_cast<double>(v) + 0.5); };
    const int64_t begin = larger(0, pixel(centre - support));
    const int64_t end = larger(begin, smaller(size, pixel(centre + support)));
    T total = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double away = static_cast<double>(static_cast<T>(i) - centre) + 0.5;
      const T v = static_cast<T>(times(away, static_cast<double>(shrink))), x = v < 0 ? -v : v;
      weight[i - begin] = !is_cubic(mode) ? (x < 1 ? 1 - x : T(0))
                          : x < 1         ? cubic_near(x, a)
                          : x < 2         ? cubic_far(x, a)
                                          : T(0);
      total += weight[i - begin];
    }
    if (total != 0)
      for (int64_t k = 0; k < end - begin; ++k) weight[k] /= total;
    set(o, begin, end);
  }

  // The elements of which i is a tap follow one another.
  __device__ void find_owners(int64_t i) const {
    const auto first = [&](auto after) {
      int64_t low = 0, high = out;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (after(middle))
          high = middle;
        else
          low = middle + 1;
      }
      return low;
    };
    this->low[i] = first([&](int64_t o) { return this->end[o] > i; });
    this->high[i] = first([&](int64_t o) { return this->begin[o] > i; });
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
