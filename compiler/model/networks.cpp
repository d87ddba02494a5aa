#include "compiler/model/networks.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

void read_inputs(const Node& node, Network& out) {
  if (!node.is(Node::Kind::map) || node.entries.empty()) throw SpecError(node.loc, "'inputs' is a map of names to shapes: {x: [784]}");
  out.declares_inputs = true;
  out.inputs.clear();
  for (const auto& [key, shape] : node.entries) {
    check_given_name(key, "an input's name");
    out.inputs.push_back({key.text, &shape, key.loc});
  }
}

void read_outputs(const Node& node, Network& out) {
  auto add = [&](const Node& name, const Node& value) {
    if (!value.is(Node::Kind::text))
      throw SpecError(value.loc, "'outputs' names values of the model: a name, a list of names, or {name: value}");
    if (!is_identifier(name.text)) throw SpecError(name.loc, "an output needs a name of letters, digits and _: {name: " + value.text + "}");
    out.outputs.push_back({name.text, value.text, value.loc});
  };
  if (node.is(Node::Kind::list))
    for (const Node& name : node.items) add(name, name);
  else if (node.is(Node::Kind::map))
    for (const auto& [name, value] : node.entries) add(name, value);
  else if (node.is(Node::Kind::text)) out.outputs.push_back({"output", node.text, node.loc});
  else throw SpecError(node.loc, "'outputs' names values of the model: a name, a list of names, or {name: value}");
  if (out.outputs.empty()) throw SpecError(node.loc, "'outputs' names no value");
}

Network read_network(const std::string& name, const std::string& prefix, Loc loc, const Node& node) {
  Network out{.name = name, .prefix = prefix, .loc = loc, .layers = &node, .inputs = {{"x", nullptr, loc}}};
  if (node.is(Node::Kind::map)) {
    out.layers = node.find("layers");
    if (!out.layers) throw SpecError(loc, "'" + name + "' is a list of items, or a map with 'layers'");
    for (const auto& [key, value] : node.entries) {
      if (key.text == "inputs") read_inputs(value, out);
      else if (key.text == "outputs") read_outputs(value, out);
      else if (key.text == "mode") {
        if (value.text != "eval" && value.text != "train") throw SpecError(value.loc, "'mode' of a network is eval or train");
        out.eval = value.text == "eval";
      } else if (key.text != "layers") {
        throw SpecError(unknown_name(key.loc, "key", key.text, {"inputs", "layers", "outputs", "mode"}));
      }
    }
  }
  if (!out.layers->is(Node::Kind::list)) throw SpecError(loc, "'" + name + "' is a list of items, or a map with 'layers'");
  if (out.layers->items.empty()) throw SpecError(out.layers->loc, "'" + name + "' has no layers");
  return out;
}

// Puts a flag back when a scope ends, by an error too.
class Restore {
public:
  Restore(bool& flag, bool value) : flag_(flag), former_(flag) { flag = value; }
  ~Restore() { flag_ = former_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

private:
  bool& flag_;
  bool former_;
};

}  // namespace

std::vector<Network> read_networks(const Node& spec, Diagnostics& diagnostics) {
  std::vector<Network> out;
  const Node *single = spec.find("model"), *several = spec.find("models");
  try {
    if (single && several)
      diagnostics.error(spec.find_key("models")->loc, "'model' and 'models' exclude each other",
                        {{spec.find_key("model")->loc, "'model' stands here"}});
    if (!single && !several) throw SpecError(missing_sections(spec));
    if (single) out.push_back(read_network("model", "", single->loc, *single));
    if (several && several->entries.empty()) diagnostics.error(several->loc, "'models' names no network");
    for (size_t i = 0; several && i < several->entries.size(); ++i) {
      const auto& [key, node] = several->entries[i];
      check_given_name(key, "a network's name");
      out.push_back(read_network(key.text, key.text + ".", key.loc, node));
    }
  } catch (const SpecError& error) {
    diagnostics.report(error.diagnostic);
  }
  return out;
}

const Network* Networks::find(const std::string& name) const {
  for (const Network& n : networks_)
    if (n.name == name) return &n;
  return nullptr;
}

std::vector<std::string> Networks::names() const {
  std::vector<std::string> out;
  for (const Network& n : networks_) out.push_back(n.name);
  return out;
}

std::vector<const Network*> Networks::uncalled() const {
  std::vector<const Network*> out;
  for (const Network& n : networks_)
    if (!called_.count(n.name)) out.push_back(&n);
  return out;
}

