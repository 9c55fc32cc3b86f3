// Orders along an axis, equal elements as they come, and the first k of such an order. NaN counts
// as the largest. Lines of up to kTile elements are sorted in shared memory, several in a block;
// longer ones by a radix sort (order.h); the first few of a long line are the first few of the
// first few of its tiles.

#include "cuda/order.h"
#include "kernels/sort.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTile = 2048, kFew = 512;
constexpr int64_t kMostLines = 65535, kMostPairs = int64_t(1) << 26;  // of a radix sort at once

// All lines: n elements each, `inner` apart. y may be null.
template <class T>
struct Lines {
  const T* x;
  T* y;
  int64_t* index;
  int64_t lines, n, inner, k;
  Key<T> flip;  // makes the order that wanted comes first the rising one

  __device__ int64_t place(int64_t line, int64_t i, int64_t size) const {
    return (line / inner * size + i) * inner + line % inner;
  }
  __device__ Key<T> key(int64_t line, int64_t i) const {
    return falling_key(x[place(line, i, n)]) ^ flip;
  }
  __device__ void put(int64_t line, int64_t rank, uint32_t number) const {
    const int64_t to = place(line, rank, k);
    index[to] = number;
    if (y) y[to] = x[place(line, number, n)];
  }
};

// -- in shared memory --

template <class K>
struct Ranked {
  K key;
  uint32_t number;
};

// A line's elements, or the candidates that a round left, n to a line.
template <class T>
struct FromLines {
  Lines<T> s;
  int64_t n;
  __device__ Ranked<Key<T>> operator()(int64_t line, int64_t i) const {
    return {s.key(line, i), static_cast<uint32_t>(i)};
  }
};
template <class T>
struct FromCandidates {
  Pairs<Key<T>> pairs;
  int64_t n;
  __device__ Ranked<Key<T>> operator()(int64_t line, int64_t i) const {
    return {pairs.key[line * n + i], pairs.number[line * n + i]};
  }
};

// A block's tile is segments of `size`, a power of two; each takes `size` elements of a line, which
// has `parts` segments, and gives the first k: the result, or candidates.
template <class T, class From, bool kLast>
__global__ void __launch_bounds__(kBlock)
    tile_kernel(Lines<T> s, From from, int64_t size, int64_t parts, Pairs<Key<T>> candidates) {
  __shared__ Key<T> keys[kTile];
  __shared__ uint32_t numbers[kTile];
  const int64_t segment = blockIdx.x * (kTile / size);
  for (int e = threadIdx.x; e < kTile; e += kBlock) {
    const int64_t line = (segment + e / size) / parts;
    const int64_t i = (segment + e / size) % parts * size + e % size;
    Ranked<Key<T>> one{static_cast<Key<T>>(~Key<T>(0)), ~0u};
    if (line < s.lines && i < from.n) one = from(line, i);
    keys[e] = one.key;
    numbers[e] = one.number;
  }
  for (int run = 2; run <= size; run *= 2)
    for (int apart = run / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < kTile / 2; i += kBlock) {
        const int a = i / apart * 2 * apart + i % apart, b = a + apart;
        const bool rises = (a & run & (size - 1)) == 0;
        const bool falls = keys[b] < keys[a] || (keys[b] == keys[a] && numbers[b] < numbers[a]);
        if (falls != rises) continue;
        const Key<T> key = keys[a];
        const uint32_t number = numbers[a];
        keys[a] = keys[b];
        numbers[a] = numbers[b];
        keys[b] = key;
        numbers[b] = number;
      }
    }
  __syncthreads();
  for (int e = threadIdx.x; e < kTile; e += kBlock) {
    const int64_t line = (segment + e / size) / parts, rank = e % size;
    if (line >= s.lines || rank >= s.k) continue;
    if (kLast) {
      s.put(line, rank, numbers[e]);
    } else {
      const int64_t to = (segment + e / size) * s.k + rank;
      candidates.key[to] = keys[e];
      candidates.number[to] = numbers[e];
    }
  }
}

