#include "bindings/activation.h"
#include "bindings/array.h"

namespace dlcore {
namespace {

// The last two axes of an argument as a matrix where it lies, the axes before them as a batch.
// A vector is a row (of a) or a column (of b).
struct Matrices {
  Array array;
  int64_t rows, cols, row_stride, col_stride;
  int batch_ndim = 0;

  int64_t batch_size(int axis) const { return array.size(axis); }
  int64_t batch_stride(int axis) const { return array.stride(axis); }
};

Matrices matrices(const char* op, const char* name, py::handle object, bool vector_is_row) {
  Matrices x;
  x.array = Array::strided(op, name, object);
  CHECK(x.array.ndim() >= 1, op, ": ", name, " must have at least 1 axis, got ", name,
        ".shape = ()");
  if (x.array.ndim() == 1) {
    const int64_t n = x.array.size(0), stride = x.array.stride(0);
    x.rows = vector_is_row ? 1 : n;
    x.cols = vector_is_row ? n : 1;
    x.row_stride = vector_is_row ? 1 : stride;
    x.col_stride = vector_is_row ? stride : 1;
    return x;
  }
  const auto read = [&x] {
    x.rows = x.array.size(-2);
    x.cols = x.array.size(-1);
    x.row_stride = x.rows > 1 ? x.array.stride(-2) : 1;
    x.col_stride = x.cols > 1 ? x.array.stride(-1) : 1;
  };
  read();
  if (x.row_stride != 1 && x.col_stride != 1) {  // neither way is contiguous
    x.array = Array(op, name, x.array.object());
    read();
  }
  x.batch_ndim = x.array.ndim() - 2;
  return x;
}

// How the batches of a and b go together: their shape, and where each matrix starts.
struct Batch {
  Shape shape;
  int64_t count = 1;
  std::vector<int64_t> a, b;  // empty: one matrix for all
};

int64_t broadcast_size(const char* op, const Matrices& a, const Matrices& b, int axis) {
  const int64_t from_a = axis <= a.batch_ndim ? a.batch_size(a.batch_ndim - axis) : 1;
  const int64_t from_b = axis <= b.batch_ndim ? b.batch_size(b.batch_ndim - axis) : 1;
  CHECK(from_a == from_b || from_a == 1 || from_b == 1, op,
        ": a and b must have batch axes that broadcast, got a.shape = ", a.array.shape(),
        ", b.shape = ", b.array.shape());
  return from_a == 1 ? from_b : from_a;
}

std::vector<int64_t> batch_offsets(const Matrices& x, const Shape& batch, int64_t count) {
  bool moves = false;
  int64_t stride[NPY_MAXDIMS] = {};
  for (int i = 0; i < x.batch_ndim; ++i) {
    const int axis = batch.ndim - x.batch_ndim + i;
    if (x.batch_size(i) > 1) stride[axis] = x.batch_stride(i);
    moves |= stride[axis] != 0;
  }
  std::vector<int64_t> offsets;
  if (!moves || count <= 1) return offsets;
  offsets.resize(static_cast<size_t>(count));
  int64_t index[NPY_MAXDIMS] = {}, offset = 0;
  for (int64_t& out : offsets) {
    out = offset;
    for (int axis = batch.ndim - 1; axis >= 0; --axis) {
      offset += stride[axis];
      if (++index[axis] < batch[axis]) break;
      offset -= index[axis] * stride[axis];
      index[axis] = 0;
    }
  }
  return offsets;
}

Batch make_batch(const char* op, const Matrices& a, const Matrices& b) {
  Batch batch;
  batch.shape.ndim = std::max(a.batch_ndim, b.batch_ndim);
  for (int axis = 1; axis <= batch.shape.ndim; ++axis)
    batch.shape.size[batch.shape.ndim - axis] = broadcast_size(op, a, b, axis);
  batch.count = batch.shape.numel(op);
  batch.a = batch_offsets(a, batch.shape, batch.count);
  batch.b = batch_offsets(b, batch.shape, batch.count);
  return batch;
}

// One b for all of an a whose rows are a_row apart through the whole batch: one taller product.
// A row of its own takes its distance from the batch.
bool rows_run_through(const Matrices& a, int64_t& a_row) {
  int axis = a.batch_ndim - 1;
  while (axis >= 0 && a.batch_size(axis) == 1) --axis;
  if (a.cols != 1 && a.col_stride != 1) return false;
  const int64_t row = a.rows == 1 ? a.batch_stride(axis) : a.row_stride;
  int64_t expected = a.rows * row;
  for (; axis >= 0; --axis) {
    if (a.batch_size(axis) > 1 && a.batch_stride(axis) != expected) return false;
    expected *= a.batch_size(axis);
  }
  a_row = row;
  return true;
}

template <class T>
Gemm<T> product(const Matrices& a, const Matrices& b, const Batch& batch, const Array& c) {
  Gemm<T> g{};
  g.m = a.rows;
  g.n = b.cols;
  g.k = a.cols;
  g.a = a.array.data<T>();
  g.a_row = a.row_stride;
  g.a_col = a.col_stride;
  g.b = b.array.data<T>();
  g.b_row = b.row_stride;
  g.b_col = b.col_stride;
  g.c = c.data<T>();
  g.c_row = g.n;
  g.alpha = T(1);
  g.batch = batch.count;
  g.a_batch = batch.a.empty() ? nullptr : batch.a.data();
  g.b_batch = batch.b.empty() ? nullptr : batch.b.data();
  if (g.batch > 1 && !g.b_batch && g.a_batch && rows_run_through(a, g.a_row)) {
    g.m *= g.batch;
    g.batch = 1;
  }
  return g;
}

int64_t work_of(const char* op, const Matrices& a, const Matrices& b, const Batch& batch) {
  return checked_mul(op, checked_mul(op, a.rows, b.cols),
                     checked_mul(op, std::max<int64_t>(a.cols, 1), batch.count));
}

Shape result_shape(const Matrices& a, const Matrices& b, const Batch& batch) {
  Shape shape = batch.shape;
  CHECK(shape.ndim + 2 <= NPY_MAXDIMS, "matmul: a and b must have fewer axes");
  if (a.array.ndim() > 1) shape.size[shape.ndim++] = a.rows;
  if (b.array.ndim() > 1) shape.size[shape.ndim++] = b.cols;
  return shape;
}

void check_inner(const char* op, const Matrices& a, const Matrices& b) {
  CHECK(a.cols == b.rows, op, ": a's last axis must equal b's ",
        b.array.ndim() == 1 ? "only" : "second-last", " (", a.cols, " != ", b.rows,
        "), got a.shape = ", a.array.shape(), ", b.shape = ", b.array.shape());
}

// `low`: in bfloat16 where the CPU has the instructions.
py::object matmul(py::handle a_, py::handle b_, py::handle out, bool low) {
  const Matrices a = matrices("matmul", "a", a_, true), b = matrices("matmul", "b", b_, false);
  check_same_dtype("matmul", "a", a.array, "b", b.array);
  check_inner("matmul", a, b);
  const Batch batch = make_batch("matmul", a, b);
  Output c("matmul", out, result_shape(a, b, batch), a.array.typenum(), {}, {&a.array, &b.array});
  with_kernels(a.array, work_of("matmul", a, b, batch), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    Gemm<T> g = product<T>(a, b, batch, c.array());
    g.bf16 = low && k.gemm_bf16.function;
    k.gemm(g);
  });
  return c.finish();
}

bool broadcasts_to(const Array& x, const Shape& shape) {
  if (x.ndim() > shape.ndim) return false;
  for (int i = 1; i <= x.ndim(); ++i)
    if (x.size(-i) != 1 && x.size(-i) != shape[-i]) return false;
  return true;
}

// alpha a b + beta input, input broadcast to the result. op is addmm or baddbmm.
py::object addmm(const char* op, int ndim, py::handle input_, py::handle a_, py::handle b_,
                 py::handle beta_, py::handle alpha_, py::handle out, bool low) {
  const Matrices a = matrices(op, "a", a_, true), b = matrices(op, "b", b_, false);
  const Array input = optional_array(op, "input", input_);
  const double beta = real_argument(op, "beta", beta_), alpha = real_argument(op, "alpha", alpha_);
  CHECK(a.array.ndim() == ndim && b.array.ndim() == ndim, op, ": a and b must have ", ndim,
        " axes, got a.shape = ", a.array.shape(), ", b.shape = ", b.array.shape());
  check_same_dtype(op, "a", a.array, "b", b.array);
  CHECK_TYPE(input.defined() || beta == 0, op, ": input must be given unless beta is 0");
  if (input.defined()) check_same_dtype(op, "a", a.array, "input", input);
  check_inner(op, a, b);
  CHECK(ndim < 3 || a.array.size(0) == b.array.size(0), op,
        ": a and b must have one batch size, got a.shape = ", a.array.shape(),
        ", b.shape = ", b.array.shape());
  const Batch batch = make_batch(op, a, b);
  const Shape shape = result_shape(a, b, batch);
  if (input.defined())
    CHECK(broadcasts_to(input, shape), op, ": input must broadcast to the result's shape ", shape,
          ", got input.shape = ", input.shape());
  Output c(op, out, shape, a.array.typenum(), {&input}, {&a.array, &b.array});
  PyArrayObject* result = c.array().get();
  if (beta != 0 && PyArray_DATA(result) != PyArray_DATA(input.get()) &&
      PyArray_CopyInto(result, input.get()) < 0)
    throw py::error_already_set();
  with_kernels(a.array, work_of(op, a, b, batch), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    Gemm<T> g = product<T>(a, b, batch, c.array());
    g.alpha = static_cast<T>(alpha);
    g.beta = static_cast<T>(beta);
    g.bf16 = low && k.gemm_bf16.function;
    k.gemm(g);
  });
  return c.finish();
}

