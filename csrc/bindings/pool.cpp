#include "bindings/pool.h"

namespace dlcore {

Array pooled_input(const char* op, int dims, py::handle x_) {
  static const char* const axes[] = {"length", "height, width", "depth, height, width"};
  Array x(op, "x", x_);
  CHECK(x.ndim() == dims + 2 || x.ndim() == dims + 1, op, ": x must have axes (batch, channels, ",
        axes[dims - 1], ") or (channels, ", axes[dims - 1], "), got x.shape = ", x.shape());
  return x;
}

Shape pooled_shape(const Array& x, int dims, const Pool& p) {
  Shape shape = x.shape();
  const int64_t out[] = {p.d.out, p.h.out, p.w.out};
  for (int i = 0; i < dims; ++i) shape.size[shape.ndim - 1 - i] = out[2 - i];
  return shape;
}

bool is_global(const Pool& p) {
  const auto whole = [](const PoolAxis& a) {
    return a.out == 1 && a.kernel == a.size && a.dilation == 1 && a.low == 0;
  };
  return whole(p.d) && whole(p.h) && whole(p.w);
}
int64_t plane_size(const Pool& p) {
  return p.d.size * p.h.size * p.w.size;
}
int64_t work_of(const Pool& p) {
  return p.planes * (plane_size(p) + p.d.out * p.h.out * p.w.out);
}

namespace {

constexpr PoolAxis kNoAxis{1, 1, 1, 1, 1, 0, 0};

// One number for all axes, or one each: the last axes of d, h, w; the others stay as they are.
struct Sizes {
  int64_t at[3];
};
Sizes parse_sizes(const char* op, const char* name, int dims, py::handle value, int64_t least,
                  Sizes sizes) {
  static const char* const wanted[] = {"an int", "an int or a pair of ints",
                                       "an int or three ints"};
  const auto one = [&](py::handle item) -> int64_t {
    CHECK_TYPE(PyIndex_Check(item.ptr()) && !PyBool_Check(item.ptr()), op, ": ", name, " must be ",
               wanted[dims - 1], ", got ", shown(value));
    const Py_ssize_t n = PyNumber_AsSsize_t(item.ptr(), PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      CHECK(false, op, ": ", name, " is larger than any array, got ", shown(value));
    }
    CHECK(n >= least, op, ": ", name, " must be at least ", least, ", got ", shown(value));
    return n;
  };
  const bool many = PyTuple_Check(value.ptr()) || PyList_Check(value.ptr());
  CHECK_TYPE(!many || PySequence_Size(value.ptr()) == dims, op, ": ", name, " must be ",
             wanted[dims - 1], ", got ", shown(value));
  for (int i = 0; i < dims; ++i) {
    int64_t& to = sizes.at[3 - dims + i];
    const py::object item = many ? py::reinterpret_borrow<py::sequence>(value)[i]
                                 : py::reinterpret_borrow<py::object>(value);
    if (!item.is_none() || least != 1 || std::string(name) != "output_size") to = one(item);
  }
  return sizes;
}

const char* axis_name(int dims, int i) {
  static const char* const names[] = {"depth", "height", "width"};
  return dims == 1 ? "length" : names[i];
}

// The sizes of x's axes, which must not be empty.
Sizes axes_of(const char* op, int dims, const Array& x) {
  static const char* const axes[] = {"length", "height and width", "depth, height and width"};
  Sizes sizes{1, 1, 1};
  bool empty = false;
  for (int i = 0; i < dims; ++i) {
    sizes.at[3 - dims + i] = x.size(i - dims);
    empty |= x.size(i - dims) == 0;
  }
  CHECK(!empty, op, ": x must have ", axes[dims - 1], ", got x.shape = ", x.shape());
  return sizes;
}

int64_t planes_of(int dims, const Array& x) {
  return x.ndim() == dims + 2 ? x.size(0) * x.size(1) : x.size(0);
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

}  // namespace

Pool parse_windows(const char* op, int dims, const Array& x, py::handle kernel_size,
                   py::handle stride, py::handle padding, py::handle dilation, bool ceil_mode) {
  constexpr Sizes ones{1, 1, 1}, zeros{0, 0, 0};
  const Sizes kernel = parse_sizes(op, "kernel_size", dims, kernel_size, 1, ones);
  const Sizes step = stride.is_none() ? kernel : parse_sizes(op, "stride", dims, stride, 1, ones);
  const Sizes pad = parse_sizes(op, "padding", dims, padding, 0, zeros);
  const Sizes spread = parse_sizes(op, "dilation", dims, dilation, 1, ones);
  const Sizes size = axes_of(op, dims, x);
  for (int i = 3 - dims; i < 3; ++i)
    CHECK(pad.at[i] <= kernel.at[i] / 2, op,
          ": padding must be at most half of kernel_size = ", shown(kernel_size),
          ", got padding = ", shown(padding));
  PoolAxis axes[] = {kNoAxis, kNoAxis, kNoAxis};
  for (int i = 3 - dims; i < 3; ++i) {
    const Axis a{axis_name(dims, i), size.at[i], kernel.at[i], step.at[i],
                 spread.at[i],       pad.at[i],  pad.at[i]};
    const int64_t out = window_positions(op, a, ceil_mode);
    CHECK(!sees_padding_only(a, out), op, ": every window must contain an element of x, got ",
          "x.shape = ", x.shape(), " with dilation = ", shown(dilation),
          ": lower padding or dilation");
    axes[i] = {a.size, out, a.kernel, a.stride, a.dilation, a.low, a.high};
    drop_unused(out, a.kernel, axes[i].stride, axes[i].dilation);
  }
  const Pool p{planes_of(dims, x), axes[0], axes[1], axes[2]};
  const int64_t taps = checked_mul(op, checked_mul(op, p.d.kernel, p.h.kernel), p.w.kernel);
  CHECK(taps < (int64_t(1) << 30), op, ": kernel_size must cover fewer than 2^30 elements, got ",
        shown(kernel_size));
  return p;
}

Pool parse_adaptive(const char* op, int dims, const Array& x, py::handle output_size) {
  const Sizes size = axes_of(op, dims, x);
  const Sizes out = parse_sizes(op, "output_size", dims, output_size, 1, size);
  PoolAxis axes[] = {kNoAxis, kNoAxis, kNoAxis};
  int64_t taps = 1;
  for (int i = 3 - dims; i < 3; ++i) {
    const int64_t n = size.at[i], each = n / out.at[i];
    checked_mul(op, n, out.at[i] + 1);
    if (n % out.at[i] == 0)
      axes[i] = {n, out.at[i], each, each, 1, 0, 0};
    else
      axes[i] = {n, out.at[i], each + 2, 0, 1, 0, 0};
    taps = checked_mul(op, taps, axes[i].kernel);
  }
  const Pool p{planes_of(dims, x), axes[0], axes[1], axes[2]};
  CHECK(is_global(p) || taps < (int64_t(1) << 30), op,
        ": output_size must be larger for this input, got x.shape = ", x.shape());
  return p;
}

Array output_gradient(const char* op, int dims, const Array& x, const Pool& p, py::handle dy_) {
  Array dy(op, "dy", dy_);
  check_same_dtype(op, "x", x, "dy", dy);
  const Shape shape = pooled_shape(x, dims, p);
  CHECK(dy.shape() == shape, op, ": dy must have the output's shape ", shape,
        ", got dy.shape = ", dy.shape());
  return dy;
}

namespace {

// Where maxima lie: in their windows, or, those of whole planes, in their planes. Minima have no
// kernel of their own for whole planes.
int tap_typenum(const Pool& p, bool global) {
  if (global) return NPY_INT64;
  return p.d.kernel * p.h.kernel * p.w.kernel <= 256 ? NPY_UINT8 : NPY_INT32;
}

// Returns the result and, where asked for, the taps for backward and PyTorch's indices.
py::object maxima(const char* op, int dims, const Array& x, const Pool& p, bool lowest,
                  bool keep_taps, bool return_indices) {
  const Shape shape = pooled_shape(x, dims, p);
  const bool global = is_global(p) && !lowest;
  Array y = Array::empty(op, shape, x.typenum());
  Array taps =
      keep_taps || return_indices ? Array::empty(op, shape, tap_typenum(p, global)) : Array();
  void* to = taps.defined() ? taps.data<void>() : nullptr;
  Array indices = return_indices && !global ? Array::empty(op, shape, NPY_INT64) : Array();
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (global)
      return k.global_max_pool_forward(x.data<T>(), y.data<T>(), static_cast<int64_t*>(to),
                                       p.planes, plane_size(p));
    k.max_pool_forward(x.data<T>(), y.data<T>(), to, p, lowest);
    if (return_indices) k.max_pool_indices(to, indices.data<int64_t>(), p);
  });
  const auto or_none = [](const Array& a) { return a.defined() ? a.object() : py::none(); };
  return py::make_tuple(y.release(), or_none(taps),
                        return_indices && global ? or_none(taps) : or_none(indices));
}

py::object maxima_gradient(const char* op, int dims, const Array& x, const Pool& p, py::handle dy_,
                           py::handle taps_) {
  const Array dy = output_gradient(op, dims, x, p, dy_);
  PyArrayObject* taps = reinterpret_cast<PyArrayObject*>(taps_.ptr());
  const bool global = is_global(p) && PyArray_Check(taps_.ptr()) && PyArray_TYPE(taps) == NPY_INT64;
  CHECK_TYPE(PyArray_Check(taps_.ptr()) && PyArray_TYPE(taps) == tap_typenum(p, global) &&
                 PyArray_ISCARRAY_RO(taps) && PyArray_SIZE(taps) == dy.numel(),
             op, ": taps must be what the forward returned");
  Array dx = Array::empty_like(op, x);
  with_kernels(x, work_of(p), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (global)
      return k.global_max_pool_backward(dy.data<T>(),
                                        static_cast<const int64_t*>(PyArray_DATA(taps)),
                                        dx.data<T>(), p.planes, plane_size(p));
    k.max_pool_backward(dy.data<T>(), PyArray_DATA(taps), dx.data<T>(), p);
  });
  return dx.release();
}

