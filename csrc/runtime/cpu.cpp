#include "runtime/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "runtime/text.h"

namespace dlcore {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

double number(const std::string& text) {  // infinity for "max", "" and what is no number
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() || value <= 0 ? INFINITY : value;
}

double cpus_v2(const std::string& dir) {
  std::istringstream line(first_line(dir + "/cpu.max"));
  std::string quota, period;
  line >> quota >> period;
  return number(quota) / std::min(number(period), 1e9);
}

double cpus_v1(const std::string& dir) {
  return number(first_line(dir + "/cpu.cfs_quota_us")) /
         std::min(number(first_line(dir + "/cpu.cfs_period_us")), 1e9);
}

Quota least_quota() {
  return cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup");
}

}  // namespace

Quota cgroup_quota(const std::string& groups, const std::string& root) {
  Quota least{INFINITY, INFINITY};
  std::ifstream file(groups);
  for (std::string line;
       std::getline(file, line);) {  // "4:cpu,cpuacct:/path", in version 2 "0::/path"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = text(',', line.substr(first + 1, second - first - 1), ',');
    const bool v2 = controllers == ",,";
    for (std::string path = line.substr(second + 1);;) {
      if (v2) {
        least.cpus = std::min(least.cpus, cpus_v2(root + path));
        least.bytes = std::min(least.bytes, number(first_line(root + path + "/memory.max")));
      } else if (controllers.find(",cpu,") != std::string::npos) {
        least.cpus = std::min(least.cpus, cpus_v1(root + "/cpu" + path));
      } else if (controllers.find(",memory,") != std::string::npos) {
        least.bytes = std::min(
            least.bytes, number(first_line(root + "/memory" + path + "/memory.limit_in_bytes")));
      }
      const size_t slash = path.find_last_of('/');
      if (slash == std::string::npos) break;
      path.erase(slash);
    }
  }
  return least;
}

int usable_cpus() {
  int cpus = 1;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    cpus = CPU_COUNT(&set);
  else
    cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpus = static_cast<int>(std::min<double>(cpus, std::ceil(least_quota().cpus)));
  return std::clamp(cpus, 1, kMaxThreads);
}

size_t usable_memory() {
  const double machine =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return static_cast<size_t>(std::min(machine, least_quota().bytes));
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

int64_t cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string dir = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    if (first_line(dir + "/level") != std::to_string(level)) continue;
    if (first_line(dir + "/type") == "Instruction") continue;
    const std::string size = first_line(dir + "/size");
    const int64_t unit = size.find('K') != std::string::npos   ? 1 << 10
                         : size.find('M') != std::string::npos ? 1 << 20
                                                               : 1;
    return std::atoll(size.c_str()) * unit;
  }
  return 0;
}

}  // namespace dlcore
