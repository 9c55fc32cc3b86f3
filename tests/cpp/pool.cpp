// Pooling of windows and of whole planes, with ties and NaN.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

int64_t size_of(const Pool& p) {
  return p.d.size * p.h.size * p.w.size;
}
int64_t outputs_of(const Pool& p) {
  return p.d.out * p.h.out * p.w.out;
}

// The places of window o's elements: outside too, unless the windows part the axis.
std::vector<int64_t> places(const PoolAxis& a, int64_t o) {
  std::vector<int64_t> all;
  if (a.stride == 0) {
    for (int64_t i = o * a.size / a.out; i * a.out < (o + 1) * a.size; ++i) all.push_back(i);
  } else {
    for (int64_t t = 0; t < a.kernel; ++t) all.push_back(o * a.stride - a.low + t * a.dilation);
  }
  return all;
}
bool inside(const PoolAxis& a, int64_t i) {
  return i >= 0 && i < a.size;
}

// Calls body(output, place in the plane of x) for every element of every window that is inside.
template <class Body>
void each_tap(const Pool& p, const Body& body) {
  for (int64_t o = 0; o < p.planes * outputs_of(p); ++o) {
    const auto ds = places(p.d, o / p.w.out / p.h.out % p.d.out);
    const auto hs = places(p.h, o / p.w.out % p.h.out), ws = places(p.w, o % p.w.out);
    for (const int64_t d : ds)
      for (const int64_t h : hs)
        for (const int64_t w : ws)
          if (inside(p.d, d) && inside(p.h, h) && inside(p.w, w))
            body(o, (d * p.h.size + h) * p.w.size + w);
  }
}

// By how much a window's sum is divided.
int64_t window_size(const AvgPool& p, int64_t o) {
  if (p.divisor) return p.divisor;
  const auto along = [&](const PoolAxis& a, int64_t at) {
    int64_t n = 0;
    for (const int64_t i : places(a, at))
      n += p.include_pad ? i >= -a.low && i < a.size + a.high : inside(a, i);
    return n;
  };
  return along(p.d, o / p.w.out / p.h.out % p.d.out) * along(p.h, o / p.w.out % p.h.out) *
         along(p.w, o % p.w.out);
}

// Ties, which go to the first, and a NaN, which wins.
template <class T>
void extremes(const Pool& p, bool lowest) {
  const int64_t in = size_of(p), out = outputs_of(p);
  Values<T> x = numbers<T>(p.planes * in, -1, 1);
  for (T& v : x) v = std::floor(v * 8);
  x[p.planes * in / 2] = T(NAN);
  const Values<T> dy = numbers<T>(p.planes * out, -1, 1, 5);
  Expected y(p.planes * out), place(p.planes * out), dx(p.planes * in);
  y.value.assign(p.planes * out, lowest ? INFINITY : -INFINITY);
  each_tap(p, [&](int64_t o, int64_t at) {
    const Wide v = x[o / out * in + at];
    if (!((lowest ? v < y.value[o] : v > y.value[o]) || std::isnan(v))) return;
    y.value[o] = v;
    place.value[o] = at;
  });
  for (int64_t o = 0; o < p.planes * out; ++o)
    dx.add(o / out * in + static_cast<int64_t>(place.value[o]), dy[o]);

  check<T>("max_pool_forward", y, 0,
           [&](const auto& k, T* to) { k.max_pool_forward(x.data(), to, nullptr, p, lowest); });
  std::vector<int32_t> taps(p.planes * out + 64);  // room for taps of one byte as well
  check<T>("max_pool_forward", y, 0,
           [&](const auto& k, T* to) { k.max_pool_forward(x.data(), to, taps.data(), p, lowest); });
  std::vector<int64_t> indices(p.planes * out);
  check<T>("max_pool_indices", place, 0, [&](const auto& k, T* to) {
    k.max_pool_indices(taps.data(), indices.data(), p);
    std::copy(indices.begin(), indices.end(), to);
  });
  check<T>("max_pool_backward", dx, chain(p.d.kernel * p.h.kernel * p.w.kernel),
           [&](const auto& k, T* to) { k.max_pool_backward(dy.data(), taps.data(), to, p); });

  Expected back(p.planes * in), taken(p.planes * out);
  for (int64_t o = 0; o < p.planes * out; ++o) back.set(o / out * in + indices[o], dy[o]);
  for (int64_t o = 0; o < p.planes * out; ++o) taken.set(o, x[o / out * in + indices[o]]);
  check<T>("max_unpool_forward", back, 0, [&](const auto& k, T* to) {
    k.max_unpool_forward(dy.data(), indices.data(), to, p.planes, out, in);
  });
  check<T>("max_unpool_backward", taken, 0, [&](const auto& k, T* to) {
    k.max_unpool_backward(x.data(), indices.data(), to, p.planes, out, in);
  });
}

