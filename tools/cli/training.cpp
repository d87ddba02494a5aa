#include "tools/cli/training.h"

#include "compiler/base/text.h"
#include "compiler/spec/spec.h"
#include "runtime/data/indices.h"
#include "runtime/data/text_fault.h"
#include "tools/cli/evaluation.h"
#include "tools/cli/labels.h"
#include "tools/cli/measured.h"
#include "tools/cli/tune.h"
#include "tools/cli/weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

namespace mlc {

namespace fs = std::filesystem;

namespace {

std::vector<RatePhase> rate_phases(const std::vector<SchedulePhase>& phases) {
  std::vector<RatePhase> out;
  for (const SchedulePhase& p : phases)
    out.push_back({p.lr, p.states, static_cast<RatePhase::Each>(p.each), p.monitor, p.length, p.length_in_epochs});
  return out;
}

}  // namespace

std::string Training::data_key() const {
  Node key = Node::make_map();
  for (const char* section : {"data", "seed", "vars"})
    if (const Node* n = spec_.find(section)) key.entries.emplace_back(Node::make_text(section), *n);
  return print_spec(key, false, sources_);
}

bool Training::read(Reuse* reuse) {
  spec_ = read_spec(path_, arguments_, sources_, diagnostics_, values_);
  if (spec_.is(Node::Kind::null)) return false;
  size_t before = diagnostics_.errors();
  DataSettings data = bind_data(spec_, path_, diagnostics_);
  if (arguments_.flag("allow-outside")) data.home.clear();
  bool readable = diagnostics_.errors() == before;
  settings_ = bind_train(spec_, diagnostics_);
  if (!data.split.fold_named) folds_ = data.split.folds;
  if (!spec_.find("train")) diagnostics_.report(missing_sections(spec_));
  try {
    if (readable) read_data(data, reuse);
  } catch (const SpecError& e) {
    diagnostics_.report(e.diagnostic);
  } catch (const TextFault& e) {
    diagnostics_.report(located(e, sources_));
  } catch (const RuntimeError&) {   // a fault within the data: those of the spec come with it
    elaborate(spec_, Schema{}, sources_, diagnostics_);
    waiting_.end();
    if (diagnostics_.errors()) report(diagnostics_, false);
    throw;
  }
  wait("building the model");
  model_ = elaborate(spec_, data_.schema, sources_, diagnostics_);
  if (!data_.schema.columns.empty()) check_evaluation(spec_, data_.schema, diagnostics_), bind_generate(spec_, data_.schema, diagnostics_);
  if (model_ && data_.rows > 0) check_indices();
  if (model_ && !diagnostics_.errors()) check_lengths();
  waiting_.end();
  if (reuse && std::exchange(reuse->warned, true) && !diagnostics_.errors()) return true;
  return !report(diagnostics_, arguments_.flag("werror"));
}

// With faults in the spec nothing will run: the schema is all that further checks need.
void Training::read_data(const DataSettings& settings, Reuse* reuse) {
  if (diagnostics_.errors()) {
    data_.schema = read_schema(settings);
    return;
  }
  bool same = reuse && !reuse->data_key.empty() && reuse->data_key == data_key();
  auto begin = std::chrono::steady_clock::now();
  wait("reading the data");
  data_ = same ? std::move(reuse->data) : open_dataset(settings);
  data_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (reuse) reuse->data_key.clear();
}

// What depends on the length of the training.
void Training::check_lengths() {
  try {
    check_run(spec_, *model_, settings_, data_.schema, diagnostics_);
  } catch (const SpecError& e) {
    diagnostics_.report(e.diagnostic);
  }
}

bool Training::make_ready(Reuse* reuse) {
  try {
    wait("compiling");
    WorkbenchOptions options = workbench_options(arguments_);
    options.tuned = true;
    bench_ = std::make_unique<Workbench>(spec_, options, *model_);
    if (reuse) bench_->take_over(reuse->benches);
    auto rows = static_cast<int64_t>(data_.train.size());
    StepCounts counts = count_steps(settings_, rows);
    model_->set_length(counts.per_epoch, counts.total);
    bench_->make_state(StepKind::train, std::min(rows, settings_.batch_size), settings_.seed);
    check_weight_files();
    load_weights(*model_, *bench_, fs::path(path_).parent_path().string(), notes_);
    begin_averages(*model_, *bench_);
    fit_transforms(*model_, *bench_, data_);
    if (tunes() && !(reuse && std::exchange(reuse->tuned, true))) tune_contractions();
    waiting_.end();
  } catch (const SpecError& e) {
    waiting_.end();
    diagnostics_.report(e.diagnostic);
    report(diagnostics_, false);
    return false;
  }
  return true;
}

bool Training::tunes() const { return arguments_.has("tune") && arguments_.flag("tune"); }

void Training::tune_contractions() {
  if (bench_->device_name() != "cpu") throw RuntimeError("--tune measures compiled code: device cpu, not " + bench_->device_name());
  int64_t batch = std::min(static_cast<int64_t>(data_.train.size()), settings_.batch_size);
  Tuning tuning;
  TuneReport report = tune(*model_, batch, bench_->options(), bench_->threads(), columns_of(data_), data_.train, tuning);
  if (!arguments_.flag("no-cache")) store_tuning(bench_->options().target, bench_->threads(), tuning);
  bench_->set_tuning(std::move(tuning));
  notes_.push_back(fmt::format("tuned {} contractions in {:.1f} s, {} changed", report.contractions, report.seconds, report.changed));
}

void Training::leave(Reuse& reuse) {
  reuse.data_key = data_key();
  reuse.data = std::move(data_);
  if (bench_) Workbench::put_back(std::move(bench_), reuse.benches);
}

// Programs do not look whether an index lies within its table.
void Training::check_indices() {
  if (std::optional<std::string> fault = unknown_label(data_, *model_)) return diagnostics_.error(loss_place(), *fault);
  for (const IndexBound& bound : model_->index_bounds())
    if (std::optional<std::string> fault = index_outside(data_, bound.column, bound.extent, bound.ignored))
      diagnostics_.error(bound.loc, *fault + "; the table has " + std::to_string(bound.extent) + " rows");
}

Loc Training::loss_place() const {
  const Node *train = spec_.find("train"), *loss = train->find("loss");
  return loss ? loss->loc : train->loc;
}

void Training::check_weight_files() {
  if (arguments_.flag("allow-outside")) return;
  fs::path home = fs::path(path_).parent_path();
  for (const LoadRule& rule : model_->loads())
    if (sources_.name(rule.loc.file) != "--set" && !inside_folder((home / rule.file).string(), home.string()))
      throw SpecError(rule.loc, "'" + rule.file + "' lies outside of the spec's folder; --allow-outside lets a spec load it");
}

TrainJob Training::make_job() {
  TrainJob job;
  job.settings = settings_;
  job.programs = bench_.get();
  job.state = &bench_->state();
  job.columns = columns_of(data_);
  job.train = SplitRows{data_.train, {}};
  job.val = truth_of_rows(data_, *model_, data_.val);
  job.evaluation_cap = evaluation_cap(*model_, data_.schema, settings_.batch_size);
  job.base_lr = model_->base_lr();
  job.thaws = model_->thaws();
  bool all = true;
  for (const UpdateInfo& update : model_->updates()) {
    job.every.push_back(update.every);
    all &= update.every == 1;
  }
  if (all) job.every.clear();
  StepCounts counts = count_steps(settings_, static_cast<int64_t>(data_.train.size()));
  job.schedule = rate_phases(model_->schedule(counts.per_epoch, counts.total));
  for (const OwnSchedule& own : model_->own_schedules(counts.per_epoch, counts.total))
    job.own_schedules.push_back({own.update, own.base_lr, rate_phases(own.phases)});
  job.explain = [this](const TrainJob::Failure& failure) { return not_finite_text(failure); };
  return job;
}

}  // namespace mlc