py::object max_pool_forward(const char* op, int dims, py::handle x_, py::handle kernel_size,
                            py::handle stride, py::handle padding, py::handle dilation,
                            bool ceil_mode, bool lowest, bool keep_taps, bool return_indices) {
  const Array x = pooled_input(op, dims, x_);
  const Pool p = parse_windows(op, dims, x, kernel_size, stride, padding, dilation, ceil_mode);
  return maxima(op, dims, x, p, lowest, keep_taps, return_indices);
}

py::object max_pool_backward(const char* op, int dims, py::handle dy, py::handle taps,
                             py::handle x_, py::handle kernel_size, py::handle stride,
                             py::handle padding, py::handle dilation, bool ceil_mode) {
  const Array x = pooled_input(op, dims, x_);
  const Pool p = parse_windows(op, dims, x, kernel_size, stride, padding, dilation, ceil_mode);
  return maxima_gradient(op, dims, x, p, dy, taps);
}

py::object adaptive_max_pool_forward(const char* op, int dims, py::handle x_,
                                     py::handle output_size, bool keep_taps, bool return_indices) {
  const Array x = pooled_input(op, dims, x_);
  const Pool p = parse_adaptive(op, dims, x, output_size);
  return maxima(op, dims, x, p, false, keep_taps, return_indices);
}

