// Arguments that pybind11 converts itself (a binding with int64_t, double or bool in its signature)
// are refused by it with a page of text. Every function of the module gets a first station that
// turns that page into our one line: "<op>: <argument> must be a whole number, got str".

#include <string_view>
#include <unordered_map>

#include "bindings/array.h"

namespace dlcore {
namespace {

using Dispatcher = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);
Dispatcher original = nullptr;  // pybind11's dispatcher, one for all functions

// The definition of each function, by the record that the dispatcher is called with.
std::unordered_map<PyObject*, PyMethodDef*>& definitions() {
  static auto& all = *new std::unordered_map<PyObject*, PyMethodDef*>;
  return all;
}

struct Parameter {
  std::string name, type;
};

// From the first line of the docstring: "name(x: object, p: SupportsFloat, out: object = None) ->
// ..."
std::vector<Parameter> parameters(const std::string& doc) {
  std::vector<Parameter> all;
  const size_t end = doc.find(") ->");
  for (size_t at = doc.find('(') + 1; at < end;) {
    const size_t colon = doc.find(": ", at), comma = std::min(doc.find(", ", at), end);
    if (colon >= end) break;
    all.push_back({doc.substr(at, colon - at), doc.substr(colon + 2, comma - colon - 2)});
    at = comma + 2;
  }
  return all;
}

// What a parameter of this type asks for when the object does not give it, else "".
std::string unmet(const std::string& type, PyObject* object) {
  const auto starts = [&](std::string_view with) {
    return type.compare(0, with.size(), with) == 0;
  };
  const PyNumberMethods* number = Py_TYPE(object)->tp_as_number;
  if (starts("typing.SupportsInt")) {
    const py::object whole = py::reinterpret_steal<py::object>(PyNumber_Index(object));
    if (!whole) return PyErr_Clear(), "must be a whole number";
    int overflow = 0;
    PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    return overflow ? "must fit into 64 bits" : "";
  }
  if (starts("typing.SupportsFloat"))
    return number && (number->nb_float || number->nb_index) ? "" : "must be a real number";
  if (starts("bool")) return PyBool_Check(object) ? "" : "must be True or False";
  if (starts("str")) return PyUnicode_Check(object) ? "" : "must be a string";
  return "";
}

std::string without_direction(std::string name) {
  for (const std::string direction : {"_forward", "_backward"})
    if (const size_t at = name.rfind(direction);
        at != std::string::npos && at + direction.size() == name.size())
      return name.substr(0, at);
  return name;
}

// Raises for the first argument that does not fit its parameter.
void refuse(const PyMethodDef& definition, PyObject* const* args, Py_ssize_t positional,
            PyObject* keywords) {
  const std::string op = without_direction(definition.ml_name), doc = definition.ml_doc;
  const std::vector<Parameter> all = parameters(doc);
  for (size_t i = 0; i < all.size(); ++i) {
    PyObject* object = static_cast<Py_ssize_t>(i) < positional ? args[i] : nullptr;
    for (Py_ssize_t k = 0; keywords && k < PyTuple_GET_SIZE(keywords); ++k)
      if (all[i].name == py::str(PyTuple_GET_ITEM(keywords, k)).cast<std::string>())
        object = args[positional + k];
    if (!object) continue;
    const std::string rule = unmet(all[i].type, object);
    CHECK(rule != "must fit into 64 bits", op, ": ", all[i].name, " ", rule);
    CHECK_TYPE(rule.empty(), op, ": ", all[i].name, " ", rule, ", got ", Py_TYPE(object)->tp_name);
  }
  CHECK_TYPE(false, op, ": wrong arguments for ", doc.substr(0, doc.find('\n')));
}

PyObject* first_station(PyObject* self, PyObject* const* args, Py_ssize_t given,
                        PyObject* keywords) {
  PyObject* result = original(self, args, given, keywords);
  if (result || !PyErr_ExceptionMatches(PyExc_TypeError)) [[likely]]
    return result;
  try {
    py::error_already_set error;
    const std::string_view page = error.what();
    if (page.find("(): incompatible function arguments") == std::string_view::npos)
      error.restore();
    else
      refuse(*definitions()[self], args, PyVectorcall_NARGS(static_cast<size_t>(given)), keywords);
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  }
  return nullptr;
}

}  // namespace

void refuse_in_one_line(py::module_& m) {
  for (auto [name, value] : m.attr("__dict__").cast<py::dict>()) {
    if (!PyCFunction_Check(value.ptr())) continue;
    PyMethodDef* definition = reinterpret_cast<PyCFunctionObject*>(value.ptr())->m_ml;
    original = reinterpret_cast<Dispatcher>(reinterpret_cast<void (*)()>(definition->ml_meth));
    definition->ml_meth =
        reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&first_station));
    definitions()[PyCFunction_GET_SELF(value.ptr())] = definition;
  }
}

}  // namespace dlcore
