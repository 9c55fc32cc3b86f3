#include "runtime/parallel.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/cpu.h"
#include "runtime/text.h"

#if defined(__x86_64__)
#include <immintrin.h>
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
unsigned get_float_mode() {
#if defined(__x86_64__)
  return _mm_getcsr() & ~0x3fu;  // without the sticky exception flags
#else
  return 0;
#endif
}

void set_float_mode([[maybe_unused]] unsigned mode) {
#if defined(__x86_64__)
  _mm_setcsr(mode);
#endif
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void futex_wake_all(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

thread_local bool inside = false;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Pool() {
    stop_.store(true);
    epoch_.fetch_add(1);
    futex_wake_all(epoch_);
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t chunks, void (*fn)(void*, int64_t), void* context) {
    fn_ = fn;
    context_ = context;
    chunks_ = chunks;
    float_mode_ = get_float_mode();
    error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) futex_wake_all(epoch_);
    take_chunks();
    // Workers that have not seen this epoch must, before the next call may overwrite it.
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin) {
      if (spin < kSpins)
        pause();
      else
        std::this_thread::yield();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_chunks() {
    inside = true;
    try {
      for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) fn_(context_, i);
    } catch (...) {
      next_.store(chunks_, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    inside = false;
  }

  void work() {
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
      set_float_mode(float_mode_);
      take_chunks();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  // One cache line each: the counter that all threads hammer, and what they wait on.
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> busy_{0};
  std::atomic<int> sleepers_{0};
  alignas(64) void (*fn_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  int64_t chunks_ = 0;
  unsigned float_mode_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

struct State {
  std::mutex owner;  // one call has the pool at a time; others run inline
  std::unique_ptr<Pool> pool;
  std::atomic<int> threads{0};
};

State* state = nullptr;

// The child of a fork has no workers and perhaps a locked mutex: start anew, leak the old ones.
void forget_in_child() {
  const int threads = state->threads.load();
  state = new State;
  state->threads = threads;
  inside = false;
}

State& the_state() {
  static const bool once = [] {
    state = new State;
    state->threads = default_threads();
    pthread_atfork(nullptr, nullptr, forget_in_child);
    return true;
  }();
  (void)once;
  return *state;
}

}  // namespace

int default_threads() {
  if (const char* wish = std::getenv("DLCORE_NUM_THREADS"); wish && *wish) {
    char* end = nullptr;
    const long n = std::strtol(wish, &end, 10);
    if (*end || n < 1 || n > kMaxThreads)
      throw std::invalid_argument(text("DLCORE_NUM_THREADS=", wish, ": must be a whole number from 1 to ", kMaxThreads));
    return static_cast<int>(n);
  }
  return usable_cpus();
}

int num_threads() { return the_state().threads.load(); }

void set_num_threads(int n) {
  if (n < 1 || n > kMaxThreads)
    throw std::invalid_argument(text("set_num_threads: n must be from 1 to ", kMaxThreads, ", got ", n));
  State& s = the_state();
  std::lock_guard<std::mutex> lock(s.owner);
  if (n == s.threads.load()) return;
  s.pool.reset();
  s.threads = n;
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
