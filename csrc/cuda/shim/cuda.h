// The words of CUDA that kernels use, in plain C++: see fibers.h. What is missing here a kernel may
// not use, or brings with it.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/shim/fibers.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __constant__ const
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// A block runs on one thread of the CPU: its fibers share what is that thread's own.
#define __shared__ static thread_local

#define threadIdx (::dlcore::shim::self->thread)
#define blockIdx (::dlcore::shim::self->block)
#define blockDim (::dlcore::shim::self->block_size)
#define gridDim (::dlcore::shim::self->grid_size)

// Where the call stands, for the report of a wait without end.
#define DLCORE_SHIM_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(DLCORE_SHIM_PLACE) {
  dlcore::shim::block_barrier({"__syncthreads", file, line});
}

namespace dlcore::shim {

// All lanes of `mask` bring a value; change(values, mask) makes of them what each takes away.
template <class V, class Change>
V exchange(unsigned mask, V value, Change change, const Place& place) {
  static_assert(std::is_trivially_copyable_v<V> && sizeof(V) <= kMostBytes);
  warp_exchange(
      mask, &value, sizeof(V),
      [](void* context, Value* values, unsigned lanes) {
        V all[kWarpSize];
        for (unsigned i = 0; i < kWarpSize; ++i)
          if (lanes >> i & 1) std::memcpy(&all[i], values[i].byte, sizeof(V));
        (*static_cast<Change*>(context))(all, lanes);
        for (unsigned i = 0; i < kWarpSize; ++i)
          if (lanes >> i & 1) std::memcpy(values[i].byte, &all[i], sizeof(V));
      },
      &change, place);
  return value;
}

template <class V>
struct Sent {
  V value;
  unsigned from;  // the lane whose value this one wants
};
template <class V>
V shuffle(unsigned mask, V value, unsigned from, const Place& place) {
  return exchange(
             mask, Sent<V>{value, from},
             [](Sent<V>* all, unsigned lanes) {
               Sent<V> got[kWarpSize];
               for (unsigned i = 0; i < kWarpSize; ++i) {
                 if (!(lanes >> i & 1)) continue;
                 if (lanes >> all[i].from & 1)
                   got[i] = all[all[i].from];
                 else  // undefined: here NaN
                   std::memset(static_cast<void*>(&got[i]), 0xff, sizeof got[i]);
               }
               for (unsigned i = 0; i < kWarpSize; ++i)
                 if (lanes >> i & 1) all[i] = got[i];
             },
             place)
      .value;
}
inline unsigned lane() {
  return self->number % kWarpSize;
}
inline unsigned vote(unsigned mask, bool yes, const Place& place) {
  return exchange(
      mask, static_cast<unsigned>(yes),
      [](unsigned* all, unsigned lanes) {
        unsigned ballot = 0;
        for (unsigned i = 0; i < kWarpSize; ++i)
          if (lanes >> i & 1) ballot |= all[i] << i;
        for (unsigned i = 0; i < kWarpSize; ++i) all[i] = ballot;
      },
      place);
}

}  // namespace dlcore::shim

inline void __syncwarp(unsigned mask = 0xffffffffu, DLCORE_SHIM_PLACE) {
  dlcore::shim::vote(mask, true, {"__syncwarp", file, line});
}
template <class V>
V __shfl_sync(unsigned mask, V value, int from, int width = 32, DLCORE_SHIM_PLACE) {
  const unsigned segment = dlcore::shim::lane() & ~(static_cast<unsigned>(width) - 1);
  return dlcore::shim::shuffle(mask, value, segment + (static_cast<unsigned>(from) & (width - 1)),
                               {"__shfl_sync", file, line});
}
template <class V>
V __shfl_xor_sync(unsigned mask, V value, int lanes, int = 32, DLCORE_SHIM_PLACE) {
  return dlcore::shim::shuffle(mask, value, dlcore::shim::lane() ^ static_cast<unsigned>(lanes),
                               {"__shfl_xor_sync", file, line});
}
template <class V>
V __shfl_down_sync(unsigned mask, V value, unsigned delta, int width = 32, DLCORE_SHIM_PLACE) {
  const unsigned lane = dlcore::shim::lane(), at = lane % static_cast<unsigned>(width) + delta;
  return dlcore::shim::shuffle(mask, value, at < static_cast<unsigned>(width) ? lane + delta : lane,
                               {"__shfl_down_sync", file, line});
}
template <class V>
V __shfl_up_sync(unsigned mask, V value, unsigned delta, int width = 32, DLCORE_SHIM_PLACE) {
  const unsigned lane = dlcore::shim::lane();
  return dlcore::shim::shuffle(mask, value,
                               lane % static_cast<unsigned>(width) >= delta ? lane - delta : lane,
                               {"__shfl_up_sync", file, line});
}
inline unsigned __ballot_sync(unsigned mask, int yes, DLCORE_SHIM_PLACE) {
  return dlcore::shim::vote(mask, yes != 0, {"__ballot_sync", file, line});
}
inline int __any_sync(unsigned mask, int yes, DLCORE_SHIM_PLACE) {
  return dlcore::shim::vote(mask, yes != 0, {"__any_sync", file, line}) != 0;
}
inline int __all_sync(unsigned mask, int yes, DLCORE_SHIM_PLACE) {
  return dlcore::shim::vote(mask, yes != 0, {"__all_sync", file, line}) == mask;
}

// -- atomics: blocks run on several threads of the CPU --

template <class V, class F>
V dlcore_shim_atomic(V* at, F change) {
  V old, wanted;
  __atomic_load(at, &old, __ATOMIC_RELAXED);
  do wanted = change(old);
  while (!__atomic_compare_exchange(at, &old, &wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  return old;
}
template <class V>
V atomicAdd(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return static_cast<V>(old + v); });
}
template <class V>
V atomicMax(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return old < v ? v : old; });
}
template <class V>
V atomicMin(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return v < old ? v : old; });
}
template <class V>
V atomicOr(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return old | v; });
}
template <class V>
V atomicAnd(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return old & v; });
}
template <class V>
V atomicExch(V* at, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V) { return v; });
}
template <class V>
V atomicCAS(V* at, std::type_identity_t<V> expected, std::type_identity_t<V> v) {
  return dlcore_shim_atomic(at, [=](V old) { return old == expected ? v : old; });
}

// -- bits --

inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(uint64_t(a) * b >> 32);
}
inline int __float_as_int(float x) {
  return __builtin_bit_cast(int, x);
}
inline float __int_as_float(int x) {
  return __builtin_bit_cast(float, x);
}
inline long long __double_as_longlong(double x) {
  return __builtin_bit_cast(long long, x);
}
inline double __longlong_as_double(long long x) {
  return __builtin_bit_cast(double, x);
}
template <class V>
V __ldg(const V* at) {
  return *at;
}
