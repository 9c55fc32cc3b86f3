// Stable orders of lines of numbers, by a radix sort: the same in every run.
#pragma once

#include "cuda/reduce.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct KeyOf {
  using type = uint32_t;
};
template <>
struct KeyOf<double> {
  using type = uint64_t;
};
template <class T>
using Key = typename KeyOf<T>::type;

// A whole number that grows where the score falls; NaN comes first, -0 equals 0.
__device__ inline uint32_t falling_key(float score) {
  if (score != score) return 0;
  const uint32_t bits = static_cast<uint32_t>(__float_as_int(score + 0.f));
  return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}
__device__ inline uint64_t falling_key(double score) {
  if (score != score) return 0;
  const uint64_t bits = static_cast<uint64_t>(__double_as_longlong(score + 0.));
  return bits >> 63 ? bits : ~bits & ~(uint64_t(1) << 63);
}

// -- radix: `lines` lines of n keys with numbers below 2^31, 8 bits at a time --

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr int kRadixWarps = 8, kRadixEach = 16;  // keys of a thread
constexpr int64_t kRadixTile = int64_t(kRadixWarps) * kWarp * kRadixEach;

template <class K>
struct Pairs {
  K* key;
  uint32_t* number;
};

// The lanes of the warp that have this one's digit.
__device__ inline unsigned same_digit(unsigned digit) {
#ifdef __CUDACC__
  return __match_any_sync(kAllLanes, digit);
#else
  return shim::exchange(kAllLanes, digit,
                        [](unsigned* all, unsigned) {
                          unsigned same[kWarp] = {};
                          for (int i = 0; i < kWarp; ++i)
                            for (int j = 0; j < kWarp; ++j)
                              same[i] |= static_cast<unsigned>(all[i] == all[j]) << j;
                          for (int i = 0; i < kWarp; ++i) all[i] = same[i];
                        },
                        {"same_digit", __FILE__, __LINE__});
#endif
}

// f(place in the line, whether it is one) for a warp's keys in order, 32 at a time.
template <class F>
__device__ void each_of_warp(int64_t n, const F& f) {
  const int64_t first = blockIdx.x * kRadixTile + int64_t(threadIdx.x / kWarp) * kWarp * kRadixEach;
  for (int i = 0; i < kRadixEach && first + i * kWarp < n; ++i) {
    const int64_t at = first + i * kWarp + threadIdx.x % kWarp;
    f(at, at < n);
  }
}

// How many keys of each digit each warp has.
template <class K>
__device__ void count_digits(const K* keys, int64_t n, int shift,
                             unsigned (&counts)[kRadixWarps][kDigits]) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  for (int w = 0; w < kRadixWarps; ++w) counts[w][threadIdx.x] = 0;
  __syncthreads();
  each_of_warp(n, [&](int64_t at, bool inside) {
    const unsigned digit =
        inside ? static_cast<unsigned>(keys[at] >> shift) % kDigits : kDigits;  // none
    const unsigned same = same_digit(digit);
    if (inside && (same & ((1u << lane) - 1)) == 0)
      counts[warp][digit] += static_cast<unsigned>(__popc(same));
    __syncwarp();
  });
  __syncthreads();
}

// counts (lines, digits, tiles)
template <class K>
__global__ void __launch_bounds__(kDigits)
    radix_count_kernel(const K* keys, int64_t n, int shift, uint32_t* counts) {
  __shared__ unsigned own[kRadixWarps][kDigits];
  count_digits(keys + blockIdx.y * n, n, shift, own);
  unsigned sum = 0;
  for (int w = 0; w < kRadixWarps; ++w) sum += own[w][threadIdx.x];
  counts[(int64_t(blockIdx.y) * kDigits + threadIdx.x) * gridDim.x + blockIdx.x] = sum;
}

// The sum over the threads before this one; `all` gets that of the block of kDigits.
__device__ inline uint32_t sum_before(uint32_t v, uint32_t& all) {
  __shared__ uint32_t sums[kRadixWarps];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = threadIdx.x % kWarp;
  uint32_t sum = v;
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    const uint32_t more = __shfl_up_sync(kAllLanes, sum, step);
    if (lane >= step) sum += more;
  }
  __syncthreads();  // the last sums' readers are done
  if (lane == kWarp - 1) sums[warp] = sum;
  __syncthreads();
  uint32_t before = 0;
  all = 0;
  for (int w = 0; w < kRadixWarps; ++w) {
    if (w == warp) before = all;
    all += sums[w];
  }
  return before + sum - v;
}

