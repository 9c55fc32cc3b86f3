// Sizes that travel from the bindings to the kernels, for ops with more than a few. Plain data:
// checked by the bindings, trusted by the kernels. Strides count elements.
#pragma once

#include <cstdint>

namespace dlcore {

constexpr int kMaxDims = 8;  // after merging neighbouring axes

// Two inputs broadcast to one C-contiguous output. A stride of 0 repeats.
struct Broadcast {
  int ndim;
  int64_t size[kMaxDims];
  int64_t stride_a[kMaxDims], stride_b[kMaxDims];
};

// The same with a condition, which chooses between the two.
struct Choice {
  int ndim;
  int64_t size[kMaxDims];
  int64_t stride_c[kMaxDims], stride_a[kMaxDims], stride_b[kMaxDims];
};

// y[k1, k2] is made of x[k1, r1, k2, r2] for all r1 and r2.
struct Reduction {
  int64_t kept1, reduced1, kept2, reduced2;
};

enum class Activation : int {
  none,
  relu,
  relu6,  // up to here limits of the sum
  leaky_relu,
  gelu,
  gelu_tanh,
  silu,
  sigmoid,
  tanh
};

// C = activation(alpha * A B + beta * C + bias + residual), for each of `batch` matrices.
// A is (m, k), B is (k, n), C is (m, n). A and B have two strides of which one is 1; C's rows are
// contiguous. bias has n values; residual and derivative are laid out as C. C is none of the
// inputs, but may be the residual.
template <class T>
struct Gemm {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row, b_col;
  T* c;
  int64_t c_row;
  T alpha, beta;      // beta == 0 never reads C
  const T* bias;      // may be null
  const T* residual;  // may be null
  Activation activation;
  T slope;        // of leaky_relu
  T* derivative;  // where to keep the activation's derivative, for backward; may be null
  int64_t batch;
  const int64_t* a_batch;  // offset of each matrix from a and b; C's follow one another
  const int64_t* b_batch;  // null: the same matrix for all
};

// x is (batch, channels, height, width), weight (out_channels, channels / groups, kernel_h,
// kernel_w), y (batch, out_channels, out_h, out_w). Padding may differ at the two ends.
struct Conv2d {
  int64_t batch, channels, height, width;
  int64_t out_channels, out_h, out_w;
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int64_t pad_top, pad_left;  // pad_bottom and pad_right follow from out_h and out_w
  int64_t groups;
};

// What becomes of a convolution's sums: y = activation(sums + bias + residual).
template <class T>
struct Finish {
  const T* residual = nullptr;  // laid out as y, and not y; may be null
  Activation activation = Activation::none;
  T slope = T(0);  // of leaky_relu
};

// The same with a depth: x is (batch, channels, depth, height, width), weight (out_channels,
// channels / groups, kernel_d, kernel_h, kernel_w), y (batch, out_channels, out_d, out_h, out_w).
struct Conv3d {
  Conv2d plane;
  int64_t depth, out_d, kernel_d, stride_d, dilation_d, pad_front;
};

// The windows along one axis: output o begins at o * stride - low and has an element every
// dilation. With a stride of 0 the `out` windows share the axis: o covers size * o / out up to,
// rounded up, size * (o + 1) / out, and kernel is the longest of them or more; dilation is 1, low
// and high 0.
struct PoolAxis {
  int64_t size, out;
  int64_t kernel, stride, dilation;
  int64_t low, high;  // padding
};

// x is (planes, d.size, h.size, w.size), y (planes, d.out, h.out, w.out); planes = batch *
// channels. An axis that x does not have is {1, 1, 1, 1, 1, 0, 0}.
struct Pool {
  int64_t planes;
  PoolAxis d, h, w;
};

// A window's sum is divided by `divisor`, or, if that is 0, by its number of elements, of which the
// padding may be some.
struct AvgPool : Pool {
  bool include_pad;
  int64_t divisor;
};

// Scores x are (outer, n, inner) with the classes along n; target is (outer, inner). A target of
// ignore_index does not count.
template <class T>
struct ClassLoss {
  int64_t outer, n, inner;
  const int64_t* target;
  const T* weight;  // of each class; null for 1
  int64_t ignore_index;
  T smoothing;   // how much of the target is spread evenly over the classes
  T weight_sum;  // of all classes: n without weights
};

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

enum class PadMode : int { constant, reflect, replicate, circular };

// y is x with elements added (or, where negative, taken away) at the ends of its axes.
constexpr int kMaxPadDims = 64;
struct Pad {
  PadMode mode;
  int ndim;  // at least 1
  int64_t size[kMaxPadDims], out[kMaxPadDims];
  int64_t before[kMaxPadDims];  // what is added behind follows from size and out
};

enum class ResizeMode : int {
  nearest,
  nearest_exact,
  linear,
  cubic,
  area,
  linear_antialias,
  cubic_antialias
};

// One axis of a resize. scale is out / size as the caller gave it; 0 for that of the sizes.
struct ResizeAxis {
  int64_t size, out;
  double scale;
};

// x is (planes, depth, height, width), y the same with the other sizes.
struct Resize {
  ResizeMode mode;
  bool align_corners;
  int64_t planes;
  ResizeAxis depth, height, width;
};

enum class SampleMode : int { nearest, bilinear, bicubic };
enum class SamplePadding : int { zeros, border, reflection };

// x is (batch, channels, depth, height, width), the grid (batch, out_d, out_h, out_w, axes) of
// places (x, y) or (x, y, z), y (batch, channels, out_d, out_h, out_w).
struct GridSample {
  SampleMode mode;
  SamplePadding padding;
  bool align_corners;
  int axes;                                            // 2: depth and out_d are 1; or 3
  int64_t batch, channels, depth, height, width, out;  // out: places of one sample
};

// How much two boxes overlap: intersection over union, and that less a penalty for the enclosing
// box (generalized), for the distance of the centres, for that and the difference in shape.
enum class Overlap : int { iou, giou, diou, ciou };

// Boxes stand at ((j + offset) step_x, (i + offset) step_y) of row i and column j.
struct BoxGrid {
  int64_t rows, columns;
  double step_y, step_x, offset;
};

// Regions of x (batch, channels, height, width) become y (rois, channels, out_h, out_w).
struct RoiPool {
  int64_t batch, channels, height, width, rois, out_h, out_w;
  double spatial_scale;
};
struct RoiAlign : RoiPool {
  int64_t sampling_ratio;  // samples of a bin along an axis; 0 or less: one to a pixel
  bool aligned;
};

// One step of an optimizer over `count` tensors of one dtype. Tensor t has start[t + 1] - start[t]
// elements, contiguous. Written in place: param and what the optimizer remembers.
template <class T>
struct Sgd {
  int64_t count;
  const int64_t* start;
  T* const* param;
  const T* const* grad;
  T* const* buffer;  // null without momentum
  T lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
  bool first;  // the buffers hold nothing yet
};

template <class T>
struct Adam {
  int64_t count;
  const int64_t* start;
  T* const* param;
  const T* const* grad;
  T* const* mean;
  T* const* square;
  T* const* max_square;  // null without amsgrad
  const T* step_size;    // for each tensor: lr / (1 - beta1^t)
  const T* root_scale;   // for each tensor: 1 / sqrt(1 - beta2^t)
  T one_minus_beta1, beta2, one_minus_beta2, eps, weight_decay;
  T shrink;  // 1 - lr weight_decay
  bool decoupled, maximize;
};

}  // namespace dlcore
