// Loop nests to C99 text: a second reading of the loop level, for checks under sanitizers and for people.
#pragma once
#include "compiler/loops/ir.h"

#include <string>

namespace mlc {

/// One function `void NAME(char** buffers, const float* scalars, int64_t tile_begin, int64_t tile_end)` whose arguments
/// mean what those of emit_llvm mean. Its bits are those of LLVM's when it is compiled without contraction of
/// a * b + c and runs with denormals flushed; only the bits within a NaN may differ. Needs c99_prelude() before it.
std::string emit_c99(const loops::Kernel& kernel);

/// Includes, vector types and inline functions that every kernel's text needs, once before all of them. Plain C99.
std::string c99_prelude();

/// The function's name in C: the kernel's with `_` for what C does not allow.
std::string c99_name(const loops::Kernel& kernel);

}  // namespace mlc
