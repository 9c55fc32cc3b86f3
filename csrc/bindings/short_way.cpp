// The short way of a public function, with its Python function for everything else:
//
//   relu = ShortWay(relu_forward, relu)
//
// Called on plain arrays of float32 or float64 it goes straight to the binding, without a Python
// frame, some 70 ns; on a Tensor, another dtype, or words that only the function knows, to the
// function.
#include "bindings/array.h"
//
#include <structmember.h>

namespace dlcore {
namespace {

bool open = true;  // closed while somebody watches the bindings: see python/dlcore/watch.py

struct ShortWay {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject *binding, *function, *dict, *weak_references;
  const Function* known;  // the binding's parameters
  int arrays;             // parameters of the function that must be given: arrays, or the second a
                          // number
  int shared;             // leading parameters that both have
};

bool is_plain(PyObject* object) {
  if (!PyArray_CheckExact(object)) return false;
  const int type = PyArray_TYPE(reinterpret_cast<PyArrayObject*>(object));
  return type == NPY_FLOAT || type == NPY_DOUBLE;
}

bool is_number(PyObject* object) {
  return PyFloat_CheckExact(object) || PyLong_CheckExact(object);
}

// Whether the binding has parameters of these names behind the first n.
bool knows(const Function& binding, Py_ssize_t n, PyObject* keywords) {
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(keywords); ++k) {
    Py_ssize_t i = n;
    while (i < binding.count && binding.parameters[i].interned != PyTuple_GET_ITEM(keywords, k))
      ++i;
    if (i == binding.count) return false;
  }
  return true;
}

PyObject* call(PyObject* self, PyObject* const* args, size_t flagged, PyObject* keywords) {
  const ShortWay& way = *reinterpret_cast<ShortWay*>(self);
  const Py_ssize_t n = PyVectorcall_NARGS(flagged);
  if (open && n >= way.arrays && n <= way.shared && is_plain(args[0]) &&
      (way.arrays < 2 || is_plain(args[1]) || is_number(args[1])) &&
      (!keywords || knows(*way.known, n, keywords)))
    return reinterpret_cast<Entry>(reinterpret_cast<void (*)()>(way.known->method.ml_meth))(
        PyCFunction_GET_SELF(way.binding), args, n, keywords);
  return PyObject_Vectorcall(way.function, args, flagged, keywords);
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject*) {
  try {
    PyObject *binding, *function;
    if (!PyArg_ParseTuple(args, "O!O!", &PyCFunction_Type, &binding, &PyFunction_Type, &function))
      return nullptr;
    PyObject* known = PyCFunction_GET_SELF(binding);
    CHECK_TYPE(known && PyCapsule_CheckExact(known), "ShortWay: binding must be one of _C's");
    const py::object code = py::handle(function).attr("__code__");
    const py::object names = code.attr("co_varnames");
    const py::object defaults = py::handle(function).attr("__defaults__");
    const int positional = py::cast<int>(code.attr("co_argcount"));
    py::object made = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
    if (!made) throw py::error_already_set();
    ShortWay& way = *reinterpret_cast<ShortWay*>(made.ptr());
    way.vectorcall = &call;
    way.binding = Py_NewRef(binding);
    way.function = Py_NewRef(function);
    way.known = static_cast<const Function*>(PyCapsule_GetPointer(known, nullptr));
    way.arrays = positional - (defaults.is_none() ? 0 : static_cast<int>(py::len(defaults)));
    while (way.shared < std::min(positional, way.known->count) &&
           PyTuple_GET_ITEM(names.ptr(), way.shared) == way.known->parameters[way.shared].interned)
      ++way.shared;
    for (int i = way.arrays; i < way.known->count; ++i)
      CHECK(way.known->parameters[i].otherwise, "ShortWay: ", way.known->name,
            " must have a default for ", way.known->parameters[i].name);
    CHECK(way.arrays >= 1 && way.arrays <= way.shared, "ShortWay: ", way.known->name,
          " must begin with the arrays of the function");
    return made.release().ptr();
  } catch (...) {
    return set_python_error();
  }
}

void destroy(PyObject* self) {
  ShortWay& way = *reinterpret_cast<ShortWay*>(self);
  PyTypeObject* type = Py_TYPE(self);
  if (way.weak_references) PyObject_ClearWeakRefs(self);
  Py_XDECREF(way.binding);
  Py_XDECREF(way.function);
  Py_XDECREF(way.dict);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* show(PyObject* self) {
  return PyObject_Repr(reinterpret_cast<ShortWay*>(self)->function);
}

PyObject* bind_method(PyObject* self, PyObject* object, PyObject*) {
  return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

// pickle and copy take it by its name, as they take functions.
PyObject* reduce(PyObject* self, PyObject*) {
  return PyObject_GetAttrString(reinterpret_cast<ShortWay*>(self)->function, "__qualname__");
}

}  // namespace

void bind_short_way(py::object& made, Module& m) {
  static PyMethodDef methods[] = {{"__reduce__", &reduce, METH_NOARGS, nullptr}, {}};
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(ShortWay, vectorcall), READONLY, nullptr},
      {"__dictoffset__", T_PYSSIZET, offsetof(ShortWay, dict), READONLY, nullptr},
      {"__weaklistoffset__", T_PYSSIZET, offsetof(ShortWay, weak_references), READONLY, nullptr},
      {}};
  static PyGetSetDef attributes[] = {
      {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr}, {}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(&create)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(&destroy)},
                                {Py_tp_repr, reinterpret_cast<void*>(&show)},
                                {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
                                {Py_tp_descr_get, reinterpret_cast<void*>(&bind_method)},
                                {Py_tp_methods, methods},
                                {Py_tp_members, members},
                                {Py_tp_getset, attributes},
                                {}};
  constexpr unsigned kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                              Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE;
  constexpr const char* kName = "dlcore._C.function";  // what help() and messages call it
  static PyType_Spec spec = {kName, sizeof(ShortWay), 0, kFlags, slots};
  made.attr("ShortWay") = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  m.def("open_short_ways", [](bool yes) { open = yes; }, py::arg("yes"));
}

}  // namespace dlcore
