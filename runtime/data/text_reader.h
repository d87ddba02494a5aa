// `reader: text`: files as one stream of tokens, and the windows of each part in it.
#pragma once
#include "runtime/data/settings.h"
#include "runtime/data/tokens.h"
#include "runtime/store/bytes.h"

#include <array>
#include <string>
#include <vector>

namespace mlc {

struct TextData {
  Vocabulary vocabulary = Vocabulary::bytes();
  int64_t window = 0, stride = 0;
  Bytes tokens;                               ///< i32; row r is the `window` tokens from r * stride on, its target those one further
  int64_t rows = 0;
  std::array<std::vector<int32_t>, 3> parts;  ///< rows of train, val, test: windows of one part alone
};

/// A file as given: which part it is (0 train, 1 val, 2 test; -1: all, to be split), and its source in the spec.
struct TextFile {
  int part = 0;
  std::string path;
  const SourceSettings* source = nullptr;
};

/// Reads, splits (in order), encodes. The vocabulary is that of the training text. SpecError for faults of the settings,
/// a part shorter than a window; TextFault for text that is not UTF-8 or holds a character that the
/// training text lacks.
TextData read_text(const std::vector<TextFile>& files, const DataSettings& settings);

}  // namespace mlc
