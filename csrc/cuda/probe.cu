// What this machine can do at most, for the fractions that the benchmarks print: multiply-adds that
// never leave the registers, and plain passes over memory.

#include "cuda/map.h"
#include "cuda/math.h"
#include "cuda/reduce.h"
#include "kernels/probe.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kChains = 8, kSteps = 4096;  // of a thread
constexpr int64_t kPiece = int64_t(1) << 14, kSinkStep = 16;

template <class T>
__global__ void __launch_bounds__(kBlock) fma_kernel(T* sink, T scale, T shift) {
  T sum[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum[i] = static_cast<T>(i);
  for (int step = 0; step < kSteps; ++step)
#pragma unroll
    for (T& s : sum) s = math::fma(s, scale, shift);
  T all = sum[0];
#pragma unroll
  for (int i = 1; i < kChains; ++i) all += sum[i];
  all = block_fold<kBlock>(all, Plus());
  if (threadIdx.x == 0) sink[blockIdx.x * kSinkStep] = all;
}

// A block runs kBlock * kSteps * kChains multiply-adds for each chunk; flops[0], the host's, says
// how many operations that was. sink has kSinkStep values for each chunk.
template <class T>
void probe_fma(T* sink, double* flops, int64_t chunks) {
  launch(fma_kernel<T>, Size{static_cast<unsigned>(chunks), kBlock}, sink, T(0.5), T(1));
  flops[0] = 2.0 * static_cast<double>(chunks * kBlock * kSteps * kChains);
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock) read_kernel(const T* x, T* sink, int64_t n) {
  for (int64_t piece = blockIdx.x; piece * kPiece < n; piece += gridDim.x) {
    const int64_t end = smaller((piece + 1) * kPiece, n);
    T sum = T(0);
    for (int64_t i = piece * kPiece + threadIdx.x * kWidth; i + kWidth <= end;
         i += kBlock * kWidth) {
      const auto part = load<kWidth>(x + i);
#pragma unroll
      for (T v : part.v) sum += v;
    }
    sum = block_fold<kBlock>(sum, Plus());
    if (threadIdx.x == 0) sink[piece] = sum;
  }
}

// sink has one value per piece of kPiece elements.
template <class T>
void probe_read(const T* x, T* sink, int64_t n) {
  const Size size{blocks_for(n, kPiece), kBlock};
  if (aligned(x))
    launch(read_kernel<T, kFull<T>>, size, x, sink, n);
  else
    launch(read_kernel<T, 1>, size, x, sink, n);
}

template <class T>
void probe_copy(const T* x, T* y, int64_t n, bool) {
  map<T>(y, n, [] __device__(T v) { return v; }, x);
}

}  // namespace

DLCORE_CUDA_EXPORT(probe_fma)
DLCORE_CUDA_EXPORT(probe_read)
DLCORE_CUDA_EXPORT(probe_copy)

}  // namespace DLCORE_ISA
}  // namespace dlcore
