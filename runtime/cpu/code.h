// From kernel texts to machine code: the cache, else the JIT on several threads.
#pragma once
#include "runtime/cpu/jit.h"
#include "runtime/cpu/object_cache.h"

namespace mlc {

/// Code of all kernels of a program, compiled on up to `threads` threads unless the cache has it.
std::unique_ptr<JitCode> load_code(const Program& program, const ObjectCache& cache, int threads);

}  // namespace mlc
