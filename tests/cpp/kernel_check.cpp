// Every kind of kernel against plain float64 loops, on each instruction set this CPU runs, without
// Python: this is what CI runs under qemu for aarch64. Lists, not prose: a kernel of a kind that is
// here takes one line. Prints what it checked and what of kernels.def it did not.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/parallel.h"

using namespace dlcore;

namespace {

using Wide = std::vector<double>;
template <class T>
using Values = std::vector<T>;

std::set<std::string> checked;
int failures = 0;

// Reproducible numbers in [low, high): a linear congruence, the same on every machine.
template <class T>
Values<T> numbers(int64_t n, double low, double high, uint32_t seed = 1) {
  Values<T> all(static_cast<size_t>(n));
  for (T& value : all) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<T>(low + (high - low) * (seed >> 8) / (1 << 24));
  }
  return all;
}

// What is right, and for each value the scale of its roundings: its own size, or that of the terms
// which may cancel to make it, or that times what a rounded argument is amplified by.
struct Expected {
  Wide value, scale;
  explicit Expected(size_t n = 0) : value(n), scale(n) {}
  void push(double v, double size) {
    value.push_back(v);
    scale.push_back(std::fabs(size));
  }
  void push(double v) { push(v, v); }
  void add(int64_t i, double term) {  // one term of the sum that value i is
    value[i] += term;
    scale[i] += std::fabs(term);
  }
};

