#include "compiler/spec/text_runs.h"

namespace mlc {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// A place that moves through the source, counting lines and columns.
struct Cursor {
  std::string_view text;
  size_t at;
  Loc loc;

  bool more() const { return at < text.size(); }
  char here() const { return more() ? text[at] : '\0'; }
  char next() const { return at + 1 < text.size() ? text[at + 1] : '\0'; }
  void step() {
    if (here() == '\n') ++loc.line, loc.col = 0;
    do ++at;
    while (more() && continues(text[at]));
    ++loc.col;
  }
  void skip_blanks() {
    while (more() && blank(here())) step();
  }
};

}  // namespace

std::vector<TextRun> text_runs(std::string_view source, size_t start, Loc loc, std::string_view value, bool quoted) {
  Cursor from{source, start, loc};
  char opening = from.here(), quote = quoted && (opening == '"' || opening == '\'') ? opening : '\0';
  if (quote) {
    from.step();
  } else if (quoted) {   // a block: its text begins on the next line
    while (from.more() && from.here() != '\n') from.step();
    from.skip_blanks();
  }
  std::vector<TextRun> runs;
  uint32_t at = 0;
  for (size_t i = 0; i < value.size(); ++at) {
    if (blank(value[i])) {   // folding changes blanks: they stand for whatever blanks are there
      from.skip_blanks();
      for (++i; i < value.size() && blank(value[i]); ++i) ++at;
      continue;
    }
    bool escape = (quote == '"' && from.here() == '\\') || (quote == '\'' && from.here() == '\'');
    if (escape && from.next() != value[i]) return {};
    Loc place = from.loc;
    if (escape) from.step();
    if (from.here() != value[i]) return {};
    from.step();
    do ++i;
    while (i < value.size() && continues(value[i]));
    bool beside = !runs.empty() && runs.back().loc.line == place.line && place.col - runs.back().loc.col == at - runs.back().at;
    if (!beside || escape) runs.push_back({at, {place.file, place.line, place.col, 0}});
    runs.back().loc.len = at - runs.back().at + (escape ? 2 : 1);
  }
  return runs;
}

}  // namespace mlc
