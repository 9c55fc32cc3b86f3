// The tools of kernel_check: what a kernel should give, and how far from it a kernel may be.
//
// References are plain loops in long double, whose own roundings are 2^-11 of a double's or less.
// Limits are in eps, the dtype's distance from 1 to the next number; one rounding is half an eps at
// most. Three kinds of limit occur, each said beside its case:
//   - 0 where a kernel only selects, and half an eps for each rounding where it does arithmetic;
//   - the bound that cpu/simd_math.h states, for exp and its like;
//   - for sums see `chain` and `pairwise` below.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace dlcore {

using Wide = long double;
constexpr Wide kPi = 3.14159265358979323846264338327950288L;

template <class T>
using Values = std::vector<T>;

// Reproducible numbers in [low, high): a linear congruence, the same on every machine.
template <class T>
Values<T> numbers(int64_t n, double low, double high, uint32_t seed = 1) {
  Values<T> all(static_cast<size_t>(n));
  uint64_t state = seed;  // 64 bits, of which the upper 53 fill a double
  for (T& value : all) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<T>(low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53);
  }
  return all;
}

// What is right, and for each value the scale of its roundings: its own size, or that of the terms
// which may cancel to make it, or that times what a rounded argument is amplified by.
struct Expected {
  std::vector<Wide> value, scale;
  explicit Expected(int64_t n = 0) : value(n), scale(n) {}
  int64_t size() const { return static_cast<int64_t>(value.size()); }
  void push(Wide v, Wide size) {
    value.push_back(v);
    scale.push_back(std::fabs(size));
  }
  void push(Wide v) { push(v, v); }
  void set(int64_t i, Wide v, Wide size) {
    value[i] = v;
    scale[i] = std::fabs(size);
  }
  void set(int64_t i, Wide v) { set(i, v, v); }
  void add(int64_t i, Wide term) {  // one term of the sum that value i is
    value[i] += term;
    scale[i] += std::fabs(term);
  }
};

struct Want {
  Expected values;
  double allowed;  // eps
};

// n terms added one after the other: n roundings, which are independent and make sqrt(n) / 2 eps of
// the sum of the terms' sizes; twice that, and one for the terms' own rounding.
inline double chain(int64_t n) {
  return 1 + std::sqrt(static_cast<double>(n));
}

// n terms added as the reductions do: chains of 16, four of them, then a binary tree. All of these
// roundings to the same side.
inline double pairwise(int64_t n) {
  return (18 + std::log2(static_cast<double>(n))) / 2;
}

// What main.cpp keeps of all checks.
void note(const std::string& kernel, int bits, double error, double allowed);
void fail(const std::string& kernel, int bits, const char* what);

constexpr int64_t kGuard = 32;  // elements behind an output that must stay as they were

// The largest error of an output, in eps at each value's scale.
template <class T>
double error_of(const T* got, const Expected& want) {
  double error = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    const T rounded = static_cast<T>(want.value[i]);
    if (got[i] == rounded || (std::isnan(got[i]) && std::isnan(rounded))) continue;
    // A denormal number is rounded at its own distance.
    const Wide e = std::fabs(got[i] - want.value[i]) - std::numeric_limits<T>::denorm_min();
    const Wide scaled = e <= 0 ? 0 : e / want.scale[i] / std::numeric_limits<T>::epsilon();
    error = std::max(error, std::isnan(scaled) ? INFINITY : static_cast<double>(scaled));
  }
  return error;
}

// Calls call(kernels, outputs) on each instruction set with one thread and with three: within the
// limits, all written and nothing behind, and the same bits for any number of threads.
template <class T>
void check(const std::string& name, const std::vector<Want>& wants,
           const std::function<void(const KernelTable<T>&, T* const*)>& call) {
  constexpr int bits = 8 * sizeof(T);
  for (const std::string& target : isas()) {
    set_isa(target);
    std::vector<Values<T>> first;
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::vector<Values<T>> outputs;
      std::vector<T*> pointers;
      for (const Want& want : wants) {
        outputs.emplace_back(want.values.size() + kGuard);
        std::memset(outputs.back().data(), 0xff, outputs.back().size() * sizeof(T));  // NaN
      }
      for (Values<T>& output : outputs) pointers.push_back(output.data());
      call(kernels<T>(), pointers.data());
      for (size_t i = 0; i < wants.size(); ++i) {
        note(name, bits, error_of(outputs[i].data(), wants[i].values), wants[i].allowed);
        const auto* behind =
            reinterpret_cast<const unsigned char*>(pointers[i] + wants[i].values.size());
        for (size_t b = 0; b < kGuard * sizeof(T); ++b)
          if (behind[b] != 0xff) return fail(name, bits, "wrote behind its output");
        if (threads > 1 &&
            std::memcmp(first[i].data(), pointers[i], first[i].size() * sizeof(T)) != 0)
          fail(name, bits, "other bits with three threads");
      }
      if (threads == 1) first = outputs;
    }
  }
}

// The same with one output.
template <class T, class Call>
void check(const std::string& name, const Expected& want, double allowed, const Call& call) {
  check<T>(name, {{want, allowed}},
           [&](const KernelTable<T>& k, T* const* outputs) { call(k, outputs[0]); });
}

#define FAMILY(name) void check_##name();
#include "families.def"
#undef FAMILY

}  // namespace dlcore
