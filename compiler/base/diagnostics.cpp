#include "compiler/base/diagnostics.h"

#include "compiler/base/message_lines.h"
#include "compiler/base/text.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

namespace mlc {
namespace {

constexpr size_t kMostMessages = 50, kMostNotes = 3, kMostColumns = 100;
constexpr const char* kReplacement = "\xEF\xBF\xBD";   // one column wide, as what it stands for

// The source line and the carets under `loc`, cut to `width` columns around the fault.
std::string quote(const Sources& sources, Loc loc, int width, bool colour) {
  std::string text = visible(replace_all(std::string(sources.line(loc.file, loc.line)), "\t", " "), kReplacement);
  size_t length = utf8_length(text), begin = 0, end = length;
  if (width > 20 && length > static_cast<size_t>(width)) {
    size_t room = static_cast<size_t>(width) - 8;
    begin = loc.col > room / 2 ? loc.col - room / 2 : 0;
    end = std::min(length, begin + room);
  }
  std::string shown = (begin ? "... " : "") + utf8_slice(text, begin, end - begin) + (end < length ? " ..." : "");
  size_t indent = loc.col - 1 - std::min<size_t>(begin, loc.col - 1) + (begin ? 4 : 0);
  size_t marks = std::max<size_t>(1, std::min<size_t>(loc.len, end > loc.col - 1 ? end - (loc.col - 1) : 1));
  std::string carets = std::string(indent, ' ') + "^" + std::string(marks - 1, '~');
  return "  " + shown + "\n  " + (colour ? "\033[1;32m" + carets + "\033[0m" : carets) + "\n";
}

// The text with what stands in quotes and brackets masked, so that no part is broken within.
std::string masked(std::string text) {
  char end = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    bool word = i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])),
         more = i + 1 < text.size() && std::isalnum(static_cast<unsigned char>(text[i + 1]));
    if (end && text[i] == end && (end != '\'' || !more)) end = 0;
    else if (!end && ((text[i] == '\'' && !word) || text[i] == '[' || text[i] == '('))
      end = text[i] == '[' ? ']' : text[i] == '(' ? ')' : '\'';
    else if (end && text[i] == ' ') text[i] = '_';
  }
  return text;
}

// Where a text that is too long for its line is broken: behind the last "; " that fits, else ": ", ", " or a blank. npos: nowhere.
size_t break_of(const std::string& text) {
  constexpr size_t kLeast = 40;
  size_t room = utf8_slice(text, 0, kMostColumns).size();
  std::string open = masked(text);
  for (const char* mark : {"; ", ": ", ", ", " "})
    if (size_t at = open.rfind(mark, room - 1); at != std::string::npos && at >= kLeast) return at + std::string_view(mark).size();
  return std::string::npos;
}

std::string place(const Sources& sources, Loc loc) {
  if (!loc) return "mlc: ";
  const std::string& name = sources.name(loc.file);
  if (loc.line == 0) return name + ": ";
  if (loc.col == 0) return name + ":" + std::to_string(loc.line) + ": ";
  return name + ":" + std::to_string(loc.line) + ":" + std::to_string(loc.col) + ": ";
}

std::string count(size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

}  // namespace

std::vector<std::string> message_lines(std::string text) {
  std::vector<std::string> out;
  for (;;) {
    size_t at = utf8_length(text) > kMostColumns ? break_of(text) : std::string::npos;
    out.emplace_back(trim(text.substr(0, at)));
    if (at == std::string::npos) return out;
    text.erase(0, at);
  }
}

std::string did_you_mean(const std::string& near) { return near.empty() ? "" : "; did you mean '" + near + "'?"; }

Diagnostic misnamed(Loc loc, std::string text, const std::string& near, const std::string& otherwise) {
  return {.loc = loc, .text = std::move(text) + (near.empty() ? otherwise : did_you_mean(near)), .fix = near};
}

void Diagnostics::report(Diagnostic d) {
  if (d.severity == Severity::warning && std::count(silenced_.begin(), silenced_.end(), d.code)) return;
  for (const Diagnostic& other : all_) {
    if (other.loc == d.loc && other.text == d.text) return;
    // A second error of one token follows from the first.
    bool errors = other.severity == Severity::error && d.severity == Severity::error;
    if (errors && d.loc && d.loc.line &&
        std::tie(other.loc.file, other.loc.line, other.loc.col) == std::tie(d.loc.file, d.loc.line, d.loc.col))
      return;
  }
  errors_ += d.severity == Severity::error;
  all_.push_back(std::move(d));
}

void Diagnostics::error(Loc loc, std::string text, std::vector<Note> notes) {
  report({.loc = loc, .text = std::move(text), .notes = std::move(notes)});
}

void Diagnostics::warning(Loc loc, std::string code, std::string text, std::vector<Note> notes) {
  report({.severity = Severity::warning, .loc = loc, .text = std::move(text), .code = std::move(code), .notes = std::move(notes)});
}

std::vector<Diagnostic> Diagnostics::sorted() const {
  std::vector<Diagnostic> all = all_;
  std::stable_sort(all.begin(), all.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.loc.file, a.loc.line, a.loc.col) < std::tie(b.loc.file, b.loc.line, b.loc.col);
  });
  return all;
}

std::string Diagnostics::render(int width, bool colour) const {
  std::string out;
  size_t shown = 0;
  std::set<std::string> files;
  for (const Diagnostic& d : sorted()) {
    if (d.loc) files.insert(sources_.name(d.loc.file));
    if (shown++ >= kMostMessages) continue;
    std::string word = d.severity == Severity::error ? "error" : "warning";
    if (colour) word = (d.severity == Severity::error ? "\033[1;31m" : "\033[1;35m") + word + "\033[0m";
    std::vector<std::string> text = message_lines(visible(d.text) + (d.code.empty() ? "" : " [" + d.code + "]"));
    out += place(sources_, d.loc) + word + ": " + text[0] + "\n";
    if (d.loc && d.loc.col) out += quote(sources_, d.loc, width, colour);
    for (size_t i = 1; i < text.size(); ++i) out += "  " + text[i] + "\n";
    for (const std::string& line : d.lines) out += "  " + visible(line) + "\n";
    for (size_t i = 0; i < std::min(kMostNotes, d.notes.size()); ++i) {
      out += place(sources_, d.notes[i].loc) + "note: " + visible(d.notes[i].text) + "\n";
      if (d.notes[i].loc && d.notes[i].loc.line) out += quote(sources_, d.notes[i].loc, width, colour);
    }
  }
  if (shown > kMostMessages) out += "... and " + std::to_string(shown - kMostMessages) + " more\n";
  if (shown) {
    size_t warned = warnings();
    out += errors_ ? count(errors_, "error") + (warned ? ", " : "") : "";
    out += warned ? count(warned, "warning") : "";
    out += files.size() == 1 ? " in " + *files.begin() : "";
    out += "\n";
  }
  return out;
}

}  // namespace mlc
