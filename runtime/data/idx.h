// IDX files (MNIST's format), gzip or not: magic, extents, then unsigned bytes.
#pragma once
#include "compiler/base/types.h"

#include <cstddef>
#include <string>

namespace mlc {

/// The shape in the file's header. Throws RuntimeError that starts with `path`: no IDX file, or elements that are not bytes.
Shape idx_shape(const std::string& path);
/// Reads the elements into `to`, which has room for them all. Throws RuntimeError when the file ends early or goes on.
void read_idx(const std::string& path, std::byte* to);

}  // namespace mlc
