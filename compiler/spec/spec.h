// The front end: a spec file with its includes and `--set` arguments as one tree, checked against the closed vocabulary.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/formula.h"
#include "compiler/spec/node.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// A value that a command puts into a spec, as trials of a sweep do.
struct Assignment {
  std::string path;           ///< dotted, as for --set
  Node value;
  Loc loc;                    ///< what faults of the path point at
};

/// Reads `path`, merges its includes (maps key by key, lists replace, the including file wins; a cycle is an error) and
/// applies each `path=value` of `sets` (the value as YAML; list elements by number; origin Origin::set). Texts take `${name}`
/// of `vars` and `${env:NAME}`. `values` are applied after the sets. A file that cannot be read, and all faults of syntax, go to
/// `diagnostics`; the tree is then null or partial. Included files lie in the tree of the spec's folder (links followed), unless
/// `allow_outside`.
Node load_spec(Sources& sources, const std::string& path, const std::vector<std::string>& sets, Diagnostics& diagnostics,
               const std::vector<Assignment>& values = {}, bool allow_outside = false);

/// What faults of the vocabulary leave to check: nothing that would not follow from them; all but what the data decide; all.
enum class Vocabulary : uint8_t { unusable, without_data, whole };

/// Reports unknown keys (with the nearest name, or what PyTorch's and Keras's word is called here), values of the wrong
/// kind, words that are not in a list, and keys that this version does not support yet. One fault gives one message.
/// Mends the tree, so that all else can be checked: a key whose right name is clear gets it, other faulty ones go with their values;
/// a faulty value gives way to the default, and stays where there is none.
Vocabulary check_vocabulary(Node& spec, Diagnostics& diagnostics);

/// The spec with the defaults of the language filled in (Origin::implied) and its sections in the order of the documentation.
Node effective_spec(const Node& spec);

/// YAML that reads back as the same tree. With `origins` each line is followed by `# FILE:LINE`, `# --set`, or `# default`, for an item on
/// one line by all of them: `# FILE:LINE; default: bias`. A null with Origin::implied and a text is a remark, `# default: hidden = 4 *
/// out`.
std::string print_spec(const Node& spec, bool origins, const Sources& sources);

/// Documentation of a key by its dotted path ("train.epochs", "data"); empty for an unknown one.
std::string document_key(const std::string& path);
/// A key of the language as data.
struct KeyInfo {
  std::string path, fallback, doc;
  std::vector<std::string> kinds;   ///< integer number flag text word formula quantity list map items name any none
  std::vector<std::string> words;   ///< permitted, for the kind word
  bool planned = false;             ///< not in this version
};
std::vector<KeyInfo> key_infos();
/// Dotted paths of all documented keys, in order.
std::vector<std::string> key_paths();

/// A number with its unit: "500 steps", "1 epoch", "5%", "10 min". Nothing for other text.
struct Quantity {
  enum class Unit : uint8_t { none, steps, epochs, percent, seconds } unit = Unit::none;
  double value = 0;   ///< percent: 5 for "5%"; minutes and hours are turned to seconds
};
std::optional<Quantity> parse_quantity(const Node& node);

/// Names of all warnings, which `lints:` may silence.
std::vector<std::string> lint_names();

/// "the spec has no 'data', 'model', 'train'": the sections that a training needs and that are missing, in one message about
/// the file as a whole.
Diagnostic missing_sections(const Node& spec);

/// "did you mean" for a name: a synonym from another framework, else the nearest candidate; empty when nothing is near.
std::string suggest(const std::string& name, const std::vector<std::string>& candidates);
/// "unknown key 'epoch'; did you mean 'epochs'?", with `fix` set.
Diagnostic unknown_name(Loc loc, const std::string& what, const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mlc
