// Batch norm (Ioffe and Szegedy 2015), group norm (Wu and He 2018), instance norm: channels of x,
// (batch, channels, size). A set is what shares a mean and a variance: a channel of all samples, or
// a group of channels of one sample. Blocks find the moments of parts of a set, whose second look
// at x comes from L1; another kernel reads x once more and writes y.

#include "cuda/channel_sums.h"
#include "cuda/each.h"
#include "cuda/math.h"
#include "kernels/norm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
Units sets_of(const ChannelNorm<T>& p) {
  if (p.groups == 0) return Units::channels(p.batch, p.channels, p.size);
  return Units::rows(p.batch * p.groups, p.channels / p.groups * p.size);
}

// Of a part of a set: of how many elements, their mean and the sum of their squares around it.
struct Moments {
  double count, mean, squares;
};

template <class T>
struct FindMoments {
  const T* x;
  Moments* moments;
  Units sets;

  template <int kThreads>
  __device__ void part(int64_t set, int64_t part) const {
    const int64_t n = smaller(Units::kPart, sets.elements() - part * Units::kPart);
    const double count = static_cast<double>(n);
    PartSums<T, 1> first;
    const auto add = [&](int64_t i) { first.few[0] += x[i]; };
    sets.each<kThreads>(set, part, add, [&] { first.flush(); });
    first.template fold<kThreads>();
    const T mean = static_cast<T>(first.all[0] / count);
    PartSums<T, 2> second;
    const auto add_around = [&](int64_t i) {
      const T d = x[i] - mean;
      second.few[0] += d;
      second.few[1] += d * d;
    };
    sets.each<kThreads>(set, part, add_around, [&] { second.flush(); });
    second.template fold<kThreads>();
    if (threadIdx.x % kThreads != 0) return;
    const double rest = second.all[0];
    moments[set * sets.parts() + part] = {count, static_cast<double>(mean) + rest / count,
                                          second.all[1] - rest * rest / count};
  }
};

template <class T>
__device__ T reciprocal_root(double variance, double eps) {
  return static_cast<T>(1 / math::sqrt(variance + eps));
}

// The moments of a set, from its parts in their order.
template <class T>
struct JoinMoments {
  const Moments* moments;
  ChannelNorm<T> p;
  double* variance;
  int64_t parts;
  double eps;
  template <class Index>
  __device__ void at(Index set) const {
    Moments all{0, 0, 0};
    for (int64_t i = set * parts; i < (set + 1) * parts; ++i) {
      const Moments m = moments[i];
      const double count = all.count + m.count, apart = m.mean - all.mean;
      if (count == 0) continue;
      all.mean += apart * (m.count / count);
      all.squares += m.squares + apart * apart * (all.count * (m.count / count));
      all.count = count;
    }
    variance[set] = all.squares / all.count;
    p.mean[set] = static_cast<T>(all.mean);
    p.rstd[set] = reciprocal_root<T>(variance[set], eps);
  }
};

// running = (1 - momentum) running + momentum new, where the variance is the unbiased one and
// instance norm takes the mean over the samples.
template <class T>
struct UpdateRunning {
  const T* mean;
  const double* variance;
  T *running_mean, *running_var;
  int64_t samples, channels;
  double elements, momentum;

  __device__ void blend(T& old, double now) const {
    old = static_cast<T>((1 - momentum) * static_cast<double>(old) + momentum * now);
  }
  template <class Index>
  __device__ void at(Index c) const {
    double m = 0, var = 0;
    for (int64_t n = 0; n < samples; ++n) {
      m += static_cast<double>(mean[n * channels + c]);
      var += variance[n * channels + c];
    }
    blend(running_mean[c], m / static_cast<double>(samples));
    blend(running_var[c], var * (elements / (elements - 1) / static_cast<double>(samples)));
  }
};

// What the elements of a plane become: min(max((x - mean) scale + shift + residual, low), high).
template <class T>
struct Element {
  int64_t set;
  T mean, scale, shift;
  template <class Index>
  __device__ Element(const ChannelNorm<T>& p, Index plane) {
    const Index channels = static_cast<Index>(p.channels), sample = plane / channels;
    const Index channel = plane - sample * channels;
    set = channel;
    if (p.groups != 0)
      set = int64_t(sample) * p.groups + channel / static_cast<Index>(channels / p.groups);
    mean = p.mean[set];
    scale = p.weight ? p.rstd[set] * p.weight[channel] : p.rstd[set];
    shift = p.bias ? p.bias[channel] : T(0);
  }
  __device__ T before(T x) const { return math::fma(x - mean, scale, shift); }
};

