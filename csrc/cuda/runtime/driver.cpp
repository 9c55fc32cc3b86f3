#include "cuda/runtime/driver.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "cuda/context.h"
#include "cuda/runtime/memory.h"
#include "runtime/text.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kLeastVersion = 13000, kLeastCapability = 75;

std::atomic<bool> on_host_memory{false};
thread_local int device = 0, made_current = -1;

struct Loaded {
  Driver driver;
  std::string why_not;
  int devices = 0;
  CUcontext context[kMostDevices] = {};

  Loaded() {
    const char* named = std::getenv("DLCORE_CUDA_DRIVER");  // for tests
    const char* name = named && *named ? named : "libcuda.so.1";
    void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      why_not = text("no NVIDIA driver: ", dlerror());
      return;
    }
#define STRING_(name) #name
#define STRING(name) STRING_(name)
#define OPEN(function)                                                                         \
  driver.function = reinterpret_cast<decltype(&::function)>(dlsym(library, STRING(function))); \
  if (!driver.function) why_not = text("the NVIDIA driver has no ", STRING(function));
    DLCORE_FOR_EACH_DRIVER_FUNCTION(OPEN)
#undef OPEN
    if (why_not.empty()) why_not = examine();
  }

  std::string failure(const char* what, CUresult result) {
    const char* name = nullptr;
    driver.cuGetErrorName(result, &name);
    return text(what, ": ", name ? name : "unknown error");
  }

  std::string examine() {
    int version = 0;
    if (const CUresult r = driver.cuDriverGetVersion(&version))
      return failure("cuDriverGetVersion", r);
    if (version < kLeastVersion)
      return text("the NVIDIA driver is too old: it runs CUDA ", version / 1000, ".",
                  version % 1000 / 10, ", and dlcore-cuda13 needs 13.0 (driver 580 or later)");
    if (const CUresult r = driver.cuInit(0)) return failure("cuInit", r);
    if (const CUresult r = driver.cuDeviceGetCount(&devices)) return failure("cuDeviceGetCount", r);
    if (devices == 0) return "the NVIDIA driver sees no GPU";
    if (devices > kMostDevices) devices = kMostDevices;
    for (int i = 0; i < devices; ++i) {
      int major = 0, minor = 0;
      char name[128] = "";
      driver.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, i);
      driver.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, i);
      driver.cuDeviceGetName(name, sizeof name, i);
      if (10 * major + minor < kLeastCapability)
        return text("GPU ", i, " (", name, ") has compute capability ", major, ".", minor,
                    ", and dlcore needs 7.5");
    }
    return "";
  }
};

// Never unloaded.
Loaded& loaded() {
  static Loaded& once = *new Loaded;
  return once;
}

}  // namespace

const std::string& why_not() {
  return loaded().why_not;
}

const Driver& driver() {
  if (!why_not().empty()) throw std::runtime_error("cuda: " + why_not());
  return loaded().driver;
}

int device_count() {
  return why_not().empty() ? loaded().devices : 0;
}

int current_device() {
  return device;
}

void set_device(int wanted) {
  if (wanted < 0 || wanted >= device_count())
    throw std::invalid_argument(
        text("cuda: device must be from 0 to ", device_count() - 1, ", got ", wanted));
  device = wanted;
}

CUstream current_stream() {
  return nullptr;  // the legacy default stream, in order with that of other libraries
}

void make_current() {
  if (made_current == device) return;
  const Driver& d = driver();
  CUcontext& context = loaded().context[device];
  if (!context) check("cuDevicePrimaryCtxRetain", d.cuDevicePrimaryCtxRetain(&context, device));
  check("cuCtxSetCurrent", d.cuCtxSetCurrent(context));
  made_current = device;
}

bool host_memory() {
  return on_host_memory.load(std::memory_order_relaxed);
}
void use_host_memory() {
  int can = 0;
  check("cuDeviceGetAttribute",
        driver().cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, device));
  if (!can) throw std::runtime_error("cuda: this GPU cannot read the host's memory");
  on_host_memory = true;
}

void refuse(const char* what, CUresult result) {
  const char *name = nullptr, *words = nullptr;
  loaded().driver.cuGetErrorName(result, &name);
  loaded().driver.cuGetErrorString(result, &words);
  throw std::runtime_error(text(current_op(), ": ", what, " failed: ", name ? name : "error ",
                                words ? " (" : "", words ? words : "", words ? ")" : ""));
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