// Backward reads the output of these; for the others forward keeps the derivative.
bool keeps_output(Activation a) {
  return a == Activation::relu || a == Activation::relu6 || a == Activation::sigmoid ||
         a == Activation::tanh;
}

// The arguments of linear, checked.
struct Linear {
  Array x;
  Matrices weight;
  int64_t rows, ins, outs;
  Shape y_shape;

  Linear(py::handle x_, py::handle weight_) {
    x = Array("linear", "x", x_);
    weight = matrices("linear", "weight", weight_, true);
    check_same_dtype("linear", "x", x, "weight", weight.array);
    CHECK(weight.array.ndim() == 2,
          "linear: weight must have shape (out, in), got weight.shape = ", weight.array.shape());
    CHECK(x.ndim() >= 1 && x.size(-1) == weight.cols,
          "linear: x must have shape (..., in) = (..., ", weight.cols,
          "), got x.shape = ", x.shape(), ", weight.shape = ", weight.array.shape());
    ins = weight.cols;
    outs = weight.rows;
    y_shape = x.shape();
    y_shape.size[y_shape.ndim - 1] = outs;
    rows = 1;
    for (int i = 0; i < x.ndim() - 1; ++i) rows = checked_mul("linear", rows, x.size(i));
  }

  int64_t work() const { return checked_mul("linear", checked_mul("linear", rows, outs), ins + 1); }

