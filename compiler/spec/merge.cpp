#include "compiler/spec/merge.h"

#include <algorithm>

namespace mlc {

Node merged(Node lower, const Node& upper) {
  if (!lower.is(Node::Kind::map) || !upper.is(Node::Kind::map)) return upper;
  // Another `type` is another thing: its arguments do not mix.
  const Node *a = lower.find("type"), *b = upper.find("type");
  if (a && b && a->text != b->text) return upper;
  lower.loc = upper.loc;
  for (const auto& [key, value] : upper.entries) {
    auto it = std::find_if(lower.entries.begin(), lower.entries.end(), [&, k = &key](const auto& e) { return e.first.text == k->text; });
    if (it == lower.entries.end()) {
      lower.entries.emplace_back(key, value);
    } else {
      it->second = merged(std::move(it->second), value);
      it->first = key;
    }
  }
  return lower;
}

}  // namespace mlc
