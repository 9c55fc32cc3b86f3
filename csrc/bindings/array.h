// NumPy arrays at the border: checked here, trusted below. The only folder that knows pybind11.
//
// A binding reads: take each argument as a py::handle, make an Array of it (checks kind and dtype,
// copies only what is not C-contiguous, aligned and native), or a number (int_argument,
// real_argument), CHECK the shapes, make outputs, call. A C++ int64_t or double in a binding's
// signature would refuse a wrong kind with pybind11's many lines instead of our one.
#pragma once

#ifndef PY_ARRAY_UNIQUE_SYMBOL
#  define PY_ARRAY_UNIQUE_SYMBOL dlcore_numpy
#endif
#ifndef DLCORE_IMPORTS_NUMPY
#  define NO_IMPORT_ARRAY
#endif
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
//
#include <numpy/arrayobject.h>
#include <unistd.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "dispatch.h"
#include "runtime/text.h"

namespace py = pybind11;

namespace dlcore {

// ValueError, TypeError and IndexError in one line. The parts are put together only on failure.
#define DLCORE_RAISE_UNLESS(condition, exception, ...) \
  do {                                                 \
    if (!(condition)) [[unlikely]]                     \
      throw exception(::dlcore::text(__VA_ARGS__));    \
  } while (0)
#define CHECK(condition, ...) DLCORE_RAISE_UNLESS(condition, py::value_error, __VA_ARGS__)
#define CHECK_TYPE(condition, ...) DLCORE_RAISE_UNLESS(condition, py::type_error, __VA_ARGS__)
#define CHECK_INDEX(condition, ...) DLCORE_RAISE_UNLESS(condition, py::index_error, __VA_ARGS__)

// A parameter in a message: its kind when its text would not fit into the line.
inline std::string shown(py::handle value) {
  const std::string repr = py::repr(value);
  const bool long_text = repr.size() > 60 || repr.find('\n') != std::string::npos;
  return long_text ? std::string(Py_TYPE(value.ptr())->tp_name) : repr;
}

// The text of a str, "" for what is none or has no UTF-8 (lone surrogates).
inline std::string word(py::handle value) {
  const char* text = PyUnicode_Check(value.ptr()) ? PyUnicode_AsUTF8(value.ptr()) : "";
  if (text) return text;
  PyErr_Clear();
  return "";
}

// Masked entries would be computed with: a wrong answer without a word.
inline bool hides_entries(py::handle object) {
  return !PyArray_CheckExact(object.ptr()) && py::hasattr(object, "mask");
}

// a * b and a + b of sizes, or ValueError: "<op>: the result has too many elements".
int64_t checked_mul(const char* op, int64_t a, int64_t b);
int64_t checked_add(const char* op, int64_t a, int64_t b);

// A shape on the stack: prints as Python's tuple.
struct Shape {
  int ndim = 0;
  npy_intp size[NPY_MAXDIMS];

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    for (int64_t s : sizes) size[ndim++] = static_cast<npy_intp>(s);
  }
  Shape(int n, const npy_intp* sizes) : ndim(n) {
    for (int i = 0; i < n; ++i) size[i] = sizes[i];
  }
  int64_t operator[](int i) const { return size[i < 0 ? i + ndim : i]; }
  bool operator==(const Shape& other) const;
  int64_t numel(const char* op) const;  // ValueError when the product overflows
};
std::ostream& operator<<(std::ostream& out, const Shape& shape);

// An array of float32 or float64, C-contiguous, aligned, native. Keeps a reference.
class Array {
 public:
  Array() = default;
  // The argument `name` of `op`. TypeError when it is no NumPy array of float32 or float64.
  Array(const char* op, const char* name, py::handle object);
  // The same, but any strides that are whole elements stay as they are.
  static Array strided(const char* op, const char* name, py::handle object);
  // An array of bool, likewise.
  static Array boolean(const char* op, const char* name, py::handle object);
  // A new result: uninitialized, from NumPy's own allocator when small, from the buffer cache when
  // large. ValueError on overflow, MemoryError when there is no memory.
  static Array empty(const char* op, const Shape& shape, int typenum);
  static Array empty_like(const char* op, const Array& x) {
    return empty(op, x.shape(), x.typenum());
  }