  // y (rows, outs) = x weight^T
  template <class T>
  Gemm<T> forward() const {
    Gemm<T> g{};
    g.m = rows;
    g.n = outs;
    g.k = ins;
    g.a = x.data<T>();
    g.a_row = ins;
    g.a_col = 1;
    g.b = weight.array.data<T>();
    g.b_row = weight.col_stride;
    g.b_col = weight.row_stride;
    g.c_row = outs;
    g.alpha = T(1);
    g.batch = 1;
    return g;
  }
};

void check_like_y(const char* name, const Array& array, const Linear& l) {
  check_same_dtype("linear", "x", l.x, name, array);
  CHECK(array.shape() == l.y_shape, "linear: ", name, " must have the result's shape ", l.y_shape,
        ", got ", name, ".shape = ", array.shape());
}

// (y, what backward needs of it or None)
py::tuple linear_forward(py::handle x, py::handle weight, py::handle bias_, py::handle residual_,
                         py::handle activation_, py::handle slope_, bool keep, bool low) {
  const Linear l(x, weight);
  const Array bias = optional_array("linear", "bias", bias_);
  const Array residual = optional_array("linear", "residual", residual_);
  const Activation activation = activation_argument("linear", activation_);
  const double slope = real_argument("linear", "negative_slope", slope_);
  if (bias.defined()) {
    check_same_dtype("linear", "x", l.x, "bias", bias);
    CHECK(bias.ndim() == 1 && bias.size(0) == l.outs, "linear: bias must have shape (out,) = (",
          l.outs, ",), got bias.shape = ", bias.shape());
  }
  if (residual.defined()) check_like_y("residual", residual, l);
  Array y = Array::empty("linear", l.y_shape, l.x.typenum());
  Array derivative;
  if (keep && activation != Activation::none && !keeps_output(activation))
    derivative = Array::empty_like("linear", y);
  with_kernels(l.x, l.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    Gemm<T> g = l.forward<T>();
    g.bf16 = low && k.gemm_bf16.function;
    g.c = y.data<T>();
    g.bias = bias.defined() ? bias.data<T>() : nullptr;
    g.residual = residual.defined() ? residual.data<T>() : nullptr;
    g.activation = activation;
    g.slope = static_cast<T>(slope);
    g.derivative = derivative.defined() ? derivative.data<T>() : nullptr;
    k.gemm(g);
  });
  py::object kept = py::none();
  if (keep && activation != Activation::none)
    kept = derivative.defined() ? derivative.object() : y.object();
  return py::make_tuple(y.object(), kept);
}