template <class T>
void means(const Pool& windows, bool include_pad, int64_t divisor) {
  AvgPool p{windows, include_pad, divisor};
  const int64_t in = size_of(p), out = outputs_of(p);
  const Values<T> x = numbers<T>(p.planes * in, -1, 1), dy = numbers<T>(p.planes * out, -1, 1, 5);
  Expected y(p.planes * out), dx(p.planes * in);
  each_tap(p, [&](int64_t o, int64_t at) {
    const Wide size = window_size(p, o % out);
    y.add(o, x[o / out * in + at] / size);
    dx.add(o / out * in + at, dy[o] / size);
  });
  const double allowed = chain(p.d.kernel * p.h.kernel * p.w.kernel) + 1;
  check<T>("avg_pool_forward", y, allowed,
           [&](const auto& k, T* to) { k.avg_pool_forward(x.data(), to, p); });
  check<T>("avg_pool_backward", dx, allowed,
           [&](const auto& k, T* to) { k.avg_pool_backward(dy.data(), to, p); });
}

// Without padding, as the bindings call it. Powers add a rounding or two to each term and result.
template <class T>
void norms(const Pool& windows, double norm) {
  AvgPool p{windows, true, 0};
  const int64_t in = size_of(p), out = outputs_of(p);
  const Values<T> x = numbers<T>(p.planes * in, 0.5, 1), dy = numbers<T>(p.planes * out, -1, 1, 5);
  const Wide size = p.d.kernel * p.h.kernel * p.w.kernel;
  Expected y(p.planes * out), dx(p.planes * in);
  each_tap(p, [&](int64_t o, int64_t at) {
    y.add(o, std::pow(Wide(x[o / out * in + at]), Wide(norm)) * size / window_size(p, o % out));
  });
  Values<T> rounded(p.planes * out);
  for (int64_t o = 0; o < p.planes * out; ++o) {
    y.set(o, std::pow(y.value[o], 1 / Wide(norm)));
    rounded[o] = static_cast<T>(y.value[o]);
  }
  each_tap(p, [&](int64_t o, int64_t at) {
    const Wide v = x[o / out * in + at];
    dx.add(o / out * in + at, dy[o] * size / window_size(p, o % out) *
                                  std::pow(Wide(rounded[o]), 1 - Wide(norm)) *
                                  std::pow(v, Wide(norm) - 1));
  });
  const double allowed = chain(p.d.kernel * p.h.kernel * p.w.kernel) + 4;
  check<T>("lp_pool_forward", y, allowed,
           [&](const auto& k, T* to) { k.lp_pool_forward(x.data(), to, p, static_cast<T>(norm)); });
  check<T>("lp_pool_backward", dx, allowed, [&](const auto& k, T* to) {
    k.lp_pool_backward(x.data(), rounded.data(), dy.data(), to, p, static_cast<T>(norm));
  });
}

