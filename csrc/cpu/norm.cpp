// Batch norm (Ioffe and Szegedy 2015), group norm (Wu and He 2018), instance norm: channels of x,
// (batch, channels, size). A set is what shares a mean and a variance: a channel of all samples, or
// a group of channels of one sample. One thread does all passes over a set while it is in L2, so
// that memory is read and written once: forward x and y, backward x, dy and dx.
// x of (batch, channels), where a channel is a column, is norm_columns.h's.

#include "cpu/norm.h"

#include "cpu/norm_columns.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Set s: `pieces` rows of p.size elements, `stride` apart; piece i is channel channel(s, i).
template <class T>
struct Sets {
  const ChannelNorm<T>& p;
  int64_t count, pieces, stride;

  explicit Sets(const ChannelNorm<T>& p) : p(p) {
    const bool over_batch = p.groups == 0;
    count = over_batch ? p.channels : p.batch * p.groups;
    pieces = over_batch ? p.batch : p.channels / p.groups;
    stride = over_batch ? p.channels * p.size : p.size;
  }
  int64_t begin(int64_t s) const { return p.groups == 0 ? s * p.size : s * pieces * p.size; }
  int64_t channel(int64_t s, int64_t i) const {
    return p.groups == 0 ? s : s % p.groups * pieces + i;
  }
  int64_t elements() const { return pieces * p.size; }
};

// y = (x - mean) scale + shift on one piece.
template <class T>
DLCORE_INLINE void write_piece(const T* x, T mean, T scale, T shift, bool past_caches, T* y,
                               int64_t n) {
  write_row<T>(y, n, past_caches, [=](int64_t i, int64_t lanes) {
    return (load_lanes(x + i, lanes) - mean) * scale + shift;
  });
}

template <class T>
DLCORE_INLINE T weight_of(const ChannelNorm<T>& p, int64_t channel) {
  return p.weight ? p.weight[channel] : T(1);
}
template <class T>
DLCORE_INLINE T bias_of(const ChannelNorm<T>& p, int64_t channel) {
  return p.bias ? p.bias[channel] : T(0);
}

// running = (1 - momentum) running + momentum new, where the variance is the unbiased one and
// instance norm takes the mean over the samples.
template <class T>
DLCORE_INLINE void update_running(const ChannelNorm<T>& p, const double* variance, int64_t per_set,
                                  T* running_mean, T* running_var, double momentum) {
  const int64_t samples = p.groups == 0 ? 1 : p.batch;
  const double elements = static_cast<double>(per_set);
  const double unbias = elements / (elements - 1) / static_cast<double>(samples);
  for (int64_t c = 0; c < p.channels; ++c) {
    double mean = 0, var = 0;
    for (int64_t n = 0; n < samples; ++n) {
      mean += static_cast<double>(p.mean[n * p.channels + c]);
      var += variance[n * p.channels + c];
    }
    mean /= static_cast<double>(samples);
    const auto blend = [momentum](T& old, double now) {
      old = static_cast<T>((1 - momentum) * static_cast<double>(old) + momentum * now);
    };
    blend(running_mean[c], mean);
    blend(running_var[c], var * unbias);
  }
}

// y = (x - mean) rstd weight + bias with the mean and variance of each set, which are kept in
// p.mean and p.rstd. running_mean and running_var, both or none, are updated in place.
template <class T>
void channel_norm_forward(const T* x, T* y, const ChannelNorm<T>& p, T* running_mean,
                          T* running_var, double momentum, double eps) {
  const Sets<T> sets(p);
  const bool past_caches = goes_past_caches<T>(sets.count * sets.elements());
  double* variance =
      static_cast<double*>(buffer_acquire(static_cast<size_t>(sets.count) * sizeof(double)));
  if (p.groups == 0 && p.size == 1) {
    columns_forward(x, y, p, variance, eps);
  } else {
    parallel_for(sets.count, grain_for(4 * sets.elements()), [=, &p](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        const int64_t at = sets.begin(s);
        const Moments m = sets.stride == p.size
                              ? moments<T>(x + at, 1, 0, sets.elements())
                              : moments<T>(x + at, sets.pieces, sets.stride, p.size);
        variance[s] = m.variance();
        p.mean[s] = static_cast<T>(m.mean);
        p.rstd[s] = reciprocal_root<T>(variance[s], eps);
        for (int64_t i = 0; i < sets.pieces; ++i) {
          const int64_t channel = sets.channel(s, i), piece = at + i * sets.stride;
          write_piece(x + piece, p.mean[s], p.rstd[s] * weight_of(p, channel), bias_of(p, channel),
                      past_caches, y + piece, p.size);
        }
      }
      if (past_caches) stream_fence();
    });
  }
  if (running_mean && sets.count > 0)
    update_running(p, variance, sets.elements(), running_mean, running_var, momentum);
  buffer_release(variance);
}

// The same with a mean and a variance that are given for each channel; p.rstd is written.
template <class T>
void channel_norm_inference(const T* x, T* y, const ChannelNorm<T>& p, const T* variance,
                            double eps) {
  for (int64_t c = 0; c < p.channels; ++c)
    p.rstd[c] = reciprocal_root<T>(static_cast<double>(variance[c]), eps);
  if (p.size == 1) return columns_inference(x, y, p);
  const int64_t planes = p.batch * p.channels;
  const bool past_caches = goes_past_caches<T>(planes * p.size);
  parallel_for(planes, grain_for(2 * p.size), [=, &p](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t c = plane % p.channels;
      write_piece(x + plane * p.size, p.mean[c], p.rstd[c] * weight_of(p, c), bias_of(p, c),
                  past_caches, y + plane * p.size, p.size);
    }
    if (past_caches) stream_fence();
  });
}

