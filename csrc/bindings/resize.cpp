#include <cmath>

#include "bindings/array.h"

namespace dlcore {
namespace {

ResizeMode parse_mode(const char* op, const std::string& mode, bool antialias) {
  if (antialias) {
    CHECK(mode == "bilinear" || mode == "bicubic", op,
          ": antialias must go with mode 'bilinear' or 'bicubic', got mode = '", mode, "'");
    return mode == "bilinear" ? ResizeMode::linear_antialias : ResizeMode::cubic_antialias;
  }
  if (mode == "nearest") return ResizeMode::nearest;
  if (mode == "nearest-exact") return ResizeMode::nearest_exact;
  if (mode == "area") return ResizeMode::area;
  return mode == "bicubic" ? ResizeMode::cubic : ResizeMode::linear;
}

// How many axes of pictures a mode is for; 0: any.
int axes_of(const std::string& mode) {
  return mode == "linear"                          ? 1
         : mode == "bilinear" || mode == "bicubic" ? 2
         : mode == "trilinear"                     ? 3
                                                   : 0;
}

struct Sizes {
  Shape in, out;
  Resize p;

  // `size` and `scales` have a number for each axis after the second; a scale of 0 is that of the
  // sizes.
  Sizes(const char* op, const Shape& x, const std::vector<int64_t>& size,
        const std::vector<double>& scales, const std::string& mode, bool align_corners,
        bool antialias)
      : in(x), out(x) {
    const int axes = x.ndim - 2, fixed = axes_of(mode);
    CHECK(axes >= 1 && axes <= 3, op,
          ": input must have axes (batch, channels, width), with height or depth and height before "
          "it, got input.shape = ",
          x);
    CHECK(fixed == 0 || fixed == axes, op, ": mode '", mode, "' must go with input of ", fixed + 2,
          " axes, got input.shape = ", x);
    CHECK(static_cast<int>(size.size()) == axes && size.size() == scales.size(), op,
          ": size must have a number for each of the ", axes, " axes after the channels, got ",
          size.size());
    p.mode = parse_mode(op, mode, antialias);
    p.align_corners = align_corners;
    p.planes = checked_mul(op, x[0], x[1]);
    ResizeAxis* const axis[3] = {&p.depth, &p.height, &p.width};
    for (int i = 0; i < 3; ++i) *axis[i] = {1, 1, 0};
    for (int i = 0; i < axes; ++i) {
      const int64_t n = size[static_cast<size_t>(i)];
      const double scale = scales[static_cast<size_t>(i)];
      CHECK(n >= 1 && x[i + 2] >= 1, op, ": input and size must be at least 1 in each axis, got ",
            "input.shape = ", x, " and ", n);
      CHECK(n < kMost && x[i + 2] < kMost, op, ": the sizes must be below 2^40, got ", n);
      CHECK(std::isfinite(scale) && scale >= 0, op, ": scale_factor must be above 0, got ", scale);
      out.size[i + 2] = n;
      *axis[3 - axes + i] = {x[i + 2], n, forgets_scale(x[i + 2], n, axes) ? 0 : scale};
    }
  }

  int64_t work() const { return 2 * (in.numel("interpolate") + out.numel("interpolate")); }

 private:
  static constexpr int64_t kMost = int64_t(1) << 40;

  // PyTorch's: an axis that keeps its length stays as it is when antialiased, and in pictures by
  // nearest, where one that doubles repeats each element.
  bool forgets_scale(int64_t n, int64_t out, int axes) const {
    if (p.mode == ResizeMode::nearest) return axes == 2 && (out == n || out == 2 * n);
    return out == n &&
           (p.mode == ResizeMode::linear_antialias || p.mode == ResizeMode::cubic_antialias);
  }
};

py::object resize_forward(py::handle x_, const std::vector<int64_t>& size,
                          const std::vector<double>& scales, const std::string& mode,
                          bool align_corners, bool antialias) {
  const char* op = "interpolate";
  const Array x(op, "input", x_);
  const Sizes s(op, x.shape(), size, scales, mode, align_corners, antialias);
  Array y = Array::empty(op, s.out, x.typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(x, s.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.resize_forward(x.data<T>(), y.data<T>(), s.p);
  });
  return y.release();
}

py::object resize_backward(py::handle dy_, const std::vector<int64_t>& sizes,
                           const std::vector<int64_t>& size, const std::vector<double>& scales,
                           const std::string& mode, bool align_corners, bool antialias) {
  const char* op = "interpolate_backward";
  const Array dy(op, "dy", dy_);
  CHECK(sizes.size() >= 3 && sizes.size() <= 5, op, ": shape must have 3 to 5 axes");
  Shape shape;
  for (int64_t n : sizes) shape.size[shape.ndim++] = n;
  const Sizes s(op, shape, size, scales, mode, align_corners, antialias);
  CHECK(dy.shape() == s.out, op, ": dy must have the output's shape ", s.out,
        ", got dy.shape = ", dy.shape());
  Array dx = Array::empty(op, shape, dy.typenum());
  if (dx.numel() == 0) return dx.release();
  with_kernels(dy, s.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.resize_backward(dy.data<T>(), dx.data<T>(), s.p);
  });
  return dx.release();
}

}  // namespace

void bind_resize(Module& m) {
  m.def("resize_forward", &resize_forward, py::arg("x"), py::arg("size"), py::arg("scales"),
        py::arg("mode"), py::arg("align_corners"), py::arg("antialias"));
  m.def("resize_backward", &resize_backward, py::arg("dy"), py::arg("shape"), py::arg("size"),
        py::arg("scales"), py::arg("mode"), py::arg("align_corners"), py::arg("antialias"));
}

}  // namespace dlcore
