#include "bindings/window.h"

namespace dlcore {
namespace {

// The last two axes of x as planes. (N, C, H, W) or (C, H, W).
Array pooled_input(const char* op, py::handle x_) {
  Array x(op, "x", x_);
  CHECK(x.ndim() == 4 || x.ndim() == 3, op,
        ": x must have axes (batch, channels, height, width) or (channels, height, width), got "
        "x.shape = ",
        x.shape());
  return x;
}

Shape with_plane(const Array& x, int64_t height, int64_t width) {
  Shape shape = x.shape();
  shape.size[shape.ndim - 2] = height;
  shape.size[shape.ndim - 1] = width;
  return shape;
}

int64_t planes_of(const Array& x) {
  return x.ndim() == 4 ? x.size(0) * x.size(1) : x.size(0);
}

// With dilation a window can reach over all of a short axis and see padding only.
bool sees_padding_only(const Axis& a, int64_t out) {
  if (a.dilation == 1) return false;
  for (int64_t o = 0; o < out; ++o) {
    const int64_t start = o * a.stride - a.low;
    const int64_t skipped = start < 0 ? (-start + a.dilation - 1) / a.dilation * a.dilation : 0;
    if (skipped > a.dilation * (a.kernel - 1) || start + skipped >= a.size) return true;
  }
  return false;
}

Pool2d parse_pool(const char* op, const Array& x, py::handle kernel_size, py::handle stride,
                  py::handle padding, py::handle dilation, bool ceil_mode) {
  const Pair kernel = parse_pair(op, "kernel_size", kernel_size, 1);
  const Pair step = stride.is_none() ? kernel : parse_pair(op, "stride", stride, 1);
  const Pair pad = parse_pair(op, "padding", padding, 0);
  const Pair spread = parse_pair(op, "dilation", dilation, 1);
  CHECK(pad.h <= kernel.h / 2 && pad.w <= kernel.w / 2, op,
        ": padding must be at most half of kernel_size = (", kernel.h, ", ", kernel.w,
        "), got padding = (", pad.h, ", ", pad.w, ")");
  const Axis rows{"height", x.size(-2), kernel.h, step.h, spread.h, pad.h, pad.h};
  const Axis columns{"width", x.size(-1), kernel.w, step.w, spread.w, pad.w, pad.w};
  CHECK(rows.size > 0 && columns.size > 0, op,
        ": x must have height and width, got x.shape = ", x.shape());
  const int64_t out_h = window_positions(op, rows, ceil_mode);
  const int64_t out_w = window_positions(op, columns, ceil_mode);
  CHECK(!sees_padding_only(rows, out_h) && !sees_padding_only(columns, out_w), op,
        ": every window must contain an element of x, got x.shape = ", x.shape(),
        " with dilation = (", spread.h, ", ", spread.w, "): lower padding or dilation");
  Pool2d p{planes_of(x), rows.size, columns.size, out_h, out_w, kernel.h, kernel.w, step.h,
           step.w,       spread.h,  spread.w,     pad.h, pad.w, pad.h,    pad.w};
  drop_unused(out_h, kernel.h, p.stride_h, p.dilation_h);
  drop_unused(out_w, kernel.w, p.stride_w, p.dilation_w);
  return p;
}

int64_t work_of(const Pool2d& p) {
  return p.planes * (p.height * p.width + p.out_h * p.out_w);
}

int tap_typenum(const char* op, const Pool2d& p) {
  const int64_t taps = checked_mul(op, p.kernel_h, p.kernel_w);
  CHECK(taps < (int64_t(1) << 31), op, ": kernel_size must cover fewer than 2^31 elements, got (",
        p.kernel_h, ", ", p.kernel_w, ")");
  return taps <= 256 ? NPY_UINT8 : NPY_INT32;
}

py::object max_pool2d_forward(py::handle x_, py::handle kernel_size, py::handle stride,
                              py::handle padding, py::handle dilation, bool ceil_mode,
                              bool keep_taps, bool return_indices) {
  const char* op = "max_pool2d";
  const Array x = pooled_input(op, x_);
  const Pool2d p = parse_pool(op, x, kernel_size, stride, padding, dilation, ceil_mode);
  const Shape shape = with_plane(x, p.out_h, p.out_w);
  const int typenum = tap_typenum(op, p);
  Array y = Array::empty(op, shape, x.typenum());
  Array taps = keep_taps || return_indices ? Array::empty(op, shape, typenum) : Array();
  Array indices = return_indices ? Array::empty(op, shape, NPY_INT64) : Array();
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.max_pool2d_forward(x.data<T>(), y.data<T>(), taps.defined() ? taps.data<void>() : nullptr, p);
    if (return_indices) k.max_pool2d_indices(taps.data<void>(), indices.data<int64_t>(), p);
  });
  const auto or_none = [](Array& a) { return a.defined() ? a.release() : py::object(py::none()); };
  return py::make_tuple(y.release(), or_none(taps), or_none(indices));
}

