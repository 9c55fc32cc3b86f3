// The one source of random numbers: a seed, and how many Philox counters have been used up. A draw
// reserves its counters and computes from them alone, so that the numbers do not depend on the
// instruction set, the number of threads or the way the work is cut.
#pragma once

#include <cstdint>

namespace dlcore {

struct RandomState {
  uint64_t seed, offset;
};

RandomState random_state();
void set_random_state(RandomState state);
RandomState random_reserve(uint64_t counters);  // the state before: draw from seed at offset

// Philox works in groups of 16 counters, each 4 words of 32 bits: word w of counter j is number
// 16 w + j of its group, so that no vector width has to shuffle. A draw takes whole groups.
constexpr int64_t kGroupCounters = 16;
constexpr int64_t kGroupWords = 4 * kGroupCounters;

constexpr uint64_t counters_for(int64_t words) {
  return static_cast<uint64_t>((words + kGroupWords - 1) / kGroupWords * kGroupCounters);
}

}  // namespace dlcore
