#include <climits>
#include <cmath>

#include "bindings/array.h"

namespace dlcore {
namespace {

// Which axes of x are reduced, and what that makes of its shape.
struct Plan {
  Array x;          // copied with the reduced axes last where they lie in more than two groups
  Shape result;     // with or without the reduced axes
  Reduction shape;  // neighbouring axes merged
  int64_t reduced = 1;

  Plan(const char* op, py::handle x_, py::handle dims, bool keepdim) : x(op, "x", x_) {
    bool chosen[NPY_MAXDIMS] = {};
    choose(op, dims, chosen);
    for (int d = 0; d < x.ndim(); ++d) {
      if (chosen[d]) reduced *= x.size(d);
      if (!chosen[d] || keepdim) result.size[result.ndim++] = chosen[d] ? 1 : x.size(d);
    }
    if (!merge(chosen)) move_last(chosen);
  }

 private:
  void choose(const char* op, py::handle dims, bool* chosen) const {
    if (dims.is_none()) {
      for (int d = 0; d < x.ndim(); ++d) chosen[d] = true;
    } else if (PyTuple_Check(dims.ptr()) || PyList_Check(dims.ptr())) {
      for (py::handle dim : dims) {
        const int64_t d = check_dim(op, int_argument(op, "dim", dim), x);
        CHECK(!chosen[d], op, ": dim must name each axis once, got axis ", d, " twice");
        chosen[d] = true;
      }
    } else {
      chosen[check_dim(op, int_argument(op, "dim", dims), x)] = true;
    }
  }

  // kept, reduced, kept, reduced: false when there are more groups than that.
  bool merge(const bool* chosen) {
    int64_t size[4] = {1, 1, 1, 1};
    int slot = 0;
    for (int d = 0; d < x.ndim(); ++d) {
      if (x.size(d) == 1) continue;
      if (chosen[d] != (slot % 2 == 1)) ++slot;
      if (slot > 3) return false;
      size[slot] *= x.size(d);
    }
    shape = {size[0], size[1], size[2], size[3]};
    if (slot == 1) std::swap(shape.reduced1, shape.reduced2);  // contiguous
    return true;
  }

