#include <algorithm>

#include "bindings/array.h"

namespace dlcore {
namespace {

struct Mode {
  RnnCell cell;
  int update;
};

Mode mode_argument(const char* op, const std::string& mode) {
  if (mode == "rnn_tanh") return {RnnCell::tanh, 1};
  if (mode == "rnn_relu") return {RnnCell::relu, 1};
  if (mode == "lstm") return {RnnCell::lstm, 1};
  if (mode == "gru") return {RnnCell::gru, 1};
  if (mode == "cho") return {RnnCell::gru_reset_first, 1};
  CHECK(mode == "chung", op, ": convention must be 'pytorch', 'cho' or 'chung', got '", mode, "'");
  return {RnnCell::gru_reset_first, -1};
}

constexpr int kWeights = 6;
constexpr const char* kNames[kWeights] = {"weight_ih", "weight_hh", "bias_ih",
                                          "bias_hh",   "weight_hr", "weight_peephole"};

// The arguments of one layer, checked.
struct Layer {
  const char* op;
  Mode mode;
  int64_t batch;
  Array x, h0, c0, weights[2][kWeights];
  int64_t steps, inputs, hidden, outputs, directions;
  bool packed;
  std::vector<int64_t> first;

  Layer(const char* name, const std::string& mode_, py::handle x_, py::handle h0_, py::handle c0_,
        py::handle weights_, py::handle batch_sizes, int64_t batch_, int64_t layer)
      : op(name), mode(mode_argument(name, mode_)), batch(batch_) {
    x = Array(op, "x", x_);
    packed = !batch_sizes.is_none();
    CHECK(x.ndim() == (packed ? 2 : 3), op, ": x must have ", packed ? 2 : 3,
          packed ? " axes (all steps' rows, inputs)" : " axes (steps, batch, inputs)",
          ", got x.shape = ", x.shape());
    inputs = x.size(-1);
    read_weights(weights_, layer);
    h0 = optional_array(op, "h0", h0_);
    c0 = optional_array(op, "c0", c0_);
    packed ? read_batch_sizes(batch_sizes) : read_steps();
    check_state("h0", h0, outputs);
    if (lstm()) check_state("c0", c0, hidden);
  }

  bool lstm() const { return mode.cell == RnnCell::lstm; }
  int64_t rows() const { return first.back(); }
  int64_t columns() const { return checked_mul(op, rnn_columns(mode.cell), hidden); }
  // A result or its gradient: as x but for the last axis.
  Shape like_x(int64_t n) const { return packed ? Shape{rows(), n} : Shape{steps, batch, n}; }
  Shape state(int64_t n) const { return Shape{directions, batch, n}; }
  int64_t work() const {
    const int64_t product = checked_mul(op, rnn_gates(mode.cell) * hidden, inputs + outputs + 1);
    return checked_mul(op, checked_mul(op, rows(), directions), product);
  }

  template <class T>
  Rnn<T> rnn() const {
    Rnn<T> r{};
    r.cell = mode.cell;
    r.update = static_cast<T>(mode.update);
    r.steps = steps, r.batch = batch, r.inputs = inputs;
    r.hidden = hidden, r.outputs = outputs, r.directions = directions;
    r.first = first.data();
    r.x = x.data<T>();
    r.h0 = h0.defined() ? h0.data<T>() : nullptr;
    r.c0 = c0.defined() ? c0.data<T>() : nullptr;
    for (int64_t d = 0; d < directions; ++d) r.weights[d] = pointers<const T>(weights[d]);
    return r;
  }

  template <class T>
  static RnnWeights<T> pointers(const Array (&all)[kWeights]) {
    using Plain = std::remove_const_t<T>;
    T* p[kWeights];
    for (int i = 0; i < kWeights; ++i) p[i] = all[i].defined() ? all[i].data<Plain>() : nullptr;
    return {p[0], p[1], p[2], p[3], p[4], p[5]};
  }

