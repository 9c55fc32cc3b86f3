// Picking rows or single elements by their numbers, and adding up into them. Bound by memory. Sums
// are made in the order of the index: what goes to one place is brought together by a stable sort,
// then each place of the result is written once. No atomics on numbers.

#include "cuda/each.h"
#include "cuda/order.h"
#include "kernels/gather.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T, int kWidth>
struct Taken {
  const T* x;
  const int64_t* index;
  T* y;
  int64_t rows, count, inner;

  template <class Index>
  __device__ void at(Index i) const {
    const Index across = static_cast<Index>(inner / kWidth), row = i / across;
    const Index o = row / static_cast<Index>(count);
    const int64_t from = int64_t(o) * rows + index[row - o * static_cast<Index>(count)];
    store(y + int64_t(i) * kWidth, load<kWidth>(x + from * inner + (i - row * across) * kWidth));
  }
};

template <class T>
void take_rows(const T* x, const int64_t* index, T* y, int64_t outer, int64_t rows, int64_t count,
               int64_t inner) {
  const int64_t n = outer * count * inner;
  if (inner % kFull<T> == 0 && aligned(x, y))
    each(n / kFull<T>, 0, Taken<T, kFull<T>>{x, index, y, rows, count, inner});
  else
    each(n, 0, Taken<T, 1>{x, index, y, rows, count, inner});
}

// -- sums --

template <class K>
__global__ void __launch_bounds__(kBlock)
    index_pairs_kernel(const int64_t* index, int64_t n, Pairs<K> to) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    to.key[i] = static_cast<K>(index[i]);
    to.number[i] = static_cast<uint32_t>(i);
  }
}

constexpr int kSlices = 8;  // of a row's terms, added up side by side

// A block has a row of y and kWarp packs of its columns at a time. Eight slices of its terms are
// added up side by side, then in order.
template <class T, int kWidth>
__global__ void __launch_bounds__(kWarp* kSlices)
    add_rows_kernel(const T* x, const T* base, T* y, RowSums<T> s, const uint32_t* starts,
                    const uint32_t* order) {
  using Part = Pack<T, kWidth>;
  __shared__ Part sums[kSlices][kWarp];
  const int64_t across = ceil_div(s.inner, kWarp * kWidth);
  for (int64_t item = blockIdx.x; item < s.outer * s.rows * across; item += gridDim.x) {
    const int64_t row = item / across, o = row / s.rows, r = row - o * s.rows;
    const int64_t at = ((item - row * across) * kWarp + threadIdx.x) * kWidth;
    const bool inside = at < s.inner;
    const int64_t first = starts[r], count = r == s.padding ? 0 : starts[r + 1] - first;
    Part sum{};
    for (int64_t e = first + threadIdx.y; inside && e < first + count; e += kSlices) {
      const int64_t i = order[e], from = o * s.sources + (s.from ? s.from[i] : i);
      const T factor = s.scale ? s.scale[i] : T(1);
      const Part part = load<kWidth>(x + from * s.inner + at);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum.v[j] += factor * part.v[j];
    }
    if (count > 1) {  // of all threads of the block alike
      __syncthreads();
      sums[threadIdx.y][threadIdx.x] = sum;
      __syncthreads();
    }
    if (threadIdx.y != 0 || !inside) continue;
    for (int slice = 1; slice < smaller(kSlices, count); ++slice)
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum.v[j] += sums[slice][threadIdx.x].v[j];
    const T all = s.mean ? s.alpha / static_cast<T>(larger(count, 1)) : s.alpha;
    const int64_t to = row * s.inner + at;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const T total = count ? sum.v[j] * all : T(0);
      sum.v[j] = base ? base[to + j] + total : total;
    }
    store(y + to, sum);
  }
}

// K: of a row's number.
template <class K, class T>
void add_listed_rows(const T* x, const T* base, T* y, const RowSums<T>& s) {
  RadixRoom<K> room(1, larger(1, s.count));
  const Scratch<uint32_t> starts(s.rows + 1);
  launch(index_pairs_kernel<K>, Size{blocks_for(s.count, kBlock), kBlock}, s.index, s.count,
         room.from);
  radix_sort(room, 1, s.count, bits_below(s.rows));
  find_starts<K>(room.from.key, s.count, s.rows, starts);
  const auto add = [&](auto* kernel, int64_t width) {
    const int64_t items = s.outer * s.rows * ceil_div(s.inner, kWarp * width);
    launch(kernel, Size{blocks_for(items, 1), dim3(kWarp, kSlices)}, x, base, y, s, starts,
           room.from.number);
  };
  if (s.inner % kFull<T> == 0 && aligned(x, y))
    add(add_rows_kernel<T, kFull<T>>, kFull<T>);
  else
    add(add_rows_kernel<T, 1>, 1);
}

template <class T>
void add_rows(const T* x, const T* base, T* y, const RowSums<T>& s) {
  if (s.outer == 0 || s.rows == 0 || s.inner == 0) return;
  if (s.rows < int64_t(1) << 32)
    add_listed_rows<uint32_t>(x, base, y, s);
  else
    add_listed_rows<uint64_t>(x, base, y, s);
}

