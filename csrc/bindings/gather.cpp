#include <algorithm>
#include <cstring>

#include "bindings/indices.h"

namespace dlcore {

Indices::Indices(const char* op, const char* name, py::handle object) {
  CHECK_TYPE(PyArray_Check(object.ptr()), op, ": ", name,
             " must be a NumPy array of whole numbers, got ", Py_TYPE(object.ptr())->tp_name);
  CHECK_TYPE(!hides_entries(object), op, ": ", name, " must not be a masked array: pass ", name,
             ".filled(value)");
  const int type = PyArray_TYPE(reinterpret_cast<PyArrayObject*>(object.ptr()));
  CHECK_TYPE(PyTypeNum_ISINTEGER(type) && PyArray_CanCastSafely(type, NPY_INT64), op, ": ", name,
             " must be int64 or int32, got ", std::string(py::str(object.attr("dtype"))));
  PyArrayObject* const given = reinterpret_cast<PyArrayObject*>(object.ptr());
  object_ = Array::empty(op, Shape(PyArray_NDIM(given), PyArray_DIMS(given)), NPY_INT64).release();
  if (PyArray_CopyInto(get(), given) != 0) throw py::error_already_set();
}

void Indices::check(const char* op, const char* name, int64_t size, int64_t lowest) const {
  const int64_t* const values = data();
  const int64_t n = count();
  const uint64_t least = static_cast<uint64_t>(lowest), most = static_cast<uint64_t>(size) - 1;
  // Of each its sign bit: differences, unlike 64-bit comparisons, are SSE2's too. Four, so that
  // none waits for another.
  uint64_t beyond = 0, part[4] = {};
  const auto distance = [=](int64_t i) {
    const uint64_t v = static_cast<uint64_t>(values[i]);
    return (v - least) | (most - v);
  };
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int j = 0; j < 4; ++j) part[j] |= distance(i + j);
  for (; i < n; ++i) beyond |= distance(i);
  for (uint64_t one : part) beyond |= one;
  for (i = 0; (beyond >> 63) && i < n; ++i)
    CHECK_INDEX(values[i] >= lowest && values[i] < size, op, ": ", name, " must be from ", lowest,
                " to ", size - 1, ", got ", values[i], " at place ", i);
}

