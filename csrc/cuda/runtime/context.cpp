#include "cuda/context.h"

#include "cuda/runtime/driver.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

thread_local const char* op = "cuda";

CUdeviceptr address(const void* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

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

void finish_op() {
  if (host_memory()) check("waiting for the GPU", driver().cuStreamSynchronize(current_stream()));
}

// From pageable memory, which the driver has copied when the call returns.
void* device_upload(const void* host, size_t bytes) {
  void* const memory = device_acquire(bytes);
  if (bytes == 0) return memory;
  const CUresult result =
      driver().cuMemcpyHtoDAsync(address(memory), host, bytes, current_stream());
  if (result != CUDA_SUCCESS) device_release(memory);
  check("copying to the GPU", result);
  return memory;
}

void device_clear(void* memory, size_t bytes) {
  if (bytes == 0) return;
  make_current();
  check("clearing memory", driver().cuMemsetD8Async(address(memory), 0, bytes, current_stream()));
}

void device_copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  make_current();
  check("copying", driver().cuMemcpyDtoDAsync(address(to), address(from), bytes, current_stream()));
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
