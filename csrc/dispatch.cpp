#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "runtime/text.h"

#ifdef __x86_64__
#  include <cpuid.h>
#endif

namespace dlcore {

// DLCORE_FOR_EACH_ISA is ISA(baseline)ISA(avx2)...: what the build is made of, from CMakeLists.txt.
#define ISA(isa)                                                \
  namespace isa {                                               \
  void fill(KernelTable<float>& f32, KernelTable<double>& f64); \
  }
DLCORE_FOR_EACH_ISA
#undef ISA

namespace {

struct Target {
  const char* name;
  bool runs_here;
  void (*fill)(KernelTable<float>&, KernelTable<double>&);
  KernelTable<float> f32{};
  KernelTable<double> f64{};
};

#ifdef __x86_64__
// f16c, movbe and lzcnt belong to x86-64-v3 but not to the names every compiler's
// __builtin_cpu_supports knows. That function also asks whether the system saves the registers.
bool has_rest_of_v3() {
  unsigned a, b, c1 = 0, c2 = 0, d;
  __get_cpuid(1, &a, &b, &c1, &d);
  __get_cpuid(0x80000001, &a, &b, &c2, &d);
  return (c1 & bit_F16C) && (c1 & bit_MOVBE) && (c2 & bit_LZCNT);
}

bool cpu_runs(std::string_view name) {
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  if (name == "baseline" || name == "cuda_shim") return v2;
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  has_rest_of_v3();
  if (name == "avx2") return v3;
  return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool cpu_runs(std::string_view) {
  return true;
}
#endif

// Kernels for which the CPU, though it runs the set, lacks an instruction.
void take_out_what_is_lacking([[maybe_unused]] KernelTable<float>& table) {
#ifdef __x86_64__
#  undef KERNEL_DOT
#  define KERNEL(name)
#  define KERNEL_DOT(name, feature) \
    if (!__builtin_cpu_supports(feature)) table.name.function = nullptr;
#  include "kernels.def"
#  undef KERNEL
#  undef KERNEL_DOT
#endif
}

// Filled once and never destroyed: a call in another thread keeps the table it began with.
std::vector<Target>& targets() {
  static std::vector<Target>& all = *[] {
    auto* made = new std::vector<Target>{
#define ISA(isa) {#isa, cpu_runs(#isa), &isa::fill},
        DLCORE_FOR_EACH_ISA
#undef ISA
    };
    made->reserve(made->size() + 1);  // for add_target: `chosen` points into it
    const Target* lower = nullptr;    // what a set has no kernel for, the one below it does
    for (Target& target : *made) {
      if (!target.runs_here) continue;
      if (lower) target.f32 = lower->f32, target.f64 = lower->f64;
      target.fill(target.f32, target.f64);
      take_out_what_is_lacking(target.f32);
      lower = &target;
    }
    return made;
  }();
  return all;
}

std::atomic<const Target*> chosen{nullptr};

void choose(const std::string& name, const char* who) {
  for (const Target& target : targets()) {
    if (target.name != name || !target.runs_here) continue;
    chosen.store(&target, std::memory_order_release);
    return;
  }
  throw std::invalid_argument(who + name + ": this CPU and build can run " + join(isas(), ", "));
}

const Target& the_chosen() {
  return *chosen.load(std::memory_order_acquire);
}

}  // namespace

template <>
const KernelTable<float>& kernels<float>() {
  return the_chosen().f32;
}
template <>
const KernelTable<double>& kernels<double>() {
  return the_chosen().f64;
}

void choose_isa() {
  const char* wish = std::getenv("DLCORE_ISA");
  choose(wish && *wish ? wish : isas().back(), "DLCORE_ISA=");
}

void set_isa(const std::string& name) {
  choose(name, "set_isa: ");
}

void add_target(const char* name, void (*fill)(KernelTable<float>&, KernelTable<double>&)) {
  std::vector<Target>& all = targets();
  for (const Target& target : all)
    if (std::string_view(target.name) == name) return;
  if (all.size() == all.capacity()) throw std::runtime_error("add_target: there is one already");
  all.push_back({name, true, fill});
  fill(all.back().f32, all.back().f64);
}

std::string isa() {
  return the_chosen().name;
}

bool has_int8() {
  return the_chosen().f32.linear_int8.function;
}

bool has_bf16() {
  return the_chosen().f32.gemm_bf16.function;
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Target& target : targets())
    if (target.runs_here) names.emplace_back(target.name);
  if (names.empty()) throw std::runtime_error("dlcore: this CPU lacks the x86-64-v2 instructions");
  return names;
}

std::vector<std::string> built_isas() {
  std::vector<std::string> names;
  for (const Target& target : targets()) names.emplace_back(target.name);
  return names;
}

void missing_kernel(const char* name) {
  if (!name)
    throw NotImplemented("a kernel that this instruction set lacks was called: see set_isa");
  throw NotImplemented(std::string(name) + " has no cuda kernel");
}

}  // namespace dlcore