// body.write(i, element) for all i: what a plane's have in common is looked up once for a stretch
// of it, or for each element where planes are short.
constexpr int kStretch = 2048;
template <class T, class Body>
__global__ void __launch_bounds__(kBlock, 2)
    stretch_kernel(int64_t items, int64_t per_plane, const __grid_constant__ ChannelNorm<T> p,
                   const __grid_constant__ Body body) {
  for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const int64_t plane = item / per_plane, begin = (item - plane * per_plane) * kStretch;
    const Element<T> e(p, plane);
    const int64_t end = smaller(begin + kStretch, p.size);
#pragma unroll 4
    for (int64_t i = begin + threadIdx.x; i < end; i += kBlock) body.write(plane * p.size + i, e);
  }
}
template <class T, class Body>
struct OneByOne {
  ChannelNorm<T> p;
  Body body;
  template <class Index>
  __device__ void at(Index i) const {
    body.write(i, Element<T>(p, i / static_cast<Index>(p.size)));
  }
};
template <class T, class Body>
void each_element(const ChannelNorm<T>& p, const Body& body) {
  const int64_t planes = p.batch * p.channels, n = planes * p.size;
  if (p.size < kBlock) return each(n, n, OneByOne<T, Body>{p, body});
  const int64_t per_plane = ceil_div(p.size, kStretch);
  launch(stretch_kernel<T, Body>, Size{blocks_for(planes * per_plane, 1), kBlock},
         planes * per_plane, per_plane, p, body);
}

template <class T>
struct Normalize {
  const T *x, *residual;
  T* y;
  T low, high;
  __device__ void write(int64_t i, const Element<T>& e) const {
    T v = e.before(x[i]);
    if (residual) v += residual[i];
    y[i] = math::clamp(v, low, high);
  }
};
template <class T>
void normalize(const T* x, T* y, const ChannelNorm<T>& p) {
  each_element(p, Normalize<T>{x, p.residual, y, p.low, p.high});
}

// y = (x - mean) rstd weight + bias + residual, cut to [low, high], with the mean and variance of
// each set, which are kept in p.mean and p.rstd. running_mean and running_var, both or none, are
// updated in place.
template <class T>
void channel_norm_forward(const T* x, T* y, const ChannelNorm<T>& p, T* running_mean,
                          T* running_var, double momentum, double eps) {
  const Units sets = sets_of(p);
  const Scratch<Moments> moments(sets.count * sets.parts());
  const Scratch<double> variance(sets.count);
  each_part(sets, FindMoments<T>{x, moments, sets});
  each(sets.count, sets.count, JoinMoments<T>{moments, p, variance, sets.parts(), eps});
  normalize(x, y, p);
  if (running_mean && sets.count > 0)
    each(p.channels, p.channels,
         UpdateRunning<T>{p.mean, variance, running_mean, running_var, p.groups == 0 ? 1 : p.batch,
                          p.channels, static_cast<double>(sets.elements()), momentum});
}

template <class T>
struct GivenVariance {
  const T* variance;
  T* rstd;
  double eps;
  template <class Index>
  __device__ void at(Index c) const {
    rstd[c] = reciprocal_root<T>(static_cast<double>(variance[c]), eps);
  }
};

// The same with a mean and a variance that are given for each channel; p.rstd is written.
template <class T>
void channel_norm_inference(const T* x, T* y, const ChannelNorm<T>& p, const T* variance,
                            double eps) {
  each(p.channels, p.channels, GivenVariance<T>{variance, p.rstd, eps});
  normalize(x, y, p);
}

// dz, the gradient of what was cut to [low, high]: dy inside, 0 outside. y may be null without a
// residual: then x tells what was cut.
template <class T>
struct Cut {
  const T *x, *y, *dy;
  T low, high;
  __device__ T at(int64_t i, const Element<T>& e) const {
    if (!y && low == -kInf<T>) return dy[i];
    const T result = y ? y[i] : e.before(x[i]);
    return result > low && result < high ? dy[i] : T(0);
  }
};

// Sums of dz and of dz (x - mean), of each set over the batch or of each plane.
struct GradientSums {
  double dz, dz_x;
};
template <class T>
struct SumGradients {
  Cut<T> cut;
  ChannelNorm<T> p;
  GradientSums* sums;
  Units units;
  template <int kThreads>
  __device__ void part(int64_t unit, int64_t part) const {
    const Element<T> e(p, unit);  // the plane of the first sample, or of its own
    PartSums<T, 2> sum;
    const auto add = [&](int64_t i) {
      const T d = cut.at(i, e);
      sum.few[0] += d;
      sum.few[1] += d * (cut.x[i] - e.mean);
    };
    units.each<kThreads>(unit, part, add, [&] { sum.flush(); });
    sum.template fold<kThreads>();
    if (threadIdx.x % kThreads == 0) sums[unit * units.parts() + part] = {sum.all[0], sum.all[1]};
  }
};
// The parts of each unit, in their order; the sum is left in the first.
struct JoinGradients {
  GradientSums* sums;
  int64_t parts;
  template <class Index>
  __device__ void at(Index unit) const {
    GradientSums all{0, 0};
    for (int64_t i = unit * parts; i < (unit + 1) * parts; ++i) {
      all.dz += sums[i].dz;
      all.dz_x += sums[i].dz_x;
    }
    sums[unit * parts] = all;
  }
};