py::object adaptive_max_pool_backward(const char* op, int dims, py::handle dy, py::handle taps,
                                      py::handle x_, py::handle output_size) {
  const Array x = pooled_input(op, dims, x_);
  return maxima_gradient(op, dims, x, parse_adaptive(op, dims, x, output_size), dy, taps);
}

// Indices into planes of `size` elements, one for each element of x.
py::object parse_indices(const char* op, const Array& x, py::handle object, int64_t size) {
  const bool array = PyArray_Check(object.ptr());
  CHECK_TYPE(array && PyArray_TYPE(reinterpret_cast<PyArrayObject*>(object.ptr())) == NPY_INT64, op,
             ": indices must be a NumPy array of int64, got ",
             array ? "one of " + std::string(py::str(object.attr("dtype")))
                   : std::string(Py_TYPE(object.ptr())->tp_name));
  CHECK_TYPE(!hides_entries(object), op, ": indices must not be a masked array");
  PyArrayObject* given = reinterpret_cast<PyArrayObject*>(object.ptr());
  const Shape shape(PyArray_NDIM(given), PyArray_DIMS(given));
  CHECK(shape == x.shape(), op, ": indices must have the shape of x ", x.shape(),
        ", got indices.shape = ", shape);
  // A copy: another thread may write to indices after they were checked.
  PyObject* ready = PyArray_FromAny(object.ptr(), PyArray_DescrFromType(NPY_INT64), 0, 0,
                                    NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY, nullptr);
  if (!ready) throw py::error_already_set();
  py::object kept = py::reinterpret_steal<py::object>(ready);
  const int64_t* values =
      static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(ready)));
  for (int64_t i = 0; i < x.numel(); ++i)
    CHECK_INDEX(values[i] >= 0 && values[i] < size, op, ": indices must be from 0 to ", size - 1,
                " for this output_size, got ", values[i]);
  return kept;
}

