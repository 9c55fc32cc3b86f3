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

// Largest error in roundings of the largest value.
template <class T>
void compare(const char* name, const Values<T>& got, const Wide& want, double allowed) {
  checked.insert(name);
  double scale = 0.1, error = 0;
  for (double w : want) scale = std::max(scale, std::fabs(w));
  for (size_t i = 0; i < want.size(); ++i) {
    const double e = std::fabs(static_cast<double>(got[i]) - want[i]);
    error = std::max(error, std::isnan(e) ? INFINITY : e);
  }
  const double roundings = error / scale / static_cast<double>(std::numeric_limits<T>::epsilon());
  if (roundings <= allowed) return;
  ++failures;
  std::printf("FAILED %s %s float%zu: %.3g roundings, allowed %.3g\n", isa().c_str(), name,
              8 * sizeof(T), roundings, allowed);
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double normal_cdf(double x) {
  return std::erfc(-x / std::sqrt(2.0)) / 2;
}
double normal_pdf(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
}
double gelu_tanh(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double slope(const std::function<double(double)>& f, double x) {
  return (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
}

template <class T>
void check_unary(int64_t n) {
  const KernelTable<T>& k = kernels<T>();
  struct Row {
    const Kernel<void(const T*, T*, int64_t)>& kernel;
    double low, high;
    std::function<double(double)> f;
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
      {k.gelu_forward, -4, 4, [](double x) { return x * normal_cdf(x); }},
      {k.gelu_tanh_forward, -4, 4, gelu_tanh},
      {k.silu_forward, -9, 9, [](double x) { return x * sigmoid(x); }},
  };
  for (const Row& row : rows) {
    const Values<T> x = numbers<T>(n, row.low, row.high);
    Values<T> y(x.size());
    Wide want;
    for (T v : x) want.push_back(row.f(static_cast<double>(v)));
    row.kernel(x.data(), y.data(), n);
    compare(row.kernel.name, y, want, 4);
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
  };
  const Row rows[] = {
      {k.expm1_backward, -0.9, 9, [](double y) { return y + 1; }},
      {k.log1p_backward, -0.5, 9, [](double x) { return 1 / (1 + x); }},
      {k.erf_backward, -3, 3, [](double x) { return 2 / std::sqrt(M_PI) * std::exp(-x * x); }},
      {k.sqrt_backward, 0.5, 9, [](double y) { return 0.5 / y; }},
      {k.rsqrt_backward, 0.5, 2, [](double y) { return -0.5 * y * y * y; }},
      {k.reciprocal_backward, 0.5, 2, [](double y) { return -y * y; }},
      {k.square_backward, -9, 9, [](double x) { return 2 * x; }},
      {k.abs_backward, -9, 9, [](double x) { return (x > 0) - (x < 0.0); }},
      {k.relu_backward, -9, 9, [](double y) { return y > 0; }},
      {k.sigmoid_backward, 0, 1, [](double y) { return y * (1 - y); }},
      {k.tanh_backward, -1, 1, [](double y) { return 1 - y * y; }},
      {k.gelu_backward, -4, 4, [](double x) { return normal_cdf(x) + x * normal_pdf(x); }},
      {k.gelu_tanh_backward, -4, 4, nullptr},
      {k.silu_backward, -9, 9, [](double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }},
  };
  for (const Row& row : rows) {
    const Values<T> x = numbers<T>(n, row.low, row.high), dy = numbers<T>(n, -2, 2, 7);
    Values<T> dx(x.size());
    Wide want;
    for (size_t i = 0; i < x.size(); ++i)
      want.push_back(dy[i] * (row.f ? row.f(x[i]) : slope(gelu_tanh, x[i])));
    row.kernel(x.data(), dy.data(), dx.data(), n);
    compare(row.kernel.name, dx, want, row.f || sizeof(T) == 4 ? 8 : 1e8);  // differences: 1e-9
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
  };
  const Values<T> a = numbers<T>(rows * cols, 0.5, 2), b = numbers<T>(cols, 0.5, 2, 9);
  const Broadcast shape{2, {rows, cols}, {cols, 1}, {0, 1}};
  for (const Row& row : all) {
    Values<T> y(a.size());
    Wide want;
    for (int64_t i = 0; i < rows * cols; ++i) want.push_back(row.f(a[i], b[i % cols]));
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
  Wide p(x.size()), log_p(x.size()), dp(x.size()), log_dp(x.size()), sum(outer * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t j = 0; j < inner; ++j) {
      const auto at = [&](int64_t i) { return (o * n + i) * inner + j; };
      double s = 0, dot = 0, dsum = 0;
      for (int64_t i = 0; i < n; ++i) s += std::exp(static_cast<double>(x[at(i)]));
      for (int64_t i = 0; i < n; ++i) {
        log_p[at(i)] = x[at(i)] - std::log(s);
        p[at(i)] = std::exp(log_p[at(i)]);
        dot += p[at(i)] * dy[at(i)];
        dsum += dy[at(i)];
        sum[o * inner + j] += x[at(i)];
      }
      for (int64_t i = 0; i < n; ++i) {
        dp[at(i)] = p[at(i)] * (dy[at(i)] - dot);
        log_dp[at(i)] = dy[at(i)] - p[at(i)] * dsum;
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
  Wide y(dy.size()), dx(x.size()), dw(w.size()), db(b.size());
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t o = 0; o < c.out_channels; ++o)
      for (int64_t r = 0; r < c.out_h; ++r)
        for (int64_t s = 0; s < c.out_w; ++s) {
          const int64_t at = ((n * c.out_channels + o) * c.out_h + r) * c.out_w + s;
          y[at] = b[o];
          db[o] += dy[at];
          for (int64_t i = 0; i < in; ++i)
            for (int64_t u = 0; u < c.kernel_h; ++u)
              for (int64_t v = 0; v < c.kernel_w; ++v) {
                const int64_t h = r * c.stride_h - c.pad_top + u * c.dilation_h;
                const int64_t l = s * c.stride_w - c.pad_left + v * c.dilation_w;
                if (h < 0 || h >= c.height || l < 0 || l >= c.width) continue;
                const int64_t xi =
                    ((n * c.channels + o / out * in + i) * c.height + h) * c.width + l;
                const int64_t wi = ((o * in + i) * c.kernel_h + u) * c.kernel_w + v;
                y[at] += static_cast<double>(x[xi]) * w[wi];
                dx[xi] += static_cast<double>(dy[at]) * w[wi];
                dw[wi] += static_cast<double>(dy[at]) * x[xi];
              }
        }
  Values<T> got_y(y.size()), got_dx(dx.size()), got_dw(dw.size()), got_db(db.size());
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
  Wide mean(p.planes * p.out_h * p.out_w), top(mean.size(), -INFINITY);
  for (int64_t q = 0; q < p.planes; ++q)
    for (int64_t r = 0; r < p.out_h; ++r)
      for (int64_t s = 0; s < p.out_w; ++s)
        for (int64_t u = 0; u < p.kernel_h; ++u)
          for (int64_t v = 0; v < p.kernel_w; ++v) {
            const int64_t h = r * p.stride_h - p.pad_top + u, l = s * p.stride_w - p.pad_left + v;
            if (h < 0 || h >= p.height || l < 0 || l >= p.width) continue;
            const double value = x[(q * p.height + h) * p.width + l];
            double& m = mean[(q * p.out_h + r) * p.out_w + s];
            m += value / static_cast<double>(p.kernel_h * p.kernel_w);
            double& t = top[(q * p.out_h + r) * p.out_w + s];
            t = std::max(t, value);
          }
  Values<T> y(mean.size());
  kernels<T>().avg_pool2d_forward(x.data(), y.data(), p, true);
  compare("avg_pool2d_forward", y, mean, 16);
  kernels<T>().max_pool2d_forward(x.data(), y.data(), nullptr, p);
  compare("max_pool2d_forward", y, top, 0);
}

template <class T>
void check_all() {
  for (int64_t n : {1, 3, 15, 16, 17, 1000, 70001}) {
    check_unary<T>(n);
    check_backward<T>(n);
    check_binary<T>(std::max<int64_t>(n / 100, 1), n % 100 + 1);
  }
  for (int64_t n : {1, 2, 15, 33, 1000}) {
    check_rows<T>(5, n, 1);
    check_rows<T>(3, n, 7);
  }
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
