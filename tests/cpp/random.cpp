// Random numbers, by the words of Philox and the formulas in long double.
#include <algorithm>

#include "philox.h"

namespace dlcore {
namespace {

constexpr uint64_t kSeed = 0x123456789abcdef0u, kOffset = 0xfffffff8u;  // the counter carries

// How many numbers a group of 64 words makes: each double takes two.
template <class T>
constexpr int64_t kPerGroup = kGroupWords * 4 / static_cast<int64_t>(sizeof(T));

// Number i of [0, 1): 24 bits of one word, or 53 of two.
template <class T>
Wide unit(const std::vector<uint32_t>& words, int64_t i) {
  if (sizeof(T) == 4) return (words[i] >> 8) * 0x1p-24L;
  const int64_t j = i % kGroupCounters, half = i / kGroupCounters % 2;
  const int64_t at = i / kPerGroup<T> * kGroupWords + 2 * half * kGroupCounters + j;
  return words[at] * 0x1p-32L + (words[at + kGroupCounters] >> 11) * 0x1p-53L;
}

struct Normal {
  Wide radius, turns;  // of Box and Muller: z is radius times cos or sin of 2 pi turns
};
template <class T>
Normal normal(const std::vector<uint32_t>& words, int64_t i) {
  const int64_t group = i / kPerGroup<T> * kGroupWords, j = i % kGroupCounters;
  if (sizeof(T) == 4) {
    const int64_t at = group + i % kPerGroup<T> / (2 * kGroupCounters) * 2 * kGroupCounters + j;
    const float x = static_cast<float>(words[at] >> 1) + 0.5f;
    return {std::sqrt(-2 * std::log(x * 0x1p-31L)), words[at + kGroupCounters] * 0x1p-32L};
  }
  const uint32_t* w = words.data() + group + j;
  const double x = (w[0] * 0x1p-32 + (w[kGroupCounters] >> 11) * 0x1p-53) + 0x1p-54;
  return {std::sqrt(-2 * std::log(static_cast<Wide>(x))),
          w[2 * kGroupCounters] * 0x1p-32L + (w[3 * kGroupCounters] >> 12) * 0x1p-52L};
}

template <class T>
void draws(int64_t n) {
  const int64_t groups = (n + kPerGroup<T> - 1) / kPerGroup<T>;
  const auto words = philox_words(groups * kGroupWords, kSeed, kOffset, 0);
  Expected unit_numbers, normals, coins, few;
  const Values<T> p = numbers<T>(n, 0, 1);
  for (int64_t i = 0; i < n; ++i) {
    const Wide u = unit<T>(words, i);
    unit_numbers.push(-1 + 3 * u, 1 + 3 * u);
    coins.push(u < p[i]);
    few.push(u < p[0]);
    const Normal z = normal<T>(words, i);
    const bool first = i % (2 * kGroupCounters) < kGroupCounters;
    const Wide value =
        z.radius * (first ? std::cos(2 * kPi * z.turns) : std::sin(2 * kPi * z.turns));
    normals.push(0.5L + 2 * value, 0.5L + 2 * z.radius);
  }
  check<T>("random_uniform", unit_numbers, 1,
           [&](const auto& k, T* out) { k.random_uniform(out, n, T(-1), T(2), kSeed, kOffset); });
  check<T>("random_bernoulli", coins, 0,
           [&](const auto& k, T* out) { k.random_bernoulli(p.data(), 1, out, n, kSeed, kOffset); });
  check<T>("random_bernoulli", few, 0,
           [&](const auto& k, T* out) { k.random_bernoulli(p.data(), 0, out, n, kSeed, kOffset); });
  // A logarithm, a root, an angle, a sine and three products.
  check<T>("random_normal", normals, 5,
           [&](const auto& k, T* out) { k.random_normal(out, n, T(0.5), T(2), kSeed, kOffset); });
}

template <class T>
void bits(int64_t n) {
  Expected want;
  for (const uint32_t word : philox_words(n, kSeed, kOffset, 7)) want.push(word >> 8);
  check<T>("random_bits", want, 0, [&](const auto& k, T* to) {
    std::vector<uint32_t> words(n);
    k.random_bits(words.data(), n, kSeed, kOffset, 7);
    std::transform(words.begin(), words.end(), to,  // float holds 24 bits
                   [](uint32_t word) { return static_cast<T>(word >> 8); });
  });
}

}  // namespace

void check_random() {
  for (const int64_t n : {1, 31, 64, 65, 40009}) {
    draws<float>(n);
    draws<double>(n);
    bits<float>(n);
    bits<double>(n);
  }
}

}  // namespace dlcore
