#include "bindings/boxes.h"

#include <cmath>

namespace dlcore {
namespace {

// -- formats --

enum class Format { xyxy, xywh, cxcywh };

Format format_of(const char* op, const char* name, py::handle value) {
  if (PyUnicode_Check(value.ptr())) {
    if (PyUnicode_CompareWithASCIIString(value.ptr(), "xyxy") == 0) return Format::xyxy;
    if (PyUnicode_CompareWithASCIIString(value.ptr(), "xywh") == 0) return Format::xywh;
    if (PyUnicode_CompareWithASCIIString(value.ptr(), "cxcywh") == 0) return Format::cxcywh;
  }
  throw py::value_error(
      text(op, ": ", name, " must be 'xyxy', 'xywh' or 'cxcywh', got ", shown(value)));
}

// What a format does along one axis: (p, q) of its two columns to the corners, or back.
struct Matrix {
  double a, b, c, d;
};
Matrix to_corners(Format format) {
  if (format == Format::xywh) return {1, 0, 1, 1};
  if (format == Format::cxcywh) return {1, -0.5, 1, 0.5};
  return {1, 0, 0, 1};
}
Matrix from_corners(Format format) {
  if (format == Format::xywh) return {1, 0, -1, 1};
  if (format == Format::cxcywh) return {0.5, 0.5, -1, 1};
  return {1, 0, 0, 1};
}
Matrix product(const Matrix& l, const Matrix& r) {
  return {l.a * r.a + l.b * r.c, l.a * r.b + l.b * r.d, l.c * r.a + l.d * r.c,
          l.c * r.b + l.d * r.d};
}

py::object convert(py::handle boxes_, py::handle in_fmt, py::handle out_fmt, bool transposed) {
  const char* op = transposed ? "box_convert_backward" : "box_convert";
  const Format from = format_of(op, "in_fmt", in_fmt), to = format_of(op, "out_fmt", out_fmt);
  const Array boxes = boxes_argument(op, "boxes", boxes_);
  Matrix m = product(from_corners(to), to_corners(from));
  if (transposed) std::swap(m.b, m.c);
  Array y = Array::empty_like(op, boxes);
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_convert(boxes.data<T>(), y.data<T>(), boxes.numel() / 4, static_cast<T>(m.a),
                  static_cast<T>(m.b), static_cast<T>(m.c), static_cast<T>(m.d));
  });
  return y.release();
}

py::object box_convert(py::handle boxes, py::handle in_fmt, py::handle out_fmt) {
  return convert(boxes, in_fmt, out_fmt, false);
}
py::object box_convert_backward(py::handle dy, py::handle in_fmt, py::handle out_fmt) {
  return convert(dy, in_fmt, out_fmt, true);
}

// -- one box at a time --

py::object box_area_forward(py::handle boxes_) {
  const char* op = "box_area";
  const Array boxes = boxes_argument(op, "boxes", boxes_);
  Array y = Array::empty(op, without_last(boxes), boxes.typenum());
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_area(boxes.data<T>(), y.data<T>(), y.numel());
  });
  return y.release();
}

py::object box_area_backward(py::handle boxes_, py::handle dy_) {
  const char* op = "box_area_backward";
  const Array boxes = boxes_argument(op, "boxes", boxes_), dy(op, "dy", dy_);
  check_same_dtype(op, "boxes", boxes, "dy", dy);
  CHECK(dy.shape() == without_last(boxes), op, ": dy must have the output's shape ",
        without_last(boxes), ", got dy.shape = ", dy.shape());
  Array dx = Array::empty_like(op, boxes);
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_area_backward(boxes.data<T>(), dy.data<T>(), dx.data<T>(), dy.numel());
  });
  return dx.release();
}

struct ImageSize {
  double height, width;
};
ImageSize image_size(const char* op, py::handle size) {
  CHECK_TYPE(
      (PyTuple_Check(size.ptr()) || PyList_Check(size.ptr())) && PySequence_Size(size.ptr()) == 2,
      op, ": size must be a pair (height, width), got ", shown(size));
  const py::sequence pair = py::reinterpret_borrow<py::sequence>(size);
  const ImageSize s{real_argument(op, "size", py::object(pair[0])),
                    real_argument(op, "size", py::object(pair[1]))};
  CHECK(s.height >= 0 && s.width >= 0, op, ": size must be at least (0, 0), got ", shown(size));
  return s;
}

