#include "bindings/loss.h"

namespace dlcore {
namespace {

// The scores of classes, their targets and weights, all checked.
class Classes {
 public:
  Classes(const char* op, py::handle x_, py::handle target_, py::handle weight_,
          int64_t ignore_index, double smoothing)
      : op_(op),
        x(op, "input", x_),
        weight(optional_array(op, "weight", weight_)),
        ignore_index_(ignore_index),
        smoothing_(smoothing) {
    CHECK(x.ndim() >= 1, op,
          ": input must have shape (C,), (N, C) or (N, C, ...), got input.shape = ()");
    CHECK(smoothing >= 0 && smoothing <= 1, op, ": label_smoothing must be from 0 to 1, got ",
          smoothing);
    axis_ = x.ndim() == 1 ? 0 : 1;
    n_ = x.size(axis_);
    outer_ = axis_ ? x.size(0) : 1;
    for (int i = axis_ + 1; i < x.ndim(); ++i) inner_ *= x.size(i);
    for (int i = 0; i < x.ndim(); ++i)
      if (i != axis_) targets.size[targets.ndim++] = x.size(i);
    take_target(target_);
    if (weight.defined()) {
      check_same_dtype(op, "input", x, "weight", weight);
      CHECK(weight.ndim() == 1 && weight.size(0) == n_, op,
            ": weight must have one value for each class, shape (", n_,
            ",), got weight.shape = ", weight.shape());
    }
  }

  int64_t count() const { return outer_ * inner_; }

  // Of the mean: the sum of the weights of the targets that count.
  template <class T>
  double denominator(const ClassLoss<T>& s) const {
    Sum sum{};
    for (int64_t i = 0; i < count(); ++i)
      if (s.target[i] != s.ignore_index)
        sum.add(s.weight ? static_cast<double>(s.weight[s.target[i]]) : 1.0);
    return sum.value();
  }

  template <class T>
  ClassLoss<T> shape() const {
    double weight_sum = static_cast<double>(n_);
    const T* weights = weight.defined() ? weight.data<T>() : nullptr;
    if (weights) {
      weight_sum = 0;
      for (int64_t c = 0; c < n_; ++c) weight_sum += static_cast<double>(weights[c]);
    }
    return {outer_,
            n_,
            inner_,
            static_cast<const int64_t*>(PyArray_DATA(target())),
            weights,
            ignore_index_,
            static_cast<T>(smoothing_),
            static_cast<T>(weight_sum)};
  }

 private:
  const char* op_;

 public:
  Array x, weight;
  Shape targets;  // the shape of target

 private:
  PyArrayObject* target() const { return reinterpret_cast<PyArrayObject*>(target_.ptr()); }

  void take_target(py::handle object) {
    CHECK_TYPE(PyArray_Check(object.ptr()), op_,
               ": target must be a NumPy array of whole numbers, got ",
               Py_TYPE(object.ptr())->tp_name);
    CHECK_TYPE(!hides_entries(object), op_,
               ": target must not be a masked array: pass target.filled(ignore_index)");
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object.ptr());
    const int type = PyArray_TYPE(array);
    CHECK_TYPE(PyTypeNum_ISINTEGER(type) && PyArray_CanCastSafely(type, NPY_INT64), op_,
               ": target must be int64 or int32, got ", std::string(py::str(object.attr("dtype"))));
    const Shape shape(PyArray_NDIM(array), PyArray_DIMS(array));
    CHECK(shape == targets, op_, ": target must have the shape of input without its classes, ",
          targets, ", got target.shape = ", shape, " with input.shape = ", x.shape(),
          shape == x.shape() ? ": probabilities must be floats, target.astype(input.dtype)" : "");
    // A copy: another thread may write to target after it was checked.
    PyObject* ready = PyArray_FromAny(
        object.ptr(), PyArray_DescrFromType(NPY_INT64), 0, 0,
        NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY | NPY_ARRAY_ENSURECOPY,
        nullptr);
    if (!ready) throw py::error_already_set();
    target_ = py::reinterpret_steal<py::object>(ready);
    const int64_t* values = static_cast<const int64_t*>(PyArray_DATA(target()));
    for (int64_t i = 0, count = PyArray_SIZE(target()); i < count; ++i) {
      const int64_t t = values[i];
      if ((t >= 0 && t < n_) || t == ignore_index_) [[likely]]
        continue;
      throw py::index_error(text(op_, ": target must be from 0 to ", n_ - 1, " or ignore_index = ",
                                 ignore_index_, ", got ", t, " at ", place(i)));
    }
    CHECK(n_ > 0 || count() == 0, op_,
          ": input must have at least one class, got input.shape = ", x.shape());
  }

  // "target[2, 3]" of a flat place.
  std::string place(int64_t flat) const {
    std::string inside;
    for (int i = targets.ndim - 1; i >= 0; --i) {
      inside = std::to_string(flat % targets.size[i]) + (inside.empty() ? "" : ", ") + inside;
      flat /= targets.size[i];
    }
    return inside.empty() ? "target" : "target[" + inside + "]";
  }

