// Differences of texts, line by line.
#pragma once
#include <string>
#include <vector>

namespace mlc {

std::vector<std::string> split_lines(const std::string& text);
/// Lines that only one side has, in order, as "- line" and "+ line", by the longest common subsequence; "" where they are equal.
std::string diff_lines(const std::vector<std::string>& before, const std::vector<std::string>& after);

}  // namespace mlc
