#include <cmath>
#include <limits>

#include "bindings/boxes.h"

namespace dlcore {
namespace {

Array score_list(const char* op, const Array& boxes, py::handle object) {
  Array scores(op, "scores", object);
  check_same_dtype(op, "boxes", boxes, "scores", scores);
  CHECK(scores.ndim() == 1 && scores.size(0) == boxes.size(0), op,
        ": scores must have one value for each box, shape (", boxes.size(0),
        ",), got scores.shape = ", scores.shape());
  CHECK(boxes.size(0) < std::numeric_limits<int32_t>::max(), op,
        ": boxes must be fewer than 2^31, got ", boxes.size(0));
  return scores;
}

double fraction(const char* op, const char* name, py::handle value) {
  const double v = real_argument(op, name, value);
  CHECK(v >= 0 && v <= 1, op, ": ", name, " must be from 0 to 1, got ", v);
  return v;
}

// The largest T that is at most v: for a T, "above v" and "above this" are the same.
template <class T>
T rounded_down(double v) {
  const T t = static_cast<T>(v);
  return static_cast<double>(t) > v ? std::nextafter(t, -std::numeric_limits<T>::infinity()) : t;
}

// Classes as int64; the kernel compares 32 bits of them.
py::object class_list(const char* op, const Array& boxes, py::handle object) {
  CHECK_TYPE(PyArray_Check(object.ptr()), op, ": idxs must be a NumPy array of whole numbers, got ",
             Py_TYPE(object.ptr())->tp_name);
  CHECK_TYPE(!hides_entries(object), op, ": idxs must not be a masked array");
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object.ptr());
  const int type = PyArray_TYPE(array);
  CHECK_TYPE(PyTypeNum_ISINTEGER(type) && PyArray_CanCastSafely(type, NPY_INT64), op,
             ": idxs must be int64 or int32, got ", std::string(py::str(object.attr("dtype"))));
  const Shape shape(PyArray_NDIM(array), PyArray_DIMS(array));
  CHECK(shape == (Shape{boxes.size(0)}), op, ": idxs must have one class for each box, shape (",
        boxes.size(0), ",), got idxs.shape = ", shape);
  PyObject* ready =
      PyArray_FromAny(object.ptr(), PyArray_DescrFromType(NPY_INT64), 0, 0,
                      NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY, nullptr);
  if (!ready) throw py::error_already_set();
  py::object owned = py::reinterpret_steal<py::object>(ready);
  const int64_t* values =
      static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(ready)));
  for (int64_t i = 0; i < boxes.size(0); ++i)
    CHECK(values[i] == static_cast<int32_t>(values[i]), op,
          ": idxs must fit into 32 bits, got idxs[", i, "] = ", values[i]);
  return owned;
}

// idxs is None for boxes of one class.
py::object nms(py::handle boxes_, py::handle scores_, py::handle idxs, py::handle threshold) {
  const char* op = idxs.is_none() ? "nms" : "batched_nms";
  const Array boxes = box_list(op, "boxes", boxes_), scores = score_list(op, boxes, scores_);
  const py::object classes = idxs.is_none() ? py::object() : class_list(op, boxes, idxs);
  const double t = fraction(op, "iou_threshold", threshold);
  const int64_t n = boxes.size(0);
  Array keep = Array::empty(op, {n}, NPY_INT64);
  int64_t count = 0;
  with_kernels(boxes, 64 * n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const int64_t* c = classes ? static_cast<const int64_t*>(
                                     PyArray_DATA(reinterpret_cast<PyArrayObject*>(classes.ptr())))
                               : nullptr;
    k.nms(boxes.data<T>(), scores.data<T>(), c, keep.data<int64_t>(), &count, n,
          rounded_down<T>(t));
  });
  return first_of(keep, count);
}

py::object soft_nms(py::handle boxes_, py::handle scores_, py::handle method,
                    py::handle iou_threshold, py::handle sigma_, py::handle score_threshold) {
  const char* op = "soft_nms";
  const Array boxes = box_list(op, "boxes", boxes_), scores = score_list(op, boxes, scores_);
  const bool is_text = PyUnicode_Check(method.ptr());
  const bool gaussian = is_text && PyUnicode_CompareWithASCIIString(method.ptr(), "gaussian") == 0;
  CHECK(gaussian || (is_text && PyUnicode_CompareWithASCIIString(method.ptr(), "linear") == 0), op,
        ": method must be 'linear' or 'gaussian', got ", shown(method));
  const double t = fraction(op, "iou_threshold", iou_threshold);
  const double sigma = real_argument(op, "sigma", sigma_);
  CHECK(sigma > 0 && std::isfinite(sigma), op, ": sigma must be above 0, got ", sigma);
  const double least = real_argument(op, "score_threshold", score_threshold);
  CHECK(least >= 0, op, ": score_threshold must be at least 0, got ", least);
  const int64_t n = boxes.size(0);
  Array keep = Array::empty(op, {n}, NPY_INT64), kept = Array::empty(op, {n}, boxes.typenum());
  int64_t count = 0;
  with_kernels(boxes, 64 * n, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.soft_nms(boxes.data<T>(), scores.data<T>(), keep.data<int64_t>(), kept.data<T>(), &count, n,
               static_cast<T>(t), static_cast<T>(sigma), static_cast<T>(least), gaussian);
  });
  return py::make_tuple(first_of(keep, count), first_of(kept, count));
}

}  // namespace

void bind_nms(Module& m) {
  m.def("nms", &nms, py::arg("boxes"), py::arg("scores"), py::arg("idxs"),
        py::arg("iou_threshold"));
  m.def("soft_nms", &soft_nms, py::arg("boxes"), py::arg("scores"), py::arg("method"),
        py::arg("iou_threshold"), py::arg("sigma"), py::arg("score_threshold"));
}

}  // namespace dlcore
