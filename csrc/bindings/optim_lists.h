// What the steps of optimizers share: lists of arrays, one entry for each parameter. Everything is
// checked before anything is written: a bad call changes nothing.
#pragma once

#include "bindings/array.h"

namespace dlcore {

using Arrays = std::vector<PyArrayObject*>;

// The arguments of a step: lists of arrays of one length.
class Lists {
 public:
  // What is changed in place: any shapes, float32 or float64; beside it, what is only read.
  Lists(const char* op, const char* name, py::handle list);
  Lists(const char* op, py::handle params, py::handle grads);

  size_t count() const { return params_.size(); }
  const Arrays& params() const { return params_; }
  const std::vector<Array>& grads() const { return grads_; }
  // Of the parameters' shapes and dtypes, all writable; empty for None.
  Arrays state(const char* name, py::handle list);
  // For each parameter an array of one element, which the step changes.
  std::vector<int64_t*> counts(const char* name, py::handle list) const;
  std::vector<double*> numbers(const char* name, py::handle list) const;
  // To be called when every written array is known.
  void check_apart();

 private:
  // Memory that a step writes, and whose it is.
  struct Span {
    uintptr_t begin, end;
    const char* name;
    Py_ssize_t index;
  };
  // The length of a list; with `first`, which must be as long as that one.
  Py_ssize_t length(const char* name, py::handle list, const char* first = nullptr) const;
  Arrays written(const char* name, py::handle list, const Arrays* like);
  void* number(const char* name, py::handle list, Py_ssize_t i, int type, const char* dtype) const;

  const char* op_;
  std::vector<Span> spans_;
  Arrays params_;
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
      if (!lists.grads().empty()) grad.push_back(lists.grads()[i].data<T>());
    }
  }

  int64_t count() const { return static_cast<int64_t>(index.size()); }

  std::vector<T*> of(const Arrays& arrays) const {
    std::vector<T*> row;
    if (arrays.empty()) return row;
    row.reserve(index.size());
    for (size_t i : index) row.push_back(static_cast<T*>(PyArray_DATA(arrays[i])));
    return row;
  }

  template <class Kernel, class... Arguments>
  void run(const Kernel& kernel, const Arguments&... arguments) const {
    std::optional<GilReleased> released;
    if (start.back() >= kReleaseFrom) released.emplace();
    kernel(arguments...);
  }
};

}  // namespace dlcore
