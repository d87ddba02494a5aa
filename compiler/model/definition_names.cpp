#include "compiler/model/definition_names.h"

#include "compiler/base/text.h"
#include "compiler/base/types.h"
#include "compiler/model/arguments.h"
#include "compiler/model/entries.h"
#include "compiler/model/initializers.h"
#include "compiler/model/items.h"
#include "compiler/model/primitives.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

const std::vector<std::string> kBuiltins = {"none", "true", "false", "inf", "pi", "train", "data"};

class NameCheck {
public:
  NameCheck(const Definition& d, const NamesAround& around, Library& library)
      : d_(d), around_(around), library_(library), names_(around.values) {
    for (const std::string& builtin : kBuiltins) names_.push_back(builtin);
  }

  void run() {
    if (d_.kind == DefinitionKind::schedule) add({"lr", "k", "total", "epoch", "value", "rising"});
    for (const Signature::Parameter& p : d_.signature.parameters) {
      formula(p.fallback);
      names_.push_back(p.name);
    }
    bool per_item = d_.kind == DefinitionKind::block || d_.kind == DefinitionKind::transform;
    if (per_item) add(d_.inputs.empty() ? std::vector<std::string>{"x", "in"} : d_.inputs), add({"in"});
    if (d_.kind == DefinitionKind::optimizer) add({"p", "g", "t"});
    for (const TensorRule& rule : d_.params) names_.push_back(rule.name);
    for (const TensorRule& rule : d_.state) names_.push_back(rule.name);
    for (const auto& [name, f] : d_.let) names_.push_back(name);
    lines();
    if (!d_.items) return;
    given_names(*d_.items);
    add(values_);
    items(*d_.items);
  }

private:
  void add(const std::vector<std::string>& names) { names_.insert(names_.end(), names.begin(), names.end()); }

  // Lines of a step run in order; `let` is evaluated where it is used, so it sees them all.
  void lines() {
    for (const auto& [name, f] : d_.step) formula(f), names_.push_back(name);
    for (const auto& [name, f] : d_.let) formula(f);
    for (const Requirement& r : d_.requirements) formula(r.condition), message(r);
    for (const std::vector<TensorRule>* tensors : {&d_.params, &d_.state})
      for (const TensorRule& rule : *tensors) setting(rule.shape), setting(rule.init), formula(rule.condition), formula(rule.stand_in);
    for (const auto& [name, f] : d_.update) formula(f);
    for (const ExprPtr& f : {d_.result, d_.predict, d_.predict_dim, d_.rate}) formula(f);
    for (const LintRule& rule : d_.lints) formula(rule.when);
    if (!d_.grad.empty()) add({"g", "result"});
    for (const auto& [name, f] : d_.grad) formula(f);
  }

  void message(const Requirement& r) {
    for (size_t open = r.message.find('{'); open != std::string::npos; open = r.message.find('{', open + 1)) {
      size_t close = r.message.find('}', open);
      if (close == std::string::npos) return;
      formula(parse_formula(std::string_view(r.message).substr(open + 1, close - open - 1), r.message_loc));
    }
  }

  // A shape or an initialiser: formulas, and the words of initialisers.
  void setting(const Node& node) {
    for (const Node& item : node.items) setting(item);
    for (const auto& [key, value] : node.entries) setting(value);
    const std::vector<std::string>& words = initializer_names();
    if (node.is(Node::Kind::text) && std::find(words.begin(), words.end(), node.text) == words.end()) formula(parse_formula(node));
  }

  void formula(const ExprPtr& e) {
    if (e) visit(*e);
  }

  void visit(const Expr& e) {
    if (e.kind == Expr::Kind::name && !is_known(e.name)) throw unknown_value(e.name, e.loc, names_);
    if (e.kind == Expr::Kind::call) {
      bool network = std::find(around_.functions.begin(), around_.functions.end(), e.name) != around_.functions.end();
      if (!network && !find_primitive(e.name) && !library_.find(DefinitionKind::function, e.name, e.loc.file))
        throw unknown_function(e.name, e.loc, around_.functions, library_);
      DType dtype;
      for (const Argument& a : e.arguments)
        if (a.value->kind != Expr::Kind::name || !parse_dtype(a.value->name, &dtype)) visit(*a.value);
    }
    for (const ExprPtr& kid : e.kids) formula(kid);
  }

  // What formulas among items may name beside: values by `as`, and indices of repeats. Where each is seen is judged where the block is
  // used.
  void given_names(const Node& list) {
    for (const Node& node : list.items) {
      Item item = read_item(node);
      if (!item.as || item.repeat) numbered_.push_back(item.as ? item.as->text : item.op);
      else values_.push_back(item.as->text);
      if (item.repeat)
        names_.push_back(item.repeat->is(Node::Kind::map) && !item.repeat->entries.empty() ? item.repeat->entries[0].first.text : "i");
      if (item.op != "layers" && item.op != "residual") continue;
      if (item.value) given_names(*item.value);
      if (item.shortcut) given_names(*item.shortcut);
    }
  }

