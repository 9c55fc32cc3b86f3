// Functions of the module, which Python calls without a dispatcher between:
//
//   m.def("softmax_forward", &softmax_forward, py::arg("x"), py::arg("dim"),
//         py::arg("out") = py::none());
//
// A parameter of softmax_forward is a py::handle, which it checks itself, or a number, a bool, a
// string or a vector of them: checked here, in one line.
#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include "bindings/argument.h"

namespace dlcore {

template <class T>
T argument(const char* op, const char* name, py::handle object) {
  if constexpr (std::is_same_v<T, py::handle>) {
    return object;
  } else if constexpr (std::is_same_v<T, bool>) {
    return bool_argument(op, name, object);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return unsigned_argument(op, name, object);
  } else if constexpr (std::is_integral_v<T>) {
    const int64_t value = int_argument(op, name, object);
    CHECK(value == static_cast<T>(value), op, ": ", name, " must fit into ", 8 * sizeof(T),
          " bits");
    return static_cast<T>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return real_argument(op, name, object);
  } else if constexpr (std::is_constructible_v<T, const char*>) {
    return string_argument(op, name, object);
  } else {
    T all;
    for (py::handle item : sequence_argument(op, name, object))
      all.push_back(argument<typename T::value_type>(op, name, item));
    return all;
  }
}

// How Python calls it.
using Entry = PyObject* (*)(PyObject* self, PyObject* const* given, Py_ssize_t positional,
                            PyObject* keywords);

// What Python knows of a function; lives as long as the process.
struct Function {
  static constexpr int kMost = 20;  // parameters
  struct Parameter {
    const char* name;
    PyObject* otherwise;  // nullptr: must be given
    Parameter(const py::arg& a) : name(a.name), otherwise(nullptr) {}
    Parameter(const py::arg_v& a) : name(a.name), otherwise(a.value.ptr()) {}
  };
  struct Named {
    const char* name;
    PyObject* interned;
    PyObject* otherwise;
  };

  std::string name, op, doc;
  int count = 0;
  Named parameters[kMost];
  PyMethodDef method{};

  // The arguments in the parameters' order, in `place`. TypeError when they do not fit.
  void arrange(PyObject* const* given, Py_ssize_t positional, PyObject* keywords,
               PyObject** place) const;
};

PyObject* set_python_error();  // of the C++ exception being handled; nullptr

template <class F, class R, class... A>
struct Callable : Function {
  F f;

  template <size_t... I>
  R apply(PyObject* const* args, std::index_sequence<I...>) const {
    return f(argument<std::decay_t<A>>(op.c_str(), parameters[I].name, args[I])...);
  }

  static PyObject* call(PyObject* self, PyObject* const* given, Py_ssize_t n, PyObject* keywords) {
    constexpr auto all = std::index_sequence_for<A...>{};
    try {
      const auto& me = *static_cast<const Callable*>(PyCapsule_GetPointer(self, nullptr));
      PyObject* place[sizeof...(A) + 1];
      if (n != sizeof...(A) || keywords) {
        me.arrange(given, n, keywords, place);
        given = place;
      }
      if constexpr (std::is_void_v<R>) {
        me.apply(given, all);
        Py_RETURN_NONE;
      } else if constexpr (std::is_base_of_v<py::object, R>) {
        return me.apply(given, all).release().ptr();
      } else {
        return py::cast(me.apply(given, all)).release().ptr();
      }
    } catch (...) {
      return set_python_error();
    }
  }
};

class Module {
 public:
  explicit Module(py::object& m) : module_(m) {}

  template <class R, class... A, class... Parameters>
  void def(const std::string& name, R (*f)(A...), const Parameters&... parameters) {
    add(name, new Callable<R (*)(A...), R, A...>{{}, f}, parameters...);
  }
  template <class F, class... Parameters>
  void def(const std::string& name, F f, const Parameters&... parameters) {
    def_like(name, f, &F::operator(), parameters...);
  }

 private:
  template <class F, class R, class... A, class... Parameters>
  void def_like(const std::string& name, F f, R (F::*)(A...) const,
                const Parameters&... parameters) {
    add(name, new Callable<F, R, A...>{{}, f}, parameters...);
  }
  template <class F, class R, class... A, class... Parameters>
  void add(const std::string& name, Callable<F, R, A...>* made, const Parameters&... parameters) {
    static_assert(sizeof...(A) == sizeof...(Parameters) && sizeof...(A) <= Function::kMost);
    add(name, made, &Callable<F, R, A...>::call, {Function::Parameter(parameters)...});
  }
  void add(const std::string& name, Function* made, Entry call,
           std::initializer_list<Function::Parameter> parameters);

  py::object& module_;
};

}  // namespace dlcore
