#include "bindings/conv.h"

namespace dlcore {
namespace {

// Output positions and everything else of a sliding window over (height, width).
Conv2d parse_columns(const char* op, int64_t height, int64_t width, py::handle kernel_size,
                     py::handle dilation, py::handle padding, py::handle stride) {
  const Pair kernel = parse_pair(op, "kernel_size", kernel_size, 1);
  const Pair spread = parse_pair(op, "dilation", dilation, 1);
  const Pair pad = parse_pair(op, "padding", padding, 0);
  const Pair step = parse_pair(op, "stride", stride, 1);
  Conv2d c{};
  c.height = height, c.width = width;
  c.kernel_h = kernel.h, c.kernel_w = kernel.w;
  c.stride_h = step.h, c.stride_w = step.w;
  c.dilation_h = spread.h, c.dilation_w = spread.w;
  c.pad_top = pad.h, c.pad_left = pad.w;
  c.groups = 1;
  c.out_h = window_positions(op, {"height", height, kernel.h, step.h, spread.h, pad.h, pad.h});
  c.out_w = window_positions(op, {"width", width, kernel.w, step.w, spread.w, pad.w, pad.w});
  drop_unused(c.out_h, c.kernel_h, c.stride_h, c.dilation_h);
  drop_unused(c.out_w, c.kernel_w, c.stride_w, c.dilation_w);
  return c;
}

py::object im2col(py::handle x_, py::handle kernel_size, py::handle dilation, py::handle padding,
                  py::handle stride, py::handle out) {
  const char* op = "im2col";
  const Array x(op, "x", x_);
  CHECK(x.ndim() == 4 || x.ndim() == 3, op,
        ": x must have axes (batch, channels, height, width) or (channels, height, width), got "
        "x.shape = ",
        x.shape());
  Conv2d c = parse_columns(op, x.size(-2), x.size(-1), kernel_size, dilation, padding, stride);
  c.batch = x.ndim() == 4 ? x.size(0) : 1;
  c.channels = x.size(-3);
  const int64_t rows = checked_mul(op, checked_mul(op, c.channels, c.kernel_h), c.kernel_w);
  const int64_t columns = checked_mul(op, c.out_h, c.out_w);
  const Shape shape = x.ndim() == 4 ? Shape{c.batch, rows, columns} : Shape{rows, columns};
  Output cols(op, out, shape, x.typenum(), {&x});
  with_kernels(x, cols.array().numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.im2col(x.data<T>(), cols.data<T>(), c);
  });
  return cols.finish();
}

py::object col2im(py::handle cols_, py::handle output_size, py::handle kernel_size,
                  py::handle dilation, py::handle padding, py::handle stride, py::handle out) {
  const char* op = "col2im";
  const Array cols(op, "cols", cols_);
  const Pair size = parse_pair(op, "output_size", output_size, 1);
  Conv2d c = parse_columns(op, size.h, size.w, kernel_size, dilation, padding, stride);
  const int64_t taps = checked_mul(op, c.kernel_h, c.kernel_w);
  const int64_t columns = checked_mul(op, c.out_h, c.out_w);
  const int n = cols.ndim();
  CHECK((n == 3 || n == 2) && cols.size(-1) == columns && cols.size(-2) % taps == 0, op,
        ": cols must have shape (batch, channels * ", taps, ", ", columns,
        "), got cols.shape = ", cols.shape());
  c.batch = n == 3 ? cols.size(0) : 1;
  c.channels = cols.size(-2) / taps;
  const Shape shape =
      n == 3 ? Shape{c.batch, c.channels, size.h, size.w} : Shape{c.channels, size.h, size.w};
  Output x(op, out, shape, cols.typenum(), {&cols});
  with_kernels(cols, cols.numel() + x.array().numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.col2im(cols.data<T>(), x.data<T>(), c);
  });
  return x.finish();
}

}  // namespace

void bind_im2col(Module& m) {
  m.def("im2col", &im2col, py::arg("x"), py::arg("kernel_size"), py::arg("dilation"),
        py::arg("padding"), py::arg("stride"), py::arg("out") = py::none());
  m.def("col2im", &col2im, py::arg("cols"), py::arg("output_size"), py::arg("kernel_size"),
        py::arg("dilation"), py::arg("padding"), py::arg("stride"), py::arg("out") = py::none());
}

}  // namespace dlcore
