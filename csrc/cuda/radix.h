// Sorting by whole numbers: stable, least digit first. A pass counts the digits of each tile, adds
// up the counts, and moves every tile's items behind those that come before: always to the same
// place.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kDigitBits = 4, kDigits = 1 << kDigitBits;
constexpr int kItems = 8, kSortTile = kBlock * kItems;  // of a thread, of a block

template <class K>
struct Keyed {
  K* key;
  int32_t* index;
};

template <class K>
__device__ int digit_of(K key, int shift) {
  return static_cast<int>(key >> shift) & (kDigits - 1);
}

// The items of this thread: kItems that follow one another. Sizes are below 2^31.
template <class K>
__global__ void __launch_bounds__(kBlock)
    count_digits(const K* key, int64_t n, int shift, uint32_t* counts) {
  __shared__ uint32_t found[kDigits];
  const int t = static_cast<int>(threadIdx.x);
  if (t < kDigits) found[t] = 0;
  __syncthreads();
  const int64_t begin = (int64_t(blockIdx.x) * kBlock + t) * kItems;
  for (int64_t i = begin; i < smaller(begin + kItems, n); ++i)
    atomicAdd(found + digit_of(key[i], shift), 1u);
  __syncthreads();
  if (t < kDigits) counts[int64_t(t) * gridDim.x + blockIdx.x] = found[t];
}

// counts becomes the sum of what comes before each; by one block.
__global__ void __launch_bounds__(kBlock) add_up_counts(uint32_t* counts, int64_t n) {
  __shared__ uint32_t share[kBlock];
  const int t = static_cast<int>(threadIdx.x);
  const int64_t each = ceil_div(n, kBlock), begin = smaller(t * each, n);
  const int64_t end = smaller(begin + each, n);
  uint32_t sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += counts[i];
  share[t] = sum;
  __syncthreads();
  uint32_t before = 0;
  for (int i = 0; i < t; ++i) before += share[i];
  for (int64_t i = begin; i < end; ++i) {
    const uint32_t count = counts[i];
    counts[i] = before;
    before += count;
  }
}

template <class K>
__global__ void __launch_bounds__(kBlock)
    move_items(Keyed<K> from, Keyed<K> to, int64_t n, int shift, const uint32_t* before) {
  // How many items with a digit the threads before this one have.
  __shared__ uint16_t places[kDigits][kBlock];
  const int t = static_cast<int>(threadIdx.x);
  const int64_t begin = (int64_t(blockIdx.x) * kBlock + t) * kItems;
  const int64_t end = smaller(begin + kItems, n);
  for (int d = 0; d < kDigits; ++d) places[d][t] = 0;
  for (int64_t i = begin; i < end; ++i) ++places[digit_of(from.key[i], shift)][t];
  __syncthreads();
  constexpr int kParts = kBlock / kDigits;  // threads to a digit
  const int digit = t / kParts, first = t % kParts * (kBlock / kParts);
  __shared__ uint16_t parts[kDigits][kParts];
  uint16_t sum = 0;
  for (int i = 0; i < kBlock / kParts; ++i) {
    const uint16_t count = places[digit][first + i];
    places[digit][first + i] = sum;
    sum = static_cast<uint16_t>(sum + count);
  }
  parts[digit][t % kParts] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < t % kParts; ++i) sum = static_cast<uint16_t>(sum + parts[digit][i]);
  for (int i = 0; i < kBlock / kParts; ++i)
    places[digit][first + i] = static_cast<uint16_t>(places[digit][first + i] + sum);
  __syncthreads();
  for (int64_t i = begin; i < end; ++i) {
    const K key = from.key[i];
    const int d = digit_of(key, shift);
    const int64_t place = int64_t(before[int64_t(d) * gridDim.x + blockIdx.x]) + places[d][t]++;
    to.key[place] = key;
    to.index[place] = from.index[i];
  }
}

// Sorts `items` by the lowest `bits` of their keys, with room of the same size; where the result
// lies is returned. n < 2^31.
template <class K>
Keyed<K> radix_sort(Keyed<K> items, Keyed<K> room, int64_t n, int bits) {
  const int64_t blocks = ceil_div(n, kSortTile);
  const Scratch<uint32_t> counts(larger(1, blocks * kDigits));
  const Size size{static_cast<unsigned>(blocks), kBlock};
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    launch(count_digits<K>, size, items.key, n, shift, counts);
    launch(add_up_counts, Size{blocks ? 1u : 0u, kBlock}, counts, blocks * kDigits);
    launch(move_items<K>, size, items, room, n, shift, counts);
    const Keyed<K> kept = items;
    items = room;
    room = kept;
  }
  return items;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
