#include <cmath>
#include <cstring>

#include "bindings/array.h"
#include "runtime/random.h"

namespace dlcore {
namespace {

void check_probability(double p) {
  CHECK(p >= 0 && p <= 1, "dropout: p must be from 0 to 1, got ", p);
}

void drop(const Array& x, Output& y, double p, RandomState from) {
  const double drop_below = std::nearbyint(p * 0x1p32);
  if (drop_below >= 0x1p32) {
    std::memset(y.data<char>(), 0, static_cast<size_t>(x.nbytes()));
    return;
  }
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.dropout(x.data<T>(), y.data<T>(), x.numel(), static_cast<uint32_t>(drop_below),
              static_cast<T>(1 / (1 - p)), from.seed, from.offset);
  });
}

// The result, and where its mask comes from: (seed, offset).
py::object dropout_forward(py::handle x_, double p, py::handle out) {
  const Array x("dropout", "x", x_);
  check_probability(p);
  Output y("dropout", out, x.shape(), x.typenum(), {&x});
  const RandomState from = random_reserve(p > 0 ? counters_for(x.numel()) : 0);
  drop(x, y, p, from);
  return py::make_tuple(y.finish(), from.seed, from.offset);
}

py::object dropout_backward(py::handle dy_, double p, uint64_t seed, uint64_t offset) {
  const Array dy("dropout_backward", "dy", dy_);
  Output dx("dropout_backward", py::none(), dy.shape(), dy.typenum(), {});
  drop(dy, dx, p, {seed, offset});
  return dx.finish();
}

}  // namespace

void bind_dropout(Module& m) {
  m.def("dropout_forward", &dropout_forward, py::arg("x"), py::arg("p"),
        py::arg("out") = py::none());
  m.def("dropout_backward", &dropout_backward, py::arg("dy"), py::arg("p"), py::arg("seed"),
        py::arg("offset"));
}

}  // namespace dlcore
