// The kernels of one target (baseline, avx2, avx512, cuda) for one dtype, as a table of functions.
// kernels.def is the only list: it makes the slots here and the declarations in dispatch.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shapes.h"

namespace dlcore {

[[noreturn]] void missing_kernel(const char* name);

template <class Signature>
struct Kernel;

template <class... Args>
struct Kernel<void(Args...)> {
  using Function = void (*)(Args...);
  Function function;
  const char* name;

  void operator()(Args... args) const {
    if (!function) missing_kernel(name);
    function(args...);
  }
};

template <class T>
struct KernelTable {
#define KERNEL(name, args) Kernel<void args> name;
#include "kernels.def"
#undef KERNEL
};

}  // namespace dlcore

// Ends a file of csrc/cpu: makes a kernel visible to the table. The pointers are constants, so
// that no code built for a newer CPU runs at load.
#define DLCORE_EXPORT(kernel)                                                                \
  extern const decltype(KernelTable<float>::kernel)::Function kernel##_f32 = &kernel<float>; \
  extern const decltype(KernelTable<double>::kernel)::Function kernel##_f64 = &kernel<double>;
