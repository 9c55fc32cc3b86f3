#include "runtime/parallel.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/cpu.h"
#include "runtime/text.h"

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

namespace dlcore {
namespace {

// An idle worker spins this many pauses (some 30 us) before it sleeps: a network's next op
// usually follows sooner, and waking a sleeper costs some 5 us.
constexpr int kSpins = 1000;

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Rounding and denormal modes belong to the caller: workers take them over for the call.
uint64_t get_float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr() & ~0x3fu;  // without the sticky exception flags
#elif defined(__aarch64__)
  uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}

void set_float_mode([[maybe_unused]] uint64_t mode) {
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(mode));
#endif
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr,
          0);
}

void futex_wake(std::atomic<uint32_t>& word, int threads) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, threads, nullptr,
          nullptr, 0);
}

// Signals are for the program's own threads; faults must still reach their handlers.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF})
      sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

thread_local bool inside = false;

// A call opens the gate and bumps the epoch. Workers that see the new epoch in time enter and take
// chunks with the caller; one that wakes too late finds the gate closed. So the caller waits only
// for workers that hold a chunk, never for one that the machine has not scheduled yet.
class Pool {
 public:
  explicit Pool(int threads) : ranges_(static_cast<size_t>(threads)) {
    const BlockedSignals blocked;
    try {
      for (int i = 1; i < threads; ++i)
        workers_.emplace_back([this, i] { work(static_cast<size_t>(i)); });
    } catch (const std::system_error&) {  // the system grants no more threads: go on with fewer
    }
  }

  ~Pool() {
    stop_.store(true);
    epoch_.fetch_add(1);
    futex_wake(epoch_, INT_MAX);
    for (std::thread& worker : workers_) worker.join();
  }

  void run(int64_t chunks, void (*fn)(void*, int64_t), void* context) {
    fn_ = fn;
    context_ = context;
    float_mode_ = get_float_mode();
    const int64_t parts = static_cast<int64_t>(ranges_.size());
    for (int64_t i = 0; i < parts; ++i) {
      Range& range = ranges_[static_cast<size_t>(i)];
      range.next.store(part(chunks, i, parts), std::memory_order_relaxed);
      range.end = part(chunks, i + 1, parts);
    }
    gate_.store(kOpen, std::memory_order_release);  // publishes the fields above to who enters
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      keep_workers_away();
      futex_wake(epoch_, static_cast<int>(std::min<int64_t>(chunks - 1, INT_MAX)));
    }
    take_chunks(0);
    uint32_t gate = gate_.fetch_and(~kOpen, std::memory_order_acquire) & ~kOpen;
    for (int spin = 0; gate >= kWorker; gate = gate_.load(std::memory_order_acquire)) {
      if (++spin < kSpins)
        pause();
      else if ((gate & kCallerSleeps) || gate_.compare_exchange_weak(gate, gate | kCallerSleeps))
        futex_wait(gate_, gate | kCallerSleeps);
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static constexpr uint32_t kOpen = 1, kCallerSleeps = 2,
                            kWorker = 4;  // the gate: flags, then a count

  // Linux may wake a worker on the caller's own CPU and leave it queued there for milliseconds,
  // another CPU idle (seen on 2 CPUs: every second burst of calls ran on one). So the workers'
  // affinity is the caller's without the CPU it runs on, set anew when that has changed.
  void keep_workers_away() {
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu == caller_cpu_) return;
    caller_cpu_ = cpu;
    cpu_set_t others;
    if (pthread_getaffinity_np(pthread_self(), sizeof others, &others) != 0) return;
    CPU_CLR(static_cast<size_t>(cpu), &others);
    if (CPU_COUNT(&others) == 0) return;
    for (std::thread& worker : workers_)
      pthread_setaffinity_np(worker.native_handle(), sizeof others, &others);
  }

