// Activations with a second input: a half of x as the gate of the other, slopes that are learned.
#include "bindings/array.h"

namespace dlcore {
namespace {

struct Named {
  const char *op, *function;
  Gate gate;
};
constexpr Named kGates[] = {
    {"glu", "glu", Gate::sigmoid},
    {"geglu", "geglu", Gate::gelu},
    {"geglu", "geglu_tanh", Gate::gelu_tanh},
    {"swiglu", "swiglu", Gate::silu},
    {"reglu", "reglu", Gate::relu},
};

// x as (rows, 2, n) around the axis that is halved.
struct Halves {
  Shape half;
  int64_t rows = 1, n = 1;

  Halves(const char* op, const Array& x, py::handle dim_) : half(x.shape()) {
    CHECK(x.ndim() >= 1, op, ": x must have at least 1 axis, got x.shape = ()");
    const int dim = static_cast<int>(check_dim(op, int_argument(op, "dim", dim_), x));
    CHECK(x.size(dim) % 2 == 0, op, ": x must have an even size along dim ", dim,
          ", got x.shape = ", x.shape());
    half.size[dim] /= 2;
    for (int i = 0; i < dim; ++i) rows *= half[i];
    for (int i = dim; i < x.ndim(); ++i) n *= half[i];
  }
};

py::object glu_forward(const Named& f, py::handle x_, py::handle dim, py::handle out) {
  const Array x(f.op, "x", x_);
  const Halves h(f.op, x, dim);
  Output y(f.op, out, h.half, x.typenum(), {}, {&x});
  if (x.numel() > 0)
    with_kernels(x, 8 * x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.glu_forward(x.data<T>(), y.data<T>(), h.rows, h.n, f.gate);
    });
  return y.finish();
}

py::object glu_backward(const Named& f, py::handle x_, py::handle dy_, py::handle dim) {
  const Array x(f.op, "x", x_), dy(f.op, "dy", dy_);
  check_same_dtype(f.op, "x", x, "dy", dy);
  const Halves h(f.op, x, dim);
  CHECK(dy.shape() == h.half, f.op, ": dy must have shape ", h.half,
        ", got dy.shape = ", dy.shape());
  Array dx = Array::empty_like(f.op, x);
  if (x.numel() > 0)
    with_kernels(x, 8 * x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.glu_backward(x.data<T>(), dy.data<T>(), dx.data<T>(), h.rows, h.n, f.gate);
    });
  return dx.release();
}

// x (outer, channels, inner), one weight for each channel; outer and channels are 1 for one weight.
struct Channels {
  Array x, weight;
  int64_t outer = 1, channels, inner = 1;

  Channels(const char* op, py::handle x_, py::handle weight_)
      : x(op, "x", x_), weight(op, "weight", weight_), channels(weight.numel()) {
    check_same_dtype(op, "x", x, "weight", weight);
    CHECK(weight.ndim() <= 1, op,
          ": weight must have one axis, got weight.shape = ", weight.shape());
    if (channels == 1) {
      inner = x.numel();
      return;
    }
    CHECK(x.ndim() >= 2 && x.size(1) == channels, op,
          ": weight must have 1 element, or one for each of the channels x.shape[1], got "
          "weight.shape = ",
          weight.shape(), " for x.shape = ", x.shape());
    outer = x.size(0);
    for (int i = 2; i < x.ndim(); ++i) inner *= x.size(i);
  }
};

py::object prelu_forward(py::handle x, py::handle weight, py::handle out) {
  const Channels c("prelu", x, weight);
  Output y("prelu", out, c.x.shape(), c.x.typenum(), {&c.x}, {&c.weight});
  if (c.x.numel() > 0)
    with_kernels(c.x, c.x.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      k.prelu_forward(c.x.template data<T>(), c.weight.template data<T>(), y.data<T>(), c.outer,
                      c.channels, c.inner);
    });
  return y.finish();
}

// (dx, dweight).
py::object prelu_backward(py::handle x, py::handle weight, py::handle dy_) {
  const Channels c("prelu", x, weight);
  const Array dy("prelu", "dy", dy_);
  check_same_dtype("prelu", "x", c.x, "dy", dy);
  CHECK(dy.same_shape(c.x), "prelu: dy must have x.shape = ", c.x.shape(),
        ", got dy.shape = ", dy.shape());
  Array dx = Array::empty_like("prelu", c.x), dweight = Array::empty_like("prelu", c.weight);
  with_kernels(c.x, 2 * c.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.prelu_backward(c.x.template data<T>(), c.weight.template data<T>(), dy.data<T>(),
                     dx.data<T>(), dweight.data<T>(), c.outer, c.channels, c.inner);
  });
  return py::make_tuple(dx.release(), dweight.release());
}

}  // namespace

void bind_gated(Module& m) {
  const py::arg x("x"), dy("dy");
  const auto dim = py::arg("dim") = -1;
  const auto out = py::arg("out") = py::none();
  for (const Named& f : kGates) {
    m.def(
        std::string(f.function) + "_forward",
        [f](py::handle x, py::handle dim, py::handle out) { return glu_forward(f, x, dim, out); },
        x, dim, out);
    m.def(
        std::string(f.function) + "_backward",
        [f](py::handle x, py::handle dy, py::handle dim) { return glu_backward(f, x, dy, dim); }, x,
        dy, dim);
  }
  m.def("prelu_forward", &prelu_forward, x, py::arg("weight"), out);
  m.def("prelu_backward", &prelu_backward, x, py::arg("weight"), dy);
}

}  // namespace dlcore