  int axis_;
  int64_t outer_ = 1, n_, inner_ = 1, ignore_index_;
  double smoothing_;
  py::object target_;
};

// The loss, what backward needs of the rows, the denominator of the mean, and when `gradient` the
// loss's gradient, None otherwise.
py::object cross_entropy_forward(py::handle x, py::handle target, py::handle weight,
                                 int64_t ignore_index, py::handle reduction_,
                                 double label_smoothing, bool gradient) {
  const char* op = "cross_entropy";
  const LossReduction reduction = reduction_of(op, reduction_);
  const Classes c(op, x, target, weight, ignore_index, label_smoothing);
  const bool all = reduction == LossReduction::none;
  Array loss = all ? Array::empty(op, c.targets, c.x.typenum()) : Array();
  Array normalizer = Array::empty(op, {c.count(), 2}, c.x.typenum());
  Array dx = gradient && !all ? Array::empty_like(op, c.x) : Array();
  double totals[2] = {0, 0};
  if (c.count() > 0)
    with_kernels(c.x, 8 * c.x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      const ClassLoss<T> shape = c.template shape<T>();
      const double scale = dx.defined() ? scale_of(reduction, c.denominator(shape)) : 0;
      k.cross_entropy_forward(c.x.data<T>(), all ? loss.data<T>() : nullptr, normalizer.data<T>(),
                              dx.defined() ? dx.data<T>() : nullptr, static_cast<T>(scale), totals,
                              shape);
    });
  const double value = reduction == LossReduction::mean ? mean_of(totals[0], totals[1]) : totals[0];
  return py::make_tuple(all ? loss.release() : scalar(op, c.x, value), normalizer.release(),
                        totals[1], dx.defined() ? dx.release() : py::none());
}

py::object cross_entropy_backward(py::handle x, py::handle target, py::handle weight,
                                  int64_t ignore_index, py::handle reduction_,
                                  double label_smoothing, py::handle normalizer_,
                                  double denominator, py::handle dy_) {
  const char* op = "cross_entropy_backward";
  const LossReduction reduction = reduction_of(op, reduction_);
  const Classes c(op, x, target, weight, ignore_index, label_smoothing);
  const Array normalizer(op, "normalizer", normalizer_);
  check_same_dtype(op, "input", c.x, "normalizer", normalizer);
  CHECK(normalizer.numel() == 2 * c.count(), op, ": normalizer must be what forward returned");
  const Incoming in(op, dy_, c.x, reduction, c.targets);
  Array dx = Array::empty_like(op, c.x);
  if (c.x.numel() > 0)
    with_kernels(c.x, 8 * c.x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.cross_entropy_backward(c.x.data<T>(), normalizer.data<T>(), in.dy.data<T>(), in.step,
                               static_cast<T>(scale_of(reduction, denominator)), dx.data<T>(),
                               c.template shape<T>());
    });
  return dx.release();
}

py::object nll_forward(py::handle x, py::handle target, py::handle weight, int64_t ignore_index,
                       py::handle reduction_) {
  const char* op = "nll_loss";
  const LossReduction reduction = reduction_of(op, reduction_);
  const Classes c(op, x, target, weight, ignore_index, 0);
  const bool all = reduction == LossReduction::none;
  Array loss = all ? Array::empty(op, c.targets, c.x.typenum()) : Array();
  double totals[2] = {0, 0};
  if (c.count() > 0)
    with_kernels(c.x, 2 * c.count(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.nll_forward(c.x.data<T>(), all ? loss.data<T>() : nullptr, totals, c.template shape<T>());
    });
  const double value = reduction == LossReduction::mean ? mean_of(totals[0], totals[1]) : totals[0];
  return py::make_tuple(all ? loss.release() : scalar(op, c.x, value), totals[1]);
}

py::object nll_backward(py::handle x, py::handle target, py::handle weight, int64_t ignore_index,
                        py::handle reduction_, double denominator, py::handle dy_) {
  const char* op = "nll_loss_backward";
  const LossReduction reduction = reduction_of(op, reduction_);
  const Classes c(op, x, target, weight, ignore_index, 0);
  const Incoming in(op, dy_, c.x, reduction, c.targets);
  Array dx = Array::empty_like(op, c.x);
  if (c.x.numel() > 0)
    with_kernels(c.x, c.x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.nll_backward(in.dy.data<T>(), in.step, static_cast<T>(scale_of(reduction, denominator)),
                     dx.data<T>(), c.template shape<T>());
    });
  return dx.release();
}

}  // namespace

void bind_loss(Module& m) {
  m.def("cross_entropy_forward", &cross_entropy_forward, py::arg("input"), py::arg("target"),
        py::arg("weight"), py::arg("ignore_index"), py::arg("reduction"),
        py::arg("label_smoothing"), py::arg("gradient"));
  m.def("cross_entropy_backward", &cross_entropy_backward, py::arg("input"), py::arg("target"),
        py::arg("weight"), py::arg("ignore_index"), py::arg("reduction"),
        py::arg("label_smoothing"), py::arg("normalizer"), py::arg("denominator"), py::arg("dy"));
  m.def("nll_loss_forward", &nll_forward, py::arg("input"), py::arg("target"), py::arg("weight"),
        py::arg("ignore_index"), py::arg("reduction"));
  m.def("nll_loss_backward", &nll_backward, py::arg("input"), py::arg("target"), py::arg("weight"),
        py::arg("ignore_index"), py::arg("reduction"), py::arg("denominator"), py::arg("dy"));
}

}  // namespace dlcore
