// The kernels of one target (baseline, avx2, avx512, cuda) for one dtype, as a table of functions.
// kernels.def is the only list: it makes the slots here and fills them in cpu/table.cpp.
#pragma once

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/box_coding.h"
#include "kernels/boxes.h"
#include "kernels/compare.h"
#include "kernels/conv.h"
#include "kernels/ctc.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gather.h"
#include "kernels/gemm.h"
#include "kernels/grid_sample.h"
#include "kernels/int8.h"
#include "kernels/loss.h"
#include "kernels/nms.h"
#include "kernels/norm.h"
#include "kernels/optim.h"
#include "kernels/pad.h"
#include "kernels/pool.h"
#include "kernels/probe.h"
#include "kernels/random.h"
#include "kernels/reduction.h"
#include "kernels/resize.h"
#include "kernels/rnn.h"
#include "kernels/roi.h"
#include "kernels/scan.h"
#include "kernels/shuffle.h"
#include "kernels/signal.h"
#include "kernels/softmax.h"
#include "kernels/sort.h"

namespace dlcore {

[[noreturn]] void missing_kernel(const char* name);

template <class Signature>
struct Kernel;

template <class... Args>
struct Kernel<void(Args...)> {
  void (*function)(Args...);
  const char* name;

  void operator()(Args... args) const {
    if (!function) missing_kernel(name);
    function(args...);
  }
};

template <class T>
struct KernelTable {
#define KERNEL(name) Kernel<name##_signature<T>> name;
#include "kernels.def"
#undef KERNEL
};

}  // namespace dlcore
