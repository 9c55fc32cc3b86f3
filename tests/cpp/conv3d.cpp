// Convolutions over three axes and their gradients, by the definition.

#include "check.h"
#include "finish.h"

namespace dlcore {
namespace {

// Calls body(output, tap, place in the volume of x) for every tap that lies inside it.
template <class Body>
void each_tap(const Conv3d& c, const Body& body) {
  const Conv2d& p = c.plane;
  for (int64_t o = 0; o < c.out_d * p.out_h * p.out_w; ++o)
    for (int64_t t = 0; t < c.kernel_d * p.kernel_h * p.kernel_w; ++t) {
      const int64_t od = o / p.out_w / p.out_h, oh = o / p.out_w % p.out_h, ow = o % p.out_w;
      const int64_t q = t / p.kernel_w / p.kernel_h, r = t / p.kernel_w % p.kernel_h;
      const int64_t d = od * c.stride_d - c.pad_front + q * c.dilation_d;
      const int64_t h = oh * p.stride_h - p.pad_top + r * p.dilation_h;
      const int64_t w = ow * p.stride_w - p.pad_left + t % p.kernel_w * p.dilation_w;
      if (d >= 0 && d < c.depth && h >= 0 && h < p.height && w >= 0 && w < p.width)
        body(o, t, (d * p.height + h) * p.width + w);
    }
}

template <class T>
void convolution(const Conv3d& c) {
  const Conv2d& p = c.plane;
  const int64_t in = p.channels / p.groups, out = p.out_channels / p.groups;
  const int64_t x_size = c.depth * p.height * p.width, y_size = c.out_d * p.out_h * p.out_w;
  const int64_t taps = c.kernel_d * p.kernel_h * p.kernel_w;
  const Values<T> x = numbers<T>(p.batch * p.channels * x_size, -1, 1);
  const Values<T> w = numbers<T>(p.out_channels * in * taps, -1, 1, 3);
  const Values<T> b = numbers<T>(p.out_channels, -1, 1, 5);
  const Values<T> dy = numbers<T>(p.batch * p.out_channels * y_size, -1, 1, 7);
  Expected y(dy.size()), dx(x.size()), dw(w.size());
  for (int64_t n = 0; n < p.batch; ++n)
    for (int64_t o = 0; o < p.out_channels; ++o) {
      const int64_t y_at = (n * p.out_channels + o) * y_size;
      for (int64_t i = 0; i < y_size; ++i) y.add(y_at + i, b[o]);
      for (int64_t i = 0; i < in; ++i) {
        const int64_t x_at = (n * p.channels + o / out * in + i) * x_size;
        const int64_t w_at = (o * in + i) * taps;
        each_tap(c, [&](int64_t to, int64_t tap, int64_t place) {
          y.add(y_at + to, static_cast<Wide>(x[x_at + place]) * w[w_at + tap]);
          dx.add(x_at + place, static_cast<Wide>(dy[y_at + to]) * w[w_at + tap]);
          dw.add(w_at + tap, static_cast<Wide>(dy[y_at + to]) * x[x_at + place]);
        });
      }
    }
  check_finishes<T>(y, [&](const Expected& want, const Finish<T>& finish) {
    check<T>("conv3d_forward", want, chain(in * taps) + 1, [&](const auto& k, T* to) {
      k.conv3d_forward(x.data(), w.data(), b.data(), to, c, finish);
    });
  });
  check<T>("conv3d_backward_data", dx, chain(out * taps),
           [&](const auto& k, T* to) { k.conv3d_backward_data(dy.data(), w.data(), to, c); });
  check<T>("conv3d_backward_weight", dw, chain(p.batch * y_size),
           [&](const auto& k, T* to) { k.conv3d_backward_weight(x.data(), dy.data(), to, c); });
}

template <class T>
void all() {
  const Conv3d shapes[] = {
      {{2, 4, 7, 9, 6, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1}, 5, 5, 3, 1, 1, 1},
      {{1, 4, 9, 11, 6, 4, 5, 3, 3, 2, 2, 1, 1, 0, 0, 2}, 6, 3, 3, 2, 1, 1},  // strides, groups
      {{1, 20, 8, 7, 33, 8, 3, 1, 3, 1, 3, 1, 2, 0, 2, 1}, 4, 2, 2, 1, 2, 0},
      {{1, 3, 6, 8, 3, 6, 8, 3, 3, 1, 1, 1, 1, 1, 1, 3}, 3, 3, 3, 1, 1, 1},  // depthwise
  };
  for (const Conv3d& c : shapes) convolution<T>(c);
}

}  // namespace

void check_conv3d() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
