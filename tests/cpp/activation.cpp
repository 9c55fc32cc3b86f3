// Activations and their gradients.
#include <algorithm>

#include "unary.h"

namespace dlcore {
namespace {

Wide sigmoid(Wide x) {
  return 1 / (1 + std::exp(-x));
}
Wide normal_cdf(Wide x) {
  return std::erfc(-x / std::sqrt(2.0L)) / 2;
}
Wide normal_pdf(Wide x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * kPi);
}
// Twice the argument of gelu_tanh's tanh, and its slope. x sigmoid(u) does not cancel for x < 0.
Wide gelu_argument(Wide x) {
  return std::sqrt(8 / kPi) * (x + 0.044715L * x * x * x);
}
Wide gelu_argument_slope(Wide x) {
  return std::sqrt(8 / kPi) * (1 + 3 * 0.044715L * x * x);
}
Wide gelu_tanh_slope(Wide x) {
  const Wide u = gelu_argument(x);
  return sigmoid(u) * (1 + x * gelu_argument_slope(x) * sigmoid(-u));
}

template <class T>
void tables() {
  using K = KernelTable<T>;
  const double tanh = sizeof(T) == 4 ? 1.5 : 2.5;
  const double gelu = sizeof(T) == 4 ? 4.6 : 6.5;  // 4.6 where there is an FMA
  check_table<T>(std::vector<Unary<T>>{
      {&K::relu_forward, -9, 9, [](Wide x) { return std::max(x, 0.0L); }, 0},
      {&K::relu6_forward, -9, 9, [](Wide x) { return std::clamp(x, 0.0L, 6.0L); }, 0},
      {&K::sigmoid_forward, -9, 9, sigmoid, 2.4},
      {&K::tanh_forward, -4, 4, [](Wide x) { return std::tanh(x); }, tanh},
      {&K::gelu_forward, -4, 4, [](Wide x) { return x * normal_cdf(x); }, gelu},
      // sigmoid's error and a product's
      {&K::gelu_tanh_forward, -4, 4, [](Wide x) { return x * sigmoid(gelu_argument(x)); }, 2.9,
       [](Wide x) { return 1 + std::fabs(gelu_argument(x)); }},
      {&K::silu_forward, -9, 9, [](Wide x) { return x * sigmoid(x); }, 2.9},
  });
  // 2 eps absolutely where the derivative passes through 0, and the product with dy.
  check_table<T>(std::vector<Gradient<T>>{
      {&K::relu_backward, -9, 9, [](Wide y) { return y > 0; }, 0},
      {&K::relu6_backward, -9, 9, [](Wide y) { return y > 0 && y < 6; }, 0},
      {&K::sigmoid_backward, 0, 1, [](Wide y) { return y * (1 - y); }, 1.5},
      {&K::tanh_backward, -1, 1, [](Wide y) { return 1 - y * y; }, 1.5, one},
      {&K::gelu_backward, -4, 4, [](Wide x) { return normal_cdf(x) + x * normal_pdf(x); }, 2.5,
       one},
      {&K::gelu_tanh_backward, -4, 4, gelu_tanh_slope, 2.5, one},
      {&K::silu_backward, -9, 9, [](Wide x) { return sigmoid(x) * (1 + x * sigmoid(-x)); }, 2.5,
       one},
  });
}

template <class T>
void leaky() {
  const T slope = T(0.125);
  for (const int64_t n : kLengths) {
    const Values<T> x = numbers<T>(n, -3, 3), dy = numbers<T>(n, -2, 2, 7);
    Expected y, dx;
    for (int64_t i = 0; i < n; ++i) {
      y.push(x[i] > 0 ? x[i] : x[i] * slope);
      dx.push(x[i] > 0 ? dy[i] : dy[i] * slope);
    }
    check<T>("leaky_relu_forward", y, 0,  // a slope of 1/8 rounds nothing
             [&](const auto& k, T* to) { k.leaky_relu_forward(x.data(), to, n, slope); });
    check<T>("leaky_relu_backward", dx, 0, [&](const auto& k, T* to) {
      k.leaky_relu_backward(x.data(), dy.data(), to, n, slope);
    });
  }
}

}  // namespace

void check_activation() {
  tables<float>();
  tables<double>();
  leaky<float>();
  leaky<double>();
}

}  // namespace dlcore
