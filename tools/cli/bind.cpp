#include "tools/cli/bind.h"

#include "compiler/base/text.h"
#include "compiler/model/vars.h"
#include "compiler/spec/formula.h"
#include "compiler/spec/spec.h"
#include "tools/cli/data_keys.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace mlc {
namespace {

class Binder {
public:
  Binder(const Node& spec, Diagnostics& d) : formulas_(spec, d.sources()), d_(d) {}

  double number(const Node& n, const std::string& key) {
    if (n.is_number()) return n.number();
    if (n.is(Node::Kind::text)) return number_of(formulas_.evaluate(n), n.loc, "'" + key + "'");
    throw SpecError(n.loc, "'" + key + "' expects a number, found " + kind_name(n.kind));
  }
  int64_t integer(const Node& n, const std::string& key, int64_t least) {
    double v = number(n, key);
    if (v != std::floor(v)) throw SpecError(n.loc, "'" + key + "' expects a whole number, found " + format_number(v));
    if (v < static_cast<double>(least))
      throw SpecError(n.loc, "'" + key + "' must be at least " + std::to_string(least) + ", found " + format_number(v));
    if (v > 1e15) throw SpecError(n.loc, "'" + key + "' is too large: " + format_number(v));
    return static_cast<int64_t>(v);
  }
  bool flag(const Node& n, const std::string& key) {
    if (!n.is(Node::Kind::boolean)) throw SpecError(n.loc, "'" + key + "' expects true or false");
    return n.boolean();
  }
  Placed placed(const Node& n) { return {n.text, n.loc, n.origin == Origin::set}; }
  std::vector<Placed> names(const Node& n, const std::string& key) {
    if (n.is(Node::Kind::text)) return {placed(n)};
    if (!n.is(Node::Kind::list)) throw SpecError(n.loc, "'" + key + "' expects a list of names");
    std::vector<Placed> out;
    for (const Node& i : n.items) out.push_back(placed(i));
    return out;
  }
  Shape shape(const Node& n, const std::string& key) {
    Shape out;
    if (n.is(Node::Kind::list))
      for (const Node& i : n.items) out.push_back(integer(i, key, 1));
    else out.push_back(integer(n, key, 1));
    return out;
  }
  template <class F> void guard(F f) {
    try {
      f();
    } catch (const SpecError& e) {
      d_.report(e.diagnostic);
    }
  }

private:
  SettingFormulas formulas_;
  Diagnostics& d_;
};

// Keys of a source; none: all others name tensors or files of columns.
std::vector<std::string> source_keys(const std::string& reader) {
  if (reader == "csv") return {"path"};
  if (reader == "text") return {"path", "tokens", "window", "stride"};
  if (reader == "synthetic") return {"rows", "x", "y"};
  return {};
}

SourceSettings bind_source(Binder& b, const Node& n, const std::string& reader) {
  SourceSettings s;
  s.loc = n.loc;
  if (n.is(Node::Kind::text)) {
    s.path = b.placed(n);
    return s;
  }
  if (!n.is(Node::Kind::map)) throw SpecError(n.loc, "a source is a path or a map");
  for (const auto& [key, value] : n.entries) {
    if (key.text == "path") {
      s.path = b.placed(value);
    } else if (reader == "synthetic" && key.text == "rows") {
      s.rows = b.integer(value, "rows", 1);
    } else if (reader == "synthetic" && key.text == "x") {
      s.x = b.shape(value, "x");
    } else if (reader == "synthetic" && key.text == "y") {
      if (value.is(Node::Kind::list)) s.y = b.shape(value, "y");
      else s.classes = b.integer(value, "y", 2);
    } else if (reader == "text" && key.text == "tokens") {
      if (value.text != "char" && value.text != "byte") throw SpecError(value.loc, "'tokens' is char or byte");
      s.tokens = b.placed(value);
    } else if (reader == "text" && (key.text == "window" || key.text == "stride")) {
      (key.text == "window" ? s.window : s.stride) = {b.integer(value, key.text, 1), value.loc};
    } else if (std::vector<std::string> keys = source_keys(reader); !keys.empty()) {
      throw SpecError(unknown_name(key.loc, "key", key.text, keys));
    } else {
      s.tensors.push_back({b.placed(key), b.placed(value)});
    }
  }
  return s;
}

std::vector<LoadTransform> bind_transforms(Binder& b, const Node* list) {
  std::vector<LoadTransform> out;
  if (list && list->is(Node::Kind::map))   // of several inputs
    for (const auto& [input, own] : list->entries)
      for (LoadTransform& t : bind_transforms(b, &own)) out.push_back(std::move(t));
  if (!list || !list->is(Node::Kind::list)) return out;
  for (const Node& item : list->items) {
    if (!item.is(Node::Kind::map) || item.entries.empty()) break;
    const auto& [op, value] = item.entries[0];
    LoadTransform t;
    t.loc = op.loc;
    if (op.text == "resize") {
      Shape size = b.shape(value, "resize");
      if (size.size() != 2) throw SpecError(value.loc, "'resize' takes [height, width]");
      t.height = size[0], t.width = size[1];
    } else if (op.text == "one_hot" && value.is(Node::Kind::map) && value.find("columns")) {
      t.kind = LoadTransform::Kind::one_hot;
      t.columns = b.names(*value.find("columns"), "columns");
    } else {
      break;
    }
    out.push_back(std::move(t));
  }
  return out;
}

void bind_classes(Binder& b, const Node& node, TargetSettings& target) {
  target.class_target = true;
  if (node.is(Node::Kind::list))
    for (const Node& i : node.items) target.classes.push_back(i.text);
  else target.class_count = b.integer(node, "classes", 2);
}

// `target: species`, or several by name: `target: {species: species, width: petal_width}` with `classes` by name too.
void bind_targets(Binder& b, const Node& data, CsvSettings& csv) {
  const Node *targets = data.find("target"), *classes = data.find("classes"), *positive = data.find("positive");
  if (!targets || !targets->is(Node::Kind::map)) {
    if (targets) csv.target.column = b.placed(*targets);
    if (classes && classes->is(Node::Kind::map)) throw SpecError(classes->loc, "'classes' by target goes with several targets");
    if (classes) bind_classes(b, *classes, csv.target);
    if (positive) csv.target.positive = b.placed(*positive);
    return;
  }
  if (targets->entries.empty()) throw SpecError(targets->loc, "'target' names no column");
  std::vector<std::string> names;
  for (const auto& [name, column] : targets->entries) {
    if (!is_identifier(name.text)) throw SpecError(name.loc, "a target's name is a word of letters, digits and _");
    csv.targets.push_back({.name = name.text, .column = b.placed(column)});
    names.push_back(name.text);
  }
  auto each = [&](const Node* node, const char* key, auto apply) {
    if (!node) return;
    if (!node->is(Node::Kind::map))
      throw SpecError(node->loc, "with several targets '" + std::string(key) + "' goes by their names: {" + names[0] + ": ...}");
    for (const auto& [name, value] : node->entries) {
      auto at = std::find(names.begin(), names.end(), name.text);
      if (at == names.end()) throw SpecError(unknown_name(name.loc, "target", name.text, names));
      apply(value, csv.targets[static_cast<size_t>(at - names.begin())]);
    }
  };
  each(classes, "classes", [&](const Node& value, TargetSettings& target) { bind_classes(b, value, target); });
  each(positive, "positive", [&](const Node& value, TargetSettings& target) { target.positive = b.placed(value); });
}

void bind_csv(Binder& b, const Node& data, CsvSettings& csv) {
  if (const Node* n = data.find("header")) csv.header = b.flag(*n, "header");
  if (const Node* n = data.find("columns")) csv.columns = b.names(*n, "columns");
  if (const Node* n = data.find("skip_rows")) csv.skip_rows = b.integer(*n, "skip_rows", 0);
  if (const Node* n = data.find("delimiter")) {
    if (n->text == "whitespace") csv.delimiter = ' ';
    else if (n->text == "\\t" || n->text == "tab") csv.delimiter = '\t';
    else if (n->text.size() == 1) csv.delimiter = n->text[0];
    else throw SpecError(n->loc, "'delimiter' is one character, tab or whitespace");
  }
  if (const Node* n = data.find("types"))
    for (const auto& [key, value] : n->entries) {
      if (value.text != "number" && value.text != "category") throw SpecError(value.loc, "a column's type is number or category");
      csv.types.push_back({b.placed(key), value.text == "category"});
    }
  if (const Node* n = data.find("missing")) {
    csv.missing_loc = n->loc;
    if (const Node* t = n->find("tokens"))
      for (const Placed& p : b.names(*t, "tokens")) csv.missing.push_back(p.text);
    const Node* fill = n->find("fill");
    if (!fill) throw SpecError(n->loc, "'missing' needs 'fill': mean, median, drop or a number");
    if (fill->text != "mean" && fill->text != "median" && fill->text != "drop" && !parse_real(fill->text))
      throw SpecError(fill->loc, "'fill' is mean, median, drop or a number");
    csv.fill = fill->text;
  }
  bind_targets(b, data, csv);
  if (const Node* n = data.find("inputs"))
    for (const auto& [name, columns] : n->entries) {
      if (!is_identifier(name.text)) throw SpecError(name.loc, "an input's name is a word of letters, digits and _");
      csv.inputs.push_back({b.placed(name), b.names(columns, name.text)});
      if (csv.inputs.back().second.empty()) throw SpecError(columns.loc, "the input '" + name.text + "' has no columns");
    }
}

void bind_folds(Binder& b, const Node& split, SplitSettings& to) {
  if (const Node* n = split.find("group")) to.group = b.placed(*n);
  const Node *folds = split.find("k_fold"), *fold = split.find("fold"), *val = split.find("val");
  b.guard([&] {
    if (folds) to.folds = b.integer(*folds, "k_fold", 2), to.folds_loc = folds->loc;
    if (fold && !folds) throw SpecError(fold->loc, "'fold' is the number of one of the folds: 'k_fold' is missing");
    if (fold) to.fold = b.integer(*fold, "fold", 1), to.fold_named = true;
    if (fold && to.fold > to.folds)
      throw SpecError(fold->loc, "'fold' is a number from 1 to " + std::to_string(to.folds) + ", found " + std::to_string(to.fold));
    if (folds && val) throw SpecError(val->loc, "'k_fold' makes the validation rows: 'val' cannot stand beside it");
  });
}

std::optional<RowRange> bind_range(Binder& b, const Node* n) {
  if (!n) return std::nullopt;
  if (n->is(Node::Kind::list) && n->items.size() == 2)
    return RowRange{b.integer(n->items[0], "subset", 0), b.integer(n->items[1], "subset", 1), n->loc};
  size_t dots = n->text.find("..");
  if (dots != std::string::npos) {
    auto begin = parse_integer(n->text.substr(0, dots)), end = parse_integer(n->text.substr(dots + 2));
    if (begin.has_value() && end.has_value()) return RowRange{begin.value_or(0), end.value_or(0), n->loc};
  }
  throw SpecError(n->loc, "a range of rows is written 0..1000, end excluded");
}

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = {"accuracy", "top_k", "precision", "recall", "f1",        "roc_auc",
                                                 "mae",      "rmse",  "r2",        "mape",   "perplexity"};
  return names;
}