  // "stage2" of `as: stage` with `repeat`, "layers1" of a group without a name.
  bool is_numbered(const std::string& name) const {
    return std::any_of(numbered_.begin(), numbered_.end(), [&](const std::string& head) {
      return name.size() > head.size() && starts_with(name, head) && name.find_first_not_of("0123456789", head.size()) == std::string::npos;
    });
  }
  bool is_known(const std::string& name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end() || (d_.items && is_numbered(name));
  }

  void items(const Node& list) {
    for (const Node& node : list.items) {
      Item item = read_item(node);
      if (item.condition) setting(*item.condition);
      if (item.repeat) setting(*item.repeat);
      if (item.from) values(*item.from);
      if (item.op == "layers" || item.op == "residual") {
        if (item.value) items(*item.value);
        if (item.shortcut) items(*item.shortcut);
      } else if (!is_structural(item.op)) {
        arguments(item);
      } else if (item.value) {
        item.op == "expr" ? setting(*item.value) : values(*item.value);
      }
    }
  }

  // Names of values: "code.mean", or a list of them.
  void values(const Node& node) {
    for (const Node& name : node.items) values(name);
    if (!node.is(Node::Kind::text) || is_known(node.text.substr(0, node.text.find('.')))) return;
    std::string known = values_.empty() ? "; no value has a name here" : "; values are named by 'as': " + join(values_, ", ");
    throw SpecError(misnamed(node.loc, "unknown value '" + node.text + "'", nearest(node.text, names_), known));
  }

  void arguments(const Item& item) {
    const ItemOp op = find_item_op(library_, item.op, item.loc.file, false);
    if (!op) throw unknown_op(item.op, item.loc, item.loc, false, library_);
    if (!item.value || (op.definition && op.definition->faulty)) return;
    const std::vector<std::string> parameters = op.parameters();
    size_t main = op.takes_inputs() ? 1 : 0;
    Node arguments = named_arguments(*item.value, main < parameters.size() ? parameters[main] : "");
    for (const auto& [key, value] : arguments.entries) argument(value, key.text, op);
  }

  void argument(const Node& node, const std::string& name, const ItemOp& op) {
    for (const Node& item : node.items) argument(item, name, op);
    DType dtype;
    if (!node.is(Node::Kind::text) || (op.primitive && parse_dtype(node.text, &dtype))) return;
    if (op.definition) {
      const std::vector<Signature::Parameter>& parameters = op.definition->signature.parameters;
      if (std::none_of(parameters.begin(), parameters.end(), [&](const auto& p) { return p.name == name; })) return;   // a tied tensor
      auto rule = op.definition->arguments.find(name);
      bool text = rule != op.definition->arguments.end() &&
                  argument_text(node, rule->second, [&](const std::string& n) { return is_known(n); }, [&] { return names_; }, node.loc);
      // A text where numbers belong is a name that nothing has.
      if (text && (rule->second.allows("text") || !rule->second.words.empty())) return;
    }
    formula(parse_formula(node));
  }

  const Definition& d_;
  const NamesAround& around_;
  Library& library_;
  std::vector<std::string> names_;
  std::vector<std::string> values_;     // of items, by `as`
  std::vector<std::string> numbered_;   // names of items that a number completes
};

}  // namespace

void check_definition_names(const Definition& definition, const NamesAround& around, Library& library) {
  NameCheck(definition, around, library).run();
}

SpecError unknown_value(const std::string& name, Loc loc, std::vector<std::string> names) {
  names.insert(names.end(), kBuiltins.begin(), kBuiltins.end());
  return SpecError(misnamed(loc, "unknown name '" + name + "'", nearest(name, names)));
}

std::vector<std::string> function_names(const Library& library) {
  std::vector<std::string> names = library.names(DefinitionKind::function);
  for (const Primitive& p : primitives()) names.emplace_back(p.name);
  return names;
}

SpecError unknown_function(const std::string& name, Loc loc, const std::vector<std::string>& networks, const Library& library) {
  std::vector<std::string> names = function_names(library);
  names.insert(names.end(), networks.begin(), networks.end());
  return SpecError(misnamed(loc, "unknown function '" + name + "'", suggest(name, names)));
}

SpecError unknown_op(const std::string& op, Loc loc, Loc at, bool transforms, Library& library) {
  std::vector<std::string> names = structural_ops();
  std::vector<DefinitionKind> kinds = {DefinitionKind::block, DefinitionKind::function};
  if (transforms) kinds.push_back(DefinitionKind::transform);
  for (DefinitionKind kind : kinds)
    for (std::string& name : library.names(kind)) names.push_back(std::move(name));
  for (const Primitive& p : primitives()) names.emplace_back(p.name);
  if (transforms) names.emplace_back("resize");   // runs when the data are loaded
  if (const Definition* d = library.find(DefinitionKind::function, op, loc.file); d && d->is_loss())
    return SpecError(at, "'" + op + "' is a loss: it stands at train.loss, not among the layers");
  if (!transforms && (op == "resize" || library.find(DefinitionKind::transform, op, loc.file)))
    return SpecError(at, "'" + op + "' is a transform: it stands at data.transforms, not among the layers");
  if (find_primitive(op)) return SpecError(at, "'" + op + "' stands in formulas, not among the " + (transforms ? "transforms" : "layers"));
  return SpecError(misnamed(at, (transforms ? "unknown transform '" : "unknown op '") + op + "'", suggest(op, names)));
}

}  // namespace mlc
