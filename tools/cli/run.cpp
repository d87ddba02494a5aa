// mlc run: trains a spec.
#include "tools/cli/run.h"

#include "compiler/base/text.h"
#include "runtime/store/safetensors.h"
#include "runtime/store/schema_file.h"
#include "tools/cli/argument_defaults.h"
#include "tools/cli/bind.h"
#include "tools/cli/folds.h"
#include "tools/cli/measured.h"
#include "tools/cli/paths.h"
#include "tools/cli/step_times.h"
#include "tools/cli/table.h"
#include "tools/cli/tune.h"
#include "tools/cli/weights.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iostream>

namespace mlc {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kUnmeasured = 10, kMeasured = 1000;   // steps for -v: the first ones warm caches

const Clock::time_point kProcessStart = Clock::now();
std::atomic<bool> g_stop{false};

extern "C" void on_signal(int) {
  // The second one ends at once: checkpoints are written by rename, so the last one is whole.
  if (g_stop.exchange(true)) _exit(kInterrupted);
}

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

int64_t peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

}  // namespace

void Results::add(const std::string& part, double loss, const MetricValues& values) {
  std::map<std::string, double> row(values.begin(), values.end());
  if (std::isfinite(loss)) row["loss"] = loss, values_seen("loss");
  for (const auto& [name, value] : values) values_seen(name);
  rows_.emplace_back(part, std::move(row));
}

void Results::values_seen(const std::string& name) {
  if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) columns_.push_back(name);
}

std::string Results::text() const {
  if (rows_.empty()) return "";
  std::vector<std::vector<std::string>> table = {{""}};
  table[0].insert(table[0].end(), columns_.begin(), columns_.end());
  for (const auto& [part, values] : rows_) {
    std::vector<std::string>& row = table.emplace_back(1, part);
    for (const std::string& c : columns_) row.push_back(values.count(c) ? number4(values.at(c)) : "");
  }
  return format_table(table);
}

RunFolder make_run_folder(const Arguments& arguments, const Node& spec) {
  if (arguments.has("out")) return RunFolder::at(arguments.text("out"));
  const Node* name = spec.find("name");
  return RunFolder::create(name ? name->text : fs::path(arguments.text("SPEC")).stem().string());
}

std::string Run::kept_spec(bool with_sweep) {
  Node spec = with_absolute_paths(spec_, path_, data_.files);
  if (!with_sweep) std::erase_if(spec.entries, [](const auto& e) { return e.first.text == "sweep"; });
  return print_spec(with_argument_defaults(std::move(spec), sources_), false, sources_);
}

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGPIPE, SIG_DFL);
}
bool interrupted() { return g_stop; }

int Run::train(RunFolder& folder, const Look& look, nlohmann::ordered_json* summary) {
  folder.clear();
  folder.write("spec.yaml", kept_spec());
  StepCounts counts = count_steps(settings_, static_cast<int64_t>(data_.train.size()));
  int64_t epochs = (counts.total + counts.per_epoch - 1) / counts.per_epoch;
  bool quiet = look.quiet || look.part;
  Printer::Settings settings{.quiet = quiet,
                             .json = look.json && !look.part,
                             .terminal = shows_progress(),
                             .epochs = epochs,
                             .waiting = quiet ? nullptr : &waiting_,
                             .by_epoch = settings_.epochs > 0 || epochs > 1};
  Printer printer(settings, folder,
                  [&](const std::string& name, const TrainCounters& counters) { save(folder.checkpoint(name), counters); });
  print_header(printer, folder);
  if (!look.part && !data_.missing_dataset.empty()) printer.message(fallback_text());
  for (const std::string& note : notes_)
    if (!look.part) printer.message(note);
  if (tunes()) folder.write("tuning.json", print_tuning(bench_->tuning()));
  TrainJob job = make_job();
  job.observer = &printer;
  job.stop = &g_stop;
  // The time of a part is its own, of any other training that of the process.
  if (!look.part) begin_ = kProcessStart;
  double before = seconds_since(begin_);
  printer.wait("compiling");
  StepRecorder recorder(*bench_, std::min(static_cast<int64_t>(data_.train.size()), settings_.batch_size), kUnmeasured, kMeasured);
  bool verbose = arguments_.flag("verbose") && !quiet && bench_->device_name() == "cpu";
  if (verbose) job.programs = &recorder;
  TrainResult result = mlc::train(job);
  if (const Compiled* c = verbose ? recorder.compiled() : nullptr)
    layer_times_ = layer_times(*c, step_times(*c, recorder.spans()), model_->layers());
  return finish(printer, folder, result, before, summary);
}

