// What may become of a convolution's sums.
#pragma once

#include <algorithm>

#include "check.h"

namespace dlcore {

// forward(want, finish) for the sums y as they are and with a finish of each kind.
template <class T, class Forward>
void check_finishes(const Expected& y, const Forward& forward) {
  const Values<T> more = numbers<T>(y.value.size(), -1, 1, 9);
  Expected sum = y, positive = y, six = y, bent = y;
  for (size_t i = 0; i < sum.value.size(); ++i) {
    sum.add(i, more[i]);
    positive.value[i] = std::max(y.value[i], 0.0L);
    six.value[i] = std::min(std::max(sum.value[i], 0.0L), 6.0L);
    bent.value[i] = y.value[i] > 0 ? y.value[i] : y.value[i] / 8;
  }
  forward(y, {});
  forward(sum, {more.data()});
  forward(positive, {nullptr, Activation::relu});
  forward(six, {more.data(), Activation::relu6});
  forward(bent, {nullptr, Activation::leaky_relu, T(0.125)});
}

}  // namespace dlcore