Diagnostic unknown_monitor(Loc loc, const std::string& name, const std::vector<std::string>& known) {
  std::string metric = name.starts_with("val_") ? name.substr(4) : "";
  bool measurable = std::count(metric_names().begin(), metric_names().end(), metric) > 0;
  Diagnostic d = unknown_name(loc, "monitor", name, known);
  if (measurable && d.fix.empty()) d.text = "'" + name + "' is not measured: eval.metrics does not name " + metric;
  return d;
}

DataSettings bind_data(const Node& spec, const std::string& path, Diagnostics& diagnostics) {
  DataSettings s;
  Binder b(spec, diagnostics);
  const Node* data = spec.find("data");
  if (!data || !data->is(Node::Kind::map)) {
    diagnostics.report(missing_sections(spec));
    return s;
  }
  s.loc = data->loc;
  if (const Node* n = spec.find("seed")) b.guard([&] { s.seed = static_cast<uint64_t>(b.integer(*n, "seed", 0)); });
  namespace fs = std::filesystem;
  fs::path folder = fs::path(path).parent_path();
  s.home = folder.empty() ? "." : folder.string();
  if (const Node* n = data->find("root")) s.folders.push_back(fs::path(n->text).is_absolute() ? n->text : (folder / n->text).string());
  s.folders.push_back(folder.empty() ? "." : folder.string());
  if (const char* env = std::getenv("MLC_DATA"); env && *env) s.folders.push_back(env);
  s.folders.push_back("data");
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache) s.folders.push_back(std::string(cache) + "/mlc/data");
  else if (home) s.folders.push_back(std::string(home) + "/.cache/mlc/data");

  const Node *dataset = data->find("dataset"), *reader = data->find("reader");
  if (dataset && reader)
    diagnostics.error(reader->loc, "'dataset' and 'reader' exclude each other", {{dataset->loc, "'dataset' stands here"}});
  if (!dataset && !reader) diagnostics.error(data->loc, "'data' needs 'dataset' or 'reader'");
  if (dataset) s.dataset = b.placed(*dataset);
  if (reader) s.reader = reader->text;
  check_data_keys(*data, diagnostics);
  auto source = [&](const char* key, std::optional<SourceSettings>& to) {
    if (const Node* n = data->find(key)) b.guard([&] { to = bind_source(b, *n, s.reader); });
  };
  if (const Node* n = data->find("path")) s.all = SourceSettings{.path = b.placed(*n), .loc = n->loc};
  source("train", s.train);
  source("val", s.val);
  source("test", s.test);
  if (s.train && !s.test && !s.val && data->find("split") && s.reader == "csv") s.all = std::move(s.train), s.train.reset();
  b.guard([&] { bind_csv(b, *data, s.csv); });
  if (const Node* split = data->find("split")) {
    s.split.loc = split->loc;
    auto fraction = [&](const char* key, double& to) {
      const Node* n = split->find(key);
      if (!n) return;
      b.guard([&] {
        to = b.number(*n, key);
        if (to < 0 || to > 1) throw SpecError(n->loc, "'" + std::string(key) + "' of the split is a fraction, 0..1");
      });
    };
    fraction("train", s.split.train);
    fraction("val", s.split.val);
    fraction("test", s.split.test);
    if (const Node* n = split->find("stratify")) {
      bool column = n->is(Node::Kind::text);
      if (column) s.split.stratify_by = b.placed(*n);
      else b.guard([&] { s.split.stratify = b.flag(*n, "stratify"); });
    }
    bind_folds(b, *split, s.split);
    if (const Node* n = split->find("order")) s.split.sequential = n->text == "sequential", s.split.order_given = true;
  }
  if (const Node* subset = data->find("subset")) {
    b.guard([&] { s.subset_train = bind_range(b, subset->find("train")); });
    b.guard([&] { s.subset_val = bind_range(b, subset->find("val")); });
    b.guard([&] { s.subset_test = bind_range(b, subset->find("test")); });
  }
  b.guard([&] { s.transforms = bind_transforms(b, data->find("transforms")); });
  if (const Node* n = data->find("balance")) s.oversample = n->text == "oversample";
  if (const Node* n = data->find("fallback")) {
    const Node* name = n->find("dataset");
    if (!name) diagnostics.error(n->loc, "'fallback' needs a 'dataset'");
    else b.guard([&] { s.fallback = DataSettings::Fallback{b.placed(*name), bind_transforms(b, n->find("transforms"))}; });
    check_fallback(s, diagnostics);
  }
  return s;
}

