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

// A curve with its numbers: y and its derivative, at a scale that their terms have.
struct Formula {
  Curve curve;
  double a, b, c;
  Function f, slope;
  double allowed;  // eps of 1 + |y|
};

const Formula kFormulas[] = {
    {Curve::elu, 1, 0.5, 1, [](Wide x) { return x > 0 ? x : 0.5L * std::expm1(x); },
     [](Wide x) { return x > 0 ? 1 : 0.5L * std::exp(x); }, 3},
    {Curve::softplus, 2, 5, 0.5,
     [](Wide x) { return 2 * x > 5 ? x : std::log1p(std::exp(2 * x)) / 2; },
     [](Wide x) { return 2 * x > 5 ? 1 : sigmoid(2 * x); }, 3},
    {Curve::mish, 0, 0, 0, [](Wide x) { return x * std::tanh(std::log1p(std::exp(x))); },
     [](Wide x) {
       const Wide t = std::tanh(std::log1p(std::exp(x)));
       return t + x * (1 - t * t) * sigmoid(x);
     },
     4},
    {Curve::hard_sigmoid, 1 / 6.0, -3, 3, [](Wide x) { return std::clamp(x + 3, 0.0L, 6.0L) / 6; },
     [](Wide x) { return x > -3 && x < 3 ? 1 / 6.0L : 0; }, 1.5},
    {Curve::hard_tanh, 1, -0.5, 2, [](Wide x) { return std::clamp(x, -0.5L, 2.0L); },
     [](Wide x) { return x > -0.5L && x < 2; }, 0},
    {Curve::hard_swish, 0, 0, 0, [](Wide x) { return x * std::clamp(x + 3, 0.0L, 6.0L) / 6; },
     [](Wide x) { return x >= 3   ? 1
                         : x > -3 ? x / 3 + 0.5L
                                  : 0; }, 1.5},
    {Curve::softsign, 0, 0, 0, [](Wide x) { return x / (1 + std::fabs(x)); },
     [](Wide x) { return 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))); }, 2},
    {Curve::soft_shrink, 0.5, 0, 0, [](Wide x) { return x - std::clamp(x, -0.5L, 0.5L); },
     [](Wide x) { return std::fabs(x) > 0.5L; }, 0.5},
    {Curve::hard_shrink, 0.5, 0, 0, [](Wide x) { return std::fabs(x) > 0.5L ? x : 0; },
     [](Wide x) { return std::fabs(x) > 0.5L; }, 0},
    {Curve::threshold, 0.5, -2, 0, [](Wide x) { return x > 0.5L ? x : -2; },
     [](Wide x) { return x > 0.5L; }, 0},
    {Curve::step, 0.5, 0, 0, [](Wide x) { return x >= 0.5L; }, [](Wide) { return 0; }, 0},
};

template <class T>
void curves() {
  for (const Formula& f : kFormulas)
    for (const int64_t n : kLengths) {
      const Values<T> x = numbers<T>(n, -9, 9), dy = numbers<T>(n, -2, 2, 7);
      const T a = T(f.a), b = T(f.b), c = T(f.c);
      Expected y, dx;
      for (int64_t i = 0; i < n; ++i) {
        y.push(f.f(x[i]), 1 + std::fabs(f.f(x[i])));
        dx.push(dy[i] * f.slope(x[i]), dy[i]);
      }
      check<T>("curve_forward", y, f.allowed,
               [&](const auto& k, T* to) { k.curve_forward(x.data(), to, n, f.curve, a, b, c); });
      check<T>("curve_backward", dx, f.allowed + 0.5, [&](const auto& k, T* to) {
        k.curve_backward(x.data(), dy.data(), to, n, f.curve, a, b, c);
      });
    }
}

Wide gate(Gate kind, Wide x) {
  switch (kind) {
    case Gate::sigmoid:
      return sigmoid(x);
    case Gate::gelu:
      return x * normal_cdf(x);
    case Gate::gelu_tanh:
      return x * sigmoid(gelu_argument(x));
    case Gate::silu:
      return x * sigmoid(x);
    default:
      return x > 0 ? x : 0;
  }
}
Wide gate_slope(Gate kind, Wide x) {
  switch (kind) {
    case Gate::sigmoid:
      return sigmoid(x) * sigmoid(-x);
    case Gate::gelu:
      return normal_cdf(x) + x * normal_pdf(x);
    case Gate::gelu_tanh:
      return gelu_tanh_slope(x);
    case Gate::silu:
      return sigmoid(x) * (1 + x * sigmoid(-x));
    default:
      return x > 0;
  }
}

template <class T>
void gates() {
  for (const Gate kind : {Gate::sigmoid, Gate::gelu, Gate::gelu_tanh, Gate::silu, Gate::relu})
    for (const auto& size : {std::pair<int64_t, int64_t>{1, 3}, {7, 33}, {3, 2050}}) {
      const int64_t rows = size.first, n = size.second;
      const Values<T> x = numbers<T>(2 * rows * n, -3, 3), dy = numbers<T>(rows * n, -2, 2, 7);
      Expected y, dx(2 * rows * n);
      for (int64_t i = 0; i < rows * n; ++i) {
        const int64_t at = i / n * 2 * n + i % n;
        const Wide a = x[at], b = x[at + n], d = dy[i];
        y.push(a * gate(kind, b), a);
        dx.set(at, d * gate(kind, b), d);
        dx.set(at + n, d * a * gate_slope(kind, b), d * a);
      }
      check<T>("glu_forward", y, 8,
               [&](const auto& k, T* to) { k.glu_forward(x.data(), to, rows, n, kind); });
      check<T>("glu_backward", dx, 8, [&](const auto& k, T* to) {
        k.glu_backward(x.data(), dy.data(), to, rows, n, kind);
      });
    }
}

template <class T>
void prelu() {
  const int64_t shapes[][3] = {{1, 1, 5}, {2, 1, 9000}, {5, 3, 17}, {3, 2, 5000}, {700, 65, 1}};
  for (const auto& shape : shapes) {
    const int64_t outer = shape[0], channels = shape[1], inner = shape[2];
    const int64_t n = outer * channels * inner;
    const Values<T> x = numbers<T>(n, -3, 3), w = numbers<T>(channels, -1, 1, 5);
    const Values<T> dy = numbers<T>(n, -2, 2, 7);
    Expected y, dx, dw(channels);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t c = i / inner % channels;
      y.push(x[i] > 0 ? Wide(x[i]) : Wide(w[c]) * x[i]);
      dx.push(x[i] > 0 ? Wide(dy[i]) : Wide(w[c]) * dy[i]);
      dw.add(c, x[i] > 0 ? 0 : Wide(x[i]) * dy[i]);
    }
    check<T>("prelu_forward", y, 0.5, [&](const auto& k, T* to) {
      k.prelu_forward(x.data(), w.data(), to, outer, channels, inner);
    });
    check<T>(
        "prelu_backward", {{dx, 0.5}, {dw, chain(n / channels)}}, [&](const auto& k, T* const* to) {
          k.prelu_backward(x.data(), w.data(), dy.data(), to[0], to[1], outer, channels, inner);
        });
  }
}

}  // namespace

void check_activation() {
  tables<float>();
  tables<double>();
  leaky<float>();
  leaky<double>();
  curves<float>();
  curves<double>();
  gates<float>();
  gates<double>();
  prelu<float>();
  prelu<double>();
}

}  // namespace dlcore
