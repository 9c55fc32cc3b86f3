#include "runtime/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace dlcore {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs' worth of time that a cgroup grants, infinity when it sets no limit.
double quota_v2(const std::string& dir) {
  std::istringstream line(first_line(dir + "/cpu.max"));
  std::string quota;
  double period = 0;
  if (!(line >> quota >> period) || quota == "max" || period <= 0) return INFINITY;
  return std::atof(quota.c_str()) / period;
}

double quota_v1(const std::string& dir) {
  const double quota = std::atof(first_line(dir + "/cpu.cfs_quota_us").c_str());
  const double period = std::atof(first_line(dir + "/cpu.cfs_period_us").c_str());
  return quota > 0 && period > 0 ? quota / period : INFINITY;
}

// The tightest quota from the process's own group up to the root.
double cgroup_quota() {
  double least = INFINITY;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (std::string path = line.substr(second + 1);;) {
      least = std::min(least, v2 ? quota_v2(root + path) : quota_v1(root + path));
      if (path.empty() || path == "/") break;
      path.erase(path.find_last_of('/'));
    }
  }
  return least;
}

}  // namespace

int usable_cpus() {
  int cpus = 1;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    cpus = CPU_COUNT(&set);
  else
    cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const double quota = cgroup_quota();
  if (std::isfinite(quota)) cpus = std::min(cpus, static_cast<int>(std::ceil(quota)));
  return std::clamp(cpus, 1, kMaxThreads);
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
