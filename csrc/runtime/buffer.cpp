#include "runtime/buffer.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "runtime/cpu.h"

namespace dlcore {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kMapFrom = size_t(4)
                            << 20;  // larger blocks are mapped by themselves, in huge pages
constexpr int kClasses = 4 * 48;

// In front of every block. Blocks start at different multiples of 128 bytes past a page: streams
// with equal low address bits would wait for one another's stores.
struct Header {
  void* base;
  size_t capacity;  // of the class, what the caller may use
  size_t mapped;    // bytes from mmap, 0 when base is from malloc
  int size_class;
};
static_assert(sizeof(Header) <= kAlign);

constexpr size_t kColours = 16;
constexpr size_t kSlack = kAlign + kColours * 128;

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

Header& header(void* block) {
  return *reinterpret_cast<Header*>(static_cast<char*>(block) - kAlign);
}

struct Cache {
  std::mutex mutex;
  std::vector<void*> free[kClasses];
  size_t held = 0;
  size_t limit;
  size_t colour = 0;

  Cache() : limit(usable_memory() / 4) {}
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

void* make_block(int size_class, size_t colour) {
  const size_t capacity = class_bytes(size_class);
  const size_t total = capacity + kSlack;
  void* base;
  size_t mapped = 0;
  if (total >= kMapFrom) {
    mapped = (total + kHugePage - 1) / kHugePage * kHugePage + kHugePage;
    base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    madvise(base, mapped, MADV_HUGEPAGE);
  } else {
    base = std::aligned_alloc(kAlign, (total + kAlign - 1) / kAlign * kAlign);
    if (!base) throw std::bad_alloc();
  }
  const uintptr_t start = reinterpret_cast<uintptr_t>(base);
  uintptr_t aligned = mapped ? (start + kHugePage - 1) / kHugePage * kHugePage : start;
  void* block = reinterpret_cast<void*>(aligned + kAlign + colour % kColours * 128);
  header(block) = {base, capacity, mapped, size_class};
  return block;
}

void destroy(void* block) {
  const Header h = header(block);
  if (h.mapped)
    munmap(h.base, h.mapped);
  else
    std::free(h.base);
}

}  // namespace

void* buffer_acquire(size_t bytes) {
  if (bytes > (size_t(1) << 46)) throw std::bad_alloc();
  const int size_class = class_of(bytes);
  Cache& c = cache();
  size_t colour;
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    std::vector<void*>& blocks = c.free[size_class];
    if (!blocks.empty()) {
      void* block = blocks.back();
      blocks.pop_back();
      c.held -= header(block).capacity;
      return block;
    }
    colour = c.colour++;
  }
  try {
    return make_block(size_class, colour);
  } catch (const std::bad_alloc&) {
    empty_cache();
    return make_block(size_class, colour);
  }
}

void buffer_release(void* block) noexcept {
  if (!block) return;
  const Header& h = header(block);
  Cache& c = cache();
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    if (c.held + h.capacity <= c.limit) {
      try {
        c.free[h.size_class].push_back(block);
        c.held += h.capacity;
        return;
      } catch (const std::bad_alloc&) {
      }
    }
  }
  destroy(block);
}

size_t cached_bytes() {
  Cache& c = cache();
  std::lock_guard<std::mutex> lock(c.mutex);
  return c.held;
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
    above = c.held > bytes;
  }
  if (above) empty_cache();
}

void empty_cache() noexcept {
  std::vector<void*> taken[kClasses];
  Cache& c = cache();
  {
    std::lock_guard<std::mutex> lock(c.mutex);
    for (int i = 0; i < kClasses; ++i) taken[i].swap(c.free[i]);
    c.held = 0;
  }
  for (const std::vector<void*>& blocks : taken)
    for (void* block : blocks) destroy(block);
}

}  // namespace dlcore
