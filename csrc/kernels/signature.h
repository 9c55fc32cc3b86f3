// Kernels are functions of one dtype: T is float or double. A family's header has their signatures
// and the sizes they take, where there are more than a few. Inputs, then outputs, then sizes, then
// scalars. Row-major, last axis contiguous. A kernel writes its outputs (no adding up); y may be x
// only where the kernel's comment says so. Sizes are plain data: checked by the bindings, trusted
// by the kernels. Strides count elements.
#pragma once

#include <cstdint>

#define SIGNATURE(kernel, arguments) \
  template <class T>                 \
  using kernel##_signature = void arguments

// A function of these headers: inline always, as the copies of two instruction sets must not meet.
#ifdef __CUDACC__
#  define DLCORE_SHARED __host__ __device__ __forceinline__
#else
#  define DLCORE_SHARED inline __attribute__((always_inline))
#endif

// Ends a file of csrc/cpu: makes a kernel visible to the table. The pointers are constants, so
// that no code built for a newer CPU runs at load.
#define DLCORE_EXPORT(kernel)                                            \
  extern kernel##_signature<float>* const kernel##_f32 = &kernel<float>; \
  extern kernel##_signature<double>* const kernel##_f64 = &kernel<double>;
// Of a KERNEL_DOT, which is float32's alone.
#define DLCORE_EXPORT_DOT(kernel) extern kernel##_signature<float>* const kernel##_f32 = &kernel;