 private:
  void read_weights(py::handle object, int64_t layer) {
    const py::object all = sequence_argument(op, "weights", object);
    directions = static_cast<int64_t>(py::len(all));
    CHECK(directions == 1 || directions == 2, op, ": weights must be of one direction or two");
    int64_t d = 0;
    for (py::handle one : all) {
      const py::object list = sequence_argument(op, "weights", one);
      CHECK(py::len(list) == kWeights, op, ": weights must be ", kWeights, " to a direction");
      int i = 0;
      for (py::handle weight : list) {
        const std::string name = named(i, d, layer);
        weights[d][i] =
            i < 2 ? Array(op, name.c_str(), weight) : optional_array(op, name.c_str(), weight);
        if (weights[d][i].defined()) check_same_dtype(op, "x", x, name.c_str(), weights[d][i]);
        ++i;
      }
      check_weights(d, layer);
      ++d;
    }
  }

  static std::string named(int i, int64_t d, int64_t layer) {
    if (layer < 0) return kNames[i];
    return text(kNames[i], "_l", layer, d ? "_reverse" : "");
  }

  void check_weights(int64_t d, int64_t layer) {
    const Array(&w)[kWeights] = weights[d];
    const int64_t gates = rnn_gates(mode.cell);
    const auto fits = [&](int i, const Shape& shape) {
      CHECK(!w[i].defined() || w[i].shape() == shape, op, ": ", named(i, d, layer),
            " must have shape ", shape, ", got ", named(i, d, layer), ".shape = ", w[i].shape());
    };
    if (d == 0) {
      CHECK(w[1].ndim() == 2, op, ": ", named(1, d, layer), " must have 2 axes, got ",
            named(1, d, layer), ".shape = ", w[1].shape());
      CHECK(w[1].size(0) > 0 && w[1].size(0) % gates == 0, op, ": ", named(1, d, layer),
            " must have ", gates, " * hidden rows, got ", named(1, d, layer),
            ".shape = ", w[1].shape());
      hidden = w[1].size(0) / gates;
      outputs = w[4].defined() ? w[1].size(1) : hidden;
      CHECK(outputs > 0, op, ": ", named(1, d, layer), " must not be empty, got ",
            named(1, d, layer), ".shape = ", w[1].shape());
    }
    CHECK(w[2].defined() == w[3].defined(), op, ": ", named(2, d, layer), " and ",
          named(3, d, layer), " must be given together");
    CHECK(lstm() || (!w[4].defined() && !w[5].defined()), op,
          ": a projection and peepholes must be an lstm's");
    fits(0, {gates * hidden, inputs});
    fits(1, {gates * hidden, outputs});
    fits(2, {gates * hidden});
    fits(3, {gates * hidden});
    fits(4, {outputs, hidden});
    fits(5, {3 * hidden});
    for (int i = 4; d == 1 && i < kWeights; ++i)
      CHECK(w[i].defined() == weights[0][i].defined(), op, ": ", named(i, d, layer),
            " must be given for both directions or none");
  }

  void read_steps() {
    steps = x.size(0);
    batch = x.size(1);
    checked_mul(op, steps, batch);
    first.reserve(static_cast<size_t>(steps) + 1);
    for (int64_t t = 0; t <= steps; ++t) first.push_back(t * batch);
  }

  void read_batch_sizes(py::handle object) {
    const auto sizes = argument<std::vector<int64_t>>(op, "batch_sizes", object);
    steps = static_cast<int64_t>(sizes.size());
    CHECK(batch >= 0, op, ": batch must be at least 0, got ", batch);
    first.assign(1, 0);
    int64_t most = batch;
    for (const int64_t size : sizes) {
      CHECK(size >= 1 && size <= most, op, ": batch_sizes must fall from at most the batch, ",
            batch, ", to 1, got ", size);
      most = size;
      first.push_back(checked_add(op, first.back(), size));
    }
    CHECK(first.back() == x.size(0), op, ": batch_sizes must add up to x's rows, got ",
          first.back(), ", x.shape = ", x.shape());
  }

