// Softmax and log-softmax along rows and along columns.
#include "check.h"

namespace dlcore {
namespace {

template <class T>
void along(int64_t outer, int64_t n, int64_t inner) {
  const Values<T> x = numbers<T>(outer * n * inner, -3, 3),
                  dy = numbers<T>(outer * n * inner, -1, 1, 5);
  const int64_t size = outer * n * inner;
  Expected p(size), log_p(size), dp(size), log_dp(size);
  Values<T> y(size), log_y(size);  // the rounded results, which are backward's input
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t j = 0; j < inner; ++j) {
      const auto at = [&](int64_t i) { return (o * n + i) * inner + j; };
      Wide sum = 0, dot = 0, dot_size = 0, total = 0, total_size = 0;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<Wide>(x[at(i)]));
      for (int64_t i = 0; i < n; ++i) {
        const Wide l = x[at(i)] - std::log(sum), q = std::exp(l);
        p.set(at(i), q, q * (1 + std::fabs(l)));
        log_p.set(at(i), l, std::fabs(x[at(i)]) + std::fabs(std::log(sum)));
        y[at(i)] = static_cast<T>(q);
        log_y[at(i)] = static_cast<T>(l);
        const Wide d = dy[at(i)];
        dot += y[at(i)] * d;
        dot_size += std::fabs(y[at(i)] * d);
        total += d;
        total_size += std::fabs(d);
      }
      for (int64_t i = 0; i < n; ++i) {
        const Wide d = dy[at(i)], q = std::exp(static_cast<Wide>(log_y[at(i)]));
        dp.set(at(i), y[at(i)] * (d - dot), y[at(i)] * (std::fabs(d) + dot_size));
        log_dp.set(at(i), d - q * total, std::fabs(d) + q * total_size);
      }
    }
  // exp of what two subtractions rounded, a sum whose terms are all positive, a division.
  const double sum = chain(n) / 2;
  check<T>("softmax_forward", p, 3 + sum,
           [&](const auto& k, T* to) { k.softmax_forward(x.data(), to, outer, n, inner); });
  check<T>("log_softmax_forward", log_p, 2 + sum,
           [&](const auto& k, T* to) { k.log_softmax_forward(x.data(), to, outer, n, inner); });
  check<T>("softmax_backward", dp, 2 + sum, [&](const auto& k, T* to) {
    k.softmax_backward(y.data(), dy.data(), to, outer, n, inner);
  });
  check<T>("log_softmax_backward", log_dp, 2 + sum, [&](const auto& k, T* to) {
    k.log_softmax_backward(log_y.data(), dy.data(), to, outer, n, inner);
  });
}

}  // namespace

void check_softmax() {
  for (const int64_t n : {1, 2, 15, 33, 1000}) {
    along<float>(5, n, 1);
    along<float>(3, n, 7);
    along<double>(5, n, 1);
    along<double>(3, n, 7);
  }
  along<float>(200, 300, 1);
  along<double>(200, 300, 1);
}

}  // namespace dlcore