template <class T, bool kLast, class From>
void sort_tiles(const Lines<T>& s, const From& from, Pairs<Key<T>> candidates) {
  int64_t size = 2;
  while (size < smaller(from.n, kTile)) size *= 2;
  const int64_t parts = kLast ? 1 : ceil_div(from.n, size);
  const int64_t blocks = ceil_div(s.lines * parts, kTile / size);
  launch(tile_kernel<T, From, kLast>, Size{static_cast<unsigned>(blocks), kBlock}, s, from, size,
         parts, candidates);
}

// The first k of n candidates of each line.
template <class T>
void best_of_candidates(const Lines<T>& s, Pairs<Key<T>> from, int64_t n) {
  if (n <= kTile) return sort_tiles<T, true>(s, FromCandidates<T>{from, n}, {});
  const int64_t left = ceil_div(n, kTile) * s.k;
  const Scratch<Key<T>> keys(s.lines * left);
  const Scratch<uint32_t> numbers(s.lines * left);
  const Pairs<Key<T>> to{keys, numbers};
  sort_tiles<T, false>(s, FromCandidates<T>{from, n}, to);
  best_of_candidates(s, to, left);
}

template <class T>
void best_of_lines(const Lines<T>& s) {
  const int64_t left = ceil_div(s.n, kTile) * s.k;
  const Scratch<Key<T>> keys(s.lines * left);
  const Scratch<uint32_t> numbers(s.lines * left);
  const Pairs<Key<T>> to{keys, numbers};
  sort_tiles<T, false>(s, FromLines<T>{s, s.n}, to);
  best_of_candidates(s, to, left);
}

// -- by radix --

template <class T>
__global__ void __launch_bounds__(kBlock)
    pairs_kernel(Lines<T> s, int64_t first, int64_t lines, Pairs<Key<T>> to) {
  for (int64_t e = grid_thread(); e < lines * s.n; e += grid_threads()) {
    const int64_t line = e / s.n, i = e - line * s.n;
    to.key[e] = s.key(first + line, i);
    to.number[e] = static_cast<uint32_t>(i);
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    finish_kernel(Lines<T> s, int64_t first, int64_t lines, const uint32_t* numbers) {
  for (int64_t e = grid_thread(); e < lines * s.k; e += grid_threads()) {
    const int64_t line = e / s.k, rank = e - line * s.k;
    s.put(first + line, rank, numbers[line * s.n + rank]);
  }
}

template <class T>
void sort_long(const Lines<T>& s) {
  const int64_t most = smaller(kMostLines, larger(1, kMostPairs / s.n));
  RadixRoom<Key<T>> room(smaller(most, s.lines), s.n);
  for (int64_t first = 0; first < s.lines; first += most) {
    const int64_t lines = smaller(most, s.lines - first);
    launch(pairs_kernel<T>, Size{blocks_for(lines * s.n, kBlock), kBlock}, s, first, lines,
           room.from);
    radix_sort(room, lines, s.n, 8 * static_cast<int>(sizeof(T)));
    launch(finish_kernel<T>, Size{blocks_for(lines * s.k, kBlock), kBlock}, s, first, lines,
           static_cast<const uint32_t*>(room.from.number));
  }
}

template <class T>
Lines<T> lines_of(const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner,
                  int64_t k, bool descending) {
  return {x, y, index, outer * inner, n, inner, k, descending ? Key<T>(0) : ~Key<T>(0)};
}

template <class T>
void sort(const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner,
          bool descending) {
  const Lines<T> s = lines_of(x, y, index, outer, n, inner, n, descending);
  if (s.lines == 0 || n == 0) return;
  if (n <= kTile)
    sort_tiles<T, true>(s, FromLines<T>{s, n}, {});
  else
    sort_long(s);
}

template <class T>
void topk(const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner, int64_t k,
          bool largest) {
  const Lines<T> s = lines_of(x, y, index, outer, n, inner, k, largest);
  if (s.lines == 0) return;
  if (n <= kTile)
    sort_tiles<T, true>(s, FromLines<T>{s, n}, {});
  else if (k <= kFew)
    best_of_lines(s);
  else
    sort_long(s);
}

}  // namespace

DLCORE_CUDA_EXPORT(sort)
DLCORE_CUDA_EXPORT(topk)

}  // namespace DLCORE_ISA
}  // namespace dlcore