  void check_state(const char* name, const Array& a, int64_t n) const {
    if (!a.defined()) return;
    check_same_dtype(op, "x", x, name, a);
    CHECK(a.shape() == state(n), op, ": ", name, " must have shape (directions, batch, ",
          n == hidden ? "hidden" : "outputs", ") = ", state(n), ", got ", name,
          ".shape = ", a.shape());
  }
};

py::object or_none(const Array& a) {
  return a.defined() ? a.object() : py::none();
}

template <class T>
T* data_or_null(const Array& a) {
  return a.defined() ? a.data<T>() : nullptr;
}

// (y, h_n, c_n, gates, cells): c_n of an lstm, the last two with `keep` and where backward needs
// them, else None.
py::tuple rnn_forward(const std::string& op, const std::string& mode, py::handle x, py::handle h0,
                      py::handle c0, py::handle weights, py::handle batch_sizes, int64_t batch,
                      int64_t layer, bool keep, bool low) {
  const Layer l(op.c_str(), mode, x, h0, c0, weights, batch_sizes, batch, layer);
  const int type = l.x.typenum();
  const int64_t all = checked_mul(l.op, l.directions, l.outputs);
  Array y = Array::empty(l.op, l.like_x(all), type);
  Array h_n = Array::empty(l.op, l.state(l.outputs), type), c_n, gates, cells;
  if (l.lstm()) c_n = Array::empty(l.op, l.state(l.hidden), type);
  if (keep && l.columns() > l.hidden)
    gates = Array::empty(l.op, Shape{l.directions, l.rows(), l.columns()}, type);
  if (keep && l.lstm()) cells = Array::empty(l.op, Shape{l.directions, l.rows(), l.hidden}, type);
  with_kernels(l.x, l.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    Rnn<T> r = l.rnn<T>();
    r.bf16 = low && k.gemm_bf16.function;
    k.rnn_forward(r, y.data<T>(), h_n.data<T>(), data_or_null<T>(c_n), data_or_null<T>(gates),
                  data_or_null<T>(cells));
  });
  return py::make_tuple(y.object(), h_n.object(), or_none(c_n), or_none(gates), or_none(cells));
}

Array kept(const Layer& l, const char* name, py::handle object, const Shape& shape, bool needed) {
  const Array a = optional_array(l.op, name, object);
  CHECK_TYPE(a.defined() || !needed, l.op, ": ", name, " must be given");
  if (!a.defined()) return a;
  check_same_dtype(l.op, "x", l.x, name, a);
  CHECK(a.shape() == shape, l.op, ": ", name, " must have shape ", shape, ", got ", name,
        ".shape = ", a.shape());
  return a;
}

// (dx, dh0, dc0, one tuple of gradients to a direction, as weights): None for what is not wanted.
py::tuple rnn_backward(const std::string& op, const std::string& mode, py::handle x, py::handle h0,
                       py::handle c0, py::handle weights, py::handle batch_sizes, int64_t batch,
                       py::handle y_, py::handle gates_, py::handle cells_, py::handle dy_,
                       py::handle dh_n_, py::handle dc_n_, bool want_dx,
                       const std::vector<bool>& want_weights, bool low) {
  const Layer l(op.c_str(), mode, x, h0, c0, weights, batch_sizes, batch, -1);
  const int type = l.x.typenum();
  CHECK(static_cast<int64_t>(want_weights.size()) == l.directions * kWeights, l.op,
        ": want_weights must have ", l.directions * kWeights, " flags");
  const Shape y_shape = l.like_x(checked_mul(l.op, l.directions, l.outputs));
  const bool gated = l.columns() > l.hidden;
  const Array y = kept(l, "y", y_, y_shape, true);
  const Array gates = kept(l, "gates", gates_, {l.directions, l.rows(), l.columns()}, gated);
  const Array cells = kept(l, "cells", cells_, {l.directions, l.rows(), l.hidden}, l.lstm());
  const Array dy = kept(l, "dy", dy_, y_shape, false);
  const Array dh_n = kept(l, "dh_n", dh_n_, l.state(l.outputs), false);
  const Array dc_n = kept(l, "dc_n", dc_n_, l.state(l.hidden), false);
  Array dx, dh0 = Array::empty(l.op, l.state(l.outputs), type), dc0, dw[2][kWeights];
  if (want_dx) dx = Array::empty_like(l.op, l.x);
  if (l.lstm()) dc0 = Array::empty(l.op, l.state(l.hidden), type);
  py::tuple dweights(static_cast<size_t>(l.directions));
  for (int64_t d = 0; d < l.directions; ++d) {
    py::tuple mine(kWeights);
    for (int i = 0; i < kWeights; ++i) {
      if (want_weights[static_cast<size_t>(d * kWeights + i)] && l.weights[d][i].defined())
        dw[d][i] = Array::empty_like(l.op, l.weights[d][i]);
      mine[static_cast<size_t>(i)] = or_none(dw[d][i]);
    }
    dweights[static_cast<size_t>(d)] = mine;
  }
  with_kernels(l.x, l.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    RnnGradients<T> g{};
    g.dy = data_or_null<T>(dy);
    g.dh_n = data_or_null<T>(dh_n);
    g.dc_n = data_or_null<T>(dc_n);
    g.dx = data_or_null<T>(dx);
    g.dh0 = dh0.data<T>();
    g.dc0 = data_or_null<T>(dc0);
    for (int64_t d = 0; d < l.directions; ++d) g.weights[d] = Layer::pointers<T>(dw[d]);
    Rnn<T> r = l.rnn<T>();
    r.bf16 = low && k.gemm_bf16.function;
    k.rnn_backward(r, y.data<T>(), data_or_null<T>(gates), data_or_null<T>(cells), g);
  });
  return py::make_tuple(or_none(dx), dh0.object(), or_none(dc0), dweights);
}

