// What linear's backward needs besides its two GEMMs: the gradient through the activation and the
// column sums for the bias, in one pass over dy. Bound by memory.

#include "cpu/simd.h"
#include "kernels/activation.h"
#include "kernels/gemm.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kSliceRows = 256;   // of a partial column sum
constexpr int64_t kSliceCols = 1024;  // whose sums stay in L1

// dz = derivative(kept, dy) when dz is not null; sums[j] = the sum of dz's column j. cols <=
// kSliceCols.
template <class T, class F>
DLCORE_INLINE void slice(const T* kept, const T* dy, T* dz, T* sums, int64_t rows, int64_t cols,
                         int64_t n, const F& derivative) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; j += kLanes<T>) {
      const int64_t at = i * n + j, part = smaller(cols - j, kLanes<T>);
      Vec<T> d = load_part<T>(dy + at, part, T(0));
      if (dz) {
        d = derivative(load_part<T>(kept + at, part, T(0)), d);
        store_part<T>(dz + at, part, d);
      }
      if (i > 0) d += load_part<T>(sums + j, part, T(0));
      store_part<T>(sums + j, part, d);
    }
  }
}

template <class T, class F>
DLCORE_INLINE void gradient(const T* kept, const T* dy, T* dz, T* db, int64_t rows, int64_t n,
                            const F& derivative) {
  const int64_t slices = ceil_div(rows, kSliceRows), blocks = ceil_div(n, kSliceCols);
  T* sums = slices == 1
                ? db
                : static_cast<T*>(buffer_acquire(static_cast<size_t>(slices * n) * sizeof(T)));
  parallel_for(slices * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t i = c / blocks * kSliceRows, j = c % blocks * kSliceCols, at = i * n + j;
      slice<T>(dz ? kept + at : nullptr, dy + at, dz ? dz + at : nullptr, sums + c / blocks * n + j,
               smaller(kSliceRows, rows - i), smaller(kSliceCols, n - j), n, derivative);
    }
  });
  if (slices == 1) return;
  for (int64_t j = 0; j < n; ++j) db[j] = sums[j];
  for (int64_t s = 1; s < slices; ++s)
    for (int64_t j = 0; j < n; ++j) db[j] += sums[s * n + j];
  buffer_release(sums);
}

// dz = dy * activation'(z), db = column sums of dz. All of dy is (rows, n), rows > 0. `kept` is the
// output of relu, relu6, sigmoid and tanh, and the derivative itself for the others; unused, as dz,
// for none. dz may be dy.
template <class T>
void linear_gradient(const T* kept, const T* dy, T* dz, T* db, int64_t rows, int64_t n,
                     Activation activation) {
  const auto with = [&](const auto& f) {
    gradient<T>(kept, dy, activation == Activation::none ? nullptr : dz, db, rows, n, f);
  };
  switch (activation) {
    case Activation::none:
      return with([](Vec<T>, Vec<T> d) { return d; });
    case Activation::relu:
    case Activation::relu6: {
      const T top = activation == Activation::relu6
                        ? T(6)
                        : std::numeric_limits<T>::quiet_NaN();  // which nothing equals
      return with([=](Vec<T> y, Vec<T> d) { return ((y > T(0)) & (y != top)) ? d : Vec<T>{}; });
    }
    case Activation::sigmoid:
      return with([](Vec<T> y, Vec<T> d) { return d * (y * (T(1) - y)); });
    case Activation::tanh:
      return with([](Vec<T> y, Vec<T> d) { return d * (T(1) - y * y); });
    case Activation::leaky_relu:
    case Activation::gelu:
    case Activation::gelu_tanh:
    case Activation::silu:
      return with([](Vec<T> derivative, Vec<T> d) { return d * derivative; });
  }
}

}  // namespace

DLCORE_EXPORT(linear_gradient)

}  // namespace DLCORE_ISA
}  // namespace dlcore
