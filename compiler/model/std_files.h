// The standard library's YAML files, embedded at build time (cmake/embed.cmake).
#pragma once
#include <string_view>
#include <vector>

namespace mlc {

struct StdFile {
  const char* name;   ///< "std/layers.yaml"
  const char* text;
};
/// Sorted by name.
const std::vector<StdFile>& std_files();

}  // namespace mlc
