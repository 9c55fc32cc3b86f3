// Stacks to switch between, for fibers.cpp alone.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#  define DLCORE_ASAN 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define DLCORE_ASAN 1
#  endif
#endif
#ifdef DLCORE_ASAN
#  include <sanitizer/asan_interface.h>
#  include <sanitizer/common_interface_defs.h>
#endif

#ifdef __x86_64__
// Saves what a called function must keep on the old stack and takes up the new one.
extern "C" void dlcore_shim_switch(void** from, void* to);
asm(R"(
.text
.hidden dlcore_shim_switch
.globl dlcore_shim_switch
.type dlcore_shim_switch, @function
dlcore_shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size dlcore_shim_switch, .-dlcore_shim_switch
)");
#else
#  include <ucontext.h>
#endif

namespace dlcore::shim {
namespace {

constexpr size_t kStackBytes = size_t(256) << 10, kGuardBytes = 4096;

// A stack to switch to; also the caller's own.
struct Context {
#ifdef __x86_64__
  void* sp = nullptr;
#else
  ucontext_t context;
#endif
  unsigned char* stack = nullptr;  // its lowest byte; null for the caller's
  void* fake_stack = nullptr;      // ASan's

  void map() {
    void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuardBytes, PROT_NONE);
    stack = static_cast<unsigned char*>(memory) + kGuardBytes;
  }
  ~Context() {
    if (!stack) return;
    unpoison();
    munmap(stack - kGuardBytes, kGuardBytes + kStackBytes);
  }
  // What stands on a stack that nobody comes back to is never destroyed, and ASan takes its memory
  // for used.
  void unpoison() {
#ifdef DLCORE_ASAN
    __asan_unpoison_memory_region(stack, kStackBytes);
#endif
  }

  void start(void (*entry)()) {
    unpoison();
#ifdef DLCORE_ASAN
    fake_stack = nullptr;
#endif
#ifdef __x86_64__
    void** top = reinterpret_cast<void**>(stack + kStackBytes) - 2;
    *top = reinterpret_cast<void*>(entry);  // where `ret` goes: then the stack is as after a call
    top[1] = nullptr;
    top -= 6;
    std::memset(top, 0, 6 * sizeof(void*));
    sp = top;
#else
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = kStackBytes;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
#endif
  }
};

}  // namespace
}  // namespace dlcore::shim
