// What a name that is not known may have been meant for.
#pragma once
#include <cstdint>
#include <string>

namespace mlc {

/// True for another framework's word for `candidate`, and for its letters in another spelling.
bool same_meaning(const std::string& name, const std::string& candidate);
/// Why an argument that other frameworks want has no counterpart: in_channels, inplace. Empty for all others.
std::string needless(const std::string& argument);
/// "(" less ")": below 0 for the "y)" of "loss: mse(output, y)" within {}, where YAML ends the text at the comma.
int64_t open_parentheses(const std::string& text);

}  // namespace mlc