std::string Run::fallback_text() const { return data_.missing_dataset + ". THE FALLBACK IS TRAINED INSTEAD: " + data_.source; }

void Run::save(const std::string& path, const TrainCounters& counters) {
  std::vector<TensorView> views;
  for (const StateTensor& t : model_->state()) {
    auto it = bench_->layout().offsets.find(t.tensor.path);
    if (it != bench_->layout().offsets.end() && t.thaw <= counters.step)
      views.push_back({t.tensor.path, t.tensor.type, bench_->state().data() + it->second});
  }
  std::vector<int64_t> at = {counters.epoch, counters.step_in_epoch, counters.step};
  views.push_back({"train.counters", {DType::i64, {3}}, at.data()});
  write_safetensors(path, views, {{"format", "mlc"}, {kSchemaEntry, schema_to_text(data_.schema)}});
}

void Run::print_header(Printer& printer, const RunFolder& folder) {
  const Compiled& c = bench_->compiled({StepKind::train, std::min(static_cast<int64_t>(data_.train.size()), settings_.batch_size)});
  int64_t weights = model_->parameter_count() * 4, optimizer = 0;
  for (const StateTensor& t : model_->state())
    if (t.tensor.role == Role::slot) optimizer += t.tensor.type.bytes();
  std::string rows = format_count(static_cast<long long>(data_.train.size())) + " train";
  if (!data_.val.empty()) rows += ", " + format_count(static_cast<long long>(data_.val.size())) + " val";
  if (!data_.test.empty()) rows += ", " + format_count(static_cast<long long>(data_.test.size())) + " test";
  const Node* name = spec_.find("name");
  std::string device = bench_->device_name() == "cpu" ? fmt::format("cpu, {} thread{}, {} lanes", bench_->threads(),
                                                                    bench_->threads() == 1 ? "" : "s", bench_->options().target.lanes)
                                                      : "reference (interpreter)";
  printer.header(
      {{"run", (name ? name->text + "  " : "") + path_},
       {"device", device},
       {"data", (data_.missing_dataset.empty() ? "" : "FALLBACK: ") + data_.source + "  " + rows},
       {"model", format_count(model_->parameter_count()) + " parameters, " + outputs_text(*model_)},
       {"memory", fmt::format("{}: weights {}, optimizer {}, step {}; {} kernels, compiled in {:.0f} ms",
                              format_bytes(static_cast<double>(c.state.bytes + c.plan.arena_bytes)),
                              format_bytes(static_cast<double>(weights)), format_bytes(static_cast<double>(optimizer)),
                              format_bytes(static_cast<double>(c.plan.arena_bytes)), c.program.kernels.size(), bench_->compile_ms())},
       {"folder", folder.path()}},
      {{"event", "header"},
       {"spec", path_},
       {"device", bench_->device_name()},
       {"threads", bench_->threads()},
       {"dataset", data_.source},
       {"train_rows", data_.train.size()},
       {"val_rows", data_.val.size()},
       {"test_rows", data_.test.size()},
       {"parameters", model_->parameter_count()},
       {"seed", settings_.seed},
       {"run", folder.path()}});
}

