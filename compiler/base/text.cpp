#include "compiler/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>

namespace mlc {
namespace {

size_t utf8_step(unsigned char first) { return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4; }

size_t utf8_offset(std::string_view text, size_t characters) {
  size_t at = 0;
  while (characters-- && at < text.size()) at += utf8_step(static_cast<unsigned char>(text[at]));
  return std::min(at, text.size());
}

}  // namespace

size_t utf8_length(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string utf8_slice(std::string_view text, size_t begin, size_t count) {
  size_t from = utf8_offset(text, begin);
  return std::string(text.substr(from, utf8_offset(text.substr(from), count)));
}

size_t utf8_character(std::string_view text, size_t at) {
  auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  size_t n = utf8_step(first);
  if (at + n > text.size()) return 0;
  for (size_t k = 1; k < n; ++k)
    if ((text[at + k] & 0xC0) != 0x80) return 0;
  auto second = static_cast<unsigned char>(text[at + 1]);
  bool outside = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
                 (first == 0xF4 && second > 0x8F);
  return outside ? 0 : n;
}

bool is_control(char c) {
  auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
}

std::string hex_byte(char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  auto byte = static_cast<unsigned char>(c);
  return {kDigits[byte >> 4], kDigits[byte & 15]};
}

std::string visible(std::string_view text, std::string_view control) {
  std::string out;
  for (char c : text) {
    if (!is_control(c)) out += c;
    else if (control.empty()) out += "\\x" + hex_byte(c);
    else out += control;
  }
  return out;
}

bool utf8_valid(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    size_t n = utf8_character(text, i);
    if (n == 0) return false;
    i += n;
  }
  return true;
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) out += (i ? std::string(separator) : "") + parts[i];
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::string format_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

std::string format_count(long long value) {
  std::string digits = std::to_string(value < 0 ? -value : value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return (value < 0 ? "-" : "") + digits;
}

std::string format_shape(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

std::optional<int64_t> parse_integer(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  std::string_view digits = text.substr(!text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0);
  int base = 10;
  if (starts_with(text, "0o")) base = 8, digits = text.substr(2);
  if (starts_with(text, "0x")) base = 16, digits = text.substr(2);
  uint64_t value = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (code != std::errc() || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

std::optional<double> parse_real(std::string_view text) {
  std::string_view body = text.substr(!text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0);
  double sign = !text.empty() && text[0] == '-' ? -1 : 1;
  if (body == ".inf" || body == ".Inf" || body == ".INF") return sign * std::numeric_limits<double>::infinity();
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  if (auto integer = parse_integer(text)) return static_cast<double>(*integer);
  if (body.empty() || (body[0] != '.' && (body[0] < '0' || body[0] > '9'))) return std::nullopt;
  if (body.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  auto [end, code] = std::from_chars(body.data(), body.data() + body.size(), value);
  if (end != body.data() + body.size()) return std::nullopt;
  if (code == std::errc::result_out_of_range) return std::nullopt;
  if (code != std::errc()) return std::nullopt;
  return sign * value;
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    // Damerau's distance with adjacent swaps, on three rows.
    size_t n = candidate.size();
    std::vector<size_t> before(n + 1), last(n + 1), row(n + 1);
    std::iota(last.begin(), last.end(), size_t{0});
    for (size_t i = 1; i <= name.size(); ++i) {
      row[0] = i;
      for (size_t j = 1; j <= n; ++j) {
        size_t cost = name[i - 1] != candidate[j - 1];
        row[j] = std::min({row[j - 1] + 1, last[j] + 1, last[j - 1] + cost});
        if (i > 1 && j > 1 && name[i - 1] == candidate[j - 2] && name[i - 2] == candidate[j - 1])
          row[j] = std::min(row[j], before[j - 2] + 1);
      }
      before.swap(last);
      last.swap(row);
    }
    if (last[n] < best_distance && last[n] < std::max(n, name.size())) best_distance = last[n], best = candidate;
  }
  return best;
}

bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) bytes /= 1000, ++unit;
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return buffer;
}

bool inside_folder(const std::string& file, const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code fault;
  fs::path real = fs::weakly_canonical(fs::absolute(file, fault), fault),
           home = fs::weakly_canonical(fs::absolute(folder.empty() ? "." : folder, fault), fault);
  fs::path rest = real.lexically_relative(home);
  return !rest.empty() && *rest.begin() != "..";
}

}  // namespace mlc
