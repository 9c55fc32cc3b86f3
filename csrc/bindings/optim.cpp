// One native call steps all tensors of a parameter group. Everything is checked before anything is
// written: a bad call changes nothing.
#include <algorithm>
#include <cmath>

#include "bindings/array.h"

namespace dlcore {
namespace {

// Memory that a step writes, and whose it is.
struct Span {
  uintptr_t begin, end;
  const char* name;
  Py_ssize_t index;
};

// The arguments of a step: lists of arrays of one length, one entry for each parameter.
class Lists {
 public:
  Lists(const char* op, py::handle params, py::handle grads)
      : op_(op), count_(length("params", params)) {
    spans_.reserve(static_cast<size_t>(4 * count_));
    grads_.reserve(static_cast<size_t>(count_));
    params_ = written("params", params, nullptr);
    CHECK(length("grads", grads) == count_, op, ": params and grads must have one length, got ",
          count_, " and ", length("grads", grads));
    for (Py_ssize_t i = 0; i < count_; ++i) {
      grads_.emplace_back(op, "a gradient", PyList_GET_ITEM(grads.ptr(), i));
      const Array& grad = grads_.back();
      const Shape shape(PyArray_NDIM(params_[at(i)]), PyArray_DIMS(params_[at(i)]));
      CHECK(grad.shape() == shape, op, ": a gradient must have its parameter's shape, got grads[",
            i, "].shape = ", grad.shape(), " and params[", i, "].shape = ", shape);
      CHECK_TYPE(grad.typenum() == PyArray_TYPE(params_[at(i)]), op,
                 ": a gradient must have its parameter's dtype, got ", grad.dtype(), " in grads[",
                 i, "]");
    }
  }

  size_t count() const { return static_cast<size_t>(count_); }

  // Arrays of the parameters' shapes and dtypes (any, for the parameters themselves), all writable.
  std::vector<PyArrayObject*> written(const char* name, py::handle list,
                                      const std::vector<PyArrayObject*>* like) {
    CHECK(length(name, list) == count_, op_, ": params and ", name, " must have one length, got ",
          count_, " and ", length(name, list));
    std::vector<PyArrayObject*> arrays(count());
    for (Py_ssize_t i = 0; i < count_; ++i) {
      PyObject* object = PyList_GET_ITEM(list.ptr(), i);
      CHECK_TYPE(PyArray_Check(object), op_, ": ", name, "[", i, "] must be a NumPy array, got ",
                 Py_TYPE(object)->tp_name);
      PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
      const int type = PyArray_TYPE(array);
      if (like) {
        PyArrayObject* param = (*like)[at(i)];
        CHECK_TYPE(type == PyArray_TYPE(param), op_, ": ", name, "[", i,
                   "] must have the dtype of its parameter");
        CHECK(PyArray_SAMESHAPE(array, param), op_, ": ", name, "[", i,
              "] must have its parameter's shape ", Shape(PyArray_NDIM(param), PyArray_DIMS(param)),
              ", got ", Shape(PyArray_NDIM(array), PyArray_DIMS(array)));
      } else {
        CHECK_TYPE(
            type == NPY_FLOAT || type == NPY_DOUBLE, op_, ": ", name, "[", i,
            "] must be float32 or float64, got ",
            std::string(py::str(py::handle(reinterpret_cast<PyObject*>(PyArray_DESCR(array))))));
      }
      CHECK(PyArray_ISCARRAY(array), op_, ": ", name, "[", i,
            "] is stepped in place and must be writable, C-contiguous and native: pass a copy, "
            "np.array(..., order='C')");
      const uintptr_t begin = reinterpret_cast<uintptr_t>(PyArray_DATA(array));
      if (PyArray_SIZE(array) > 0)
        spans_.push_back({begin, begin + static_cast<uintptr_t>(PyArray_NBYTES(array)), name, i});
      arrays[at(i)] = array;
    }
    return arrays;
  }

