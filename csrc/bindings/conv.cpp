#include "bindings/window.h"

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

// padding: an int, a pair, "valid" or "same"; "same" puts an odd element at the end.
void set_padding(const char* op, Conv2d& c, py::handle padding, Axis& rows, Axis& columns) {
  if (!PyUnicode_Check(padding.ptr())) {
    const Pair pad = parse_pair(op, "padding", padding, 0);
    rows.low = rows.high = pad.h;
    columns.low = columns.high = pad.w;
    return;
  }
  const std::string word = py::cast<std::string>(padding);
  CHECK(word == "same" || word == "valid", op,
        ": padding must be an int, a pair of ints, 'valid' or 'same', got '", word, "'");
  if (word == "valid") return;
  CHECK(c.stride_h == 1 && c.stride_w == 1, op,
        ": padding 'same' must go with stride 1, got stride = (", c.stride_h, ", ", c.stride_w,
        ")");
  for (Axis* a : {&rows, &columns}) {
    const int64_t total = checked_mul(op, a->dilation, a->kernel - 1);
    a->low = total / 2;
    a->high = total - total / 2;
  }
}

// Everything about a call but the arrays' contents. x may lack the batch axis.
Conv2d parse_conv(const char* op, const Array& x, const Array& weight, py::handle stride,
                  py::handle padding, py::handle dilation, int64_t groups) {
  check_same_dtype(op, "x", x, "weight", weight);
  CHECK(x.ndim() == 4 || x.ndim() == 3, op,
        ": x must have axes (batch, channels, height, width) or (channels, height, width), got "
        "x.shape = ",
        x.shape());
  CHECK(weight.ndim() == 4, op,
        ": weight must have axes (out_channels, channels / groups, height, width), got "
        "weight.shape = ",
        weight.shape());
  CHECK(groups >= 1, op, ": groups must be at least 1, got ", groups);
  Conv2d c{};
  c.batch = x.ndim() == 4 ? x.size(0) : 1;
  c.channels = x.size(-3), c.height = x.size(-2), c.width = x.size(-1);
  c.out_channels = weight.size(0), c.kernel_h = weight.size(2), c.kernel_w = weight.size(3);
  c.groups = groups;
  CHECK(c.channels > 0 && c.height > 0 && c.width > 0, op,
        ": x must have channels, height and width, got x.shape = ", x.shape());
  CHECK(c.channels % groups == 0 && c.out_channels % groups == 0, op,
        ": groups must divide the channels of x and of the result, got groups = ", groups,
        " with x.shape = ", x.shape(), ", weight.shape = ", weight.shape());
  CHECK(weight.size(1) == c.channels / groups, op, ": weight must have shape (out_channels, ",
        c.channels / groups, ", height, width) for x.shape = ", x.shape(), " and groups = ", groups,
        ", got weight.shape = ", weight.shape());
  CHECK(c.out_channels > 0 && c.kernel_h > 0 && c.kernel_w > 0, op,
        ": weight must not be empty, got weight.shape = ", weight.shape());
  const Pair step = parse_pair(op, "stride", stride, 1);
  const Pair spread = parse_pair(op, "dilation", dilation, 1);
  c.stride_h = step.h, c.stride_w = step.w;
  c.dilation_h = spread.h, c.dilation_w = spread.w;
  Axis rows{"height", c.height, c.kernel_h, step.h, spread.h, 0, 0};
  Axis columns{"width", c.width, c.kernel_w, step.w, spread.w, 0, 0};
  set_padding(op, c, padding, rows, columns);
  c.pad_top = rows.low, c.pad_left = columns.low;
  c.out_h = window_positions(op, rows);
  c.out_w = window_positions(op, columns);
  drop_unused(c.out_h, c.kernel_h, c.stride_h, c.dilation_h);
  drop_unused(c.out_w, c.kernel_w, c.stride_w, c.dilation_w);
  return c;
}

