#include "compiler/base/text.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <algorithm>
#include <array>
#include <map>

namespace mlc {
namespace {

enum Kind : unsigned {
  integer = 1, number = 2, flag = 4, text = 8, word = 16, formula = 32, quantity = 64, list = 128, map = 256, items = 512, name = 1024, any = 2048, none = 4096
};

struct Key {
  std::string_view path;
  unsigned kinds;
  std::string_view fallback, doc;
  bool planned;
};

constexpr Key kKeys[] = {
#define KEY(path, kinds, fallback, doc) {path, kinds, fallback, doc, false},
#define PLANNED(path, doc) {path, any, "", doc, true},
#include "compiler/spec/keys.def"
#undef KEY
#undef PLANNED
};

// Words of other frameworks, and of habit.
const std::map<std::string, std::string>& synonyms() {
  static const std::map<std::string, std::string> table = {
      {"filters", "out"}, {"out_channels", "out"}, {"out_features", "out"}, {"units", "out"}, {"kernel_size", "kernel"}, {"rate", "p"},
      {"Dense", "linear"}, {"dense", "linear"}, {"Linear", "linear"}, {"fc", "linear"}, {"fully_connected", "linear"}, {"Conv2d", "conv2d"},
      {"Conv2D", "conv2d"}, {"BatchNorm1d", "batch_norm"}, {"BatchNorm2d", "batch_norm"}, {"BatchNormalization", "batch_norm"}, {"batchnorm", "batch_norm"},
      {"LayerNorm", "layer_norm"}, {"layernorm", "layer_norm"}, {"RMSNorm", "rms_norm"}, {"ReLU", "relu"}, {"Relu", "relu"}, {"LeakyReLU", "leaky_relu"},
      {"GELU", "gelu"}, {"SiLU", "silu"}, {"swish", "silu"}, {"Sigmoid", "sigmoid"}, {"Tanh", "tanh"}, {"Softmax", "softmax"}, {"LogSoftmax", "log_softmax"},
      {"Dropout", "dropout"}, {"Flatten", "flatten"}, {"Embedding", "embedding"}, {"Reshape", "reshape"}, {"view", "reshape"},
      {"CrossEntropyLoss", "cross_entropy"}, {"categorical_crossentropy", "cross_entropy"}, {"sparse_categorical_crossentropy", "cross_entropy"},
      {"NLLLoss", "nll"}, {"nll_loss", "nll"}, {"BCELoss", "bce"}, {"binary_crossentropy", "bce"}, {"BCEWithLogitsLoss", "bce_with_logits"},
      {"MSELoss", "mse"}, {"mse_loss", "mse"}, {"mean_squared_error", "mse"}, {"L1Loss", "l1"}, {"mean_absolute_error", "l1"}, {"HuberLoss", "huber"},
      {"Adam", "adam"}, {"AdamW", "adamw"}, {"SGD", "sgd"}, {"RMSprop", "rmsprop"}, {"Adagrad", "adagrad"}, {"StepLR", "step"}, {"MultiStepLR", "multi_step"},
      {"ExponentialLR", "exponential"}, {"CosineAnnealingLR", "cosine"}, {"LinearLR", "linear"}, {"OneCycleLR", "one_cycle"}, {"PolynomialLR", "polynomial"},
      {"ReduceLROnPlateau", "reduce_on_plateau"}, {"CyclicLR", "cyclic"}, {"lr_scheduler", "schedule"}, {"scheduler", "schedule"}, {"num_epochs", "epochs"}, {"epoch", "epochs"},
      {"max_epochs", "epochs"}, {"n_epochs", "epochs"}, {"learning_rate", "lr"}, {"batch", "batch_size"}, {"bs", "batch_size"}, {"criterion", "loss"}, {"loss_fn", "loss"},
      {"optim", "optimizer"}, {"layers", "model"}, {"network", "model"}, {"net", "model"}, {"dataset_path", "path"}, {"features", "columns"}, {"label", "target"},
      {"labels", "target"}, {"y", "target"}, {"metric", "metrics"}, {"training", "train"}, {"evaluation", "eval"}, {"test_size", "test"}, {"val_size", "val"},
      {"random_state", "seed"}, {"random_seed", "seed"}, {"epsilon", "eps"}, {"gradient_clip", "clip"}, {"grad_clip", "clip"}, {"sep", "delimiter"},
      {"StandardScaler", "standardize"}, {"Normalize", "normalize"}, {"ToTensor", "to_float"}, {"Resize", "resize"}, {"rescale", "scale"},
      {"negative_slope_", "negative_slope"}, {"kaiming_normal_", "kaiming_normal"}, {"xavier_uniform_", "xavier_uniform"}, {"glorot_uniform", "xavier_uniform"},
      {"he_normal", "kaiming_normal"}, {"he_uniform", "kaiming_uniform"}};
  return table;
}

const Key* key_row(const std::string& path) {
  for (const Key& k : kKeys)
    if (k.path == path) return &k;
  return nullptr;
}

std::string parent_of(std::string_view path) {
  size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? "" : std::string(path.substr(0, dot));
}
std::string last_of(std::string_view path) { return std::string(path.substr(path.rfind('.') + 1)); }

std::vector<std::string> children_of(const std::string& path) {
  std::vector<std::string> out;
  for (const Key& k : kKeys)
    if (parent_of(k.path) == path) out.push_back(last_of(k.path));
  return out;
}

std::vector<std::string> words_of(const Key& key) {
  std::vector<std::string> out;
  std::vector<std::string> parts = split(key.doc, '`');
  for (size_t i = 1; i < parts.size(); i += 2) out.push_back(parts[i]);
  return out;
}

std::string expected(const Key& key) {
  std::vector<std::string> parts;
  auto add = [&](unsigned k, const char* what) {
    if (key.kinds & k) parts.push_back(what);
  };
  add(integer, "a whole number");
  add(number, "a number");
  add(flag, "true or false");
  add(quantity, "a number with its unit, as in '1 epoch' or '500 steps'");
  if (key.kinds & word) parts.push_back("one of " + join(words_of(key), ", "));
  add(text | formula, "text");
  add(name, "a name or a map with 'type:'");
  add(list | items, "a list");
  add(map, "a map");
  add(none, "none");
  return join(parts, " or ");
}

bool fits(const Key& key, const Node& node) {
  unsigned k = key.kinds;
  if (k & any) return true;
  bool maybe_formula = node.is(Node::Kind::text) && !node.quoted;
  switch (node.kind) {
  case Node::Kind::null: return false;
  case Node::Kind::boolean: return k & flag;
  case Node::Kind::integer: return k & (integer | number | quantity | formula);
  case Node::Kind::real: return (k & (number | quantity | formula)) || ((k & integer) && node.number() == static_cast<double>(static_cast<int64_t>(node.number())));
  case Node::Kind::text: {
    std::vector<std::string> words = words_of(key);
    if (k & (text | formula | name)) return true;
    if ((k & word) && std::count(words.begin(), words.end(), node.text)) return true;
    if ((k & quantity) && parse_quantity(node)) return true;
    if ((k & none) && node.text == "none") return true;
    // A number by formula, or a variable's name: its value is checked where it is used.
    return (k & (integer | number)) && (node.quoted || maybe_formula) && !(k & word) && (looks_like_formula(node.text) || node.text.find(' ') == std::string::npos);
  }
  case Node::Kind::list: return k & (list | items);
  case Node::Kind::map: return k & (map | name);
  }
  return false;
}

class Checker {
public:
  explicit Checker(Diagnostics& d) : diagnostics_(d) {}

