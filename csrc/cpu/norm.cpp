// Batch norm (Ioffe and Szegedy 2015), group norm (Wu and He 2018), instance norm: channels of x,
// (batch, channels, size). A set is what shares a mean and a variance: a channel of all samples, or
// a group of channels of one sample. One thread does all passes over a set while it is in L2, so
// that memory is read and written once: forward x and y, backward x, dy and dx.
// x of (batch, channels), where a channel is a column, is norm_columns.h's.

#include "cpu/norm.h"

#include "cpu/norm_columns.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kTogether = 16;
constexpr int64_t kTogetherBytes = 512 << 10;  // of x

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
  // Many short pieces that do not follow one another: the CPU's prefetcher is too late for them, so
  // that the sets of neighbouring channels are passed over together, and their pieces in runs.
  bool far() const { return stride != p.size && p.size <= 1024 && elements() >= 1024; }
  int64_t together() const {
    const int64_t fit = kTogetherBytes / larger(1, elements() * static_cast<int64_t>(sizeof(T)));
    return far() ? larger(1, smaller(smaller(kTogether, fit), count / 16)) : 1;
  }

  int64_t within(int64_t at) const { return smaller(at, (p.batch * p.channels - 1) * p.size); }

  Normalizer<T> normalizer(int64_t s, int64_t channel) const {
    const T weight = p.weight ? p.weight[channel] : T(1);
    return {splat<T>(p.mean[s]),
            splat<T>(p.rstd[s] * weight),
            splat<T>(p.bias ? p.bias[channel] : T(0)),
            p.residual,
            p.low,
            p.high};
  }
};

// body(s, n) for the sets s..s+n-1 that are passed over together.
template <class T, class Body>
DLCORE_INLINE void each_set(const Sets<T>& sets, int64_t cost, const Body& body) {
  const int64_t together = sets.together(), blocks = ceil_div(sets.count, together);
  parallel_for(blocks, grain_for(cost * together * sets.elements()),
               [&](int64_t begin, int64_t end) {
                 for (int64_t b = begin; b < end; ++b)
                   body(b * together, smaller(together, sets.count - b * together));
               });
}

template <class T>
__attribute__((noinline)) void write_piece(const T* x, const Normalizer<T>& normalizer,
                                           bool past_caches, T* y, int64_t at, int64_t n) {
  write_row<T>(y + at, n, past_caches,
               [=](int64_t i, int64_t lanes) { return normalizer(x, at + i, lanes); });
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

// y = (x - mean) rstd weight + bias + residual, cut to [low, high], with the mean and variance of
// each set, which are kept in p.mean and p.rstd. running_mean and running_var, both or none, are
// updated in place.
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
    each_set(sets, 4, [=, &p](int64_t s, int64_t n) {
      const bool whole = sets.stride == p.size;
      const int64_t first = sets.begin(s);
      Moments m[kTogether];
      if (sets.far())
        moments<kTogether>(
            x + first, n, sets.pieces, sets.stride, p.size,
            [=, &p](int64_t at, int64_t size) {
              fetch_row(x + sets.within(first + at + sets.stride), size);
              if (p.residual) fetch_row(p.residual + first + at, size);
              fetch_row<T, true>(y + first + at, size);
            },
            m);
      else
        *m = moments<T>(x + first, whole ? 1 : sets.pieces, sets.stride,
                        whole ? sets.elements() : p.size, [](int64_t, int64_t) {});
      for (int64_t j = 0; j < n; ++j) {
        variance[s + j] = m[j].variance();
        p.mean[s + j] = static_cast<T>(m[j].mean);
        p.rstd[s + j] = reciprocal_root<T>(variance[s + j], eps);
      }
      for (int64_t i = 0; i < sets.pieces; ++i)
        for (int64_t j = s; j < s + n; ++j)
          write_piece(x, sets.normalizer(j, sets.channel(j, i)), past_caches, y,
                      sets.begin(j) + i * sets.stride, p.size);
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
  const Sets<T> sets(p);
  const int64_t planes = p.batch * p.channels;
  const bool past_caches = goes_past_caches<T>(planes * p.size);
  parallel_for(planes, grain_for(2 * p.size), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t c = plane % sets.p.channels, size = sets.p.size;
      write_piece(x, sets.normalizer(c, c), past_caches, y, plane * size, size);
    }
    if (past_caches) stream_fence();
  });
}

