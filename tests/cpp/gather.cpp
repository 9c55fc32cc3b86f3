// Rows and elements picked by their numbers, sums into them, and bags of rows.
#include "kernels/gather.h"

#include "check.h"
#include "kernels/embedding.h"

namespace dlcore {
namespace {

Values<int64_t> places(int64_t n, int64_t below, uint32_t seed) {
  const Values<double> drawn = numbers<double>(n, 0, static_cast<double>(below), seed);
  Values<int64_t> all;
  for (double d : drawn) all.push_back(static_cast<int64_t>(d));
  return all;
}

template <class T>
void rows(int64_t outer, int64_t rows, int64_t count, int64_t inner) {
  const Values<T> x = numbers<T>(outer * rows * inner, -3, 3),
                  dy = numbers<T>(outer * count * inner, -1, 1, 5), scale = numbers<T>(count, 0, 2);
  const Values<int64_t> index = places(count, rows, 3);
  const int64_t padding = rows > 2 ? 1 : -1;
  Expected taken(outer * count * inner), sums(x.size()), means(x.size());
  Values<int64_t> often(rows);
  for (int64_t i : index) ++often[i];
  for (int64_t i = 0; i < sums.size(); ++i) sums.add(i, x[i]);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = 0; j < inner; ++j) {
        const int64_t at = (o * rows + index[i]) * inner + j, from = (o * count + i) * inner + j;
        taken.set(from, x[at]);
        sums.add(at, Wide(2) * dy[from] * scale[i]);
        if (index[i] != padding) means.add(at, Wide(dy[from]) / often[index[i]]);
      }
  check<T>("take_rows", taken, 0, [&](const auto& k, T* to) {
    k.take_rows(x.data(), index.data(), to, outer, rows, count, inner);
  });
  const RowSums<T> s{outer,        rows,  count, inner, index.data(), nullptr,
                     scale.data(), count, -1,    false, T(2)};
  check<T>("add_rows", sums, 1 + chain(count),
           [&](const auto& k, T* to) { k.add_rows(dy.data(), x.data(), to, s); });
  const RowSums<T> m{outer,   rows,  count,   inner, index.data(), nullptr,
                     nullptr, count, padding, true,  T(1)};
  check<T>("add_rows", means, 2 + chain(count),
           [&](const auto& k, T* to) { k.add_rows(dy.data(), nullptr, to, m); });
}

template <class T>
void picks(int64_t outer, int64_t n, int64_t m, int64_t inner) {
  const Values<T> x = numbers<T>(outer * n * inner, -3, 3),
                  source = numbers<T>(outer * m * inner, -1, 1, 5);
  Values<int64_t> index = places(outer * m * inner, n, 3);
  Expected picked(index.size()), put(x.size()), sums(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    put.set(i, x[i]);
    sums.add(i, x[i]);
  }
  for (int64_t r = 0; r < outer * m; ++r)
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t from = r * inner + i, at = (r / m * n + index[from]) * inner + i;
      picked.set(from, x[at]);
      put.set(at, source[from]);
      sums.add(at, source[from]);
    }
  const Picks s{outer, n, m, inner, index.data()};
  check<T>("gather", picked, 0, [&](const auto& k, T* to) { k.gather(x.data(), to, s); });
  for (const bool add : {false, true})
    check<T>("scatter", add ? sums : put, add ? chain(m) : 0,
             [&](const auto& k, T* to) { k.scatter(x.data(), source.data(), 1, to, add, s); });
}

template <class T>
void bags(int64_t dim) {
  const int64_t rows = 9;
  const Values<int64_t> offsets{0, 3, 3, 10, 40}, index = places(40, rows, 4);
  const Values<T> weight = numbers<T>(rows * dim, -3, 3), scale = numbers<T>(40, 0, 2, 7),
                  dy = numbers<T>(4 * dim, -1, 1, 8);
  Expected sum(4 * dim), mean(4 * dim), most(4 * dim), slope(40);
  for (int64_t b = 0; b < 4; ++b)
    for (int64_t i = offsets[b]; i < offsets[b + 1]; ++i)
      for (int64_t j = 0; j < dim; ++j) {
        const Wide w = weight[index[i] * dim + j];
        sum.add(b * dim + j, w * scale[i]);
        mean.add(b * dim + j, w / (offsets[b + 1] - offsets[b]));
        most.set(b * dim + j, i == offsets[b] ? w : std::max(w, most.value[b * dim + j]));
        slope.add(i, w * dy[b * dim + j]);
      }
  Bags<T> s{4, dim, index.data(), offsets.data(), scale.data(), -1, BagMode::sum};
  check<T>("embedding_bag_forward", sum, 1 + chain(30),
           [&](const auto& k, T* to) { k.embedding_bag_forward(weight.data(), to, nullptr, s); });
  check<T>("embedding_bag_backward_scale", slope, 1 + chain(dim), [&](const auto& k, T* to) {
    k.embedding_bag_backward_scale(weight.data(), dy.data(), to, s);
  });
  s.scale = nullptr;
  s.mode = BagMode::mean;
  check<T>("embedding_bag_forward", mean, 2 + chain(30),
           [&](const auto& k, T* to) { k.embedding_bag_forward(weight.data(), to, nullptr, s); });
  s.mode = BagMode::max;
  Values<int64_t> best(4 * dim);
  check<T>("embedding_bag_forward", most, 0, [&](const auto& k, T* to) {
    k.embedding_bag_forward(weight.data(), to, best.data(), s);
  });
}

template <class T>
void check_all() {
  for (const int64_t inner : {1, 3, 16, 70, 300}) {
    rows<T>(1, 7, 40, inner);
    rows<T>(3, 2, 33, inner);
    rows<T>(2, 300, 50, inner);
    picks<T>(1, 6, 40, inner);
    picks<T>(70, 6, 4, inner);
    bags<T>(inner);
  }
}

}  // namespace

void check_gather() {
  check_all<float>();
  check_all<double>();
}

}  // namespace dlcore
