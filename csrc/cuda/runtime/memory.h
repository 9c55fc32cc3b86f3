// A cache of device memory: what is released waits for the next who wants as much.
#pragma once

#include <cstdint>
#include <new>
#include <string>

namespace dlcore {
namespace DLCORE_ISA {

struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(std::string why) : why_(std::move(why)) {}
  const char* what() const noexcept override { return why_.c_str(); }

 private:
  std::string why_;
};

struct MemoryStats {
  int64_t used, peak;   // handed out, and the most there was
  int64_t cached;       // kept for the next
  int64_t allocations;  // asked of the driver
  int64_t free, total;  // what the driver says of the whole device
};
MemoryStats memory_stats(int device);
void empty_device_cache();  // of all devices

}  // namespace DLCORE_ISA
}  // namespace dlcore
