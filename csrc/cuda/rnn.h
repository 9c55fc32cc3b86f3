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

// A block has kSequences by kUnits results of every gate, one of each to a thread, and sums up
// kDepth terms at a time.
constexpr int kSequences = 16, kUnits = 8, kDepth = 32, kStepBlock = kSequences * kUnits;

// sum[g] = a(b) . w(g, u) for this thread's sequence b and unit u, through shared memory, the next
// terms on their way meanwhile. operand(b) is a row; weight(g, u, k) an element, read by
// neighbouring threads along k, or along u where kAlongUnits.
template <class T, int kGates, bool kAlongUnits, class Operand, class Weight>
__device__ void multiply(int64_t sequences, int64_t units, int64_t depth, const Operand& operand,
                         const Weight& weight, T (&sum)[kGates]) {
  constexpr int kWide = kFull<T>, kStride = kDepth + kWide;
  constexpr int kLeft = kSequences * kDepth / kStepBlock, kRight = kUnits * kDepth / kStepBlock;
  alignas(16) __shared__ T left[kSequences][kStride];
  alignas(16) __shared__ T right[kGates][kUnits][kStride];
  const int t = static_cast<int>(threadIdx.x), row = t / kUnits, column = t % kUnits;
  const int64_t b0 = int64_t(blockIdx.y) * kSequences, u0 = int64_t(blockIdx.x) * kUnits;
  const auto unit = [=](int i) {
    const int at = t + i * kStepBlock;
    return kAlongUnits ? at % kUnits : at / kDepth;
  };
  const auto term = [=](int i) {
    const int at = t + i * kStepBlock;
    return kAlongUnits ? at / kUnits : at % kDepth;
  };
  T next_left[kLeft], next_right[kRight][kGates];
  const auto fetch = [&](int64_t k0) {
#pragma unroll
    for (int i = 0; i < kLeft; ++i) {
      const int64_t b = b0 + (t + i * kStepBlock) / kDepth, k = k0 + t % kDepth;
      const T* const from = b < sequences && k < depth ? operand(b) : nullptr;
      next_left[i] = from ? from[k] : T(0);
    }
#pragma unroll
    for (int i = 0; i < kRight; ++i) {
      const int64_t u = u0 + unit(i), k = k0 + term(i);
#pragma unroll
      for (int g = 0; g < kGates; ++g)
        next_right[i][g] = u < units && k < depth ? weight(g, u, k) : T(0);
    }
  };
#pragma unroll
  for (T& s : sum) s = T(0);
  if (b0 >= sequences) return;  // of all threads alike
  fetch(0);
  for (int64_t k0 = 0; k0 < depth; k0 += kDepth) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kLeft; ++i) left[(t + i * kStepBlock) / kDepth][t % kDepth] = next_left[i];
#pragma unroll
    for (int i = 0; i < kRight; ++i)
#pragma unroll
      for (int g = 0; g < kGates; ++g) right[g][unit(i)][term(i)] = next_right[i][g];
    __syncthreads();
    if (k0 + kDepth < depth) fetch(k0 + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth; k += kWide) {
      const auto x = load<kWide>(&left[row][k]);
#pragma unroll
      for (int g = 0; g < kGates; ++g) {
        const auto w = load<kWide>(&right[g][column][k]);
#pragma unroll
        for (int j = 0; j < kWide; ++j) sum[g] = math::fma(x.v[j], w.v[j], sum[g]);
      }
    }
  }
}

inline Size step_size(int64_t units, int64_t sequences, int64_t directions) {
  return {dim3(static_cast<unsigned>(ceil_div(units, kUnits)),
               static_cast<unsigned>(ceil_div(sequences, kSequences)),
               static_cast<unsigned>(directions)),
          kStepBlock};
}
__device__ inline int64_t own_sequence() {
  return int64_t(blockIdx.y) * kSequences + threadIdx.x / kUnits;
}
__device__ inline int64_t own_unit() {
  return int64_t(blockIdx.x) * kUnits + threadIdx.x % kUnits;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