namespace {

constexpr int kPlaceBits = 31;

// By the bits above the place, which keeps equal ones in their order; digits of 11 bits.
void sort_places(std::vector<uint64_t>& keys, uint64_t largest) {
  constexpr int kDigit = 11;
  std::vector<uint64_t> sorted(keys.size());
  for (int shift = kPlaceBits; shift < 64 && largest >> (shift - kPlaceBits); shift += kDigit) {
    const auto digit = [=](uint64_t key) { return key >> shift & ((1 << kDigit) - 1); };
    std::vector<size_t> next((size_t(1) << kDigit) + 1);
    for (uint64_t key : keys) ++next[digit(key) + 1];
    for (size_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
    for (uint64_t key : keys) sorted[next[digit(key)]++] = key;
    keys.swap(sorted);
  }
}

}  // namespace

NamedRows::NamedRows(const char* op, const Indices& index, int64_t padding) {
  CHECK(index.count() < (int64_t(1) << kPlaceBits), op,
        ": index must have fewer than 2^31 elements, got ", index.count());
  std::vector<uint64_t> keys;
  keys.reserve(static_cast<size_t>(index.count()));
  uint64_t largest = 0;
  for (int64_t i = 0; i < index.count(); ++i) {
    const uint64_t row = static_cast<uint64_t>(index.data()[i]);
    if (index.data()[i] == padding) continue;
    CHECK(row >> (64 - kPlaceBits) == 0, op, ": rows must be at most 2^33, got ", row);
    largest = std::max(largest, row);
    keys.push_back(row << kPlaceBits | static_cast<uint64_t>(i));
  }
  sort_places(keys, largest);
  slots.reserve(keys.size());
  places.reserve(keys.size());
  for (uint64_t key : keys) {
    const int64_t row = static_cast<int64_t>(key >> kPlaceBits);
    if (rows.empty() || rows.back() != row) rows.push_back(row);
    slots.push_back(static_cast<int64_t>(rows.size()) - 1);
    places.push_back(static_cast<int64_t>(key & ((uint64_t(1) << kPlaceBits) - 1)));
  }
}

Array NamedRows::row_numbers(const char* op) const {
  Array y = Array::empty(op, {static_cast<int64_t>(rows.size())}, NPY_INT64);
  std::copy(rows.begin(), rows.end(), y.data<int64_t>());
  return y;
}

namespace {

// The sizes before and after `dim` to `dim + ndim`.
struct Around {
  int64_t outer = 1, inner = 1;
  Around(const Shape& shape, int64_t dim, int ndim = 1) {
    for (int i = 0; i < dim; ++i) outer *= shape[i];
    for (int i = static_cast<int>(dim) + ndim; i < shape.ndim; ++i) inner *= shape[i];
  }
};

// `shape` with the axes from `dim` to `dim + ndim` replaced by those of `by`.
Shape replaced(const char* op, const Shape& shape, int64_t dim, int ndim, const Shape& by) {
  const int left = shape.ndim - ndim;
  CHECK(left + by.ndim <= NPY_MAXDIMS, op, ": the result must have at most ", NPY_MAXDIMS,
        " axes, got ", left + by.ndim);
  Shape y;
  for (int i = 0; i < dim; ++i) y.size[y.ndim++] = shape[i];
  for (int i = 0; i < by.ndim; ++i) y.size[y.ndim++] = by[i];
  for (int i = static_cast<int>(dim) + ndim; i < shape.ndim; ++i) y.size[y.ndim++] = shape[i];
  return y;
}

// x[..., index, ...] along dim, and the index, checked and copied, for backward. `names` are those
// of x and index in messages.
py::object take_rows(const char* op, const char* x_name, const char* index_name, py::handle x_,
                     py::handle dim_, py::handle index_) {
  const Array x(op, x_name, x_);
  CHECK(x.ndim() >= 1, op, ": ", x_name, " must have at least one axis, got ", x_name,
        ".shape = ()");
  const int64_t dim = check_dim(op, int_argument(op, "dim", dim_), x);
  const int64_t rows = x.size(static_cast<int>(dim));
  const Indices index(op, index_name, index_);
  index.check(op, index_name, rows);
  const Around a(x.shape(), dim);
  Array y = Array::empty(op, replaced(op, x.shape(), dim, 1, index.shape()), x.typenum());
  if (y.numel() > 0)
    with_kernels(x, y.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.take_rows(x.data<T>(), index.data(), y.data<T>(), a.outer, rows, index.count(), a.inner);
    });
  return py::make_tuple(y.release(), index.object());
}

// base, or zeros with `base_` rows along dim, plus alpha times the rows of x at their index.
py::object add_rows(const char* op, py::handle x_, py::handle dim_, py::handle index_,
                    py::handle base_, py::handle alpha_, int64_t padding, bool mean) {
  const Array x(op, "source", x_);
  const double alpha = real_argument(op, "alpha", alpha_);
  int64_t dim = int_argument(op, "dim", dim_);
  const bool has_base = PyArray_Check(base_.ptr());
  const Array base = has_base ? Array(op, "input", base_) : Array();
  const Array& like = has_base ? base : x;
  if (has_base) {
    check_same_dtype(op, "input", base, "source", x);
    CHECK(base.ndim() >= 1, op, ": input must have at least one axis, got input.shape = ()");
    dim = check_dim(op, dim, base);
  }
  const int64_t rows =
      has_base ? base.size(static_cast<int>(dim)) : int_argument(op, "rows", base_);
  CHECK(rows >= 0, op, ": rows must be at least 0, got ", rows);
  const Indices index(op, "index", index_);
  index.check(op, "index", rows);
  CHECK(index.count() < (int64_t(1) << 31), op, ": index must have fewer than 2^31 elements, got ",
        index.count());
  CHECK(dim >= 0 && dim + index.shape().ndim <= x.ndim(), op,
        ": source must have the axes of index from dim on, got source.shape = ", x.shape(),
        " with index.shape = ", index.shape());
  const Shape shape =
      has_base ? base.shape() : replaced(op, x.shape(), dim, index.shape().ndim, Shape{rows});
  const Shape want = replaced(op, shape, dim, 1, index.shape());
  CHECK(x.shape() == want, op, ": source must have the shape of input with that of index in dim, ",
        want, ", got source.shape = ", x.shape());
  const Around a(shape, dim);
  Array y = Array::empty(op, shape, like.typenum());
  if (y.numel() > 0)
    with_kernels(x, x.numel() + y.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.add_rows(x.data<T>(), has_base ? base.data<T>() : nullptr, y.data<T>(),
                 {a.outer, rows, index.count(), a.inner, index.data(), nullptr, nullptr,
                  index.count(), padding, mean, static_cast<T>(alpha)});
    });
  return y.release();
}

