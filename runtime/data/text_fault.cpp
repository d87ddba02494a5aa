#include "runtime/data/text_fault.h"

#include "compiler/base/text.h"
#include "runtime/data/text_file.h"

#include <cctype>

namespace mlc {
namespace {

constexpr size_t kMostCharacters = 400;

// The line without its end; nothing where the file cannot be read twice.
std::string line_of(const TextFault& fault) {
  if (fault.path == kStandardInput) return "";
  std::string text = read_text_file(fault.path);
  size_t begin = 0;
  for (int64_t line = 1; line < fault.line && begin != std::string::npos; ++line) {
    begin = text.find('\n', begin);
    if (begin != std::string::npos) ++begin;
  }
  if (begin == std::string::npos) return "";
  std::string line = text.substr(begin, text.find('\n', begin) - begin);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line.substr(line.starts_with("\xEF\xBB\xBF") ? 3 : 0);
}

bool in_word(const std::string& line, size_t at) {
  auto c = at < line.size() ? static_cast<unsigned char>(line[at]) : ' ';
  return std::isalnum(c) || c == '_' || c == '.' || c >= 0x80;
}

// Where the line has the token, by itself or anywhere; npos where not in one place.
size_t only_place(const std::string& line, const std::string& token, bool alone) {
  size_t found = std::string::npos;
  for (size_t at = line.find(token); at != std::string::npos; at = line.find(token, at + 1)) {
    if (alone && ((at > 0 && in_word(line, at - 1)) || in_word(line, at + token.size()))) continue;
    if (found != std::string::npos) return std::string::npos;
    found = at;
  }
  return found;
}

// The token's place in characters, else the whole line.
Loc marks(const std::string& line, const std::string& token) {
  size_t at = token.empty() ? std::string::npos : only_place(line, token, true);
  if (at == std::string::npos && !token.empty()) at = only_place(line, token, false);
  if (at == std::string::npos) return {0, 0, 1, static_cast<uint32_t>(utf8_length(line))};
  return {0, 0, static_cast<uint32_t>(utf8_length(line.substr(0, at)) + 1), static_cast<uint32_t>(utf8_length(token))};
}

}  // namespace

Diagnostic located(const TextFault& fault, Sources& sources) {
  std::string line = line_of(fault);
  bool quoted = !line.empty() && utf8_length(line) <= kMostCharacters && utf8_valid(line);
  Loc loc = quoted ? marks(line, fault.token) : Loc{};
  // Empty lines in front keep the line at its number.
  loc.file = sources.add(fault.path == kStandardInput ? "standard input" : fault.path,
                         quoted ? std::string(static_cast<size_t>(fault.line - 1), '\n') + line : "");
  loc.line = static_cast<uint32_t>(fault.line);
  return {.loc = loc, .text = fault.text};
}

}  // namespace mlc
