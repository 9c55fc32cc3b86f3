// The thread pool. Work is cut into chunks that depend on the shape alone and any thread may run
// any chunk, so that a kernel that writes each chunk's result to its own place gives the same bits
// for any number of threads.
#pragma once

#include <cstdint>

namespace dlcore {

// Runs fn(context, 0) ... fn(context, chunks - 1) on the pool and the calling thread; returns when
// all are done. Inline when chunks <= 1, inside another call, or when another thread has the pool.
void parallel_run(int64_t chunks, void (*fn)(void* context, int64_t chunk), void* context);

int num_threads();
void set_num_threads(int64_t n);  // 1 to kMaxThreads; std::invalid_argument otherwise
int default_threads();            // min(CPU affinity, cgroup quota) or DLCORE_NUM_THREADS

}  // namespace dlcore
