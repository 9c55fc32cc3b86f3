// Scratch memory of a kernel: one block, cut into arrays.
#pragma once

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A bump allocator over one block of the buffer cache.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : block_(static_cast<char*>(buffer_acquire(bytes))) {}
  ~Scratch() { buffer_release(block_); }
  template <class U>
  U* take(int64_t n) {
    U* p = reinterpret_cast<U*>(block_ + used_);
    used_ += round_up(n * static_cast<int64_t>(sizeof(U)), 64);
    return p;
  }

 private:
  char* block_;
  int64_t used_ = 0;
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
