// Normalizations of rows, channels and neighbouring channels, and their gradients.
#include <algorithm>
#include <limits>

#include "check.h"

namespace dlcore {
namespace {

// A set of elements, `set` of element i, is normalized by its own mean and variance.
struct Statistics {
  std::vector<Wide> mean, rstd, variance;
  std::vector<Wide> size;  // of the terms of the mean: an error of it is of that size
};

template <class T, class Set>
Statistics statistics(const Values<T>& x, int64_t sets, Wide eps, const Set& set) {
  Statistics s{std::vector<Wide>(sets), std::vector<Wide>(sets), std::vector<Wide>(sets),
               std::vector<Wide>(sets)};
  const int64_t n = static_cast<int64_t>(x.size());
  const Wide count = static_cast<Wide>(n / sets);
  for (int64_t i = 0; i < n; ++i) {
    s.mean[set(i)] += x[i] / count;
    s.size[set(i)] += std::fabs(x[i]) / count;
  }
  for (int64_t i = 0; i < n; ++i) {
    const Wide d = x[i] - s.mean[set(i)];
    s.variance[set(i)] += d * d / count;
  }
  for (int64_t k = 0; k < sets; ++k) s.rstd[k] = 1 / std::sqrt(s.variance[k] + eps);
  return s;
}

// A lane adds up 256 terms at most (of the narrowest vectors) before the sum goes to a double.
double sum_of(int64_t n) {
  return chain(std::min<int64_t>(n, 256));
}
// y = (x - mean) rstd weight + bias: what the mean and rstd are off, and four roundings.
double forward_of(int64_t n) {
  return sum_of(n) + 2;
}

Expected of(const std::vector<Wide>& value, const std::vector<Wide>& scale) {
  Expected e;
  for (size_t i = 0; i < value.size(); ++i) e.push(value[i], scale[i]);
  return e;
}

// dx = rstd (g - mean(g) - h mean(g h)) over each set, g = dy weight, h = (x - mean) rstd.
template <class T, class Set, class Weight>
Expected gradient(const Values<T>& x, const Values<T>& dy, const std::vector<Wide>& mean,
                  const std::vector<Wide>& rstd, bool centred, const Set& set,
                  const Weight& weight) {
  const int64_t n = static_cast<int64_t>(x.size()), sets = static_cast<int64_t>(mean.size());
  const Wide count = static_cast<Wide>(n / sets);
  Expected g_mean(sets), gh_mean(sets), dx;
  const auto h = [&](int64_t i) { return (x[i] - mean[set(i)]) * rstd[set(i)]; };
  for (int64_t i = 0; i < n; ++i) {
    const Wide g = dy[i] * static_cast<Wide>(weight(i));
    g_mean.add(set(i), g / count);
    gh_mean.add(set(i), g * h(i) / count);
  }
  for (int64_t i = 0; i < n; ++i) {
    const Wide g = dy[i] * static_cast<Wide>(weight(i)), r = rstd[set(i)];
    dx.push(r * (g - (centred ? g_mean.value[set(i)] : 0) - h(i) * gh_mean.value[set(i)]),
            r * (std::fabs(g) + g_mean.scale[set(i)] + std::fabs(h(i)) * gh_mean.scale[set(i)]));
  }
  return dx;
}

template <class T>
std::vector<Wide> widened(const Values<T>& values) {
  return std::vector<Wide>(values.begin(), values.end());
}

template <class T>
void rows(int64_t count, int64_t cols) {
  constexpr double eps = 1e-5;
  const int64_t n = count * cols;
  const Values<T> x = numbers<T>(n, -1, 2), dy = numbers<T>(n, -1, 1, 3),
                  weight = numbers<T>(cols, 0.5, 1.5, 5), bias = numbers<T>(cols, -1, 1, 7);
  const auto row = [=](int64_t i) { return i / cols; };
  const auto weight_of = [&](int64_t i) { return weight[i % cols]; };
  const Statistics s = statistics(x, count, eps, row);
  Expected y, rms_y, rms_rstd;
  std::vector<Wide> square(count);
  for (int64_t i = 0; i < n; ++i) square[row(i)] += static_cast<Wide>(x[i]) * x[i] / cols;
  for (const Wide q : square) rms_rstd.push(1 / std::sqrt(q + eps));
  for (int64_t i = 0; i < n; ++i) {
    const Wide w = weight_of(i), b = bias[i % cols], m = s.mean[row(i)], r = s.rstd[row(i)];
    y.push((x[i] - m) * r * w + b, (std::fabs(x[i]) + s.size[row(i)]) * r * w + std::fabs(b));
    rms_y.push(x[i] * rms_rstd.value[row(i)] * w);
  }
  const double sum = sum_of(cols), forward = forward_of(cols);
  const Expected mean = of(s.mean, s.size), rstd = of(s.rstd, s.rstd);
  check<T>("layer_norm_forward", {{y, forward}, {mean, sum}, {rstd, sum}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.layer_norm_forward(x.data(), nullptr, nullptr, weight.data(), bias.data(), to[0],
                                  to[1], to[2], count, cols, eps);
           });
  check<T>("rms_norm_forward", {{rms_y, forward}, {rms_rstd, sum}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.rms_norm_forward(x.data(), nullptr, nullptr, weight.data(), to[0], to[1], count,
                                cols, eps);
           });
  Values<T> half = x;
  Expected whole(n);
  for (int64_t i = 0; i < n; ++i) {
    half[i] /= 2;
    whole.set(i, x[i]);
  }
  check<T>("layer_norm_forward", {{y, forward}, {mean, sum}, {rstd, sum}, {whole, 0}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.layer_norm_forward(half.data(), half.data(), to[3], weight.data(), bias.data(),
                                  to[0], to[1], to[2], count, cols, eps);
           });
  check<T>("rms_norm_forward", {{rms_y, forward}, {rms_rstd, sum}, {whole, 0}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.rms_norm_forward(half.data(), half.data(), to[2], weight.data(), to[0], to[1], count,
                                cols, eps);
           });

  const Values<T> given_mean = numbers<T>(count, 0.25, 0.75, 9),
                  given_rstd = numbers<T>(count, 0.5, 2, 11);
  for (const bool centred : {true, false}) {
    const std::vector<Wide> means = centred ? widened(given_mean) : std::vector<Wide>(count);
    const Expected dx = gradient(x, dy, means, widened(given_rstd), centred, row, weight_of);
    Expected dweight(cols), dbias(cols);
    for (int64_t i = 0; i < n; ++i) {
      dweight.add(i % cols, dy[i] * (x[i] - means[row(i)]) * given_rstd[row(i)]);
      dbias.add(i % cols, dy[i]);
    }
    check<T>("layer_norm_backward",
             {{dx, forward}, {dweight, chain(count) + 1}, {dbias, chain(count)}},
             [&](const KernelTable<T>& k, T* const* to) {
               k.layer_norm_backward(x.data(), dy.data(), weight.data(),
                                     centred ? given_mean.data() : nullptr, given_rstd.data(),
                                     to[0], to[1], to[2], count, cols);
             });
  }
}

constexpr Wide kEndless = std::numeric_limits<Wide>::infinity();

// A residual is added and the sum cut to [0, high] with high > 0, which is left out where it is 0.
// groups = 0: over the batch.
template <class T>
void channels(int64_t batch, int64_t count, int64_t size, int64_t groups, Wide high = 0) {
  constexpr double eps = 1e-5, momentum = 0.25;
  const int64_t n = batch * count * size, sets = groups == 0 ? count : batch * groups;
  const Values<T> x = numbers<T>(n, -1, 2), dy = numbers<T>(n, -1, 1, 3),
                  weight = numbers<T>(count, 0.5, 1.5, 5), bias = numbers<T>(count, -1, 1, 7),
                  old_mean = numbers<T>(count, -1, 1, 9), old_var = numbers<T>(count, 0.5, 2, 11),
                  residual = numbers<T>(n, -1, 1, 17);
  const bool ends = high > 0;
  const auto added = [&](int64_t i) { return ends ? static_cast<Wide>(residual[i]) : 0; };
  const auto cut = [=](Wide v) { return ends ? std::clamp<Wide>(v, 0, high) : v; };
  const auto channel = [=](int64_t i) { return i / size % count; };
  const auto set = [=](int64_t i) {
    return groups == 0 ? channel(i) : i / (count * size) * groups + channel(i) / (count / groups);
  };
  const auto weight_of = [&](int64_t i) { return weight[channel(i)]; };
  const Statistics s = statistics(x, sets, eps, set);
  constexpr T inf = std::numeric_limits<T>::infinity();
  ChannelNorm<T> p{batch,
                   count,
                   size,
                   groups,
                   weight.data(),
                   bias.data(),
                   nullptr,
                   nullptr,
                   ends ? residual.data() : nullptr,
                   ends ? T(0) : -inf,
                   ends ? static_cast<T>(high) : inf};

  Expected y, running_mean, running_var;
  for (int64_t i = 0; i < n; ++i) {
    const Wide w = weight_of(i), b = bias[channel(i)], m = s.mean[set(i)], r = s.rstd[set(i)];
    y.push(cut((x[i] - m) * r * w + b + added(i)),
           (std::fabs(x[i]) + s.size[set(i)]) * r * w + std::fabs(b) + std::fabs(added(i)));
  }
  const bool running = groups == 0 || groups == count;
  const int64_t samples = groups == 0 ? 1 : batch;
  const Wide elements = static_cast<Wide>(n / sets);
  for (int64_t c = 0; running && c < count; ++c) {
    Wide m = 0, m_size = 0, v = 0;
    for (int64_t i = 0; i < samples; ++i) {
      m += s.mean[i * count + c] / samples;
      m_size += s.size[i * count + c] / samples;
      v += s.variance[i * count + c] / samples * elements / (elements - 1);
    }
    running_mean.push((1 - momentum) * old_mean[c] + momentum * m, std::fabs(old_mean[c]) + m_size);
    running_var.push((1 - momentum) * old_var[c] + momentum * v);
  }
  const double sum = sum_of(n / sets), forward = forward_of(n / sets);
  check<T>("channel_norm_forward",
           {{y, forward},
            {of(s.mean, s.size), sum},
            {of(s.rstd, s.rstd), sum},
            {running_mean, sum},
            {running_var, sum}},
           [&](const KernelTable<T>& k, T* const* to) {
             ChannelNorm<T> call = p;
             call.mean = to[1], call.rstd = to[2];
             std::copy(old_mean.begin(), old_mean.begin() + running_mean.size(), to[3]);
             std::copy(old_var.begin(), old_var.begin() + running_var.size(), to[4]);
             k.channel_norm_forward(x.data(), to[0], call, running ? to[3] : nullptr,
                                    running ? to[4] : nullptr, momentum, eps);
           });

  Values<T> mean = numbers<T>(sets, 0.25, 0.75, 13), rstd = numbers<T>(sets, 0.5, 2, 15);
  for (const bool own : {true, false}) {  // statistics of the set, or given ones
    if (!own && groups != 0) continue;
    // y of forward is any: it tells what was cut.
    const Values<T> result = numbers<T>(n, -1, 1, 19);
    Values<T> dz = dy;
    for (int64_t i = 0; i < n; ++i)
      if (ends && !(result[i] > 0 && result[i] < high)) dz[i] = 0;
    Expected dx, dweight(count), dbias(count), dresidual;
    if (own) dx = gradient(x, dz, widened(mean), widened(rstd), true, set, weight_of);
    for (int64_t i = 0; i < n; ++i) {
      if (!own) dx.push(dz[i] * static_cast<Wide>(weight_of(i)) * rstd[set(i)]);
      dweight.add(channel(i), dz[i] * (x[i] - static_cast<Wide>(mean[set(i)])) * rstd[set(i)]);
      dbias.add(channel(i), dz[i]);
      if (ends) dresidual.push(dz[i]);
    }
    const double over = chain(n / count);
    check<T>("channel_norm_backward",
             {{dx, forward}, {dweight, over + 1}, {dbias, over}, {dresidual, 0}},
             [&](const KernelTable<T>& k, T* const* to) {
               ChannelNorm<T> call = p;
               call.mean = mean.data(), call.rstd = rstd.data();
               k.channel_norm_backward(x.data(), ends ? result.data() : nullptr, dy.data(), to[0],
                                       to[1], to[2], ends ? to[3] : nullptr, call, own);
             });
  }
  if (groups != 0) return;

  Expected by_given, given_rstd;
  for (int64_t c = 0; c < count; ++c) given_rstd.push(1 / std::sqrt(old_var[c] + Wide(eps)));
  for (int64_t i = 0; i < n; ++i) {
    const Wide m = mean[channel(i)], r = given_rstd.value[channel(i)], w = weight_of(i),
               b = bias[channel(i)];
    by_given.push(cut((x[i] - m) * r * w + b + added(i)),
                  (std::fabs(x[i]) + m) * r * w + std::fabs(b) + std::fabs(added(i)));
  }
  // Three roundings in rstd, of which the sum counts half, four more in y.
  check<T>("channel_norm_inference", {{by_given, 3.25}, {given_rstd, 1.25}},
           [&](const KernelTable<T>& k, T* const* to) {
             ChannelNorm<T> call = p;
             call.mean = mean.data(), call.rstd = to[1];
             k.channel_norm_inference(x.data(), to[0], call, old_var.data(), eps);
           });
}

template <class T>
void local(const LocalNorm& p, double beta) {
  const double alpha = 0.5, k = 2;
  const int64_t n = p.batch * p.channels * p.size;
  const Values<T> x = numbers<T>(n, -1, 2), dy = numbers<T>(n, -1, 1, 3);
  const Wide scale = static_cast<Wide>(alpha) / (p.before + p.after + 1);
  std::vector<Wide> d(n, k);
  const auto neighbours = [&](int64_t i, int64_t before, int64_t after, const auto& body) {
    const int64_t c = i / p.size % p.channels;
    for (int64_t j = std::max<int64_t>(c - before, 0); j <= std::min(c + after, p.channels - 1);
         ++j)
      body(i + (j - c) * p.size);
  };
  Expected y, dx;
  for (int64_t i = 0; i < n; ++i) {
    neighbours(i, p.before, p.after,
               [&](int64_t j) { d[i] += scale * static_cast<Wide>(x[j]) * x[j]; });
    y.push(x[i] * std::pow(d[i], -static_cast<Wide>(beta)));
  }
  for (int64_t i = 0; i < n; ++i) {
    Wide sum = 0, size = 0;
    neighbours(i, p.after, p.before, [&](int64_t j) {
      const Wide term = dy[j] * x[j] * std::pow(d[j], -static_cast<Wide>(beta) - 1);
      sum += term;
      size += std::fabs(term);
    });
    const Wide direct = dy[i] * std::pow(d[i], -static_cast<Wide>(beta));
    const Wide shared = 2 * static_cast<Wide>(beta) * scale * x[i];
    dx.push(direct - shared * sum, std::fabs(direct) + std::fabs(shared) * size);
  }
  // d has a rounding for each term and three more, the power one or two, the product one.
  const double sum = chain(p.before + p.after + 1) + 2;
  check<T>("local_norm_forward", y, sum, [&](const auto& kernels, T* to) {
    kernels.local_norm_forward(x.data(), to, p, alpha, beta, k);
  });
  check<T>("local_norm_backward", dx, 2 * sum, [&](const auto& kernels, T* to) {
    kernels.local_norm_backward(x.data(), dy.data(), to, p, alpha, beta, k);
  });
}

template <class T>
void all() {
  for (const int64_t cols : {5, 16, 33, 1000, 5000}) {
    rows<T>(3, cols);
    rows<T>(70, cols);
  }
  for (const int64_t size : {1, 9, 50, 5000}) {
    channels<T>(6, 19, size, 0);
    channels<T>(6, 19, size, 0, 0.5);
    channels<T>(6, 19, size, 0, kEndless);
    if (size > 1) channels<T>(3, 6, size, 2);
    if (size > 1) channels<T>(3, 6, size, 6);  // instance norm
  }
  channels<T>(700, 5, 1, 0);
  for (const double beta : {0.75, 0.5}) {
    local<T>({2, 7, 50, 2, 2}, beta);
    local<T>({1, 3, 5, 1, 2}, beta);
  }
}

}  // namespace

void check_norm() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
