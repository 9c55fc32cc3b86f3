// What this process may use of the machine.
#pragma once

#include <cstdint>
#include <string>

namespace dlcore {

constexpr int kMaxThreads = 256;

int usable_cpus();  // the smaller of the CPU affinity and the cgroup's CPU quota, at least 1
std::string cpu_name();
int64_t cache_bytes(int level);  // data cache of one core (1, 2) or the last level (3); 0 = unknown

}  // namespace dlcore