  void section(const Node& node, const std::string& path) {
    std::vector<std::string> known = children_of(path);
    for (const auto& [key, value] : node.entries) {
      if (path.empty() && starts_with(key.text, "x-")) continue;
      std::string full = path.empty() ? key.text : path + "." + key.text;
      const Key* row = key_row(full);
      if (!row || key.text.find('.') != std::string::npos) {
        diagnostics_.report(unknown_name(key.loc, "key", key.text, known));
        continue;
      }
      if (row->planned) {
        diagnostics_.error(key.loc, "'" + key.text + "' is not supported by this version yet");
        continue;
      }
      if (value.is(Node::Kind::null) && !(row->kinds & any)) {
        diagnostics_.error(key.loc, "'" + key.text + "' has no value; expected " + expected(*row));
        continue;
      }
      if (!fits(*row, value)) {
        wrong_kind(*row, key, value);
        continue;
      }
      if (value.is(Node::Kind::map) && !children_of(full).empty()) section(value, full);
    }
  }

private:
  void wrong_kind(const Key& row, const Node& key, const Node& value) {
    std::string found = value.is_scalar() ? "'" + value.text + "'" : kind_name(value.kind);
    Diagnostic d;
    d.loc = value.loc;
    d.text = "'" + key.text + "' expects " + expected(row) + ", found " + found;
    if (row.kinds & word) {
      std::vector<std::string> words = words_of(row);
      if (std::string near = suggest(value.text, words); !near.empty()) d.text = "'" + key.text + "' cannot be " + found + "; did you mean '" + near + "'?", d.fix = near;
    }
    if ((row.kinds & quantity) && value.is_number()) d.text = "'" + key.text + "' needs a unit: '" + value.text + " epochs' or '" + value.text + " steps'?";
    diagnostics_.report(std::move(d));
  }