// Sums of dy and of dy (x - mean) over pieces.
struct GradientSums {
  double dy = 0, dy_x = 0;
};
template <class T>
DLCORE_INLINE GradientSums gradient_sums(const T* x, const T* dy, int64_t pieces, int64_t stride,
                                         int64_t n, T mean) {
  GradientSums all;
  for_blocks<T>(pieces, stride, n, [&](int64_t at, int64_t rows, int64_t cols) {
    Sums<T, 2> sums;
    for (int64_t r = 0; r < rows; ++r)
      sums.add(cols, [=](int64_t i, int64_t lanes, Vec<T>* sum) {
        const int64_t place = at + r * stride + i;
        const Vec<T> d = load_lanes(dy + place, lanes);
        sum[0] += d;
        sum[1] += d * (load_lanes(x + place, lanes, mean) - mean);
      });
    all.dy += sums.total(0);
    all.dy_x += sums.total(1);
  });
  return all;
}

// dx = dy weight rstd + (x - mean) slope + shift on one piece.
template <class T>
DLCORE_INLINE void write_gradient(const T* x, const T* dy, T mean, T scale, T slope, T shift,
                                  bool past_caches, T* dx, int64_t n) {
  write_row<T>(dx, n, past_caches, [=](int64_t i, int64_t lanes) {
    return load_lanes(dy + i, lanes) * scale + ((load_lanes(x + i, lanes) - mean) * slope + shift);
  });
}

// With statistics of the set, g = dy weight and h = (x - mean) rstd:
// dx = rstd (g - mean(g) - h mean(g h)), dweight = sum(dy h), dbias = sum(dy).
// With given statistics (batch_statistics false, groups 0): dx = g rstd.
// dweight and dbias may be null.
template <class T>
void channel_norm_backward(const T* x, const T* dy, T* dx, T* dweight, T* dbias,
                           const ChannelNorm<T>& p, bool batch_statistics) {
  const Sets<T> sets(p);
  if (p.groups == 0 && p.size == 1)
    return columns_backward(x, dy, dx, dweight, dbias, p, batch_statistics);
  const bool past_caches = goes_past_caches<T>(sets.count * sets.elements());
  // Of each set over the batch, or of each piece of a group.
  const int64_t sum_count = p.groups == 0 ? p.channels : p.batch * p.channels;
  GradientSums* sums = static_cast<GradientSums*>(
      buffer_acquire(static_cast<size_t>(sum_count) * sizeof(GradientSums)));

  parallel_for(sets.count, grain_for(6 * sets.elements()), [=, &p](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t at = sets.begin(s);
      const T mean = p.mean[s], rstd = p.rstd[s];
      double g = 0, g_x = 0;
      if (p.groups == 0) {
        sums[s] = gradient_sums<T>(x + at, dy + at, sets.pieces, sets.stride, p.size, mean);
        g = sums[s].dy * static_cast<double>(weight_of(p, s));
        g_x = sums[s].dy_x * static_cast<double>(weight_of(p, s));
      } else {
        for (int64_t i = 0; i < sets.pieces; ++i) {
          const int64_t piece = at + i * p.size;
          const double weight = static_cast<double>(weight_of(p, sets.channel(s, i)));
          GradientSums& own = sums[s * sets.pieces + i];
          own = gradient_sums<T>(x + piece, dy + piece, 1, 0, p.size, mean);
          g += own.dy * weight;
          g_x += own.dy_x * weight;
        }
      }
      const double scale = static_cast<double>(rstd), count = static_cast<double>(sets.elements());
      const T slope = static_cast<T>(-scale * scale * scale * g_x / count);
      const T shift = static_cast<T>(-scale * g / count);
      for (int64_t i = 0; i < sets.pieces; ++i) {
        const int64_t piece = at + i * sets.stride;
        const T scaled = rstd * weight_of(p, sets.channel(s, i));
        if (batch_statistics)
          write_gradient(x + piece, dy + piece, mean, scaled, slope, shift, past_caches, dx + piece,
                         p.size);
        else
          write_piece(dy + piece, T(0), scaled, T(0), past_caches, dx + piece, p.size);
      }
    }
    if (past_caches) stream_fence();
  });

  for (int64_t c = 0; c < p.channels; ++c) {
    double dw = 0, db = 0;
    for (int64_t i = c; i < sum_count; i += p.channels) {
      const int64_t set = p.groups == 0 ? c : i / sets.pieces;
      dw += sums[i].dy_x * static_cast<double>(p.rstd[set]);
      db += sums[i].dy;
    }
    if (dweight) dweight[c] = static_cast<T>(dw);
    if (dbias) dbias[c] = static_cast<T>(db);
  }
  buffer_release(sums);
}

}  // namespace

DLCORE_EXPORT(channel_norm_forward)
DLCORE_EXPORT(channel_norm_inference)
DLCORE_EXPORT(channel_norm_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
