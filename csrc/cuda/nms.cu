// Non-maximum suppression: greedy, exact.
//
// Boxes are sorted by falling score. Those of a tile that follow one another know which of their
// tile overlap them too much, from one pass over all tiles. Then, tile by tile: which of the tile
// stay is found by looking, all at once, whether a box that stays overlaps, until nothing changes;
// and those that stay are compared with all boxes behind the tile. No memory for all pairs.
//
// Compiled without contraction to FMAs: inter / (area + area - inter) has the CPU's bits, and so
// the same boxes are kept.

#include "cuda/boxes.h"
#include "cuda/compact.h"
#include "cuda/each.h"
#include "cuda/order.h"
#include "kernels/nms.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kTile = 1024, kWords = kTile / 32;
constexpr int kChunk = 128;  // kept boxes that a thread compares its box with

template <class T>
struct MakeKeys {
  const T* scores;
  Pairs<Key<T>> items;
  template <class Index>
  __device__ void at(Index i) const {
    items.key[i] = falling_key(scores[i]);
    items.number[i] = static_cast<uint32_t>(i);
  }
};

// A box of one class. Without a positive width, height and area (NaN is not), no overlap exceeds
// any threshold; nor with an infinite area: such a one stands as one that overlaps nothing.
template <class T>
struct Candidate {
  T x1, y1, x2, y2, area;
  int32_t group;
};

template <class T>
struct Gather {
  const T* boxes;
  const int64_t* classes;
  const uint32_t* order;
  Candidate<T>* to;
  bool* gone;
  template <class Index>
  __device__ void at(Index i) const {
    const int64_t from = order[i];
    const Box<T> b = load_box(boxes, from);
    const T area = b.area();
    const bool overlaps = b.x2 > b.x1 && b.y2 > b.y1 && area > T(0) && area < kInf<T>;
    const int32_t group = classes ? static_cast<int32_t>(classes[from]) : 0;
    to[i] = overlaps ? Candidate<T>{b.x1, b.y1, b.x2, b.y2, area, group}
                     : Candidate<T>{kInf<T>, T(0), -kInf<T>, T(0), T(0), group};
    gone[i] = false;
  }
};

template <class T>
struct Threshold {
  T exact;  // suppressed: inter / union > exact
  T below;  // then inter >= below * union, however the two were rounded

  explicit Threshold(T t) : exact(t) {
    const double eps = sizeof(T) == 4 ? 0x1p-23 : 0x1p-52;
    below = t > 0            ? static_cast<T>(static_cast<double>(t) * (1 - 8 * eps))
            : sizeof(T) == 4 ? static_cast<T>(0x1p-149)
                             : static_cast<T>(0x0.0000000000001p-1022);
  }
  __device__ bool exceeded(const Candidate<T>& a, const Candidate<T>& b) const {
    const T w = lower_of(a.x2, b.x2) - upper_of(a.x1, b.x1);
    const T h = lower_of(a.y2, b.y2) - upper_of(a.y1, b.y1);
    const T inter = upper_of(w, T(0)) * h;  // h < 0 makes it negative: no
    const T whole = (a.area + b.area) - inter;
    return inter >= whole * below && a.group == b.group && inter / whole > exact;
  }
};

// overlapped[word * n + i]: which boxes of i's tile before i overlap it too much.
template <class T>
struct WithinTiles {
  const Candidate<T>* boxes;
  uint32_t* overlapped;
  int64_t n;
  Threshold<T> threshold;
  template <class Index>
  __device__ void at(Index place) const {  // (word, i)
    const int64_t word = place / static_cast<Index>(n), i = place - word * n;
    const int64_t first = i / kTile * kTile + word * 32, end = smaller(first + 32, i);
    const Candidate<T> mine = boxes[i];
    uint32_t bits = 0;
    for (int64_t j = first; j < end; ++j)
      bits |= uint32_t(threshold.exceeded(boxes[j], mine)) << (j - first);
    overlapped[place] = bits;
  }
};