  // Each thread begins with a range of its own, the same in every call of the same size, so that a
  // core finds in its caches what it wrote in the call before; then it helps the others.
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  static int64_t part(int64_t chunks, int64_t i, int64_t parts) {
    return chunks / parts * i + chunks % parts * i / parts;
  }

  void take_chunks(size_t self) {
    inside = true;
    try {
      for (size_t i = 0; i < ranges_.size(); ++i) {
        Range& range = ranges_[(self + i) % ranges_.size()];
        for (int64_t c; (c = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;)
          fn_(context_, c);
      }
    } catch (...) {
      for (Range& range : ranges_) range.next.store(range.end, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    inside = false;
  }

  bool enter() {
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    while (gate & kOpen)
      if (gate_.compare_exchange_weak(gate, gate + kWorker, std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    return false;
  }

  void leave() {
    const uint32_t gate = gate_.fetch_sub(kWorker, std::memory_order_release) - kWorker;
    if (gate == kCallerSleeps) futex_wake(gate_, 1);
  }

  void work(size_t self) {
    uint32_t seen = 0;
    for (;;) {
      int spin = 0;
      uint32_t now;
      while ((now = epoch_.load(std::memory_order_acquire)) == seen) {
        if (++spin < kSpins) {
          pause();
          continue;
        }
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        if (epoch_.load(std::memory_order_seq_cst) == seen) futex_wait(epoch_, seen);
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
      }
      seen = now;
      if (stop_.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      set_float_mode(float_mode_);
      take_chunks(self);
      leave();
    }
  }

  // A cache line each: what they wait on, who is in, what to do.
  std::vector<Range> ranges_;
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) void (*fn_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  uint64_t float_mode_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
  int caller_cpu_ = -1;
};

struct State {
  std::mutex owner;  // one call has the pool at a time; others run inline
  std::unique_ptr<Pool> pool;
  std::atomic<int> threads{0};
};

State* state = nullptr;

// Never destroyed: at exit workers may be asleep in it, or a thread of the program inside a call.
// The child of a fork has no workers and perhaps a locked mutex: start anew, leak the old ones.
void forget_in_child() {
  const int threads = state->threads.load();
  state = new State;
  state->threads = threads;
  inside = false;
}

State& the_state() {
  [[maybe_unused]] static const bool once = [] {
    const int threads = default_threads();
    state = new State;
    state->threads = threads;
    pthread_atfork(nullptr, nullptr, forget_in_child);
    return true;
  }();
  return *state;
}

}  // namespace

int default_threads() {
  if (const char* wish = std::getenv("DLCORE_NUM_THREADS"); wish && *wish) {
    char* end = nullptr;
    const long n = std::strtol(wish, &end, 10);
    if (*end || n < 1 || n > kMaxThreads)
      throw std::invalid_argument(
          text("DLCORE_NUM_THREADS=", wish, ": must be a whole number from 1 to ", kMaxThreads));
    return static_cast<int>(n);
  }
  return usable_cpus();
}

int num_threads() {
  return the_state().threads.load();
}

void set_num_threads(int64_t n) {
  if (n < 1 || n > kMaxThreads)
    throw std::invalid_argument(
        text("set_num_threads: n must be from 1 to ", kMaxThreads, ", got ", n));
  State& s = the_state();
  std::lock_guard<std::mutex> lock(s.owner);
  if (n == s.threads.load()) return;
  s.pool.reset();
  s.threads = static_cast<int>(n);
}

void parallel_run(int64_t chunks, void (*fn)(void*, int64_t), void* context) {
  State& s = the_state();
  if (chunks > 1 && !inside && s.threads.load(std::memory_order_relaxed) > 1) {
    std::unique_lock<std::mutex> lock(s.owner, std::try_to_lock);
    if (lock) {
      if (!s.pool) s.pool = std::make_unique<Pool>(s.threads.load());
      s.pool->run(chunks, fn, context);
      return;
    }
  }
  for (int64_t i = 0; i < chunks; ++i) fn(context, i);
}

}  // namespace dlcore
