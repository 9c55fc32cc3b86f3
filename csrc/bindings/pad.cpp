#include "bindings/array.h"

namespace dlcore {
namespace {

PadMode parse_mode(const char* op, py::handle value) {
  const std::string mode = word(value);
  if (mode == "constant") return PadMode::constant;
  if (mode == "reflect") return PadMode::reflect;
  if (mode == "replicate") return PadMode::replicate;
  if (mode == "circular") return PadMode::circular;
  CHECK(false, op, ": mode must be 'constant', 'reflect', 'replicate' or 'circular', got ",
        shown(value));
  return PadMode::constant;
}

// What is added before and behind each axis, in the order of the axes.
struct Amounts {
  int axes;
  int64_t before[kMaxPadDims] = {}, after[kMaxPadDims] = {};

  Amounts(const char* op, py::handle pad, const Shape& x) : axes(x.ndim) {
    CHECK_TYPE(PyTuple_Check(pad.ptr()) || PyList_Check(pad.ptr()), op,
               ": pad must be a tuple of ints, got ", Py_TYPE(pad.ptr())->tp_name);
    const py::sequence numbers = py::reinterpret_borrow<py::sequence>(pad);
    const int64_t count = static_cast<int64_t>(numbers.size());
    CHECK(count % 2 == 0 && count <= 2 * axes, op,
          ": pad must hold a pair for each of the last dimensions of x.shape = ", x, ", got ",
          shown(pad));
    for (int64_t i = 0; i < count; ++i) {
      const int axis = axes - 1 - static_cast<int>(i / 2);
      (i % 2 ? after : before)[axis] = int_argument(op, "each number of pad", numbers[i]);
    }
  }
};

// Where elements come from x, they must be there.
void check_ends(const char* op, PadMode mode, const Shape& x, int axis, int64_t before,
                int64_t after) {
  if (mode == PadMode::constant || (before == 0 && after == 0)) return;
  CHECK(axis >= x.ndim - 3, op, ": pad must be of the last 3 dimensions at most in this mode, got ",
        x.ndim - axis, ": use mode 'constant'");
  const int64_t most = std::max(before, after);
  if (most <= 0) return;
  const int64_t left = x[axis] + std::min<int64_t>(0, before) + std::min<int64_t>(0, after);
  if (mode == PadMode::reflect)
    CHECK(most < x[axis], op,
          ": pad must be less than the length of its dimension to reflect, got ", most,
          " for x.shape = ", x);
  else if (mode == PadMode::replicate)
    CHECK(x[axis] > 0, op, ": x must not be empty in a padded dimension, got x.shape = ", x);
  else
    CHECK(most <= left, op,
          ": pad must be at most the length of its dimension to go round it, got ", most,
          " for x.shape = ", x);
}

struct Padded {
  Shape shape;  // the result's
  Pad p;

  Padded(const char* op, const Shape& x, py::handle pad, py::handle mode) : shape(x) {
    p.mode = parse_mode(op, mode);
    p.ndim = 0;
    const Amounts amounts(op, pad, x);
    bool before_whole = false;  // the axis before is not padded either
    for (int axis = 0; axis < x.ndim; ++axis) {
      const int64_t before = amounts.before[axis], after = amounts.after[axis];
      shape.size[axis] = checked_add(op, checked_add(op, x[axis], before), after);
      CHECK(shape[axis] >= 0 && checked_add(op, x[axis], before) >= 0 &&
                checked_add(op, x[axis], after) >= 0,
            op, ": pad must not crop more than x.shape = ", x, ", got ", shown(pad));
      check_ends(op, p.mode, x, axis, before, after);
      const bool whole = before == 0 && after == 0;
      if (whole && before_whole) {
        p.size[p.ndim - 1] = checked_mul(op, p.size[p.ndim - 1], x[axis]);
        p.out[p.ndim - 1] = p.size[p.ndim - 1];
      } else {
        p.size[p.ndim] = x[axis], p.out[p.ndim] = shape[axis], p.before[p.ndim] = before;
        ++p.ndim;
      }
      before_whole = whole;
    }
    if (p.ndim == 0) p.size[p.ndim] = p.out[p.ndim] = 1, p.before[p.ndim++] = 0;
    if (p.mode == PadMode::constant) merge_last(op);
  }

 private:
  // Rows that are not padded are stretches of longer ones.
  void merge_last(const char* op) {
    const int last = p.ndim - 1;
    if (last == 0 || p.before[last] != 0 || p.size[last] != p.out[last]) return;
    const int64_t n = p.size[last];
    --p.ndim;
    p.size[last - 1] = checked_mul(op, p.size[last - 1], n);
    p.out[last - 1] = checked_mul(op, p.out[last - 1], n);
    p.before[last - 1] = checked_mul(op, p.before[last - 1], n);
  }
};

py::object pad_forward(py::handle x_, py::handle pad, py::handle mode, py::handle value_) {
  const char* op = "pad";
  const Array x(op, "x", x_);
  const double value = real_argument(op, "value", value_);
  const Padded to(op, x.shape(), pad, mode);
  Array y = Array::empty(op, to.shape, x.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pad_forward(x.data<T>(), y.data<T>(), to.p, static_cast<T>(value));
  });
  return y.release();
}

py::object pad_backward(py::handle dy_, const std::vector<int64_t>& sizes, py::handle pad,
                        py::handle mode) {
  const char* op = "pad_backward";
  const Array dy(op, "dy", dy_);
  CHECK(sizes.size() <= NPY_MAXDIMS, op, ": shape must have at most ", NPY_MAXDIMS, " axes");
  Shape shape;
  for (int64_t n : sizes) shape.size[shape.ndim++] = n;
  const Padded to(op, shape, pad, mode);
  CHECK(dy.shape() == to.shape, op, ": dy must have the output's shape ", to.shape,
        ", got dy.shape = ", dy.shape());
  Array dx = Array::empty(op, shape, dy.typenum());
  if (dx.numel() == 0) return dx.release();
  with_kernels(dy, dy.numel() + dx.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pad_backward(dy.data<T>(), dx.data<T>(), to.p);
  });
  return dx.release();
}

}  // namespace

void bind_pad(Module& m) {
  m.def("pad_forward", &pad_forward, py::arg("x"), py::arg("pad"), py::arg("mode"),
        py::arg("value"));
  m.def("pad_backward", &pad_backward, py::arg("dy"), py::arg("shape"), py::arg("pad"),
        py::arg("mode"));
}

}  // namespace dlcore
