// Stands in for libcuda.so.1 in tests of the plugin: memory is the host's, kernels do nothing. What
// goes wrong is chosen by the environment variable FAKE_CUDA: old_driver, init, no_gpu, old_gpu,
// launch, image; the device has FAKE_CUDA_BYTES of memory.
#include <cuda.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#define FAKE extern "C" __attribute__((visibility("default"))) CUresult

namespace {

bool fails(const char* what) {
  const char* wish = std::getenv("FAKE_CUDA");
  return wish && std::string(wish) == what;
}

struct Memory {
  std::mutex mutex;
  std::map<CUdeviceptr, size_t> blocks;
  size_t used = 0;
};
Memory& memory() {
  static Memory& once = *new Memory;
  return once;
}
size_t capacity() {
  const char* bytes = std::getenv("FAKE_CUDA_BYTES");
  return bytes ? std::strtoull(bytes, nullptr, 10) : size_t(1) << 30;
}

CUcontext current = nullptr;

}  // namespace

FAKE cuInit(unsigned) {
  return fails("init") ? CUDA_ERROR_SYSTEM_DRIVER_MISMATCH : CUDA_SUCCESS;
}
FAKE cuDriverGetVersion(int* version) {
  *version = fails("old_driver") ? 12040 : 13000;
  return CUDA_SUCCESS;
}
FAKE cuDeviceGet(CUdevice* device, int i) {
  *device = i;
  return CUDA_SUCCESS;
}
FAKE cuDeviceGetCount(int* count) {
  *count = fails("no_gpu") ? 0 : 2;
  return CUDA_SUCCESS;
}
FAKE cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
    *value = fails("old_gpu") ? 7 : 9;
  else
    *value = attribute == CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS && !fails("discrete");
  return CUDA_SUCCESS;
}
FAKE cuDeviceGetName(char* name, int size, CUdevice) {
  std::strncpy(name, "Fake", static_cast<size_t>(size));
  return CUDA_SUCCESS;
}
FAKE cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  *context = reinterpret_cast<CUcontext>(static_cast<uintptr_t>(device + 1));
  return CUDA_SUCCESS;
}
FAKE cuCtxSetCurrent(CUcontext context) {
  current = context;
  return CUDA_SUCCESS;
}
FAKE cuCtxSynchronize() {
  return fails("synchronize") ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}
FAKE cuMemAlloc(CUdeviceptr* made, size_t bytes) {
  Memory& m = memory();
  const std::lock_guard<std::mutex> lock(m.mutex);
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (m.used + bytes > capacity()) return CUDA_ERROR_OUT_OF_MEMORY;
  *made = reinterpret_cast<CUdeviceptr>(std::malloc(bytes));
  m.blocks[*made] = bytes;
  m.used += bytes;
  return CUDA_SUCCESS;
}
FAKE cuMemFree(CUdeviceptr block) {
  Memory& m = memory();
  const std::lock_guard<std::mutex> lock(m.mutex);
  const auto found = m.blocks.find(block);
  if (found == m.blocks.end()) return CUDA_ERROR_INVALID_VALUE;
  m.used -= found->second;
  m.blocks.erase(found);
  std::free(reinterpret_cast<void*>(block));
  return CUDA_SUCCESS;
}
FAKE cuMemGetInfo(size_t* free, size_t* total) {
  *total = capacity();
  *free = capacity() - memory().used;
  return CUDA_SUCCESS;
}
FAKE cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes, CUstream) {
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return CUDA_SUCCESS;
}
FAKE cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream) {
  std::memcpy(to, reinterpret_cast<void*>(from), bytes);
  return CUDA_SUCCESS;
}
FAKE cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
  return CUDA_SUCCESS;
}
FAKE cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) {
  std::memset(reinterpret_cast<void*>(to), value, bytes);
  return CUDA_SUCCESS;
}
FAKE cuStreamSynchronize(CUstream) {
  return cuCtxSynchronize();
}
FAKE cuModuleLoadData(CUmodule* module, const void* image) {
  unsigned magic = 0;
  std::memcpy(&magic, image, sizeof magic);
  if (magic != 0xba55ed50u || fails("image")) return CUDA_ERROR_NO_BINARY_FOR_GPU;  // a fatbin's
  *module = static_cast<CUmodule>(const_cast<void*>(image));
  return CUDA_SUCCESS;
}
FAKE cuModuleGetFunction(CUfunction* function, CUmodule, const char* name) {
  *function = reinterpret_cast<CUfunction>(const_cast<char*>(name));
  return CUDA_SUCCESS;
}
FAKE cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) {
  return CUDA_SUCCESS;
}
FAKE cuLaunchKernel(CUfunction, unsigned grid, unsigned, unsigned, unsigned block, unsigned,
                    unsigned, unsigned, CUstream, void** arguments, void**) {
  if (fails("launch") || !grid || !block || !arguments) return CUDA_ERROR_LAUNCH_FAILED;
  return CUDA_SUCCESS;
}
FAKE cuGetErrorName(CUresult result, const char** name) {
  *name = result == CUDA_ERROR_LAUNCH_FAILED            ? "CUDA_ERROR_LAUNCH_FAILED"
          : result == CUDA_ERROR_ILLEGAL_ADDRESS        ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : result == CUDA_ERROR_NO_BINARY_FOR_GPU      ? "CUDA_ERROR_NO_BINARY_FOR_GPU"
          : result == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH ? "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"
                                                        : "CUDA_ERROR";
  return CUDA_SUCCESS;
}
FAKE cuGetErrorString(CUresult, const char** words) {
  *words = "as asked for";
  return CUDA_SUCCESS;
}
