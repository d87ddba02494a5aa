// Small text utilities: UTF-8, numbers, nearest names.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

size_t utf8_length(std::string_view text);                                   ///< characters, not bytes
std::string utf8_slice(std::string_view text, size_t begin, size_t count);   ///< by characters
/// Bytes of the character that begins at `at`; 0 where there is none (UTF-8 as in RFC 3629). Requires at < text.size().
size_t utf8_character(std::string_view text, size_t at);
bool utf8_valid(std::string_view text);
/// ASCII control characters but tab and line ends.
bool is_control(char c);
std::string hex_byte(char c);                       ///< two digits
/// With each control character as `control`, or as \\x1b where that is empty: nothing that a terminal would obey.
std::string visible(std::string_view text, std::string_view control = {});

std::string replace_all(std::string text, std::string_view from, std::string_view to);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
bool starts_with(std::string_view text, std::string_view prefix);

/// The shortest text that reads back as the same double; "1e-05" style exponents, "inf", "nan".
std::string format_number(double value);
/// 1234567 -> "1,234,567".
std::string format_count(long long value);
/// [32, 64, 64]
std::string format_shape(const std::vector<int64_t>& shape);

/// YAML 1.2 core schema numbers (`1e-3`, `0o10`, `0x1F`, `010` is ten, `.inf`, `.nan`); nothing for other text.
std::optional<int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);

/// The candidate nearest to `name` by edit distance, or nothing when none is near (distance over a third of the length).
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// Glob with `*` (any run of characters, dots included) and `?`.
bool glob_match(std::string_view pattern, std::string_view text);

/// True where the file, links followed, lies in the folder's tree.
bool inside_folder(const std::string& file, const std::string& folder);

/// Bytes with a unit: "1.4 MB".
std::string format_bytes(double bytes);

}  // namespace mlc
