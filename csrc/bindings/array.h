// NumPy arrays at the border: checked here, trusted below.
//
// A binding reads: take each argument as a py::handle, make an Array of it (checks kind and dtype,
// copies only what is not C-contiguous, aligned and native), or a number (int_argument,
// real_argument, or in the signature: see function.h), CHECK the shapes, make outputs, call.
#pragma once

#ifndef PY_ARRAY_UNIQUE_SYMBOL
#  define PY_ARRAY_UNIQUE_SYMBOL dlcore_numpy
#endif
#ifndef DLCORE_IMPORTS_NUMPY
#  define NO_IMPORT_ARRAY
#endif
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION

#include "bindings/function.h"
//
#include <numpy/arrayobject.h>
#include <unistd.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "dispatch.h"

namespace dlcore {

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
  Array(const char* op, const char* name, py::handle object) {
    if (is_ready(object.ptr())) [[likely]]
      object_ = py::reinterpret_borrow<py::object>(object);
    else
      make_ready(op, name, object);
  }
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
  bool same_shape(const Array& other) const {
    return ndim() == other.ndim() &&
           PyArray_CompareLists(PyArray_DIMS(get()), PyArray_DIMS(other.get()), ndim());
  }
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
  // An array of these dtypes, no subclass of it, C-contiguous, aligned, native.
  static bool is_ready(PyObject* object) {
    if (!PyArray_CheckExact(object)) return false;
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object);
    const int type = PyArray_TYPE(a);
    return (type == NPY_FLOAT || type == NPY_DOUBLE) && PyArray_ISCARRAY_RO(a);
  }
  void make_ready(const char* op, const char* name, py::handle object);
  py::object object_;
};

// How an object that is no array becomes one, as the end of a message; empty where it cannot.
std::string cure(const char* name, py::handle object);

// An optional array argument: undefined when None.
Array optional_array(const char* op, const char* name, py::handle object);

// TypeError unless both have one dtype: "<op>: a and b must have one dtype, got float32 and
// float64".
[[noreturn]] void refuse_dtypes(const char* op, const char* a_name, const Array& a,
                                const char* b_name, const Array& b);
inline void check_same_dtype(const char* op, const char* a_name, const Array& a, const char* b_name,
                             const Array& b) {
  if (a.typenum() != b.typenum()) refuse_dtypes(op, a_name, a, b_name, b);
}

// Where a result goes: a new array, or the caller's out=, which must have the shape and dtype of
// the result and be writable. When out is not contiguous, or overlaps an input, the result is
// computed apart and copied into it. An input of `inputs` may be out itself (the kernel's y may be
// x); `whole` are those that the kernel still reads after it began to write.
class Output {
 public:
  Output(const char* op, py::handle out, const Shape& shape, int typenum,
         std::initializer_list<const Array*> inputs,
         std::initializer_list<const Array*> whole = {}) {
    if (!out || out.is_none())
      array_ = Array::empty(op, shape, typenum);
    else
      into(op, out, shape, typenum, inputs, whole);
  }
  template <class T>
  T* data() const {
    return array_.data<T>();
  }
  const Array& array() const { return array_; }
  py::object finish();  // the object to return

 private:
  void into(const char* op, py::handle out, const Shape& shape, int typenum,
            std::initializer_list<const Array*> inputs, std::initializer_list<const Array*> whole);
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
