// The arguments that convolutions over one, two and three axes share, transposed ones too.
#pragma once

#include "bindings/window.h"

namespace dlcore {

// A convolution over the last `dims` axes of x. Of the three axes of `window` the last dims count.
struct ConvCall {
  int dims;
  bool has_batch;
  Axis axis[3];
  int64_t out[3];
  int64_t batch, channels, out_channels, groups;

  Shape input_shape() const;        // of x, and of dx
  Shape output_shape() const;       // of y
  int64_t input_positions() const;  // of a channel
  int64_t output_positions() const;
  int64_t multiply_adds() const;
  Conv3d shape() const;  // for the kernels
};

// Whether two axes are enough: no depth, or pixels that do not see each other, which are one long
// row. `plane` is then the same convolution.
bool is_planar(const Conv3d& c, Conv2d& plane);

// `channels` rows of positions of each image: all that the gradient of a bias is about.
Conv2d channel_rows(const ConvCall& c, int64_t channels, int64_t positions);

// A tuple of arrays, None for those undefined.
py::tuple gradients(Array& dx, Array& dw, Array& db);

ConvCall parse_conv(const char* op, int dims, const Array& x, const Array& weight,
                    py::handle stride, py::handle padding, py::handle dilation, int64_t groups);

// The convolution whose gradient of x the transposed one is: x is its y.
ConvCall parse_transposed(const char* op, int dims, const Array& x, const Array& weight,
                          py::handle stride, py::handle padding, py::handle output_padding,
                          py::handle dilation, int64_t groups);

// An undefined array for None.
Array parse_bias(const char* op, const Array& x, py::handle bias, int64_t channels);

void bind_conv_transpose(Module& m);
void bind_im2col(Module& m);

}  // namespace dlcore
