#pragma once

#include "kernels/activation.h"
#include "kernels/signature.h"

namespace dlcore {

// C = activation(alpha * A B + beta * C + bias + residual), for each of `batch` matrices.
// A is (m, k), B is (k, n), C is (m, n). A and B have two strides of which one is 1; C's rows are
// contiguous. bias has n values; residual and derivative are laid out as C. C is none of the
// inputs, but may be the residual.
template <class T>
struct Gemm {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row, b_col;
  T* c;
  int64_t c_row;
  T alpha, beta;      // beta == 0 never reads C
  const T* bias;      // may be null
  const T* residual;  // may be null
  Activation activation;
  T slope;        // of leaky_relu
  T* derivative;  // where to keep the activation's derivative, for backward; may be null
  int64_t batch;
  const int64_t* a_batch;  // offset of each matrix from a and b; C's follow one another
  const int64_t* b_batch;  // null: the same matrix for all
  const T* packed_a;       // of one matrix, as pack_rows in cpu/conv_point.h gives it; may be null
  bool bf16;  // whether gemm_bf16, which must be there, does the products that it does faster
};

SIGNATURE(gemm, (const Gemm<T>& g));
// Product i of the batch, A and B rounded to bfloat16 (to nearest even; denormal numbers to 0),
// sums in float32. `row_bias` has m values, or is null.
SIGNATURE(gemm_bf16, (const Gemm<T>& g, int64_t i, const T* row_bias));
SIGNATURE(linear_gradient, (const T* kept, const T* dy, T* dz, T* db, int64_t rows, int64_t n,
                            Activation activation));

}  // namespace dlcore
