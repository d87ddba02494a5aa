// The spec tree: what the user wrote, with the place of every key and value.
#pragma once
#include "compiler/base/loc.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

/// Where a value of the effective spec comes from (`mlc show`).
enum class Origin : uint8_t { file, set, implied, data };  // implied: a default of the language

/// Characters of a scalar that stand side by side on one line of the file: `loc.len` of them, from character `at` of its text.
struct TextRun {
  uint32_t at = 0;
  Loc loc;
};

/// One YAML node after the core schema has been applied. Order of map entries is kept.
struct Node {
  enum class Kind : uint8_t { null, boolean, integer, real, text, list, map };
  Kind kind = Kind::null;
  std::string text;           ///< scalars: as written (quotes and escapes resolved)
  bool quoted = false;        ///< quoted or block scalar: always text
  Loc loc;                    ///< of the value; for an empty value, of its key
  /// Where the text stands, for one of several lines or with escapes; null: at `loc` (behind its quote), or not known.
  std::shared_ptr<const std::vector<TextRun>> runs;
  Origin origin = Origin::file;
  std::vector<Node> items;                          ///< list
  std::vector<std::pair<Node, Node>> entries;       ///< map: key (always text) and value

  // Out of line: a pair of Nodes is complete only behind this class.
  Node();
  Node(const Node&);
  Node(Node&&) noexcept;
  Node& operator=(const Node&);
  Node& operator=(Node&&) noexcept;
  ~Node();

  bool is(Kind k) const { return kind == k; }
  bool is_scalar() const { return kind != Kind::list && kind != Kind::map; }
  bool is_number() const { return kind == Kind::integer || kind == Kind::real; }
  /// The value of a key, or null. Keys are compared as text.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  const Node* find_key(std::string_view key) const;  ///< the key's own node, for its place
  int64_t integer() const;    ///< requires Kind::integer
  double number() const;      ///< requires is_number()
  bool boolean() const;       ///< requires Kind::boolean

  static Node make_text(std::string text, Loc loc = {}, Origin origin = Origin::implied);
  static Node make_integer(int64_t value, Loc loc = {}, Origin origin = Origin::implied);
  static Node make_real(double value, Loc loc = {}, Origin origin = Origin::implied);
  static Node make_boolean(bool value, Loc loc = {}, Origin origin = Origin::implied);
  static Node make_list(std::vector<Node> items, Loc loc = {}, Origin origin = Origin::implied);
  static Node make_map(Loc loc = {}, Origin origin = Origin::implied);
};

/// For messages: "a number", "a list", "a map", "text", "true or false", "nothing".
std::string kind_name(Node::Kind kind);

}  // namespace mlc
