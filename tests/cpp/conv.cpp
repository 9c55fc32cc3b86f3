// Convolutions, their gradients, im2col and col2im, by the definition.
#include "check.h"
#include "finish.h"

namespace dlcore {
namespace {

// Calls body(output, tap, place in the plane of x) for every tap of one plane that lies inside it.
template <class Body>
void each_tap(const Conv2d& c, const Body& body) {
  for (int64_t r = 0; r < c.out_h; ++r)
    for (int64_t s = 0; s < c.out_w; ++s)
      for (int64_t u = 0; u < c.kernel_h; ++u)
        for (int64_t v = 0; v < c.kernel_w; ++v) {
          const int64_t h = r * c.stride_h - c.pad_top + u * c.dilation_h;
          const int64_t w = s * c.stride_w - c.pad_left + v * c.dilation_w;
          if (h >= 0 && h < c.height && w >= 0 && w < c.width)
            body(r * c.out_w + s, u * c.kernel_w + v, h * c.width + w);
        }
}

// Forward and the three gradients of one convolution, by the definition.
template <class T>
void convolution(const Conv2d& c) {
  const int64_t in = c.channels / c.groups, out = c.out_channels / c.groups;
  const int64_t x_plane = c.height * c.width, y_plane = c.out_h * c.out_w,
                taps = c.kernel_h * c.kernel_w;
  const Values<T> x = numbers<T>(c.batch * c.channels * x_plane, -1, 1);
  const Values<T> w = numbers<T>(c.out_channels * in * taps, -1, 1, 3);
  const Values<T> b = numbers<T>(c.out_channels, -1, 1, 5);
  const Values<T> dy = numbers<T>(c.batch * c.out_channels * y_plane, -1, 1, 7);
  Expected y(dy.size()), dx(x.size()), dw(w.size()), db(b.size());
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t o = 0; o < c.out_channels; ++o) {
      const int64_t y_at = (n * c.out_channels + o) * y_plane;
      for (int64_t p = 0; p < y_plane; ++p) {
        y.add(y_at + p, b[o]);
        db.add(o, dy[y_at + p]);
      }
      for (int64_t i = 0; i < in; ++i) {
        const int64_t x_at = (n * c.channels + o / out * in + i) * x_plane,
                      w_at = (o * in + i) * taps;
        each_tap(c, [&](int64_t p, int64_t tap, int64_t place) {
          y.add(y_at + p, static_cast<Wide>(x[x_at + place]) * w[w_at + tap]);
          dx.add(x_at + place, static_cast<Wide>(dy[y_at + p]) * w[w_at + tap]);
          dw.add(w_at + tap, static_cast<Wide>(dy[y_at + p]) * x[x_at + place]);
        });
      }
    }
  check_finishes<T>(y, [&](const Expected& want, const Finish<T>& finish) {
    check<T>("conv2d_forward", want, chain(in * taps) + 1, [&](const auto& k, T* to) {
      k.conv2d_forward(x.data(), w.data(), b.data(), to, c, finish, nullptr);
    });
    check<T>("conv2d_pack", want, chain(in * taps) + 1, [&](const auto& k, T* to) {
      int64_t size;
      k.conv2d_pack(w.data(), c, nullptr, &size);
      Values<T> packed(size);
      if (size) k.conv2d_pack(w.data(), c, packed.data(), &size);
      k.conv2d_forward(x.data(), w.data(), b.data(), to, c, finish, size ? packed.data() : nullptr);
    });
  });
  check<T>("conv2d_backward_data", dx, chain(out * taps),
           [&](const auto& k, T* to) { k.conv2d_backward_data(dy.data(), w.data(), to, c); });
  check<T>("conv2d_backward_weight", dw, chain(c.batch * y_plane), [&](const auto& k, T* to) {
    k.conv2d_backward_weight(x.data(), dy.data(), to, nullptr, c);
  });
  check<T>("conv2d_backward_weight", db, chain(c.batch * y_plane), [&](const auto& k, T* to) {
    Values<T> beside(w.size());
    k.conv2d_backward_weight(x.data(), dy.data(), beside.data(), to, c);
  });
  check<T>("conv2d_backward_bias", db, chain(c.batch * y_plane),
           [&](const auto& k, T* to) { k.conv2d_backward_bias(dy.data(), to, c); });
}

template <class T>
void columns(const Conv2d& c) {
  const int64_t x_plane = c.height * c.width, y_plane = c.out_h * c.out_w,
                taps = c.kernel_h * c.kernel_w, planes = c.batch * c.channels;
  const Values<T> x = numbers<T>(planes * x_plane, -1, 1);
  const Values<T> given = numbers<T>(planes * taps * y_plane, -1, 1, 3);
  Expected cols(given.size()), back(x.size());
  for (int64_t plane = 0; plane < planes; ++plane)
    each_tap(c, [&](int64_t p, int64_t tap, int64_t place) {
      const int64_t at = (plane * taps + tap) * y_plane + p;
      cols.set(at, x[plane * x_plane + place]);
      back.add(plane * x_plane + place, given[at]);
    });
  check<T>("im2col", cols, 0, [&](const auto& k, T* to) { k.im2col(x.data(), to, c); });
  check<T>("col2im", back, chain(taps),
           [&](const auto& k, T* to) { k.col2im(given.data(), to, c); });
}

template <class T>
void all() {
  const Conv2d shapes[] = {
      {2, 4, 9, 11, 6, 9, 11, 3, 3, 1, 1, 1, 1, 1, 1, 1},
      {1, 4, 9, 11, 6, 4, 5, 3, 3, 2, 2, 1, 1, 0, 0, 2},     // strides, groups
      {1, 3, 12, 12, 5, 8, 8, 3, 3, 1, 1, 2, 2, 0, 0, 1},    // dilated
      {2, 20, 7, 5, 33, 7, 5, 1, 1, 1, 1, 1, 1, 0, 0, 1},    // 1x1
      {2, 20, 7, 6, 33, 4, 3, 1, 1, 2, 2, 1, 1, 0, 0, 1},    // 1x1 with strides
      {1, 8, 10, 21, 8, 10, 21, 3, 3, 1, 1, 1, 1, 1, 1, 8},  // depthwise
      {2, 3, 19, 37, 3, 10, 19, 3, 3, 2, 2, 1, 1, 1, 1, 3},
      {1, 9, 7, 7, 9, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 9},
      {2, 19, 14, 13, 19, 7, 7, 5, 5, 2, 2, 1, 1, 2, 2, 19},  // the same, channels in the lanes
      {2, 3, 9, 23, 3, 5, 12, 3, 3, 2, 2, 1, 1, 1, 1, 3},
      {1, 3, 30, 90, 3, 30, 90, 5, 5, 1, 1, 1, 1, 2, 2, 3},
      {1, 3, 13, 22, 3, 7, 11, 5, 5, 2, 2, 1, 1, 2, 2, 3},
      {2, 2, 12, 19, 6, 4, 8, 3, 4, 3, 2, 1, 1, 1, 0, 2},    // several results of a channel
      {3, 1, 28, 28, 6, 28, 28, 5, 5, 1, 1, 1, 1, 2, 2, 1},  // LeNet-5's first and second
      {3, 6, 14, 14, 16, 10, 10, 5, 5, 1, 1, 1, 1, 0, 0, 1},
      {1, 40, 13, 17, 70, 13, 17, 3, 3, 1, 1, 1, 1, 1, 1, 1},  // several panels
      {2, 64, 13, 10, 70, 13, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1},  // Winograd, in float
  };
  for (const Conv2d& c : shapes) {
    convolution<T>(c);
    columns<T>(c);
  }
}

}  // namespace

void check_conv() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