// The largest error, in roundings at each value's scale.
template <class T>
void compare(const char* name, const Values<T>& got, const Expected& want, double allowed) {
  checked.insert(name);
  double error = 0;
  for (size_t i = 0; i < want.value.size(); ++i) {
    const double e = std::fabs(static_cast<double>(got[i]) - want.value[i]);
    if (e == 0) continue;
    error = std::max(error, std::isnan(e) ? INFINITY : e / want.scale[i]);
  }
  const double roundings = error / static_cast<double>(std::numeric_limits<T>::epsilon());
  if (roundings <= allowed) return;
  ++failures;
  std::printf("FAILED %s %s float%zu: %.3g roundings, allowed %.3g\n", isa().c_str(), name,
              8 * sizeof(T), roundings, allowed);
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double normal_cdf(double x) {  // a rounded argument would cost x^2 / 2 roundings
  return static_cast<double>(std::erfc(-static_cast<long double>(x) / std::sqrt(2.0L)) / 2);
}
double normal_pdf(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
}
// Twice the argument of gelu_tanh's tanh, and its slope. x sigmoid(u) does not cancel for x < 0.
double gelu_argument(double x) {
  return std::sqrt(8 / M_PI) * (x + 0.044715 * x * x * x);
}
double gelu_argument_slope(double x) {
  return std::sqrt(8 / M_PI) * (1 + 3 * 0.044715 * x * x);
}
// The derivative with the factor x of its second term given: |x| for the size of the terms.
double gelu_tanh_slope(double x, double factor) {
  const double u = gelu_argument(x);
  return sigmoid(u) * (1 + factor * gelu_argument_slope(x) * sigmoid(-u));
}

template <class T>
void check_unary(int64_t n) {
  const KernelTable<T>& k = kernels<T>();
  struct Row {
    const Kernel<void(const T*, T*, int64_t)>& kernel;
    double low, high;
    std::function<double(double)> f;
    std::function<double(double)> amplified = [](double) { return 1.0; };  // see Expected
    double allowed = 4;
  };
  const Row rows[] = {
      {k.exp, -9, 9, [](double x) { return std::exp(x); }},
      {k.expm1, -3, 3, [](double x) { return std::expm1(x); }},
      {k.log, 0.1, 90, [](double x) { return std::log(x); }},
      {k.log1p, -0.5, 9, [](double x) { return std::log1p(x); }},
      {k.erf, -3, 3, [](double x) { return std::erf(x); }},
      {k.sqrt, 0, 9, [](double x) { return std::sqrt(x); }},
      {k.rsqrt, 0.1, 9, [](double x) { return 1 / std::sqrt(x); }},
      {k.reciprocal, 0.1, 9, [](double x) { return 1 / x; }},
      {k.square, -9, 9, [](double x) { return x * x; }},
      {k.abs, -9, 9, [](double x) { return std::fabs(x); }},
      {k.neg, -9, 9, [](double x) { return -x; }},
      {k.sign, -9, 9, [](double x) { return (x > 0) - (x < 0.0); }},
      {k.relu_forward, -9, 9, [](double x) { return std::max(x, 0.0); }},
      {k.sigmoid_forward, -9, 9, sigmoid},
      {k.tanh_forward, -4, 4, [](double x) { return std::tanh(x); }},
      {k.gelu_forward, -4, 4, [](double x) { return x * normal_cdf(x); },
       [](double) { return 1.0; }, 5},
      {k.relu6_forward, -9, 9, [](double x) { return std::clamp(x, 0.0, 6.0); }},
      {k.gelu_tanh_forward, -4, 4, [](double x) { return x * sigmoid(gelu_argument(x)); },
       [](double x) { return 1 + std::fabs(gelu_argument(x)); }},
      {k.silu_forward, -9, 9, [](double x) { return x * sigmoid(x); }},
  };
  for (const Row& row : rows) {
    const Values<T> x = numbers<T>(n, row.low, row.high);
    Values<T> y(x.size());
    Expected want;
    for (T v : x) want.push(row.f(v), row.f(v) * row.amplified(v));
    row.kernel(x.data(), y.data(), n);
    compare(row.kernel.name, y, want, row.allowed);
  }
}

// Kernels (x or y, dy, dx): dx = dy times what f says of the first argument.
template <class T>
void check_backward(int64_t n) {
  const KernelTable<T>& k = kernels<T>();
  struct Row {
    const Kernel<void(const T*, const T*, T*, int64_t)>& kernel;
    double low, high;
    std::function<double(double)> f;
    std::function<double(double)> scale = nullptr;  // f itself, unless terms cancel
  };
  const Row rows[] = {
      {k.expm1_backward, -0.9, 9, [](double y) { return y + 1; }},
      {k.log1p_backward, -0.5, 9, [](double x) { return 1 / (1 + x); }},
      {k.erf_backward, -3, 3, [](double x) { return 2 / std::sqrt(M_PI) * std::exp(-x * x); },
       [](double x) { return 2 / std::sqrt(M_PI) * std::exp(-x * x) * (1 + x * x); }},
      {k.sqrt_backward, 0.5, 9, [](double y) { return 0.5 / y; }},
      {k.rsqrt_backward, 0.5, 2, [](double y) { return -0.5 * y * y * y; }},
      {k.reciprocal_backward, 0.5, 2, [](double y) { return -y * y; }},
      {k.square_backward, -9, 9, [](double x) { return 2 * x; }},
      {k.abs_backward, -9, 9, [](double x) { return (x > 0) - (x < 0.0); }},
      {k.relu_backward, -9, 9, [](double y) { return y > 0; }},
      {k.sigmoid_backward, 0, 1, [](double y) { return y * (1 - y); }},
      {k.relu6_backward, -9, 9, [](double y) { return y > 0 && y < 6; }},
      {k.tanh_backward, -1, 1, [](double y) { return 1 - y * y; },
       [](double y) { return 1 + y * y; }},
      {k.gelu_backward, -4, 4, [](double x) { return normal_cdf(x) + x * normal_pdf(x); },
       [](double x) { return normal_cdf(x) + std::fabs(x) * normal_pdf(x); }},
      {k.gelu_tanh_backward, -4, 4, [](double x) { return gelu_tanh_slope(x, x); },
       [](double x) {
         return gelu_tanh_slope(x, std::fabs(x)) * (1 + std::fabs(gelu_argument(x)));
       }},
      {k.silu_backward, -9, 9, [](double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); },
       [](double x) { return sigmoid(x) * (1 + std::fabs(x) * sigmoid(-x)); }},
  };
  for (const Row& row : rows) {
    const Values<T> x = numbers<T>(n, row.low, row.high), dy = numbers<T>(n, -2, 2, 7);
    Values<T> dx(x.size());
    Expected want;
    for (size_t i = 0; i < x.size(); ++i)
      want.push(dy[i] * row.f(x[i]), dy[i] * (row.scale ? row.scale : row.f)(x[i]));
    row.kernel(x.data(), dy.data(), dx.data(), n);
    compare(row.kernel.name, dx, want, 8);
  }
}

