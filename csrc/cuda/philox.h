// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011),
// one counter to a thread: the same words as on the CPU.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Word w of counter j is number 16 w + j of its group of 16 counters: see runtime/random.h.
constexpr int64_t kGroupCounters = 16, kGroupWords = 4 * kGroupCounters;

struct Source {
  uint64_t seed, offset, stream;
};
struct Words {
  uint32_t word[4];
};

__device__ inline Words philox(const Source& source, int64_t counter) {
  const uint64_t at = source.offset + static_cast<uint64_t>(counter);
  uint32_t c0 = static_cast<uint32_t>(at), c1 = static_cast<uint32_t>(at >> 32);
  uint32_t c2 = static_cast<uint32_t>(source.stream);
  uint32_t c3 = static_cast<uint32_t>(source.stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(source.seed), k1 = static_cast<uint32_t>(source.seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(c0, 0xD2511F53u), low0 = c0 * 0xD2511F53u;
    const uint32_t high1 = __umulhi(c2, 0xCD9E8D57u), low1 = c2 * 0xCD9E8D57u;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// put(i, value) for the numbers that words make, `per_group` in a group: make(words, f) calls
// f(place beside the counter's number in the group, value).
template <class Make, class Put>
__global__ void __launch_bounds__(kBlock)
    philox_kernel(Source source, int64_t n, int64_t per_group, Make make, Put put) {
  const int64_t counters = ceil_div(n, per_group) * kGroupCounters;
  for (int64_t counter = grid_thread(); counter < counters; counter += grid_threads()) {
    const int64_t j = counter % kGroupCounters, group = counter / kGroupCounters;
    make(philox(source, counter), [&](int64_t at, auto value) {
      const int64_t i = group * per_group + at + j;
      if (i < n) put(i, value);
    });
  }
}
template <class Make, class Put>
void for_philox(const Source& source, int64_t n, int64_t per_group, const Make& make,
                const Put& put) {
  const int64_t counters = ceil_div(n, per_group) * kGroupCounters;
  launch(philox_kernel<Make, Put>, Size{blocks_for(counters, kBlock), kBlock}, source, n, per_group,
         make, put);
}

// The words themselves.
struct EachWord {
  template <class F>
  __device__ void operator()(const Words& words, const F& f) const {
#pragma unroll
    for (int w = 0; w < 4; ++w) f(w * kGroupCounters, words.word[w]);
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