// Which boxes of a tile stay, of those not gone; they are listed in `kept`.
template <class T>
__global__ void __launch_bounds__(kTile)
    resolve_tile(const Candidate<T>* boxes, const uint32_t* overlapped, int64_t n, int64_t tile,
                 bool* gone, Candidate<T>* kept, int* kept_count) {
  __shared__ uint32_t stay[kWords];
  __shared__ int before[kWords + 1], changed;
  const int t = static_cast<int>(threadIdx.x), word = t / 32, bit = t % 32;
  const int64_t i = tile * kTile + t;
  const bool candidate = i < n && !gone[i];
  bool stays = candidate;
  unsigned votes = __ballot_sync(0xffffffffu, stays);
  if (bit == 0) stay[word] = votes;
  __syncthreads();
  for (bool more = true; more;) {
    if (t == 0) changed = 0;
    bool hit = false;
    if (candidate)
      for (int w = 0; w <= word && !hit; ++w) hit = (overlapped[w * n + i] & stay[w]) != 0;
    stays = candidate && !hit;
    votes = __ballot_sync(0xffffffffu, stays);
    __syncthreads();
    if (bit == 0 && votes != stay[word]) {
      stay[word] = votes;
      changed = 1;
    }
    __syncthreads();
    more = changed != 0;
    __syncthreads();
  }
  if (candidate && !stays) gone[i] = true;
  // One that overlaps nothing need not be compared.
  const bool lists = stays && boxes[i].area > T(0);
  votes = __ballot_sync(0xffffffffu, lists);
  if (bit == 0) before[word] = __popc(votes);
  __syncthreads();
  if (t == 0) {
    int sum = 0;
    for (int w = 0; w <= kWords; ++w) {
      const int here = w < kWords ? before[w] : 0;
      before[w] = sum;
      sum += here;
    }
    *kept_count = before[kWords];
  }
  __syncthreads();
  if (lists) kept[before[word] + __popc(votes & ((1u << bit) - 1))] = boxes[i];
}

// Boxes behind a tile that one of a chunk of its kept ones overlaps too much are gone.
template <class T>
__global__ void __launch_bounds__(kBlock, 2)
    suppress_behind(const Candidate<T>* boxes, int64_t n, int64_t begin, const Candidate<T>* kept,
                    const int* kept_count, Threshold<T> threshold, bool* gone) {
  const int first = static_cast<int>(blockIdx.y) * kChunk;
  const int end = static_cast<int>(smaller(first + kChunk, *kept_count));
  for (int64_t i = begin + grid_thread(); i < n; i += grid_threads()) {
    if (gone[i]) continue;
    const Candidate<T> mine = boxes[i];
    bool hit = false;
    for (int j = first; j < end && !hit; ++j) hit = threshold.exceeded(kept[j], mine);
    if (hit) gone[i] = true;
  }
}

struct Stays {
  const bool* gone;
  const uint32_t* order;
  int64_t* keep;
  __device__ bool keeps(int64_t i) const { return !gone[i]; }
  __device__ void to(int64_t place, int64_t i) const { keep[place] = order[i]; }
};

// keep = the indices of the boxes that no kept box of a higher score (and of the same class, when
// there are classes) overlaps by more than `threshold`; `count` is their number. n < 2^31.
template <class T>
void nms(const T* boxes, const T* scores, const int64_t* classes, int64_t* keep, int64_t* count,
         int64_t n, T threshold) {
  RadixRoom<Key<T>> room(1, n);
  each(n, n, MakeKeys<T>{scores, room.from});
  radix_sort(room, 1, n, 8 * int(sizeof(T)));
  const uint32_t* const order = room.from.number;
  const Scratch<Candidate<T>> ranked(n), kept(kTile);
  const Scratch<uint32_t> overlapped(kWords * n);
  const Scratch<bool> gone(n);
  const Scratch<int> kept_count(1);
  const Threshold<T> t(threshold);
  each(n, 4 * n, Gather<T>{boxes, classes, order, ranked, gone});
  each(kWords * n, kWords * n, WithinTiles<T>{ranked, overlapped, n, t});
  for (int64_t tile = 0; tile * kTile < n; ++tile) {
    launch(resolve_tile<T>, Size{1, kTile}, ranked, overlapped, n, tile, gone, kept, kept_count);
    const int64_t begin = (tile + 1) * kTile;
    if (begin < n)
      launch(suppress_behind<T>, Size{dim3(blocks_for(n - begin, kBlock), kTile / kChunk), kBlock},
             ranked, n, begin, kept, kept_count, t, gone);
  }
  compact(n, Stays{gone, order, keep}, count);
}

}  // namespace

DLCORE_CUDA_EXPORT(nms)

}  // namespace DLCORE_ISA
}  // namespace dlcore