  void move_last(const bool* chosen) {
    npy_intp order[NPY_MAXDIMS];
    int n = 0;
    for (const bool last : {false, true})
      for (int d = 0; d < x.ndim(); ++d)
        if (chosen[d] == last) order[n++] = d;
    PyArray_Dims axes{order, n};
    const py::object moved = py::reinterpret_steal<py::object>(PyArray_Transpose(x.get(), &axes));
    if (!moved) throw py::error_already_set();
    shape = {1, 1, x.numel() / std::max<int64_t>(reduced, 1), reduced};
    x = Array("reduction", "x", moved);
  }
};

template <class T>
void fill(const Array& y, double value) {
  for (int64_t i = 0; i < y.numel(); ++i) y.data<T>()[i] = static_cast<T>(value);
}

// call(kernels, x, y) for the plan; a reduction of nothing is `of_nothing`.
template <class Call>
py::object reduce(const char* op, const Plan& plan, py::handle out, double of_nothing, Call call) {
  const Array& x = plan.x;
  Output y(op, out, plan.result, x.typenum(), {}, {&x});
  if (plan.reduced == 0) {
    x.is_float() ? fill<float>(y.array(), of_nothing) : fill<double>(y.array(), of_nothing);
  } else if (x.numel() > 0) {
    with_kernels(x, x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      call(k, static_cast<const T*>(x.data<T>()), y.data<T>());
    });
  }
  return y.finish();
}

py::object sum(py::handle x, py::handle dim, bool keepdim, py::handle out) {
  const Plan plan("sum", x, dim, keepdim);
  return reduce("sum", plan, out, 0.0,
                [&]<class T>(const auto& k, const T* x, T* y) { k.sum(x, y, plan.shape, T(1)); });
}

py::object mean(py::handle x, py::handle dim, bool keepdim, py::handle out) {
  const Plan plan("mean", x, dim, keepdim);
  return reduce("mean", plan, out, NAN, [&]<class T>(const auto& k, const T* x, T* y) {
    k.sum(x, y, plan.shape, static_cast<T>(plan.reduced));
  });
}

py::object prod(py::handle x, py::handle dim, bool keepdim, py::handle out) {
  const Plan plan("prod", x, dim, keepdim);
  return reduce("prod", plan, out, 1.0,
                [&]<class T>(const auto& k, const T* x, T* y) { k.prod(x, y, plan.shape); });
}

py::object sum_abs(py::handle x, py::handle dim, bool keepdim) {
  const Plan plan("norm", x, dim, keepdim);
  return reduce("norm", plan, py::none(), 0.0,
                [&]<class T>(const auto& k, const T* x, T* y) { k.sum_abs(x, y, plan.shape); });
}

py::object sum_squares(py::handle x, py::handle dim, bool keepdim) {
  const Plan plan("norm", x, dim, keepdim);
  return reduce("norm", plan, py::none(), 0.0, [&]<class T>(const auto& k, const T* x, T* y) {
    k.sum_squares(x, static_cast<const T*>(nullptr), y, plan.shape, T(1));
  });
}

// In two passes: the squares of the distances from the mean.
py::object var(py::handle x, py::handle dim, double correction, bool keepdim) {
  const Plan plan("var", x, dim, keepdim);
  const Array mean = Array::empty("var", plan.result, plan.x.typenum());
  return reduce("var", plan, py::none(), NAN, [&]<class T>(const auto& k, const T* x, T* y) {
    k.sum(x, mean.data<T>(), plan.shape, static_cast<T>(plan.reduced));
    const double n = static_cast<double>(plan.reduced) - correction;
    k.sum_squares(x, static_cast<const T*>(mean.data<T>()), y, plan.shape,
                  static_cast<T>(n > 0 ? n : 0));
  });
}

void check_not_empty(const char* op, const Plan& plan) {
  CHECK(plan.reduced > 0 || plan.result.numel(op) == 0, op,
        ": x must have elements along dim, got x.shape = ", plan.x.shape());
}

py::object amax(py::handle x, py::handle dim, bool keepdim, py::handle out) {
  const Plan plan("max", x, dim, keepdim);
  check_not_empty("max", plan);
  return reduce("max", plan, out, 0.0,
                [&]<class T>(const auto& k, const T* x, T* y) { k.amax(x, y, plan.shape); });
}

py::object amin(py::handle x, py::handle dim, bool keepdim, py::handle out) {
  const Plan plan("min", x, dim, keepdim);
  check_not_empty("min", plan);
  return reduce("min", plan, out, 0.0,
                [&]<class T>(const auto& k, const T* x, T* y) { k.amin(x, y, plan.shape); });
}

// The index along one axis, or in the flattened array.
template <class Pick>
py::object index_of(const char* op, py::handle x_, py::handle dim, bool keepdim, Pick pick) {
  const Array x(op, "x", x_);
  int64_t outer = 1, n = x.numel(), inner = 1;
  Shape result;
  if (dim.is_none()) {
    for (int i = 0; keepdim && i < x.ndim(); ++i) result.size[result.ndim++] = 1;
  } else {
    const int64_t d = check_dim(op, int_argument(op, "dim", dim), x);
    n = x.size(static_cast<int>(d));
    for (int i = 0; i < x.ndim(); ++i) {
      if (i < d) outer *= x.size(i);
      if (i > d) inner *= x.size(i);
      if (i != d || keepdim) result.size[result.ndim++] = i == d ? 1 : x.size(i);
    }
  }
  CHECK(n > 0 || outer * inner == 0, op,
        ": x must have elements along dim, got x.shape = ", x.shape());
  CHECK(n <= INT_MAX || inner == 1, op,
        ": dim must have fewer than 2^31 elements, got x.shape = ", x.shape());
  Array y = Array::empty(op, result, NPY_INT64);
  if (x.numel() == 0) return y.release();
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    pick(k)(x.data<T>(), y.data<int64_t>(), outer, n, inner);
  });
  return y.release();
}

py::object argmax(py::handle x, py::handle dim, bool keepdim) {
  return index_of("argmax", x, dim, keepdim, [](const auto& k) -> const auto& { return k.argmax; });
}

py::object argmin(py::handle x, py::handle dim, bool keepdim) {
  return index_of("argmin", x, dim, keepdim, [](const auto& k) -> const auto& { return k.argmin; });
}

}  // namespace

void bind_reduction(Module& m) {
  const auto def = [&](const char* name, auto function) {
    m.def(name, function, py::arg("x"), py::arg("dim") = py::none(), py::arg("keepdim") = false,
          py::arg("out") = py::none());
  };
  def("sum", &sum);
  def("mean", &mean);
  def("prod", &prod);
  def("amax", &amax);
  def("amin", &amin);
  m.def("sum_abs", &sum_abs, py::arg("x"), py::arg("dim"), py::arg("keepdim"));
  m.def("sum_squares", &sum_squares, py::arg("x"), py::arg("dim"), py::arg("keepdim"));
  m.def("var", &var, py::arg("x"), py::arg("dim"), py::arg("correction"), py::arg("keepdim"));
  m.def("argmax", &argmax, py::arg("x"), py::arg("dim") = py::none(), py::arg("keepdim") = false);
  m.def("argmin", &argmin, py::arg("x"), py::arg("dim") = py::none(), py::arg("keepdim") = false);
}

}  // namespace dlcore
