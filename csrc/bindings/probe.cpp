// For the benchmarks: one pass each, timed by the caller.
#include "bindings/array.h"

namespace dlcore {
namespace {

// The number of floating-point operations done.
double probe_fma(int64_t chunks, bool wide) {
  CHECK(chunks >= 1 && chunks <= 1 << 20, "probe_fma: chunks must be from 1 to 1048576, got ",
        chunks);
  Array sink = Array::empty("probe_fma", Shape{chunks, 16}, wide ? NPY_DOUBLE : NPY_FLOAT);
  double flops = 0;
  with_kernels(sink, kReleaseFrom, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.probe_fma(sink.data<T>(), &flops, chunks);
  });
  return flops;
}

void probe_read(py::handle x_) {
  const Array x("probe_read", "x", x_);
  Array sink = Array::empty("probe_read", Shape{x.numel() / 1024 + 1}, x.typenum());
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.probe_read(x.data<T>(), sink.data<T>(), x.numel());
  });
}

py::object probe_copy(py::handle x_, py::handle out, bool past_caches) {
  const Array x("probe_copy", "x", x_);
  Output y("probe_copy", out, x.shape(), x.typenum(), {&x});
  with_kernels(x, x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.probe_copy(x.data<T>(), y.data<T>(), x.numel(), past_caches);
  });
  return y.finish();
}

}  // namespace

void bind_probe(Module& m) {
  m.def("probe_fma", &probe_fma, py::arg("chunks"), py::arg("wide") = false);
  m.def("probe_read", &probe_read, py::arg("x"));
  m.def("probe_copy", &probe_copy, py::arg("x"), py::arg("out"), py::arg("past_caches"));
}

}  // namespace dlcore
