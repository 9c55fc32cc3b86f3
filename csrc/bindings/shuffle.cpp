#include "bindings/array.h"

namespace dlcore {
namespace {

struct Channels {
  Array x;
  int64_t count;  // of channels
  int axis;

  // The channels are the axis before the last `after`.
  Channels(const char* op, py::handle x_, int after) : x(op, "x", x_) {
    CHECK(x.ndim() > after, op,
          ": x must have axes (..., channels, height, width), got x.shape = ", x.shape());
    axis = x.ndim() - 1 - after;
    count = x.size(axis);
  }
  int64_t planes() const {
    int64_t n = 1;
    for (int i = 0; i < axis; ++i) n *= x.size(i);
    return n;
  }
};

int64_t at_least_one(const char* op, const char* name, py::handle value) {
  const int64_t n = int_argument(op, name, value);
  CHECK(n >= 1, op, ": ", name, " must be at least 1, got ", n);
  return n;
}

py::object pixel_shuffle(py::handle x_, py::handle upscale_factor) {
  const char* op = "pixel_shuffle";
  const Channels c(op, x_, 2);
  const int64_t factor = at_least_one(op, "upscale_factor", upscale_factor);
  const int64_t square = checked_mul(op, factor, factor);
  CHECK(c.count % square == 0, op, ": upscale_factor squared must divide the channels, got ",
        factor, " for x.shape = ", c.x.shape());
  Shape shape = c.x.shape();
  const int64_t height = shape[-2], width = shape[-1];
  shape.size[c.axis] = c.count / square;
  shape.size[c.axis + 1] = checked_mul(op, height, factor);
  shape.size[c.axis + 2] = checked_mul(op, width, factor);
  Array y = Array::empty(op, shape, c.x.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(c.x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pixel_shuffle(c.x.data<T>(), y.data<T>(), c.planes() * shape[c.axis], factor, height, width);
  });
  return y.release();
}

py::object pixel_unshuffle(py::handle x_, py::handle downscale_factor) {
  const char* op = "pixel_unshuffle";
  const Channels c(op, x_, 2);
  const int64_t factor = at_least_one(op, "downscale_factor", downscale_factor);
  Shape shape = c.x.shape();
  CHECK(shape[-1] % factor == 0 && shape[-2] % factor == 0, op,
        ": downscale_factor must divide height and width, got ", factor,
        " for x.shape = ", c.x.shape());
  const int64_t height = shape[-2] / factor, width = shape[-1] / factor;
  shape.size[c.axis] = checked_mul(op, c.count, checked_mul(op, factor, factor));
  shape.size[c.axis + 1] = height, shape.size[c.axis + 2] = width;
  Array y = Array::empty(op, shape, c.x.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(c.x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.pixel_unshuffle(c.x.data<T>(), y.data<T>(), c.planes() * c.count, factor, height, width);
  });
  return y.release();
}

py::object channel_shuffle(py::handle x_, py::handle groups_) {
  const char* op = "channel_shuffle";
  const Array x(op, "x", x_);
  CHECK(x.ndim() > 2, op, ": x must have axes (batch, channels, ...), got x.shape = ", x.shape());
  const int64_t groups = at_least_one(op, "groups", groups_);
  CHECK(x.size(1) % groups == 0, op, ": groups must divide the channels, got ", groups,
        " for x.shape = ", x.shape());
  Array y = Array::empty_like(op, x);
  if (y.numel() == 0) return y.release();
  const int64_t size = x.numel() / (x.size(0) * x.size(1));
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.channel_shuffle(x.data<T>(), y.data<T>(), x.size(0), groups, x.size(1) / groups, size);
  });
  return y.release();
}

}  // namespace

void bind_shuffle(Module& m) {
  m.def("pixel_shuffle", &pixel_shuffle, py::arg("x"), py::arg("upscale_factor"));
  m.def("pixel_unshuffle", &pixel_unshuffle, py::arg("x"), py::arg("downscale_factor"));
  m.def("channel_shuffle", &channel_shuffle, py::arg("x"), py::arg("groups"));
}

}  // namespace dlcore
