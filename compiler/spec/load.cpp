#include "compiler/base/text.h"
#include "compiler/spec/merge.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace mlc {
namespace {

constexpr std::uintmax_t kMostBytes = 16u << 20;

class Loader {
public:
  /// `home`: the folder that included files must lie in; empty: anywhere.
  Loader(Sources& sources, Diagnostics& diagnostics, std::string home)
      : sources_(sources), diagnostics_(diagnostics), home_(std::move(home)) {}

  Node file(const std::filesystem::path& path, Loc from) {
    std::error_code fault;
    std::filesystem::path real = std::filesystem::weakly_canonical(path, fault);
    auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.path == real; });
    if (open != open_.end()) {
      cycle(static_cast<size_t>(open - open_.begin()), from);
      return {};
    }
    if (from && !home_.empty() && !inside_folder(path.string(), home_)) {
      diagnostics_.error(from, "'" + path.string() + "' lies outside of the spec's folder; --allow-outside lets a spec include it");
      return {};
    }
    std::ifstream in(path, std::ios::binary);
    if (!in || !std::filesystem::is_regular_file(path, fault)) {
      diagnostics_.error(from, "cannot read " + path.string() +
                                   (std::filesystem::exists(path, fault) ? ": not a readable file" : ": no such file"));
      return {};
    }
    if (std::filesystem::file_size(path, fault) > kMostBytes) {
      diagnostics_.error(from, path.string() + " has more than 16 MB: too large for a spec");
      return {};
    }
    std::stringstream text;
    text << in.rdbuf();
    std::string body = text.str();
    if (starts_with(body, "\xEF\xBB\xBF")) body.erase(0, 3);
    open_.push_back({real, path.string(), from});
    Node node = parse_yaml(sources_, sources_.add(path.string(), std::move(body)), diagnostics_);
    node = with_includes(std::move(node), path);
    open_.pop_back();
    return node;
  }

  void set(Node& spec, const std::string& argument) {
    size_t equals = argument.find('=');
    ensure(equals != std::string::npos, "a --set argument has a '='");
    std::string path = argument.substr(0, equals), value = argument.substr(equals + 1);
    // Blanks keep the value at its column in the argument, so that messages point into it.
    uint32_t file = sources_.add("--set", argument);
    uint32_t quiet = sources_.add("--set", std::string(equals + 1, ' ') + value);
    size_t before = diagnostics_.errors();
    Node node = value.empty() ? Node::make_text("") : parse_yaml(sources_, quiet, diagnostics_);
    if (diagnostics_.errors() != before) return;
    stamp(node, file, quiet);
    Loc loc{file, 1, 1, static_cast<uint32_t>(std::max<size_t>(1, utf8_length(path)))};
    assign(spec, split(path, '.'), 0, std::move(node), loc);
  }

  void set(Node& spec, const Assignment& a) { assign(spec, split(a.path, '.'), 0, a.value, a.loc); }

  void interpolate(Node& node, const Node* vars) {
    if (node.is(Node::Kind::text)) replace(node, vars);
    for (Node& item : node.items) interpolate(item, vars);
    for (auto& [key, value] : node.entries) interpolate(value, vars);
  }

