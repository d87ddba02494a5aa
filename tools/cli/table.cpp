#include "tools/cli/table.h"

#include "compiler/base/text.h"

#include <algorithm>

namespace mlc {

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> width;
  std::vector<bool> numbers;
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c) {
      if (c >= width.size()) width.push_back(0), numbers.push_back(true);
      width[c] = std::max(width[c], utf8_length(rows[r][c]));
      if (r > 0 && !rows[r][c].empty() && rows[r][c] != "-" && !parse_real(rows[r][c])) numbers[c] = false;
    }
  std::string out;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      std::string blanks(width[c] - utf8_length(row[c]), ' ');
      line += (c ? "  " : "") + (numbers[c] ? blanks + row[c] : row[c] + blanks);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace mlc