Shape output_shape(const Array& x, const Conv2d& c) {
  return x.ndim() == 4 ? Shape{c.batch, c.out_channels, c.out_h, c.out_w}
                       : Shape{c.out_channels, c.out_h, c.out_w};
}

int64_t multiply_adds(const Conv2d& c) {
  const double n = static_cast<double>(c.batch) * static_cast<double>(c.out_channels) *
                   static_cast<double>(c.out_h * c.out_w) *
                   static_cast<double>(c.channels / c.groups * c.kernel_h * c.kernel_w);
  return n < 1e18 ? static_cast<int64_t>(n) : int64_t(1) << 60;
}

py::object conv2d_forward(py::handle x_, py::handle weight_, py::handle bias_, py::handle stride,
                          py::handle padding, py::handle dilation, int64_t groups, bool relu,
                          py::handle out) {
  const char* op = "conv2d";
  const Array x(op, "x", x_), weight(op, "weight", weight_);
  const Array bias = optional_array(op, "bias", bias_);
  const Conv2d c = parse_conv(op, x, weight, stride, padding, dilation, groups);
  if (bias.defined()) {
    check_same_dtype(op, "x", x, "bias", bias);
    CHECK(bias.ndim() == 1 && bias.size(0) == c.out_channels, op, ": bias must have shape (",
          c.out_channels, ",), got bias.shape = ", bias.shape());
  }
  Output y(op, out, output_shape(x, c), x.typenum(), {&x, &weight, &bias});
  with_kernels(x, multiply_adds(c), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.conv2d_forward(x.data<T>(), weight.data<T>(), bias.defined() ? bias.data<T>() : nullptr,
                     y.data<T>(), c, relu ? Activation::relu : Activation::none);
  });
  return y.finish();
}

// The gradients asked for, None for the others.
py::object conv2d_backward(py::handle dy_, py::handle x_, py::handle weight_, bool need_dx,
                           bool need_dw, bool need_db, py::handle stride, py::handle padding,
                           py::handle dilation, int64_t groups) {
  const char* op = "conv2d_backward";
  const Array dy(op, "dy", dy_), x(op, "x", x_), weight(op, "weight", weight_);
  const Conv2d c = parse_conv(op, x, weight, stride, padding, dilation, groups);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == output_shape(x, c), op, ": dy must have the output's shape ",
        output_shape(x, c), ", got dy.shape = ", dy.shape());
  Array dx = need_dx ? Array::empty_like(op, x) : Array();
  Array dw = need_dw ? Array::empty_like(op, weight) : Array();
  Array db = need_db ? Array::empty(op, Shape{c.out_channels}, x.typenum()) : Array();
  with_kernels(x, multiply_adds(c), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (need_dx) k.conv2d_backward_data(dy.data<T>(), weight.data<T>(), dx.data<T>(), c);
    if (need_dw) k.conv2d_backward_weight(x.data<T>(), dy.data<T>(), dw.data<T>(), c);
    if (need_db) k.conv2d_backward_bias(dy.data<T>(), db.data<T>(), c);
  });
  const auto or_none = [](Array& a) { return a.defined() ? a.release() : py::object(py::none()); };
  return py::make_tuple(or_none(dx), or_none(dw), or_none(db));
}

}  // namespace

void bind_conv(py::module_& m) {
  m.def("conv2d_forward", &conv2d_forward, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("relu"), py::arg("out") = py::none());
  m.def("conv2d_backward", &conv2d_backward, py::arg("dy"), py::arg("x"), py::arg("weight"),
        py::arg("need_dx"), py::arg("need_dw"), py::arg("need_db"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"));
  m.def("im2col", &im2col, py::arg("x"), py::arg("kernel_size"), py::arg("dilation"),
        py::arg("padding"), py::arg("stride"), py::arg("out") = py::none());
  m.def("col2im", &col2im, py::arg("cols"), py::arg("output_size"), py::arg("kernel_size"),
        py::arg("dilation"), py::arg("padding"), py::arg("stride"), py::arg("out") = py::none());
}

}  // namespace dlcore
