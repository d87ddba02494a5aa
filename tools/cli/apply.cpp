// mlc eval and predict: using a finished run.
#include "compiler/base/text.h"
#include "runtime/data/indices.h"
#include "runtime/data/text_file.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"
#include "runtime/train/generate.h"
#include "tools/cli/bind.h"
#include "tools/cli/finished_run.h"
#include "tools/cli/labels.h"
#include "tools/cli/measured.h"
#include "tools/cli/predictions.h"
#include "tools/cli/printer.h"
#include "tools/cli/weights.h"
#include "tools/cli/workbench.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>

namespace mlc {
namespace {

namespace po = boost::program_options;

/// A run with its model and weights, ready to be applied.
struct Opened {
  Sources sources;
  Diagnostics diagnostics{sources};
  FinishedRun run;
  Node spec;
  std::unique_ptr<Model> model;
  std::unique_ptr<Workbench> bench;
};

// False when faults were found.
bool elaborate_run(Opened& o, const Schema& schema) {
  // Running state of fitted transforms comes from the checkpoint.
  o.model = elaborate(o.spec, schema, o.sources, o.diagnostics);
  if (!o.model) return report(o.diagnostics, false), false;
  while (o.model->next_fit()) o.model->fitted();
  return true;
}

// The weights, laid out by the program of this batch.
void load_run(Opened& o, const Arguments& a, StepKind kind, int64_t batch) {
  o.bench = std::make_unique<Workbench>(o.spec, workbench_options(a), *o.model);
  o.bench->make_state(kind, batch, 0);
  load_checkpoint(o.run.checkpoint, *o.model, *o.bench);
}

Node run_spec(Opened& o, const Arguments& a) {
  o.run = open_run(a.text("RUN"), a.sets(), o.sources, o.diagnostics);
  return effective_spec(o.run.spec);
}

void check_indices(const Dataset& data, const Model& model) {
  if (std::optional<std::string> fault = unknown_label(data, model)) throw RuntimeError(*fault);
  for (const IndexBound& bound : model.index_bounds())
    if (std::optional<std::string> fault = index_outside(data, bound.column, bound.extent, bound.ignored))
      throw RuntimeError(*fault + "; the model's table has " + std::to_string(bound.extent) + " rows");
}

// --seed of the command line; 0: as in training's first evaluation.
uint64_t seed_of(const Arguments& a) {
  if (!a.has("seed")) return 0;
  std::optional<int64_t> seed = parse_integer(a.text("seed"));
  if (!seed || *seed < 0) throw UsageError("--seed is a whole number, 0 or more\n");
  return static_cast<uint64_t>(*seed);
}

int predict_rows(Opened& o, const Schema& schema, const DataSettings& trained, const Arguments& a) {
  Dataset data = read_inputs(a.text("input"), schema, trained);
  std::vector<int32_t> rows(static_cast<size_t>(data.rows));
  std::iota(rows.begin(), rows.end(), 0);
  if (!elaborate_run(o, schema)) return kFault;
  check_indices(data, *o.model);
  int64_t batch = evaluation_batch({data.rows}, evaluation_cap(*o.model, schema, 1));
  load_run(o, a, StepKind::predict, batch);
  Evaluation e = evaluate_rows(*o.bench, StepKind::predict, columns_of(data), rows, batch, seed_of(a), Keep::all);
  if (e.outputs.empty()) throw RuntimeError("the model has no output that can be computed without targets");
  Predictions predictions(e, *o.model, schema, bind_train(o.spec, o.diagnostics).threshold);
  std::string out = a.text("output"), ending = std::filesystem::path(out).extension().string();
  if (out.empty()) predictions.write_csv(std::cout);
  else if (ending == ".safetensors") predictions.write_tensors(out);
  else if (ending == ".npy") predictions.write_npy(out);
  else {
    std::ofstream file(out);
    predictions.write_csv(file);
    if (!file) throw RuntimeError(out + ": cannot be written");
  }
  return kDone;
}

// Prints the prompt and what follows it, token by token.
int continue_text(Opened& o, const Schema& schema, const Arguments& a) {
  GenerateSettings s{
      .prompt = a.text("prompt"), .length = a.integer("length"), .temperature = a.real("temperature"), .top_k = a.integer("top-k")};
  if (s.length < 1) throw UsageError("--length is at least 1\n");
  if (!(s.temperature >= 0) || std::isinf(s.temperature)) throw UsageError("--temperature is 0 or more\n");
  if (s.top_k < 0) throw UsageError("--top-k is 0 or more\n");
  if (a.has("seed")) s.seed = seed_of(a);
  if (s.prompt == kStandardInput) s.prompt = read_text_file(kStandardInput);
  if (schema.vocabulary.empty()) throw RuntimeError("--prompt continues a text; " + o.run.folder + " was trained on " + schema.dataset);
  if (!elaborate_run(o, schema)) return kFault;
  load_run(o, a, StepKind::predict, 1);
  std::ofstream file;
  if (a.has("output")) file.open(a.text("output"), std::ios::binary);
  std::ostream& out = a.has("output") ? file : std::cout;
  bool begun = false;
  generate(*o.bench, schema, s, [&](const std::string& text) {
    out << (begun ? "" : s.prompt) << text << std::flush;
    begun = true;
  });
  out << std::endl;
  if (!out) throw RuntimeError((a.has("output") ? a.text("output") : "standard output") + ": cannot be written");
  return kDone;
}

}  // namespace

int predict_command(int argc, char** argv) {
  Arguments a("predict",
              "Applies a run's best (else last) weights to the rows of a file: CSV, IDX, npy or safetensors (tensor x); prints CSV, or "
              "writes a file. With --prompt it continues a text.",
              {"RUN"});
  a.add()("input", po::value<std::string>()->value_name("FILE"), "rows to predict; - is CSV on standard input");
  a.add()("output", po::value<std::string>()->value_name("FILE"),
          ".csv, .safetensors (output, probability, class) or .npy (output); default: CSV on standard output");
  a.add()("prompt", po::value<std::string>()->value_name("TEXT"), "text to continue, for a run of 'reader: text'; - is standard input");
  a.add()("length", po::value<int64_t>()->default_value(500)->value_name("N"), "with --prompt: tokens to add");
  a.add()("temperature", po::value<double>()->default_value(1.0, "1")->value_name("T"),
          "with --prompt: below 1 likelier tokens, 0 always the likeliest");
  a.add()("top-k", po::value<int64_t>()->default_value(0)->value_name("K"), "with --prompt: draw among the K likeliest tokens (0: all)");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  if (a.has("input") == a.has("prompt")) throw UsageError("predict needs --input FILE, or --prompt TEXT for a run on a text\n");
  for (const char* option : {"length", "temperature", "top-k"})
    if (a.has(option) && !a.has("prompt")) throw UsageError(std::string("--") + option + " goes with --prompt\n");
  Opened o;
  o.spec = run_spec(o, a);
  if (report(o.diagnostics, false)) return kFault;
  DataSettings settings = bind_data(o.spec, o.run.folder + "/spec.yaml", o.diagnostics);
  settings.home.clear();   // the run's data were where its spec was
  Schema schema = o.run.schema ? *o.run.schema : read_schema(settings);
  return a.has("prompt") ? continue_text(o, schema, a) : predict_rows(o, schema, settings, a);
}

int eval_command(int argc, char** argv) {
  Arguments a("eval", "Evaluates a run's best (else last) weights on the test rows of its data, or on another part.", {"RUN"});
  a.add()("part", po::value<std::string>()->default_value("test")->value_name("NAME"), "train, val or test");
  a.add()("json", po::bool_switch(), "print one JSON object");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  Opened o;
  o.spec = run_spec(o, a);
  if (report(o.diagnostics, false)) return kFault;
  DataSettings settings = bind_data(o.spec, o.run.folder + "/spec.yaml", o.diagnostics);
  settings.home.clear();   // the run's data were where its spec was
  TrainSettings train = bind_train(o.spec, o.diagnostics);
  Dataset data = open_dataset(settings);
  std::string part = a.text("part");
  if (part != "train" && part != "val" && part != "test") throw UsageError("--part is train, val or test\n");
  const std::vector<int32_t>& rows = part == "train" ? data.train : part == "val" ? data.val : data.test;
  if (rows.empty()) throw RuntimeError("the data have no " + part + " rows");
  if (!elaborate_run(o, data.schema)) return kFault;
  check_indices(data, *o.model);
  int64_t batch = evaluation_batch({static_cast<int64_t>(rows.size())}, evaluation_cap(*o.model, data.schema, train.batch_size));
  load_run(o, a, StepKind::eval, batch);
  Evaluation e = evaluate_rows(*o.bench, StepKind::eval, columns_of(data), rows, batch, train.seed, Keep::prediction);
  SplitRows truth = truth_of_rows(data, *o.model, rows);
  nlohmann::ordered_json json = {{"part", part}, {"rows", rows.size()}};
  std::string text = fmt::format("{} rows of {}\n", format_count(static_cast<long long>(rows.size())), part);
  if (std::isfinite(e.loss)) json[part + "_loss"] = e.loss, text += fmt::format("  {:<12}{}\n", "loss", number4(e.loss));
  for (const auto& [name, value] : measure(e, truth.truths, train))
    json[part + "_" + name] = value, text += fmt::format("  {:<12}{}\n", name, number4(value));
  for (const Truth& t : truth.truths)
    if (!t.labels.empty()) text += class_reports(predictions_of(e, t, train.threshold), t, data.schema, bind_reports(o.spec));
  std::cout << (a.flag("json") ? json.dump() + "\n" : text);
  return kDone;
}

}  // namespace mlc
