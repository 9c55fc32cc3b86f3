// kernel_check: every kernel of kernels.def against plain loops, on each instruction set this CPU
// runs, without Python: this is what CI runs under qemu for aarch64. With --errors it lists the
// largest error of each kernel beside its limit. A kernel that no family checks is a failure.
#include <algorithm>
#include <map>
#include <set>

#include "check.h"

namespace dlcore {
namespace {

struct Seen {
  double error = 0, allowed = 0;  // of the case nearest to its limit
};
std::map<std::string, std::map<int, Seen>> seen;
int failures = 0;

// Families that have no file here yet; the Python tests check them on every instruction set.
const std::set<std::string> by_python_only = {"encode_boxes",       "encode_boxes_backward",
                                              "decode_boxes",       "decode_boxes_backward",
                                              "grid_boxes",         "nms",
                                              "soft_nms",           "roi_align_forward",
                                              "roi_align_backward", "roi_pool_forward",
                                              "roi_pool_backward",  "gemm_bf16",
                                              "linear_int8",        "lstm_int8"};

double fraction(double error, double allowed) {
  return allowed > 0 ? error / allowed : error;
}

}  // namespace

void fail(const std::string& kernel, int bits, const char* what) {
  ++failures;
  std::printf("FAILED %s %s float%d: %s\n", isa().c_str(), kernel.c_str(), bits, what);
}

void note(const std::string& kernel, int bits, double error, double allowed) {
  Seen& worst = seen[kernel][bits];
  if (fraction(error, allowed) >= fraction(worst.error, worst.allowed)) worst = {error, allowed};
  if (error <= allowed) return;
  char what[80];
  std::snprintf(what, sizeof what, "error %.3g eps, allowed %.3g", error, allowed);
  fail(kernel, bits, what);
}

}  // namespace dlcore

int main(int argc, char** argv) {
  using namespace dlcore;
  choose_isa();
#define FAMILY(name) check_##name();
#include "families.def"
#undef FAMILY
  if (argc > 1 && std::string(argv[1]) == "--errors")
    for (const auto& [kernel, dtypes] : seen)
      for (const auto& [bits, worst] : dtypes)
        std::printf("%-26s float%d  %7.3f eps of %.3g\n", kernel.c_str(), bits, worst.error,
                    worst.allowed);
  size_t all = 0;
#define KERNEL(name)                                            \
  ++all;                                                        \
  for (const int bits : {32, 64})                               \
    if (seen[#name].count(bits) == by_python_only.count(#name)) \
      fail(#name, bits, "must be checked in tests/cpp, or be in by_python_only of main.cpp");
#include "kernels.def"
#undef KERNEL
  std::printf("%zu kernels, %zu of them by Python only, on %zu instruction sets: %d failures\n",
              all, by_python_only.size(), isas().size(), failures);
  return failures != 0;
}
