// Runs the grid of a CUDA kernel on the CPU: the threads of a block are fibers of one thread of the
// pool, which switch only where a thread waits for others (a barrier, an operation of a warp), so
// that a kernel without barriers costs a loop. A wait that can never end is found and reported with
// the places where the threads stand.
#pragma once

#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace dlcore::shim {

// What a thread of the block sees of itself.
struct Thread {
  uint3 thread, block;
  dim3 block_size, grid_size;
  unsigned number;         // in its block
  unsigned char* dynamic;  // the block's dynamic shared memory
};
extern thread_local Thread* self;

// Where a thread waits.
struct Place {
  const char *what, *file;
  int line;
};

// Waits for all threads of the block.
void block_barrier(const Place& place);

// Waits for the lanes of `mask`, each with a value of `size` bytes (at most 32). The last to come
// calls complete(values, mask) on what all of them brought, in 32 places of 32 bytes; each lane
// finds its own place in `value` then.
constexpr size_t kWarpSize = 32, kMostBytes = 32;
struct alignas(16) Value {
  unsigned char byte[kMostBytes];
};
using Complete = void (*)(void* context, Value* values, unsigned mask);
void warp_exchange(unsigned mask, void* value, size_t size, Complete complete, void* context,
                   const Place& place);

// What a launch refuses or finds: std::logic_error, "softmax_forward: ...".
void run(const char* op, dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void* arguments),
         void* arguments);

// The order in which threads and blocks begin, for tests: a kernel that lacks a barrier gives
// another result backward.
void set_backward(bool backward);

}  // namespace dlcore::shim