std::string Run::ending_text(const TrainResult& r, const RunFolder& folder) const {
  if (r.ending == Ending::not_finite) {
    const Node& train = *spec_.find("train");
    const Node* loss = train.find("loss");
    Loc loc = loss ? loss->loc : train.loc;
    std::string last = folder.checkpoint("last");
    return (r.cause.empty() ? "" : r.cause + "\n") +
           fmt::format("stopped: the loss ({}:{}) is not a number ({}) at step {}; a smaller learning rate or train.clip may help; {}\n",
                       sources_.name(loc.file), loc.line, r.train_loss, r.counters.step,
                       fs::exists(last) ? "the last good weights are in " + last
                                        : "no weights were kept: train.checkpoint.every keeps them");
  }
  if (r.ending == Ending::interrupted)
    return fmt::format("interrupted at epoch {} step {}; weights are in {}\n", r.counters.epoch + 1, r.counters.step,
                       folder.checkpoint("last"));
  std::string best = r.monitor.empty() || r.best_epoch == 0
                         ? ""
                         : fmt::format("best was epoch {} with {} {}", r.best_epoch, r.monitor, number4(r.best_value));
  if (r.ending != Ending::early_stopping) return best.empty() ? "" : best + "\n";
  const EarlyStopping& e = *settings_.early_stopping;
  int64_t patience = std::max<int64_t>(1, e.patience);
  return fmt::format("early stopping: {} has not improved for {} validation{}{}\n", e.monitor, patience, patience == 1 ? "" : "s",
                     best.empty() ? "" : "; " + best);
}

int Run::finish(Printer& printer, RunFolder& folder, const TrainResult& r, double before, nlohmann::ordered_json* summary) {
  nlohmann::ordered_json json = {{"event", "summary"},
                                 {"parameters", model_->parameter_count()},
                                 {"epochs", r.counters.epoch},
                                 {"steps", r.counters.step},
                                 {"train_loss", r.train_loss}};
  for (const auto& [name, value] : r.train) json["train_" + name] = value;
  bool stopped = r.ending == Ending::not_finite, whole = !stopped && r.ending != Ending::interrupted;
  std::string text = ending_text(r, folder);
  if (stopped) json["stopped"] = "the loss is not a number" + (r.cause.empty() ? "" : "; " + r.cause);
  Results results;
  if (!stopped) results.add("train", r.train_loss, r.train);
  if (r.val_loss) json["val_loss"] = *r.val_loss, results.add("val", *r.val_loss, r.val);
  for (const auto& [name, value] : r.val) json["val_" + name] = value;
  double eval_begin = seconds_since(begin_);
  std::string reports;
  if (whole && !data_.test.empty()) {
    // Where a best checkpoint is kept it is the run's result, as for predict and eval.
    std::string best = folder.checkpoint("best");
    bool kept = fs::exists(best);
    if (kept) load_checkpoint(best, *model_, *bench_), text += fmt::format("tested are the weights of epoch {}, the best\n", r.best_epoch);
    printer.wait("evaluating the test rows");
    reports = evaluate_test(json, results);
  }
  if (whole) reports += sample_text();
  text += results.text() + reports + layer_times_;
  double eval_seconds = r.eval_seconds + seconds_since(begin_) - eval_begin;
  double total = seconds_since(begin_);
  text += fmt::format("{} epochs, {} steps, {} a step; data {}, compile {:.0f} ms, train {}, eval {}, total {}\n", r.counters.epoch,
                      r.counters.step, duration_text(1e-3 * r.step_ms), duration_text(data_seconds_), bench_->compile_ms(),
                      duration_text(r.train_seconds), duration_text(eval_seconds), duration_text(total));
  if (!data_.missing_dataset.empty()) text += "FALLBACK: trained on " + data_.source + "; " + data_.missing_dataset + "\n";
  text += "run folder " + folder.path() + "\nnext: mlc predict " + folder.path() +
          (data_.schema.vocabulary.empty() ? " --input FILE\n" : " --prompt TEXT\n");
  json["step_ms"] = r.step_ms;
  json["compile_ms"] = bench_->compile_ms();
  json["load_ms"] = bench_->load_ms();
  json["programs"] = bench_->programs();
  json["first_step_ms"] = 1e3 * (before + r.first_step_seconds);
  json["train_seconds"] = r.train_seconds;
  json["seconds"] = total;
  json["peak_rss_mb"] = peak_rss_mb();
  json["device"] = bench_->device_name();
  json["threads"] = bench_->threads();
  json["dataset"] = data_.source;
  json["run"] = folder.path();
  printer.summary(text, json);
  *summary = json;
  return stopped ? kStopped : r.ending == Ending::interrupted ? kInterrupted : kDone;
}

