// What forward and backward of recurrent layers share: which rows a step has, the recurrent product
// of a block, and products over all steps.
#pragma once

#include "cuda/columns.h"
#include "cuda/math.h"
#include "kernels/gemm.h"
#include "kernels/rnn.h"

namespace dlcore {
namespace DLCORE_ISA {

extern gemm_signature<float>* const gemm_f32;
extern gemm_signature<double>* const gemm_f64;

namespace {

// C = A B + beta C + bias of any matrices whose rows or columns are contiguous.
template <class T>
void product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
             int64_t b_row, int64_t b_col, T* c, int64_t c_row, bool add, const T* bias = nullptr) {
  if (m == 0 || n == 0) return;
  Gemm<T> g{};
  g.m = m, g.n = n, g.k = k;
  g.a = a, g.a_row = a_row, g.a_col = a_col;
  g.b = b, g.b_row = b_row, g.b_col = b_col;
  g.c = c, g.c_row = c_row;
  g.alpha = T(1), g.beta = T(add);
  g.bias = bias;
  g.batch = 1;
  if constexpr (sizeof(T) == 4)
    gemm_f32(g);
  else
    gemm_f64(g);
}

template <class T>
void copy_or_clear(const T* from, T* to, int64_t n) {
  const size_t bytes = static_cast<size_t>(n) * sizeof(T);
  if (from && n)
    device_copy(to, from, bytes);
  else if (n)
    device_clear(to, bytes);
}

// The i-th step that a direction takes: sequences b < count are at rows first + b.
struct Step {
  int64_t count, first;
};
template <class T>
Step step_of(const Rnn<T>& r, int64_t direction, int64_t i) {
  if (i < 0 || i >= r.steps) return {0, 0};
  const int64_t t = direction ? r.steps - 1 - i : i;
  return {r.count(t), r.first[t]};
}

// Rows of a matrix, `row` elements apart.
template <class T>
struct Rows {
  T* p;
  int64_t row;
  __device__ T* at(int64_t r) const { return p + r * row; }
};

// Where a sequence's state before a step lies: in the rows of the step before, or, when that is its
// first step, in the initial state. Null for zeros.
template <class T>
__device__ const T* state_before(const Step& before, int64_t b, Rows<const T> all,
                                 Rows<const T> initial) {
  if (b < before.count) return all.at(before.first + b);
  return initial.p ? initial.at(b) : nullptr;
}

constexpr int kPart = 16, kDepth = 32;  // a block has kPart sequences and kPart units

// sum[g] = a(b) . w(g, u) for this thread's sequence b and unit u, in blocks of kDepth through
// shared memory: operand(b) is a row or null; weight(g, u, k) an element, read by neighbouring
// threads along k, or along u where kAlongUnits.
template <class T, int kGates, bool kAlongUnits, class Operand, class Weight>
__device__ void multiply(int64_t sequences, int64_t units, int64_t depth, const Operand& operand,
                         const Weight& weight, T (&sum)[kGates]) {
  __shared__ T left[kPart][kDepth + 1], right[kGates][kPart][kDepth + 1];
  const int t = static_cast<int>(threadIdx.x), row = t / kPart, column = t % kPart;
  const int64_t b0 = int64_t(blockIdx.y) * kPart, u0 = int64_t(blockIdx.x) * kPart;
#pragma unroll
  for (T& s : sum) s = T(0);
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    __syncthreads();
    for (int i = t; i < kPart * kDepth; i += kPart * kPart) {
      const int k = i % kDepth, b = i / kDepth;
      const T* const from = b0 + b < sequences && k0 + k < depth ? operand(b0 + b) : nullptr;
      left[b][k] = from ? from[k0 + k] : T(0);
      const int wk = kAlongUnits ? i / kPart : k, u = kAlongUnits ? i % kPart : b;
      const bool inside = u0 + u < units && k0 + wk < depth;
#pragma unroll
      for (int g = 0; g < kGates; ++g) right[g][u][wk] = inside ? weight(g, u0 + u, k0 + wk) : T(0);
    }
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < kDepth; ++k)
#pragma unroll
      for (int g = 0; g < kGates; ++g)
        sum[g] = math::fma(left[row][k], right[g][column][k], sum[g]);
  }
}

inline Size step_size(int64_t units, int64_t sequences, int64_t directions) {
  return {
      dim3(static_cast<unsigned>(ceil_div(units, kPart)),
           static_cast<unsigned>(ceil_div(sequences, kPart)), static_cast<unsigned>(directions)),
      kPart * kPart};
}
__device__ inline int64_t own_sequence() {
  return int64_t(blockIdx.y) * kPart + threadIdx.x / kPart;
}
__device__ inline int64_t own_unit() {
  return int64_t(blockIdx.x) * kPart + threadIdx.x % kPart;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
