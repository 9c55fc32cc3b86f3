// NVIDIA's driver, opened at run time: a machine without it runs everything else.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <string>

namespace dlcore {
namespace DLCORE_ISA {

#define DLCORE_FOR_EACH_DRIVER_FUNCTION(F) \
  F(cuInit)                                \
  F(cuDriverGetVersion)                    \
  F(cuDeviceGet)                           \
  F(cuDeviceGetCount)                      \
  F(cuDeviceGetAttribute)                  \
  F(cuDeviceGetName)                       \
  F(cuDevicePrimaryCtxRetain)              \
  F(cuCtxSetCurrent)                       \
  F(cuCtxSynchronize)                      \
  F(cuMemAlloc)                            \
  F(cuMemFree)                             \
  F(cuMemGetInfo)                          \
  F(cuMemcpyHtoDAsync)                     \
  F(cuMemcpyDtoHAsync)                     \
  F(cuMemcpyDtoDAsync)                     \
  F(cuMemsetD8Async)                       \
  F(cuStreamSynchronize)                   \
  F(cuModuleLoadData)                      \
  F(cuModuleGetFunction)                   \
  F(cuFuncSetAttribute)                    \
  F(cuLaunchKernel)                        \
  F(cuGetErrorName)                        \
  F(cuGetErrorString)

struct Driver {
#define FIELD(function) decltype(&::function) function = nullptr;
  DLCORE_FOR_EACH_DRIVER_FUNCTION(FIELD)
#undef FIELD
};

constexpr int kMostDevices = 64;

// Why no GPU can be used, in a line; empty when one can. Found out once.
const std::string& why_not();
const Driver& driver();  // std::runtime_error when there is none to use
int device_count();

// Of the calling thread. Everything below, and launches, are on them.
int current_device();
void set_device(int device);  // std::invalid_argument
CUstream current_stream();
void make_current();  // the device's primary context, which other libraries use too

// Whether kernels are given pointers into the host's memory, which some GPUs can read; see
// plugin.cpp.
bool host_memory();
void use_host_memory();  // std::runtime_error where the current device cannot

// What the driver said no to, with the op and its own words: std::runtime_error, or OutOfMemory.
[[noreturn]] void refuse(const char* what, CUresult result);
inline void check(const char* what, CUresult result) {
  if (result != CUDA_SUCCESS) refuse(what, result);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
