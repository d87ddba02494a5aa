#include "runtime/data/tokens.h"

#include "compiler/base/text.h"

#include <cstdio>

namespace mlc {

Vocabulary Vocabulary::bytes() {
  Vocabulary v;
  v.of_bytes_ = true;
  for (int b = 0; b < 256; ++b) v.entries_.emplace_back(1, static_cast<char>(b));
  v.index();
  return v;
}

Vocabulary Vocabulary::characters(std::string_view text, std::optional<EncodingFault>* fault) {
  Vocabulary v;
  std::array<bool, 256> single{};
  std::map<std::string, int32_t, std::less<>> longer;
  for (size_t at = 0; at < text.size();) {
    size_t n = utf8_character(text, at);
    if (n == 0) {
      *fault = EncodingFault{at, 0};
      return v;
    }
    if (n == 1) single[static_cast<unsigned char>(text[at])] = true;
    else if (longer.find(text.substr(at, n)) == longer.end()) longer.emplace(text.substr(at, n), 0);
    at += n;
  }
  // The bytes of UTF-8 sort as the code points do.
  for (size_t b = 0; b < single.size(); ++b)
    if (single[b]) v.entries_.emplace_back(1, static_cast<char>(b));
  for (const auto& [character, token] : longer) v.entries_.push_back(character);
  v.index();
  return v;
}

Vocabulary::Vocabulary(const Schema& schema) : of_bytes_(schema.byte_tokens), entries_(schema.vocabulary) { index(); }

void Vocabulary::index() {
  single_.fill(-1);
  for (size_t i = 0; i < entries_.size(); ++i) {
    auto token = static_cast<int32_t>(i);
    if (entries_[i].size() == 1) single_[static_cast<unsigned char>(entries_[i][0])] = token;
    else longer_.emplace(entries_[i], token);
  }
}

std::optional<EncodingFault> Vocabulary::encode(std::string_view text, std::vector<int32_t>* to) const {
  to->reserve(to->size() + text.size());
  for (size_t at = 0; at < text.size();) {
    size_t n = of_bytes_ ? 1 : utf8_character(text, at);
    if (n == 0) return EncodingFault{at, 0};
    int32_t token = -1;
    if (n == 1) token = single_[static_cast<unsigned char>(text[at])];
    else if (auto it = longer_.find(text.substr(at, n)); it != longer_.end()) token = it->second;
    if (token < 0) return EncodingFault{at, n};
    to->push_back(token);
    at += n;
  }
  return std::nullopt;
}

std::string show_token(std::string_view bytes) {
  char code[32];
  if (bytes.size() == 1) {
    auto byte = static_cast<unsigned char>(bytes[0]);
    if (byte == '\n') return "'\\n'";
    if (byte == '\t') return "'\\t'";
    if (byte == '\r') return "'\\r'";
    if (byte >= 0x20 && byte < 0x7F) return "'" + std::string(bytes) + "'";
    std::snprintf(code, sizeof code, "byte 0x%02X", byte);
    return code;
  }
  unsigned point = static_cast<unsigned char>(bytes[0]) & (0xFFu >> (bytes.size() + 1));
  for (size_t i = 1; i < bytes.size(); ++i) point = point << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3Fu);
  std::snprintf(code, sizeof code, "U+%04X", point);
  return "'" + std::string(bytes) + "' (" + code + ")";
}

}  // namespace mlc
