#pragma once

#include "kernels/signature.h"

namespace dlcore {

// x is (batch, channels, size). A mean and a variance belong to each channel over the batch, or,
// with groups, to each group of channels of each sample.
template <class T>
struct ChannelNorm {
  int64_t batch, channels, size;
  int64_t groups;   // 0: over the batch
  const T* weight;  // (channels), may be null
  const T* bias;    // (channels), may be null
  T* mean;          // (channels) or (batch, groups)
  T* rstd;          // 1 / sqrt(variance + eps), like mean
  // What follows: y = min(max(normalized x + residual, low), high).
  const T* residual;  // like x, may be null
  T low, high;        // 0 and a ceiling; or -inf and inf, which keep all
};

// x is (batch, channels, size); the window of channel c is [c - before, c + after].
struct LocalNorm {
  int64_t batch, channels, size, before, after;
};

// With a residual, which may be null, rows of x + residual, which go to `sum`.
SIGNATURE(layer_norm_forward,
          (const T* x, const T* residual, T* sum, const T* weight, const T* bias, T* y, T* mean,
           T* rstd, int64_t rows, int64_t cols, double eps));
SIGNATURE(rms_norm_forward, (const T* x, const T* residual, T* sum, const T* weight, T* y, T* rstd,
                             int64_t rows, int64_t cols, double eps));
SIGNATURE(layer_norm_backward,
          (const T* x, const T* dy, const T* weight, const T* mean, const T* rstd, T* dx,
           T* dweight, T* dbias, int64_t rows, int64_t cols));
// May be null: running_mean and running_var; y where neither a residual nor a limit came in;
// dresidual.
SIGNATURE(channel_norm_forward, (const T* x, T* y, const ChannelNorm<T>& p, T* running_mean,
                                 T* running_var, double momentum, double eps));
SIGNATURE(channel_norm_inference,
          (const T* x, T* y, const ChannelNorm<T>& p, const T* variance, double eps));
SIGNATURE(channel_norm_backward, (const T* x, const T* y, const T* dy, T* dx, T* dweight, T* dbias,
                                  T* dresidual, const ChannelNorm<T>& p, bool batch_statistics));
SIGNATURE(local_norm_forward,
          (const T* x, T* y, const LocalNorm& p, double alpha, double beta, double k));
SIGNATURE(local_norm_backward, (const T* x, const T* dy, T* dx, const LocalNorm& p, double alpha,
                                double beta, double k));

}  // namespace dlcore
