#include "tools/cli/paths.h"

#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

void each_path(Node& spec, const std::function<void(Node&)>& f) {
  auto text = [&](Node* n) {
    if (n && n->is(Node::Kind::text) && !n->text.empty()) f(*n);
  };
  if (Node* data = spec.find("data")) {
    const Node* reader = data->find("reader");
    // In these readers every entry of a source is a file; elsewhere `path` is.
    bool all = reader && (reader->text == "idx" || reader->text == "npy");
    text(data->find("root"));
    text(data->find("path"));
    for (const char* part : {"train", "val", "test"}) {
      Node* source = data->find(part);
      text(source);
      for (size_t i = 0; source && i < source->entries.size(); ++i)
        if (all || source->entries[i].first.text == "path") text(&source->entries[i].second);
    }
  }
  if (Node* init = spec.find("init"))
    for (Node& rule : init->items) text(rule.find("load"));
}

void resolve_paths(Node& spec, const std::string& spec_path, const Sources& sources) {
  each_path(spec, [&](Node& n) {
    if (fs::path(n.text).is_absolute() || !n.loc.file) return;
    fs::path folder = n.origin == Origin::set ? fs::path() : fs::path(sources.name(n.loc.file)).parent_path();
    if (n.origin != Origin::set && sources.name(n.loc.file) == spec_path) return;
    std::error_code fault;
    if (fs::exists(folder / n.text, fault)) n.text = fs::absolute(folder / n.text, fault).lexically_normal().string();
  });
}

Node with_absolute_paths(Node spec, const std::string& spec_path, const std::map<std::string, std::string>& files) {
  fs::path folder = fs::absolute(spec_path).parent_path();
  each_path(spec, [&](Node& n) {
    auto found = files.find(n.text);
    if (found != files.end()) n.text = fs::absolute(found->second).lexically_normal().string();
    else if (!fs::path(n.text).is_absolute()) n.text = (folder / n.text).lexically_normal().string();
  });
  return spec;
}

}  // namespace mlc