  bool defined() const { return static_cast<bool>(object_); }
  int ndim() const { return PyArray_NDIM(get()); }
  int64_t size(int axis) const { return PyArray_DIM(get(), axis < 0 ? axis + ndim() : axis); }
  int64_t stride(int axis) const {  // in elements
    return PyArray_STRIDE(get(), axis < 0 ? axis + ndim() : axis) / PyArray_ITEMSIZE(get());
  }
  Shape shape() const { return Shape(ndim(), PyArray_DIMS(get())); }
  bool same_shape(const Array& other) const;
  int64_t numel() const { return PyArray_SIZE(get()); }
  int64_t nbytes() const { return PyArray_NBYTES(get()); }
  int typenum() const { return PyArray_TYPE(get()); }
  bool is_float() const { return typenum() == NPY_FLOAT; }
  const char* dtype() const { return is_float() ? "float32" : "float64"; }
  template <class T>
  T* data() const {
    return static_cast<T*>(PyArray_DATA(get()));
  }
  PyArrayObject* get() const { return reinterpret_cast<PyArrayObject*>(object_.ptr()); }
  py::object object() const { return object_; }
  py::object release() { return std::move(object_); }

 private:
  friend class Output;
  explicit Array(py::object object) : object_(std::move(object)) {}
  py::object object_;
};

// An optional array argument: undefined when None.
Array optional_array(const char* op, const char* name, py::handle object);

// A number: Python's or NumPy's. TypeError: "<op>: dim must be a whole number, got str"; ValueError
// when it does not fit.
int64_t int_argument(const char* op, const char* name, py::handle object);
double real_argument(const char* op, const char* name, py::handle object);

// TypeError unless both have one dtype: "<op>: a and b must have one dtype, got float32 and
// float64".
void check_same_dtype(const char* op, const char* a_name, const Array& a, const char* b_name,
                      const Array& b);

// Where a result goes: a new array, or the caller's out=, which must have the shape and dtype of
// the result and be writable. When out is not contiguous, or overlaps an input, the result is
// computed apart and copied into it. An input of `inputs` may be out itself (the kernel's y may be
// x); `whole` are those that the kernel still reads after it began to write.
class Output {
 public:
  Output(const char* op, py::handle out, const Shape& shape, int typenum,
         std::initializer_list<const Array*> inputs,
         std::initializer_list<const Array*> whole = {});
  template <class T>
  T* data() const {
    return array_.data<T>();
  }
  const Array& array() const { return array_; }
  py::object finish();  // the object to return

 private:
  Array array_;
  py::object target_;  // the caller's out when the result must be copied into it
};

// A negative axis counts from the end. IndexError: "<op>: dim must be from -2 to 1 for x.shape =
// (3, 4), got 2".
int64_t check_dim(const char* op, int64_t dim, const Array& x);

// Without the GIL while it lives. A daemon thread that asks for the GIL after the interpreter began
// to shut down gets an unwinding (before Python 3.14) that no destructor lets through: it waits for
// the process's end instead, as in later Pythons.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  GilReleased(const GilReleased&) = delete;
  ~GilReleased() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      for (;;) pause();
    }
  }

 private:
  PyThreadState* state_;
};

// Calls body.template operator()<T>(kernels<T>()) for the dtype, without the GIL when `work` (the
// call's multiply-adds, or elements touched) is worth its hand-over of some 0.2 us.
constexpr int64_t kReleaseFrom = 1 << 15;

template <class Body>
void with_kernels(const Array& x, int64_t work, Body&& body) {
  std::optional<GilReleased> released;
  if (work >= kReleaseFrom) released.emplace();
  if (x.is_float())
    body(kernels<float>());
  else
    body(kernels<double>());
}

// In body: using T = scalar_of<decltype(k)>.
template <class T>
T scalar_of_table(const KernelTable<T>&);
template <class Table>
using scalar_of = decltype(scalar_of_table(std::declval<Table>()));

}  // namespace dlcore