  // To be called when every written array is known.
  void check_apart() {
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < spans_.size(); ++i) {
      const Span &a = spans_[i - 1], &b = spans_[i];
      CHECK(a.end <= b.begin, op_, ": ", a.name, "[", a.index, "] and ", b.name, "[", b.index,
            "] share memory: pass each parameter once");
    }
  }

  const std::vector<PyArrayObject*>& params() const { return params_; }
  const std::vector<Array>& grads() const { return grads_; }

  Py_ssize_t length(const char* name, py::handle list) const {
    CHECK_TYPE(PyList_Check(list.ptr()), op_, ": ", name, " must be a list of arrays");
    return PyList_GET_SIZE(list.ptr());
  }

 private:
  static size_t at(Py_ssize_t i) { return static_cast<size_t>(i); }

  const char* op_;
  Py_ssize_t count_;
  std::vector<Span> spans_;
  std::vector<PyArrayObject*> params_;
  std::vector<Array> grads_;
};

// The pointers of the tensors of dtype T, as the kernels take them.
template <class T>
struct Rows {
  std::vector<int64_t> start{0};
  std::vector<T*> param;
  std::vector<const T*> grad;
  std::vector<size_t> index;

  explicit Rows(const Lists& lists) {
    const size_t n = lists.count();
    index.reserve(n);
    start.reserve(n + 1);
    param.reserve(n);
    grad.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      PyArrayObject* array = lists.params()[i];
      if (PyArray_TYPE(array) != (sizeof(T) == 4 ? NPY_FLOAT : NPY_DOUBLE)) continue;
      index.push_back(i);
      start.push_back(start.back() + PyArray_SIZE(array));
      param.push_back(static_cast<T*>(PyArray_DATA(array)));
      grad.push_back(lists.grads()[i].data<T>());
    }
  }

  int64_t count() const { return static_cast<int64_t>(index.size()); }

  std::vector<T*> of(const std::vector<PyArrayObject*>& arrays) const {
    std::vector<T*> row;
    if (arrays.empty()) return row;
    row.reserve(index.size());
    for (size_t i : index) row.push_back(static_cast<T*>(PyArray_DATA(arrays[i])));
    return row;
  }

  template <class Kernel, class Step>
  void run(const Kernel& kernel, const Step& step) const {
    std::optional<GilReleased> released;
    if (start.back() >= kReleaseFrom) released.emplace();
    kernel(step);
  }
};

struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize, first;
};

template <class T>
void run_sgd(const Lists& lists, const std::vector<PyArrayObject*>& buffers, const SgdOptions& o) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  const std::vector<T*> buffer = rows.of(buffers);
  const auto as = [](double value) { return static_cast<T>(value); };
  rows.run(kernels<T>().sgd_step,
           Sgd<T>{rows.count(), rows.start.data(), rows.param.data(), rows.grad.data(),
                  buffer.empty() ? nullptr : buffer.data(), as(o.lr), as(o.momentum),
                  as(o.dampening), as(o.weight_decay), o.nesterov, o.maximize, o.first});
}

// buffers: the momentum of each parameter, or None.
void sgd_step(py::handle params, py::handle grads, py::handle buffers_, double lr, double momentum,
              double dampening, double weight_decay, bool nesterov, bool maximize, bool first) {
  Lists lists("SGD", params, grads);
  std::vector<PyArrayObject*> buffers;
  if (!buffers_.is_none()) buffers = lists.written("momentum_buffer", buffers_, &lists.params());
  lists.check_apart();
  const SgdOptions options{lr, momentum, dampening, weight_decay, nesterov, maximize, first};
  run_sgd<float>(lists, buffers, options);
  run_sgd<double>(lists, buffers, options);
}

struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
};

