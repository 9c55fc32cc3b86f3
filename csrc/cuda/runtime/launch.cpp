// Kernels by their host functions. nvcc's code registers both before main; the functions that it
// calls for that are here instead of in cudart, hidden, so that they meet no other library's.
// What a newer nvcc calls beyond them fails to link.
#include <mutex>
#include <stdexcept>
#include <unordered_map>

#include "cuda/context.h"
#include "cuda/runtime/driver.h"
#include "runtime/text.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A file's device code for all architectures, as nvcc wraps it.
struct Wrapper {
  int magic, version;
  const void* fatbin;
  void* unused;
};
struct Image {
  const void* fatbin;
  CUmodule module[kMostDevices] = {};
};
struct Kernel {
  const char* name;
  Image* image;
  CUfunction function[kMostDevices] = {};
  size_t shared_bytes[kMostDevices] = {};  // the most that a launch has asked for
};

struct Registry {
  std::mutex mutex;
  std::unordered_map<const void*, Kernel> kernels;
};
Registry& registry() {
  static Registry& once = *new Registry;
  return once;
}

// With the mutex held. A file's code is loaded when its first kernel is called.
CUfunction function_of(Kernel& kernel, int device) {
  CUfunction& function = kernel.function[device];
  if (function) return function;
  const Driver& d = driver();
  CUmodule& module = kernel.image->module[device];
  if (!module) check("loading the kernels", d.cuModuleLoadData(&module, kernel.image->fatbin));
  check("finding the kernel", d.cuModuleGetFunction(&function, module, kernel.name));
  return function;
}

// More dynamic shared memory than every GPU has must be asked for.
constexpr size_t kFreely = size_t(48) << 10;

CUfunction ready_function(const void* key, int device, size_t shared_bytes) {
  Registry& r = registry();
  const std::lock_guard<std::mutex> lock(r.mutex);
  const auto found = r.kernels.find(key);
  if (found == r.kernels.end())
    throw std::logic_error(text(current_op(), ": no kernel is registered for its function"));
  Kernel& kernel = found->second;
  const CUfunction function = function_of(kernel, device);
  if (shared_bytes > kFreely && shared_bytes > kernel.shared_bytes[device]) {
    check("asking for shared memory",
          driver().cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      static_cast<int>(shared_bytes)));
    kernel.shared_bytes[device] = shared_bytes;
  }
  return function;
}

}  // namespace

void launch_kernel(const void* kernel, const unsigned* grid, const unsigned* block,
                   size_t shared_bytes, void** arguments) {
  make_current();
  const CUfunction function = ready_function(kernel, current_device(), shared_bytes);
  check("launch", driver().cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1],
                                          block[2], static_cast<unsigned>(shared_bytes),
                                          current_stream(), arguments, nullptr));
}

}  // namespace DLCORE_ISA
}  // namespace dlcore

using dlcore::DLCORE_ISA::Image;
using dlcore::DLCORE_ISA::Kernel;
using dlcore::DLCORE_ISA::registry;
using dlcore::DLCORE_ISA::Wrapper;

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  Image* const image = new Image{static_cast<Wrapper*>(wrapper)->fatbin};
  return reinterpret_cast<void**>(image);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}  // at exit, when the driver may be gone
char __cudaInitModule(void**) {
  return 1;
}
void __cudaRegisterFunction(void** image, const char* host, char*, const char* name, int, void*,
                            void*, void*, void*, int*) {
  registry().kernels.emplace(host, Kernel{name, reinterpret_cast<Image*>(image)});
}

// Of the launches written <<< >>>, of which there are none: 801 is cudaErrorNotSupported.
int __cudaGetKernel(void**, const void*) {
  return 801;
}
int __cudaLaunchKernel(void*, ...) {
  return 801;
}
int __cudaPopCallConfiguration(void*, void*, size_t*, void*) {
  return 801;
}
unsigned __cudaPushCallConfiguration(...) {
  return 801;
}

}  // extern "C"
