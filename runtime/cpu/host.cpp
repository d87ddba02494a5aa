#include "runtime/cpu/host.h"

#include "compiler/base/text.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sched.h>
#include <set>
#include <thread>

namespace mlc {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (starts_with(line, "model name")) return std::string(trim(std::string_view(line).substr(line.find(':') + 1)));
#if defined(__aarch64__)
  return "aarch64";
#else
  return "x86-64";
#endif
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks whether the system saves the wide registers.
  if (__builtin_cpu_supports("avx2")) found.push_back("avx2");
  if (__builtin_cpu_supports("fma")) found.push_back("fma");
  if (__builtin_cpu_supports("avx512f")) found.push_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) found.push_back("avx512bw");
  if (__builtin_cpu_supports("avx512dq")) found.push_back("avx512dq");
  if (__builtin_cpu_supports("avx512vl")) found.push_back("avx512vl");
#elif defined(__aarch64__)
  found.push_back("neon");
#endif
  return found;
}

// "48K" and "2M" of sysfs.
int64_t parse_size(const std::string& text) {
  if (text.empty()) return 0;
  auto number = parse_integer(text.substr(0, text.size() - 1));
  int64_t unit = text.back() == 'K' ? 1024 : text.back() == 'M' ? 1024 * 1024 : 0;
  return number ? *number * unit : 0;
}

void read_caches(CpuInfo& info) {
  for (int i = 0; i < 8; ++i) {
    std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i);
    std::string level = first_line(folder + "/level");
    if (level.empty()) break;
    if (first_line(folder + "/type") == "Instruction") continue;
    int64_t size = parse_size(first_line(folder + "/size"));
    if (level == "1") info.l1 = size;
    if (level == "2") info.l2 = size;
    if (level == "3") info.l3 = size;
  }
}

// Hyper-threads share the units that compiled kernels saturate: count cores, not threads.
int usable_cores() {
  int fallback = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return fallback;
  std::set<std::pair<std::string, std::string>> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology";
    std::string core = first_line(folder + "/core_id");
    if (core.empty()) return std::max(1, CPU_COUNT(&allowed));
    cores.emplace(first_line(folder + "/physical_package_id"), core);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

// A container's share of the machine: "QUOTA PERIOD" in microseconds, or "max PERIOD".
int quota_cores() {
  std::vector<std::string> parts = split(first_line("/sys/fs/cgroup/cpu.max"), ' ');
  if (parts.size() != 2) return 1 << 20;
  auto quota = parse_real(parts[0]), period = parse_real(parts[1]);
  if (!quota || !period || *period <= 0) return 1 << 20;
  return std::max(1, static_cast<int>(std::ceil(*quota / *period)));
}

}  // namespace

bool CpuInfo::has(const std::string& feature) const { return std::find(features.begin(), features.end(), feature) != features.end(); }

CpuInfo detect_cpu() {
  CpuInfo info;
  info.name = cpu_name();
  info.features = cpu_features();
  bool wide = info.has("avx512f") && info.has("avx512bw") && info.has("avx512dq") && info.has("avx512vl");
  info.vector_lanes = wide ? 16 : info.has("avx2") ? 8 : 4;
  info.cores = std::min(usable_cores(), quota_cores());
  read_caches(info);
  return info;
}

}  // namespace mlc
