#include "runtime/buffer.h"

#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "runtime/cpu.h"
#include "runtime/large_blocks.h"

namespace dlcore {
namespace {

constexpr size_t kLargeFrom = size_t(1) << 20;
constexpr int kClasses = 4 * 14;  // up to kLargeFrom

// Small blocks start at different multiples of 128 bytes past a page: streams with equal low
// address bits would wait for one another's stores.
constexpr size_t kColours = 16;
constexpr size_t kSlack = kHeaderBytes + kColours * 128;

// Classes are a quarter of a power of two apart: at most a quarter of a block is unused.
int class_of(size_t bytes) {
  const size_t b = std::max<size_t>(bytes, 256) - 1;
  const int power = std::bit_width(b) - 1;
  return 4 * (power - 7) + static_cast<int>((b >> (power - 2)) & 3);
}

size_t class_bytes(int c) {
  const int power = c / 4 + 7;
  return (size_t(4 + c % 4 + 1) << power) / 4;
}

BlockHeader* header(void* block) {
  return reinterpret_cast<BlockHeader*>(static_cast<char*>(block) - kHeaderBytes);
}

struct Cache {
  std::mutex mutex;
  std::vector<void*> free[kClasses];
  LargeBlocks large;
  size_t held_small = 0;
  size_t limit;
  size_t colour = 0;

  Cache() : limit(usable_memory() / 4) {}
  size_t held() const { return held_small + large.held(); }
};

// Never destroyed: arrays may outlive the module.
Cache& cache() {
  static Cache& the = *[] {
    static Cache* made = new Cache;
    // A fork waits for the mutex, so that the child never finds it locked by a thread it lacks.
    pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); },
                   [] { made->mutex.unlock(); });
    return made;
  }();
  return the;
}

// aligned_alloc's block begins a header and `colour` steps before the caller's.
void* make_small(int size_class, size_t colour) {
  const size_t offset = kHeaderBytes + colour % kColours * 128;
  const size_t total = class_bytes(size_class) + kSlack;
  void* const base = std::aligned_alloc(64, (total + 63) / 64 * 64);
  if (!base) return nullptr;
  void* const block = static_cast<char*>(base) + offset;
  *header(block) = {size_class, false,  class_bytes(size_class), nullptr, nullptr, offset,
                    nullptr,    nullptr};
  return block;
}

void free_small(void* block) {
  std::free(static_cast<char*>(block) - header(block)->touched);
}

void* acquire_small(Cache& c, size_t bytes) {
  const int size_class = class_of(bytes);
  size_t colour;
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    std::vector<void*>& blocks = c.free[size_class];
    if (!blocks.empty()) {
      void* block = blocks.back();
      blocks.pop_back();
      c.held_small -= header(block)->size;
      return block;
    }
    colour = c.colour++;
  }
  return make_small(size_class, colour);
}

void* acquire_large(Cache& c, size_t bytes) {
  std::lock_guard<std::mutex> lock(c.mutex);
  return c.large.acquire(bytes);
}

}  // namespace

void* buffer_acquire(size_t bytes) {
  if (bytes > (size_t(1) << 46)) throw std::bad_alloc();
  const auto acquire = bytes < kLargeFrom ? acquire_small : acquire_large;
  void* block = acquire(cache(), bytes);
  if (!block) {
    empty_cache();
    block = acquire(cache(), bytes);
  }
  if (!block) throw std::bad_alloc();
  return block;
}

void buffer_release(void* block) noexcept {
  if (!block) return;
  BlockHeader* const h = header(block);
  Cache& c = cache();
  std::unique_lock<std::mutex> lock(c.mutex);
  if (h->size_class < 0) {
    c.large.release(h);
    if (c.held() > c.limit) c.large.trim();
    return;
  }
  if (c.held() + h->size <= c.limit) {
    try {
      c.free[h->size_class].push_back(block);
      c.held_small += h->size;
      return;
    } catch (const std::bad_alloc&) {
    }
  }
  lock.unlock();
  free_small(block);
}

size_t cached_bytes() {
  Cache& c = cache();
  std::lock_guard<std::mutex> lock(c.mutex);
  return c.held();
}

size_t cache_limit() {
  Cache& c = cache();
  std::lock_guard<std::mutex> lock(c.mutex);
  return c.limit;
}

void set_cache_limit(size_t bytes) {
  Cache& c = cache();
  bool above;
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    c.limit = bytes;
    above = c.held() > bytes;
  }
  if (above) empty_cache();
}

void empty_cache() noexcept {
  std::vector<void*> taken[kClasses];
  Cache& c = cache();
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    for (int i = 0; i < kClasses; ++i) taken[i].swap(c.free[i]);
    c.held_small = 0;
    c.large.trim();
  }
  for (const std::vector<void*>& blocks : taken)
    for (void* block : blocks) free_small(block);
#ifdef __GLIBC__
  malloc_trim(0);  // or the heap keeps them
#endif
}

}  // namespace dlcore
