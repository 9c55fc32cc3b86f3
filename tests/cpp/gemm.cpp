// Matrix products with all that may follow, and the gradient through it.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

constexpr Activation kActivations[] = {
    Activation::none,       Activation::relu,    Activation::relu6,
    Activation::leaky_relu, Activation::gelu,    Activation::gelu_tanh,
    Activation::silu,       Activation::sigmoid, Activation::tanh};
constexpr double kSlope = 0.125;

Wide sigmoid(Wide x) {
  return 1 / (1 + std::exp(-x));
}
Wide activated(Activation activation, Wide z) {
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return std::max(z, 0.0L);
    case Activation::relu6:
      return std::min(std::max(z, 0.0L), 6.0L);
    case Activation::leaky_relu:
      return z > 0 ? z : z * kSlope;
    case Activation::gelu:
      return z * std::erfc(-z / std::sqrt(2.0L)) / 2;
    case Activation::gelu_tanh:
      return z * sigmoid(std::sqrt(8 / kPi) * (z + 0.044715L * z * z * z));
    case Activation::silu:
      return z * sigmoid(z);
    case Activation::sigmoid:
      return sigmoid(z);
    case Activation::tanh:
      return std::tanh(z);
  }
  return NAN;
}

// The derivative, which the product keeps for backward where the output does not give it.
bool keeps_derivative(Activation activation) {
  return activation == Activation::leaky_relu || activation == Activation::gelu ||
         activation == Activation::gelu_tanh || activation == Activation::silu;
}
Wide derivative(Activation activation, Wide z) {
  const Wide s = sigmoid(z), scale = std::sqrt(8 / kPi);
  const Wide t = sigmoid(scale * (z + 0.044715L * z * z * z));
  switch (activation) {
    case Activation::leaky_relu:
      return z > 0 ? 1 : kSlope;
    case Activation::gelu:
      return std::erfc(-z / std::sqrt(2.0L)) / 2 + z * std::exp(-z * z / 2) / std::sqrt(2 * kPi);
    case Activation::gelu_tanh:
      return t * (1 + z * scale * (1 + 3 * 0.044715L * z * z) * (1 - t));
    case Activation::silu:
      return s * (1 + z * (1 - s));
    default:
      return NAN;
  }
}

// The derivative by what was kept: the output of relu, sigmoid and tanh, itself of the others.
Wide slope_of(Activation activation, Wide kept) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return kept > 0;
    case Activation::relu6:
      return kept > 0 && kept < 6;
    case Activation::sigmoid:
      return kept * (1 - kept);
    case Activation::tanh:
      return 1 - kept * kept;
    default:
      return kept;
  }
}

template <class T>
struct Case {
  int64_t m, n, k, batch = 1;
  bool a_turned = false, b_turned = false;
  T alpha = 1, beta = 0;
  bool bias = false, residual = false, keep = false;  // keep: the derivative
  Activation activation = Activation::none;
};

