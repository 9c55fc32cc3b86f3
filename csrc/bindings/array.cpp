#include "bindings/array.h"

#include "runtime/buffer.h"

namespace dlcore {
namespace {

// Below this NumPy's own allocator is as fast as ours; above, a block of the cache is already
// mapped and 64-byte aligned.
constexpr int64_t kOwnBlockFrom = 8 << 10;

py::object steal(PyObject* object) {
  if (!object) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(object);
}

bool has_whole_strides(PyArrayObject* a) {
  if (!PyArray_ISBEHAVED_RO(a)) return false;  // aligned, native byte order
  for (int i = 0; i < PyArray_NDIM(a); ++i)
    if (PyArray_STRIDE(a, i) % PyArray_ITEMSIZE(a) != 0) return false;
  return true;
}

bool overlap(PyArrayObject* a, PyArrayObject* b) {
  // Bounds of the memory touched, for any strides.
  const auto bounds = [](PyArrayObject* x, uintptr_t& low, uintptr_t& high) {
    low = reinterpret_cast<uintptr_t>(PyArray_DATA(x));
    high = low + static_cast<uintptr_t>(PyArray_ITEMSIZE(x));
    for (int i = 0; i < PyArray_NDIM(x); ++i) {
      const npy_intp reach = (PyArray_DIM(x, i) - 1) * PyArray_STRIDE(x, i);
      (reach < 0 ? low : high) += static_cast<uintptr_t>(reach);
    }
  };
  if (PyArray_SIZE(a) == 0 || PyArray_SIZE(b) == 0) return false;
  uintptr_t a_low, a_high, b_low, b_high;
  bounds(a, a_low, a_high);
  bounds(b, b_low, b_high);
  return a_low < b_high && b_low < a_high;
}

}  // namespace

int64_t checked_mul(const char* op, int64_t a, int64_t b) {
  int64_t product;
  CHECK(!__builtin_mul_overflow(a, b, &product), op,
        ": the sizes multiply to more than an array can hold (", a, " * ", b, ")");
  return product;
}

int64_t checked_add(const char* op, int64_t a, int64_t b) {
  int64_t sum;
  CHECK(!__builtin_add_overflow(a, b, &sum), op,
        ": the sizes add up to more than an array can hold (", a, " + ", b, ")");
  return sum;
}

bool Shape::operator==(const Shape& other) const {
  if (ndim != other.ndim) return false;
  for (int i = 0; i < ndim; ++i)
    if (size[i] != other.size[i]) return false;
  return true;
}

int64_t Shape::numel(const char* op) const {
  int64_t n = 1;
  bool empty = false;
  for (int i = 0; i < ndim; ++i) {
    if (size[i] == 0)
      empty = true;
    else
      n = checked_mul(op, n, size[i]);
  }
  return empty ? 0 : n;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int i = 0; i < shape.ndim; ++i) out << (i ? ", " : "") << shape.size[i];
  return out << (shape.ndim == 1 ? ",)" : ")");
}

std::string cure(const char* name, py::handle object) {
  if (PyObject_HasAttrString(object.ptr(), "numpy")) return text(": pass ", name, ".numpy()");
  return PySequence_Check(object.ptr()) && !PyUnicode_Check(object.ptr())
             ? text(": pass np.asarray(", name, ", 'float32')")
             : "";
}

static void check_argument(const char* op, const char* name, py::handle object) {
  CHECK_TYPE(PyArray_Check(object.ptr()), op, ": ", name, " must be a NumPy array, got ",
             Py_TYPE(object.ptr())->tp_name, cure(name, object));
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object.ptr());
  const int type = PyArray_TYPE(a);
  CHECK_TYPE(type == NPY_FLOAT || type == NPY_DOUBLE, op, ": ", name,
             " must be float32 or float64, got ",
             std::string(py::str(py::handle(reinterpret_cast<PyObject*>(PyArray_DESCR(a))))),
             PyTypeNum_ISCOMPLEX(type) ? ": take its .real and .imag apart"
                                       : text(": cast with ", name, ".astype('float32')"));
  CHECK_TYPE(!hides_entries(object), op, ": ", name, " must not be a masked array: pass ", name,
             ".filled(value)");
}

// NumPy's own scalar, which its arithmetic makes of an array without axes: an array again.
static py::object array_of_scalar(py::handle object) {
  return PyArray_IsScalar(object.ptr(), Floating) ? steal(PyArray_FromScalar(object.ptr(), nullptr))
                                                  : py::object();
}

static py::object ready_copy(py::handle object) {
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object.ptr());
  return steal(PyArray_FromAny(object.ptr(), PyArray_DescrFromType(PyArray_TYPE(a)), 0, 0,
                               NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY,
                               nullptr));
}

void Array::make_ready(const char* op, const char* name, py::handle object) {
  py::object made;
  if (!PyArray_Check(object.ptr()))
    if ((made = array_of_scalar(object))) object = made;
  check_argument(op, name, object);
  object_ = PyArray_ISCARRAY_RO(reinterpret_cast<PyArrayObject*>(object.ptr()))
                ? py::reinterpret_borrow<py::object>(object)
                : ready_copy(object);
}