// The wanted ones of (dx, dweight, dbias, dresidual), None for the others.
py::tuple linear_backward(py::handle x, py::handle weight, py::handle kept_, py::handle dy_,
                          py::handle activation_, bool want_dx, bool want_dw, bool want_db,
                          bool low) {
  const Linear l(x, weight);
  const Array kept = optional_array("linear", "kept", kept_), dy("linear", "dy", dy_);
  const Activation activation = activation_argument("linear", activation_);
  check_like_y("dy", dy, l);
  if (activation != Activation::none) {
    CHECK_TYPE(kept.defined(), "linear: kept must be given");
    check_like_y("kept", kept, l);
  }
  Array dz = activation == Activation::none ? dy : Array::empty_like("linear", dy);
  Array db = Array::empty("linear", Shape{l.outs}, dy.typenum());
  Array dx, dw;
  if (want_dx) dx = Array::empty_like("linear", l.x);
  if (want_dw) dw = Array::empty("linear", Shape{l.outs, l.ins}, dy.typenum());
  with_kernels(l.x, l.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (l.rows == 0)
      std::fill_n(db.data<T>(), l.outs, T(0));
    else if (want_db || activation != Activation::none)
      k.linear_gradient(kept.defined() ? kept.data<T>() : nullptr, dy.data<T>(), dz.data<T>(),
                        db.data<T>(), l.rows, l.outs, activation);
    Gemm<T> g = l.forward<T>();
    g.bf16 = low && k.gemm_bf16.function;
    if (want_dx) {  // (rows, ins) = dz weight
      g.a = dz.data<T>();
      g.a_row = l.outs;
      g.b_row = l.weight.row_stride;
      g.b_col = l.weight.col_stride;
      g.c = dx.data<T>();
      g.c_row = g.n = l.ins;
      g.k = l.outs;
      k.gemm(g);
    }
    if (want_dw) {  // (outs, ins) = dz^T x
      g.a = dz.data<T>();
      g.a_row = 1;
      g.a_col = l.outs;
      g.b = l.x.data<T>();
      g.b_row = l.ins;
      g.b_col = 1;
      g.c = dw.data<T>();
      g.c_row = g.n = l.ins;
      g.m = l.outs;
      g.k = l.rows;
      k.gemm(g);
    }
  });
  const auto wanted = [](bool want, const Array& a) { return want ? a.object() : py::none(); };
  return py::make_tuple(wanted(want_dx, dx), wanted(want_dw, dw), wanted(want_db, db), dz.object());
}

}  // namespace

void bind_gemm(Module& m) {
  using py::arg;
  m.def("matmul", &matmul, arg("a"), arg("b"), arg("out") = py::none(), arg("low") = false);
  m.def("addmm", &addmm, arg("op"), arg("ndim"), arg("input"), arg("a"), arg("b"), arg("beta"),
        arg("alpha"), arg("out") = py::none(), arg("low") = false);
  m.def("linear_forward", &linear_forward, arg("x"), arg("weight"), arg("bias"), arg("residual"),
        arg("activation"), arg("negative_slope"), arg("keep"), arg("low") = false);
  m.def("linear_backward", &linear_backward, arg("x"), arg("weight"), arg("kept"), arg("dy"),
        arg("activation"), arg("want_dx"), arg("want_dw"), arg("want_db"), arg("low") = false);
}

}  // namespace dlcore