// -- single elements --

template <class T>
struct Gathered {
  const T* x;
  T* y;
  Picks s;

  template <class Index>
  __device__ void at(Index i) const {
    const Index inner = static_cast<Index>(s.inner), row = i / inner;
    const Index o = row / static_cast<Index>(s.m);
    y[i] = x[(int64_t(o) * s.n + s.index[i]) * s.inner + (i - row * inner)];
  }
};

template <class T>
void gather(const T* x, T* y, const Picks& s) {
  each(s.outer * s.m * s.inner, 0, Gathered<T>{x, y, s});
}

// Where pick i goes, or `none`.
__device__ inline int64_t goes_to(const Picks& s, int64_t i, int64_t none) {
  const int64_t pick = s.index[i], o = i / (s.m * s.inner);
  return pick < 0 ? none : (o * s.n + pick) * s.inner + i % s.inner;
}

// Of the picks of one place the last wins: numbers, whose maximum has no order.
__global__ void __launch_bounds__(kBlock) last_kernel(Picks s, unsigned long long* last) {
  for (int64_t i = grid_thread(); i < s.outer * s.m * s.inner; i += grid_threads()) {
    const int64_t to = goes_to(s, i, -1);
    if (to >= 0) atomicMax(last + to, static_cast<unsigned long long>(i) + 1);
  }
}
template <class T>
__global__ void __launch_bounds__(kBlock)
    put_last_kernel(const T* x, const T* source, int64_t step, T* y, int64_t n,
                    const unsigned long long* last) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads())
    y[i] = last[i] ? source[static_cast<int64_t>(last[i] - 1) * step] : x ? x[i] : T(0);
}

// Picks from `first` on.
template <class K>
__global__ void __launch_bounds__(kBlock)
    pick_pairs_kernel(Picks s, int64_t first, int64_t count, int64_t places, Pairs<K> to) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    to.key[i] = static_cast<K>(goes_to(s, first + i, places));
    to.number[i] = static_cast<uint32_t>(i);
  }
}
// The first pick of each place adds up all of them.
template <class T, class K>
__global__ void __launch_bounds__(kBlock)
    put_sums_kernel(const T* source, int64_t step, T* y, int64_t count, int64_t places,
                    Pairs<K> from) {
  for (int64_t e = grid_thread(); e < count; e += grid_threads()) {
    const K to = from.key[e];
    if (to == static_cast<K>(places) || (e > 0 && from.key[e - 1] == to)) continue;
    int64_t end = e + 1;
    if (end < count && from.key[end] == to)
      end = e + first_from(from.key + e, count - e, static_cast<K>(to + 1));
    T sum = y[to];
#pragma unroll 4
    for (int64_t i = e; i < end; ++i) sum += source[int64_t(from.number[i]) * step];
    y[to] = sum;
  }
}
// K: of a place.
template <class K, class T>
void add_picks(const T* source, int64_t step, T* y, const Picks& s, int64_t places) {
  constexpr int64_t kMost = int64_t(1) << 30;  // at a time
  const int64_t picks = s.outer * s.m * s.inner;
  for (int64_t first = 0; first < picks; first += kMost) {
    const int64_t count = smaller(kMost, picks - first);
    RadixRoom<K> room(1, count);
    launch(pick_pairs_kernel<K>, Size{blocks_for(count, kBlock), kBlock}, s, first, count, places,
           room.from);
    radix_sort(room, 1, count, bits_below(places + 1));
    launch(put_sums_kernel<T, K>, Size{blocks_for(count, kBlock), kBlock}, source + first * step,
           step, y, count, places, room.from);
  }
}

// Several picks may go to one place: they are put, or added, in their order.
template <class T>
void scatter(const T* x, const T* source, int64_t step, T* y, bool add, const Picks& s) {
  const int64_t places = s.outer * s.n * s.inner, picks = s.outer * s.m * s.inner;
  if (places == 0) return;
  const size_t bytes = static_cast<size_t>(places) * sizeof(T);
  if (!add) {
    const Scratch<unsigned long long> last(places);
    device_clear(last, static_cast<size_t>(places) * sizeof(unsigned long long));
    launch(last_kernel, Size{blocks_for(picks, kBlock), kBlock}, s,
           static_cast<unsigned long long*>(last));
    launch(put_last_kernel<T>, Size{blocks_for(places, kBlock), kBlock}, x, source, step, y, places,
           static_cast<const unsigned long long*>(last));
    return;
  }
  if (x && x != y)
    device_copy(y, x, bytes);
  else if (!x)
    device_clear(y, bytes);
  if (places < (int64_t(1) << 32) - 1)
    add_picks<uint32_t>(source, step, y, s, places);
  else
    add_picks<uint64_t>(source, step, y, s, places);
}

}  // namespace

DLCORE_CUDA_EXPORT(take_rows)
DLCORE_CUDA_EXPORT(add_rows)
DLCORE_CUDA_EXPORT(gather)
DLCORE_CUDA_EXPORT(scatter)

}  // namespace DLCORE_ISA
}  // namespace dlcore