// Counts of one digit become what stands before them; totals (lines, digits). By a block to each,
// or, of few tiles, by a thread to each.
__global__ void __launch_bounds__(kDigits)
    radix_scan_kernel(uint32_t* counts, int64_t tiles, uint32_t* totals) {
  const int64_t row = int64_t(blockIdx.y) * kDigits + blockIdx.x;
  uint32_t before = 0;
  for (int64_t from = 0; from < tiles; from += kDigits) {
    const int64_t at = from + threadIdx.x;
    uint32_t all;
    const uint32_t own = at < tiles ? counts[row * tiles + at] : 0, sum = sum_before(own, all);
    if (at < tiles) counts[row * tiles + at] = before + sum;
    before += all;
  }
  if (threadIdx.x == 0) totals[row] = before;
}
__global__ void __launch_bounds__(kDigits)
    radix_scan_few_kernel(uint32_t* counts, int64_t tiles, uint32_t* totals) {
  const int64_t row = int64_t(blockIdx.y) * kDigits + threadIdx.x;
  uint32_t before = 0;
  for (int64_t at = row * tiles; at < (row + 1) * tiles; ++at) {
    const uint32_t own = counts[at];
    counts[at] = before;
    before += own;
  }
  totals[row] = before;
}

template <class K>
__global__ void __launch_bounds__(kDigits)
    radix_place_kernel(Pairs<K> from, Pairs<K> to, int64_t n, int shift, const uint32_t* counts,
                       const uint32_t* totals) {
  __shared__ unsigned place[kRadixWarps][kDigits];
  const int64_t line = blockIdx.y, base = line * n;
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, digit = threadIdx.x;
  count_digits(from.key + base, n, shift, place);
  uint32_t all;
  unsigned next = sum_before(totals[line * kDigits + digit], all) +
                  counts[(line * kDigits + digit) * gridDim.x + blockIdx.x];
  for (int w = 0; w < kRadixWarps; ++w) {
    const unsigned own = place[w][digit];
    place[w][digit] = next;
    next += own;
  }
  __syncthreads();
  each_of_warp(n, [&](int64_t at, bool inside) {
    const K key = inside ? from.key[base + at] : K(0);
    const unsigned mine = inside ? static_cast<unsigned>(key >> shift) % kDigits : kDigits;
    const unsigned same = same_digit(mine);
    const unsigned before = static_cast<unsigned>(__popc(same & ((1u << lane) - 1)));
    const int64_t goes = base + (inside ? place[warp][mine] : 0) + before;
    __syncwarp();
    if (inside && before == 0) place[warp][mine] += static_cast<unsigned>(__popc(same));
    if (inside) {
      to.key[goes] = key;
      to.number[goes] = from.number[base + at];
    }
    __syncwarp();
  });
}

// Scratch of a radix sort; the pairs are put into `from` and end there too.
template <class K>
struct RadixRoom {
  Scratch<K> keys[2];
  Scratch<uint32_t> numbers[2], counts, totals;
  Pairs<K> from, to;

  RadixRoom(int64_t lines, int64_t n)
      : keys{Scratch<K>(lines * n), Scratch<K>(lines * n)},
        numbers{Scratch<uint32_t>(lines * n), Scratch<uint32_t>(lines * n)},
        counts(lines * kDigits * ceil_div(n, kRadixTile)),
        totals(lines * kDigits),
        from{keys[0], numbers[0]},
        to{keys[1], numbers[1]} {}
};

// Orders by the lowest `bits` of the keys, equal ones as they come.
template <class K>
void radix_sort(RadixRoom<K>& room, int64_t lines, int64_t n, int bits) {
  if (n == 0) return;
  const unsigned tiles = static_cast<unsigned>(ceil_div(n, kRadixTile));
  const unsigned count = static_cast<unsigned>(lines);
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    const Pairs<K> from = room.from, to = room.to;
    uint32_t *const counts = room.counts, *const totals = room.totals;
    launch(radix_count_kernel<K>, Size{dim3(tiles, count), kDigits}, from.key, n, shift, counts);
    if (tiles <= 32)
      launch(radix_scan_few_kernel, Size{dim3(1, count), kDigits}, counts, int64_t(tiles), totals);
    else
      launch(radix_scan_kernel, Size{dim3(kDigits, count), kDigits}, counts, int64_t(tiles),
             totals);
    launch(radix_place_kernel<K>, Size{dim3(tiles, count), kDigits}, from, to, n, shift, counts,
           totals);
    room.from = to;
    room.to = from;
  }
}

// -- what is sorted --

// How many bits numbers below n have.
inline int bits_below(int64_t n) {
  int bits = 0;
  while (bits < 63 && int64_t(1) << bits < n) ++bits;
  return bits;
}

// The first of n rising keys that is not below `key`.
template <class K>
__device__ int64_t first_from(const K* keys, int64_t n, K key) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// starts[r] = where the keys from r on begin, for r in [0, rows].
template <class K>
__global__ void __launch_bounds__(kBlock)
    starts_kernel(const K* keys, int64_t count, int64_t rows, uint32_t* starts) {
  for (int64_t r = grid_thread(); r <= rows; r += grid_threads())
    starts[r] = static_cast<uint32_t>(first_from(keys, count, static_cast<K>(r)));
}
template <class K>
void find_starts(const K* keys, int64_t count, int64_t rows, uint32_t* starts) {
  launch(starts_kernel<K>, Size{blocks_for(rows + 1, kBlock), kBlock}, keys, count, rows, starts);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
