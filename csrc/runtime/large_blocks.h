// Large blocks, cut out of segments of memory that are mapped in huge pages. Neighbours that are
// free become one again: a training step whose arrays come in many sizes takes a quarter less than
// with a list of free blocks to each size. Not for several threads at a time.
#pragma once

#include <cstddef>

namespace dlcore {

// In front of every block of the cache, small or large.
struct BlockHeader {
  int size_class;  // -1 of a large one
  bool free;
  size_t size;          // large: with this header; small: what the caller may use
  BlockHeader* before;  // in the segment, null for the first
  struct Segment* segment;
  size_t touched;                // of a free block: where the last byte that may be resident ends
  BlockHeader *next, *previous;  // in the list of free ones
};
constexpr size_t kHeaderBytes = 64;
static_assert(sizeof(BlockHeader) <= kHeaderBytes);

class LargeBlocks {
 public:
  void* acquire(size_t bytes);  // null when there is no memory
  void release(BlockHeader* block) noexcept;
  void trim() noexcept;                  // gives what is free back to the system
  size_t held() const { return held_; }  // of free blocks, up to their last resident byte

 private:
  static constexpr int kBins = 48;  // of free blocks, by the power of two of their size
  BlockHeader* bins_[kBins] = {};
  Segment* segments_ = nullptr;
  size_t held_ = 0;

  BlockHeader* best_fit(size_t size) const;
  BlockHeader* map_segment(size_t size);
  void insert(BlockHeader* block);
  void remove(BlockHeader* block);
  void join_next(BlockHeader* block);
};

}  // namespace dlcore