template <class T>
void check_binary(int64_t rows, int64_t cols) {
  const KernelTable<T>& k = kernels<T>();
  struct Row {
    const Kernel<void(const T*, const T*, T*, const Broadcast&)>& kernel;
    std::function<double(double, double)> f;
  };
  const Row all[] = {
      {k.add, [](double a, double b) { return a + b; }},
      {k.sub, [](double a, double b) { return a - b; }},
      {k.mul, [](double a, double b) { return a * b; }},
      {k.div, [](double a, double b) { return a / b; }},
      {k.pow, [](double a, double b) { return std::pow(a, b); }},
      {k.maximum, [](double a, double b) { return std::max(a, b); }},
      {k.minimum, [](double a, double b) { return std::min(a, b); }},
      {k.maximum_slope, [](double a, double b) { return ((a > b) + (a >= b)) / 2.0; }},
  };
  const Values<T> a = numbers<T>(rows * cols, 0.5, 2), b = numbers<T>(cols, 0.5, 2, 9);
  const Broadcast shape{2, {rows, cols}, {cols, 1}, {0, 1}};
  for (const Row& row : all) {
    Values<T> y(a.size());
    Expected want;
    for (int64_t i = 0; i < rows * cols; ++i) want.push(row.f(a[i], b[i % cols]));
    row.kernel(a.data(), b.data(), y.data(), shape);
    compare(row.kernel.name, y, want, 4);
  }
}

template <class T>
void check_rows(int64_t outer, int64_t n, int64_t inner) {
  const KernelTable<T>& k = kernels<T>();
  const Values<T> x = numbers<T>(outer * n * inner, -3, 3),
                  dy = numbers<T>(outer * n * inner, -1, 1, 5);
  Values<T> y(x.size()), log_y(x.size()), dx(x.size()), log_dx(x.size()), total(outer * inner);
  Expected p(x.size()), log_p(x.size()), dp(x.size()), log_dp(x.size()), sum(outer * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t j = 0; j < inner; ++j) {
      const auto at = [&](int64_t i) { return (o * n + i) * inner + j; };
      double s = 0, dot = 0, dot_size = 0, dsum = 0, dsum_size = 0;
      for (int64_t i = 0; i < n; ++i) s += std::exp(static_cast<double>(x[at(i)]));
      for (int64_t i = 0; i < n; ++i) {
        const double l = x[at(i)] - std::log(s), q = std::exp(l), d = dy[at(i)];
        log_p.add(at(i), x[at(i)]);
        log_p.add(at(i), -std::log(s));
        p.value[at(i)] = q;
        p.scale[at(i)] = q * (1 + std::fabs(l));
        dot += q * d;
        dot_size += q * std::fabs(d);
        dsum += d;
        dsum_size += std::fabs(d);
        sum.add(o * inner + j, x[at(i)]);
      }
      for (int64_t i = 0; i < n; ++i) {
        const double q = p.value[at(i)], d = dy[at(i)];
        dp.value[at(i)] = q * (d - dot);
        dp.scale[at(i)] = p.scale[at(i)] * (std::fabs(d) + dot_size);
        log_dp.value[at(i)] = d - q * dsum;
        log_dp.scale[at(i)] = std::fabs(d) + p.scale[at(i)] * dsum_size;
      }
    }
  }
  k.softmax_forward(x.data(), y.data(), outer, n, inner);
  compare("softmax_forward", y, p, 16);
  k.softmax_backward(y.data(), dy.data(), dx.data(), outer, n, inner);
  compare("softmax_backward", dx, dp, 32);
  k.log_softmax_forward(x.data(), log_y.data(), outer, n, inner);
  compare("log_softmax_forward", log_y, log_p, 16);
  k.log_softmax_backward(log_y.data(), dy.data(), log_dx.data(), outer, n, inner);
  compare("log_softmax_backward", log_dx, log_dp, 32);
  k.sum(x.data(), total.data(), Reduction{outer, n, inner, 1}, T(1));
  compare("sum", total, sum, 64);
}