// The rows that an index of int64 names; `fill` where it is -1.
py::object place_rows(const std::string& op, py::handle x_, py::handle index_, double fill) {
  const Array x(op.c_str(), "x", x_);
  CHECK(x.ndim() == 2, op, ": x must have 2 axes, got x.shape = ", x.shape());
  CHECK_TYPE(PyArray_Check(index_.ptr()), op, ": index must be an array");
  PyArrayObject* index = reinterpret_cast<PyArrayObject*>(index_.ptr());
  CHECK_TYPE(
      PyArray_TYPE(index) == NPY_INT64 && PyArray_NDIM(index) == 1 && PyArray_ISCARRAY_RO(index),
      op, ": index must be an array of int64");
  const int64_t rows = PyArray_DIM(index, 0), all = x.size(0);
  const int64_t* rows_of_x = static_cast<const int64_t*>(PyArray_DATA(index));
  for (int64_t i = 0; i < rows; ++i)
    CHECK_INDEX(rows_of_x[i] >= -1 && rows_of_x[i] < all, op, ": index must be from -1 to ",
                all - 1, ", got ", rows_of_x[i]);
  Array y = Array::empty(op.c_str(), Shape{rows, x.size(1)}, x.typenum());
  with_kernels(x, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.place_rows(x.data<T>(), rows_of_x, y.data<T>(), rows, x.size(1), static_cast<T>(fill));
  });
  return y.release();
}

}  // namespace

void bind_rnn(Module& m) {
  using py::arg;
  m.def("rnn_forward", &rnn_forward, arg("op"), arg("mode"), arg("x"), arg("h0"), arg("c0"),
        arg("weights"), arg("batch_sizes"), arg("batch"), arg("layer"), arg("keep"),
        arg("low") = false);
  m.def("rnn_backward", &rnn_backward, arg("op"), arg("mode"), arg("x"), arg("h0"), arg("c0"),
        arg("weights"), arg("batch_sizes"), arg("batch"), arg("y"), arg("gates"), arg("cells"),
        arg("dy"), arg("dh_n"), arg("dc_n"), arg("want_dx"), arg("want_weights"),
        arg("low") = false);
  m.def("place_rows", &place_rows, arg("op"), arg("x"), arg("index"), arg("fill"));
}

}  // namespace dlcore
