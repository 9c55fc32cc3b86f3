// The arguments that poolings share: windows over one, two or three last axes.
#pragma once

#include "bindings/window.h"

namespace dlcore {

// The input of a pooling over `dims` axes: (batch, channels, ...) or (channels, ...).
Array pooled_input(const char* op, int dims, py::handle x);

// The shape of x with its last axes become those of y.
Shape pooled_shape(const Array& x, int dims, const Pool& p);

// What slides over x. With windows: `kernel_size` at a distance of `stride`, by default its own
// size. Adaptive: `output_size` windows that part each axis; None keeps one as it is.
Pool parse_windows(const char* op, int dims, const Array& x, py::handle kernel_size,
                   py::handle stride, py::handle padding, py::handle dilation, bool ceil_mode);
Pool parse_adaptive(const char* op, int dims, const Array& x, py::handle output_size);

// One window over all of each plane: kernels of its own.
bool is_global(const Pool& p);
int64_t plane_size(const Pool& p);
int64_t work_of(const Pool& p);

// The gradient of the output: its dtype and shape checked against the forward's.
Array output_gradient(const char* op, int dims, const Array& x, const Pool& p, py::handle dy);

void bind_pool_average(Module& m);

}  // namespace dlcore