// Forward and the three gradients of one convolution, by the definition.
template <class T>
void check_conv(const Conv2d& c) {
  const KernelTable<T>& k = kernels<T>();
  const int64_t in = c.channels / c.groups, out = c.out_channels / c.groups;
  const Values<T> x = numbers<T>(c.batch * c.channels * c.height * c.width, -1, 1);
  const Values<T> w = numbers<T>(c.out_channels * in * c.kernel_h * c.kernel_w, -1, 1, 3);
  const Values<T> b = numbers<T>(c.out_channels, -1, 1, 5);
  const Values<T> dy = numbers<T>(c.batch * c.out_channels * c.out_h * c.out_w, -1, 1, 7);
  Expected y(dy.size()), dx(x.size()), dw(w.size()), db(b.size());
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t o = 0; o < c.out_channels; ++o)
      for (int64_t r = 0; r < c.out_h; ++r)
        for (int64_t s = 0; s < c.out_w; ++s) {
          const int64_t at = ((n * c.out_channels + o) * c.out_h + r) * c.out_w + s;
          y.add(at, b[o]);
          db.add(o, dy[at]);
          for (int64_t i = 0; i < in; ++i)
            for (int64_t u = 0; u < c.kernel_h; ++u)
              for (int64_t v = 0; v < c.kernel_w; ++v) {
                const int64_t h = r * c.stride_h - c.pad_top + u * c.dilation_h;
                const int64_t l = s * c.stride_w - c.pad_left + v * c.dilation_w;
                if (h < 0 || h >= c.height || l < 0 || l >= c.width) continue;
                const int64_t xi =
                    ((n * c.channels + o / out * in + i) * c.height + h) * c.width + l;
                const int64_t wi = ((o * in + i) * c.kernel_h + u) * c.kernel_w + v;
                y.add(at, static_cast<double>(x[xi]) * w[wi]);
                dx.add(xi, static_cast<double>(dy[at]) * w[wi]);
                dw.add(wi, static_cast<double>(dy[at]) * x[xi]);
              }
        }
  Values<T> got_y(dy.size()), got_dx(x.size()), got_dw(w.size()), got_db(b.size());
  k.conv2d_forward(x.data(), w.data(), b.data(), got_y.data(), c, Activation::none);
  compare("conv2d_forward", got_y, y, 64);
  k.conv2d_backward_data(dy.data(), w.data(), got_dx.data(), c);
  compare("conv2d_backward_data", got_dx, dx, 64);
  k.conv2d_backward_weight(x.data(), dy.data(), got_dw.data(), c);
  compare("conv2d_backward_weight", got_dw, dw, 64);
  k.conv2d_backward_bias(dy.data(), got_db.data(), c);
  compare("conv2d_backward_bias", got_db, db, 64);
}

