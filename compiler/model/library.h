// The table of definitions: the standard library, parsed entry by entry as it is used, and the user's own beside it.
#pragma once
#include "compiler/model/definition.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace mlc {

struct NamesAround;

class Library {
public:
  /// `sources` must outlive the library: entries of the standard library are added to it when they are first used.
  explicit Library(Sources& sources);

  /// Adds the definitions in `functions`, `blocks`, `optimizers`, `schedules` of a spec, which must outlive the library.
  void add_user(const Node& spec, Diagnostics& diagnostics);

  /// Looks up the names in the user's definitions, of which some may be called in each other and by `around`'s names. A definition that is
  /// at fault stays known, as `faulty`.
  void check_user_names(const NamesAround& around, Diagnostics& diagnostics);

  /// The definition of this name, the user's before the shipped one; null: none. `file` is the one that asks: `_names`
  /// are seen from their own file only, and the standard library does not see the user's definitions.
  const Definition* find(DefinitionKind kind, const std::string& name, uint32_t file);
  const Definition* find_user(DefinitionKind kind, const std::string& name, uint32_t file) const;
  /// Public names of a kind, sorted.
  std::vector<std::string> names(DefinitionKind kind) const;

private:
  struct Entry {  // of the standard library: a slice of an embedded file
    size_t file = 0, begin = 0, end = 0, line = 0;
    const Definition* parsed = nullptr;
  };
  using Key = std::pair<DefinitionKind, std::string>;
  void index(size_t file);
  const Definition* parse(DefinitionKind kind, Entry& entry);
  /// read_definition() of the body on top of what it extends; a merged body is kept.
  Definition read(DefinitionKind kind, const Node& key, const Node& body, bool is_std);
  void add_faulty(Definition d);
  bool visible(const std::string& name, size_t std_file, uint32_t asking) const;

  Sources& sources_;
  std::map<Key, Entry> std_;
  std::map<Key, Definition*> user_;
  std::map<uint32_t, size_t> std_file_of_;  // sources that hold entries -> embedded file
  std::deque<Definition> definitions_;
  std::deque<Node> nodes_;  // bodies of parsed entries, and merged ones
};

}  // namespace mlc
