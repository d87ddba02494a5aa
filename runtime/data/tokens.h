// Text as numbers: the characters of a vocabulary, or bytes.
#pragma once
#include "compiler/base/schema.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

/// A text cannot be encoded: at byte `at` there is no character (length 0), or one that the vocabulary lacks.
struct EncodingFault {
  size_t at = 0, length = 0;
};

class Vocabulary {
public:
  /// The 256 bytes.
  static Vocabulary bytes();
  /// The characters that occur, sorted by code point. A fault where the text is not UTF-8.
  static Vocabulary characters(std::string_view text, std::optional<EncodingFault>* fault);
  /// That of a dataset or of a run.
  explicit Vocabulary(const Schema& schema);

  /// Appends the tokens of a text; stops at the first fault.
  std::optional<EncodingFault> encode(std::string_view text, std::vector<int32_t>* to) const;
  const std::string& text(int32_t token) const { return entries_.at(static_cast<size_t>(token)); }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  bool of_bytes() const { return of_bytes_; }
  const std::vector<std::string>& entries() const { return entries_; }

private:
  Vocabulary() = default;
  void index();

  bool of_bytes_ = false;
  std::vector<std::string> entries_;
  std::array<int32_t, 256> single_{};               // tokens of one byte; -1: none
  std::map<std::string, int32_t, std::less<>> longer_;
};

/// For people to read: 'a', '\n', 'é' (U+00E9), byte 0xFF.
std::string show_token(std::string_view bytes);

}  // namespace mlc
