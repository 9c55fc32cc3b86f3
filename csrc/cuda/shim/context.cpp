// The device's runtime for the shim: host memory, and calls that are done when they return.
#include "cuda/context.h"

#include <cstring>

#include "runtime/buffer.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

thread_local const char* op = "kernel";

}  // namespace

const char* current_op() {
  return op;
}
OpScope::OpScope(const char* name) : before_(op) {
  op = name;
}
OpScope::~OpScope() {
  op = before_;
}

void finish_op() {}

void* device_acquire(size_t bytes) {
  void* memory = buffer_acquire(bytes);
  std::memset(memory, 0xff, bytes);  // as little as a GPU's memory says: NaN
  return memory;
}
void device_release(void* memory) noexcept {
  buffer_release(memory);
}
void* device_upload(const void* host, size_t bytes) {
  void* memory = buffer_acquire(bytes);
  std::memcpy(memory, host, bytes);
  return memory;
}
void device_clear(void* memory, size_t bytes) {
  std::memset(memory, 0, bytes);
}
void device_copy(void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
