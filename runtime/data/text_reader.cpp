#include "runtime/data/text_reader.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/split.h"
#include "runtime/data/text_fault.h"
#include "runtime/data/text_file.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace mlc {
namespace {

constexpr const char* kParts[] = {"train", "val", "test"};

/// The text of one part: a range of a file.
struct Piece {
  int part;
  std::string_view text;
  const std::string* path;
  size_t begin;               // in the file
  std::string_view whole;     // the file
  Loc loc;
};

[[noreturn]] void fail(const Piece& piece, const EncodingFault& fault, bool of_training, int64_t known) {
  size_t at = piece.begin + fault.at;
  auto line = 1 + std::count(piece.whole.begin(), piece.whole.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  if (fault.length == 0)
    throw TextFault(*piece.path, line,
                    show_token(piece.whole.substr(at, 1)) + " at offset " + std::to_string(at) +
                        " is not UTF-8; 'tokens: byte' reads any file");
  ensure(!of_training, "text: the vocabulary has all characters of the training text");
  std::string_view character = piece.whole.substr(at, fault.length);
  throw TextFault(*piece.path, line,
                  std::string("the ") + kParts[piece.part] + " text has " + show_token(character) +
                      ", which the training text lacks (it has " + std::to_string(known) + " characters); 'tokens: byte' knows every text",
                  std::string(character));
}

class TextReader {
public:
  TextReader(const std::vector<TextFile>& files, const DataSettings& s) : files_(files), s_(s) {}

  TextData read() {
    settings();
    for (const TextFile& file : files_) texts_.push_back(read_text_file(file.path));
    for (size_t i = 0; i < files_.size(); ++i) add_file(files_[i], texts_[i]);
    make_vocabulary();
    for (const Piece& piece : pieces_) add_windows(piece);
    return finish();
  }

private:
  // Tokens and window are those of the training source; the others may repeat them.
  void settings() {
    const SourceSettings& first = *files_[0].source;
    if (first.window.value == 0)
      throw SpecError(first.loc, "a text source needs 'window', the tokens of a row, as in {path: FILE, tokens: char, window: 256}");
    out_.window = first.window.value;
    out_.stride = first.stride.value > 0 ? first.stride.value : out_.window;
    bytes_ = first.tokens.text == "byte";
    for (const TextFile& file : files_) {
      const SourceSettings& s = *file.source;
      auto same = [](const Loc& loc, const char* key) { throw SpecError(loc, std::string("'") + key + "' must be the same in all parts"); };
      if (!s.tokens.text.empty() && (s.tokens.text == "byte") != bytes_) same(s.tokens.loc, "tokens");
      if (s.window.value > 0 && s.window.value != out_.window) same(s.window.loc, "window");
      if (s.stride.value > 0 && s.stride.value != out_.stride) same(s.stride.loc, "stride");
    }
    const SplitSettings& split = s_.split;
    if (split.order_given && !split.sequential)
      throw SpecError(split.loc,
                      "a text is split in order: 'order: random' would put the beginnings of windows and their ends into different parts");
    if (split.folds > 0 || !split.group.text.empty())
      throw SpecError(split.loc, "'k_fold' and 'group' need rows of their own; a text is split in order");
    if (split.stratify.value_or(false) || !split.stratify_by.text.empty())
      throw SpecError(split.loc, "'stratify' needs a class per row; a text is split in order");
    if (s_.oversample) throw SpecError(s_.loc, "'balance: oversample' needs a class per row; a text has one per token");
    for (const LoadTransform& t : s_.transforms) throw SpecError(t.loc, "this transform needs a table or images; these are tokens");
  }

  // The training file (or the only one) is cut where `split` says.
  void add_file(const TextFile& file, const std::string& text) {
    if (text.empty()) throw RuntimeError(file.path + ": the file is empty");
    SplitSettings split = s_.split;
    bool cuts = split.train + split.val + split.test > 0 && file.part <= 0;
    if (!cuts) {
      pieces_.push_back({std::max(file.part, 0), text, &file.path, 0, text, file.source->loc});
      return;
    }
    for (const TextFile& other : files_)
      if ((other.part == 1 && split.val > 0) || (other.part == 2 && split.test > 0))
        throw SpecError(split.loc, std::string("the data come with a file for '") + kParts[other.part] +
                                       "': 'split' cannot take this part from the training text");
    if (split.train == 0) split.train = std::max(0.0, 1 - split.val - split.test);
    // Characters are counted, so that no cut falls into one; a fault of the text is found here.
    auto advance = [&](size_t at, int64_t tokens) {
      for (; tokens > 0 && at < text.size(); --tokens) at += bytes_ ? 1 : utf8_character(text, at);
      return at;
    };
    int64_t tokens = 0;
    for (size_t at = 0, n = 0; at < text.size(); at += n, ++tokens)
      if (n = bytes_ ? 1 : utf8_character(text, at); n == 0) fail({0, text, &file.path, 0, text, {}}, {at, 0}, true, 0);
    std::array<int64_t, 3> counts = split_counts(tokens, split);
    size_t begin = 0;
    for (int part = 0; part < 3; ++part) {
      size_t end = advance(begin, counts[static_cast<size_t>(part)]);
      if (end > begin) pieces_.push_back({part, std::string_view(text).substr(begin, end - begin), &file.path, begin, text, split.loc});
      begin = end;
    }
  }

  void make_vocabulary() {
    if (bytes_) return;
    const Piece& train = pieces_[0];
    std::optional<EncodingFault> fault;
    out_.vocabulary = Vocabulary::characters(train.text, &fault);
    if (fault) fail(train, *fault, true, 0);
  }

  // Each part begins at a multiple of the stride, so that row numbers are places in the stream.
  void add_windows(const Piece& piece) {
    stream_.resize(
        (stream_.size() + static_cast<size_t>(out_.stride) - 1) / static_cast<size_t>(out_.stride) * static_cast<size_t>(out_.stride), 0);
    auto begin = static_cast<int64_t>(stream_.size());
    if (auto fault = out_.vocabulary.encode(piece.text, &stream_)) fail(piece, *fault, piece.part == 0, out_.vocabulary.size());
    int64_t tokens = static_cast<int64_t>(stream_.size()) - begin;
    if (tokens <= out_.window)
      throw SpecError(piece.loc, std::string("the part '") + kParts[piece.part] + "' has " + std::to_string(tokens) +
                                     " tokens; a window of " + std::to_string(out_.window) + " and the token behind it need " +
                                     std::to_string(out_.window + 1));
    int64_t first = begin / out_.stride, count = (tokens - 1 - out_.window) / out_.stride + 1;
    if (first + count > std::numeric_limits<int32_t>::max())
      throw SpecError(piece.loc, "the text has more windows than 2^31; a greater 'stride' makes fewer");
    for (int64_t r = first; r < first + count; ++r) out_.parts[static_cast<size_t>(piece.part)].push_back(static_cast<int32_t>(r));
    out_.rows = first + count;
  }

  TextData finish() {
    out_.tokens = Bytes::allocate(stream_.size() * sizeof(int32_t));
    std::memcpy(out_.tokens.writable(), stream_.data(), stream_.size() * sizeof(int32_t));
    return std::move(out_);
  }

  const std::vector<TextFile>& files_;
  const DataSettings& s_;
  bool bytes_ = false;
  std::vector<std::string> texts_;
  std::vector<Piece> pieces_;     // the training text first
  std::vector<int32_t> stream_;
  TextData out_;
};

}  // namespace

TextData read_text(const std::vector<TextFile>& files, const DataSettings& settings) { return TextReader(files, settings).read(); }

}  // namespace mlc
