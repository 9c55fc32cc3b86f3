// What this process may use of the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dlcore {

constexpr int kMaxThreads = 256;

int usable_cpus();       // the smaller of the CPU affinity and the cgroup's CPU quota, at least 1
size_t usable_memory();  // the smaller of the machine's memory and the cgroup's limit
std::string cpu_name();
int64_t cache_bytes(int level);  // data cache of one core (1, 2) or the last level (3); 0 = unknown

// What the cgroups listed in `groups` (/proc/self/cgroup) under `root` (/sys/fs/cgroup) grant, from
// the process's own group up: CPUs and bytes, infinity where they set no limit.
struct Quota {
  double cpus, bytes;
};
Quota cgroup_quota(const std::string& groups, const std::string& root);

}  // namespace dlcore
