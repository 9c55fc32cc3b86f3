#include "bindings/array.h"

namespace dlcore {
namespace {

// An array of the dtype as it lies: C-contiguous, native.
PyArrayObject* whole(const char* op, const char* name, py::handle object, int type,
                     const char* dtype) {
  PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object.ptr());
  CHECK_TYPE(PyArray_Check(object.ptr()) && PyArray_TYPE(a) == type && PyArray_ISCARRAY_RO(a), op,
             ": ", name, " must be a C-contiguous array of ", dtype);
  return a;
}

// In one function: each CHECK would bring its own.
__attribute__((noinline)) void require(bool holds, const char* op, const char* rule) {
  CHECK(holds, op, ": ", rule);
}

Array float_array(const char* op, const char* name, py::handle object) {
  Array a(op, name, object);
  CHECK_TYPE(a.is_float(), op, ": ", name, " must be float32, got float64");
  return a;
}

// A matrix of 8 bits of `parts` parts of equal length, for rows of k.
struct Weight {
  Int8Weight w;
  Array scale;
  Weight(const char* op, py::handle panels_, py::handle scale_, py::handle sum_, int64_t k,
         int64_t parts)
      : scale(float_array(op, "scale", scale_)) {
    PyArrayObject* panels = whole(op, "panels", panels_, NPY_INT8, "int8");
    PyArrayObject* sum = whole(op, "sum", sum_, NPY_INT32, "int32");
    const int64_t n = scale.numel(), blocks = parts * ((n / parts + kInt8Rows - 1) / kInt8Rows);
    require(scale.ndim() == 1 && n % parts == 0 && PyArray_SIZE(sum) == n, op,
            "scale and sum must have one number for each row of the weight");
    require(k <= kInt8Most, op, "x must have at most 65536 features");
    const int64_t words = (k + kInt8Word - 1) / kInt8Word;
    require(PyArray_SIZE(panels) == checked_mul(op, blocks, words * kInt8Rows * kInt8Word), op,
            "panels must be those of a weight of as many rows as scale, for rows as x has");
    w = {n, k, static_cast<const int8_t*>(PyArray_DATA(panels)), scale.data<float>(),
         static_cast<const int32_t*>(PyArray_DATA(sum))};
  }
};

// y = x weight^T + bias
py::object linear_int8(py::handle x_, py::handle panels, py::handle scale, py::handle sum,
                       py::handle bias_) {
  constexpr const char* op = "linear_int8";
  const Array x = float_array(op, "x", x_);
  require(x.ndim() >= 1, op, "x must have at least 1 axis");
  const Weight weight(op, panels, scale, sum, x.size(-1), 1);
  const Array bias = bias_.is_none() ? Array() : float_array(op, "bias", bias_);
  require(!bias.defined() || (bias.ndim() == 1 && bias.size(0) == weight.w.n), op,
          "bias must have one number for each row of the weight");
  Shape shape = x.shape();
  int64_t m = 1;
  for (int i = 0; i < x.ndim() - 1; ++i) m = checked_mul(op, m, x.size(i));
  shape.size[shape.ndim - 1] = weight.w.n;
  Array y = Array::empty(op, shape, NPY_FLOAT);
  const int64_t work = checked_mul(op, checked_mul(op, m, weight.w.n), x.size(-1) + 1);
  if (work == 0) return y.object();
  std::optional<GilReleased> released;
  if (work >= 4 * kReleaseFrom) released.emplace();
  kernels<float>().linear_int8(x.data<float>(), weight.w,
                               bias.defined() ? bias.data<float>() : nullptr, y.data<float>(), m);
  return y.object();
}

// (y, h_n, c_n) of one direction; gates (rows, 4 hidden), h and c (batch, hidden), first: where
// each step's rows begin, and the number of rows.
py::tuple lstm_int8(py::handle gates_, py::handle panels, py::handle scale, py::handle sum,
                    py::handle h_, py::handle c_, const std::vector<int64_t>& first, bool reverse) {
  constexpr const char* op = "lstm_int8";
  const Array gates = float_array(op, "gates", gates_), h0 = float_array(op, "h", h_),
              c0 = float_array(op, "c", c_);
  require(h0.ndim() == 2 && h0.same_shape(c0), op, "h and c must have shape (batch, hidden)");
  const int64_t batch = h0.size(0), n = h0.size(1);
  require(n > 0 && gates.ndim() == 2 && gates.size(1) == 4 * n, op,
          "gates must have shape (rows, 4 * hidden)");
  const int64_t rows = gates.size(0);
  const Weight weight(op, panels, scale, sum, n, 4);
  require(weight.w.n == 4 * n, op, "scale must have 4 * hidden numbers");
  require(!first.empty() && first[0] == 0 && first.back() == rows, op,
          "first must go from 0 to the rows of gates");
  int64_t most = batch;
  for (size_t t = 1; t < first.size(); ++t) {
    const int64_t count = first[t] - first[t - 1];
    require(first[t] >= first[t - 1] && first[t] <= rows && count <= most, op,
            "first must be of steps that fall from at most the batch");
    most = count;
  }
  Array y = Array::empty(op, Shape{rows, n}, NPY_FLOAT);
  Array h = Array::empty_like(op, h0), c = Array::empty_like(op, c0);
  std::copy_n(h0.data<float>(), batch * n, h.data<float>());
  std::copy_n(c0.data<float>(), batch * n, c.data<float>());
  const LstmInt8<float> l = {static_cast<int64_t>(first.size()) - 1,
                             batch,
                             first.data(),
                             reverse,
                             gates.data<float>(),
                             weight.w,
                             h.data<float>(),
                             c.data<float>(),
                             y.data<float>()};
  {
    const GilReleased released;
    kernels<float>().lstm_int8(l);
  }
  return py::make_tuple(y.object(), h.object(), c.object());
}

}  // namespace

void bind_int8(Module& m) {
  using py::arg;
  m.def("linear_int8", &linear_int8, arg("x"), arg("panels"), arg("scale"), arg("sum"),
        arg("bias"));
  m.def("lstm_int8", &lstm_int8, arg("gates"), arg("panels"), arg("scale"), arg("sum"), arg("h"),
        arg("c"), arg("first"), arg("reverse"));
}

}  // namespace dlcore
