// A cache of 64-byte aligned, already-mapped blocks, for results and for the kernels' scratch.
// A fresh large block costs a page fault per 4 KiB, often more than the arithmetic that fills it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dlcore {

#ifdef DLCORE_NO_UNWIND  // built without tables for exceptions: see CMakeLists.txt
void* buffer_acquire(size_t bytes) = delete;
#else
void* buffer_acquire(size_t bytes);  // std::bad_alloc when there is no memory
#endif
void buffer_release(void* block) noexcept;  // nullptr is fine

size_t cached_bytes();  // held by the cache, not in use
size_t cache_limit();   // the most it holds; default a quarter of the memory this process may use
void set_cache_limit(size_t bytes);
void empty_cache() noexcept;

}  // namespace dlcore
