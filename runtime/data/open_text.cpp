// Windows of a text.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "runtime/data/text_file.h"
#include "runtime/data/text_reader.h"

#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

void Opener::text() {
  std::vector<TextFile> files;
  for (auto [part, source] : parts()) {
    if (source->path.text.empty()) throw SpecError(source->loc, "this source needs a 'path'");
    files.push_back({part, find(source->path), source});
    add_source(source->path.text);
  }
  if (files.size() > 1) out_.pieces.clear();   // rows of parts are not in order of the files
  if (files[0].part > 0) throw SpecError(s_.loc, "a text needs 'train': its source gives the vocabulary");
  out_.schema.dataset = fs::path(files[0].path).filename().string();
  TextData t = read_text(files, s_);
  out_.schema.vocabulary = t.vocabulary.entries();
  out_.schema.byte_tokens = t.vocabulary.of_bytes();
  out_.rows = t.rows;
  ColumnSchema x;
  x.name = "x";
  x.type = {DType::i32, {t.window}};
  x.meaning = ColumnSchema::Meaning::free;
  x.pitch = t.stride;
  ColumnSchema y = x;
  y.name = "y";
  y.target = true;
  y.meaning = ColumnSchema::Meaning::index;
  for (const std::string& token : t.vocabulary.entries()) y.classes.push_back(show_token(token));
  // The target is the same stream, one token further.
  out_.schema.columns = {x, y};
  out_.columns = {t.tokens, t.tokens.part(sizeof(int32_t), t.tokens.size() - sizeof(int32_t))};
  std::vector<int32_t>* lists[] = {&out_.train, &out_.val, &out_.test};
  for (size_t p = 0; p < 3; ++p) *lists[p] = std::move(t.parts[p]);
  subsets();
}
}  // namespace mlc
