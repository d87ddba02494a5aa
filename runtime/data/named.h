// Datasets that `dataset:` knows by name.
#pragma once
#include "compiler/base/types.h"

#include <string>
#include <vector>

namespace mlc {

/// MNIST-like IDX files in a folder of that name, or a table that comes with mlc.
struct Known {
  const char* name;
  bool images;
  const char* target;
  std::vector<std::string> classes;      // of a class target, in index order
  Shape shape;                           // of tables of pixels
  double range;
};
const std::vector<Known>& known_datasets();

/// The file, or its .gz in its place; empty where there is neither.
std::string existing_file(const std::string& path);

}  // namespace mlc