template <class T>
__attribute__((noinline)) void cut_row(const Gradient<T>& gradient, int64_t at, int64_t n, T* dz) {
  write_row<T>(dz, n, false, [=](int64_t i, int64_t lanes) { return gradient(at + i, lanes); });
}
// n elements of dz in `room`; or dy where nothing is cut, or x tells what.
template <class T>
DLCORE_INLINE const T* cut_by_y(const Gradient<T>& gradient, int64_t at, int64_t n, T* room) {
  if (!gradient.y) return gradient.dy + at;
  cut_row(gradient, at, n, room);
  return room;
}

// Sums of dz and of dz (x - mean) over pieces. dz is left in dresidual, if it is not null.
struct GradientSums {
  double dz = 0, dz_x = 0;
};
template <class T>
DLCORE_INLINE void add_gradient(const Gradient<T>& gradient, int64_t row, int64_t n, T* dresidual,
                                T* room, Sums<T, 2>& sums) {
  const Vec<T> mean = gradient.normalizer.mean;
  const bool by_x = gradient.cuts() && !gradient.y;
  const T* x = gradient.x + row;
  const T* dz = cut_by_y(gradient, row, n, dresidual ? dresidual + row : room);
  sums.add(n, [=](int64_t i, int64_t lanes, Vec<T>* sum) {
    const Vec<T> centred = load_lanes(x + i, lanes) - mean;
    Vec<T> d = load_lanes(dz + i, lanes);
    if (by_x) d = gradient.cut(gradient.normalizer.before(centred), d);
    sum[0] += d;
    sum[1] += d * centred;
  });
}

// Of `sets` <= kMost sets, whose pieces of n elements lie side by side. fetch(at, n) is told in
// time of every row that is read.
template <int kMost, class T, class Fetch>
DLCORE_INLINE void gradient_sums(const Gradient<T>* gradient, int64_t sets, int64_t first,
                                 int64_t pieces, int64_t stride, int64_t n, T* dresidual, T* room,
                                 const Fetch& fetch, GradientSums* all) {
  for (int64_t s = 0; s < sets; ++s) all[s] = {};
  for_blocks<T>(pieces, stride, n, [&](int64_t at, int64_t rows, int64_t cols) {
    Sums<T, 2> sums[kMost];
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t s = 0; s < sets; ++s) {
        const int64_t row = first + at + r * stride + s * n;
        fetch(row, cols);
        add_gradient<T>(gradient[s], row, cols, dresidual, room, sums[s]);
      }
    for (int64_t s = 0; s < sets; ++s) {
      all[s].dz += sums[s].total(0);
      all[s].dz_x += sums[s].total(1);
    }
  });
}

// dx = dz scale + (x - mean) slope + shift on one piece, without the latter two if `given`.
template <class T>
DLCORE_INLINE void write_gradient(const Gradient<T>& gradient, const T* dresidual, T* room, T slope,
                                  T shift, bool given, bool past_caches, T* dx, int64_t at,
                                  int64_t n) {
  const bool by_x = gradient.cuts() && !gradient.y;
  const int64_t step = gradient.y && !dresidual ? kBlock<T> : n;
  for (int64_t begin = at; begin < at + n; begin += step) {
    const int64_t cols = smaller(step, at + n - begin);
    const T* x = gradient.x + begin;
    const T* dz = dresidual ? dresidual + begin : cut_by_y(gradient, begin, cols, room);
    const Vec<T> mean = gradient.normalizer.mean, scale = gradient.normalizer.scale;
    write_row<T>(dx + begin, cols, past_caches, [=](int64_t i, int64_t lanes) {
      const Vec<T> centred = load_lanes(x + i, lanes) - mean;
      Vec<T> d = load_lanes(dz + i, lanes);
      if (by_x) d = gradient.cut(gradient.normalizer.before(centred), d);
      return given ? d * scale : d * scale + (centred * slope + shift);
    });
  }
}

