#include <cmath>
#include <cstring>

#include "bindings/array.h"
#include "bindings/window.h"

namespace dlcore {
namespace {

constexpr int64_t kMostSamples = 1024;  // of a bin along one axis

// What both ops share: the pictures, the regions in them, the bins.
struct Regions {
  Array x, rois;
  Pair out;
  double scale;

  Regions(const char* op, py::handle x_, py::handle rois_, py::handle output_size,
          py::handle spatial_scale)
      : x(op, "input", x_), rois(op, "boxes", rois_) {
    CHECK(x.ndim() == 4, op, ": input must have shape (N, C, H, W), got input.shape = ", x.shape());
    CHECK(rois.ndim() == 2 && rois.size(1) == 5, op,
          ": boxes must have shape (K, 5), batch index and corners, got boxes.shape = ",
          rois.shape());
    check_same_dtype(op, "input", x, "boxes", rois);
    rois = copied(op, rois);
    out = parse_pair(op, "output_size", output_size, 1);
    scale = real_argument(op, "spatial_scale", spatial_scale);
    CHECK(scale > 0 && std::isfinite(scale), op, ": spatial_scale must be above 0, got ", scale);
    CHECK(x.size(2) > 0 && x.size(3) > 0, op,
          ": input must have height and width, got input.shape = ", x.shape());
    CHECK(checked_mul(op, x.size(2), x.size(3)) < (int64_t(1) << 31), op,
          ": input must have fewer than 2^31 pixels in a plane, got input.shape = ", x.shape());
    checked_mul(op, checked_mul(op, out.h, out.w), 64);
    CHECK(out.h < (int64_t(1) << 16) && out.w < (int64_t(1) << 16), op,
          ": output_size must be below 65536, got (", out.h, ", ", out.w, ")");
    if (x.is_float())
      check_images<float>(op);
    else
      check_images<double>(op);
  }

  Shape shape() const { return {rois.size(0), x.size(1), out.h, out.w}; }
  int64_t work() const { return 8 * rois.size(0) * x.size(1) * out.h * out.w; }

 private:
  // Another thread may write to boxes after they were checked.
  static Array copied(const char* op, const Array& boxes) {
    Array copy = Array::empty_like(op, boxes);
    if (boxes.nbytes()) std::memcpy(copy.data<char>(), boxes.data<char>(), boxes.nbytes());
    return copy;
  }

  template <class T>
  void check_images(const char* op) const {
    const T* values = rois.data<T>();
    for (int64_t r = 0; r < rois.size(0); ++r) {
      const T image = values[5 * r];
      CHECK_INDEX(image >= 0 && image < static_cast<T>(x.size(0)) && image == std::floor(image), op,
                  ": boxes[:, 0] must be a batch index from 0 to ", x.size(0) - 1, ", got boxes[",
                  r, ", 0] = ", image);
    }
  }
};

RoiPool pool_shape(const Regions& r) {
  return {r.x.size(0),    r.x.size(1), r.x.size(2), r.x.size(3),
          r.rois.size(0), r.out.h,     r.out.w,     r.scale};
}

RoiAlign align_shape(const char* op, const Regions& r, py::handle sampling_ratio, bool aligned) {
  const int64_t ratio = int_argument(op, "sampling_ratio", sampling_ratio);
  CHECK(ratio <= kMostSamples, op, ": sampling_ratio must be at most ", kMostSamples, ", got ",
        ratio);
  return {pool_shape(r), ratio, aligned};
}

Array output_gradient(const char* op, const Regions& r, py::handle dy_) {
  Array dy(op, "dy", dy_);
  check_same_dtype(op, "input", r.x, "dy", dy);
  CHECK(dy.shape() == r.shape(), op, ": dy must have the output's shape ", r.shape(),
        ", got dy.shape = ", dy.shape());
  return dy;
}

py::object roi_align_forward(py::handle x, py::handle rois, py::handle output_size,
                             py::handle spatial_scale, py::handle sampling_ratio, bool aligned) {
  const char* op = "roi_align";
  const Regions r(op, x, rois, output_size, spatial_scale);
  const RoiAlign p = align_shape(op, r, sampling_ratio, aligned);
  Array y = Array::empty(op, r.shape(), r.x.typenum());
  with_kernels(r.x, r.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.roi_align_forward(r.x.data<T>(), r.rois.data<T>(), y.data<T>(), p);
  });
  return y.release();
}

py::object roi_align_backward(py::handle dy_, py::handle x, py::handle rois, py::handle output_size,
                              py::handle spatial_scale, py::handle sampling_ratio, bool aligned) {
  const char* op = "roi_align_backward";
  const Regions r(op, x, rois, output_size, spatial_scale);
  const RoiAlign p = align_shape(op, r, sampling_ratio, aligned);
  const Array dy = output_gradient(op, r, dy_);
  Array dx = Array::empty_like(op, r.x);
  with_kernels(r.x, r.work() + r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.roi_align_backward(dy.data<T>(), r.rois.data<T>(), dx.data<T>(), p);
  });
  return dx.release();
}