std::string Run::sample_text() {
  std::optional<GenerateSettings> settings = bind_generate(spec_, data_.schema, diagnostics_);
  if (!settings) return "";
  std::string text = settings->prompt;
  try {
    generate(*bench_, data_.schema, *settings, [&](const std::string& token) { text += token; });
  } catch (const RuntimeError& e) {   // the training is done: its summary is worth more
    return std::string("no sample: ") + e.what() + "\n";
  }
  return "sample\n" + text + "\n";
}

std::string Run::evaluate_test(nlohmann::ordered_json& json, Results& results) {
  SplitRows test = truth_of_rows(data_, *model_, data_.test);
  int64_t batch = evaluation_batch({static_cast<int64_t>(test.rows.size())}, evaluation_cap(*model_, data_.schema, settings_.batch_size));
  double begin = seconds_since(begin_), compiled = bench_->compile_ms();
  Evaluation e = evaluate_rows(*bench_, StepKind::eval, columns_of(data_), test.rows, batch, settings_.seed, Keep::prediction);
  json["test_rows"] = test.rows.size();
  json["test_seconds"] = seconds_since(begin_) - begin - (bench_->compile_ms() - compiled) / 1e3;
  if (std::isfinite(e.loss)) json["test_loss"] = e.loss;
  MetricValues values = measure(e, test.truths, settings_);
  for (const auto& [name, value] : values) json["test_" + name] = value;
  results.add("test", e.loss, values);
  std::string text;
  for (const Truth& truth : test.truths)
    if (!truth.labels.empty())
      text += class_reports(predictions_of(e, truth, settings_.threshold), truth, data_.schema, bind_reports(spec_));
  return text;
}

int train_spec(Run& first, const Arguments& arguments, const std::vector<Assignment>& values, RunFolder& folder, const Look& look,
               Reuse& reuse, nlohmann::ordered_json* summary) {
  if (first.folds() > 0) return train_folds(first, arguments, values, folder, look, reuse, summary);
  if (!first.make_ready(&reuse)) return kFault;
  int status = first.train(folder, look, summary);
  first.leave(reuse);
  return status;
}

int run_command(int argc, char** argv) {
  Arguments a("run", "Trains a spec and writes a run folder: the effective spec, metrics.jsonl, checkpoints.", {"SPEC"});
  namespace po = boost::program_options;
  a.add()("out", po::value<std::string>()->value_name("DIR"), "run folder (default: runs/NAME/TIME)");
  a.add()("progress", po::value<std::string>()->default_value("auto")->value_name("WHEN"),
          "the line of progress: auto (on a terminal), always or never");
  a.add()("quiet,q", po::bool_switch(), "print only errors, warnings and the run folder");
  a.add()("verbose,v", po::bool_switch(), "also print where the time of a step goes, by layer");
  a.add()("json", po::bool_switch(), "one JSON object a line on standard output");
  a.add()("tune", po::bool_switch(),
          "first measure how contractions are best tiled here; kept for later runs on this machine, results keep their bits");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  Run run(a);
  Reuse reuse;
  if (!run.read(&reuse)) return kFault;
  catch_interrupts();
  RunFolder folder = make_run_folder(a, run.spec());
  nlohmann::ordered_json summary;
  int status = train_spec(run, a, {}, folder, {a.flag("quiet"), a.flag("json"), false}, reuse, &summary);
  if (a.flag("quiet") && !a.flag("json") && status != kFault) std::cout << folder.path() << "\n";
  if (status == kStopped && a.flag("quiet"))
    std::cerr << "mlc: error: step " << summary["steps"] << ": " << summary["stopped"].get<std::string>() << "\n";
  return status;
}

}  // namespace mlc