// The gradient of the output: its shape checked against the forward's.
Array output_gradient(const char* op, const Array& x, const Pool2d& p, py::handle dy_) {
  Array dy(op, "dy", dy_);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == with_plane(x, p.out_h, p.out_w), op, ": dy must have the output's shape ",
        with_plane(x, p.out_h, p.out_w), ", got dy.shape = ", dy.shape());
  return dy;
}

py::object max_pool2d_backward(py::handle dy_, py::handle taps_, py::handle x_,
                               py::handle kernel_size, py::handle stride, py::handle padding,
                               py::handle dilation, bool ceil_mode) {
  const char* op = "max_pool2d_backward";
  const Array x = pooled_input(op, x_);
  const Pool2d p = parse_pool(op, x, kernel_size, stride, padding, dilation, ceil_mode);
  const Array dy = output_gradient(op, x, p, dy_);
  PyArrayObject* taps = reinterpret_cast<PyArrayObject*>(taps_.ptr());
  CHECK_TYPE(PyArray_Check(taps_.ptr()) && PyArray_TYPE(taps) == tap_typenum(op, p) &&
                 PyArray_ISCARRAY_RO(taps) && PyArray_SIZE(taps) == dy.numel(),
             op, ": taps must be what max_pool2d_forward returned");
  Array dx = Array::empty_like(op, x);
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.max_pool2d_backward(dy.data<T>(), PyArray_DATA(taps), dx.data<T>(), p);
  });
  return dx.release();
}

py::object avg_pool2d_forward(py::handle x_, py::handle kernel_size, py::handle stride,
                              py::handle padding, bool ceil_mode, bool count_include_pad,
                              py::handle out) {
  const char* op = "avg_pool2d";
  const Array x = pooled_input(op, x_);
  const Pool2d p = parse_pool(op, x, kernel_size, stride, padding, py::int_(1), ceil_mode);
  Output y(op, out, with_plane(x, p.out_h, p.out_w), x.typenum(), {&x});
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.avg_pool2d_forward(x.data<T>(), y.data<T>(), p, count_include_pad);
  });
  return y.finish();
}

py::object avg_pool2d_backward(py::handle dy_, py::handle x_, py::handle kernel_size,
                               py::handle stride, py::handle padding, bool ceil_mode,
                               bool count_include_pad) {
  const char* op = "avg_pool2d_backward";
  const Array x = pooled_input(op, x_);
  const Pool2d p = parse_pool(op, x, kernel_size, stride, padding, py::int_(1), ceil_mode);
  const Array dy = output_gradient(op, x, p, dy_);
  Array dx = Array::empty_like(op, x);
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.avg_pool2d_backward(dy.data<T>(), dx.data<T>(), p, count_include_pad);
  });
  return dx.release();
}

Array global_input(const char* op, py::handle x_) {
  Array x = pooled_input(op, x_);
  CHECK(x.size(-2) > 0 && x.size(-1) > 0, op,
        ": x must have height and width, got x.shape = ", x.shape());
  return x;
}

Array global_gradient(const char* op, const Array& x, py::handle dy_) {
  Array dy(op, "dy", dy_);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == with_plane(x, 1, 1), op, ": dy must have the output's shape ",
        with_plane(x, 1, 1), ", got dy.shape = ", dy.shape());
  return dy;
}

