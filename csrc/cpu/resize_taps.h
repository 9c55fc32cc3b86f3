// Which elements of an axis each resized element is made of, and with what weights.
//
// PyTorch's arithmetic: the step between elements is in T, places in float64 (rounded to T), so
// that the same elements are chosen; no product may become one rounding with a sum.
#pragma once

#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "kernels/resize.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Element o is the sum of weight[k] * x[at[k]] for first[o] <= k < first[o + 1]. `at` does not
// decrease from one element to the next.
template <class T>
struct Taps {
  int64_t in, out;
  int64_t* first;
  int64_t* at;
  T* weight;
  bool copies, identity;  // one tap of weight 1 to each element; which is at its own place
};

// Holds v apart from the sum that follows: an FMA would round once where PyTorch rounds twice.
template <class T>
DLCORE_INLINE T rounded(T v) {
  asm("" : "+m"(v));
  return v;
}

DLCORE_INLINE bool is_cubic(ResizeMode mode) {
  return mode == ResizeMode::cubic || mode == ResizeMode::cubic_antialias;
}
DLCORE_INLINE bool is_antialias(ResizeMode mode) {
  return mode == ResizeMode::linear_antialias || mode == ResizeMode::cubic_antialias;
}

template <class T>
DLCORE_INLINE T step_of(const Resize& p, const ResizeAxis& a) {
  if (p.align_corners)
    return a.out > 1 ? static_cast<T>(a.size - 1) / static_cast<T>(a.out - 1) : T(0);
  return a.scale > 0 ? static_cast<T>(1 / a.scale) : static_cast<T>(a.size) / static_cast<T>(a.out);
}

// How many elements a filter of `radius` pixels reaches at most.
template <class T>
DLCORE_INLINE T support_of(const Resize& p, const ResizeAxis& a) {
  const T radius = is_cubic(p.mode) ? T(2) : T(1), step = step_of<T>(p, a);
  return step >= 1 ? radius * step : radius;
}

template <class T>
DLCORE_INLINE int64_t most_taps(const Resize& p, const ResizeAxis& a) {
  switch (p.mode) {
    case ResizeMode::nearest:
    case ResizeMode::nearest_exact:
      return 1;
    case ResizeMode::linear:
      return 2;
    case ResizeMode::cubic:
      return 4;
    case ResizeMode::area:
      return a.size / a.out + 2;
    default:
      break;
  }
  const T most = 2 * support_of<T>(p, a) + 3;
  return most < static_cast<T>(a.size) ? static_cast<int64_t>(most) : a.size;
}

// Keys' cubic filter at a distance of |x| < 1 and 1 <= |x| < 2.
template <class T>
DLCORE_INLINE T cubic_near(T x, T a) {
  return rounded(rounded(rounded((a + 2) * x - (a + 3)) * x) * x) + 1;
}
template <class T>
DLCORE_INLINE T cubic_far(T x, T a) {
  return rounded(rounded((rounded(a * x) - 5 * a) * x + 8 * a) * x) - 4 * a;
}

template <class T>
DLCORE_INLINE int64_t whole_below(T v) {
  const int64_t i = static_cast<int64_t>(v);
  return static_cast<T>(i) > v ? i - 1 : i;
}

template <class T>
class TapsOfAxis {
 public:
  TapsOfAxis(const Resize& p, const ResizeAxis& a, const Taps<T>& taps)
      : p_(p), a_(a), taps_(taps), step_(step_of<T>(p, a)), support_(support_of<T>(p, a)) {}

  void fill() {
    for (int64_t o = 0; o < a_.out; ++o) {
      taps_.first[o] = used_;
      if (p_.mode == ResizeMode::nearest || p_.mode == ResizeMode::nearest_exact)
        nearest(o);
      else if (is_antialias(p_.mode))
        antialias(o);
      else if (p_.mode == ResizeMode::area)
        area(o);
      else if (a_.size == a_.out && p_.mode == ResizeMode::linear)
        add(o, T(1));
      else if (p_.mode == ResizeMode::linear)
        linear(o);
      else
        cubic(o);
    }
    taps_.first[a_.out] = used_;
  }

 private:
  void add(int64_t at, T weight) {
    taps_.at[used_] = at;
    taps_.weight[used_++] = weight;
  }
  T centre(int64_t o) const {
    return static_cast<T>(rounded(static_cast<double>(step_) * (static_cast<double>(o) + 0.5)));
  }
  T place(int64_t o) const {
    if (p_.align_corners) return step_ * static_cast<T>(o);
    return static_cast<T>(rounded(static_cast<double>(step_) * (static_cast<double>(o) + 0.5)) -
                          0.5);
  }

