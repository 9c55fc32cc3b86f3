#include "bindings/array.h"

namespace dlcore {
namespace {

// A window of `size` elements, and how far a frame is behind the one before.
struct Frames {
  Array window;
  FrameShape shape{};

  Frames(const char* op, const Array& like, py::handle window_, int64_t hop)
      : window(op, "window", window_) {
    check_same_dtype(op, "input", like, "window", window);
    CHECK(window.ndim() == 1 && window.size(0) > 0, op,
          ": window must have shape (n,) and not be empty, got window.shape = ", window.shape());
    CHECK(hop >= 1, op, ": hop_length must be at least 1, got ", hop);
    shape.size = window.size(0);
    shape.hop = hop;
  }
};

// (batch, length) to (batch, frames, size).
py::object frame(py::handle x_, py::handle window, int64_t hop) {
  const char* op = "frame";
  const Array x(op, "x", x_);
  Frames f(op, x, window, hop);
  FrameShape& s = f.shape;
  CHECK(x.ndim() == 2 && x.size(1) >= s.size, op, ": x must have shape (N, L), L at least ", s.size,
        ", got x.shape = ", x.shape());
  s.batch = x.size(0);
  s.length = x.size(1);
  s.frames = 1 + (s.length - s.size) / hop;
  Array y = Array::empty(op, {s.batch, s.frames, s.size}, x.typenum());
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.frame(x.data<T>(), f.window.data<T>(), y.data<T>(), s);
  });
  return y.release();
}

// (batch, frames, size) to (batch, length).
py::object overlap_add(py::handle frames_, py::handle window, int64_t hop, int64_t length) {
  const char* op = "overlap_add";
  const Array frames(op, "frames", frames_);
  Frames f(op, frames, window, hop);
  FrameShape& s = f.shape;
  CHECK(frames.ndim() == 3 && frames.size(2) == s.size, op, ": frames must have shape (N, T, ",
        s.size, "), got frames.shape = ", frames.shape());
  CHECK(length >= 0, op, ": length must be at least 0, got ", length);
  s.batch = frames.size(0);
  s.frames = frames.size(1);
  s.length = length;
  checked_mul(op, s.frames, hop);
  Array y = Array::empty(op, {s.batch, length}, frames.typenum());
  with_kernels(frames, frames.numel() + y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.overlap_add(frames.data<T>(), f.window.data<T>(), y.data<T>(), s);
  });
  return y.release();
}

// What overlap_add makes of frames of ones: (length).
py::object window_sum(py::handle window, int64_t hop, int64_t frames, int64_t length) {
  const char* op = "window_sum";
  Frames f(op, Array(op, "window", window), window, hop);
  CHECK(frames >= 0 && length >= 0, op, ": frames and length must be at least 0, got ", frames,
        " and ", length);
  checked_mul(op, frames, hop);
  f.shape.batch = 1;
  f.shape.frames = frames;
  f.shape.length = length;
  Array y = Array::empty(op, {length}, f.window.typenum());
  with_kernels(y, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.overlap_add(nullptr, f.window.template data<T>(), y.data<T>(), f.shape);
  });
  return y.release();
}

// For what NumPy writes into: memory that is mapped already.
py::object empty(int64_t rows, int64_t columns, bool is_double) {
  const char* op = "empty";
  CHECK(rows >= 0 && columns >= 0, op, ": rows and columns must be at least 0, got ", rows, " and ",
        columns);
  return Array::empty(op, {rows, columns}, is_double ? NPY_DOUBLE : NPY_FLOAT).release();
}

Shape without_pairs(const char* op, const Array& x) {
  CHECK(x.ndim() >= 1 && x.size(-1) == 2, op,
        ": x must have pairs of numbers along its last axis, got x.shape = ", x.shape());
  Shape shape = x.shape();
  --shape.ndim;
  return shape;
}

py::object pair_power_forward(py::handle x_, bool root) {
  const char* op = "pair_power";
  const Array x(op, "x", x_);
  Array y = Array::empty(op, without_pairs(op, x), x.typenum());
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pair_power_forward(x.data<T>(), y.data<T>(), y.numel(), root);
  });
  return y.release();
}

py::object pair_power_backward(py::handle x_, py::handle y_, py::handle dy_, bool root) {
  const char* op = "pair_power_backward";
  const Array x(op, "x", x_), y(op, "y", y_), dy(op, "dy", dy_);
  check_same_dtype(op, "x", x, "y", y);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(y.shape() == without_pairs(op, x) && dy.same_shape(y), op,
        ": y and dy must have the shape of x without its last axis, got x.shape = ", x.shape(),
        ", y.shape = ", y.shape(), ", dy.shape = ", dy.shape());
  Array dx = Array::empty_like(op, x);
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pair_power_backward(x.data<T>(), y.data<T>(), dy.data<T>(), dx.data<T>(), y.numel(), root);
  });
  return dx.release();
}

}  // namespace

void bind_signal(Module& m) {
  m.def("frame", &frame, py::arg("x"), py::arg("window"), py::arg("hop_length"));
  m.def("overlap_add", &overlap_add, py::arg("frames"), py::arg("window"), py::arg("hop_length"),
        py::arg("length"));
  m.def("window_sum", &window_sum, py::arg("window"), py::arg("hop_length"), py::arg("frames"),
        py::arg("length"));
  m.def("empty", &empty, py::arg("rows"), py::arg("columns"), py::arg("is_double"));
  m.def("pair_power_forward", &pair_power_forward, py::arg("x"), py::arg("root"));
  m.def("pair_power_backward", &pair_power_backward, py::arg("x"), py::arg("y"), py::arg("dy"),
        py::arg("root"));
}

}  // namespace dlcore
