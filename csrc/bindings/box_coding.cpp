#include <cmath>

#include "bindings/boxes.h"
#include "bindings/window.h"

namespace dlcore {
namespace {

// Four positive numbers, for x, y, width and height.
struct Weights {
  double value[4];

  Weights(const char* op, py::handle weights) {
    CHECK_TYPE((PyTuple_Check(weights.ptr()) || PyList_Check(weights.ptr())) &&
                   PySequence_Size(weights.ptr()) == 4,
               op, ": weights must be 4 numbers, for x, y, width and height, got ", shown(weights));
    const py::sequence all = py::reinterpret_borrow<py::sequence>(weights);
    for (size_t i = 0; i < 4; ++i) {
      value[i] = real_argument(op, "weights", py::object(all[i]));
      CHECK(value[i] > 0 && std::isfinite(value[i]), op, ": weights must be above 0, got ",
            shown(weights));
    }
  }
  template <class T>
  void into(T* to) const {
    for (int i = 0; i < 4; ++i) to[i] = static_cast<T>(value[i]);
  }
};

struct Encoded {
  Array target, given;

  Encoded(const char* op, py::handle target_, py::handle given_)
      : target(box_list(op, "reference_boxes", target_)), given(box_list(op, "proposals", given_)) {
    check_same_dtype(op, "reference_boxes", target, "proposals", given);
    CHECK(given.same_shape(target), op,
          ": proposals must have reference_boxes.shape = ", target.shape(),
          ", got proposals.shape = ", given.shape());
  }
};

py::object encode_boxes_forward(py::handle target, py::handle given, py::handle weights_) {
  const char* op = "encode_boxes";
  const Weights weights(op, weights_);
  const Encoded e(op, target, given);
  Array y = Array::empty_like(op, e.target);
  with_kernels(e.target, 8 * y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T w[4];
    weights.into(w);
    k.encode_boxes(e.target.data<T>(), e.given.data<T>(), y.data<T>(), y.size(0), w);
  });
  return y.release();
}

py::object encode_boxes_backward(py::handle target, py::handle given, py::handle dy_,
                                 py::handle weights_) {
  const char* op = "encode_boxes_backward";
  const Weights weights(op, weights_);
  const Encoded e(op, target, given);
  const Array dy = array_like(op, "reference_boxes", e.target, "dy", dy_);
  Array dtarget = Array::empty_like(op, e.target), dgiven = Array::empty_like(op, e.target);
  with_kernels(e.target, 8 * dy.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T w[4];
    weights.into(w);
    k.encode_boxes_backward(e.target.data<T>(), e.given.data<T>(), dy.data<T>(), dtarget.data<T>(),
                            dgiven.data<T>(), dy.size(0), w);
  });
  return py::make_tuple(dtarget.release(), dgiven.release());
}

struct Decoded {
  Array code, given;
  int64_t n, codes;
  double clip;

  Decoded(const char* op, py::handle code_, py::handle given_, py::handle clip_)
      : code(op, "rel_codes", code_), given(box_list(op, "boxes", given_)) {
    check_same_dtype(op, "rel_codes", code, "boxes", given);
    CHECK(code.ndim() == 2 && code.size(0) == given.size(0) && code.size(1) % 4 == 0 &&
              code.size(1) > 0,
          op, ": rel_codes must have shape (N, 4 K) for boxes.shape = ", given.shape(),
          ", got rel_codes.shape = ", code.shape());
    n = given.size(0);
    codes = code.size(1) / 4;
    clip = real_argument(op, "bbox_xform_clip", clip_);
    CHECK(!std::isnan(clip), op, ": bbox_xform_clip must be a number, got nan");
  }
};

py::object decode_boxes_forward(py::handle code, py::handle given, py::handle weights_,
                                py::handle clip) {
  const char* op = "decode_boxes";
  const Weights weights(op, weights_);
  const Decoded d(op, code, given, clip);
  Array y = Array::empty_like(op, d.code);
  with_kernels(d.code, 8 * y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T w[4];
    weights.into(w);
    k.decode_boxes(d.code.data<T>(), d.given.data<T>(), y.data<T>(), d.n, d.codes, w,
                   static_cast<T>(d.clip));
  });
  return y.release();
}

py::object decode_boxes_backward(py::handle code, py::handle given, py::handle dy_,
                                 py::handle weights_, py::handle clip) {
  const char* op = "decode_boxes_backward";
  const Weights weights(op, weights_);
  const Decoded d(op, code, given, clip);
  const Array dy = array_like(op, "rel_codes", d.code, "dy", dy_);
  Array dcode = Array::empty_like(op, d.code), each = Array::empty_like(op, d.code);
  Array dgiven = Array::empty_like(op, d.given);
  with_kernels(d.code, 16 * dy.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T w[4];
    weights.into(w);
    k.decode_boxes_backward(d.code.data<T>(), d.given.data<T>(), dy.data<T>(), dcode.data<T>(),
                            each.data<T>(), d.n, d.codes, w, static_cast<T>(d.clip));
    k.sum(each.data<T>(), dgiven.data<T>(), {d.n, d.codes, 4, 1}, T(1));
  });
  return py::make_tuple(dcode.release(), dgiven.release());
}

double finite(const char* op, const char* name, py::handle value) {
  const double v = real_argument(op, name, value);
  CHECK(std::isfinite(v), op, ": ", name, " must be finite, got ", v);
  return v;
}

py::object grid_anchors(py::handle boxes_, py::handle grid_size, py::handle stride_,
                        py::handle offset) {
  const char* op = "grid_anchors";
  const Array boxes = box_list(op, "cell_anchors", boxes_);
  const Pair grid = parse_pair(op, "grid_size", grid_size, 0);
  CHECK_TYPE((PyTuple_Check(stride_.ptr()) || PyList_Check(stride_.ptr())) &&
                 PySequence_Size(stride_.ptr()) == 2,
             op, ": stride must be a pair (down, across), got ", shown(stride_));
  const py::sequence stride = py::reinterpret_borrow<py::sequence>(stride_);
  const BoxGrid p{grid.h, grid.w, finite(op, "stride", py::object(stride[0])),
                  finite(op, "stride", py::object(stride[1])), finite(op, "offset", offset)};
  const int64_t cells = checked_mul(op, grid.h, grid.w);
  Array y = Array::empty(op, {checked_mul(op, cells, boxes.size(0)), 4}, boxes.typenum());
  if (y.numel() > 0)
    with_kernels(boxes, y.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.grid_boxes(boxes.data<T>(), y.data<T>(), boxes.size(0), p);
    });
  return y.release();
}

}  // namespace

void bind_box_coding(Module& m) {
  m.def("encode_boxes_forward", &encode_boxes_forward, py::arg("reference_boxes"),
        py::arg("proposals"), py::arg("weights"));
  m.def("encode_boxes_backward", &encode_boxes_backward, py::arg("reference_boxes"),
        py::arg("proposals"), py::arg("dy"), py::arg("weights"));
  m.def("decode_boxes_forward", &decode_boxes_forward, py::arg("rel_codes"), py::arg("boxes"),
        py::arg("weights"), py::arg("bbox_xform_clip"));
  m.def("decode_boxes_backward", &decode_boxes_backward, py::arg("rel_codes"), py::arg("boxes"),
        py::arg("dy"), py::arg("weights"), py::arg("bbox_xform_clip"));
  m.def("grid_anchors", &grid_anchors, py::arg("cell_anchors"), py::arg("grid_size"),
        py::arg("stride"), py::arg("offset"));
}

}  // namespace dlcore
