#include "runtime/random.h"

#include <cmath>
#include <memory>

#include "bindings/array.h"
#include "runtime/buffer.h"

namespace dlcore {
namespace {

Shape shape_of(const char* op, py::handle sizes) {
  CHECK_TYPE(PyTuple_Check(sizes.ptr()), op, ": size must be a tuple of whole numbers");
  const Py_ssize_t n = PyTuple_GET_SIZE(sizes.ptr());
  CHECK(n <= NPY_MAXDIMS, op, ": size must have at most ", NPY_MAXDIMS, " axes, got ", n);
  Shape shape;
  for (Py_ssize_t i = 0; i < n; ++i) {
    // A number beyond 64 bits becomes the nearest inside, which no array holds either.
    const Py_ssize_t size = PyNumber_AsSsize_t(PyTuple_GET_ITEM(sizes.ptr(), i), nullptr);
    if (size == -1 && PyErr_Occurred()) throw py::error_already_set();
    CHECK(size >= 0, op, ": size must not be negative, got ", size);
    shape.size[shape.ndim++] = size;
  }
  return shape;
}

int float_type(bool is_double) {
  return is_double ? NPY_DOUBLE : NPY_FLOAT;
}

int64_t words_of(const Array& y) {
  return y.is_float() ? y.numel() : 2 * y.numel();
}

py::object uniform(double low, double high, py::handle size, bool is_double) {
  CHECK(std::isfinite(low) && std::isfinite(high) && low <= high,
        "uniform: low and high must be finite and low <= high, got ", low, " and ", high);
  Array y = Array::empty("uniform", shape_of("uniform", size), float_type(is_double));
  const RandomState from = random_reserve(counters_for(words_of(y)));
  with_kernels(y, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.random_uniform(y.data<T>(), y.numel(), static_cast<T>(low), static_cast<T>(high), from.seed,
                     from.offset);
  });
  return y.release();
}

py::object normal(double mean, double std, py::handle size, bool is_double) {
  CHECK(std >= 0, "normal: std must be at least 0, got ", std);
  Array y = Array::empty("normal", shape_of("normal", size), float_type(is_double));
  const RandomState from = random_reserve(counters_for(words_of(y)));
  with_kernels(y, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.random_normal(y.data<T>(), y.numel(), static_cast<T>(mean), static_cast<T>(std), from.seed,
                    from.offset);
  });
  return y.release();
}

// One p for each number, or one p and a size.
py::object bernoulli(py::handle p_, py::handle size) {
  const Array p("bernoulli", "p", p_);
  CHECK(size.is_none() || p.numel() == 1,
        "bernoulli: p must be one number where size is given, got p.shape = ", p.shape());
  for (int64_t i = 0; i < p.numel(); ++i) {
    const double value = p.is_float() ? p.data<float>()[i] : p.data<double>()[i];
    CHECK(value >= 0 && value <= 1, "bernoulli: p must be from 0 to 1, got ", value,
          " at flat index ", i);
  }
  const int64_t p_step = size.is_none() ? 1 : 0;
  const Shape shape = size.is_none() ? p.shape() : shape_of("bernoulli", size);
  Array y = Array::empty("bernoulli", shape, p.typenum());
  const RandomState from = random_reserve(counters_for(words_of(y)));
  with_kernels(y, y.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.random_bernoulli(p.data<T>(), p_step, y.data<T>(), y.numel(), from.seed, from.offset);
  });
  return y.release();
}

// 64-bit words of the stream, for the integers.
class RandomWords {
 public:
  explicit RandomWords(const char* op, int64_t n)
      : words_(static_cast<uint64_t*>(
            buffer_acquire(static_cast<size_t>(checked_mul(op, n, 8)) + 1))) {
    const RandomState from = random_reserve(counters_for(2 * n));
    kernels<float>().random_bits(reinterpret_cast<uint32_t*>(words_.get()), 2 * n, from.seed,
                                 from.offset, 0);
  }
  // A whole number of [0, limit): the high word of the product. Off uniform by at most limit /
  // 2^64.
  uint64_t below(int64_t i, uint64_t limit) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(words_.get()[i]) * limit) >> 64);
  }

 private:
  struct Release {
    void operator()(uint64_t* block) const { buffer_release(block); }
  };
  std::unique_ptr<uint64_t, Release> words_;
};

py::object randint(int64_t low, int64_t high, py::handle size) {
  CHECK(low < high, "randint: high must exceed low, got low = ", low, ", high = ", high);
  Array y = Array::empty("randint", shape_of("randint", size), NPY_INT64);
  const int64_t n = y.numel();
  int64_t* out = y.data<int64_t>();
  const uint64_t first = static_cast<uint64_t>(low), range = static_cast<uint64_t>(high) - first;
  {
    const GilReleased released;
    const RandomWords words("randint", n);
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(first + words.below(i, range));
  }
  return y.release();
}

// Fisher and Yates, from the end.
py::object randperm(int64_t n) {
  CHECK(n >= 0, "randperm: n must be at least 0, got ", n);
  Array y = Array::empty("randperm", {n}, NPY_INT64);
  int64_t* out = y.data<int64_t>();
  {
    const GilReleased released;
    const RandomWords words("randperm", n);
    for (int64_t i = 0; i < n; ++i) out[i] = i;
    for (int64_t i = n - 1; i > 0; --i)
      std::swap(out[i], out[words.below(i, static_cast<uint64_t>(i) + 1)]);
  }
  return y.release();
}

// The raw stream, for known-answer tests: n words of 32 bits.
py::object random_bits(int64_t n, uint64_t seed, uint64_t offset, uint64_t stream) {
  CHECK(n >= 0, "random_bits: n must be at least 0, got ", n);
  Array y = Array::empty("random_bits", {n}, NPY_UINT32);
  kernels<float>().random_bits(y.data<uint32_t>(), n, seed, offset, stream);
  return y.release();
}

}  // namespace

void bind_random(Module& m) {
  m.def("random_state", [] {
    const RandomState state = random_state();
    return py::make_tuple(state.seed, state.offset);
  });
  m.def(
      "set_random_state", [](uint64_t seed, uint64_t offset) { set_random_state({seed, offset}); },
      py::arg("seed"), py::arg("offset"));
  m.def("uniform", &uniform, py::arg("low"), py::arg("high"), py::arg("size"),
        py::arg("is_double"));
  m.def("normal", &normal, py::arg("mean"), py::arg("std"), py::arg("size"), py::arg("is_double"));
  m.def("bernoulli", &bernoulli, py::arg("p"), py::arg("size"));
  m.def("randint", &randint, py::arg("low"), py::arg("high"), py::arg("size"));
  m.def("randperm", &randperm, py::arg("n"));
  m.def("random_bits", &random_bits, py::arg("n"), py::arg("seed"), py::arg("offset"),
        py::arg("stream"));
}

}  // namespace dlcore
