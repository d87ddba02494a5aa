// The CPU as a device: compiled kernels on a pool of threads.
#pragma once
#include "runtime/device.h"

namespace mlc {

struct CpuOptions {
  int threads = 0;  ///< 0: all physical cores that the process may use
  bool use_cache = true;
  std::string cache_folder;  ///< of compiled programs; empty: default_cache_folder() (runtime/cpu/object_cache.h)
  bool poison_arena = false;  ///< for tests: fills the arena with NaN before the first step
};

/// Results are the same bits for any number of threads. Executables may outlive the device. Throws RuntimeError when
/// the CPU has neither AVX2 with FMA nor NEON.
std::unique_ptr<Device> make_cpu_device(const CpuOptions& options = {});

}  // namespace mlc
