// What the machine offers, found without LLVM: for the emitter's choice of vector width, the thread count and `mlc
// doctor`.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

struct CpuInfo {
  std::string name;  ///< "AMD EPYC 9B14", or the architecture where the system does not say
  std::vector<std::string> features;         ///< those that matter here, of: avx2, fma, avx512f, avx512bw, avx512dq, avx512vl, neon
  int vector_lanes = 4;  ///< f32 lanes of the widest vectors: 4, 8 or 16
  int cores = 1;        ///< physical cores that this process may use (affinity and cgroup quota), at least 1
  int64_t l1 = 0, l2 = 0, l3 = 0;  ///< bytes of the data caches of one core; 0 where unknown
  bool has(const std::string& feature) const;
  /// Compiled code runs here: AVX2 with FMA, or NEON.
  bool supported() const { return (has("avx2") && has("fma")) || has("neon"); }
};

CpuInfo detect_cpu();

}  // namespace mlc