py::object clip_boxes_forward(py::handle boxes_, py::handle size) {
  const char* op = "clip_boxes_to_image";
  const ImageSize s = image_size(op, size);
  const Array boxes = boxes_argument(op, "boxes", boxes_);
  Array y = Array::empty_like(op, boxes);
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.clip_boxes(boxes.data<T>(), y.data<T>(), boxes.numel() / 4, static_cast<T>(s.height),
                 static_cast<T>(s.width));
  });
  return y.release();
}

py::object clip_boxes_backward(py::handle boxes_, py::handle dy_, py::handle size) {
  const char* op = "clip_boxes_to_image_backward";
  const ImageSize s = image_size(op, size);
  const Array boxes = boxes_argument(op, "boxes", boxes_);
  const Array dy = array_like(op, "boxes", boxes, "dy", dy_);
  Array dx = Array::empty_like(op, boxes);
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.clip_boxes_backward(boxes.data<T>(), dy.data<T>(), dx.data<T>(), boxes.numel() / 4,
                          static_cast<T>(s.height), static_cast<T>(s.width));
  });
  return dx.release();
}

py::object remove_small_boxes(py::handle boxes_, py::handle min_size_) {
  const char* op = "remove_small_boxes";
  const Array boxes = box_list(op, "boxes", boxes_);
  const double min_size = real_argument(op, "min_size", min_size_);
  CHECK(!std::isnan(min_size), op, ": min_size must be a number, got nan");
  Array keep = Array::empty(op, {boxes.size(0)}, NPY_INT64);
  int64_t count = 0;
  with_kernels(boxes, boxes.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.large_boxes(boxes.data<T>(), keep.data<int64_t>(), &count, boxes.size(0),
                  static_cast<T>(min_size));
  });
  return first_of(keep, count);
}

// -- two boxes --

struct Measure {
  const char* op;
  Overlap overlap;
};
// By the name of the public function: the pairs, then the losses.
Measure measure_of(const std::string& name) {
  static constexpr Measure all[] = {{"box_iou", Overlap::iou},
                                    {"generalized_box_iou", Overlap::giou},
                                    {"distance_box_iou", Overlap::diou},
                                    {"complete_box_iou", Overlap::ciou},
                                    {"generalized_box_iou_loss", Overlap::giou},
                                    {"distance_box_iou_loss", Overlap::diou},
                                    {"complete_box_iou_loss", Overlap::ciou}};
  for (const Measure& m : all)
    if (name == m.op) return m;
  throw py::value_error("box_iou: " + name + " is no measure");
}

struct Pair {
  const char* op;
  Overlap measure;
  Array a, b;
  double eps;

  Pair(const std::string& name, py::handle a_, py::handle b_, py::handle eps_)
      : op(measure_of(name).op),
        measure(measure_of(name).overlap),
        a(box_list(op, "boxes1", a_)),
        b(box_list(op, "boxes2", b_)),
        eps(real_argument(op, "eps", eps_)) {
    check_same_dtype(op, "boxes1", a, "boxes2", b);
    CHECK(eps >= 0, op, ": eps must be at least 0, got ", eps);
  }
};

py::object box_iou_forward(const std::string& name, py::handle a, py::handle b, py::handle eps) {
  const Pair p(name, a, b, eps);
  const int64_t n = p.a.size(0), m = p.b.size(0);
  Array y = Array::empty(p.op, {n, m}, p.a.typenum());
  with_kernels(p.a, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_iou(p.a.data<T>(), p.b.data<T>(), y.data<T>(), n, m, p.measure, static_cast<T>(p.eps));
  });
  return y.release();
}

// The gradient of the first boxes; that of the second with all exchanged.
py::object box_iou_backward(const std::string& name, py::handle a, py::handle b, py::handle dy_,
                            py::handle eps) {
  const Pair p(name, a, b, eps);
  const int64_t n = p.a.size(0), m = p.b.size(0);
  const Array dy(p.op, "dy", dy_);
  check_same_dtype(p.op, "boxes1", p.a, "dy", dy);
  CHECK(dy.shape() == (Shape{n, m}), p.op, ": dy must have the output's shape ", (Shape{n, m}),
        ", got dy.shape = ", dy.shape());
  Array da = Array::empty_like(p.op, p.a);
  with_kernels(p.a, 4 * dy.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_iou_backward(p.a.data<T>(), p.b.data<T>(), dy.data<T>(), da.data<T>(), n, m, p.measure,
                       static_cast<T>(p.eps));
  });
  return da.release();
}

enum class Reduced { none, mean, sum };

