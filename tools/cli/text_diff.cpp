#include "tools/cli/text_diff.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>

namespace mlc {

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string diff_lines(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  // What the texts share at both ends is set aside first.
  size_t head = 0, tail = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  size_t n = a.size() - head - tail, m = b.size() - head - tail;
  constexpr size_t kMost = 64'000'000;   // cells; larger texts are shown as replaced
  std::string out;
  if (n * m > kMost) {
    for (size_t i = 0; i < n; ++i) out += "- " + a[head + i] + "\n";
    for (size_t j = 0; j < m; ++j) out += "+ " + b[head + j] + "\n";
    return out;
  }
  std::vector<uint32_t> common((n + 1) * (m + 1), 0);   // of the ends from (i, j) on
  auto at = [&](size_t i, size_t j) -> uint32_t& { return common[i * (m + 1) + j]; };
  for (size_t i = n; i-- > 0;)
    for (size_t j = m; j-- > 0;) at(i, j) = a[head + i] == b[head + j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
  for (size_t i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && a[head + i] == b[head + j]) ++i, ++j;
    else if (i < n && (j == m || at(i + 1, j) >= at(i, j + 1))) out += "- " + a[head + i++] + "\n";
    else out += "+ " + b[head + j++] + "\n";
  }
  return out;
}

}  // namespace mlc