private:
  // Files from `first` on include each other, the last one the first again, at `from`.
  void cycle(size_t first, Loc from) {
    if (first + 1 == open_.size()) return diagnostics_.error(from, "'" + open_[first].name + "' includes itself");
    std::string files;
    std::vector<Note> notes;
    for (size_t i = first; i < open_.size(); ++i) {
      files += open_[i].name + ", ";
      if (i > first) notes.push_back({open_[i].from, "'" + open_[i].name + "' is included here"});
    }
    diagnostics_.error(from, "these files include each other: " + files + open_[first].name, std::move(notes));
  }

  // As it is shown, without detours; a link's own parent may be another one.
  static std::filesystem::path plain(const std::filesystem::path& path) {
    std::error_code fault;
    std::filesystem::path normal = path.lexically_normal();
    return std::filesystem::equivalent(normal, path, fault) ? normal : path;
  }

  // What files, columns and rows of one reader are means nothing to another, nor to a dataset; what is done with rows stays.
  static Node included(Node lower, const Node& upper) {
    static const std::set<std::string> kept = {"root", "split", "subset", "transforms", "cache", "balance"};
    Node* below = lower.find("data");
    const Node* above = upper.find("data");
    if (below && above) {
      const Node *was = below->find("reader"), *is = above->find("reader");
      bool other = was && is ? was->text != is->text : (was && above->find("dataset")) || (is && below->find("dataset"));
      if (other) std::erase_if(below->entries, [](const auto& e) { return !kept.count(e.first.text); });
    }
    return merged(std::move(lower), upper);
  }

  Node with_includes(Node node, const std::filesystem::path& path) {
    const Node* include = node.find("include");
    if (!include) return node;
    std::vector<Node> files = include->is(Node::Kind::list) ? include->items : std::vector<Node>{*include};
    Node base;
    for (const Node& f : files) {
      if (!f.is(Node::Kind::text)) {
        diagnostics_.error(f.loc, "'include' expects a file name or a list of them");
        continue;
      }
      std::filesystem::path name = f.text;
      if (name.extension() != ".yaml" && name.extension() != ".yml") {
        diagnostics_.error(f.loc, "only .yaml files can be included");
        continue;
      }
      Node other = file(plain(name.is_absolute() ? name : path.parent_path() / name), f.loc);
      base = base.is(Node::Kind::null) ? std::move(other) : included(std::move(base), other);
    }
    std::erase_if(node.entries, [](const auto& e) { return e.first.text == "include"; });
    return base.is(Node::Kind::map) ? included(std::move(base), node) : node;
  }

  static void stamp(Node& node, uint32_t file, uint32_t from) {
    node.origin = Origin::set;
    if (node.loc.file == from || node.loc.file == 0) node.loc.file = file;
    if (node.loc.line == 0) node.loc.line = 1, node.loc.col = 1, node.loc.len = 1;
    for (Node& item : node.items) stamp(item, file, from);
    for (auto& [key, value] : node.entries) stamp(key, file, from), stamp(value, file, from);
  }

  // `- linear: 64` and `--set model.0.linear.bias=false`: the value alone stays, under a key that is null, for only the op knows its name.
  static void beside(Node& argument, const std::string& name) {
    bool numbers =
        !parse_integer(name) && std::all_of(argument.items.begin(), argument.items.end(), [](const Node& n) { return n.is_number(); });
    if (argument.is(Node::Kind::map) || argument.is(Node::Kind::null) || !numbers) return;
    Node map = Node::make_map(argument.loc, argument.origin);
    map.entries.emplace_back(Node(), argument);
    argument = std::move(map);
  }

  void assign(Node& node, const std::vector<std::string>& path, size_t depth, Node value, Loc loc) {
    if (depth == path.size()) {
      node = std::move(value);
      return;
    }
    const std::string& name = path[depth];
    if (node.is(Node::Kind::list)) {
      std::optional<int64_t> index = parse_integer(name);
      auto size = static_cast<int64_t>(node.items.size());
      if (!index || *index < -size || *index >= size) {
        diagnostics_.error(loc, "'" + name + "' is no element of a list of " + std::to_string(size) + "; elements are numbered from 0");
        return;
      }
      Node& item = node.items[static_cast<size_t>(*index < 0 ? *index + size : *index)];
      // `- batch_norm` and `--set model.1.batch_norm.eps=1e-3`: the op has arguments now.
      if (depth + 1 < path.size() && item.is(Node::Kind::text) && item.text == path[depth + 1]) {
        Node map = Node::make_map(item.loc, item.origin);
        map.entries.emplace_back(Node::make_text(item.text, item.loc, item.origin), Node::make_map(item.loc, item.origin));
        item = std::move(map);
      }
      if (depth + 2 < path.size())
        if (Node* argument = item.find(path[depth + 1]); argument && path[0] != "train" && path[0] != "init")
          beside(*argument, path[depth + 2]);
      return assign(item, path, depth + 1, std::move(value), loc);
    }
    if (name.empty()) return diagnostics_.error(loc, "a path is names joined by dots, as in train.optimizer.lr");
    if (!node.is(Node::Kind::map)) {
      // `optimizer: adam` and `--set train.optimizer.lr=0.1`: the name becomes the type.
      Node map = Node::make_map(loc, Origin::set);
      if (node.is(Node::Kind::text)) map.entries.emplace_back(Node::make_text("type", node.loc, node.origin), node);
      node = std::move(map);
    }
    if (Node* child = node.find(name)) return assign(*child, path, depth + 1, std::move(value), loc);
    Node child;
    child.loc = loc;
    node.entries.emplace_back(Node::make_text(name, loc, Origin::set), std::move(child));
    assign(node.entries.back().second, path, depth + 1, std::move(value), loc);
  }

  void replace(Node& node, const Node* vars) {
    for (size_t at = 0; (at = node.text.find("${", at)) != std::string::npos;) {
      size_t close = node.text.find('}', at);
      if (close == std::string::npos) return diagnostics_.error(node.loc, "'${' without a closing '}'");
      std::string name = node.text.substr(at + 2, close - at - 2), value;
      if (starts_with(name, "env:")) {
        const char* found = std::getenv(name.substr(4).c_str());
        if (!found) return diagnostics_.error(node.loc, "the environment has no variable '" + name.substr(4) + "'");
        value = found;
      } else {
        const Node* found = vars ? vars->find(name) : nullptr;
        if (!found || !found->is_scalar()) {
          std::vector<std::string> names;
          for (size_t i = 0; vars && i < vars->entries.size(); ++i) names.push_back(vars->entries[i].first.text);
          return diagnostics_.report(unknown_name(node.loc, "variable", name, names));
        }
        value = found->text;
      }
      node.text.replace(at, close + 1 - at, value);
      at += value.size();
      node.quoted = true;
      node.runs = nullptr;
    }
  }

  struct Open {
    std::filesystem::path path;  // links followed
    std::string name;
    Loc from;  // the include that opened it
  };
  Sources& sources_;
  Diagnostics& diagnostics_;
  std::string home_;
  std::vector<Open> open_;
};

}  // namespace

Node load_spec(Sources& sources, const std::string& path, const std::vector<std::string>& sets, Diagnostics& diagnostics,
               const std::vector<Assignment>& values, bool allow_outside) {
  std::string home = std::filesystem::path(path).parent_path().string();
  Loader loader(sources, diagnostics, allow_outside ? "" : home.empty() ? "." : home);
  Node spec = loader.file(path, {});
  if (spec.is(Node::Kind::null)) {
    if (!diagnostics.errors()) diagnostics.error({}, path + " is empty");
    return spec;
  }
  if (!spec.is(Node::Kind::map)) {
    diagnostics.error(spec.loc, "a spec is a map with keys such as data, model and train");
    return {};
  }
  for (const std::string& s : sets) loader.set(spec, s);
  for (const Assignment& a : values) loader.set(spec, a);
  const Node* vars = spec.find("vars");
  Node copy = vars ? *vars : Node();
  loader.interpolate(spec, vars ? &copy : nullptr);
  return spec;
}

}  // namespace mlc
