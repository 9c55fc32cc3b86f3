// All tensors of a network in one launch: each is cut into chunks, and a block finds the tensor of
// a chunk in a table. The tables come from the host, in one copy.
#pragma once

#include <vector>

#include "cuda/reduce.h"
#include "kernels/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kChunk = 4096;  // elements; a multiple of every pack

// Arrays of the host in one block of memory.
class Tables {
 public:
  // Where the array will be, from the block's beginning.
  template <class V>
  size_t add(const V* array, int64_t count) {
    const size_t at = (host_.size() + 15) / 16 * 16, bytes = static_cast<size_t>(count) * sizeof(V);
    host_.resize(at + bytes);
    const unsigned char* from = reinterpret_cast<const unsigned char*>(array);
    for (size_t i = 0; i < bytes; ++i) host_[at + i] = from[i];
    return at;
  }
  const std::vector<unsigned char>& host() const { return host_; }

 private:
  std::vector<unsigned char> host_;
};

struct Chunks {
  int64_t tensors, chunks;
  const int64_t *first, *size;  // of each tensor: its first chunk, its elements
};

// Tensors, and what else a step has for each of them.
template <class T>
class Network {
 public:
  Network(int64_t count, const int64_t* start) : count_(count) {
    std::vector<int64_t> first(static_cast<size_t>(count)), size(first);
    for (size_t t = 0; t < first.size(); ++t) {
      first[t] = chunks_;
      size[t] = start[t + 1] - start[t];
      chunks_ += ceil_div(size[t], kChunk);
    }
    first_ = tables_.add(first.data(), count);
    size_ = tables_.add(size.data(), count);
  }
  int64_t chunks() const { return chunks_; }
  int64_t count() const { return count_; }
  // A pointer for each tensor; null for none.
  template <class P>
  size_t add(P* const* pointers) {
    if (!pointers) return kNone;
    for (int64_t t = 0; t < count_; ++t) aligned_ = aligned_ && aligned(pointers[t]);
    return tables_.add(pointers, count_);
  }
  size_t add_numbers(const T* numbers, int64_t each) {
    return numbers ? tables_.add(numbers, count_ * each) : kNone;
  }

  // Once all is added.
  void send() { device_ = device_upload(tables_.host().data(), tables_.host().size()); }
  ~Network() { device_release(device_); }
  Network(const Network&) = delete;
  template <class V>
  V at(size_t place) const {
    return place == kNone ? nullptr
                          : reinterpret_cast<V>(static_cast<unsigned char*>(device_) + place);
  }
  Chunks table() const {
    return {count_, chunks_, at<const int64_t*>(first_), at<const int64_t*>(size_)};
  }
  bool is_aligned() const { return aligned_; }

  static constexpr size_t kNone = ~size_t(0);

 private:
  Tables tables_;
  int64_t count_, chunks_ = 0;
  size_t first_, size_;
  bool aligned_ = true;
  void* device_ = nullptr;
};

// body.piece<kWidth>(tensor, begin, end, chunk), by all threads of a block.
template <int kWidth, class Body>
__global__ void __launch_bounds__(kBlock, 2) chunk_kernel(Chunks c, Body body) {
  for (int64_t chunk = blockIdx.x; chunk < c.chunks; chunk += gridDim.x) {
    int64_t low = 0, high = c.tensors;  // first[low] <= chunk < first[high]
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (c.first[middle] <= chunk ? low : high) = middle;
    }
    const int64_t begin = (chunk - c.first[low]) * kChunk;
    body.template piece<kWidth>(low, begin, smaller(begin + kChunk, c.size[low]), chunk);
  }
}
template <class T, class Body>
void for_chunks(const Network<T>& network, const Body& body) {
  const Size size{blocks_for(network.chunks(), 1), kBlock};
  if (network.is_aligned())
    launch(chunk_kernel<kFull<T>, Body>, size, network.table(), body);
  else
    launch(chunk_kernel<1, Body>, size, network.table(), body);
}

// one<kWidth>(i) for whole packs, one<1>(i) for the rest of a tensor.
template <int kWidth, class One>
__device__ void for_packs(int64_t begin, int64_t end, const One& one) {
  for (int64_t i = begin + threadIdx.x * kWidth; i < end; i += kBlock * kWidth) {
    if (i + kWidth <= end)
      one.template operator()<kWidth>(i);
    else
      for (int64_t j = i; j < end; ++j) one.template operator()<1>(j);
  }
}

// number[t] = finish(join of partial[chunk] over the chunks of tensor t), 0 for an empty one.
template <class Join, class Finish>
__global__ void __launch_bounds__(kBlock)
    join_chunks(Chunks c, const double* partial, double* number, Join join, Finish finish) {
  for (int64_t t = grid_thread() / kWarp; t < c.tensors; t += grid_threads() / kWarp) {
    const int64_t end = c.first[t] + (c.size[t] + kChunk - 1) / kChunk;
    double joined = 0;
    for (int64_t i = c.first[t] + threadIdx.x % kWarp; i < end; i += kWarp)
      joined = join(joined, partial[i]);
    joined = warp_fold(joined, join);
    if (threadIdx.x % kWarp == 0) number[t] = finish(joined);
  }
}
template <class T, class Join, class Finish>
void join_of_chunks(const Network<T>& network, const double* partial, double* number, Join join,
                    Finish finish) {
  launch(join_chunks<Join, Finish>, Size{blocks_for(network.count(), kBlock / kWarp), kBlock},
         network.table(), partial, number, join, finish);
}

// What a step has of each tensor, on the device.
template <class T>
struct Rows {
  T* const* param;
  const T* const* grad;
  T* const* state[kMostStates];  // null where there is none
  bool decoupled, maximize;
  T weight_decay, shrink;
};

// p = update(tensor's numbers, p, g, states), with the decay of the weights done.
template <class T, class Update>
struct Step {
  Rows<T> rows;
  Update update;

  template <int kWidth>
  __device__ void piece(int64_t t, int64_t begin, int64_t end, int64_t) const {
    const auto own = update.of(t);
    for_packs<kWidth>(begin, end, [&]<int kPack>(int64_t i) {
      Pack<T, kPack> p = load<kPack>(rows.param[t] + i), g = load<kPack>(rows.grad[t] + i);
      Pack<T, kPack> s[kMostStates];
#pragma unroll
      for (int k = 0; k < kMostStates; ++k)
        s[k] = rows.state[k] ? load<kPack>(rows.state[k][t] + i) : Pack<T, kPack>{};
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        if (rows.maximize) g.v[j] = -g.v[j];
        if (rows.decoupled)
          p.v[j] *= rows.shrink;
        else if (rows.weight_decay != T(0))
          g.v[j] += rows.weight_decay * p.v[j];
        p.v[j] = update(own, p.v[j], g.v[j], s[0].v[j], s[1].v[j], s[2].v[j]);
      }
      store(rows.param[t] + i, p);
#pragma unroll
      for (int k = 0; k < kMostStates; ++k)
        if (rows.state[k]) store(rows.state[k][t] + i, s[k]);
    });
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