// What the mean and the variance of set s, through which x is normalized, add to dx.
template <class T>
DLCORE_INLINE void through_statistics(const Sets<T>& sets, int64_t s, const GradientSums* sums,
                                      T& slope, T& shift) {
  const ChannelNorm<T>& p = sets.p;
  const int64_t parts = p.groups == 0 ? 1 : sets.pieces;
  double g = 0, g_x = 0;
  for (int64_t i = 0; i < parts; ++i) {
    const double weight = p.weight ? static_cast<double>(p.weight[sets.channel(s, i)]) : 1;
    g += sums[s * parts + i].dz * weight;
    g_x += sums[s * parts + i].dz_x * weight;
  }
  const double rstd = static_cast<double>(p.rstd[s]);
  const double each = rstd / static_cast<double>(sets.elements());
  slope = static_cast<T>(-rstd * rstd * g_x * each);
  shift = static_cast<T>(-g * each);
}

// With statistics of the set, dz = dy where y is not cut, g = dz weight and h = (x - mean) rstd:
// dx = rstd (g - mean(g) - h mean(g h)), dweight = sum(dz h), dbias = sum(dz), dresidual = dz.
// With given statistics (batch_statistics false, groups 0): dx = g rstd.
// dweight and dbias may be null, dresidual too and where nothing is cut; it may be dy. y may be
// null without a residual.
template <class T>
void channel_norm_backward(const T* x, const T* y, const T* dy, T* dx, T* dweight, T* dbias,
                           T* dresidual, const ChannelNorm<T>& p, bool batch_statistics) {
  const Sets<T> sets(p);
  if (p.groups == 0 && p.size == 1)
    return columns_backward(x, y, dy, dx, dweight, dbias, dresidual, p, batch_statistics);
  const bool past_caches = goes_past_caches<T>(sets.count * sets.elements());
  // Of each set over the batch, or of each piece of a group.
  const int64_t sum_count = p.groups == 0 ? p.channels : p.batch * p.channels;
  GradientSums* sums = static_cast<GradientSums*>(
      buffer_acquire(static_cast<size_t>(sum_count) * sizeof(GradientSums)));

  each_set(sets, 6, [=, &p](int64_t s, int64_t n) {
    T room[kBlock<T>];
    const auto gradient_of = [&](int64_t j, int64_t i) {
      return Gradient<T>{x, y, dy, sets.normalizer(j, sets.channel(j, i))};
    };
    if (sets.far()) {
      Gradient<T> gradient[kTogether];
      for (int64_t j = 0; j < n; ++j) gradient[j] = gradient_of(s + j, 0);
      gradient_sums<kTogether, T>(
          gradient, n, sets.begin(s), sets.pieces, sets.stride, p.size, dresidual, room,
          [=](int64_t at, int64_t size) {
            const int64_t next = sets.within(at + sets.stride);
            fetch_row<T, true>(dx + at, size);
            fetch_row(x + next, size);
            fetch_row(dy + next, size);
            if (y) fetch_row(y + next, size);
          },
          sums + s);
    } else {
      const int64_t parts = p.groups == 0 ? 1 : sets.pieces;
      for (int64_t i = 0; i < parts; ++i) {
        const Gradient<T> gradient = gradient_of(s, i);
        gradient_sums<1, T>(
            &gradient, 1, sets.begin(s) + i * sets.stride, sets.pieces / parts, sets.stride, p.size,
            dresidual, room, [](int64_t, int64_t) {}, sums + s * parts + i);
      }
    }
    T slope[kTogether], shift[kTogether];
    for (int64_t j = 0; j < n; ++j) through_statistics(sets, s + j, sums, slope[j], shift[j]);
    for (int64_t i = 0; i < sets.pieces; ++i)
      for (int64_t j = 0; j < n; ++j)
        write_gradient<T>(gradient_of(s + j, i), dresidual, room, slope[j], shift[j],
                          !batch_statistics, past_caches, dx, sets.begin(s + j) + i * sets.stride,
                          p.size);
    if (past_caches) stream_fence();
  });

  for (int64_t c = 0; c < p.channels; ++c) {
    double dw = 0, db = 0;
    for (int64_t i = c; i < sum_count; i += p.channels) {
      const int64_t set = p.groups == 0 ? c : i / sets.pieces;
      dw += sums[i].dz_x * static_cast<double>(p.rstd[set]);
      db += sums[i].dz;
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