// What the mean and the variance of a set, through which x is normalized, add to dx.
template <class T>
struct ThroughStatistics {
  const GradientSums* sums;
  ChannelNorm<T> p;
  T *slope, *shift;
  int64_t units, parts;  // units of a set
  double elements;
  template <class Index>
  __device__ void at(Index set) const {
    double g = 0, g_x = 0;
    const int64_t first = p.groups == 0 ? set : set % p.groups * units;  // channel
    for (int64_t i = 0; i < units; ++i) {
      const double weight = p.weight ? static_cast<double>(p.weight[first + i]) : 1;
      const GradientSums& sum = sums[(set * units + i) * parts];
      g += sum.dz * weight;
      g_x += sum.dz_x * weight;
    }
    const double rstd = static_cast<double>(p.rstd[set]), each = rstd / elements;
    slope[set] = static_cast<T>(-rstd * rstd * g_x * each);
    shift[set] = static_cast<T>(-g * each);
  }
};

template <class T>
struct GradientsOfParameters {
  const GradientSums* sums;
  const T* rstd;
  T *dweight, *dbias;
  int64_t channels, groups, units, parts;  // units: all
  template <class Index>
  __device__ void at(Index c) const {
    double dw = 0, db = 0;
    for (int64_t i = c; i < units; i += channels) {
      const GradientSums& sum = sums[i * parts];
      dw += sum.dz_x * static_cast<double>(rstd[groups == 0 ? c : i / (channels / groups)]);
      db += sum.dz;
    }
    if (dweight) dweight[c] = static_cast<T>(dw);
    if (dbias) dbias[c] = static_cast<T>(db);
  }
};

template <class T>
struct WriteGradient {
  Cut<T> cut;
  const T *slope, *shift;  // null: the statistics are given
  T *dx, *dresidual;
  __device__ void write(int64_t i, const Element<T>& e) const {
    const T d = cut.at(i, e);
    T v = d * e.scale;
    if (slope) v += math::fma(cut.x[i] - e.mean, slope[e.set], shift[e.set]);
    if (dresidual) dresidual[i] = d;
    dx[i] = v;
  }
};

// With statistics of the set, dz = dy where y is not cut, g = dz weight and h = (x - mean) rstd:
// dx = rstd (g - mean(g) - h mean(g h)), dweight = sum(dz h), dbias = sum(dz), dresidual = dz.
// With given statistics (batch_statistics false, groups 0): dx = g rstd.
// dweight and dbias may be null, dresidual too and where nothing is cut; it may be dy. y may be
// null without a residual.
template <class T>
void channel_norm_backward(const T* x, const T* y, const T* dy, T* dx, T* dweight, T* dbias,
                           T* dresidual, const ChannelNorm<T>& p, bool batch_statistics) {
  const Cut<T> cut{x, y, dy, p.low, p.high};
  const Units sets = sets_of(p);
  const Units units = p.groups == 0 ? sets : Units::rows(p.batch * p.channels, p.size);
  const int64_t parts = units.parts(), n = p.batch * p.channels * p.size;
  if (n == 0) {
    const size_t bytes = static_cast<size_t>(p.channels) * sizeof(T);
    if (dweight) device_clear(dweight, bytes);
    if (dbias) device_clear(dbias, bytes);
    return;
  }
  const Scratch<GradientSums> sums(units.count * parts);
  const Scratch<T> lines(2 * sets.count);
  T *const slope = lines, *const shift = slope + sets.count;
  if (batch_statistics || dweight || dbias) {
    each_part(units, SumGradients<T>{cut, p, sums, units});
    if (parts > 1) each(units.count, units.count, JoinGradients{sums, parts});
  }
  if (batch_statistics)
    each(sets.count, sets.count,
         ThroughStatistics<T>{sums, p, slope, shift, p.groups == 0 ? 1 : p.channels / p.groups,
                              parts, static_cast<double>(sets.elements())});
  if (dweight || dbias)
    each(p.channels, p.channels,
         GradientsOfParameters<T>{sums, p.rstd, dweight, dbias, p.channels, p.groups, units.count,
                                  parts});
  each_element(p, WriteGradient<T>{cut, batch_statistics ? slope : nullptr, shift, dx, dresidual});
}

}  // namespace

DLCORE_CUDA_EXPORT(channel_norm_forward)
DLCORE_CUDA_EXPORT(channel_norm_inference)
DLCORE_CUDA_EXPORT(channel_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
