// Orders along an axis, the first of them, and cumulative sums.
#include <algorithm>
#include <numeric>

#include "check.h"

namespace dlcore {
namespace {

template <class T>
void along(int64_t outer, int64_t n, int64_t inner, int64_t count) {
  const int64_t size = outer * n * inner;
  Values<T> x = numbers<T>(size, -3, 3);
  for (int64_t i = 0; i < size; i += 3) x[i] = std::round(x[i]);  // some are equal
  for (int64_t i = 7; i < size; i += 50) x[i] = std::numeric_limits<T>::quiet_NaN();
  const auto before = [](T a, T b) { return std::isnan(b) ? !std::isnan(a) : a < b; };
  for (const bool falling : {false, true}) {
    Expected sorted(size), best(outer * count * inner);
    Values<int64_t> places(size);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < inner; ++j) {
        const auto at = [&](int64_t i) { return (o * n + i) * inner + j; };
        Values<int64_t> order(n);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
          return falling ? before(x[at(b)], x[at(a)]) : before(x[at(a)], x[at(b)]);
        });
        for (int64_t i = 0; i < n; ++i) {
          sorted.set(at(i), x[at(order[i])]);
          places[at(i)] = order[i];
          if (i < count) best.set((o * count + i) * inner + j, x[at(order[i])]);
        }
      }
    Values<int64_t> index(size);
    check<T>("sort", sorted, 0, [&](const auto& k, T* to) {
      k.sort(x.data(), to, index.data(), outer, n, inner, falling);
      if (index != places) fail("sort", 8 * sizeof(T), "another order");
    });
    check<T>("topk", best, 0, [&](const auto& k, T* to) {
      k.topk(x.data(), to, index.data(), outer, n, inner, count, falling);
      for (int64_t r = 0; r < outer * count; ++r)
        for (int64_t j = 0; j < inner; ++j)
          if (index[r * inner + j] != places[(r / count * n + r % count) * inner + j])
            return fail("topk", 8 * sizeof(T), "another order");
    });
  }
}

template <class T>
void sums(int64_t outer, int64_t n, int64_t inner) {
  const Values<T> x = numbers<T>(outer * n * inner, -1, 2);
  for (const bool reversed : {false, true}) {
    Expected y(x.size());
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < inner; ++j) {
        Wide sum = 0, sizes = 0;
        for (int64_t s = 0; s < n; ++s) {
          const int64_t at = (o * n + (reversed ? n - 1 - s : s)) * inner + j;
          sum += x[at];
          sizes += std::fabs(x[at]);
          y.set(at, sum, sizes);
        }
      }
    check<T>("cumsum", y, sizeof(T) == 4 ? 1 : chain(n),
             [&](const auto& k, T* to) { k.cumsum(x.data(), to, outer, n, inner, reversed); });
  }
}

template <class T>
void products(int64_t outer, int64_t n, int64_t inner) {
  const Values<T> x = numbers<T>(outer * n * inner, -1.5, 1.5), dy = numbers<T>(x.size(), -1, 1, 7);
  Values<T> kept(x.size());
  Expected y(x.size()), dx(x.size());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t j = 0; j < inner; ++j) {
      const auto at = [=](int64_t i) { return (o * n + i) * inner + j; };
      for (int64_t i = 0; i < n; ++i) {
        const Wide before = i ? y.value[at(i - 1)] : Wide(1);
        y.set(at(i), before * x[at(i)]);
        kept[at(i)] = static_cast<T>(y.value[at(i)]);
        Wide product = before, sum = 0, sizes = 0;
        for (int64_t k = i; k < n; ++k) {
          if (k > i) product *= x[at(k)];
          sum += dy[at(k)] * product;
          sizes += std::fabs(dy[at(k)] * product);
        }
        dx.set(at(i), sum, sizes);
      }
    }
  check<T>("cumprod_forward", y, chain(n),
           [&](const auto& k, T* to) { k.cumprod_forward(x.data(), to, outer, n, inner); });
  check<T>("cumprod_backward", dx, 2 + chain(n), [&](const auto& k, T* to) {
    k.cumprod_backward(x.data(), kept.data(), dy.data(), to, outer, n, inner);
  });
}

template <class T>
void check_all() {
  for (const int64_t inner : {1, 5})
    for (const int64_t n : {1, 2, 63, 200, 3000}) {
      along<T>(3, n, inner, std::max<int64_t>(1, n / 20));
      along<T>(3, n, inner, n);
      sums<T>(3, n, inner);
    }
  sums<T>(2, 9, 100);
  products<T>(2, 9, 100);
  products<T>(3, 40, 1);
}

}  // namespace

void check_sort() {
  check_all<float>();
  check_all<double>();
}

}  // namespace dlcore
