// Resizing in each mode, by the weight of every element of an axis in every resized one; shuffles.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

Wide keys(Wide x, Wide a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// (out, size): how much of each element is in each resized one.
std::vector<Wide> matrix(const Resize& p, const ResizeAxis& a) {
  std::vector<Wide> weights(a.out * a.size);
  Wide step = a.scale > 0 ? 1 / Wide(a.scale) : Wide(a.size) / Wide(a.out);
  if (p.align_corners) step = a.out > 1 ? Wide(a.size - 1) / Wide(a.out - 1) : 0;
  for (int64_t o = 0; o < a.out; ++o) {
    Wide* const row = weights.data() + o * a.size;
    const auto at = [&](int64_t i) -> Wide& { return row[std::clamp<int64_t>(i, 0, a.size - 1)]; };
    const Wide centre = step * (o + Wide(0.5));
    const Wide place = p.align_corners ? step * o : centre - Wide(0.5);
    const int64_t low = static_cast<int64_t>(std::floor(place));
    switch (p.mode) {
      case ResizeMode::nearest:
        at(static_cast<int64_t>(step * o)) = 1;
        break;
      case ResizeMode::nearest_exact:
        at(static_cast<int64_t>(centre)) = 1;
        break;
      case ResizeMode::area: {
        const int64_t begin = o * a.size / a.out, end = ((o + 1) * a.size + a.out - 1) / a.out;
        for (int64_t i = begin; i < end; ++i) row[i] = Wide(1) / Wide(end - begin);
        break;
      }
      case ResizeMode::linear:
        at(low) += 1 - (place - low);
        at(low + 1) += place - low;
        break;
      case ResizeMode::cubic:
        for (int64_t i = low - 1; i <= low + 2; ++i) at(i) += keys(place - i, Wide(-0.75));
        break;
      default: {
        const bool cubic = p.mode == ResizeMode::cubic_antialias;
        const Wide wide = std::max(step, Wide(1)), radius = wide * (cubic ? 2 : 1);
        Wide total = 0;
        for (int64_t i = 0; i < a.size; ++i) {
          const Wide x = (i + Wide(0.5) - centre) / wide;
          if (i < static_cast<int64_t>(std::max(centre - radius + Wide(0.5), Wide(0)))) continue;
          if (i >= static_cast<int64_t>(centre + radius + Wide(0.5))) continue;
          row[i] = cubic ? keys(x, Wide(-0.5)) : std::max(1 - std::fabs(x), Wide(0));
          total += row[i];
        }
        for (int64_t i = 0; i < a.size; ++i) row[i] /= total;
      }
    }
  }
  return weights;
}

template <class T>
void resized(ResizeMode mode, bool align, int64_t planes, ResizeAxis depth, ResizeAxis height,
             ResizeAxis width) {
  const Resize p{mode, align, planes, depth, height, width};
  const int64_t in = depth.size * height.size * width.size,
                out = depth.out * height.out * width.out;
  const Values<T> x = numbers<T>(planes * in, -1, 1), dy = numbers<T>(planes * out, -1, 1, 5);
  const auto d = matrix(p, depth), h = matrix(p, height), w = matrix(p, width);
  Expected y(planes * out), dx(planes * in);
  for (int64_t o = 0; o < planes * out; ++o) {
    const int64_t ow = o % width.out, oh = o / width.out % height.out;
    const int64_t od = o / (width.out * height.out) % depth.out;
    for (int64_t i = o / out * in; i < (o / out + 1) * in; ++i) {
      const int64_t iw = i % width.size, ih = i / width.size % height.size;
      const int64_t id = i / (width.size * height.size) % depth.size;
      const Wide weight =
          d[od * depth.size + id] * h[oh * height.size + ih] * w[ow * width.size + iw];
      if (weight == 0) continue;
      y.add(o, weight * x[i]);
      dx.add(i, weight * dy[o]);
    }
  }
  // A place is rounded at its own size, which moves the weights by as much.
  const bool copies = mode == ResizeMode::nearest || mode == ResizeMode::nearest_exact;
  const double moved = 12.0 * static_cast<double>(std::max(height.size, width.size));
  for (Expected* each : {&y, &dx})
    if (!copies)
      for (Wide& scale : each->scale) scale = std::max(scale, Wide(1));
  check<T>("resize_forward", y, copies ? 0 : moved,
           [&](const auto& k, T* to) { k.resize_forward(x.data(), to, p); });
  check<T>("resize_backward", dx, copies ? chain(64) : 4 * moved,
           [&](const auto& k, T* to) { k.resize_backward(dy.data(), to, p); });
}

template <class T>
void shuffled(int64_t planes, int64_t factor, int64_t height, int64_t width) {
  const int64_t n = planes * factor * factor * height * width;
  const Values<T> x = numbers<T>(n, -1, 1);
  Expected fine(n), coarse(n);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t w = i % width, h = i / width % height;
    const int64_t channel = i / (width * height), plane = channel / (factor * factor);
    const int64_t r = channel / factor % factor, s = channel % factor;
    const int64_t to = ((plane * height + h) * factor + r) * width * factor + w * factor + s;
    fine.set(to, x[i]);
    coarse.set(i, x[to]);
  }
  check<T>("pixel_shuffle", fine, 0, [&](const auto& k, T* to) {
    k.pixel_shuffle(x.data(), to, planes, factor, height, width);
  });
  check<T>("pixel_unshuffle", coarse, 0, [&](const auto& k, T* to) {
    k.pixel_unshuffle(x.data(), to, planes, factor, height, width);
  });
  Expected dealt(n);
  const int64_t groups = planes, channels = factor * factor, size = height * width;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t g = i / (channels * size), c = i / size % channels;
    dealt.set((c * groups + g) * size + i % size, x[i]);
  }
  check<T>("channel_shuffle", dealt, 0, [&](const auto& k, T* to) {
    k.channel_shuffle(x.data(), to, 1, groups, channels, size);
  });
}

template <class T>
void all() {
  for (const ResizeMode mode :
       {ResizeMode::nearest, ResizeMode::nearest_exact, ResizeMode::linear, ResizeMode::cubic,
        ResizeMode::area, ResizeMode::linear_antialias, ResizeMode::cubic_antialias}) {
    resized<T>(mode, false, 3, {1, 1, 0}, {6, 12, 0}, {18, 36, 0});
    resized<T>(mode, false, 3, {1, 1, 0}, {24, 16, 0}, {45, 30, 2.0 / 3});
    resized<T>(mode, false, 20, {1, 1, 0}, {4, 8, 2}, {3, 6, 0});
  }
  for (const ResizeMode mode : {ResizeMode::linear, ResizeMode::cubic})
    resized<T>(mode, true, 2, {1, 1, 0}, {5, 9, 0}, {9, 5, 0});
  resized<T>(ResizeMode::linear, false, 2, {4, 8, 0}, {3, 6, 0}, {5, 10, 0});
  resized<T>(ResizeMode::area, false, 2, {4, 3, 0}, {7, 5, 0}, {11, 9, 0});
  shuffled<T>(3, 2, 5, 21);
  shuffled<T>(2, 3, 4, 7);
}

}  // namespace

void check_resize() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
