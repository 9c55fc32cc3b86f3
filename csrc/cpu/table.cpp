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

void fill(KernelTable<float>& f32, KernelTable<double>& f64) {
#define KERNEL_F64(kernel)              \
  f32.kernel = {kernel##_f32, #kernel}; \
  f64.kernel = {kernel##_f64, #kernel};
#ifdef DLCORE_BORROWS_V3  // the tables hold avx2's already; what they do not take, the linker
                          // leaves out
#  define KERNEL_V3(kernel)
#  define KERNEL(kernel) f32.kernel = {kernel##_f32, #kernel};
#else
#  define KERNEL KERNEL_F64
#endif
#include "kernels.def"
#undef KERNEL
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
