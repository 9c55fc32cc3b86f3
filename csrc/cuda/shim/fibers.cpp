#include "cuda/shim/fibers.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/shim/stack.h"
#include "runtime/parallel.h"
#include "runtime/text.h"

namespace dlcore::shim {

thread_local Thread* self = nullptr;

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr size_t kMostShared = size_t(227) << 10;  // of a block, on sm_90

std::atomic<bool> backward{false};

enum class State : uint8_t { unstarted, running, ready, at_barrier, in_warp, finished };

struct Lane {
  Thread thread;
  State state;
  Context* context;
  Place place;
  unsigned mask;
  Value value;
};

// One thread of the pool, with the fibers of the block that it runs.
class Worker {
 public:
  void run_block(const char* op, const Thread& first, void (*body)(void*), void* arguments) {
    op_ = op;
    body_ = body;
    arguments_ = arguments;
    count_ = first.block_size.x * first.block_size.y * first.block_size.z;
    backward_ = backward.load(std::memory_order_relaxed);
    lanes_.resize(count_);
    ready_.resize(count_);
    for (unsigned i = 0; i < count_; ++i) {
      Lane& lane = lanes_[i];
      lane.thread = first;
      lane.thread.number = i;
      lane.thread.thread = {i % first.block_size.x, i / first.block_size.x % first.block_size.y,
                            i / (first.block_size.x * first.block_size.y)};
      lane.state = State::unstarted;
    }
    std::memset(waiting_, 0, sizeof waiting_);
    started_ = finished_ = arrived_ = 0;
    ready_from_ = ready_count_ = 0;
    error_.clear();
    Context* fiber = fresh();
    current_ = fiber;
    switch_to(caller_, *fiber, false);
    self = nullptr;
    if (!error_.empty()) {
      free_.clear();  // what stands on the stacks is lost
      for (auto& context : fibers_) free_.push_back(context.get());
      throw std::logic_error(error_);
    }
    free_.push_back(current_);
  }

  unsigned char* shared(size_t bytes) {  // of exactly this size, for ASan
    if (bytes != shared_bytes_) {
      shared_.reset(bytes ? new (std::align_val_t(128)) unsigned char[bytes] : nullptr);
      shared_bytes_ = bytes;
    }
    if (bytes) std::memset(shared_.get(), 0xff, bytes);  // NaN
    return shared_.get();
  }

  void block_barrier(const Place& place) {
    Lane& me = lane();
    me.place = place;
    me.state = State::at_barrier;
    if (++arrived_ < count_) return wait();
    for (const Lane& other : lanes_)
      if (!same(other.place, place)) {
        error_ = text(op_, ": ", differ(me, other));
        return leave();
      }
    arrived_ = 0;
    me.state = State::running;
    for (unsigned i = 0; i < count_; ++i) {
      Lane& other = lanes_[backward_ ? count_ - 1 - i : i];
      if (&other != &me) wake(other);
    }
  }

  void warp_exchange(unsigned mask, void* value, size_t size, Complete complete, void* context,
                     const Place& place) {
    Lane& me = lane();
    const unsigned warp = me.thread.number / kWarpSize, bit = 1u << me.thread.number % kWarpSize;
    Lane* const lanes = lanes_.data() + warp * kWarpSize;
    const unsigned left = count_ - warp * kWarpSize;
    me.place = place;
    me.mask = mask;
    std::memcpy(me.value.byte, value, size);
    if (!(mask & bit)) {
      error_ = text(op_, ": ", at(me) + " is not in its own mask");
      return leave();
    }
    if (left < kWarpSize && mask >> left) {
      error_ = text(op_, ": ", at(me) + " has lanes in its mask that the block lacks");
      return leave();
    }
    me.state = State::in_warp;
    waiting_[warp] |= bit;
    if ((waiting_[warp] & mask) != mask) {
      wait();
      std::memcpy(value, me.value.byte, size);
      return;
    }
    Value values[kWarpSize];
    for (unsigned i = 0; i < kWarpSize; ++i) {
      if (!(mask >> i & 1)) continue;
      if (lanes[i].mask != mask || !same(lanes[i].place, place)) {
        error_ = text(op_, ": ", differ(me, lanes[i]));
        return leave();
      }
      values[i] = lanes[i].value;
    }
    complete(context, values, mask);
    waiting_[warp] &= ~mask;
    for (unsigned j = 0; j < kWarpSize; ++j) {
      const unsigned i = backward_ ? kWarpSize - 1 - j : j;
      if (!(mask >> i & 1)) continue;
      lanes[i].value = values[i];
      if (&lanes[i] != &me) wake(lanes[i]);
    }
    me.state = State::running;
    std::memcpy(value, me.value.byte, size);
  }

