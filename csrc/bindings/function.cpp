#include "bindings/function.h"

#include <cxxabi.h>

namespace dlcore {
namespace {

const char* kind(py::handle object) {
  return Py_TYPE(object.ptr())->tp_name;
}

// Our message takes the place of Python's own; what an object's method raised (KeyboardInterrupt,
// say) goes on.
void clear_error() {
  if (!PyErr_Occurred()) return;
  for (PyObject* own : {PyExc_TypeError, PyExc_ValueError, PyExc_OverflowError})
    if (PyErr_ExceptionMatches(own)) return PyErr_Clear();
  throw py::error_already_set();
}

py::object whole_number(const char* op, const char* name, py::handle object) {
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!index) clear_error();
  CHECK_TYPE(index, op, ": ", name, " must be a whole number, got ", kind(object));
  return index;
}

std::string without_direction(const std::string& name) {
  for (const std::string direction : {"_forward", "_backward"})
    if (name.ends_with(direction)) return name.substr(0, name.size() - direction.size());
  return name;
}

}  // namespace

int64_t int_argument(const char* op, const char* name, py::handle object) {
  if (!PyLong_CheckExact(object.ptr())) [[unlikely]]
    return int_argument(op, name, whole_number(op, name, object));
  int overflow;
  const int64_t value = PyLong_AsLongLongAndOverflow(object.ptr(), &overflow);
  CHECK(!overflow, op, ": ", name, " must fit into 64 bits");
  return value;
}

uint64_t unsigned_argument(const char* op, const char* name, py::handle object) {
  const uint64_t value = PyLong_AsUnsignedLongLong(whole_number(op, name, object).ptr());
  const bool fits = !PyErr_Occurred();
  clear_error();
  CHECK(fits, op, ": ", name, " must be at least 0 and fit into 64 bits");
  return value;
}

double real_argument(const char* op, const char* name, py::handle object) {
  const double value = PyFloat_AsDouble(object.ptr());
  if (value == -1.0 && PyErr_Occurred()) {
    const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError);
    clear_error();
    CHECK(!too_large, op, ": ", name, " must fit into a float64");
    CHECK_TYPE(false, op, ": ", name, " must be a real number, got ", kind(object));
  }
  return value;
}

bool bool_argument(const char* op, const char* name, py::handle object) {
  if (object.ptr() == Py_True) return true;
  if (object.ptr() == Py_False || object.is_none()) return false;
  const PyNumberMethods* number = Py_TYPE(object.ptr())->tp_as_number;
  const int truth = number && number->nb_bool ? number->nb_bool(object.ptr()) : -1;
  if (truth < 0) clear_error();
  CHECK_TYPE(truth >= 0, op, ": ", name, " must be True or False, got ", kind(object));
  return truth;
}

const char* string_argument(const char* op, const char* name, py::handle object) {
  CHECK_TYPE(PyUnicode_Check(object.ptr()), op, ": ", name, " must be a string, got ",
             kind(object));
  const char* text = PyUnicode_AsUTF8(object.ptr());
  if (!text) PyErr_Clear();
  CHECK(text, op, ": ", name, " must be a string without lone surrogates");
  return text;
}

py::object sequence_argument(const char* op, const char* name, py::handle object) {
  const bool is_sequence = PySequence_Check(object.ptr()) && !PyUnicode_Check(object.ptr());
  py::object items;
  if (is_sequence) items = py::reinterpret_steal<py::object>(PySequence_Fast(object.ptr(), ""));
  if (!items) clear_error();
  CHECK_TYPE(items, op, ": ", name, " must be a sequence, got ", kind(object));
  return items;
}

void Function::arrange(PyObject* const* given, Py_ssize_t positional, PyObject* keywords,
                       PyObject** place) const {
  CHECK_TYPE(positional <= count, op, ": must be called as ", doc.substr(0, doc.find('\n')),
             ", got ", positional, " arguments");
  for (int i = 0; i < count; ++i) place[i] = i < positional ? given[i] : nullptr;
  const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* word = PyTuple_GET_ITEM(keywords, k);
    int i = 0;
    while (i < count && parameters[i].interned != word) ++i;
    if (i == count)  // a str that is not the interned one
      for (i = 0; i < count && PyUnicode_Compare(parameters[i].interned, word) != 0;) ++i;
    CHECK_TYPE(i < count && !place[i], op, ": must be called as ", doc.substr(0, doc.find('\n')),
               ", got ", shown(word), i < count ? " twice" : "");
    place[i] = given[positional + k];
  }
  for (int i = 0; i < count; ++i) {
    if (!place[i]) place[i] = parameters[i].otherwise;
    CHECK_TYPE(place[i], op, ": ", parameters[i].name, " must be given");
  }
}

PyObject* set_python_error() {
  try {
    throw;
  } catch (abi::__forced_unwind&) {  // the end of a thread
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const NotImplemented& error) {
    py::set_error(PyExc_NotImplementedError, error.what());
  } catch (const std::bad_alloc&) {
    py::set_error(PyExc_MemoryError, "dlcore: no memory for a kernel's intermediate results");
  } catch (const std::invalid_argument& error) {
    py::set_error(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    py::set_error(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

void Module::add(const std::string& name, Function* made, Entry call,
                 std::initializer_list<Function::Parameter> parameters) {
  made->name = name;
  made->op = without_direction(name);
  made->doc = name + "(";
  for (const Function::Parameter& p : parameters) {
    made->doc += made->count ? ", " : "";
    made->doc += p.name;
    if (p.otherwise) made->doc += text("=", std::string(py::repr(p.otherwise)));
    Py_XINCREF(p.otherwise);
    made->parameters[made->count++] = {p.name, PyUnicode_InternFromString(p.name), p.otherwise};
  }
  made->doc += ")\n--\n\n";
  made->method = {made->name.c_str(),
                  reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)),
                  METH_FASTCALL | METH_KEYWORDS, made->doc.c_str()};
  const py::capsule self(made);
  const py::object function = py::reinterpret_steal<py::object>(
      PyCFunction_NewEx(&made->method, self.ptr(), py::object(module_.attr("__name__")).ptr()));
  if (!function) throw py::error_already_set();
  module_.attr(made->name.c_str()) = function;
}

}  // namespace dlcore