template <class T>
void check_pool(const Pool2d& p) {
  const Values<T> x = numbers<T>(p.planes * p.height * p.width, -1, 1);
  const size_t n = static_cast<size_t>(p.planes * p.out_h * p.out_w);
  Expected mean(n), top(n);
  top.value.assign(n, -INFINITY);
  for (int64_t q = 0; q < p.planes; ++q)
    for (int64_t r = 0; r < p.out_h; ++r)
      for (int64_t s = 0; s < p.out_w; ++s)
        for (int64_t u = 0; u < p.kernel_h; ++u)
          for (int64_t v = 0; v < p.kernel_w; ++v) {
            const int64_t h = r * p.stride_h - p.pad_top + u, l = s * p.stride_w - p.pad_left + v;
            if (h < 0 || h >= p.height || l < 0 || l >= p.width) continue;
            const double value = x[(q * p.height + h) * p.width + l];
            const int64_t at = (q * p.out_h + r) * p.out_w + s;
            mean.add(at, value / static_cast<double>(p.kernel_h * p.kernel_w));
            top.value[at] = std::max(top.value[at], value);
          }
  Values<T> y(n);
  kernels<T>().avg_pool2d_forward(x.data(), y.data(), p, true);
  compare("avg_pool2d_forward", y, mean, 16);
  kernels<T>().max_pool2d_forward(x.data(), y.data(), nullptr, p);
  compare("max_pool2d_forward", y, top, 0);
}

// The four layouts of the two factors, then what may follow the product.
template <class T>
void check_gemm(int64_t m, int64_t n, int64_t k) {
  const Values<T> a = numbers<T>(m * k, -1, 1), b = numbers<T>(k * n, -1, 1, 3),
                  bias = numbers<T>(n, -1, 1, 5), more = numbers<T>(m * n, -1, 1, 7);
  for (int layout = 0; layout < 4; ++layout) {
    const bool a_turned = layout & 1, b_turned = layout & 2;
    Gemm<T> g{};
    g.m = m, g.n = n, g.k = k, g.alpha = 1, g.batch = 1;
    g.a = a.data(), g.a_row = a_turned ? 1 : k, g.a_col = a_turned ? m : 1;
    g.b = b.data(), g.b_row = b_turned ? 1 : n, g.b_col = b_turned ? k : 1;
    g.bias = layout ? bias.data() : nullptr;
    g.residual = layout == 2 ? more.data() : nullptr;
    g.activation = layout == 3 ? Activation::relu : Activation::none;
    Values<T> c(more.size());
    g.c = c.data(), g.c_row = n;
    Expected want(c.size());
    for (int64_t i = 0; i < m * n; ++i) {
      for (int64_t l = 0; l < k; ++l)
        want.add(i, static_cast<double>(a[i / n * g.a_row + l * g.a_col]) *
                        b[l * g.b_row + i % n * g.b_col]);
      if (g.bias) want.add(i, bias[i % n]);
      if (g.residual) want.add(i, more[i]);
      if (g.activation == Activation::relu) want.value[i] = std::max(want.value[i], 0.0);
    }
    kernels<T>().gemm(g);
    compare("gemm", c, want, 64);
  }
}

template <class T>
void check_with_arguments(int64_t n) {
  const KernelTable<T>& k = kernels<T>();
  const Values<T> x = numbers<T>(n, -3, 3), dy = numbers<T>(n, -2, 2, 7);
  const T slope = T(0.125), low = T(-0.5), high = T(1.5);
  Expected leaky, leaky_slope, clipped, clip_slope, squares, slopes, total(1);
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i], d = dy[i], gap = v - d;
    leaky.push(v > 0 ? v : v * slope);
    leaky_slope.push(v > 0 ? d : d * slope);
    clipped.push(std::clamp<double>(v, low, high));
    clip_slope.push(v >= low && v <= high ? d : 0);
    squares.push(gap * gap);
    slopes.push(2 * d * gap);
    total.add(0, gap * gap);
  }
  Values<T> y(x.size());
  k.leaky_relu_forward(x.data(), y.data(), n, slope);
  compare("leaky_relu_forward", y, leaky, 1);
  k.leaky_relu_backward(x.data(), dy.data(), y.data(), n, slope);
  compare("leaky_relu_backward", y, leaky_slope, 1);
  k.clip(x.data(), y.data(), n, low, high);
  compare("clip", y, clipped, 0);
  k.clip_backward(x.data(), dy.data(), y.data(), n, low, high);
  compare("clip_backward", y, clip_slope, 0);
  k.mse_elements(x.data(), dy.data(), y.data(), n);
  compare("mse_elements", y, squares, 2);
  k.mse_backward(x.data(), dy.data(), dy.data(), 1, T(2), y.data(), n);
  compare("mse_backward", y, slopes, 2);
  double sum = 0;
  k.mse_forward(x.data(), dy.data(), &sum, n);
  compare("mse_forward", Values<T>{static_cast<T>(sum)}, total, sizeof(T) == 4 ? 16 : 1000);
}

