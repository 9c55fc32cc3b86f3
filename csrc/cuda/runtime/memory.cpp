#include "cuda/runtime/memory.h"

#include <map>
#include <mutex>
#include <unordered_map>

#include "cuda/context.h"
#include "cuda/runtime/driver.h"
#include "runtime/text.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Small blocks come in powers of two, large ones in steps of 2 MiB, the driver's pages.
constexpr size_t kLeast = 512, kLarge = size_t(1) << 20, kPage = size_t(2) << 20;

size_t rounded(size_t bytes) {
  if (bytes >= kLarge) return (bytes + kPage - 1) / kPage * kPage;
  size_t size = kLeast;
  while (size < bytes) size *= 2;
  return size;
}

struct Block {
  size_t size;
  int device;
};

// All work is on one stream: whoever gets a released block comes after its last user.
struct Pool {
  std::mutex mutex;
  std::multimap<size_t, void*> idle[kMostDevices];
  std::unordered_map<void*, Block> blocks;
  int64_t used[kMostDevices] = {}, peak[kMostDevices] = {}, cached[kMostDevices] = {},
          allocations[kMostDevices] = {};
};
Pool& pool() {
  static Pool& once = *new Pool;
  return once;
}

// With the mutex held.
void give_back(Pool& p, int device) {
  for (const auto& [size, block] : p.idle[device]) {
    driver().cuMemFree(reinterpret_cast<CUdeviceptr>(block));
    p.blocks.erase(block);
  }
  p.idle[device].clear();
  p.cached[device] = 0;
}

void* take_idle(Pool& p, int device, size_t size) {
  const auto found = p.idle[device].lower_bound(size);
  if (found == p.idle[device].end() || found->first > size + size / 4) return nullptr;
  void* const block = found->second;
  p.cached[device] -= static_cast<int64_t>(found->first);
  p.idle[device].erase(found);
  return block;
}

void* allocate(Pool& p, int device, size_t size) {
  const Driver& d = driver();
  CUdeviceptr made = 0;
  CUresult result = d.cuMemAlloc(&made, size);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    give_back(p, device);
    result = d.cuMemAlloc(&made, size);
  }
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    size_t free = 0, total = 0;
    d.cuMemGetInfo(&free, &total);
    throw OutOfMemory(text(current_op(), ": GPU ", device, " has no ", size, " bytes left: ", free,
                           " of ", total, " are free, ", p.used[device], " hold arrays"));
  }
  check("cuMemAlloc", result);
  ++p.allocations[device];
  void* const block = reinterpret_cast<void*>(made);
  p.blocks[block] = {size, device};
  return block;
}

}  // namespace

void* device_acquire(size_t bytes) {
  if (bytes == 0) return nullptr;
  make_current();
  Pool& p = pool();
  const int device = current_device();
  const std::lock_guard<std::mutex> lock(p.mutex);
  void* block = take_idle(p, device, rounded(bytes));
  if (!block) block = allocate(p, device, rounded(bytes));
  p.used[device] += static_cast<int64_t>(p.blocks[block].size);
  if (p.used[device] > p.peak[device]) p.peak[device] = p.used[device];
  return block;
}

void device_release(void* block) noexcept {
  if (!block) return;
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto found = p.blocks.find(block);
  if (found == p.blocks.end()) return;
  const auto [size, device] = found->second;
  p.idle[device].emplace(size, block);
  p.used[device] -= static_cast<int64_t>(size);
  p.cached[device] += static_cast<int64_t>(size);
}

MemoryStats memory_stats(int device) {
  const int before = current_device();
  set_device(device);
  size_t free = 0, total = 0;
  make_current();
  const CUresult result = driver().cuMemGetInfo(&free, &total);
  set_device(before);
  check("cuMemGetInfo", result);
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  return {p.used[device],
          p.peak[device],
          p.cached[device],
          p.allocations[device],
          static_cast<int64_t>(free),
          static_cast<int64_t>(total)};
}

void empty_device_cache() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  for (int device = 0; device < device_count(); ++device) give_back(p, device);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
