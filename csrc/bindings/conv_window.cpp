#include "bindings/conv.h"

namespace dlcore {
namespace {

const char* const kAxes[] = {"depth", "height", "width"};
const char* const kAxisLists[] = {"length", "height, width", "depth, height, width"};
const char* const kKinds[] = {"an int", "an int or a pair of ints", "an int or three ints"};

bool is_int(py::handle value) {
  return PyIndex_Check(value.ptr()) && !PyBool_Check(value.ptr());
}
bool is_list(py::handle value, Py_ssize_t size) {
  return (PyTuple_Check(value.ptr()) || PyList_Check(value.ptr())) &&
         PySequence_Size(value.ptr()) == size;
}
py::object item(py::handle list, Py_ssize_t i) {
  return py::reinterpret_borrow<py::sequence>(list)[i];
}

// A whole number of at least `least`; `value` is what it came in.
int64_t parse_one(const char* op, const char* name, py::handle number, py::handle value,
                  int64_t least) {
  const Py_ssize_t n = PyNumber_AsSsize_t(number.ptr(), PyExc_OverflowError);
  if (n == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    CHECK(false, op, ": ", name, " is larger than any array, got ", shown(value));
  }
  CHECK(n >= least, op, ": ", name, " must be at least ", least, ", got ", shown(value));
  return n;
}

// One number for all axes, or one for each of the last `dims`.
void parse_sizes(const char* op, const char* name, int dims, py::handle value, int64_t least,
                 int64_t* to) {
  const bool list = is_list(value, dims);
  bool fits = is_int(value) || list;
  for (int i = 0; list && i < dims; ++i) fits = fits && is_int(item(value, i));
  CHECK_TYPE(fits, op, ": ", name, " must be ", kKinds[dims - 1], ", got ", shown(value));
  for (int i = 0; i < dims; ++i)
    to[i] = parse_one(op, name, list ? item(value, i) : py::reinterpret_borrow<py::object>(value),
                      value, least);
}

// An int, or for each axis an int or a pair for its two ends; for one axis also the pair itself.
void parse_ends(const char* op, int dims, py::handle padding, Axis* axis) {
  const bool list = is_list(padding, dims);
  const bool ends = dims == 1 && is_list(padding, 2);
  const auto of_axis = [&](int i) {
    return list ? item(padding, i) : py::reinterpret_borrow<py::object>(padding);
  };
  for (int i = 0; i < dims; ++i) {
    const py::object both = of_axis(i);
    const bool pair =
        is_list(both, 2) && is_int(item(both, 0)) && is_int(item(both, 1)) && (list || ends);
    CHECK_TYPE(pair || is_int(both), op,
               ": padding must be an int, for each axis an int or a pair of ints, 'valid' or "
               "'same', got ",
               shown(padding));
    axis[i].low = parse_one(op, "padding", pair ? item(both, 0) : both, padding, 0);
    axis[i].high = parse_one(op, "padding", pair ? item(both, 1) : both, padding, 0);
  }
}

// 'same' puts an odd element at the end.
void parse_padding(const char* op, int dims, py::handle padding, Axis* axis) {
  if (!PyUnicode_Check(padding.ptr())) return parse_ends(op, dims, padding, axis);
  const std::string said = word(padding);
  CHECK(said == "same" || said == "valid", op,
        ": padding must be an int, for each axis an int or a pair of ints, 'valid' or 'same', got "
        "'",
        said, "'");
  for (int i = 0; i < dims; ++i) {
    axis[i].low = axis[i].high = 0;
    if (said == "valid") continue;
    CHECK(axis[i].stride == 1, op, ": padding 'same' must go with stride 1, got stride ",
          axis[i].stride);
    const int64_t total = checked_mul(op, axis[i].dilation, axis[i].kernel - 1);
    axis[i].low = total / 2;
    axis[i].high = total - total / 2;
  }
}

// What forward and transposed have in common: all but the padding and the sizes of the results.
// `in` is how weight's axes are named.
ConvCall parse_arrays(const char* op, int dims, const Array& x, const Array& weight,
                      py::handle stride, py::handle dilation, int64_t groups, const char* in) {
  check_same_dtype(op, "x", x, "weight", weight);
  const char* axes = kAxisLists[dims - 1];
  CHECK(x.ndim() == dims + 2 || x.ndim() == dims + 1, op, ": x must have axes (batch, channels, ",
        axes, ") or (channels, ", axes, "), got x.shape = ", x.shape());
  CHECK(weight.ndim() == dims + 2, op, ": weight must have axes (", in, ", ", axes,
        "), got weight.shape = ", weight.shape());
  CHECK(groups >= 1, op, ": groups must be at least 1, got ", groups);
  ConvCall c{};
  c.dims = dims, c.groups = groups;
  c.has_batch = x.ndim() == dims + 2;
  c.batch = c.has_batch ? x.size(0) : 1;
  int64_t step[3], spread[3];
  parse_sizes(op, "stride", dims, stride, 1, step);
  parse_sizes(op, "dilation", dims, dilation, 1, spread);
  for (int i = 0; i < 3; ++i) {
    const int at = i - (3 - dims);  // the axis of the call
    c.out[i] = 1;
    c.axis[i] = at < 0 ? Axis{kAxes[i], 1, 1, 1, 1, 0, 0}
                       : Axis{dims == 1 ? "length" : kAxes[i],
                              x.size(at - dims),
                              weight.size(at - dims),
                              step[at],
                              spread[at],
                              0,
                              0};
    CHECK(c.axis[i].size > 0, op, ": x must have channels, ", axes, ", got x.shape = ", x.shape());
    CHECK(c.axis[i].kernel > 0, op,
          ": weight must not be empty, got weight.shape = ", weight.shape());
  }
  const int64_t channels = x.size(-dims - 1);
  CHECK(channels > 0, op, ": x must have channels, ", axes, ", got x.shape = ", x.shape());
  CHECK(weight.size(0) > 0 && weight.size(1) > 0, op,
        ": weight must not be empty, got weight.shape = ", weight.shape());
  CHECK(channels % groups == 0 && weight.size(0) % groups == 0, op,
        ": groups must divide the channels of x and of the result, got groups = ", groups,
        " with x.shape = ", x.shape(), ", weight.shape = ", weight.shape());
  return c;
}

Shape with_axes(const ConvCall& c, int64_t channels, const int64_t* sizes) {
  Shape shape;
  if (c.has_batch) shape.size[shape.ndim++] = c.batch;
  shape.size[shape.ndim++] = channels;
  for (int i = 3 - c.dims; i < 3; ++i) shape.size[shape.ndim++] = sizes[i];
  return shape;
}

}  // namespace

Shape ConvCall::input_shape() const {
  const int64_t sizes[] = {axis[0].size, axis[1].size, axis[2].size};
  return with_axes(*this, channels, sizes);
}
Shape ConvCall::output_shape() const {
  return with_axes(*this, out_channels, out);
}

int64_t ConvCall::input_positions() const {
  return axis[0].size * axis[1].size * axis[2].size;
}
int64_t ConvCall::output_positions() const {
  return out[0] * out[1] * out[2];
}

int64_t ConvCall::multiply_adds() const {
  double n = static_cast<double>(batch) * static_cast<double>(out_channels) *
             static_cast<double>(channels / groups);
  for (int i = 0; i < 3; ++i)
    n *= static_cast<double>(out[i]) * static_cast<double>(axis[i].kernel);
  return n < 1e18 ? static_cast<int64_t>(n) : int64_t(1) << 60;
}

Conv3d ConvCall::shape() const {
  Axis a[3] = {axis[0], axis[1], axis[2]};
  for (int i = 0; i < 3; ++i) drop_unused(out[i], a[i].kernel, a[i].stride, a[i].dilation);
  const Conv2d plane{batch,         channels,    a[1].size,   a[2].size,
                     out_channels,  out[1],      out[2],      a[1].kernel,
                     a[2].kernel,   a[1].stride, a[2].stride, a[1].dilation,
                     a[2].dilation, a[1].low,    a[2].low,    groups};
  return {plane, a[0].size, out[0], a[0].kernel, a[0].stride, a[0].dilation, a[0].low};
}

bool is_planar(const Conv3d& c, Conv2d& plane) {
  const Conv2d& p = c.plane;
  plane = p;
  if (c.depth == 1 && c.out_d == 1 && c.kernel_d == 1 && c.pad_front == 0) return true;
  if (p.kernel_h * p.kernel_w != 1 || p.stride_h * p.stride_w != 1 || p.pad_top != 0 ||
      p.pad_left != 0 || p.out_h != p.height || p.out_w != p.width)
    return false;
  plane.height = c.depth, plane.out_h = c.out_d;
  plane.width = plane.out_w = p.height * p.width;
  plane.kernel_h = c.kernel_d, plane.stride_h = c.stride_d, plane.dilation_h = c.dilation_d;
  plane.pad_top = c.pad_front;
  return true;
}

Conv2d channel_rows(const ConvCall& c, int64_t channels, int64_t positions) {
  Conv2d rows{};
  rows.batch = c.batch, rows.out_channels = channels;
  rows.out_h = 1, rows.out_w = positions;
  return rows;
}

py::tuple gradients(Array& dx, Array& dw, Array& db) {
  const auto or_none = [](Array& a) { return a.defined() ? a.release() : py::object(py::none()); };
  return py::make_tuple(or_none(dx), or_none(dw), or_none(db));
}

ConvCall parse_conv(const char* op, int dims, const Array& x, const Array& weight,
                    py::handle stride, py::handle padding, py::handle dilation, int64_t groups) {
  ConvCall c = parse_arrays(op, dims, x, weight, stride, dilation, groups,
                            "out_channels, channels / groups");
  c.channels = x.size(-dims - 1), c.out_channels = weight.size(0);
  const int64_t wanted = checked_mul(op, weight.size(1), groups);
  CHECK(c.channels == wanted, op, ": x must have ", wanted,
        " channels for weight.shape = ", weight.shape(), " and groups = ", groups,
        ", got x.shape = ", x.shape(),
        x.size(x.ndim() - 1) == wanted ? ": the channels come before the other axes" : "");
  parse_padding(op, dims, padding, c.axis + 3 - dims);
  for (int i = 0; i < 3; ++i) c.out[i] = window_positions(op, c.axis[i]);
  return c;
}

ConvCall parse_transposed(const char* op, int dims, const Array& x, const Array& weight,
                          py::handle stride, py::handle padding, py::handle output_padding,
                          py::handle dilation, int64_t groups) {
  ConvCall c = parse_arrays(op, dims, x, weight, stride, dilation, groups,
                            "in_channels, out_channels / groups");
  c.out_channels = x.size(-dims - 1);
  CHECK(c.out_channels == weight.size(0), op, ": x must have ", weight.size(0),
        " channels for weight.shape = ", weight.shape(), ", got x.shape = ", x.shape());
  c.channels = checked_mul(op, weight.size(1), groups);
  parse_ends(op, dims, padding, c.axis + 3 - dims);
  int64_t more[3];
  parse_sizes(op, "output_padding", dims, output_padding, 0, more);
  for (int i = 0; i < 3; ++i) {
    Axis& a = c.axis[i];
    const int at = i - (3 - dims);
    c.out[i] = a.size;
    if (at < 0) continue;
    CHECK(more[at] < a.stride || more[at] < a.dilation, op,
          ": output_padding must be less than stride or dilation, got ", shown(output_padding),
          " with stride ", a.stride, " and dilation ", a.dilation);
    const int64_t span = checked_add(op, checked_mul(op, a.dilation, a.kernel - 1), 1);
    const int64_t reach = checked_add(op, checked_mul(op, a.size - 1, a.stride), span);
    const int64_t full = checked_add(op, reach, more[at]), cut = checked_add(op, a.low, a.high);
    CHECK(cut < full, op, ": padding must leave some of the result's ", a.name, ", got ",
          shown(padding), " of ", full);
    a.size = full - cut;
  }
  return c;
}

Array parse_bias(const char* op, const Array& x, py::handle bias_, int64_t channels) {
  CHECK_TYPE(!PyLong_CheckExact(bias_.ptr()), op, ": bias must be a NumPy array, got ",
             shown(bias_), ": the third argument is bias, write stride=", shown(bias_));
  const Array bias = optional_array(op, "bias", bias_);
  if (!bias.defined()) return bias;
  check_same_dtype(op, "x", x, "bias", bias);
  CHECK(bias.ndim() == 1 && bias.size(0) == channels, op, ": bias must have shape (", channels,
        ",), got bias.shape = ", bias.shape());
  return bias;
}

}  // namespace dlcore
