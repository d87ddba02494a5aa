// What this machine gives at this moment: the measure of a profile.
#pragma once
#include "compiler/plan/plan.h"

namespace mlc {

struct MachineLimits {
  double gflops = 0;         ///< fused multiply-adds from registers, all threads, two operations each
  double gbytes = 0;         ///< a second, read and written, of copies through memory by all threads
};

/// Measures for some 50 ms. `threads` and `target` are those of the program that will be compared.
MachineLimits measure_limits(int threads, const Target& target);

}  // namespace mlc