// Over the first, the last, or two axes of (a, b, c, d).
template <class T>
void check_reductions(const Reduction& r) {
  const KernelTable<T>& k = kernels<T>();
  const int64_t kept = r.kept1 * r.kept2, n = r.reduced1 * r.reduced2;
  const Values<T> x = numbers<T>(kept * n, -1.5, 1.5), z = numbers<T>(kept * n, 0.9, 1.1, 3);
  Expected total(kept), sizes(kept), squares(kept), product(kept), high(kept), low(kept);
  product.value.assign(kept, 1);
  high.value.assign(kept, -INFINITY);
  low.value.assign(kept, INFINITY);
  for (int64_t i = 0; i < kept * n; ++i) {
    const int64_t at = i / (n * r.kept2) * r.kept2 + i / r.reduced2 % r.kept2;
    const double v = x[i];
    total.add(at, v / 2);
    sizes.add(at, std::fabs(v));
    squares.add(at, v * v);
    product.value[at] *= z[i];
    high.value[at] = std::max(high.value[at], v);
    low.value[at] = std::min(low.value[at], v);
  }
  for (int64_t i = 0; i < kept; ++i)
    product.scale[i] = static_cast<double>(n) * std::fabs(product.value[i]);
  const double allowed = sizeof(T) == 4 ? 16 : 64;  // float64: the loop above rounds as well
  Values<T> y(kept);
  k.sum(x.data(), y.data(), r, T(2));
  compare("sum", y, total, allowed);
  k.sum_abs(x.data(), y.data(), r);
  compare("sum_abs", y, sizes, allowed);
  k.sum_squares(x.data(), nullptr, y.data(), r, T(1));
  compare("sum_squares", y, squares, allowed);
  k.prod(z.data(), y.data(), r);
  compare("prod", y, product, 1);
  k.amax(x.data(), y.data(), r);
  compare("amax", y, high, 0);
  k.amin(x.data(), y.data(), r);
  compare("amin", y, low, 0);
}

