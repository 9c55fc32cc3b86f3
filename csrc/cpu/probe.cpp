// What this machine can do at most, for the fractions that the benchmarks print: multiply-adds
// that never leave the registers, and plain passes over memory.

#include "kernels/probe.h"

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kChains =
    12;  // hides 4 cycles of latency on 2 ports with some to spare, fits 16 registers
constexpr int64_t kSteps =
    20000;  // a chunk of some 30 to 60 us: threads that start late cost little
constexpr int64_t kPiece = int64_t(1)
                           << 14;  // elements of a memory pass that a thread takes at a time

// Runs chunks * kSteps * kChains vector multiply-adds; flops[0] says how many operations that was.
// sink has kLanes values or more per chunk (16 suffice for any target).
template <class T>
void probe_fma(T* sink, double* flops, int64_t chunks) {
  parallel_for(chunks, 1, [=](int64_t begin, int64_t) {
    Vec<T> sum[kChains];
    for (int i = 0; i < kChains; ++i) sum[i] = splat<T>(T(i));
    Vec<T> scale = splat<T>(T(0.5)), shift = splat<T>(T(1));
    for (int64_t step = 0; step < kSteps; ++step) {
      __asm__ volatile("" : DLCORE_REGISTER(scale), DLCORE_REGISTER(shift));
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * scale + shift;
    }
    Vec<T> all = sum[0];
    for (int i = 1; i < kChains; ++i) all += sum[i];
    store<T>(sink + begin * 16, all);
  });
  flops[0] = 2.0 * static_cast<double>(chunks * kSteps * kChains * kLanes<T>);
}

// sink has one value per piece of kPiece elements.
template <class T>
void probe_read(const T* x, T* sink, int64_t n) {
  parallel_for(n, kPiece, [=](int64_t begin, int64_t end) {
    Vec<T> sum[4] = {};
    int64_t i = begin;
    for (; i + 4 * kLanes<T> <= end; i += 4 * kLanes<T>)
      for (int j = 0; j < 4; ++j) sum[j] += load<T>(x + i + j * kLanes<T>);
    sink[begin / kPiece] = hsum<T>((sum[0] + sum[1]) + (sum[2] + sum[3]));
  });
}

template <class T>
void probe_copy(const T* x, T* y, int64_t n, bool past_caches) {
  parallel_for(n, kPiece, [=](int64_t begin, int64_t end) {
    map_range<T>(x + begin, y + begin, end - begin, past_caches, [](Vec<T> v) { return v; });
  });
}

}  // namespace

DLCORE_EXPORT(probe_fma)
DLCORE_EXPORT(probe_read)
DLCORE_EXPORT(probe_copy)

}  // namespace DLCORE_ISA
}  // namespace dlcore