Array Array::strided(const char* op, const char* name, py::handle object) {
  py::object made;
  if (!PyArray_Check(object.ptr())) [[unlikely]]
    if ((made = array_of_scalar(object))) object = made;
  check_argument(op, name, object);
  return Array(has_whole_strides(reinterpret_cast<PyArrayObject*>(object.ptr()))
                   ? py::reinterpret_borrow<py::object>(object)
                   : ready_copy(object));
}

Array Array::boolean(const char* op, const char* name, py::handle object) {
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object.ptr());
  CHECK_TYPE(PyArray_Check(object.ptr()) && PyArray_TYPE(a) == NPY_BOOL && !hides_entries(object),
             op, ": ", name, " must be an array of bool, got ", Py_TYPE(object.ptr())->tp_name);
  return Array(PyArray_ISCARRAY_RO(a) ? py::reinterpret_borrow<py::object>(object)
                                      : ready_copy(object));
}

Array Array::empty(const char* op, const Shape& shape, int typenum) {
  py::object descr = steal(reinterpret_cast<PyObject*>(PyArray_DescrFromType(typenum)));
  const auto make = [&](void* block) {  // takes over descr
    return steal(PyArray_NewFromDescr(
        &PyArray_Type, reinterpret_cast<PyArray_Descr*>(descr.release().ptr()), shape.ndim,
        const_cast<npy_intp*>(shape.size), nullptr, block, block ? NPY_ARRAY_CARRAY : 0, nullptr));
  };
  const int64_t bytes = checked_mul(
      op, shape.numel(op), PyDataType_ELSIZE(reinterpret_cast<PyArray_Descr*>(descr.ptr())));
  if (bytes < kOwnBlockFrom) return Array(make(nullptr));
  void* block = nullptr;
  try {
    block = buffer_acquire(static_cast<size_t>(bytes));
  } catch (const std::bad_alloc&) {
    py::set_error(PyExc_MemoryError, text(op, ": no memory for a result of shape ", shape).c_str());
    throw py::error_already_set();
  }
  PyObject* owner = PyCapsule_New(block, nullptr, [](PyObject* capsule) {
    buffer_release(PyCapsule_GetPointer(capsule, nullptr));
  });
  if (!owner) {
    buffer_release(block);
    throw py::error_already_set();
  }
  py::object owned = steal(owner);
  py::object made = make(block);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(made.ptr()), owned.release().ptr()) <
      0)
    throw py::error_already_set();
  return Array(std::move(made));
}

Array optional_array(const char* op, const char* name, py::handle object) {
  return object.is_none() ? Array() : Array(op, name, object);
}

void refuse_dtypes(const char* op, const char* a_name, const Array& a, const char* b_name,
                   const Array& b) {
  throw py::type_error(text(op, ": ", a_name, " and ", b_name, " must have one dtype, got ",
                            a.dtype(), " and ", b.dtype(), ": cast with .astype"));
}

void Output::into(const char* op, py::handle out, const Shape& shape, int typenum,
                  std::initializer_list<const Array*> inputs,
                  std::initializer_list<const Array*> whole) {
  CHECK_TYPE(PyArray_Check(out.ptr()) && !hides_entries(out), op,
             ": out must be a NumPy array, got ", Py_TYPE(out.ptr())->tp_name);
  PyArrayObject* target = reinterpret_cast<PyArrayObject*>(out.ptr());
  CHECK_TYPE(PyArray_TYPE(target) == typenum, op, ": out must have the result's dtype ",
             typenum == NPY_FLOAT ? "float32" : "float64", ", got ",
             std::string(py::str(py::handle(reinterpret_cast<PyObject*>(PyArray_DESCR(target))))));
  const Shape got(PyArray_NDIM(target), PyArray_DIMS(target));
  CHECK(got == shape, op, ": out must have the result's shape ", shape, ", got out.shape = ", got);
  CHECK(PyArray_ISWRITEABLE(target), op, ": out must be writable, got a read-only array");
  bool direct = PyArray_ISCARRAY(target);
  for (const Array* input : inputs) {
    if (!input->defined() || !overlap(target, input->get())) continue;
    const bool same = PyArray_DATA(target) == PyArray_DATA(input->get()) &&
                      input->shape() == shape && input->typenum() == typenum;
    direct = direct && same;
  }
  for (const Array* input : whole)
    direct = direct && !(input->defined() && overlap(target, input->get()));
  if (direct) {
    array_ = Array(py::reinterpret_borrow<py::object>(out));
  } else {
    array_ = Array::empty(op, shape, typenum);
    target_ = py::reinterpret_borrow<py::object>(out);
  }
}

py::object Output::finish() {
  if (!target_) return array_.release();
  if (PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(target_.ptr()), array_.get()) < 0)
    throw py::error_already_set();
  return std::move(target_);
}

int64_t check_dim(const char* op, int64_t dim, const Array& x) {
  const int64_t n = x.ndim();
  CHECK_INDEX(dim >= -n && dim < n, op, ": dim must be from ", -n, " to ", n - 1,
              " for x.shape = ", x.shape(), ", got ", dim);
  return dim < 0 ? dim + n : dim;
}

}  // namespace dlcore
