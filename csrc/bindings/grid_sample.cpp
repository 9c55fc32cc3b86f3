#include "bindings/array.h"

namespace dlcore {
namespace {

SampleMode parse_mode(const char* op, py::handle value) {
  const std::string mode = word(value);
  if (mode == "bilinear") return SampleMode::bilinear;
  if (mode == "nearest") return SampleMode::nearest;
  if (mode == "bicubic") return SampleMode::bicubic;
  CHECK(false, op, ": mode must be 'bilinear', 'nearest' or 'bicubic', got ", shown(value));
  return SampleMode::bilinear;
}

SamplePadding parse_padding(const char* op, py::handle value) {
  const std::string mode = word(value);
  if (mode == "zeros") return SamplePadding::zeros;
  if (mode == "border") return SamplePadding::border;
  if (mode == "reflection") return SamplePadding::reflection;
  CHECK(false, op, ": padding_mode must be 'zeros', 'border' or 'reflection', got ", shown(value));
  return SamplePadding::zeros;
}

struct Sampled {
  Array x, grid;
  GridSample p;
  Shape out;

  Sampled(const char* op, py::handle x_, py::handle grid_, py::handle mode, py::handle padding_mode,
          bool align_corners)
      : x(op, "input", x_), grid(op, "grid", grid_) {
    p.mode = parse_mode(op, mode);
    p.padding = parse_padding(op, padding_mode);
    p.align_corners = align_corners;
    CHECK(x.ndim() == 4 || x.ndim() == 5, op,
          ": input must have axes (batch, channels, height, width), with depth before them or "
          "without, "
          "got input.shape = ",
          x.shape());
    p.axes = x.ndim() - 2;
    CHECK(grid.ndim() == x.ndim() && grid.size(-1) == p.axes && grid.size(0) == x.size(0), op,
          ": grid must have the batch of input, places and ", p.axes,
          " coordinates, got grid.shape = ", grid.shape(), " for input.shape = ", x.shape());
    check_same_dtype(op, "input", x, "grid", grid);
    CHECK(p.axes == 2 || p.mode != SampleMode::bicubic, op,
          ": mode 'bicubic' must go with input of 4 axes, got input.shape = ", x.shape());
    p.batch = x.size(0), p.channels = x.size(1);
    p.depth = p.axes == 3 ? x.size(2) : 1;
    p.height = x.size(-2), p.width = x.size(-1);
    CHECK(p.depth > 0 && p.height > 0 && p.width > 0, op,
          ": input must have height and width, got input.shape = ", x.shape());
    constexpr int64_t kMost = int64_t(1) << 31;
    CHECK(
        p.depth < kMost && p.height < kMost && p.width < kMost, op,
        ": input must have fewer than 2^31 elements along an axis, got input.shape = ", x.shape());
    out = grid.shape();
    --out.ndim;
    p.out = 1;
    for (int i = 1; i < out.ndim; ++i) p.out = checked_mul(op, p.out, out[i]);
    for (int i = out.ndim; i > 1; --i) out.size[i] = out.size[i - 1];
    out.size[1] = p.channels;
    ++out.ndim;
  }
  int64_t work() const { return 8 * p.batch * (p.channels + 4) * p.out; }
};

py::object grid_sample_forward(py::handle x, py::handle grid, py::handle mode,
                               py::handle padding_mode, bool align_corners) {
  const char* op = "grid_sample";
  const Sampled s(op, x, grid, mode, padding_mode, align_corners);
  Array y = Array::empty(op, s.out, s.x.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(s.x, s.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.grid_sample_forward(s.x.data<T>(), s.grid.data<T>(), y.data<T>(), s.p);
  });
  return y.release();
}

py::object grid_sample_backward(py::handle dy_, py::handle x, py::handle grid, bool need_dx,
                                bool need_dgrid, py::handle mode, py::handle padding_mode,
                                bool align_corners) {
  const char* op = "grid_sample_backward";
  const Sampled s(op, x, grid, mode, padding_mode, align_corners);
  const Array dy(op, "dy", dy_);
  check_same_dtype(op, "input", s.x, "dy", dy);
  CHECK(dy.shape() == s.out, op, ": dy must have the output's shape ", s.out,
        ", got dy.shape = ", dy.shape());
  Array dx = need_dx ? Array::empty_like(op, s.x) : Array();
  Array dgrid = need_dgrid ? Array::empty_like(op, s.grid) : Array();
  with_kernels(s.x, s.work() + s.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.grid_sample_backward(dy.data<T>(), s.x.data<T>(), s.grid.data<T>(),
                           need_dx ? dx.data<T>() : nullptr, need_dgrid ? dgrid.data<T>() : nullptr,
                           s.p);
  });
  const auto or_none = [](Array& a) { return a.defined() ? a.release() : py::object(py::none()); };
  return py::make_tuple(or_none(dx), or_none(dgrid));
}

}  // namespace

void bind_grid_sample(Module& m) {
  m.def("grid_sample_forward", &grid_sample_forward, py::arg("x"), py::arg("grid"), py::arg("mode"),
        py::arg("padding_mode"), py::arg("align_corners"));
  m.def("grid_sample_backward", &grid_sample_backward, py::arg("dy"), py::arg("x"), py::arg("grid"),
        py::arg("need_dx"), py::arg("need_dgrid"), py::arg("mode"), py::arg("padding_mode"),
        py::arg("align_corners"));
}

}  // namespace dlcore