template <class T>
void whole_planes(int64_t planes, int64_t n) {
  Values<T> x = numbers<T>(planes * n, -1, 1);
  const Values<T> dy = numbers<T>(planes, -1, 1, 5);
  Expected mean(planes), spread, top(planes), place(planes), back(planes * n);
  for (int64_t i = 0; i < planes * n; ++i) {
    mean.add(i / n, x[i] / static_cast<Wide>(n));
    spread.push(dy[i / n] / static_cast<Wide>(n));
  }
  check<T>("global_avg_pool_forward", mean, chain(n),
           [&](const auto& k, T* y) { k.global_avg_pool_forward(x.data(), y, planes, n); });
  check<T>("global_avg_pool_backward", spread, 0.5,
           [&](const auto& k, T* dx) { k.global_avg_pool_backward(dy.data(), dx, planes, n); });

  x[n / 2] = T(NAN);
  std::vector<int64_t> where(planes);
  for (int64_t plane = 0; plane < planes; ++plane) {
    const T* from = x.data() + plane * n;
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i)
      if (from[i] > from[best] || std::isnan(from[i])) best = i;
    top.set(plane, from[best]);
    place.set(plane, best);
    back.set(plane * n + best, dy[plane]);
  }
  check<T>("global_max_pool_forward", {{top, 0}, {place, 0}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.global_max_pool_forward(x.data(), to[0], where.data(), planes, n);
             std::copy(where.begin(), where.end(), to[1]);
           });
  check<T>("global_max_pool_backward", back, 0, [&](const auto& k, T* dx) {
    k.global_max_pool_backward(dy.data(), where.data(), dx, planes, n);
  });
}

template <class T>
void all() {
  constexpr PoolAxis one{1, 1, 1, 1, 1, 0, 0};
  const Pool windows[] = {
      {3, one, {9, 4, 3, 2, 1, 0, 0}, {11, 5, 3, 2, 1, 0, 0}},
      {2, one, {8, 4, 3, 2, 1, 1, 1}, {20, 10, 3, 2, 1, 1, 1}},
      {2, one, {8, 4, 2, 2, 1, 0, 0}, {38, 19, 2, 2, 1, 0, 0}},    // tiles of 2x2
      {2, one, {12, 12, 5, 1, 1, 2, 2}, {40, 40, 3, 1, 1, 1, 1}},  // overlapping
      {1, one, {21, 5, 17, 1, 1, 0, 0}, {23, 7, 17, 1, 1, 0, 0}},  // more taps than a byte counts
      {5, one, one, {64, 16, 4, 4, 1, 0, 0}},                      // tiles of a row
      {2, {5, 3, 3, 2, 1, 1, 1}, {7, 3, 3, 2, 1, 0, 0}, {19, 10, 3, 2, 1, 1, 1}},
      {2, {6, 3, 2, 2, 1, 0, 0}, {4, 2, 2, 2, 1, 0, 0}, {14, 7, 2, 2, 1, 0, 0}},
      {3, one, {7, 3, 4, 0, 1, 0, 0}, {12, 7, 3, 0, 1, 0, 0}},  // adaptive
      {19, one, {7, 7, 3, 1, 1, 1, 1}, {7, 7, 3, 1, 1, 1, 1}},  // small planes, several at a time
      {2, one, {9, 3, 3, 3, 1, 0, 0}, {1300, 434, 5, 3, 1, 2, 2}},  // distant windows, long rows
  };
  for (const Pool& p : windows) {
    for (const bool lowest : {false, true}) extremes<T>(p, lowest);
    means<T>(p, true, 0);
    means<T>(p, false, 0);
    means<T>(p, true, 7);
    if (p.h.low == 0 && p.h.stride > 0 && p.d.low == 0)
      for (const double norm : {1.0, 2.0, 3.0}) norms<T>(p, norm);
  }
  extremes<T>({2, one, {13, 7, 3, 1, 3, 0, 0}, {19, 13, 3, 1, 3, 0, 0}}, false);  // dilated
  for (const int64_t n : {1, 7, 49, 1000}) whole_planes<T>(70, n);
}

}  // namespace

void check_pool() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
