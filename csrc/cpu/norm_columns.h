// Batch norm of x of (batch, channels): each lane is a channel, so that whole vectors are read
// though a channel's elements lie `channels` apart.
#pragma once

#include "cpu/norm_channel.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// step(n, part) for n = 0 ... batch - 1, in four independent sums, each added up over at most
// kBlock rows.
template <class T, int kSums, class Step>
DLCORE_INLINE void column_sums(int64_t batch, Vec<T> (&total)[kSums], const Step& step) {
  for (int k = 0; k < kSums; ++k) total[k] = Vec<T>{};
  for (int64_t begin = 0; begin < batch; begin += 512) {
    const int64_t end = smaller(begin + 512, batch);
    Vec<T> part[4][kSums] = {};
    int64_t n = begin;
    for (; n + 4 <= end; n += 4)
      for (int64_t j = 0; j < 4; ++j) step(n + j, part[j]);
    for (; n < end; ++n) step(n, part[0]);
    for (int k = 0; k < kSums; ++k)
      total[k] += (part[0][k] + part[1][k]) + (part[2][k] + part[3][k]);
  }
}

// body(channel, lanes) on the pool.
template <class T, class Body>
DLCORE_INLINE void for_columns(const ChannelNorm<T>& p, int64_t cost, const Body& body) {
  const int64_t vectors = ceil_div(p.channels, kLanes<T>);
  parallel_for(vectors, grain_for(cost * p.batch * kLanes<T>), [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
      body(v * kLanes<T>, smaller(kLanes<T>, p.channels - v * kLanes<T>));
  });
}

// From p.mean and p.rstd.
template <class T>
DLCORE_INLINE Normalizer<T> columns_normalizer(const ChannelNorm<T>& p, int64_t channel,
                                               int64_t lanes) {
  const Vec<T> rstd = load_lanes(p.rstd + channel, lanes);
  return {load_lanes(p.mean + channel, lanes),
          p.weight ? rstd * load_lanes(p.weight + channel, lanes) : rstd,
          p.bias ? load_lanes(p.bias + channel, lanes) : Vec<T>{},
          p.residual,
          p.low,
          p.high};
}

template <class T>
__attribute__((noinline)) void write_columns(const T* x, T* y, const ChannelNorm<T>& p,
                                             int64_t channel, int64_t lanes) {
  const Normalizer<T> normalizer = columns_normalizer(p, channel, lanes);
  for (int64_t n = 0; n < p.batch; ++n) {
    const int64_t place = n * p.channels + channel;
    store_lanes<T>(y + place, lanes, normalizer(x, place, lanes));
  }
}

template <class T>
DLCORE_INLINE void columns_forward(const T* x, T* y, const ChannelNorm<T>& p, double* variance,
                                   double eps) {
  for_columns(p, 6, [=, &p](int64_t channel, int64_t lanes) {
    const T count = static_cast<T>(p.batch);
    const auto at = [=, &p](int64_t n) { return load_lanes(x + n * p.channels + channel, lanes); };
    Vec<T> sum[1], sums[2];
    column_sums<T>(p.batch, sum, [=](int64_t n, Vec<T>* s) { s[0] += at(n); });
    const Vec<T> about = sum[0] / count;
    column_sums<T>(p.batch, sums, [=](int64_t n, Vec<T>* s) {
      const Vec<T> d = at(n) - about;
      s[0] += d;
      s[1] += d * d;
    });
    const Vec<T> rest = sums[0] / count, mean = about + rest;
    const Vec<T> var = sums[1] / count - rest * rest;
    store_lanes<T>(p.mean + channel, lanes, mean);
    for (int64_t i = 0; i < lanes; ++i) {
      variance[channel + i] = var[i] < 0 ? 0 : static_cast<double>(var[i]);
      p.rstd[channel + i] = reciprocal_root<T>(variance[channel + i], eps);
    }
    write_columns(x, y, p, channel, lanes);
  });
}

template <class T>
DLCORE_INLINE void columns_inference(const T* x, T* y, const ChannelNorm<T>& p) {
  for_columns(p, 2,
              [=, &p](int64_t channel, int64_t lanes) { write_columns(x, y, p, channel, lanes); });
}

template <class T>
__attribute__((noinline)) void cut_columns(const Gradient<T>& gradient, T* dz,
                                           const ChannelNorm<T>& p, int64_t channel,
                                           int64_t lanes) {
  for (int64_t n = 0; n < p.batch; ++n) {
    const int64_t place = n * p.channels + channel;
    store_lanes<T>(dz + place, lanes, gradient(place, lanes));
  }
}

template <class T>
DLCORE_INLINE void columns_backward(const T* x, const T* y, const T* dy, T* dx, T* dweight,
                                    T* dbias, T* dresidual, const ChannelNorm<T>& p,
                                    bool batch_statistics) {
  for_columns(p, 6, [=, &p](int64_t channel, int64_t lanes) {
    const Gradient<T> gradient{x, y, dy, columns_normalizer(p, channel, lanes)};
    T* room = dresidual ? dresidual : dx;
    if (gradient.cuts()) cut_columns(gradient, room, p, channel, lanes);
    const T* dz = gradient.cuts() ? room : dy;
    const Vec<T> mean = gradient.normalizer.mean, rstd = load_lanes(p.rstd + channel, lanes);
    const auto x_at = [=, &p](int64_t n) {
      return load_lanes(x + n * p.channels + channel, lanes) - mean;
    };
    const auto dz_at = [=, &p](int64_t n) {
      return load_lanes(dz + n * p.channels + channel, lanes);
    };
    Vec<T> sums[2];
    column_sums<T>(p.batch, sums, [=](int64_t n, Vec<T>* s) {
      s[0] += dz_at(n);
      s[1] += dz_at(n) * x_at(n);
    });
    if (dbias) store_lanes<T>(dbias + channel, lanes, sums[0]);
    if (dweight) store_lanes<T>(dweight + channel, lanes, sums[1] * rstd);
    const T count = static_cast<T>(p.batch);
    const Vec<T> mean_dz = sums[0] / count, slope = sums[1] * rstd * rstd / count;
    for (int64_t n = 0; n < p.batch; ++n) {
      const Vec<T> d = batch_statistics ? dz_at(n) - mean_dz - x_at(n) * slope : dz_at(n);
      store_lanes<T>(dx + n * p.channels + channel, lanes, d * gradient.normalizer.scale);
    }
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
