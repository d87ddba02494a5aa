// Messages that are too long for a line.
#pragma once
#include <string>
#include <vector>

namespace mlc {

/// A message in lines of at most 100 characters, broken between its parts.
std::vector<std::string> message_lines(std::string text);

}  // namespace mlc
