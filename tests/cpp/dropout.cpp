// Dropout, by the words of Philox.
#include "philox.h"

namespace dlcore {
namespace {

template <class T>
void dropped(int64_t n) {
  const Values<T> x = numbers<T>(n, -1, 1);
  const std::vector<uint32_t> words = philox_words(n, 42, 1000, 0);
  const uint32_t quarter = 1u << 30;
  Expected want;
  for (int64_t i = 0; i < n; ++i)
    want.push(words[i] < quarter ? 0 : x[i] * static_cast<Wide>(T(4) / 3));
  check<T>("dropout", want, 0.5, [&](const auto& k, T* y) {
    k.dropout(x.data(), y, n, quarter, T(4) / 3, T(-0.0), T(0), 42, 1000);
  });
  Expected shifted;
  for (int64_t i = 0; i < n; ++i)
    shifted.push(words[i] < quarter ? Wide(-2) : x[i] * Wide(1.5L) + 0.5L, 2);
  check<T>("dropout", shifted, 1, [&](const auto& k, T* y) {
    k.dropout(x.data(), y, n, quarter, T(1.5), T(0.5), T(-2), 42, 1000);
  });
}

}  // namespace

void check_dropout() {
  for (const int64_t n : {1, 63, 64, 65, 40009}) {
    dropped<float>(n);
    dropped<double>(n);
  }
}

}  // namespace dlcore
