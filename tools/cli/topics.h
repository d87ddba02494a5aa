// Pages of `mlc doc` that are not about one key or entry.
#pragma once
#include <string>
#include <vector>

namespace mlc {

struct Topic {
  const char *name, *summary, *text;
};
const std::vector<Topic>& topics();

}  // namespace mlc
