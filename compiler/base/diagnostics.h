// The one path by which mlc says that something is wrong. Three kinds of error only: SpecError (the user's file),
// RuntimeError (data, device, disk) and InternalError (our bug, and it says so).
#pragma once
#include "compiler/base/loc.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace mlc {

enum class Severity : uint8_t { error, warning };

struct Note {
  Loc loc;  ///< may be empty: the note then has no place
  std::string text;
};

/// One message. `text` is one line without the place, at most about 100 characters.
struct Diagnostic {
  Severity severity = Severity::error;
  Loc loc;
  std::string text;
  std::string code;              ///< a lint's name; empty for errors
  std::string fix;               ///< the text to put at `loc` instead, where there is one
  std::vector<std::string> lines;  ///< printed under the carets as they are, e.g. two aligned shapes
  bool shapes = false;           ///< a fault of shapes: the layers before it help, and are added where items run
  std::vector<Note> notes;       ///< at most 3 are printed
};

/// "; did you mean 'NEAR'?", or nothing where nothing is near.
std::string did_you_mean(const std::string& near);
/// A name that is none of those known here: `text`, then the nearest that is one ("; did you mean 'x'?", and `fix`), or
/// where nothing is near, `otherwise`: what there is ("; keys are a, b").
Diagnostic misnamed(Loc loc, std::string text, const std::string& near, const std::string& otherwise = "");

/// Collects the messages of a command. Of several errors at one place the first is kept, of equal reports one.
class Diagnostics {
public:
  explicit Diagnostics(Sources& sources) : sources_(sources) {}

  void report(Diagnostic d);
  void error(Loc loc, std::string text, std::vector<Note> notes = {});
  void warning(Loc loc, std::string code, std::string text, std::vector<Note> notes = {});
  /// Turns the warnings of this name off (`lints:` in a spec).
  void silence(const std::string& code) { silenced_.push_back(code); }

  size_t errors() const { return errors_; }
  size_t warnings() const { return all_.size() - errors_; }
  /// Sorted by file, line and column.
  std::vector<Diagnostic> sorted() const;
  /// All messages as text: `FILE:LINE:COL: error: text`, the source line, carets, lines, notes; after 50 messages
  /// "... and N more"; last the count, "3 errors, 1 warning in spec.yaml". `width` is the terminal's, 0 for no limit:
  /// longer source lines are cut around the fault. `colour` adds escape codes.
  std::string render(int width = 0, bool colour = false) const;
  Sources& sources() const { return sources_; }

private:
  Sources& sources_;
  std::vector<Diagnostic> all_;
  std::vector<std::string> silenced_;
  size_t errors_ = 0;
};

/// A fault in the user's file that ends what is being done. Thrown for the first fault of a construct; catchers at item
/// or section borders pass it to Diagnostics and go on with the next one.
struct SpecError : std::runtime_error {
  explicit SpecError(Diagnostic d) : std::runtime_error(d.text), diagnostic(std::move(d)) {}
  SpecError(Loc loc, std::string text, std::vector<Note> notes = {})
      : SpecError(Diagnostic{.loc = loc, .text = std::move(text), .notes = std::move(notes)}) {}
  Diagnostic diagnostic;
};

/// Data, device or disk: says the path and what to do.
struct RuntimeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A bug of mlc. The message names the invariant that was broken.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

/// Throws InternalError unless `ok`.
inline void ensure(bool ok, const char* what) {
  if (!ok) throw InternalError(what);
}

}  // namespace mlc