template <class T>
void product(const Case<T>& c) {
  const int64_t m = c.m, n = c.n, k = c.k, size = c.batch * m * n;
  const Values<T> a = numbers<T>(c.batch * m * k, -1, 1), b = numbers<T>(c.batch * k * n, -1, 1, 3),
                  bias = numbers<T>(n, -1, 1, 5), more = numbers<T>(size, -1, 1, 7),
                  before = numbers<T>(size, -1, 1, 9);
  std::vector<int64_t> a_at(c.batch), b_at(c.batch);
  for (int64_t i = 0; i < c.batch; ++i) {  // the factors in reverse
    a_at[i] = (c.batch - 1 - i) * m * k;
    b_at[i] = (c.batch - 1 - i) * k * n;
  }
  Gemm<T> g{};
  g.m = m, g.n = n, g.k = k, g.alpha = c.alpha, g.beta = c.beta, g.batch = c.batch;
  g.a = a.data(), g.a_row = c.a_turned ? 1 : k, g.a_col = c.a_turned ? m : 1;
  g.b = b.data(), g.b_row = c.b_turned ? 1 : n, g.b_col = c.b_turned ? k : 1;
  g.bias = c.bias ? bias.data() : nullptr;
  g.residual = c.residual ? more.data() : nullptr;
  g.activation = c.activation, g.slope = T(kSlope);
  g.c_row = n, g.a_batch = a_at.data(), g.b_batch = b_at.data();
  Expected sum(size), y(size), slope(size);
  for (int64_t i = 0; i < size; ++i) {
    const int64_t of = i / (m * n), row = i / n % m, col = i % n;
    for (int64_t l = 0; l < k; ++l)
      sum.add(i, static_cast<Wide>(c.alpha) * a[a_at[of] + row * g.a_row + l * g.a_col] *
                     b[b_at[of] + l * g.b_row + col * g.b_col]);
    sum.add(i, static_cast<Wide>(c.beta) * before[i]);
    if (c.bias) sum.add(i, bias[col]);
    if (c.residual) sum.add(i, more[i]);
    // No activation is steeper than 1.13, or ends further from 0 than its argument, but sigmoid.
    y.set(i, activated(c.activation, sum.value[i]), 1.13L * sum.scale[i] + 0.5L);
    // And no derivative is steeper than 0.8.
    slope.set(i, derivative(c.activation, sum.value[i]), 0.8L * sum.scale[i] + 1);
  }
  std::vector<Want> wants{{c.activation == Activation::none ? sum : y, chain(k) + 3}};
  if (c.keep) wants.push_back({slope, chain(k) + 3});
  check<T>("gemm", wants, [&](const KernelTable<T>& kernels, T* const* to) {
    Gemm<T> call = g;
    call.c = to[0];
    call.derivative = c.keep ? to[1] : nullptr;
    if (c.beta != 0) std::copy(before.begin(), before.end(), to[0]);
    kernels.gemm(call);
  });
}

template <class T>
void gradient(int64_t rows, int64_t n, Activation activation) {
  const bool by_output = activation == Activation::sigmoid || activation == Activation::tanh;
  const Values<T> kept = numbers<T>(rows * n, by_output ? 0 : -3, by_output ? 1 : 3),
                  dy = numbers<T>(rows * n, -1, 1, 5);
  Expected dz, db(n);
  for (int64_t i = 0; i < rows * n; ++i) {
    const Wide d = dy[i] * slope_of(activation, kept[i]);
    dz.push(d, dy[i]);
    db.add(i % n, d);
  }
  for (int64_t j = 0; j < n; ++j)
    db.scale[j] += static_cast<Wide>(std::sqrt(rows));  // dz's roundings
  std::vector<Want> wants{{db, chain(rows) + 4}};
  if (activation != Activation::none) wants.push_back({dz, 4});
  check<T>("linear_gradient", wants, [&](const KernelTable<T>& k, T* const* to) {
    T* const out = activation == Activation::none ? nullptr : to[1];
    k.linear_gradient(kept.data(), dy.data(), out, to[0], rows, n, activation);
  });
}

template <class T>
void all() {
  struct Size {
    int64_t m, n, k;
  };
  for (const Size& s : {Size{1, 70, 33},
                        {70, 1, 33},
                        {5, 17, 300},
                        {67, 131, 300},
                        {3, 4, 0},
                        {3, 530, 260},  // few rows or columns, in several chunks
                        {530, 7, 260}})
    for (int layout = 0; layout < 4; ++layout) {
      Case<T> c{s.m, s.n, s.k};
      c.a_turned = layout & 1, c.b_turned = layout & 2;
      product(c);
      c.bias = c.residual = true;
      product(c);
    }
  product<T>({20, 33, 40, 3});
  product<T>({20, 33, 40, 1, false, false, T(0.5), T(2)});
  for (const Activation activation : kActivations) {
    Case<T> c{19, 37, 50};
    c.bias = true, c.activation = activation, c.keep = keeps_derivative(activation);
    product(c);
    gradient<T>(5, 37, activation);
    gradient<T>(600, 37, activation);  // several slices of rows
    gradient<T>(3, 1100, activation);  // and of columns
  }
}

}  // namespace

void check_gemm() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
