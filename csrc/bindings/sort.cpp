// Sort, top-k, cumulative sums and products.

#include "bindings/array.h"

namespace dlcore {
namespace {

struct Along {
  Array x;
  int64_t dim, outer = 1, n, inner = 1;

  Along(const char* op, py::handle x_, py::handle dim_)
      : x(op, "x", x_), dim(int_argument(op, "dim", dim_)) {
    if (x.ndim() == 0) {
      CHECK_INDEX(dim == 0 || dim == -1, op, ": dim must be 0 or -1 for x.shape = (), got ", dim);
      n = 1;
      return;
    }
    dim = check_dim(op, dim, x);
    n = x.size(static_cast<int>(dim));
    for (int i = 0; i < dim; ++i) outer *= x.size(i);
    for (int i = static_cast<int>(dim) + 1; i < x.ndim(); ++i) inner *= x.size(i);
    CHECK(n < (int64_t(1) << 31), op,
          ": x must be shorter than 2^31 along dim, got x.shape = ", x.shape());
  }
  // Of x with k in dim.
  Shape shape(int64_t k) const {
    Shape s = x.shape();
    if (s.ndim > 0) s.size[dim] = static_cast<npy_intp>(k);
    return s;
  }
};

// The values, or None, and where they come from.
py::object sort(const char* op, py::handle x_, py::handle dim, bool descending, bool values) {
  const Along a(op, x_, dim);
  Array y = values ? Array::empty_like(op, a.x) : Array();
  Array index = Array::empty(op, a.x.shape(), NPY_INT64);
  with_kernels(a.x, 64 * a.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (a.x.numel() > 0)
      k.sort(a.x.template data<T>(), values ? y.data<T>() : nullptr, index.data<int64_t>(), a.outer,
             a.n, a.inner, descending);
  });
  return py::make_tuple(values ? y.release() : py::object(py::none()), index.release());
}

py::object topk(py::handle x_, int64_t k, py::handle dim, bool largest) {
  const char* op = "topk";
  const Along a(op, x_, dim);
  CHECK(k >= 0 && k <= a.n, op, ": k must be from 0 to ", a.n, ", the length of dim, got ", k);
  Array y = Array::empty(op, a.shape(k), a.x.typenum());
  Array index = Array::empty(op, a.shape(k), NPY_INT64);
  with_kernels(a.x, 64 * a.x.numel(), [&](const auto& kernels) {
    using T = scalar_of<decltype(kernels)>;
    if (y.numel() > 0)
      kernels.topk(a.x.template data<T>(), y.data<T>(), index.data<int64_t>(), a.outer, a.n,
                   a.inner, k, largest);
  });
  return py::make_tuple(y.release(), index.release());
}

py::object cumsum(py::handle x_, py::handle dim, bool reversed) {
  const char* op = "cumsum";
  const Along a(op, x_, dim);
  Array y = Array::empty_like(op, a.x);
  with_kernels(a.x, 2 * a.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (a.x.numel() > 0)
      k.cumsum(a.x.template data<T>(), y.data<T>(), a.outer, a.n, a.inner, reversed);
  });
  return y.release();
}

py::object cumprod_forward(py::handle x_, py::handle dim) {
  const char* op = "cumprod";
  const Along a(op, x_, dim);
  Array y = Array::empty_like(op, a.x);
  with_kernels(a.x, 4 * a.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (a.x.numel() > 0)
      k.cumprod_forward(a.x.template data<T>(), y.data<T>(), a.outer, a.n, a.inner);
  });
  return y.release();
}

py::object cumprod_backward(py::handle x_, py::handle y_, py::handle dy_, py::handle dim) {
  const char* op = "cumprod_backward";
  const Along a(op, x_, dim);
  const Array y(op, "y", y_), dy(op, "dy", dy_);
  check_same_dtype(op, "x", a.x, "y", y);
  check_same_dtype(op, "x", a.x, "dy", dy);
  CHECK(y.same_shape(a.x) && dy.same_shape(a.x), op,
        ": y and dy must have the shape of x, got x.shape = ", a.x.shape(),
        ", y.shape = ", y.shape(), ", dy.shape = ", dy.shape());
  Array dx = Array::empty_like(op, a.x);
  with_kernels(a.x, 6 * a.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (a.x.numel() > 0)
      k.cumprod_backward(a.x.template data<T>(), y.data<T>(), dy.data<T>(), dx.data<T>(), a.outer,
                         a.n, a.inner);
  });
  return dx.release();
}

}  // namespace

void bind_sort(Module& m) {
  const auto arg = [](const char* name) { return py::arg(name); };
  m.def("sort", &sort, arg("op"), arg("x"), arg("dim"), arg("descending"), arg("values"));
  m.def("topk", &topk, arg("x"), arg("k"), arg("dim"), arg("largest"));
  m.def("cumsum", &cumsum, arg("x"), arg("dim"), arg("reversed"));
  m.def("cumprod_forward", &cumprod_forward, arg("x"), arg("dim"));
  m.def("cumprod_backward", &cumprod_backward, arg("x"), arg("y"), arg("dy"), arg("dim"));
}

}  // namespace dlcore
