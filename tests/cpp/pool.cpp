// Pooling of windows and of whole planes, with ties and NaN.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

// Calls body(output, place in the plane of x) for every element of every window that is inside.
template <class Body>
void each_tap(const Pool2d& p, const Body& body) {
  for (int64_t plane = 0; plane < p.planes; ++plane)
    for (int64_t r = 0; r < p.out_h; ++r)
      for (int64_t s = 0; s < p.out_w; ++s)
        for (int64_t u = 0; u < p.kernel_h; ++u)
          for (int64_t v = 0; v < p.kernel_w; ++v) {
            const int64_t h = r * p.stride_h - p.pad_top + u * p.dilation_h;
            const int64_t w = s * p.stride_w - p.pad_left + v * p.dilation_w;
            if (h >= 0 && h < p.height && w >= 0 && w < p.width)
              body((plane * p.out_h + r) * p.out_w + s, h * p.width + w);
          }
}

// How many elements a window averages, of which the padding may be some.
int64_t window_size(const Pool2d& p, int64_t output, bool include_pad) {
  const auto along = [=](int64_t o, int64_t stride, int64_t kernel, int64_t size, int64_t low,
                         int64_t high) {
    const int64_t from = o * stride - low, to = std::min(from + kernel, size + high);
    return include_pad ? to - from : std::min(to, size) - std::max<int64_t>(from, 0);
  };
  return along(output / p.out_w % p.out_h, p.stride_h, p.kernel_h, p.height, p.pad_top,
               p.pad_bottom) *
         along(output % p.out_w, p.stride_w, p.kernel_w, p.width, p.pad_left, p.pad_right);
}

// Ties, which go to the first, and a NaN, which wins.
template <class T>
void maxima(const Pool2d& p) {
  const int64_t in = p.height * p.width, out = p.out_h * p.out_w;
  Values<T> x = numbers<T>(p.planes * in, -1, 1);
  for (T& v : x) v = std::floor(v * 8);
  x[p.planes * in / 2] = T(NAN);
  const Values<T> dy = numbers<T>(p.planes * out, -1, 1, 5);
  Expected y(p.planes * out), place(p.planes * out), dx(p.planes * in);
  y.value.assign(p.planes * out, -INFINITY);
  each_tap(p, [&](int64_t o, int64_t at) {
    const Wide v = x[o / out * in + at];
    if (std::isnan(y.value[o]) || !(v > y.value[o] || std::isnan(v))) return;
    y.value[o] = v;
    place.value[o] = at;
  });
  for (int64_t o = 0; o < p.planes * out; ++o)
    dx.add(o / out * in + static_cast<int64_t>(place.value[o]), dy[o]);

  check<T>("max_pool2d_forward", y, 0,
           [&](const auto& k, T* to) { k.max_pool2d_forward(x.data(), to, nullptr, p); });
  std::vector<int32_t> taps(p.planes * out);  // room for taps of one byte as well
  check<T>("max_pool2d_forward", y, 0,
           [&](const auto& k, T* to) { k.max_pool2d_forward(x.data(), to, taps.data(), p); });
  check<T>("max_pool2d_indices", place, 0, [&](const auto& k, T* to) {
    std::vector<int64_t> indices(p.planes * out);
    k.max_pool2d_indices(taps.data(), indices.data(), p);
    std::copy(indices.begin(), indices.end(), to);
  });
  check<T>("max_pool2d_backward", dx, chain(p.kernel_h * p.kernel_w),
           [&](const auto& k, T* to) { k.max_pool2d_backward(dy.data(), taps.data(), to, p); });
}

template <class T>
void means(const Pool2d& p, bool include_pad) {
  const int64_t in = p.height * p.width, out = p.out_h * p.out_w;
  const Values<T> x = numbers<T>(p.planes * in, -1, 1), dy = numbers<T>(p.planes * out, -1, 1, 5);
  Expected y(p.planes * out), dx(p.planes * in);
  each_tap(p, [&](int64_t o, int64_t at) {
    const Wide size = window_size(p, o % out, include_pad);
    y.add(o, x[o / out * in + at] / size);
    dx.add(o / out * in + at, dy[o] / size);
  });
  const double allowed = chain(p.kernel_h * p.kernel_w);
  check<T>("avg_pool2d_forward", y, allowed,
           [&](const auto& k, T* to) { k.avg_pool2d_forward(x.data(), to, p, include_pad); });
  check<T>("avg_pool2d_backward", dx, allowed,
           [&](const auto& k, T* to) { k.avg_pool2d_backward(dy.data(), to, p, include_pad); });
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
    for (int64_t i = 1; i < n && !std::isnan(from[best]); ++i)
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
  const Pool2d windows[] = {
      {3, 9, 11, 4, 5, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0},
      {2, 8, 20, 4, 10, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0},
      {2, 8, 38, 4, 19, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0},    // tiles of 2x2
      {2, 12, 40, 12, 40, 5, 3, 1, 1, 1, 1, 2, 1, 2, 1},  // overlapping
      {1, 21, 23, 5, 7, 17, 17, 1, 1, 1, 1, 0, 0, 0, 0},  // more taps than a byte counts
  };
  for (const Pool2d& p : windows) {
    maxima<T>(p);
    means<T>(p, true);
    means<T>(p, false);
  }
  maxima<T>({2, 13, 19, 7, 13, 3, 3, 1, 1, 3, 3, 0, 0, 0, 0});  // dilated
  for (const int64_t n : {1, 7, 49, 1000}) whole_planes<T>(70, n);
}

}  // namespace

void check_pool() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