  Diagnostics& diagnostics_;
};

// Defaults as nodes, from their YAML text.
Node implied(std::string_view text) {
  Node n;
  n.text = std::string(text);
  n.origin = Origin::implied;
  n.kind = text == "true" || text == "false" ? Node::Kind::boolean : parse_integer(text) ? Node::Kind::integer : parse_real(text) ? Node::Kind::real : Node::Kind::text;
  return n;
}

void fill(Node& node, const std::string& path) {
  std::vector<std::pair<Node, Node>> ordered;
  auto take = [&](const std::string& key) {
    for (auto it = node.entries.begin(); it != node.entries.end(); ++it)
      if (it->first.text == key) {
        ordered.push_back(std::move(*it));
        node.entries.erase(it);
        return true;
      }
    return false;
  };
  for (const std::string& key : children_of(path)) {
    std::string full = path.empty() ? key : path + "." + key;
    const Key* row = key_row(full);
    if (take(key)) {
      Node& value = ordered.back().second;
      if (value.is(Node::Kind::map) && !children_of(full).empty()) fill(value, full);
    } else if (!row->fallback.empty()) {
      ordered.emplace_back(Node::make_text(key), implied(row->fallback));
    }
  }
  for (auto& rest : node.entries) ordered.push_back(std::move(rest));
  node.entries = std::move(ordered);
}

}  // namespace

std::string suggest(const std::string& name, const std::vector<std::string>& candidates) {
  auto it = synonyms().find(name);
  if (it != synonyms().end() && std::count(candidates.begin(), candidates.end(), it->second)) return it->second;
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  if (std::count(candidates.begin(), candidates.end(), lower)) return lower;
  return nearest(lower, candidates);
}

Diagnostic unknown_name(Loc loc, const std::string& what, const std::string& name, const std::vector<std::string>& candidates) {
  Diagnostic d;
  d.loc = loc;
  d.text = "unknown " + what + " '" + name + "'";
  d.fix = suggest(name, candidates);
  if (!d.fix.empty()) d.text += "; did you mean '" + d.fix + "'?";
  else if (!candidates.empty() && candidates.size() <= 8) d.text += "; known here: " + join(candidates, ", ");
  return d;
}

void check_vocabulary(const Node& spec, Diagnostics& diagnostics) {
  if (!spec.is(Node::Kind::map)) {
    if (!diagnostics.errors()) diagnostics.error(spec.loc, "a spec is a map with keys such as data, model and train");
    return;
  }
  Checker(diagnostics).section(spec, "");
}

Node effective_spec(const Node& spec) {
  Node out = spec;
  fill(out, "");
  return out;
}

std::optional<Quantity> parse_quantity(const Node& node) {
  if (!node.is(Node::Kind::text)) return std::nullopt;
  std::string body(trim(node.text));
  size_t at = body.find_first_not_of("0123456789.eE+-");
  if (at == std::string::npos || at == 0) return std::nullopt;
  // The exponent's letter may belong to the unit: "1epoch".
  while (at > 0 && (body[at - 1] == 'e' || body[at - 1] == 'E')) --at;
  std::optional<double> value = parse_real(trim(body.substr(0, at)));
  std::string unit(trim(body.substr(at)));
  if (!value) return std::nullopt;
  if (unit == "step" || unit == "steps") return Quantity{Quantity::Unit::steps, *value};
  if (unit == "epoch" || unit == "epochs") return Quantity{Quantity::Unit::epochs, *value};
  if (unit == "%") return Quantity{Quantity::Unit::percent, *value};
  if (unit == "s" || unit == "sec" || unit == "second" || unit == "seconds") return Quantity{Quantity::Unit::seconds, *value};
  if (unit == "min" || unit == "minute" || unit == "minutes") return Quantity{Quantity::Unit::seconds, *value * 60};
  if (unit == "h" || unit == "hour" || unit == "hours") return Quantity{Quantity::Unit::seconds, *value * 3600};
  return std::nullopt;
}

std::string document_key(const std::string& path) {
  const Key* row = key_row(path);
  if (!row) return "";
  std::string out = path + (row->planned ? "  (not in this version)" : ": " + expected(*row)) + "\n  " + replace_all(std::string(row->doc), "`", "") + "\n";
  if (!row->fallback.empty()) out += "  default: " + std::string(row->fallback) + "\n";
  for (const std::string& child : children_of(path)) {
    const Key* c = key_row(path + "." + child);
    out += "    " + child + std::string(child.size() < 16 ? 16 - child.size() : 1, ' ') + replace_all(std::string(c->doc), "`", "") + "\n";
  }
  return out;
}

std::vector<std::string> key_paths() {
  std::vector<std::string> out;
  for (const Key& k : kKeys) out.push_back(std::string(k.path));
  return out;
}

}  // namespace mlc
