#include "bindings/array.h"

namespace dlcore {
namespace {

AdditiveSizes additive_sizes(const char* op, const Array& q, const Array& k, const Array& w) {
  check_same_dtype(op, "query", q, "key", k);
  check_same_dtype(op, "query", q, "weight", w);
  CHECK(q.ndim() == 3, op, ": query must have 3 axes here, got query.shape = ", q.shape());
  CHECK(k.ndim() == 3 && k.size(0) == q.size(0) && k.size(2) == q.size(2), op,
        ": key must have query's batch and last axis, query.shape = ", q.shape(),
        ", got key.shape = ", k.shape());
  CHECK(w.ndim() == 1 && w.size(0) == q.size(2), op, ": weight must have shape (", q.size(2),
        ",), got weight.shape = ", w.shape());
  return {q.size(0), q.size(1), k.size(1), q.size(2)};
}

int64_t work(const AdditiveSizes& p) {
  const double all = static_cast<double>(p.batch * p.queries) * static_cast<double>(p.keys);
  return static_cast<int64_t>(std::min(all * static_cast<double>(p.depth), 1e15));
}

py::object additive_scores_forward(py::handle query, py::handle key, py::handle weight) {
  constexpr char op[] = "additive_scores";
  const Array q(op, "query", query), k(op, "key", key), w(op, "weight", weight);
  const AdditiveSizes p = additive_sizes(op, q, k, w);
  Array s = Array::empty(op, {p.batch, p.queries, p.keys}, q.typenum());
  if (s.numel() > 0)
    with_kernels(q, work(p), [&](const auto& kernels) {
      using T = scalar_of<decltype(kernels)>;
      kernels.additive_scores_forward(q.data<T>(), k.data<T>(), w.data<T>(), s.data<T>(), p);
    });
  return s.release();
}

py::object additive_scores_backward(py::handle query, py::handle key, py::handle weight,
                                    py::handle ds_) {
  constexpr char op[] = "additive_scores_backward";
  const Array q(op, "query", query), k(op, "key", key), w(op, "weight", weight), ds(op, "ds", ds_);
  const AdditiveSizes p = additive_sizes(op, q, k, w);
  check_same_dtype(op, "query", q, "ds", ds);
  CHECK(ds.shape() == Shape({p.batch, p.queries, p.keys}), op,
        ": ds must have the result's shape, got ds.shape = ", ds.shape());
  const Array dq = Array::empty_like(op, q), dk = Array::empty_like(op, k),
              dw = Array::empty_like(op, w);
  with_kernels(q, 2 * work(p), [&](const auto& kernels) {
    using T = scalar_of<decltype(kernels)>;
    kernels.additive_scores_backward(q.data<T>(), k.data<T>(), w.data<T>(), ds.data<T>(),
                                     dq.data<T>(), dk.data<T>(), dw.data<T>(), p);
  });
  return py::make_tuple(dq.object(), dk.object(), dw.object());
}

py::object rotary(py::handle x_, py::handle cos_, py::handle sin_, bool interleaved, bool back) {
  constexpr char op[] = "rotary_embedding";
  const Array x(op, "x", x_), cos(op, "cos", cos_), sin(op, "sin", sin_);
  check_same_dtype(op, "x", x, "cos", cos);
  check_same_dtype(op, "x", x, "sin", sin);
  CHECK(x.ndim() >= 2 && x.size(-1) % 2 == 0, op,
        ": x must have 2 axes or more, the last of even length, got x.shape = ", x.shape());
  const int64_t rows = x.size(-2), half = x.size(-1) / 2;
  for (const Array* table : {&cos, &sin})
    CHECK(table->shape() == Shape({rows, half}), op, ": positions must have shape (", rows,
          ",), one for each row of x.shape = ", x.shape());
  Array y = Array::empty_like(op, x);
  if (x.numel() > 0)
    with_kernels(x, 2 * x.numel(), [&](const auto& kernels) {
      using T = scalar_of<decltype(kernels)>;
      kernels.rotary(x.data<T>(), cos.data<T>(), sin.data<T>(), y.data<T>(),
                     x.numel() / (2 * rows * half), rows, half, interleaved, back);
    });
  return y.release();
}

}  // namespace

void bind_attention_scores(Module& m) {
  m.def("additive_scores_forward", &additive_scores_forward, py::arg("query"), py::arg("key"),
        py::arg("weight"));
  m.def("additive_scores_backward", &additive_scores_backward, py::arg("query"), py::arg("key"),
        py::arg("weight"), py::arg("ds"));
  m.def("rotary_embedding", &rotary, py::arg("x"), py::arg("cos"), py::arg("sin"),
        py::arg("interleaved"), py::arg("back"));
}

}  // namespace dlcore