// Shapes of both sides of unpooling: `pooled` has x's last axes, the other output_size.
struct Unpool {
  Shape shape;
  int64_t planes, n, size;
};
Unpool parse_unpool(const char* op, int dims, const Array& x, py::handle output_size) {
  const Sizes out = parse_sizes(op, "output_size", dims, output_size, 0, {1, 1, 1});
  Unpool u{x.shape(), planes_of(dims, x), 1, 1};
  for (int i = 1; i <= dims; ++i) {
    u.n *= x.size(-i);
    u.size = checked_mul(op, u.size, out.at[3 - i]);
    u.shape.size[u.shape.ndim - i] = out.at[3 - i];
  }
  return u;
}

// Returns the result and a checked copy of the indices, for backward.
py::object max_unpool_forward(const char* op, int dims, py::handle x_, py::handle indices_,
                              py::handle output_size) {
  const Array x = pooled_input(op, dims, x_);
  const Unpool u = parse_unpool(op, dims, x, output_size);
  py::object indices = parse_indices(op, x, indices_, u.size);
  const int64_t* from =
      static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(indices.ptr())));
  Array y = Array::empty(op, u.shape, x.typenum());
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.max_unpool_forward(x.data<T>(), from, y.data<T>(), u.planes, u.n, u.size);
  });
  return py::make_tuple(y.release(), indices);
}

py::object max_unpool_backward(const char* op, int dims, py::handle dy_, py::handle indices_,
                               py::handle x_, py::handle output_size) {
  const Array x = pooled_input(op, dims, x_), dy(op, "dy", dy_);
  const Unpool u = parse_unpool(op, dims, x, output_size);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == u.shape, op, ": dy must have the output's shape ", u.shape,
        ", got dy.shape = ", dy.shape());
  const py::object indices = parse_indices(op, x, indices_, u.size);
  const int64_t* from =
      static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(indices.ptr())));
  Array dx = Array::empty_like(op, x);
  with_kernels(x, dy.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.max_unpool_backward(dy.data<T>(), from, dx.data<T>(), u.planes, u.n, u.size);
  });
  return dx.release();
}

}  // namespace

void bind_pool(Module& m) {
  using py::arg;
  m.def("max_pool_forward", &max_pool_forward, arg("op"), arg("dims"), arg("x"), arg("kernel_size"),
        arg("stride"), arg("padding"), arg("dilation"), arg("ceil_mode"), arg("lowest"),
        arg("keep_taps"), arg("return_indices"));
  m.def("max_pool_backward", &max_pool_backward, arg("op"), arg("dims"), arg("dy"), arg("taps"),
        arg("x"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
        arg("ceil_mode"));
  m.def("adaptive_max_pool_forward", &adaptive_max_pool_forward, arg("op"), arg("dims"), arg("x"),
        arg("output_size"), arg("keep_taps"), arg("return_indices"));
  m.def("adaptive_max_pool_backward", &adaptive_max_pool_backward, arg("op"), arg("dims"),
        arg("dy"), arg("taps"), arg("x"), arg("output_size"));
  m.def("max_unpool_forward", &max_unpool_forward, arg("op"), arg("dims"), arg("x"), arg("indices"),
        arg("output_size"));
  m.def("max_unpool_backward", &max_unpool_backward, arg("op"), arg("dims"), arg("dy"),
        arg("indices"), arg("x"), arg("output_size"));
  bind_pool_average(m);
}

}  // namespace dlcore