std::vector<Value> Networks::bind(const Network& network, const std::vector<Given>& given, Loc loc) {
  std::vector<Value> values(network.inputs.size());
  std::vector<bool> bound(network.inputs.size());
  std::vector<std::string> names;
  for (const Network::Input& input : network.inputs) names.push_back(input.name);
  std::string takes = "'" + network.name + "' takes " + std::to_string(names.size()) + (names.size() == 1 ? " input (" : " inputs (") +
                      join(names, ", ") + ")";
  if (given.size() > names.size()) throw SpecError(given[names.size()].loc, takes + ", not " + std::to_string(given.size()));
  size_t place = 0;
  for (const Given& g : given) {
    size_t at = g.name.empty() ? place++ : static_cast<size_t>(std::find(names.begin(), names.end(), g.name) - names.begin());
    if (at >= names.size()) throw SpecError(unknown_name(g.loc, "input", g.name, names));
    if (bound[at]) throw SpecError(g.loc, "input '" + names[at] + "' of '" + network.name + "' is given twice");
    if (!g.value.is(Kind::tensor) && !g.value.is(Kind::unknown))
      throw SpecError(g.loc, "input '" + names[at] + "' of '" + network.name + "' must be a tensor; it is " + show_value(g.value));
    check_shape(network, network.inputs[at], g.value, g.loc);
    values[at] = g.value;
    bound[at] = true;
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (!bound[i]) throw SpecError(loc, takes + "; '" + names[i] + "' is missing");
  return values;
}

void Networks::check_shape(const Network& network, const Network::Input& input, const Value& value, Loc loc) {
  if (!input.shape || !value.is(Kind::tensor)) return;
  Shape declared =
      integers_of(read_argument(*input.shape, nullptr, *context_.vars, evaluator_), input.shape->loc, "the shape of '" + input.name + "'");
  Shape found = context_.builder.sample_shape(value.tensor);
  if (declared == found) return;
  bool own = network.prefix.empty();
  SpecError error(own ? input.shape->loc : loc, own ? "input '" + input.name + "' does not have this shape"
                                                    : "'" + input.name + "' of '" + network.name + "' has another shape");
  error.diagnostic.lines = {"expected  " + format_shape(declared), "found     " + format_shape(found)};
  if (!own) error.diagnostic.notes.push_back({input.shape->loc, "declared here"});
  throw error;
}

Value Networks::outputs_of(const Network& network, ItemScope& scope, const Value& last, Env* names) {
  std::vector<Value> values;
  std::vector<std::string> called;
  for (const Network::Output& output : network.outputs) {
    values.push_back(items_.named(output.value, scope, output.loc));
    called.push_back(output.name);
  }
  if (names) {
    std::set<std::string> inputs;
    for (const Network::Input& input : network.inputs) inputs.insert(input.name);
    for (const auto& [name, entry] : scope.env.own())
      if (entry.state == Env::Entry::State::done && !inputs.count(name)) names->set(name, entry.value);
    for (size_t i = 0; i < values.size(); ++i) names->set(called[i], values[i]);
  }
  if (values.empty()) return last;
  if (values.size() == 1) return values[0];
  Value list = Value::of_list(std::move(values));
  list.names = std::make_shared<const std::vector<std::string>>(std::move(called));
  return list;
}

Value Networks::with_names(Value value, const Network& network, const ItemScope& scope) const {
  std::map<std::string, Value> within;
  for (const auto& [name, entry] : scope.env.own())
    if (entry.state == Env::Entry::State::done &&
        std::none_of(network.inputs.begin(), network.inputs.end(), [&, &name = name](const Network::Input& i) { return i.name == name; }))
      within.emplace(name, entry.value);
  if (!within.empty()) value.within = std::make_shared<const std::map<std::string, Value>>(std::move(within));
  return value;
}

Value Networks::call(const Network& network, const std::vector<Given>& given, Loc loc, Env* around, Env* names) {
  std::vector<Value> inputs = bind(network, given, loc);
  if (!running_.insert(network.name).second) throw SpecError(loc, "'" + network.name + "' calls itself");
  struct Leave {
    std::set<std::string>& running;
    const std::string& name;
    ~Leave() { running.erase(name); }
  } leave{running_, network.name};
  Restore again(context_.again, !called_.insert(network.name).second);
  Restore eval(context_.eval_mode, context_.eval_mode || network.eval);
  // `model:` has no prefix and no row of its own.
  bool own_row = !network.prefix.empty() && !context_.again;
  size_t row = context_.rows.size();
  int64_t before = context_.parameters;
  if (own_row) context_.rows.push_back({.path = network.name, .op = "network", .depth = 0, .loc = network.loc});
  ItemScope scope(network.prefix, around ? around : context_.vars, network.prefix.empty() ? 0 : 1);
  for (size_t i = 0; i < inputs.size(); ++i) {
    scope.env.set(network.inputs[i].name, inputs[i]);
    scope.taken[network.inputs[i].name] = network.inputs[i].loc;
  }
  Loc former = evaluator_.builder().at();
  Value value = outputs_of(network, scope, items_.run(*network.layers, scope, inputs[0]), names);
  if (!network.prefix.empty()) value = with_names(std::move(value), network, scope);
  evaluator_.builder().at(former);
  if (own_row) {
    context_.rows[row].parameters = context_.parameters - before;
    if (value.is(Kind::tensor)) context_.rows[row].output = context_.builder.sample_shape(value.tensor);
  }
  return value;
}

}  // namespace mlc
