#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "runtime/text.h"

namespace dlcore {

#ifdef DLCORE_X86
#define DLCORE_FOR_EACH_ISA(DO) DO(baseline) DO(avx2) DO(avx512)
#else
#define DLCORE_FOR_EACH_ISA(DO) DO(baseline)
#endif

#define DECLARE(isa)                                          \
  namespace isa {                                             \
  void fill(KernelTable<float>& f32, KernelTable<double>& f64); \
  }
DLCORE_FOR_EACH_ISA(DECLARE)
#undef DECLARE

namespace {

struct Target {
  std::string name;
  bool runs_here;
  void (*fill)(KernelTable<float>&, KernelTable<double>&);
};

bool cpu_runs(const std::string& name) {
#ifdef DLCORE_X86
  __builtin_cpu_init();
  if (name == "avx2") return __builtin_cpu_supports("x86-64-v3");
  if (name == "avx512") return __builtin_cpu_supports("x86-64-v4");
  return __builtin_cpu_supports("x86-64-v2");
#else
  return name == "baseline";
#endif
}

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
#define ENTRY(isa) {#isa, cpu_runs(#isa), &isa::fill},
      DLCORE_FOR_EACH_ISA(ENTRY)
#undef ENTRY
  };
  return all;
}

struct Chosen {
  std::string isa;
  KernelTable<float> f32;
  KernelTable<double> f64;

  Chosen() {
    const char* wish = std::getenv("DLCORE_ISA");
    choose(wish && *wish ? wish : isas().back(), "DLCORE_ISA=");
  }

  void choose(const std::string& name, const std::string& who) {
    for (const Target& target : targets()) {
      if (target.name != name || !target.runs_here) continue;
      target.fill(f32, f64);
      isa = name;
      return;
    }
    throw std::invalid_argument(who + name + ": this CPU and build can run " + join(isas(), ", "));
  }
};

Chosen& chosen() {
  static Chosen state;
  return state;
}

}  // namespace

template <>
const KernelTable<float>& kernels<float>() {
  return chosen().f32;
}
template <>
const KernelTable<double>& kernels<double>() {
  return chosen().f64;
}

std::string isa() { return chosen().isa; }

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Target& target : targets())
    if (target.runs_here) names.push_back(target.name);
  if (names.empty()) throw std::runtime_error("dlcore: this CPU lacks the x86-64-v2 instructions");
  return names;
}

std::vector<std::string> built_isas() {
  std::vector<std::string> names;
  for (const Target& target : targets()) names.push_back(target.name);
  return names;
}

void set_isa(const std::string& name) { chosen().choose(name, "set_isa: "); }

void missing_kernel(const char* name) { throw NotImplemented(std::string(name) + " has no kernel on this device"); }

}  // namespace dlcore
