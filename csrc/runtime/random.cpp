#include "runtime/random.h"

#include <mutex>

namespace dlcore {
namespace {

std::mutex mutex;
RandomState state{0, 0};

}  // namespace

RandomState random_state() {
  std::lock_guard<std::mutex> lock(mutex);
  return state;
}

void set_random_state(RandomState wanted) {
  std::lock_guard<std::mutex> lock(mutex);
  state = wanted;
}

RandomState random_reserve(uint64_t counters) {
  std::lock_guard<std::mutex> lock(mutex);
  const RandomState before = state;
  state.offset += counters;
  return before;
}

}  // namespace dlcore
