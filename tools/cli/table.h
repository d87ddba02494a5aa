// Tables of results in plain text.
#pragma once
#include <string>
#include <vector>

namespace mlc {

/// Rows of cells, the first the heading; columns are as wide as they must be, numbers to the right, texts to the left.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace mlc