// Also, when asked for, where each maximum was found in its plane.
py::object roi_pool_forward(py::handle x, py::handle rois, py::handle output_size,
                            py::handle spatial_scale, bool keep_places) {
  const char* op = "roi_pool";
  const Regions r(op, x, rois, output_size, spatial_scale);
  const RoiPool p = pool_shape(r);
  Array y = Array::empty(op, r.shape(), r.x.typenum());
  Array places = keep_places ? Array::empty(op, r.shape(), NPY_INT32) : Array();
  with_kernels(r.x, r.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.roi_pool_forward(r.x.data<T>(), r.rois.data<T>(), y.data<T>(),
                       keep_places ? places.data<int32_t>() : nullptr, p);
  });
  return py::make_tuple(y.release(), keep_places ? places.release() : py::object(py::none()));
}

py::object roi_pool_backward(py::handle dy_, py::handle places_, py::handle x, py::handle rois,
                             py::handle output_size, py::handle spatial_scale) {
  const char* op = "roi_pool_backward";
  const Regions r(op, x, rois, output_size, spatial_scale);
  const RoiPool p = pool_shape(r);
  const Array dy = output_gradient(op, r, dy_);
  PyArrayObject* places = reinterpret_cast<PyArrayObject*>(places_.ptr());
  CHECK_TYPE(PyArray_Check(places_.ptr()) && PyArray_TYPE(places) == NPY_INT32 &&
                 PyArray_ISCARRAY_RO(places) && PyArray_SIZE(places) == dy.numel(),
             op, ": places must be what roi_pool_forward returned");
  Array dx = Array::empty_like(op, r.x);
  with_kernels(r.x, dy.numel() + r.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.roi_pool_backward(dy.data<T>(), r.rois.data<T>(),
                        static_cast<const int32_t*>(PyArray_DATA(places)), dx.data<T>(), p);
  });
  return dx.release();
}

}  // namespace

void bind_roi(Module& m) {
  m.def("roi_align_forward", &roi_align_forward, py::arg("input"), py::arg("boxes"),
        py::arg("output_size"), py::arg("spatial_scale"), py::arg("sampling_ratio"),
        py::arg("aligned"));
  m.def("roi_align_backward", &roi_align_backward, py::arg("dy"), py::arg("input"),
        py::arg("boxes"), py::arg("output_size"), py::arg("spatial_scale"),
        py::arg("sampling_ratio"), py::arg("aligned"));
  m.def("roi_pool_forward", &roi_pool_forward, py::arg("input"), py::arg("boxes"),
        py::arg("output_size"), py::arg("spatial_scale"), py::arg("keep_places"));
  m.def("roi_pool_backward", &roi_pool_backward, py::arg("dy"), py::arg("places"), py::arg("input"),
        py::arg("boxes"), py::arg("output_size"), py::arg("spatial_scale"));
}

}  // namespace dlcore
