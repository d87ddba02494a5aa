// Files that are either the old one or the new one, whatever happens in between.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace mlc {

/// Writes the pieces one after the other into a temporary file beside `path`, syncs it to disk and renames it. Throws
/// RuntimeError (disk full, no permission, no such folder); the old file is then untouched.
void write_file(const std::string& path, std::span<const std::string_view> pieces);
void write_file(const std::string& path, std::string_view text);

}  // namespace mlc