// One step over two tensors; dropout keeps its share, the same for a part.
template <class T>
void check_steps(int64_t n) {
  const KernelTable<T>& k = kernels<T>();
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3),
                  m = numbers<T>(n, -1, 1, 5), v = numbers<T>(n, 0.1, 1, 7);
  const int64_t middle = n / 3;
  const int64_t start[] = {0, middle, n};
  Values<T> param = p, mean = m, square = v;
  T* const params[] = {param.data(), param.data() + middle};
  const T* const grads[] = {g.data(), g.data() + middle};
  T* const means[] = {mean.data(), mean.data() + middle};
  T* const squares[] = {square.data(), square.data() + middle};
  Expected sgd, adam;
  const T lr = T(0.125), beta1 = T(0.875), beta2 = T(0.75), eps = T(0.0625);
  for (int64_t i = 0; i < n; ++i) {
    const double buffer = static_cast<double>(beta1) * m[i] + g[i];
    sgd.push(p[i] - lr * buffer, 1 + std::fabs(p[i]));
    const double first = m[i] + (1 - beta1) * (static_cast<double>(g[i]) - m[i]);
    const double second =
        beta2 * static_cast<double>(v[i]) + (1 - beta2) * static_cast<double>(g[i]) * g[i];
    adam.push(p[i] - lr * first / (std::sqrt(second) + eps), 1 + std::fabs(p[i]));
  }
  k.sgd_step({2, start, params, grads, means, lr, beta1, 0, 0, false, false, false});
  compare("sgd_step", param, sgd, 4);
  param = p, mean = m;
  const T step_size[] = {lr, lr}, one[] = {1, 1};
  k.adam_step({2, start, params, grads, means, squares, nullptr, step_size, one, 1 - beta1, beta2,
               1 - beta2, eps, 0, 1, false, false});
  compare("adam_step", param, adam, 4);

  Values<T> some(n), fewer(n / 2);
  k.dropout(p.data(), some.data(), n, 1u << 30, T(4) / 3, 42, 0);
  k.dropout(p.data(), fewer.data(), n / 2, 1u << 30, T(4) / 3, 42, 0);
  Expected want;
  int64_t dropped = 0;
  for (int64_t i = 0; i < n; ++i) {
    dropped += some[i] == 0;
    want.push(some[i] == 0 ? 0 : p[i] * 4.0 / 3);
  }
  compare("dropout", some, want, 1);
  const double share = static_cast<double>(dropped) / static_cast<double>(n);
  const bool same = std::equal(fewer.begin(), fewer.end(), some.begin());
  if (same && (n < 1000 || std::fabs(share - 0.25) < 2 / std::sqrt(n))) return;
  ++failures;
  std::printf("FAILED %s dropout: %.3g of %lld dropped\n", isa().c_str(), share,
              static_cast<long long>(n));
}

template <class T>
void check_all() {
  for (int64_t n : {1, 3, 15, 16, 17, 1000, 70001}) {
    check_unary<T>(n);
    check_backward<T>(n);
    check_with_arguments<T>(n);
    check_steps<T>(n);
    check_binary<T>(std::max<int64_t>(n / 100, 1), n % 100 + 1);
  }
  for (int64_t n : {1, 2, 15, 33, 1000}) {
    check_rows<T>(5, n, 1);
    check_rows<T>(3, n, 7);
  }
  for (const Reduction& r :
       {Reduction{5, 1000, 1, 1}, {1, 300, 7, 1}, {3, 17, 5, 9}, {1, 1, 3, 40}})
    check_reductions<T>(r);
  check_gemm<T>(1, 70, 33);
  check_gemm<T>(70, 1, 33);
  check_gemm<T>(5, 17, 300);
  check_gemm<T>(67, 131, 300);
  check_conv<T>({2, 4, 9, 11, 6, 9, 11, 3, 3, 1, 1, 1, 1, 1, 1, 1});
  check_conv<T>({1, 4, 9, 11, 6, 4, 5, 3, 3, 2, 2, 1, 1, 0, 0, 2});
  check_conv<T>({1, 3, 12, 12, 5, 8, 8, 3, 3, 1, 1, 2, 2, 0, 0, 1});
  check_conv<T>({2, 20, 7, 5, 33, 7, 5, 1, 1, 1, 1, 1, 1, 0, 0, 1});
  check_pool<T>({3, 9, 11, 4, 5, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0});
  check_pool<T>({2, 8, 20, 4, 10, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0});
}

}  // namespace

int main() {
  choose_isa();
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    for (const std::string& name : isas()) {
      set_isa(name);
      check_all<float>();
      check_all<double>();
    }
  }
  std::string left;
  size_t all = 0;
#define KERNEL(name, args) \
  ++all;                   \
  if (!checked.count(#name)) left += std::string(" ") + #name;
#include "kernels.def"
#undef KERNEL
  std::printf(
      "%zu of %zu kernels on %zu instruction sets, %d failures; by the Python tests only:%s\n",
      checked.size(), all, isas().size(), failures, left.c_str());
  return failures != 0;
}
