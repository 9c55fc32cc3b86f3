// The benchmarks' measures of the machine.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

// The benchmarks' measures of the machine: they must do the work that they report.
template <class T>
void probes() {
  const int64_t n = 40000, piece = 1 << 14, chunks = 3;
  const Values<T> x = numbers<T>(n, -1, 1);
  Expected copied, sums((n + piece - 1) / piece), settled(chunks);
  for (int64_t i = 0; i < n; ++i) {
    copied.push(x[i]);
    sums.add(i / piece, x[i]);
  }
  for (int64_t i = 0; i < chunks; ++i) settled.set(i, 24);  // 12 chains of v = v / 2 + 1
  for (const bool past_caches : {false, true})
    check<T>("probe_copy", copied, 0,
             [&](const auto& k, T* y) { k.probe_copy(x.data(), y, n, past_caches); });
  check<T>("probe_read", sums, chain(piece / 16),  // 4 chains of 4 lanes or more
           [&](const auto& k, T* y) { k.probe_read(x.data(), y, n); });
  check<T>("probe_fma", settled, 0, [&](const auto& k, T* y) {
    Values<T> sink(chunks * 16);
    double flops = 0;
    k.probe_fma(sink.data(), &flops, chunks);
    for (int64_t i = 0; i < chunks; ++i) y[i] = flops > 1e6 ? sink[i * 16] : T(0);
  });
}

}  // namespace

void check_probe() {
  probes<float>();
  probes<double>();
}

}  // namespace dlcore