TrainSettings bind_train(const Node& spec, Diagnostics& diagnostics) {
  TrainSettings t;
  Binder b(spec, diagnostics);
  if (const Node* n = spec.find("seed")) b.guard([&] { t.seed = static_cast<uint64_t>(b.integer(*n, "seed", 0)); });
  if (const Node* eval = spec.find("eval")) {
    if (const Node* n = eval->find("threshold"))
      b.guard([&] {
        t.threshold = b.number(*n, "threshold");
        if (!(t.threshold >= 0 && t.threshold <= 1))
          throw SpecError(n->loc, "'threshold' is a probability, 0..1; it is " + format_number(t.threshold));
      });
    if (const Node* list = eval->find("metrics"))
      for (const Node& item : list->items)
        b.guard([&] {
          bool map = item.is(Node::Kind::map) && item.entries.size() == 1;
          const Node& name = map ? item.entries[0].first : item;
          if (std::find(metric_names().begin(), metric_names().end(), name.text) == metric_names().end())
            throw SpecError(unknown_name(name.loc, "metric", name.text, metric_names()));
          MetricSettings m{name.text, name.text, 5};
          if (map && name.text == "top_k") m.k = b.integer(item.entries[0].second, "top_k", 1);
          if (name.text == "top_k") m.key = "top_" + std::to_string(m.k);
          t.metrics.push_back(m);
        });
  }
  const Node* train = spec.find("train");
  if (!train || !train->is(Node::Kind::map)) return t;
  if (const Node* updates = train->find("updates"))
    for (const auto& [name, update] : updates->entries) t.updates.push_back(name.text);
  auto every = [&](const Node& n) {
    std::optional<Quantity> q = parse_quantity(n);
    if (!q || (q->unit != Quantity::Unit::epochs && q->unit != Quantity::Unit::steps) || q->value < 1 || q->value != std::floor(q->value))
      throw SpecError(n.loc, "'every' is a whole number of epochs or steps, as in '1 epoch' or '500 steps'");
    return Every{static_cast<int64_t>(q->value), q->unit == Quantity::Unit::epochs};
  };
  b.guard([&] {
    if (const Node* n = train->find("epochs")) t.epochs = b.integer(*n, "epochs", 1);
  });
  b.guard([&] {
    if (const Node* n = train->find("steps")) t.steps = b.integer(*n, "steps", 1);
  });
  b.guard([&] {
    const Node* n = train->find("time");
    if (!n) return;
    std::optional<Quantity> q = parse_quantity(*n);
    if (!q || q->unit != Quantity::Unit::seconds || q->value <= 0)
      throw SpecError(n->loc, "'time' is written with its unit, as in '10 min' or '90 s'");
    t.seconds = q->value;
  });
  if (!train->find("epochs") && !train->find("steps") && !train->find("time"))
    diagnostics.error(train->loc, "'train' needs 'epochs', 'steps' or 'time'");
  b.guard([&] {
    if (const Node* n = train->find("batch_size")) t.batch_size = b.integer(*n, "batch_size", 1);
  });
  b.guard([&] {
    if (const Node* n = train->find("accumulate")) t.accumulate = b.integer(*n, "accumulate", 1);
  });
  b.guard([&] {
    const Node* ema = train->find("ema");
    const Node* decay = ema && ema->is(Node::Kind::map) ? ema->find("decay") : nullptr;
    double value = decay ? b.number(*decay, "decay") : 0;
    if (value < 0 || value >= 1) throw SpecError(decay->loc, "'decay' of ema lies in 0..1, 1 excluded; it is " + format_number(value));
  });
  b.guard([&] {
    if (const Node* n = train->find("shuffle")) t.shuffle = b.flag(*n, "shuffle");
    if (const Node* n = train->find("drop_last")) t.drop_last = b.flag(*n, "drop_last");
    if (const Node* n = train->find("validate"); n && n->find("every")) t.validate = every(*n->find("every"));
  });
  auto off = [](const Node* n) { return !n || n->text == "none"; };
  auto monitor = [&](const Node& n) {
    const Node* m = n.find("monitor");
    std::vector<std::string> known = t.monitors();
    // Whether an output's metric is there is known with the model: names are checked again then.
    bool several = train->find("updates") || (spec.find("model") && spec.find("model")->find("outputs"));
    if (several && m && m->text.starts_with("val_") &&
        std::any_of(t.metrics.begin(), t.metrics.end(), [&](const MetricSettings& s) { return m->text.ends_with("_" + s.key); }))
      return m->text;
    if (m && std::find(known.begin(), known.end(), m->text) == known.end()) throw SpecError(unknown_monitor(m->loc, m->text, known));
    return m ? m->text : "val_loss";
  };
  b.guard([&] {
    const Node* n = train->find("early_stopping");
    if (off(n)) return;
    EarlyStopping e;
    e.monitor = monitor(*n);
    if (const Node* p = n->find("patience")) e.patience = b.integer(*p, "patience", 0);
    if (const Node* p = n->find("min_delta")) e.min_delta = b.number(*p, "min_delta");
    if (const Node* p = n->find("restore_best")) e.restore_best = b.flag(*p, "restore_best");
    t.early_stopping = e;
  });
  b.guard([&] {
    const Node* n = train->find("checkpoint");
    if (off(n)) return;
    // A checkpoint that says only when it is written keeps no best one.
    if (n->find("monitor") || n->find("keep") || !n->find("every")) t.checkpoint.monitor = monitor(*n);
    if (const Node* k = n->find("keep")) t.checkpoint.keep = b.integer(*k, "keep", 1);
  });
  b.guard([&] {
    const Node* n = train->find("checkpoint");
    if (const Node* e = off(n) ? nullptr : n->find("every")) t.checkpoint.every = every(*e);
  });
  return t;
}

