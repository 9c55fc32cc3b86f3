// Norms of all gradients of a network in one read, and clipping them in one read and write.

#include "cuda/math.h"
#include "cuda/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Sums in double: nothing overflows, and how long the sum is hardly counts. NaN is the largest.
struct JoinNorm {
  NormKind kind;
  __device__ double operator()(double a, double b) const {
    return kind == NormKind::kLargest ? math::max(a, b) : a + b;
  }
};
struct FinishNorm {
  NormKind kind;
  __device__ double operator()(double v) const {
    return kind == NormKind::kSquares ? ::sqrt(v) : v;
  }
};

template <class T>
struct NormPiece {
  const T* const* tensor;
  NormKind kind;
  double* partial;

  template <int kWidth>
  __device__ void piece(int64_t t, int64_t begin, int64_t end, int64_t chunk) const {
    const JoinNorm join{kind};
    double norm = 0;
    for_packs<kWidth>(begin, end, [&]<int kPack>(int64_t i) {
      const Pack<T, kPack> x = load<kPack>(tensor[t] + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        const double v = static_cast<double>(x.v[j]);
        norm = join(norm, kind == NormKind::kSquares ? v * v : math::abs(v));
      }
    });
    norm = block_fold<kBlock>(norm, join);
    if (threadIdx.x == 0) partial[chunk] = norm;
  }
};

// norm[t] = sum |x|, sqrt(sum x^2) or max |x| of tensor t, 0 when it is empty. NaN and infinity are
// passed on. The scratch that the CPU is given is too small for these chunks.
template <class T>
void tensor_norms(int64_t count, const int64_t* start, const T* const* tensor, NormKind kind,
                  double*, double* norm) {
  if (count == 0) return;
  Network<T> network(count, start);
  const size_t tensors = network.add(tensor);
  network.send();
  const Scratch<double> partial(larger(1, network.chunks()));
  for_chunks(network, NormPiece<T>{network.template at<const T* const*>(tensors), kind, partial});
  join_of_chunks(network, partial, norm, JoinNorm{kind}, FinishNorm{kind});
}

template <class T>
struct ClipPiece {
  T* const* tensor;
  T factor, limit;

  template <int kWidth>
  __device__ void piece(int64_t t, int64_t begin, int64_t end, int64_t) const {
    for_packs<kWidth>(begin, end, [&]<int kPack>(int64_t i) {
      Pack<T, kPack> x = load<kPack>(tensor[t] + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) x.v[j] = math::clamp(x.v[j] * factor, -limit, limit);
      store(tensor[t] + i, x);
    });
  }
};

// x = x factor, then within [-limit, limit]. NaN stays NaN.
template <class T>
void clip_tensors(int64_t count, const int64_t* start, T* const* tensor, T factor, T limit) {
  if (count == 0) return;
  Network<T> network(count, start);
  const size_t tensors = network.add(tensor);
  network.send();
  for_chunks(network, ClipPiece<T>{network.template at<T* const*>(tensors), factor, limit});
}

}  // namespace

DLCORE_CUDA_EXPORT(tensor_norms)
DLCORE_CUDA_EXPORT(clip_tensors)

}  // namespace DLCORE_ISA
}  // namespace dlcore
