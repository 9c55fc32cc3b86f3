// GEMM: chooses the way for a shape. Each way is a header: blocked with packing (gemm_blocked.h),
// a few rows or columns against a large matrix (gemm_skinny.h), all on the register tile of
// gemm_tile.h. Bound by multiply-adds from some 100 rows and columns up, below by memory.

#include "kernels/gemm.h"

#include "cpu/gemm_skinny.h"

namespace dlcore {
namespace DLCORE_ISA {

extern gemm_bf16_signature<float>* const gemm_bf16_f32;

namespace {

constexpr int64_t kOwnThreads = 1 << 22;  // a batched product this large is cut by itself

template <class T>
Product<T> product_of(const Gemm<T>& g, int64_t i, const T* row_bias = nullptr) {
  const int64_t at = i * g.m * g.c_row;
  return {g.m,
          g.n,
          g.alpha == T(0) ? 0 : g.k,
          g.a + (g.a_batch ? g.a_batch[i] : 0),
          g.a_row,
          g.a_col,
          g.b + (g.b_batch ? g.b_batch[i] : 0),
          g.b_row,
          g.b_col,
          g.c + at,
          g.c_row,
          g.alpha,
          g.beta,
          {row_bias, g.bias, g.residual ? g.residual + at : nullptr, g.c_row,
           g.derivative ? g.derivative + at : nullptr, g.c_row, g.activation, g.slope},
          g.packed_a};
}

template <class T>
void multiply(const Product<T>& g) {
  if (is_skinny(g))
    skinny(g);
  else
    blocked(g);
}

// Where rounding the operands costs less than it saves.
DLCORE_INLINE bool bf16_pays(const Gemm<float>& g) {
  return g.bf16 && smaller(smaller(g.m, g.n), g.k) >= 32 && g.m * g.n * g.k >= 1 << 17 &&
         g.alpha != 0;
}

template <class T>
DLCORE_INLINE void multiply(const Gemm<T>& g, int64_t i, const T* row_bias = nullptr) {
#ifdef __AVX512F__
  if constexpr (kIsFloat<T>)
    if (bf16_pays(g)) return gemm_bf16_f32(g, i, row_bias);
#endif
  multiply(product_of(g, i, row_bias));
}

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  const int64_t work = g.m * g.n * larger(g.k, 1);
  if (work >= kOwnThreads || g.batch == 1) {
    for (int64_t i = 0; i < g.batch; ++i) multiply(g, i);
    return;
  }
  parallel_for(g.batch, larger(1, kChunkWork / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) multiply(g, i);
  });
}

}  // namespace

void gemm_with_row_bias(const Gemm<float>& g, const float* row_bias) {
  multiply(g, 0, row_bias);
}
void gemm_with_row_bias(const Gemm<double>& g, const double* row_bias) {
  multiply(g, 0, row_bias);
}

int64_t pack_rows(const Gemm<float>& g, float* packed) {
  return pack_all_of_a(product_of(g, 0), packed);
}
int64_t pack_rows(const Gemm<double>& g, double* packed) {
  return pack_all_of_a(product_of(g, 0), packed);
}

DLCORE_EXPORT(gemm)

}  // namespace DLCORE_ISA
}  // namespace dlcore
