// Losses of each element with their gradients: one loop, into which a formula is put as a function
// of vectors. It works on blocks that stay in L1: the formula leaves the block's losses and slopes
// there, and one code for all of them weighs, adds up and stores.
//
// Bound by memory or by log and exp. With -O2 and without a copy for AVX-512: the wheel is small.

#include "cpu/loss_formulas.h"
#include "cpu/softmax.h"
#include "cpu/sum_chunks.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChunk = int64_t(1) << 14;  // elements
template <class T>
constexpr int64_t kBlock = 2048 / static_cast<int64_t>(sizeof(T));

// What a chunk works in.
template <class T>
struct Room {
  alignas(64) T value[kBlock<T>], slope[3][kBlock<T>], factor[kBlock<T>], input[3][kBlock<T>];
};

// The block's inputs in whole vectors: a part of one is copied and filled up.
template <class T>
DLCORE_INLINE const T* whole(const T* p, int64_t n, T* room) {
  if (!p || n % kLanes<T> == 0) return p;
  std::memcpy(room, p, static_cast<size_t>(n) * sizeof(T));
  for (int64_t i = n; i < round_up(n, kLanes<T>); ++i) room[i] = T(1);
  return room;
}

// sum of value(i, lanes).
template <class T, class Value>
DLCORE_INLINE double block_sum(int64_t n, const Value& value) {
  return static_cast<double>(
      hsum<T>(fold_row<T>(n, Vec<T>{}, value, [](Vec<T> acc, Vec<T> v) { return acc + v; })));
}

template <class T>
void element_loss(const ElementLoss<T>& s, const T* dy, int64_t dy_step, T scale, T* y,
                  double* total, T* const* slopes) {
  const bool past_caches = goes_past_caches<T>(s.n);
  const bool values = y || total;
  const auto times = [](Vec<T> a, Vec<T> b) { return a * b; };
  const bool gradients = slopes[0] || slopes[1] || slopes[2];
  // The mean of squares alone takes half the time without a block between.
  const bool plain = s.formula == LossFormula::squares && !y && !gradients && !s.weight;
  const auto block = [=, &s](int64_t at, int64_t n, Room<T>& room, Sum& sum) {
    if (plain) {
      const T *const x = s.x + at, *const target = s.target + at;
      sum.add(s.number[0] * block_sum<T>(n, [=](int64_t i, int64_t lanes) {
                const Vec<T> d =
                    load_lanes<T>(x + i, lanes, T(0)) - load_lanes<T>(target + i, lanes, T(0));
                return d * d;
              }));
      return;
    }
    const auto input = [=, &room](const T* p, int i) {
      return whole<T>(p ? p + at : p, n, room.input[i]);
    };
    const auto asked = [=, &room](int i) { return slopes[i] ? room.slope[i] : nullptr; };
    const Block<T> b{input(s.x, 0),
                     input(s.target, 1),
                     input(s.other, 2),
                     values ? room.value : nullptr,
                     {asked(0), asked(1), asked(2)},
                     round_up(n, kLanes<T>)};
    run_formula<T>(s.formula, b, s.number);
    const T* const weight = s.weight ? s.weight + at : nullptr;
    if (values) {
      if (weight)
        map_unfenced<T>(room.value, n, false, times, Each<T>{room.value}, Each<T>{weight});
      const T* const value = room.value;
      sum.add(block_sum<T>(
          n, [=](int64_t i, int64_t lanes) { return load_lanes<T>(value + i, lanes, T(0)); }));
      if (y) map_unfenced<T>(y + at, n, past_caches, [](Vec<T> v) { return v; }, Each<T>{value});
    }
    if (!gradients) return;
    const T every = scale * (dy_step ? T(1) : *dy);
    const bool even = !weight && !dy_step;
    if (!even) {
      const auto scaled = [=](Vec<T> a, Vec<T> b) { return a * b * every; };
      const Same<T> one{splat<T>(T(1))};
      if (!weight)
        map_unfenced<T>(room.factor, n, false, scaled, Each<T>{dy + at}, one);
      else if (!dy_step)
        map_unfenced<T>(room.factor, n, false, scaled, Each<T>{weight}, one);
      else
        map_unfenced<T>(room.factor, n, false, scaled, Each<T>{weight}, Each<T>{dy + at});
    }
    for (int i = 0; i < 3; ++i) {
      if (!slopes[i]) continue;
      if (even)
        map_unfenced<T>(slopes[i] + at, n, past_caches, times, Each<T>{room.slope[i]},
                        Same<T>{splat<T>(every)});
      else
        map_unfenced<T>(slopes[i] + at, n, past_caches, times, Each<T>{room.slope[i]},
                        Each<T>{room.factor});
    }
  };
  double sum;
  sum_chunks<1>(s.n, kChunk, total ? total : &sum, [=](int64_t begin, int64_t end, Sum* sums) {
    Room<T> room;
    for (int64_t at = begin; at < end; at += kBlock<T>)
      block(at, smaller(kBlock<T>, end - at), room, sums[0]);
    if (past_caches) stream_fence();
  });
}

}  // namespace

DLCORE_EXPORT(element_loss)

}  // namespace DLCORE_ISA
}  // namespace dlcore