// What add_rows makes of the rows that are named alone: their numbers, rising, and their sums.
py::object sum_rows(const char* op, py::handle x_, py::handle index_, int64_t rows, int64_t padding,
                    bool mean) {
  const Array x(op, "source", x_);
  const Indices index(op, "index", index_);
  index.check(op, "index", rows);
  const int64_t dim = x.ndim() ? x.size(-1) : 0;
  CHECK(x.ndim() >= 1 && x.shape() == replaced(op, index.shape(), index.shape().ndim, 0, {dim}), op,
        ": source must have a row for each element of index, got source.shape = ", x.shape(),
        " with index.shape = ", index.shape());
  const NamedRows named(op, index, padding);
  const int64_t count = static_cast<int64_t>(named.slots.size());
  Array y = Array::empty(op, {static_cast<int64_t>(named.rows.size()), dim}, x.typenum());
  if (y.numel() > 0)
    with_kernels(x, x.numel() + y.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.add_rows(x.data<T>(), nullptr, y.data<T>(),
                 {1, y.size(0), index.count(), dim, named.slots.data(), named.places.data(),
                  nullptr, count, -1, mean, T(1)});
    });
  return py::make_tuple(named.row_numbers(op).release(), y.release());
}

// table[index[i]] = rows[i], in place.
void put_rows(const char* op, const char* name, py::handle table_, py::handle index_,
              py::handle rows_) {
  const Array table(op, name, table_), rows(op, "rows", rows_);
  CHECK(table.object().is(table_) && PyArray_ISWRITEABLE(table.get()), op, ": ", name,
        " is changed in place and must be writable, C-contiguous and native");
  const Indices index(op, "index", index_);
  check_same_dtype(op, name, table, "rows", rows);
  CHECK(table.ndim() == 2 && index.shape().ndim == 1 &&
            rows.shape() == (Shape{index.count(), table.size(1)}),
        op, ": rows must have shape (", index.count(), ", dim), got rows.shape = ", rows.shape(),
        " with ", name, ".shape = ", table.shape());
  index.check(op, "index", table.size(0));
  const size_t bytes = static_cast<size_t>(table.size(1) * PyArray_ITEMSIZE(table.get()));
  char* const to = table.data<char>();
  const char* from = rows.data<char>();
  for (int64_t i = 0; i < index.count(); ++i, from += bytes)
    std::memcpy(to + static_cast<size_t>(index.data()[i]) * bytes, from, bytes);
}

// index and input have one shape but along dim.
Picks parse_picks(const char* op, const Shape& shape, int64_t dim, const Indices& index,
                  int64_t lowest = 0) {
  const int axis = static_cast<int>(dim);
  Shape want = shape;
  if (index.shape().ndim == want.ndim) want.size[dim] = index.shape()[axis];
  CHECK(index.shape() == want, op, ": index must have the shape of input but along dim, got ",
        "index.shape = ", index.shape(), " with input.shape = ", shape);
  index.check(op, "index", shape[axis], lowest);
  const Around a(shape, dim);
  return {a.outer, shape[axis], want[axis], a.inner, index.data()};
}

