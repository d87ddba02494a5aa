// Loop nests to LLVM IR text.
#pragma once
#include "compiler/loops/ir.h"

#include <string>

namespace mlc {

/// The text of one kernel for vectors of `lanes` f32 (4, 8 or 16): a function `void @NAME(ptr buffers, ptr scalars,
/// i64 tile_begin, i64 tile_end)` and a private body whose pointers are noalias. Every logical vector becomes
/// 16 / lanes values; bits do not depend on `lanes`. Intrinsics are not declared: the parser of LLVM 19 does it.
std::string emit_llvm(const loops::Kernel& kernel, int lanes);

}  // namespace mlc
