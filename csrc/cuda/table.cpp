// Fills the column of the kernel table that is this device's. A word without a kernel stays empty:
// a call of it says so.
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {

#define KERNEL(name)                                                      \
  extern name##_signature<float>* const name##_f32 __attribute__((weak)); \
  extern name##_signature<double>* const name##_f64 __attribute__((weak));
#include "kernels.def"
#undef KERNEL

void fill(KernelTable<float>& f32, KernelTable<double>& f64) {
#define KERNEL(kernel)                                            \
  f32.kernel = {&kernel##_f32 ? kernel##_f32 : nullptr, #kernel}; \
  f64.kernel = {&kernel##_f64 ? kernel##_f64 : nullptr, #kernel};
#include "kernels.def"
#undef KERNEL
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