py::object global_avg_pool_forward(py::handle x_, py::handle out) {
  const char* op = "global_avg_pool2d";
  const Array x = global_input(op, x_);
  Output y(op, out, with_plane(x, 1, 1), x.typenum(), {&x});
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.global_avg_pool_forward(x.data<T>(), y.data<T>(), planes_of(x), x.size(-2) * x.size(-1));
  });
  return y.finish();
}

py::object global_avg_pool_backward(py::handle dy_, py::handle x_) {
  const char* op = "global_avg_pool2d_backward";
  const Array x = global_input(op, x_), dy = global_gradient(op, x, dy_);
  Array dx = Array::empty_like(op, x);
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.global_avg_pool_backward(dy.data<T>(), dx.data<T>(), planes_of(x), x.size(-2) * x.size(-1));
  });
  return dx.release();
}

// Returns the maxima and, for backward, their places in each plane.
py::object global_max_pool_forward(py::handle x_, bool keep_places) {
  const char* op = "global_max_pool2d";
  const Array x = global_input(op, x_);
  const Shape shape = with_plane(x, 1, 1);
  Array y = Array::empty(op, shape, x.typenum());
  Array places = keep_places ? Array::empty(op, shape, NPY_INT64) : Array();
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.global_max_pool_forward(x.data<T>(), y.data<T>(),
                              keep_places ? places.data<int64_t>() : nullptr, planes_of(x),
                              x.size(-2) * x.size(-1));
  });
  return py::make_tuple(y.release(), keep_places ? places.release() : py::object(py::none()));
}

py::object global_max_pool_backward(py::handle dy_, py::handle places_, py::handle x_) {
  const char* op = "global_max_pool2d_backward";
  const Array x = global_input(op, x_), dy = global_gradient(op, x, dy_);
  PyArrayObject* places = reinterpret_cast<PyArrayObject*>(places_.ptr());
  CHECK_TYPE(PyArray_Check(places_.ptr()) && PyArray_TYPE(places) == NPY_INT64 &&
                 PyArray_ISCARRAY_RO(places) && PyArray_SIZE(places) == dy.numel(),
             op, ": places must be what global_max_pool_forward returned");
  Array dx = Array::empty_like(op, x);
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.global_max_pool_backward(dy.data<T>(), static_cast<const int64_t*>(PyArray_DATA(places)),
                               dx.data<T>(), planes_of(x), x.size(-2) * x.size(-1));
  });
  return dx.release();
}

}  // namespace

void bind_pool(py::module_& m) {
  m.def("max_pool2d_forward", &max_pool2d_forward, py::arg("x"), py::arg("kernel_size"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("ceil_mode"),
        py::arg("keep_taps"), py::arg("return_indices"));
  m.def("max_pool2d_backward", &max_pool2d_backward, py::arg("dy"), py::arg("taps"), py::arg("x"),
        py::arg("kernel_size"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("ceil_mode"));
  m.def("avg_pool2d_forward", &avg_pool2d_forward, py::arg("x"), py::arg("kernel_size"),
        py::arg("stride"), py::arg("padding"), py::arg("ceil_mode"), py::arg("count_include_pad"),
        py::arg("out") = py::none());
  m.def("avg_pool2d_backward", &avg_pool2d_backward, py::arg("dy"), py::arg("x"),
        py::arg("kernel_size"), py::arg("stride"), py::arg("padding"), py::arg("ceil_mode"),
        py::arg("count_include_pad"));
  m.def("global_avg_pool_forward", &global_avg_pool_forward, py::arg("x"),
        py::arg("out") = py::none());
  m.def("global_avg_pool_backward", &global_avg_pool_backward, py::arg("dy"), py::arg("x"));
  m.def("global_max_pool_forward", &global_max_pool_forward, py::arg("x"), py::arg("keep_places"));
  m.def("global_max_pool_backward", &global_max_pool_backward, py::arg("dy"), py::arg("places"),
        py::arg("x"));
}

}  // namespace dlcore