Reduced reduction_of(const char* op, py::handle name) {
  if (PyUnicode_Check(name.ptr())) {
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "none") == 0) return Reduced::none;
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "mean") == 0) return Reduced::mean;
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "sum") == 0) return Reduced::sum;
  }
  throw py::value_error(text(op, ": reduction must be 'none', 'mean' or 'sum', got ", shown(name)));
}

void check_one_to_one(const Pair& p) {
  CHECK(p.a.same_shape(p.b), p.op, ": boxes2 must have boxes1.shape = ", p.a.shape(),
        ", got boxes2.shape = ", p.b.shape());
}

// The mean and the sum of no losses are 0, as torchvision's.
double divisor_of(Reduced reduction, int64_t n) {
  return reduction == Reduced::mean && n > 0 ? static_cast<double>(n) : 1;
}

py::object box_loss_forward(const std::string& name, py::handle a, py::handle b,
                            py::handle reduction_, py::handle eps) {
  const Pair p(name, a, b, eps);
  check_one_to_one(p);
  const Reduced reduction = reduction_of(p.op, reduction_);
  const int64_t n = p.a.size(0);
  Array each = Array::empty(p.op, {n}, p.a.typenum());
  const bool all = reduction == Reduced::none;
  Array total = all ? Array() : Array::empty(p.op, Shape{}, p.a.typenum());
  with_kernels(p.a, 16 * n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_loss(p.a.data<T>(), p.b.data<T>(), each.data<T>(), n, p.measure, static_cast<T>(p.eps));
    if (all) return;
    if (n > 0)
      k.sum(each.data<T>(), total.data<T>(), {1, 1, 1, n},
            static_cast<T>(divisor_of(reduction, n)));
    else
      *total.data<T>() = 0;
  });
  return all ? each.release() : total.release();
}

// The gradient of the first boxes; that of the second with the two exchanged.
py::object box_loss_backward(const std::string& name, py::handle a, py::handle b,
                             py::handle reduction_, py::handle eps, py::handle dy_) {
  const Pair p(name, a, b, eps);
  check_one_to_one(p);
  const Reduced reduction = reduction_of(p.op, reduction_);
  const int64_t n = p.a.size(0);
  const Array dy(p.op, "dy", dy_);
  check_same_dtype(p.op, "boxes1", p.a, "dy", dy);
  const Shape wanted = reduction == Reduced::none ? Shape{n} : Shape{};
  CHECK(dy.shape() == wanted, p.op, ": dy must have the shape of the loss, ", wanted,
        ", got dy.shape = ", dy.shape());
  Array da = Array::empty_like(p.op, p.a);
  with_kernels(p.a, 32 * n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.box_loss_backward(p.a.data<T>(), p.b.data<T>(), dy.data<T>(), reduction == Reduced::none,
                        static_cast<T>(1 / divisor_of(reduction, n)), da.data<T>(), n, p.measure,
                        static_cast<T>(p.eps));
  });
  return da.release();
}

}  // namespace

void bind_boxes(Module& m) {
  m.def("box_convert", &box_convert, py::arg("boxes"), py::arg("in_fmt"), py::arg("out_fmt"));
  m.def("box_convert_backward", &box_convert_backward, py::arg("dy"), py::arg("in_fmt"),
        py::arg("out_fmt"));
  m.def("box_area_forward", &box_area_forward, py::arg("boxes"));
  m.def("box_area_backward", &box_area_backward, py::arg("boxes"), py::arg("dy"));
  m.def("clip_boxes_forward", &clip_boxes_forward, py::arg("boxes"), py::arg("size"));
  m.def("clip_boxes_backward", &clip_boxes_backward, py::arg("boxes"), py::arg("dy"),
        py::arg("size"));
  m.def("remove_small_boxes", &remove_small_boxes, py::arg("boxes"), py::arg("min_size"));
  m.def("box_iou_forward", &box_iou_forward, py::arg("name"), py::arg("boxes1"), py::arg("boxes2"),
        py::arg("eps"));
  m.def("box_iou_backward", &box_iou_backward, py::arg("name"), py::arg("boxes1"),
        py::arg("boxes2"), py::arg("dy"), py::arg("eps"));
  m.def("box_loss_forward", &box_loss_forward, py::arg("name"), py::arg("boxes1"),
        py::arg("boxes2"), py::arg("reduction"), py::arg("eps"));
  m.def("box_loss_backward", &box_loss_backward, py::arg("name"), py::arg("boxes1"),
        py::arg("boxes2"), py::arg("reduction"), py::arg("eps"), py::arg("dy"));
}

}  // namespace dlcore
