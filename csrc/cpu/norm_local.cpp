// Local response norm (Krizhevsky, Sutskever and Hinton 2012): each element over a power of the
// mean square of its neighbours, the channels around it at the same place. x is (batch, channels,
// size). A block of places is done for all channels at once, in L1 or L2; memory is read and
// written once.

#include "cpu/norm.h"
#include "cpu/simd_math.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Vectors of places in a block: a channel's part of a block is whole lines.
constexpr int64_t kPlaces = 4;

// d^-beta. AlexNet's 3/4 takes two roots.
template <class T>
DLCORE_INLINE Vec<T> negative_power(Vec<T> d, T beta) {
  if (beta == T(0.75)) {
    const Vec<T> root = sqrt<T>(d);
    return T(1) / (root * sqrt<T>(root));
  }
  return power<T>(d, splat<T>(-beta));
}

// body(x offset of channel 0, lanes) for blocks of up to kPlaces vectors; `lanes` of the block.
template <class T, class Body>
DLCORE_INLINE void for_places(int64_t batch, int64_t channels, int64_t size, int64_t cost,
                              const Body& body) {
  const int64_t width = kPlaces * kLanes<T>, blocks = ceil_div(size, width);
  parallel_for(batch * blocks, grain_for(cost * channels * width), [=](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t place = item % blocks * width;
      body(item / blocks * channels * size + place, smaller(width, size - place));
    }
  });
}

// k + alpha / window * (sum of squares of the channels [c - before, c + after]) at one vector.
template <class T>
DLCORE_INLINE Vec<T> denominator(const T* x, const LocalNorm& p, int64_t c, int64_t lanes, T alpha,
                                 T k) {
  const int64_t low = larger(c - p.before, 0), high = smaller(c + p.after, p.channels - 1);
  Vec<T> sum{};
  for (int64_t j = low; j <= high; ++j) {
    const Vec<T> v = load_lanes(x + j * p.size, lanes);
    sum += v * v;
  }
  return sum * alpha + k;
}

// y = x / d^beta, d = k + alpha / window * sum of squares over the window.
template <class T>
void local_norm_forward(const T* x, T* y, const LocalNorm& p, double alpha, double beta, double k) {
  const T scale = static_cast<T>(alpha / static_cast<double>(p.before + p.after + 1));
  const int64_t cost = smaller(p.before + p.after, p.channels) + 12;
  for_places<T>(p.batch, p.channels, p.size, cost, [=, &p](int64_t at, int64_t width) {
    for (int64_t c = 0; c < p.channels; ++c)
      for (int64_t i = 0; i < width; i += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, width - i);
        const Vec<T> d = denominator<T>(x + at + i, p, c, lanes, scale, static_cast<T>(k));
        const int64_t place = at + c * p.size + i;
        store_lanes<T>(y + place, lanes,
                       load_lanes(x + place, lanes) * negative_power<T>(d, static_cast<T>(beta)));
      }
  });
}

// dx[i] = dy[i] d[i]^-beta - 2 beta alpha / window x[i] (sum of dy[j] x[j] d[j]^(-beta - 1) over
// the j whose window holds i).
template <class T>
void local_norm_backward(const T* x, const T* dy, T* dx, const LocalNorm& p, double alpha,
                         double beta, double k) {
  const T scale = static_cast<T>(alpha / static_cast<double>(p.before + p.after + 1));
  const T slope = static_cast<T>(2 * beta) * scale;
  const int64_t cost = 2 * smaller(p.before + p.after, p.channels) + 24;
  for_places<T>(p.batch, p.channels, p.size, cost, [=, &p](int64_t at, int64_t width) {
    const int64_t row = kPlaces * kLanes<T>;
    T* direct =
        static_cast<T*>(buffer_acquire(static_cast<size_t>(2 * p.channels * row) * sizeof(T)));
    T* shared = direct + p.channels * row;
    for (int64_t c = 0; c < p.channels; ++c)
      for (int64_t i = 0; i < width; i += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, width - i), place = at + c * p.size + i;
        const Vec<T> d = denominator<T>(x + at + i, p, c, lanes, scale, static_cast<T>(k));
        const Vec<T> g = load_lanes(dy + place, lanes) * negative_power<T>(d, static_cast<T>(beta));
        store<T>(direct + c * row + i, g);
        store<T>(shared + c * row + i, g * load_lanes(x + place, lanes) / d);
      }
    for (int64_t c = 0; c < p.channels; ++c) {
      const int64_t low = larger(c - p.after, 0), high = smaller(c + p.before, p.channels - 1);
      for (int64_t i = 0; i < width; i += kLanes<T>) {
        const int64_t lanes = smaller(kLanes<T>, width - i), place = at + c * p.size + i;
        Vec<T> sum{};
        for (int64_t j = low; j <= high; ++j) sum += load<T>(shared + j * row + i);
        store_lanes<T>(dx + place, lanes,
                       load<T>(direct + c * row + i) - load_lanes(x + place, lanes) * slope * sum);
      }
    }
    buffer_release(direct);
  });
}

}  // namespace

DLCORE_EXPORT(local_norm_forward)
DLCORE_EXPORT(local_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
