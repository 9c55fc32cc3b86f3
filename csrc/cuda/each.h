// One thread to an output: body.at(i) for all i below n. What each is made of it gathers, in a
// fixed order, so that nothing is added up by two threads.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Index: unsigned where all sizes are below 2^31, as 64-bit division is slow. kBlocks: of a
// multiprocessor at once; with one a thread may have twice the registers.
template <int kBlocks, class Index, class Body>
__global__ void __launch_bounds__(kBlock, kBlocks)
    each_kernel(Index n, const __grid_constant__ Body body) {
  for (Index i = static_cast<Index>(grid_thread()); i < n; i += static_cast<Index>(grid_threads()))
    body.at(i);
}

// `largest`: of the arrays that the body reads or writes, in elements.
template <int kBlocks = 2, class Body>
void each(int64_t n, int64_t largest, const Body& body) {
  const Size size{blocks_for(n, kBlock), kBlock};
  if (larger(n, largest) < int64_t(1) << 31)
    launch(each_kernel<kBlocks, uint32_t, Body>, size, static_cast<uint32_t>(n), body);
  else
    launch(each_kernel<kBlocks, int64_t, Body>, size, n, body);
}

// i's places along up to four axes, of which the last is the innermost; the first takes the rest.
template <class Index>
struct Places {
  Index outer, d, h, w;
  __device__ Places(Index i, int64_t depth, int64_t height, int64_t width) {
    const Index rows = i / static_cast<Index>(width);
    w = i - rows * static_cast<Index>(width);
    const Index slices = rows / static_cast<Index>(height);
    h = rows - slices * static_cast<Index>(height);
    outer = slices / static_cast<Index>(depth);
    d = slices - outer * static_cast<Index>(depth);
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
