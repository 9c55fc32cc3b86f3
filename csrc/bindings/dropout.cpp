#include <cmath>
#include <cstring>

#include "bindings/array.h"
#include "runtime/random.h"

namespace dlcore {
namespace {

// A kind of dropout: what the kernel makes of an element that is kept, scale x + shift, and of one
// that is not. -0 changes nothing that it is added to.
struct Kept {
  double scale, shift, dropped;
};

Kept inverted(double p) {
  return {1 / (1 - p), -0.0, 0};
}

// What is dropped becomes the limit of SELU at -inf; scale and shift keep mean 0 and variance 1.
Kept alpha(double p) {
  constexpr double kLimit = -1.7580993408473766;
  const double scale = 1 / std::sqrt((1 - p) * (1 + p * kLimit * kLimit));
  return {scale, -scale * kLimit * p, scale * kLimit * (1 - p)};
}

Kept gradient(const Kept& kept) {
  return {kept.scale, -0.0, 0};
}

// All zeros for p = 1.
void drop(const Array& x, Output& y, double p, const Kept& kept, RandomState from) {
  const double drop_below = std::nearbyint(p * 0x1p32);
  if (drop_below >= 0x1p32) {
    std::memset(y.data<char>(), 0, static_cast<size_t>(x.nbytes()));
    return;
  }
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.dropout(x.data<T>(), y.data<T>(), x.numel(), static_cast<uint32_t>(drop_below),
              static_cast<T>(kept.scale), static_cast<T>(kept.shift), static_cast<T>(kept.dropped),
              from.seed, from.offset);
  });
}

// The result, and where its mask comes from: (seed, offset).
py::object forward(const char* op, Kept (*kind)(double), py::handle x_, double p, py::handle out) {
  const Array x(op, "x", x_);
  CHECK(p >= 0 && p <= 1, op, ": p must be from 0 to 1, got ", p);
  Output y(op, out, x.shape(), x.typenum(), {&x});
  const RandomState from = random_reserve(p > 0 ? counters_for(x.numel()) : 0);
  drop(x, y, p, kind(p), from);
  return py::make_tuple(y.finish(), from.seed, from.offset);
}

py::object backward(const char* op, Kept (*kind)(double), py::handle dy_, double p, uint64_t seed,
                    uint64_t offset) {
  const Array dy(op, "dy", dy_);
  Output dx(op, py::none(), dy.shape(), dy.typenum(), {});
  drop(dy, dx, p, gradient(kind(p)), {seed, offset});
  return dx.finish();
}

struct Named {
  const char* op;
  Kept (*kind)(double);
};
constexpr Named kKinds[] = {{"dropout", &inverted}, {"alpha_dropout", &alpha}};

}  // namespace

void bind_dropout(Module& m) {
  for (const Named& n : kKinds) {
    m.def(
        std::string(n.op) + "_forward",
        [n](py::handle x, double p, py::handle out) { return forward(n.op, n.kind, x, p, out); },
        py::arg("x"), py::arg("p"), py::arg("out") = py::none());
    m.def(
        std::string(n.op) + "_backward",
        [n](py::handle dy, double p, uint64_t seed, uint64_t offset) {
          return backward(n.op, n.kind, dy, p, seed, offset);
        },
        py::arg("dy"), py::arg("p"), py::arg("seed"), py::arg("offset"));
  }
}

}  // namespace dlcore