  // A fiber's life: threads that have not begun, one after the other.
  void live() {
    arrived(nullptr);
    for (;;) {
      if (ready_count_ > 0) {
        Context* mine = current_;
        free_.push_back(mine);
        take_ready(*mine, true);
      }
      if (started_ == count_) break;
      Lane& next = lanes_[backward_ ? count_ - 1 - started_ : started_];
      ++started_;
      next.state = State::running;
      next.context = current_;
      self = &next.thread;
      body_(arguments_);
      lane().state = State::finished;
      ++finished_;
    }
    if (finished_ < count_) note_stuck();
    switch_to(*current_, caller_, true);
  }

 private:
  Lane& lane() { return lanes_[self->number]; }

  static bool same(const Place& a, const Place& b) {
    return a.line == b.line && std::strcmp(a.what, b.what) == 0 && std::strcmp(a.file, b.file) == 0;
  }
  static std::string standing(const Lane& lane) {
    if (lane.state == State::finished) return "has finished";
    const char* slash = std::strrchr(lane.place.file, '/');
    return text("waits in ", lane.place.what, " at ", slash ? slash + 1 : lane.place.file, ":",
                lane.place.line);
  }
  static std::string at(const Lane& lane) {
    const Thread& t = lane.thread;
    return text("thread (", t.thread.x, ", ", t.thread.y, ", ", t.thread.z, ") of block (",
                t.block.x, ", ", t.block.y, ", ", t.block.z, ") ", standing(lane));
  }
  std::string differ(const Lane& a, const Lane& b) {
    return text(at(a), ", but ", at(b), ": all must come to one barrier");
  }

  void note_stuck() {
    const Lane* waits = nullptr;
    const Lane* other = nullptr;
    for (const Lane& lane : lanes_) {
      if (lane.state == State::finished) continue;
      if (!waits) waits = &lane;
    }
    for (const Lane& lane : lanes_)
      if (lane.state == State::finished || !same(lane.place, waits->place)) other = &lane;
    error_ = text(op_, ": ", at(*waits), other ? ", but " + at(*other) : std::string(),
                  ": a wait without end");
  }

  // For good: nothing on this stack is destroyed, so that a message must be no temporary of it.
  void leave() { switch_to(*current_, caller_, true); }

  void wake(Lane& lane) {
    lane.state = State::ready;
    ready_[(ready_from_ + ready_count_++) % count_] = lane.thread.number;
  }

  // The next thread that may go on; of those that have not begun one, on another fiber.
  void wait() {
    Context* mine = current_;
    if (ready_count_ > 0) {
      take_ready(*mine, false);
    } else if (started_ < count_) {
      Context* fiber = fresh();
      current_ = fiber;
      switch_to(*mine, *fiber, false);
    } else {
      note_stuck();
      leave();
    }
  }

  void take_ready(Context& mine, bool ends) {
    Lane& next = lanes_[ready_[ready_from_]];
    ready_from_ = (ready_from_ + 1) % count_;
    --ready_count_;
    next.state = State::running;
    self = &next.thread;
    if (next.context == &mine) return;
    current_ = next.context;
    switch_to(mine, *next.context, ends);
  }

  Context* fresh() {
    if (free_.empty()) {
      fibers_.push_back(std::make_unique<Context>());
      fibers_.back()->map();
      free_.push_back(fibers_.back().get());
    }
    Context* fiber = free_.back();
    free_.pop_back();
    fiber->start(&enter);
    return fiber;
  }

  static void enter();

  // `ends`: nobody comes back to `from`.
  void switch_to(Context& from, Context& to, [[maybe_unused]] bool ends) {
#ifdef DLCORE_ASAN
    const bool home = to.stack == nullptr;
    from_caller_ = from.stack == nullptr;
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack,
                                   home ? caller_stack_ : to.stack,
                                   home ? caller_bytes_ : kStackBytes);
#endif
#ifdef __x86_64__
    dlcore_shim_switch(&from.sp, to.sp);
#else
    swapcontext(&from.context, &to.context);
#endif
    arrived(&from);
  }

