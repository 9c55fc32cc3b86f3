// What Python calls, by ctypes: plain C functions that return null, or why they failed. The text
// stands until the thread's next call.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/context.h"
#include "cuda/runtime/driver.h"
#include "cuda/runtime/memory.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {

void fill(KernelTable<float>& f32, KernelTable<double>& f64);

namespace {

struct Tables {
  KernelTable<float> f32{};
  KernelTable<double> f64{};
  Tables() { fill(f32, f64); }
};
const Tables& tables() {
  static const Tables& once = *new Tables;
  return once;
}

thread_local std::string failure;

// What Python raises: the first letter says which exception.
template <class F>
const char* guarded(const F& f) {
  try {
    f();
    return nullptr;
  } catch (const OutOfMemory& error) {
    failure = std::string("M") + error.what();
  } catch (const std::bad_alloc&) {
    failure = "Mcuda: no memory";
  } catch (const std::invalid_argument& error) {
    failure = std::string("V") + error.what();
  } catch (const std::exception& error) {
    failure = std::string("R") + error.what();
  }
  return failure.c_str();
}

CUdeviceptr address(const void* memory) {
  return reinterpret_cast<CUdeviceptr>(memory);
}

// A kernel on known numbers, there and back.
void check_device() {
  constexpr int64_t n = 1000;
  std::vector<float> x(n), y(n);
  for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i)] = static_cast<float>(i - n / 2);
  const Uploaded<float> from(x.data(), n);
  const Scratch<float> to(n);
  tables().f32.relu_forward.function(from, to, n);
  check("copying from the GPU",
        driver().cuMemcpyDtoHAsync(y.data(), address(to), n * sizeof(float), current_stream()));
  check("waiting for the GPU", driver().cuStreamSynchronize(current_stream()));
  for (size_t i = 0; i < n; ++i)
    if (y[i] != (x[i] > 0 ? x[i] : 0.0f))
      throw std::runtime_error("cuda: relu gave a wrong result on this GPU");
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore

using namespace dlcore;
using namespace dlcore::DLCORE_ISA;

#define API extern "C" __attribute__((visibility("default")))

API const char* dlcore_cuda_version() {
  return DLCORE_VERSION;
}
API const char* dlcore_cuda_why_not() {
  return why_not().empty() ? nullptr : why_not().c_str();
}
API int dlcore_cuda_device_count() {
  return device_count();
}
API const char* dlcore_cuda_describe(int device, char* name, int size, int* capability) {
  return guarded([=] {
    const int before = current_device();
    set_device(device);
    set_device(before);
    const Driver& d = driver();
    check("cuDeviceGetName", d.cuDeviceGetName(name, size, device));
    check("cuDeviceGetAttribute",
          d.cuDeviceGetAttribute(capability, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
    check("cuDeviceGetAttribute",
          d.cuDeviceGetAttribute(capability + 1, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                                 device));
  });
}
API const char* dlcore_cuda_synchronize() {
  return guarded([] {
    make_current();
    check("synchronize", driver().cuCtxSynchronize());
  });
}
API const char* dlcore_cuda_memory_stats(int device, int64_t* numbers) {
  return guarded([=] {
    const MemoryStats stats = memory_stats(device);
    static_assert(sizeof stats == 6 * sizeof(int64_t));
    std::memcpy(numbers, &stats, sizeof stats);
  });
}
API const char* dlcore_cuda_empty_cache() {
  return guarded([] { empty_device_cache(); });
}
API const char* dlcore_cuda_acquire(size_t bytes, void** memory) {
  return guarded([=] { *memory = device_acquire(bytes); });
}
API void dlcore_cuda_release(void* memory) {
  device_release(memory);
}
API const char* dlcore_cuda_to_device(void* to, const void* from, size_t bytes) {
  return guarded([=] {
    make_current();
    check("copying to the GPU",
          driver().cuMemcpyHtoDAsync(address(to), from, bytes, current_stream()));
  });
}
API const char* dlcore_cuda_to_host(void* to, const void* from, size_t bytes) {
  return guarded([=] {
    make_current();
    check("copying from the GPU",
          driver().cuMemcpyDtoHAsync(to, address(from), bytes, current_stream()));
    check("waiting for the GPU", driver().cuStreamSynchronize(current_stream()));
  });
}
API const char* dlcore_cuda_self_check() {
  return guarded([] { check_device(); });
}
// The kernels as one more instruction set of the module, on NumPy's own arrays: for GPUs that read
// the host's memory (HMM, Grace), and for tests, which so run on them unchanged. Each call waits.
API const char* dlcore_cuda_use_host_memory(const char** name, void** fill_, int64_t* bytes) {
  return guarded([=] {
    use_host_memory();
    *name = "cuda";
    *fill_ = reinterpret_cast<void*>(&fill);
    *bytes = sizeof(KernelTable<float>);
  });
}
// The function of a word, for tools that bring memory of their own; null when there is none. What
// it throws goes through the caller.
API void* dlcore_cuda_kernel(const char* word, int bits) {
#define KERNEL(name)                                                        \
  if (std::strcmp(word, #name) == 0)                                        \
    return bits == 32 ? reinterpret_cast<void*>(tables().f32.name.function) \
                      : reinterpret_cast<void*>(tables().f64.name.function);
#include "kernels.def"
#undef KERNEL
  return nullptr;
}
// How many words have a kernel, of how many.
API int dlcore_cuda_kernels(int* all) {
  int have = 0;
#define KERNEL(name) \
  ++*all;            \
  have += tables().f32.name.function != nullptr;
#include "kernels.def"
#undef KERNEL
  return have;
}
