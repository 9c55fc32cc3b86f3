// Fills this instruction set's column of the kernel table: a wrong signature fails to compile, a
// forgotten kernel fails to link. Called only once the CPU is known to run this code.
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {

#define KERNEL(name)                                \
  extern name##_signature<float>* const name##_f32; \
  extern name##_signature<double>* const name##_f64;
#include "kernels.def"
#undef KERNEL
#undef KERNEL_DOT

void fill(KernelTable<float>& f32, KernelTable<double>& f64) {
#define KERNEL_F64(kernel)              \
  f32.kernel = {kernel##_f32, #kernel}; \
  f64.kernel = {kernel##_f64, #kernel};
#define FLOAT(kernel) f32.kernel = {kernel##_f32, #kernel};
#ifdef __AVX512F__
#  define KERNEL_DOT(kernel, feature) FLOAT(kernel)  // dispatch.cpp takes out what the CPU lacks
#else
#  define KERNEL_DOT(kernel, feature)
#endif
// What a table does not take, as it holds that of the set below, the linker leaves out.
#ifdef DLCORE_BORROWS_F64
#  define KERNEL_F32 FLOAT
#  define KERNEL_V3_F32 FLOAT
#endif
#ifdef DLCORE_BORROWS_V3
#  define KERNEL FLOAT
#  define KERNEL_V3(kernel)
#  undef KERNEL_V3_F32
#  define KERNEL_V3_F32(kernel)
#else
#  define KERNEL KERNEL_F64
#endif
#include "kernels.def"
#undef KERNEL
#undef FLOAT
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