  void nearest(int64_t o) {
    T at = step_ * static_cast<T>(o);
    if (p_.mode == ResizeMode::nearest_exact) {
      const T place = this->place(o);
      at = static_cast<T>(static_cast<double>(place < 0 ? T(0) : place) + 0.5);
    }
    add(smaller(a_.size - 1, static_cast<int64_t>(static_cast<float>(at))), T(1));
  }
  void linear(int64_t o) {
    const T place = this->place(o), at = place < 0 ? T(0) : place;
    const int64_t i = smaller(a_.size - 1, static_cast<int64_t>(at));
    const T apart = at - static_cast<T>(i), part = apart > 1 ? T(1) : apart;
    add(i, 1 - part);
    add(smaller(a_.size - 1, i + 1), part);
  }
  void cubic(int64_t o) {
    const T at = place(o), a = T(-0.75);
    const int64_t i = smaller(a_.size - 1, whole_below(at));
    const T apart = at - static_cast<T>(i), part = apart > 1 ? T(1) : apart, rest = 1 - part;
    const T weights[4] = {cubic_far(part + 1, a), cubic_near(part, a), cubic_near(rest, a),
                          cubic_far(rest + 1, a)};
    for (int64_t k = 0; k < 4; ++k) add(larger(0, smaller(a_.size - 1, i - 1 + k)), weights[k]);
  }
  void area(int64_t o) {
    const auto scaled = [&](int64_t v) {  // floor(v * size / out), whose product may overflow
      return v / a_.out * a_.size + v % a_.out * a_.size / a_.out;
    };
    const int64_t begin = scaled(o), end = a_.size - scaled(a_.out - 1 - o);
    for (int64_t i = begin; i < end; ++i) add(i, T(1) / static_cast<T>(end - begin));
  }
  void antialias(int64_t o) {
    const T centre = this->centre(o), a = T(-0.5);
    const T shrink = step_ >= 1 ? static_cast<T>(1.0 / static_cast<double>(step_)) : T(1);
    const auto pixel = [](T v) { return static_cast<int64_t>(static_cast<double>(v) + 0.5); };
    const int64_t begin = larger(0, pixel(centre - support_));
    const int64_t end = smaller(a_.size, pixel(centre + support_));
    const int64_t from = used_;
    T total = 0;
    for (int64_t i = begin; i < end; ++i) {
      const double away = static_cast<double>(static_cast<T>(i) - centre) + 0.5;
      const T v = static_cast<T>(away * static_cast<double>(shrink)), x = v < 0 ? -v : v;
      const T weight = !is_cubic(p_.mode) ? (x < 1 ? 1 - x : T(0))
                       : x < 1            ? cubic_near(x, a)
                       : x < 2            ? cubic_far(x, a)
                                          : T(0);
      add(i, weight);
      total += weight;
    }
    if (total != 0)
      for (int64_t k = from; k < used_; ++k) taps_.weight[k] /= total;
  }

  const Resize& p_;
  const ResizeAxis& a_;
  const Taps<T>& taps_;
  const T step_, support_;
  int64_t used_ = 0;
};

// Taps of one axis, of the resize itself or (transposed) of its gradient. Holds their memory.
template <class T>
class AxisTaps {
 public:
  AxisTaps(const Resize& p, const ResizeAxis& a, bool transposed)
      : room_(a.out * most_taps<T>(p, a)),
        scratch_((transposed ? 2 : 1) * (room_ * int64_t(sizeof(int64_t) + sizeof(T)) +
                                         (a.size + a.out + 2) * int64_t(sizeof(int64_t)) + 256)) {
    taps_ = take(a.size, a.out);
    TapsOfAxis<T>(p, a, taps_).fill();
    if (transposed) transpose();
    describe();
  }
  const Taps<T>& operator*() const { return taps_; }

 private:
  Taps<T> take(int64_t in, int64_t out) {
    return {in,
            out,
            scratch_.take<int64_t>(out + 1),
            scratch_.take<int64_t>(room_),
            scratch_.take<T>(room_),
            false,
            false};
  }
  // Element i of the gradient is made of all o of which i is a tap, in their order.
  void transpose() {
    const Taps<T> from = taps_, to = take(from.out, from.in);
    for (int64_t i = 0; i <= to.out; ++i) to.first[i] = 0;
    const int64_t total = from.first[from.out];
    for (int64_t k = 0; k < total; ++k) ++to.first[from.at[k] + 1];
    for (int64_t i = 0; i < to.out; ++i) to.first[i + 1] += to.first[i];
    for (int64_t o = from.out - 1; o >= 0; --o)
      for (int64_t k = from.first[o + 1] - 1; k >= from.first[o]; --k) {
        const int64_t place = --to.first[from.at[k] + 1];
        to.at[place] = o;
        to.weight[place] = from.weight[k];
      }
    // Each count was used up from its end: first[i + 1] is where i begins.
    for (int64_t i = 0; i < to.out; ++i) to.first[i] = to.first[i + 1];
    to.first[to.out] = total;
    taps_ = to;
  }
  void describe() {
    taps_.copies = taps_.identity = true;
    for (int64_t o = 0; o < taps_.out; ++o) {
      const int64_t k = taps_.first[o];
      if (taps_.first[o + 1] != k + 1 || taps_.weight[k] != 1) {
        taps_.copies = taps_.identity = false;
        return;
      }
      if (taps_.at[k] != o) taps_.identity = false;
    }
    if (taps_.in != taps_.out) taps_.identity = false;
  }

  int64_t room_;
  Scratch scratch_;
  Taps<T> taps_;
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
