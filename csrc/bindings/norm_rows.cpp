// Layer norm and RMS norm.

#include "bindings/norm.h"

namespace dlcore {
namespace {

// An int or a sequence of ints: the last axes of x.
Shape parse_shape(const char* op, py::handle value) {
  Shape shape;
  if (PyIndex_Check(value.ptr())) {
    shape.size[shape.ndim++] = int_argument(op, "normalized_shape", value);
    return shape;
  }
  CHECK_TYPE(PyTuple_Check(value.ptr()) || PyList_Check(value.ptr()), op,
             ": normalized_shape must be an int or a tuple of ints, got ",
             Py_TYPE(value.ptr())->tp_name);
  const py::sequence sizes = py::reinterpret_borrow<py::sequence>(value);
  CHECK(sizes.size() > 0 && sizes.size() <= NPY_MAXDIMS, op,
        ": normalized_shape must name at least one axis of x, got ", sizes.size());
  for (const auto& size : sizes)
    shape.size[shape.ndim++] = int_argument(op, "normalized_shape", size);
  return shape;
}

struct Rows {
  Array x;
  Shape normalized;
  int64_t rows, cols;

  Rows(const char* op, py::handle x_, py::handle normalized_shape)
      : x(op, "x", x_), normalized(parse_shape(op, normalized_shape)) {
    const int first = x.ndim() - normalized.ndim;
    bool fits = first >= 0;
    for (int i = 0; fits && i < normalized.ndim; ++i) fits = normalized[i] == x.size(first + i);
    CHECK(fits, op,
          ": normalized_shape must be the last axes of x, got normalized_shape = ", normalized,
          " for x.shape = ", x.shape());
    cols = normalized.numel(op);
    rows = 1;
    for (int i = 0; i < first; ++i) rows *= x.size(i);
    if (cols == 0) rows = 0;
  }
  Array row_array(const char* op) const { return Array::empty(op, {rows}, x.typenum()); }
};

// residual may be None. Returns x + residual too, or None.
py::object layer_norm_forward(py::handle x_, py::handle normalized_shape, py::handle weight_,
                              py::handle bias_, py::handle eps_, py::handle residual_) {
  const char* op = residual_.is_none() ? "layer_norm" : "add_layer_norm";
  const Rows r(op, x_, normalized_shape);
  const Array residual = residual_.is_none() ? Array() : like_x(op, "residual", residual_, r.x);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const Array bias = parameter(op, "bias", bias_, r.x, r.normalized);
  const double eps = parse_eps(op, eps_);
  Array y = Array::empty_like(op, r.x), mean = r.row_array(op), rstd = r.row_array(op);
  Array sum = residual.defined() ? Array::empty_like(op, r.x) : Array();
  with_kernels(r.x, 4 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.layer_norm_forward(r.x.template data<T>(), data_or_null<T>(residual), data_or_null<T>(sum),
                         data_or_null<T>(weight), data_or_null<T>(bias), y.data<T>(),
                         mean.data<T>(), rstd.data<T>(), r.rows, r.cols, eps);
  });
  return py::make_tuple(y.release(), mean.release(), rstd.release(), or_none(sum));
}

py::object rms_norm_forward(py::handle x_, py::handle normalized_shape, py::handle weight_,
                            py::handle eps_, py::handle residual_) {
  const char* op = residual_.is_none() ? "rms_norm" : "add_rms_norm";
  const Rows r(op, x_, normalized_shape);
  const Array residual = residual_.is_none() ? Array() : like_x(op, "residual", residual_, r.x);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const double smallest = r.x.is_float() ? 0x1p-23 : 0x1p-52;
  const double eps = eps_.is_none() ? smallest : parse_eps(op, eps_);
  Array y = Array::empty_like(op, r.x), rstd = r.row_array(op);
  Array sum = residual.defined() ? Array::empty_like(op, r.x) : Array();
  with_kernels(r.x, 3 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.rms_norm_forward(r.x.template data<T>(), data_or_null<T>(residual), data_or_null<T>(sum),
                       data_or_null<T>(weight), y.data<T>(), rstd.data<T>(), r.rows, r.cols, eps);
  });
  return py::make_tuple(y.release(), rstd.release(), or_none(sum));
}

// mean is None for RMS norm. Returns dx, and dweight and dbias or None.
py::object layer_norm_backward(py::handle x_, py::handle dy_, py::handle normalized_shape,
                               py::handle weight_, py::handle mean_, py::handle rstd_,
                               bool has_bias) {
  const char* op = mean_.is_none() ? "rms_norm_backward" : "layer_norm_backward";
  const Rows r(op, x_, normalized_shape);
  const Array dy = like_x(op, "dy", dy_, r.x);
  const Array weight = parameter(op, "weight", weight_, r.x, r.normalized);
  const Array mean = mean_.is_none() ? Array() : statistics(op, "mean", mean_, r.x, r.rows);
  const Array rstd = statistics(op, "rstd", rstd_, r.x, r.rows);
  const auto gradient = [&](bool wanted) {
    return wanted ? Array::empty(op, r.normalized, r.x.typenum()) : Array();
  };
  Array dx = Array::empty_like(op, r.x);
  Array dweight = gradient(weight.defined()), dbias = gradient(has_bias);
  with_kernels(r.x, 8 * r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.layer_norm_backward(r.x.template data<T>(), dy.data<T>(), data_or_null<T>(weight),
                          data_or_null<T>(mean), rstd.data<T>(), dx.data<T>(),
                          data_or_null<T>(dweight), data_or_null<T>(dbias), r.rows, r.cols);
  });
  return py::make_tuple(dx.release(), or_none(dweight), or_none(dbias));
}

}  // namespace

void bind_norm_rows(Module& m) {
  const auto arg = [](const char* name) { return py::arg(name); };
  m.def("layer_norm_forward", &layer_norm_forward, arg("x"), arg("normalized_shape"), arg("weight"),
        arg("bias"), arg("eps"), py::arg("residual") = py::none());
  m.def("rms_norm_forward", &rms_norm_forward, arg("x"), arg("normalized_shape"), arg("weight"),
        arg("eps"), py::arg("residual") = py::none());
  m.def("layer_norm_backward", &layer_norm_backward, arg("x"), arg("dy"), arg("normalized_shape"),
        arg("weight"), arg("mean"), arg("rstd"), arg("has_bias"));
}

}  // namespace dlcore
