// Samples at places in and around pictures and volumes, and both gradients.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

Wide keys(Wide x) {
  const Wide a = -0.75;
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}
Wide keys_slope(Wide x) {
  const Wide a = -0.75, d = std::fabs(x), sign = x < 0 ? -1 : 1;
  if (d < 1) return sign * (3 * (a + 2) * d - 2 * (a + 3)) * d;
  return d < 2 ? sign * ((3 * a * d - 10 * a) * d + 8 * a) : 0;
}

struct Tap {
  int64_t at;
  Wide weight, slope;  // of the weight to the coordinate
};

// The pixel that a coordinate stands for, and its slope.
Wide inside(const GridSample& p, int64_t n, Wide at, Wide& slope) {
  if (p.padding == SamplePadding::zeros) return at;
  if (p.padding == SamplePadding::reflection) {
    const Wide low = p.align_corners ? Wide(0) : Wide(-0.5),
               span = n - 2 * (p.align_corners * 0.5L);
    if (at < low) slope = -slope;
    const Wide from = std::fabs(at - low), times = std::floor(from / span);
    const Wide rest = from - times * span;
    const bool back = std::fmod(times, 2) != 0;
    if (back) slope = -slope;
    at = (back ? span - rest : rest) + low;
  }
  if (at <= 0 || at >= n - 1) slope = 0;
  return std::clamp<Wide>(at, 0, n - 1);
}

std::vector<Tap> taps_along(const GridSample& p, int64_t n, Wide v) {
  const Wide at = p.align_corners ? (v + 1) / 2 * (n - 1) : ((v + 1) * n - 1) / 2;
  const Wide scale = Wide(p.align_corners ? n - 1 : n) / 2;
  std::vector<Tap> taps;
  Wide slope = 1;
  if (p.mode == SampleMode::bicubic) {
    for (int64_t k = -1; k < 3; ++k) {
      const Wide i = std::floor(at) + k;
      Wide unused = 1;
      taps.push_back({static_cast<int64_t>(inside(p, n, i, unused)), keys(at - i),
                      keys_slope(at - i) * scale});
    }
  } else {
    const Wide place = inside(p, n, at, slope);
    const Wide low = p.mode == SampleMode::nearest ? std::nearbyint(place) : std::floor(place);
    const int64_t i = static_cast<int64_t>(low);
    if (p.mode == SampleMode::nearest) {
      taps = {{i, 1, 0}};
    } else {
      taps = {{i, 1 - (place - low), -slope * scale}, {i + 1, place - low, slope * scale}};
    }
  }
  std::erase_if(taps, [&](const Tap& tap) { return tap.at < 0 || tap.at >= n; });
  return taps;
}

template <class T>
void sampled(const GridSample& p) {
  const int64_t plane = p.depth * p.height * p.width;
  const Values<T> x = numbers<T>(p.batch * p.channels * plane, -1, 1);
  const Values<T> grid = numbers<T>(p.batch * p.out * p.axes, -1.3, 1.3, 3);
  const Values<T> dy = numbers<T>(p.batch * p.channels * p.out, -1, 1, 5);
  Expected y(p.batch * p.channels * p.out), dx(x.size()), dgrid(grid.size());
  for (int64_t n = 0; n < p.batch; ++n)
    for (int64_t j = 0; j < p.out; ++j) {
      const int64_t at = (n * p.out + j) * p.axes;
      const auto along_x = taps_along(p, p.width, grid[at]);
      const auto along_y = taps_along(p, p.height, grid[at + 1]);
      const std::vector<Tap> flat = {{0, 1, 0}};
      const auto along_z = p.axes == 3 ? taps_along(p, p.depth, grid[at + 2]) : flat;
      for (int64_t c = n * p.channels; c < (n + 1) * p.channels; ++c)
        for (const Tap& u : along_z)
          for (const Tap& v : along_y)
            for (const Tap& w : along_x) {
              const int64_t i = c * plane + (u.at * p.height + v.at) * p.width + w.at;
              const Wide weight = u.weight * v.weight * w.weight, g = dy[c * p.out + j];
              y.add(c * p.out + j, weight * x[i]);
              dx.add(i, weight * g);
              dgrid.add(at, u.weight * v.weight * w.slope * x[i] * g);
              dgrid.add(at + 1, u.weight * v.slope * w.weight * x[i] * g);
              if (p.axes == 3) dgrid.add(at + 2, u.slope * v.weight * w.weight * x[i] * g);
            }
    }
  // A pixel's place is rounded at its own size; slopes are larger by half the size again.
  const bool copies = p.mode == SampleMode::nearest;
  const double size = static_cast<double>(std::max({p.depth, p.height, p.width}));
  for (Expected* each : {&y, &dx, &dgrid})
    if (!copies)
      for (Wide& scale : each->scale) scale = std::max(scale, Wide(1));
  check<T>("grid_sample_forward", y, copies ? 0 : 16 * size,
           [&](const auto& k, T* to) { k.grid_sample_forward(x.data(), grid.data(), to, p); });
  check<T>("grid_sample_backward",
           {{dx, copies ? chain(64) : 64 * size}, {dgrid, 64 * size * size}},
           [&](const KernelTable<T>& k, T* const* to) {
             k.grid_sample_backward(dy.data(), x.data(), grid.data(), to[0], to[1], p);
           });
}

template <class T>
void all() {
  for (const SamplePadding padding :
       {SamplePadding::zeros, SamplePadding::border, SamplePadding::reflection})
    for (const bool align : {false, true}) {
      for (const SampleMode mode : {SampleMode::nearest, SampleMode::bilinear, SampleMode::bicubic})
        sampled<T>({mode, padding, align, 2, 2, 19, 1, 9, 11, 150});
      for (const SampleMode mode : {SampleMode::nearest, SampleMode::bilinear})
        sampled<T>({mode, padding, align, 3, 2, 3, 4, 5, 6, 50});
    }
}

}  // namespace

void check_grid_sample() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
