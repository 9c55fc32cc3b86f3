// shim_check: what kernels may rely on when the shim runs them on the CPU, and what it reports.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/reduce.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

int failures = 0;

void expect(bool right, const char* what) {
  if (right) return;
  ++failures;
  std::printf("FAILED %s\n", what);
}

// What a launch reports begins with `start` and has `part`.
template <class F>
void expect_report(const char* what, const char* part, F&& f) {
  try {
    f();
  } catch (const std::logic_error& error) {
    const std::string message = error.what();
    if (message.find("test: ") != 0 || message.find(part) == std::string::npos) {
      ++failures;
      std::printf("FAILED %s: \"%s\" lacks \"%s\"\n", what, error.what(), part);
    }
    return;
  }
  expect(false, what);
}

__global__ void places(int64_t* y) {
  y[grid_thread()] = blockIdx.x * 1000 + threadIdx.x;
}

__global__ void reversed(int* y) {
  __shared__ int held[64];
  held[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = held[63 - threadIdx.x];
}

__global__ void lacks_a_barrier(int* y) {
  __shared__ int held;
  if (threadIdx.x == 0) held = 7;
  y[threadIdx.x] = held;
  __syncthreads();
  if (threadIdx.x == 0) held = 0;
}

__global__ void folds(double* y) {
  for (int round = 0; round < 3; ++round) {
    const double sum = block_fold<256>(1.0 * threadIdx.x + round, Plus());
    if (threadIdx.x == 17) y[3 * blockIdx.x + round] = sum;
  }
}

__global__ void lanes(int* y) {
  const int lane = static_cast<int>(threadIdx.x);
  y[lane] = __shfl_sync(kAllLanes, lane, 5);
  y[32 + lane] = __shfl_down_sync(kAllLanes, lane, 3);
  y[64 + lane] = __shfl_up_sync(kAllLanes, lane, 3);
  y[96 + lane] = __shfl_xor_sync(kAllLanes, lane, 1);
  y[128 + lane] = static_cast<int>(__ballot_sync(kAllLanes, lane % 2));
  if (lane < 16) y[160 + lane] = __shfl_xor_sync(0xffffu, lane, 8);
  y[192 + lane] = __shfl_sync(kAllLanes, lane, 1, 8);
}

__global__ void counts(int* y, float* z) {
  atomicAdd(y, 1);
  atomicMax(y + 1, static_cast<int>(grid_thread()));
  atomicAdd(z, 1.0f);
}

__global__ void some_leave() {
  if (threadIdx.x < 3) return;
  __syncthreads();
}

__global__ void two_barriers() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void half_a_warp() {
  if (threadIdx.x % 32 < 16) __syncwarp();
  __syncthreads();
}

__global__ void fills(float* y, int n) {
  float* held = dynamic_shared<float>();
  if (threadIdx.x < static_cast<unsigned>(n)) y[threadIdx.x] = held[threadIdx.x];
}

void check_all() {
  std::vector<int64_t> at(5 * 96);
  launch(places, {5, 96}, at.data());
  bool right = true;
  for (int64_t i = 0; i < 5 * 96; ++i)
    right = right && at[static_cast<size_t>(i)] == i / 96 * 1000 + i % 96;
  expect(right, "places");

  std::vector<int> y(256);
  launch(reversed, {1, 64}, y.data());
  expect(y[0] == 63 && y[63] == 0 && y[40] == 23, "a barrier and shared memory");

  std::vector<double> sums(6);
  launch(folds, {2, 256}, sums.data());
  expect(sums[0] == 32640 && sums[4] == 32640 + 256 && sums[5] == 32640 + 512, "block_fold");

  launch(lanes, {1, 32}, y.data());
  expect(y[0] == 5 && y[31] == 5, "__shfl_sync");
  expect(y[32] == 3 && y[32 + 30] == 30, "__shfl_down_sync");
  expect(y[64 + 2] == 2 && y[64 + 9] == 6, "__shfl_up_sync");
  expect(y[96] == 1 && y[97] == 0, "__shfl_xor_sync");
  expect(y[128 + 4] == static_cast<int>(0xaaaaaaaau), "__ballot_sync");
  expect(y[160] == 8 && y[175] == 7, "a part of a warp");
  expect(y[192] == 1 && y[192 + 31] == 25, "a segment of a warp");

  int count[2] = {};
  float sum = 0;
  launch(counts, {100, 64}, count, &sum);
  expect(count[0] == 6400 && count[1] == 6399 && sum == 6400, "atomics");

  float held[8];
  launch(fills, {1, 32, 8 * sizeof(float)}, held, 8);
  expect(held[0] != held[0] && held[7] != held[7], "shared memory begins as NaN");

  launch(lacks_a_barrier, {1, 64}, y.data());
  shim::set_backward(true);
  std::vector<int> z(64);
  launch(lacks_a_barrier, {1, 64}, z.data());
  launch(reversed, {1, 64}, y.data());
  shim::set_backward(false);
  expect(z[1] != 7, "another order shows that a barrier is missing");
  expect(y[0] == 63 && y[63] == 0, "backward");
}

void check_reports() {
  const OpScope scope("test");
  expect_report("threads that leave", "thread (3, 0, 0) of block (0, 0, 0) waits in __syncthreads",
                [] { launch(some_leave, {2, 64}); });
  expect_report("threads that leave", "has finished", [] { launch(some_leave, {2, 64}); });
  expect_report("two barriers", "all must come to one barrier",
                [] { launch(two_barriers, {1, 64}); });
  expect_report("half a warp",
                "waits in __syncwarp at shim_check.cpp:", [] { launch(half_a_warp, {1, 64}); });
  expect_report("too many threads", "a block of 2048 threads",
                [] { launch(two_barriers, {1, 2048}); });
  expect_report("too much memory", "bytes of dynamic shared memory", [] {
    float y;
    launch(fills, {1, 32, 300000}, &y, 1);
  });
  std::vector<int> y(64);
  launch(reversed, {1, 64}, y.data());
  expect(y[0] == 63, "after a report all is as before");
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore

int main() {
  dlcore::DLCORE_ISA::check_all();
  dlcore::DLCORE_ISA::check_reports();
  std::printf("shim_check: %d failures\n", dlcore::DLCORE_ISA::failures);
  return dlcore::DLCORE_ISA::failures != 0;
}
