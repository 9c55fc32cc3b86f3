// Checks of arguments at the border: what is not an array. The only folder that knows pybind11.
#pragma once

#include <pybind11/cast.h>  // pybind11.h would take thrice the time to compile

#include <cstdint>
#include <string>

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

// A number: Python's or NumPy's. TypeError: "<op>: dim must be a whole number, got str"; ValueError
// when it does not fit.
int64_t int_argument(const char* op, const char* name, py::handle object);
uint64_t unsigned_argument(const char* op, const char* name, py::handle object);
double real_argument(const char* op, const char* name, py::handle object);
bool bool_argument(const char* op, const char* name, py::handle object);
const char* string_argument(const char* op, const char* name, py::handle object);
// A list or tuple of the elements of any sequence but a str.
py::object sequence_argument(const char* op, const char* name, py::handle object);

}  // namespace dlcore
