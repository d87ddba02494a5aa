#include "compiler/model/initializers.h"

#include "compiler/base/text.h"
#include "compiler/spec/spec.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace mlc {
namespace {

// Settings of an initialiser: named ones of a map, or one main number.
class Settings {
public:
  Settings(const std::string& name, const Node& node, const std::string& main, const std::vector<std::string>& keys, Evaluator& evaluator,
           Env& env)
      : evaluator_(evaluator), env_(env), name_(name) {
    if (node.is(Node::Kind::null) || node.is(Node::Kind::boolean)) return;
    if (!node.is(Node::Kind::map)) {
      if (main.empty()) throw SpecError(evaluator.place(node.loc), "initialiser '" + name + "' takes no number");
      values_[main] = &node;
      return;
    }
    for (const auto& [key, value] : node.entries) {
      if (std::find(keys.begin(), keys.end(), key.text) == keys.end())
        throw SpecError(misnamed(evaluator.place(key.loc), "unknown setting '" + key.text + "' of initialiser '" + name + "'",
                                 nearest(key.text, keys), keys.empty() ? "" : "; it takes " + join(keys, ", ")));
      values_[key.text] = &value;
    }
  }

  double number(const std::string& key, double fallback) const {
    auto it = values_.find(key);
    if (it == values_.end()) return fallback;
    const Node& node = *it->second;
    std::string what = "'" + key + "' of initialiser '" + name_ + "'";
    Loc loc = evaluator_.place(node.loc);
    if (!node.is_scalar()) throw SpecError(loc, what + " must be a number");
    return node.is_number() ? node.number() : number_of(evaluator_.eval(parse_formula(node), env_), loc, what);
  }
  std::string word(const std::string& key, const std::string& fallback) const {
    auto it = values_.find(key);
    return it == values_.end() ? fallback : it->second->text;
  }
  Loc loc(const std::string& key) const { return evaluator_.place(values_.at(key)->loc); }
  bool has(const std::string& key) const { return values_.count(key) != 0; }

private:
  Evaluator& evaluator_;
  Env& env_;
  std::string name_;
  std::map<std::string, const Node*> values_;
};

struct Fans {
  double in, out;
};

Fans fans_of(const Shape& shape, const std::string& name, Loc loc) {
  if (shape.size() < 2)
    throw SpecError(loc, "'" + name + "' needs a tensor of at least two axes; this one has shape " + format_shape(shape));
  double receptive = 1;
  for (size_t i = 2; i < shape.size(); ++i) receptive *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * receptive, static_cast<double>(shape[0]) * receptive};
}

double gain_of(const std::string& nonlinearity, double a, Loc loc) {
  if (nonlinearity == "linear" || nonlinearity == "sigmoid") return 1;
  if (nonlinearity == "tanh") return 5.0 / 3;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") return std::sqrt(2 / (1 + a * a));
  if (nonlinearity == "selu") return 0.75;
  throw SpecError(loc, "'nonlinearity' must be one of linear, sigmoid, tanh, relu, leaky_relu, selu");
}

Initializer kaiming(const std::string& name, const Node& value, const Shape& shape, Evaluator& evaluator, Env& env) {
  Settings s(name, value, "a", {"a", "mode", "nonlinearity"}, evaluator, env);
  Loc loc = evaluator.place(value.loc);
  Fans fans = fans_of(shape, name, loc);
  std::string mode = s.word("mode", "fan_in");
  if (mode != "fan_in" && mode != "fan_out") throw SpecError(s.loc("mode"), "'mode' must be fan_in or fan_out");
  double gain = gain_of(s.word("nonlinearity", "leaky_relu"), s.number("a", 0), s.has("nonlinearity") ? s.loc("nonlinearity") : loc);
  double std = gain / std::sqrt(mode == "fan_in" ? fans.in : fans.out);
  if (name == "kaiming_normal") return {.kind = Initializer::Kind::normal, .a = std};
  return {.kind = Initializer::Kind::uniform, .a = std::sqrt(3.0) * std};
}

}  // namespace

const std::vector<std::string>& initializer_names() {
  static const std::vector<std::string> names = {"constant",      "zeros",           "ones",          "uniform", "normal", "xavier_uniform",
                                                 "xavier_normal", "kaiming_uniform", "kaiming_normal"};
  return names;
}

namespace {

SpecError unknown_initializer(const std::string& name, Loc loc) {
  std::vector<std::string> names = initializer_names();
  return SpecError(misnamed(loc, "unknown initialiser '" + name + "'", suggest(name, names), "; they are " + join(names, ", ")));
}

}  // namespace

Initializer read_initializer(const std::string& name, const Node& value, const Shape& shape, Evaluator& evaluator, Env& env) {
  Loc loc = evaluator.place(value.loc);
  if (name == "zeros" || name == "ones") {
    Settings none(name, value, "", {}, evaluator, env);
    return {.a = name == "ones" ? 1.0 : 0.0};
  }
  if (name == "constant") return {.a = Settings(name, value, "value", {"value"}, evaluator, env).number("value", 0)};
  if (name == "uniform") return {.kind = Initializer::Kind::uniform, .a = Settings(name, value, "a", {"a"}, evaluator, env).number("a", 1)};
  if (name == "normal") {
    Settings s(name, value, "std", {"std", "mean"}, evaluator, env);
    double std = s.number("std", 1);
    if (std < 0) throw SpecError(loc, "'std' of initialiser 'normal' must not be negative");
    return {.kind = Initializer::Kind::normal, .a = std, .mean = s.number("mean", 0)};
  }
  if (name == "xavier_uniform" || name == "xavier_normal") {
    double gain = Settings(name, value, "gain", {"gain"}, evaluator, env).number("gain", 1);
    Fans fans = fans_of(shape, name, loc);
    double std = gain * std::sqrt(2 / (fans.in + fans.out));
    if (name == "xavier_normal") return {.kind = Initializer::Kind::normal, .a = std};
    return {.kind = Initializer::Kind::uniform, .a = std::sqrt(3.0) * std};
  }
  if (name == "kaiming_uniform" || name == "kaiming_normal") return kaiming(name, value, shape, evaluator, env);
  throw unknown_initializer(name, loc);
}

Initializer read_initializer(const Node& node, const Shape& shape, Evaluator& evaluator, Env& env) {
  Loc loc = evaluator.place(node.loc);
  if (node.is_number()) return {.a = node.number()};
  if (node.is(Node::Kind::map)) {
    if (node.entries.size() != 1) throw SpecError(loc, "an initialiser has one name, like {uniform: 0.1}");
    const auto& [name, settings] = node.entries[0];
    if (!std::count(initializer_names().begin(), initializer_names().end(), name.text))
      throw unknown_initializer(name.text, evaluator.place(name.loc));
    return read_initializer(name.text, settings, shape, evaluator, env);
  }
  if (!node.is(Node::Kind::text))
    throw SpecError(loc, "an initialiser is a number, a name or {name: settings}, not " + kind_name(node.kind));
  const std::vector<std::string>& names = initializer_names();
  bool named = std::find(names.begin(), names.end(), node.text) != names.end();
  if (named || (!looks_like_formula(node.text) && !env.find(node.text))) {
    Node none;
    none.loc = node.loc;
    return read_initializer(node.text, none, shape, evaluator, env);
  }
  return {.a = number_of(evaluator.eval(parse_formula(node), env), loc, "an initial value")};
}

}  // namespace mlc
