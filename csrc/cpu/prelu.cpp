// PReLU: x where it is positive, weight x elsewhere, with a weight for each channel or for all.
// Bound by memory.

#include "cpu/scratch.h"
#include "kernels/activation.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kLongest = 1 << 12;  // elements of a run: a sum of one chain in each lane
constexpr int64_t kCost = 2;           // of an element

// x (outer, channels, inner) as runs of elements that lie together. Where channels are the last
// axis a run is one row of them, its columns; elsewhere a run is a piece of one channel.
struct Runs {
  int64_t outer, channels, inner, pieces, size;  // of the longest
  bool columns;

  Runs(int64_t outer_, int64_t channels_, int64_t inner_)
      : outer(outer_), channels(channels_), inner(inner_) {
    columns = inner == 1 && channels > 1;
    if (channels == 1) inner *= outer, outer = 1;
    pieces = columns ? 1 : ceil_div(inner, kLongest);
    size = columns ? channels : round_up(ceil_div(inner, larger(pieces, 1)), 16);
  }
  int64_t count() const { return columns ? outer : outer * channels * pieces; }
};

// f(place, column, n, weights) for the vectors of a run, n elements each.
template <class T, class F>
DLCORE_INLINE void for_vectors(const Runs& r, int64_t run, const T* weight, const F& f) {
  const int64_t piece = run % r.pieces * r.size, whole = run / r.pieces;
  const int64_t from = r.columns ? run * r.size : whole * r.inner + piece;
  const int64_t count = r.columns ? r.size : smaller(r.size, r.inner - piece);
  Vec<T> w = splat<T>(weight[r.columns ? 0 : whole % r.channels]);
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) {
    if (r.columns) w = load<T>(weight + i);
    f(from + i, i, kLanes<T>, w);
  }
  const int64_t n = count - i;
  if (n > 0) f(from + i, i, n, r.columns ? load_part<T>(weight + i, n, T(0)) : w);
}

// y may be x.
template <class T>
void prelu_forward(const T* x, const T* weight, T* y, int64_t outer, int64_t channels,
                   int64_t inner) {
  const Runs r(outer, channels, inner);
  parallel_for(r.count(), grain_for(kCost * r.size), [=](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run)
      for_vectors<T>(r, run, weight, [=](int64_t at, int64_t, int64_t n, Vec<T> w) {
        const Vec<T> v = load_part<T>(x + at, n, T(0));
        store_part<T>(y + at, n, v > T(0) ? v : v * w);
      });
  });
}

// dx = dy or weight dy, and dweight the sum of x dy where x is not positive: of each run in `sums`,
// then of these in order. dx may be dy.
template <class T>
void prelu_backward(const T* x, const T* weight, const T* dy, T* dx, T* dweight, int64_t outer,
                    int64_t channels, int64_t inner) {
  const Runs r(outer, channels, inner);
  const int64_t grain = grain_for(kCost * r.size);
  const int64_t groups = r.columns ? ceil_div(r.outer, grain) : r.outer;
  Scratch scratch(groups * channels * r.pieces * static_cast<int64_t>(sizeof(T)));
  T* sums = scratch.take<T>(groups * channels * r.pieces);
  parallel_for(r.count(), grain, [=](int64_t begin, int64_t end) {
    T* columns = sums + begin / grain * channels;
    if (r.columns) std::memset(columns, 0, static_cast<size_t>(channels) * sizeof(T));
    for (int64_t run = begin; run < end; ++run) {
      Vec<T> sum{};
      for_vectors<T>(r, run, weight, [=, &sum](int64_t at, int64_t i, int64_t n, Vec<T> w) {
        const Vec<T> v = load_part<T>(x + at, n, T(0)), d = load_part<T>(dy + at, n, T(0));
        store_part<T>(dx + at, n, v > T(0) ? d : d * w);
        const Vec<T> slope = v > T(0) ? Vec<T>{} : v * d;
        if (r.columns)
          store_part<T>(columns + i, n, load_part<T>(columns + i, n, T(0)) + slope);
        else
          sum += slope;
      });
      if (!r.columns) sums[run] = hsum<T>(sum);
    }
  });
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t p = 0; p < r.pieces; ++p)
        sum += static_cast<double>(sums[(g * channels + c) * r.pieces + p]);
    dweight[c] = static_cast<T>(sum);
  }
}

}  // namespace

DLCORE_EXPORT(prelu_forward)
DLCORE_EXPORT(prelu_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
