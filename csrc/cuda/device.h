// What every kernel file of csrc/cuda begins with: the words of CUDA, from nvcc or, on a machine
// without a GPU, from the shim; launches; packs of 16 bytes; mathematics.
//
// A kernel is a __global__ function template in an unnamed namespace; beside it stands the function
// of the table, which has the signature of kernels/<family>.h, works out the grid from the shape
// alone and launches on the current stream. It never waits for the device.
#pragma once

#include <cstdint>

#include "cuda/context.h"
#include "kernels/signature.h"

#ifdef __CUDACC__
#  include <cuda_runtime.h>
#else
#  include "cuda/shim/cuda.h"
#endif

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kWarp = 32, kBlock = 256;

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
__host__ __device__ constexpr int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
__host__ __device__ constexpr int64_t larger(int64_t a, int64_t b) {
  return a < b ? b : a;
}

// -- launches --

// Blocks for `items`, of which a block does `each` at a time: at most what fills an H200 a few
// times over, beyond which the threads of a grid go round.
constexpr int64_t kMostBlocks = 132 * 16;
inline unsigned blocks_for(int64_t items, int64_t each) {
  return static_cast<unsigned>(smaller(ceil_div(items, each), kMostBlocks));
}

struct Size {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic
};

#ifdef __CUDACC__
template <class... P, class... A>
void launch(void (*kernel)(P...), const Size& size, const A&... given) {
  if (!size.grid.x || !size.grid.y || !size.grid.z) return;
  [&](P... arguments) {
    void* places[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
    const unsigned grid[] = {size.grid.x, size.grid.y, size.grid.z};
    const unsigned block[] = {size.block.x, size.block.y, size.block.z};
    launch_kernel(reinterpret_cast<const void*>(kernel), grid, block, size.shared_bytes, places);
  }(given...);
}
#else
template <class... P, class... A>
void launch(void (*kernel)(P...), const Size& size, const A&... given) {
  if (!size.grid.x || !size.grid.y || !size.grid.z) return;
  const auto call = [&] { kernel(P(given)...); };
  using Call = decltype(call);
  shim::run(
      current_op(), size.grid, size.block, size.shared_bytes,
      [](void* f) { (*static_cast<Call*>(f))(); },
      const_cast<void*>(static_cast<const void*>(&call)));
}
#endif

// The block's dynamic shared memory.
template <class V>
__device__ V* dynamic_shared() {
#ifdef __CUDACC__
  extern __shared__ __align__(16) unsigned char dlcore_dynamic[];
  return reinterpret_cast<V*>(dlcore_dynamic);
#else
  return reinterpret_cast<V*>(shim::self->dynamic);
#endif
}

// This thread's number in the grid, and how many there are.
__device__ inline int64_t grid_thread() {
  return int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t grid_threads() {
  return int64_t(gridDim.x) * blockDim.x;
}

// -- packs: kWidth numbers that one instruction loads --

template <class T, int kWidth>
struct alignas(kWidth * sizeof(T)) Pack {
  T v[kWidth];
};
template <class T>
constexpr int kFull = 16 / static_cast<int>(sizeof(T));

template <int kWidth, class T>
__device__ Pack<T, kWidth> load(const T* at) {
  return *reinterpret_cast<const Pack<T, kWidth>*>(at);
}
template <class T, int kWidth>
__device__ void store(T* at, const Pack<T, kWidth>& pack) {
  *reinterpret_cast<Pack<T, kWidth>*>(at) = pack;
}
template <class... T>
bool aligned(const T*... at) {
  return ((reinterpret_cast<uintptr_t>(at) % 16 == 0) && ...);
}

}  // namespace

// -- the table --

// Ends a file of csrc/cuda, as DLCORE_EXPORT one of csrc/cpu; errors name the kernel.
template <class Signature>
struct Entry;
template <class... A>
struct Entry<void(A...)> {
  template <class Name, void (*kFunction)(A...)>
  static void call(A... arguments) {
    const OpScope scope(Name::text);
    kFunction(arguments...);
    finish_op();
  }
};
#define DLCORE_CUDA_EXPORT(kernel)                                            \
  struct kernel##_name {                                                      \
    static constexpr const char* text = #kernel;                              \
  };                                                                          \
  extern kernel##_signature<float>* const kernel##_f32 =                      \
      &Entry<kernel##_signature<float>>::call<kernel##_name, &kernel<float>>; \
  extern kernel##_signature<double>* const kernel##_f64 =                     \
      &Entry<kernel##_signature<double>>::call<kernel##_name, &kernel<double>>;

}  // namespace DLCORE_ISA
}  // namespace dlcore