std::vector<std::string> bind_reports(const Node& spec) {
  std::vector<std::string> out;
  const Node* eval = spec.find("eval");
  const Node* list = eval ? eval->find("report") : nullptr;
  if (list && list->is(Node::Kind::list))
    for (const Node& item : list->items)
      out.push_back(item.is(Node::Kind::map) && !item.entries.empty() ? item.entries[0].first.text : item.text);
  return out;
}

std::optional<GenerateSettings> bind_generate(const Node& spec, const Schema& schema, Diagnostics& diagnostics) {
  const Node* eval = spec.find("eval");
  const Node* list = eval ? eval->find("report") : nullptr;
  Binder b(spec, diagnostics);
  for (size_t i = 0; list && i < list->items.size(); ++i) {
    const Node& item = list->items[i];
    bool map = item.is(Node::Kind::map) && item.entries.size() == 1;
    if ((map ? item.entries[0].first : item).text != "generate") continue;
    GenerateSettings g;
    bool line_end = std::count(schema.vocabulary.begin(), schema.vocabulary.end(), "\n") > 0;
    g.prompt = line_end || schema.vocabulary.empty() ? "\n" : schema.vocabulary[0];
    for (size_t k = 0; map && k < item.entries[0].second.entries.size(); ++k) {
      const auto& [key, value] = item.entries[0].second.entries[k];
      b.guard([&, &key = key, &value = value] {
        if (key.text == "prompt") {
          g.prompt = value.text;
          std::optional<std::string> fault = prompt_fault(schema, g.prompt);
          if (fault && !schema.vocabulary.empty()) throw SpecError(value.loc, *fault);
        } else if (key.text == "length") {
          g.length = b.integer(value, "length", 1);
        } else if (key.text == "top_k") {
          g.top_k = b.integer(value, "top_k", 0);
        } else if (key.text == "seed") {
          g.seed = static_cast<uint64_t>(b.integer(value, "seed", 0));
        } else if (key.text == "temperature") {
          g.temperature = b.number(value, "temperature");
        } else {
          throw SpecError(unknown_name(key.loc, "key", key.text, {"prompt", "length", "temperature", "top_k", "seed"}));
        }
        if (!(g.temperature >= 0)) throw SpecError(value.loc, "'temperature' is 0 or more");
      });
    }
    return g;
  }
  return std::nullopt;
}

}  // namespace mlc