py::object gather(const char* op, py::handle x_, py::handle dim_, py::handle index_) {
  const Array x(op, "input", x_);
  const int64_t dim = check_dim(op, int_argument(op, "dim", dim_), x);
  const Indices index(op, "index", index_);
  const Picks picks = parse_picks(op, x.shape(), dim, index);
  Array y = Array::empty(op, index.shape(), x.typenum());
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.gather(x.data<T>(), y.data<T>(), picks);
  });
  return py::make_tuple(y.release(), index.object());
}

// source, an array like index or a number, put into a copy of x, or added. x may be the size along
// dim of an array of zeros.
py::object scatter(const char* op, py::handle x_, int64_t dim, py::handle index_,
                   py::handle source_, bool add, bool may_skip) {
  const bool is_array = PyArray_Check(source_.ptr());
  const Array source = is_array ? Array(op, "src", source_) : Array();
  const double value = is_array ? 0 : real_argument(op, "value", source_);
  const Array x = is_array && PyIndex_Check(x_.ptr()) && !PyArray_Check(x_.ptr())
                      ? Array()
                      : Array(op, "input", x_);
  const Indices index(op, "index", index_);
  Shape shape = x.defined() ? x.shape() : index.shape();
  dim = check_dim(op, dim, x.defined() ? x : source);
  if (!x.defined()) shape.size[dim] = int_argument(op, "input", x_);
  const Picks picks = parse_picks(op, shape, dim, index, may_skip ? -1 : 0);
  if (is_array) {
    if (x.defined()) check_same_dtype(op, "input", x, "src", source);
    CHECK(source.shape() == index.shape(), op, ": src must have the shape of index, ",
          index.shape(), ", got src.shape = ", source.shape());
  }
  Array y = Array::empty(op, shape, (x.defined() ? x : source).typenum());
  if (y.numel() == 0) return y.release();
  with_kernels(y, y.numel() + index.count(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const T one = static_cast<T>(value);
    k.scatter(x.defined() ? x.data<T>() : nullptr, is_array ? source.data<T>() : &one, is_array,
              y.data<T>(), add, picks);
  });
  return y.release();
}

py::object one_hot(py::handle x_, int64_t classes) {
  const Indices x("one_hot", "x", x_);
  x.check("one_hot", "x", classes);
  const Shape shape = replaced("one_hot", x.shape(), x.shape().ndim, 0, Shape{classes});
  Array y = Array::empty("one_hot", shape, NPY_INT64);
  int64_t* const to = y.data<int64_t>();
  std::memset(to, 0, static_cast<size_t>(y.nbytes()));
  for (int64_t i = 0; i < x.count(); ++i) to[i * classes + x.data()[i]] = 1;
  return y.release();
}

}  // namespace

void bind_gather(Module& m) {
  const auto arg = [](const char* name) { return py::arg(name); };
  m.def("take_rows", &take_rows, arg("op"), arg("x_name"), arg("index_name"), arg("x"), arg("dim"),
        arg("index"));
  m.def("add_rows", &add_rows, arg("op"), arg("source"), arg("dim"), arg("index"), arg("input"),
        py::arg("alpha") = 1.0, py::arg("padding") = -1, py::arg("mean") = false);
  m.def("sum_rows", &sum_rows, arg("op"), arg("source"), arg("index"), arg("rows"), arg("padding"),
        arg("mean"));
  m.def("put_rows", &put_rows, arg("op"), arg("name"), arg("table"), arg("index"), arg("rows"));
  m.def("gather", &gather, arg("op"), arg("input"), arg("dim"), arg("index"));
  m.def("one_hot", &one_hot, arg("x"), arg("num_classes"));
  m.def("scatter", &scatter, arg("op"), arg("input"), arg("dim"), arg("index"), arg("src"),
        arg("add"), py::arg("may_skip") = false);
}

}  // namespace dlcore