  // On the stack of `here` (null: one that begins), which another has switched to.
  void arrived([[maybe_unused]] Context* here) {
#ifdef DLCORE_ASAN
    const void* bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(here ? here->fake_stack : nullptr, &bottom, &bytes);
    if (from_caller_) caller_stack_ = bottom, caller_bytes_ = bytes;
#endif
  }

  const char* op_ = nullptr;
  void (*body_)(void*) = nullptr;
  void* arguments_ = nullptr;
  std::vector<Lane> lanes_;
  std::vector<unsigned> ready_;  // a ring
  unsigned ready_from_ = 0, ready_count_ = 0;
  unsigned count_ = 0, started_ = 0, finished_ = 0, arrived_ = 0;
  unsigned waiting_[kMostThreads / kWarpSize] = {};  // lanes, by warp
  bool backward_ = false;
  Context caller_;
  Context* current_ = nullptr;
  std::vector<std::unique_ptr<Context>> fibers_;
  std::vector<Context*> free_;
  std::string error_;
  struct Release {
    void operator()(unsigned char* p) const { ::operator delete[](p, std::align_val_t(128)); }
  };
  std::unique_ptr<unsigned char, Release> shared_;
  size_t shared_bytes_ = 0;
#ifdef DLCORE_ASAN
  const void* caller_stack_ = nullptr;
  size_t caller_bytes_ = 0;
  bool from_caller_ = false;
#endif
};

Worker& worker() {
  static thread_local Worker mine;
  return mine;
}

void Worker::enter() {
  worker().live();
}

struct Grid {
  const char* op;
  dim3 grid, block;
  size_t shared_bytes;
  void (*body)(void*);
  void* arguments;
  int64_t blocks, per_chunk;
};

void run_chunk(void* context, int64_t chunk) {
  const Grid& g = *static_cast<Grid*>(context);
  const int64_t begin = chunk * g.per_chunk;
  const int64_t end = begin + g.per_chunk < g.blocks ? begin + g.per_chunk : g.blocks;
  Thread first{};
  first.block_size = g.block;
  first.grid_size = g.grid;
  for (int64_t at = begin; at < end; ++at) {
    const uint64_t i = static_cast<uint64_t>(backward ? g.blocks - 1 - at : at);
    first.block = {static_cast<unsigned>(i % g.grid.x),
                   static_cast<unsigned>(i / g.grid.x % g.grid.y),
                   static_cast<unsigned>(i / g.grid.x / g.grid.y)};
    first.dynamic = worker().shared(g.shared_bytes);
    worker().run_block(g.op, first, g.body, g.arguments);
  }
}

void check(const char* op, dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const auto refuse = [=](const std::string& why) { throw std::logic_error(text(op, ": ", why)); };
  if (threads == 0 || threads > kMostThreads || block.z > 64)
    refuse(text("a block of ", threads, " threads, at least 1 and at most ", kMostThreads));
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    refuse(text("a grid of (", grid.x, ", ", grid.y, ", ", grid.z, ") blocks"));
  if (shared_bytes > kMostShared)
    refuse(text(shared_bytes, " bytes of dynamic shared memory, at most ", kMostShared));
}

}  // namespace

void block_barrier(const Place& place) {
  worker().block_barrier(place);
}

void warp_exchange(unsigned mask, void* value, size_t size, Complete complete, void* context,
                   const Place& place) {
  worker().warp_exchange(mask, value, size, complete, context, place);
}

void run(const char* op, dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*),
         void* arguments) {
  check(op, grid, block, shared_bytes);
  const int64_t blocks = int64_t(grid.x) * grid.y * grid.z;
  constexpr int64_t kChunks = 64;
  const int64_t per_chunk = (blocks + kChunks - 1) / kChunks;
  Grid g{op, grid, block, shared_bytes, body, arguments, blocks, per_chunk};
  parallel_run((blocks + per_chunk - 1) / per_chunk, &run_chunk, &g);
}

void set_backward(bool wanted) {
  backward = wanted;
}

}  // namespace dlcore::shim
