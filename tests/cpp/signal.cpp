// Frames, their sum and the power of pairs, by plain loops.
#include "check.h"

namespace dlcore {
namespace {

template <class T>
void frames(const FrameShape& s) {
  const Values<T> x = numbers<T>(s.batch * s.length, -1, 1), window = numbers<T>(s.size, 0, 1, 3),
                  cut = numbers<T>(s.batch * s.frames * s.size, -1, 1, 5);
  Expected out(s.batch * s.frames * s.size), sums(s.batch * s.length), weights(s.length);
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t t = 0; t < s.frames; ++t)
      for (int64_t i = 0; i < s.size; ++i) {
        const int64_t at = (b * s.frames + t) * s.size + i, place = t * s.hop + i;
        out.set(at, static_cast<Wide>(window[i]) * x[b * s.length + place]);
        sums.add(b * s.length + place, static_cast<Wide>(window[i]) * cut[at]);
        if (b == 0) weights.add(place, window[i]);
      }
  check<T>("frame", out, 0.5, [&](const auto& k, T* y) { k.frame(x.data(), window.data(), y, s); });
  const double allowed = chain(s.size / s.hop + 1);
  check<T>("overlap_add", sums, allowed,
           [&](const auto& k, T* y) { k.overlap_add(cut.data(), window.data(), y, s); });
  const FrameShape one{1, s.length, s.frames, s.size, s.hop};
  check<T>("overlap_add", weights, allowed,
           [&](const auto& k, T* y) { k.overlap_add(nullptr, window.data(), y, one); });
}

template <class T>
void powers(int64_t n) {
  Values<T> x = numbers<T>(2 * n, -3, 3), dy = numbers<T>(n, -1, 1, 3), size(n);
  x[0] = x[1] = 0;
  Expected square, root, of_square, of_root;
  for (int64_t i = 0; i < n; ++i) {
    const Wide re = x[2 * i], im = x[2 * i + 1], power = re * re + im * im;
    square.push(power);
    root.push(std::sqrt(power));
    size[i] = static_cast<T>(std::sqrt(power));
    for (const Wide part : {re, im}) {
      of_square.push(2 * dy[i] * part);
      of_root.push(size[i] == 0 ? 0 : dy[i] * part / size[i]);
    }
  }
  for (const bool is_root : {false, true}) {
    check<T>("pair_power_forward", is_root ? root : square, 1.5,
             [&](const auto& k, T* y) { k.pair_power_forward(x.data(), y, n, is_root); });
    check<T>("pair_power_backward", is_root ? of_root : of_square, 1, [&](const auto& k, T* dx) {
      k.pair_power_backward(x.data(), size.data(), dy.data(), dx, n, is_root);
    });
  }
}

template <class T>
void all() {
  // batch, length, frames, size, hop; elements behind the last frame, gaps between frames.
  for (const FrameShape& s :
       {FrameShape{1, 1, 1, 1, 1}, FrameShape{2, 40, 5, 7, 3}, FrameShape{3, 130, 4, 33, 32},
        FrameShape{1, 60, 6, 5, 9}, FrameShape{2, 10003, 301, 400, 32}})
    frames<T>(s);
  for (const int64_t n : {1, 7, 8, 9, 15, 16, 17, 40, 70001}) powers<T>(n);
}

}  // namespace

void check_signal() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