template <class T>
void run_adam(const Lists& lists, const std::vector<PyArrayObject*>& means,
              const std::vector<PyArrayObject*>& squares,
              const std::vector<PyArrayObject*>& max_squares, const std::vector<int64_t*>& steps,
              const AdamOptions& o) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  const std::vector<T*> mean = rows.of(means), square = rows.of(squares),
                        max_square = rows.of(max_squares);
  std::vector<T> step_size, root_scale;
  int64_t before = -1;
  for (size_t i : rows.index) {
    const int64_t step = *steps[i];
    if (step == before) {  // as a rule all parameters have made the same number of steps
      step_size.push_back(step_size.back());
      root_scale.push_back(root_scale.back());
      continue;
    }
    step_size.push_back(static_cast<T>(o.lr / (1 - std::pow(o.beta1, static_cast<double>(step)))));
    root_scale.push_back(
        static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(step)))));
    before = step;
  }
  const auto as = [](double value) { return static_cast<T>(value); };
  rows.run(
      kernels<T>().adam_step,
      Adam<T>{rows.count(), rows.start.data(), rows.param.data(), rows.grad.data(), mean.data(),
              square.data(), max_square.empty() ? nullptr : max_square.data(), step_size.data(),
              root_scale.data(), as(1 - o.beta1), as(o.beta2), as(1 - o.beta2), as(o.eps),
              as(o.weight_decay), as(1 - o.lr * o.weight_decay), o.decoupled, o.maximize});
}

// The counts of steps, int64 arrays of one element, each checked.
std::vector<int64_t*> step_counts(const Lists& lists, py::handle list) {
  const size_t n = static_cast<size_t>(lists.length("step", list));
  CHECK(n == lists.count(), "Adam: params and step must have one length, got ", lists.count(),
        " and ", n);
  std::vector<int64_t*> counts(n);
  for (size_t i = 0; i < n; ++i) {
    PyObject* object = PyList_GET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i));
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
    CHECK_TYPE(PyArray_Check(object) && PyArray_TYPE(array) == NPY_INT64 &&
                   PyArray_SIZE(array) == 1 && PyArray_ISCARRAY(array),
               "Adam: step[", i, "] must be a writable int64 array of one element");
    counts[i] = static_cast<int64_t*>(PyArray_DATA(array));
    CHECK(*counts[i] >= 0, "Adam: step[", i, "] must be at least 0, got ", *counts[i]);
  }
  return counts;
}

// max_squares: of amsgrad, or None. Counts the steps.
void adam_step(py::handle params, py::handle grads, py::handle means_, py::handle squares_,
               py::handle max_squares_, py::handle steps_, double lr, double beta1, double beta2,
               double eps, double weight_decay, bool decoupled, bool maximize) {
  Lists lists("Adam", params, grads);
  const auto means = lists.written("exp_avg", means_, &lists.params());
  const auto squares = lists.written("exp_avg_sq", squares_, &lists.params());
  std::vector<PyArrayObject*> max_squares;
  if (!max_squares_.is_none())
    max_squares = lists.written("max_exp_avg_sq", max_squares_, &lists.params());
  const std::vector<int64_t*> steps = step_counts(lists, steps_);
  lists.check_apart();
  for (int64_t* step : steps) ++*step;
  const AdamOptions options{lr, beta1, beta2, eps, weight_decay, decoupled, maximize};
  run_adam<float>(lists, means, squares, max_squares, steps, options);
  run_adam<double>(lists, means, squares, max_squares, steps, options);
}

}  // namespace

void bind_optim(Module& m) {
  m.def("sgd_step", &sgd_step, py::arg("params"), py::arg("grads"), py::arg("buffers"),
        py::arg("lr"), py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"),
        py::arg("nesterov"), py::arg("maximize"), py::arg("first"));
  m.def("adam_step", &adam_step, py::arg("params"), py::arg("grads"), py::arg("exp_avg"),
        py::arg("exp_avg_sq"), py::arg("max_exp_avg_sq"), py::arg("step"), py::arg("lr"),
        py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"),
        py::arg("decoupled"), py::arg("maximize"));
}

}  // namespace dlcore
