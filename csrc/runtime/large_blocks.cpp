#include "runtime/large_blocks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>

namespace dlcore {

// At the start of its memory.
struct Segment {
  void* base;  // as mmap gave it
  size_t mapped, size;
  Segment *next, *previous;
};

namespace {

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kSegmentBytes = size_t(64) << 20;
constexpr size_t kLeast = size_t(256) << 10;  // of what is left of a block that is cut
// Blocks of whole pages begin 18 lines further into a page, one after the other: streams with equal
// low address bits would wait for one another's stores.
constexpr size_t kApart = 17 * 64;

size_t round_up(size_t n, size_t step) {
  return (n + step - 1) / step * step;
}

int bin_of(size_t size) {
  return std::bit_width(size) - 1;
}

BlockHeader* at(void* p, size_t offset) {
  return reinterpret_cast<BlockHeader*>(static_cast<char*>(p) + offset);
}

BlockHeader* first_of(Segment* s) {
  return at(s, kHeaderBytes);
}

BlockHeader* next_of(BlockHeader* block) {
  BlockHeader* const next = at(block, block->size);
  return next == at(block->segment, block->segment->size) ? nullptr : next;
}

}  // namespace

static_assert(sizeof(Segment) <= kHeaderBytes);

void LargeBlocks::insert(BlockHeader* block) {
  BlockHeader*& head = bins_[bin_of(block->size)];
  block->free = true;
  block->previous = nullptr;
  block->next = head;
  if (head) head->previous = block;
  head = block;
  held_ += block->touched;
}

void LargeBlocks::remove(BlockHeader* block) {
  if (block->previous)
    block->previous->next = block->next;
  else
    bins_[bin_of(block->size)] = block->next;
  if (block->next) block->next->previous = block->previous;
  block->free = false;
  held_ -= block->touched;
}

// The smallest that is large enough; of equal ones the lowest, so that memory in use stays
// together.
BlockHeader* LargeBlocks::best_fit(size_t size) const {
  BlockHeader* best = nullptr;
  for (int bin = bin_of(size); bin < kBins && !best; ++bin)
    for (BlockHeader* b = bins_[bin]; b; b = b->next)
      if (b->size >= size && (!best || b->size < best->size || (b->size == best->size && b < best)))
        best = b;
  return best;
}

BlockHeader* LargeBlocks::map_segment(size_t size) {
  const size_t least = round_up(size + kHeaderBytes, kHugePage);
  size_t wanted = std::max(least, kSegmentBytes), mapped;
  void* base;
  for (;; wanted = least) {
    mapped = wanted + kHugePage;
    base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base != MAP_FAILED) break;
    if (wanted == least) return nullptr;
  }
  const uintptr_t start = round_up(reinterpret_cast<uintptr_t>(base), kHugePage);
  madvise(reinterpret_cast<void*>(start), wanted, MADV_HUGEPAGE);
  Segment* const s = reinterpret_cast<Segment*>(start);
  *s = {base, mapped, wanted, segments_, nullptr};
  if (segments_) segments_->previous = s;
  segments_ = s;
  BlockHeader* const block = first_of(s);
  *block = {-1, false, wanted - kHeaderBytes, nullptr, s, 0, nullptr, nullptr};
  insert(block);
  return block;
}

void* LargeBlocks::acquire(size_t bytes) {
  const size_t size = round_up(bytes, 64) + kHeaderBytes + kApart;
  BlockHeader* block = best_fit(size);
  if (!block) block = map_segment(size);
  if (!block) return nullptr;
  remove(block);
  const size_t rest = block->size - size;
  if (rest >= kLeast) {
    BlockHeader* const cut = at(block, size);
    const size_t touched = block->touched > size ? block->touched - size : 0;
    *cut = {-1, false, rest, block, block->segment, touched, nullptr, nullptr};
    block->size = size;
    if (BlockHeader* after = next_of(cut)) after->before = cut;
    insert(cut);
  }
  return at(block, kHeaderBytes);
}

void LargeBlocks::join_next(BlockHeader* block) {
  BlockHeader* const next = next_of(block);
  if (!next || !next->free) return;
  remove(next);
  if (next->touched) block->touched = block->size + next->touched;
  block->size += next->size;
  if (BlockHeader* after = next_of(block)) after->before = block;
}

void LargeBlocks::release(BlockHeader* block) noexcept {
  block->touched = block->size;
  join_next(block);
  if (BlockHeader* const before = block->before; before && before->free) {
    remove(before);
    before->touched = before->size + block->touched;
    before->size += block->size;
    if (BlockHeader* after = next_of(before)) after->before = before;
    block = before;
  }
  insert(block);
}

void LargeBlocks::trim() noexcept {
  static const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (Segment *s = segments_, *next; s; s = next) {
    next = s->next;
    BlockHeader* block = first_of(s);
    if (block->free && !next_of(block)) {
      remove(block);
      (s->previous ? s->previous->next : segments_) = s->next;
      if (s->next) s->next->previous = s->previous;
      munmap(s->base, s->mapped);
      continue;
    }
    for (; block; block = next_of(block)) {
      if (!block->free || block->touched == 0) continue;
      const uintptr_t begin = round_up(reinterpret_cast<uintptr_t>(block) + kHeaderBytes, page);
      const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + block->size) / page * page;
      if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
      held_ -= block->touched;
      block->touched = 0;
    }
  }
}

}  // namespace dlcore
