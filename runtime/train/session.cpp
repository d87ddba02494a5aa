#include "runtime/train/session.h"

#include "compiler/base/diagnostics.h"
#include "runtime/train/monitor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>
#include <utility>

namespace mlc {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Long enough that the work between calls does not matter, short enough for a smooth progress line and a quick stop.
constexpr double kCallSeconds = 0.1;
// A copy of so much state takes less than a hundredth of a call.
constexpr int64_t kMostKeptState = int64_t{8} << 20;
constexpr double kFirstCall = 16;

class Session {
public:
  explicit Session(const TrainJob& job)
      : job_(job), settings_(job.settings), counts_(count_steps(settings_, static_cast<int64_t>(job.train.rows.size()))),
        walk_(job.train.rows, settings_.batch_size, settings_.shuffle, settings_.drop_last, settings_.seed),
        monitors_(settings_, !job.val.rows.empty()) {
    schedules_.emplace_back(job.base_lr, job.schedule, counts_.per_epoch, counts_.total);
    for (const TrainJob::OwnSchedule& own : job.own_schedules)
      schedules_.emplace_back(own.base_lr, own.phases, counts_.per_epoch, counts_.total);
  }

  TrainResult run();

private:
  void prepare();
  void resume(const TrainCounters& from);
  bool call();
  bool run_batches(const BatchCall& call, bool gather, int64_t rows);
  std::string cause(const StepProgram& step, const ProgramKey& key, Feed feed, int failed);
  int64_t call_limit() const;
  void add_losses(const Program& program, const std::vector<float>& results, int64_t batch, int steps);
  void mean_losses();
  uint32_t active_updates(int64_t step) const;
  int phase(int64_t step) const;
  int64_t batches_done() const { return walk_.epoch() * walk_.steps_per_epoch() + walk_.step_in_epoch(); }
  // Of the running epoch: steps that are done, or begun.
  int64_t step_in_epoch() const { return (walk_.step_in_epoch() + settings_.accumulate - 1) / settings_.accumulate; }
  bool validation_due() const;
  void validate();
  void watch();
  void fill_report(double time);
  void end_epoch();
  std::optional<Ending> ending() const;
  TrainCounters counters() const;
  bool stopped() const { return job_.stop && job_.stop->load(std::memory_order_relaxed); }

  const TrainJob& job_;
  const TrainSettings& settings_;
  StepCounts counts_;
  BatchWalk walk_;
  std::vector<RateSchedule> schedules_;  // the run's, then those of the updates that have one
  Monitors monitors_;
  std::unique_ptr<HostScalars> scalars_;
  int64_t eval_batch_ = 0, step_ = 0, validated_at_ = -1;
  double gather_seconds_ = 0;  // of the running step's batches before its last
  double begin_ = 0, epoch_begin_ = 0, step_seconds_ = 0, rate_ = 0;
  std::map<std::string, std::pair<double, double>> losses_;  // of the running epoch: sums over rows, and the rows
  EpochReport epoch_;
  struct {
    bool set = false;
    std::optional<double> val_loss;
    MetricValues val;
  } result_values_;  // of the weights that the run ends with, where they are not the last
  std::vector<std::pair<double, int64_t>> durations_;  // seconds per step of each call, and its steps
  std::vector<char> kept_;  // the state as the running call began
  TrainResult result_;
};

void Session::prepare() {
  int64_t batch = walk_.full_batch() ? walk_.full_batch() : walk_.tail();
  StepProgram first = job_.programs->get({StepKind::train, batch});
  scalars_ = std::make_unique<HostScalars>(*first.program, settings_.seed);
  eval_batch_ = evaluation_batch({static_cast<int64_t>(job_.val.rows.size())}, job_.evaluation_cap);
}

void Session::resume(const TrainCounters& from) {
  walk_.seek(from.epoch, from.step_in_epoch);
  step_ = from.step;
  scalars_->restore(from.host_state, from.step);
  auto state = from.schedule_state.begin();
  for (RateSchedule& schedule : schedules_) {
    auto end = state + std::min<std::ptrdiff_t>(std::ssize(schedule.states()), from.schedule_state.end() - state);
    schedule.restore({state, end}, from.step);
    state = end;
  }
}

TrainCounters Session::counters() const {
  bool done = walk_.epoch_done();
  std::vector<double> schedule_state;
  for (const RateSchedule& schedule : schedules_)
    for (double state : schedule.states()) schedule_state.push_back(state);
  return {walk_.epoch() + (done ? 1 : 0), done ? 0 : walk_.step_in_epoch(), step_, scalars_->states(), schedule_state};
}

int64_t Session::call_limit() const {
  if (step_seconds_ == 0) return 1;  // the first step says how long one takes
  int64_t limit = static_cast<int64_t>(std::clamp(kCallSeconds / step_seconds_, 1.0, 1e5));
  uint32_t active = active_updates(step_);
  for (int64_t n = 1; !job_.every.empty() && n < limit; ++n)
    if (active_updates(step_ + n) != active) limit = n;
  for (int64_t thaw : job_.thaws)
    if (thaw > step_) limit = std::min(limit, thaw - step_);
  if (settings_.steps > 0) limit = std::min(limit, settings_.steps - step_);
  const Every& validate = settings_.validate;
  if (!validate.epochs && !job_.val.rows.empty()) limit = std::min(limit, validate.count - step_ % validate.count);
  const std::optional<Every>& save = settings_.checkpoint.every;
  if (save && !save->epochs) limit = std::min(limit, save->count - step_ % save->count);
  return limit;
}

// One call of steps; false when training must end now (result_.ending says why).
bool Session::call() {
  if (settings_.accumulate == 1) {
    BatchCall next = walk_.next(call_limit());
    return run_batches(next, false, next.batch);
  }
  // One step of several batches: all but the last gather. The tail of an epoch is the last batch of its step.
  int64_t left = walk_.steps_per_epoch() - walk_.step_in_epoch(), batches = std::min(settings_.accumulate, left);
  bool tail = walk_.tail() > 0 && batches == left;
  int64_t rows = batches * walk_.full_batch();
  if (tail) rows += walk_.tail() - walk_.full_batch();
  if (batches > 1 && !run_batches(walk_.next(batches - 1), true, rows)) return false;
  return run_batches(walk_.next(1), false, rows);
}

// `rows`: of all batches of the step.
bool Session::run_batches(const BatchCall& call, bool gather, int64_t rows) {
  ProgramKey key{StepKind::train, call.batch, active_updates(step_), phase(step_), gather};
  StepProgram step = job_.programs->get(key);
  const TensorSlot* loss = find_output(*step.program, "loss");
  ensure(loss, "a training program puts out its loss");
  std::vector<RateSchedule> schedules_before = schedules_;
  TrainCounters before = counters();
  std::vector<double> rates;  // of the first update
  auto rate = [&](int64_t k) {
    HostScalars::Rates now{.run = rates.emplace_back(schedules_[0].rate(k)), .own = {}};
    for (size_t i = 1; i < schedules_.size(); ++i) {
      now.own.emplace_back(job_.own_schedules[i - 1].update, schedules_[i].rate(k));
      if (now.own.back().first == 0) rates.back() = now.own.back().second;
    }
    return now;
  };
  HostScalars::Batches batches{batches_done(), rows};
  std::vector<float> table =
      gather ? scalars_->gather_table(*step.program, call.steps, batches.first) : scalars_->table(*step.program, call.steps, batches, rate);
  size_t per_step = static_cast<size_t>(step.program->results_per_step);
  std::vector<float> results(per_step * static_cast<size_t>(call.steps));
  Feed feed;
  feed.steps = call.steps;
  feed.columns = bind_columns(*step.program, job_.columns);
  feed.rows = call.rows;
  feed.scalars = table.data();
  feed.results = results.data();
  feed.stop = settings_.accumulate == 1 ? job_.stop : nullptr;  // a step of several batches is not left half done
  feed.loss_result = static_cast<int>(loss->offset);
  // Where one step takes longer than a call should, so may the copy; before the first, whose time is not known, it is made once.
  double longer = step_seconds_ > 0 ? std::max(1.0, step_seconds_ / kCallSeconds) : kFirstCall;
  if (job_.explain && static_cast<double>(job_.state->size()) <= longer * static_cast<double>(kMostKeptState))
    kept_.assign(job_.state->data(), job_.state->data() + job_.state->size());
  else std::vector<char>().swap(kept_);
  double start = now();
  int done = step.executable->run(feed);
  double seconds = now() - start + std::exchange(gather_seconds_, 0);
  if (done < call.steps && !gather) {  // the rates and host states of steps that did not run are taken back
    schedules_ = schedules_before;
    scalars_->restore(before.host_state, before.step);
    rates.clear();
    scalars_->table(*step.program, done, batches, rate);
  }
  walk_.advance(done);
  if (!gather) result_.train_seconds += seconds;
  int steps = gather ? 0 : done;
  step_ += steps;
  if (done == 0) {
    result_.ending = Ending::interrupted;
    return false;
  }
  if (gather) {
    gather_seconds_ = seconds;
  } else {
    if (durations_.empty()) result_.first_step_seconds = now() - begin_;
    step_seconds_ = seconds / done;
    durations_.emplace_back(step_seconds_, done);
    rate_ = rates.back();
  }
  double sum = 0;
  for (int s = 0; s < done; ++s) {
    double value = results[static_cast<size_t>(s) * per_step + static_cast<size_t>(loss->offset)];
    if (!std::isfinite(value)) {
      result_.ending = Ending::not_finite;
      result_.train_loss = value;
      result_.cause = cause(step, key, feed, s);
      if (!gather) step_ += s + 1 - done;
      return false;
    }
    sum += value;
  }
  add_losses(*step.program, results, call.batch, done);
  if (gather) return true;
  job_.observer->on_call({.epoch = walk_.epoch() + 1,
                          .epochs = settings_.epochs,
                          .step_in_epoch = step_in_epoch(),
                          .steps_per_epoch = counts_.per_epoch,
                          .step = step_,
                          .total_steps = counts_.total,
                          .rows = rows * done,
                          .steps = steps,
                          .loss = sum / done,
                          .seconds = seconds});
  return true;
}

// The steps of the call before the failed one are run again, to the same bits.
std::string Session::cause(const StepProgram& step, const ProgramKey& key, Feed feed, int failed) {
  if (kept_.empty()) return "";
  job_.state->write(0, kept_.data(), static_cast<int64_t>(kept_.size()));
  feed.steps = failed;
  feed.stop = nullptr;
  if (failed > 0) step.executable->run(feed);
  size_t per_step = kFirstScalar + step.program->scalars.size();
  return job_.explain({key, step.program, feed.rows + failed * key.batch, feed.scalars + static_cast<size_t>(failed) * per_step});
}

// An update's loss counts the steps that it is part of.
void Session::add_losses(const Program& program, const std::vector<float>& results, int64_t batch, int steps) {
  for (const TensorSlot& slot : program.tensors) {
    if (slot.role != Role::output || !slot.type.shape.empty()) continue;
    auto [sum, rows] = std::tie(losses_[slot.path].first, losses_[slot.path].second);
    for (int s = 0; s < steps; ++s)
      sum += double{results[static_cast<size_t>(s * program.results_per_step + slot.offset)]} * static_cast<double>(batch);
    rows += static_cast<double>(batch * steps);
  }
}

// The mean losses of the epoch so far. With several updates their sum is the loss.
void Session::mean_losses() {
  epoch_.train.clear();
  double total = 0;
  for (const auto& [path, sum] : losses_) {
    if (path == "loss") continue;
    epoch_.train.emplace_back(loss_key(path), sum.first / sum.second);
    total += epoch_.train.back().second;
  }
  const auto& [sum, rows] = losses_["loss"];
  epoch_.train_loss = epoch_.train.empty() ? sum / rows : total;
}

// The updates of a step, counted from 0.
uint32_t Session::active_updates(int64_t step) const {
  uint32_t active = kAllUpdates;
  for (size_t i = 0; i < job_.every.size(); ++i)
    if ((step + 1) % job_.every[i] != 0) active &= ~(uint32_t{1} << i);
  return active;
}

// Of a key: once everything has thawed it is that of all parameters, which the state is laid out by.
int Session::phase(int64_t step) const {
  auto thawed = std::count_if(job_.thaws.begin(), job_.thaws.end(), [&](int64_t thaw) { return thaw <= step; });
  return thawed == std::ssize(job_.thaws) ? ProgramKey{}.phase : static_cast<int>(thawed);
}

bool Session::validation_due() const {
  const Every& every = settings_.validate;
  if (job_.val.rows.empty() || validated_at_ == step_) return false;
  if (ending()) return true;
  if (!every.epochs) return step_ % every.count == 0;
  return walk_.epoch_done() && (walk_.epoch() + 1) % every.count == 0;
}

void Session::validate() {
  double start = now();
  job_.observer->on_validating();
  Evaluation evaluation = evaluate_rows(*job_.programs, StepKind::eval, job_.columns, job_.val.rows, eval_batch_, settings_.seed,
                                        settings_.metrics.empty() ? Keep::none : Keep::prediction, job_.stop);
  result_.eval_seconds += now() - start;
  if (stopped()) return;
  validated_at_ = step_;
  epoch_.val_loss = evaluation.loss;
  epoch_.val = measure(evaluation, job_.val.truths, settings_);
}

// What follows from new monitored values: the best so far, early stopping, rates that react.
void Session::watch() {
  mean_losses();
  Monitored values{epoch_.train_loss, epoch_.val_loss, &epoch_.val, &epoch_.train};
  Monitors::Outcome outcome = monitors_.update(values, walk_.epoch() + 1);
  epoch_.best = outcome.best;
  if (outcome.rank > 0) job_.observer->on_ranked(outcome.rank, outcome.kept, counters());
  if (outcome.keep) monitors_.keep(*job_.state);
  // The run's result is its best checkpoint where there is one, else what early stopping goes back to.
  if (outcome.rank == 1 || (outcome.keep && settings_.checkpoint.monitor.empty())) result_values_ = {true, epoch_.val_loss, epoch_.val};
  for (RateSchedule& schedule : schedules_)
    if (std::optional<double> value = monitored_value(values, schedule.monitor())) schedule.validated(*value, rises(schedule.monitor()));
}

void Session::fill_report(double time) {
  epoch_.epoch = walk_.epoch() + 1;
  epoch_.step = step_;
  mean_losses();
  epoch_.seconds = time - epoch_begin_;
  epoch_.elapsed = time - begin_;
  epoch_.lr = rate_;
}

void Session::end_epoch() {
  double time = now();
  fill_report(time);
  result_.train_loss = epoch_.train_loss;
  result_.train = epoch_.train;
  if (epoch_.val_loss) {
    result_.val_loss = epoch_.val_loss;
    result_.val = epoch_.val;
  }
  job_.observer->on_epoch(epoch_);
  const std::optional<Every>& save = settings_.checkpoint.every;
  if (save && save->epochs && epoch_.epoch % save->count == 0) job_.observer->on_last(counters());
  epoch_ = {};
  epoch_begin_ = time;
  losses_.clear();
}

std::optional<Ending> Session::ending() const {
  if (monitors_.exhausted()) return Ending::early_stopping;
  if (settings_.steps > 0 && step_ >= settings_.steps) return Ending::steps;
  if (settings_.epochs > 0 && walk_.epoch_done() && walk_.epoch() + 1 >= settings_.epochs) return Ending::epochs;
  if (settings_.seconds > 0 && now() - begin_ >= settings_.seconds) return Ending::time;
  return {};
}

TrainResult Session::run() {
  begin_ = epoch_begin_ = now();
  prepare();
  walk_.seek(0, 0);
  if (job_.resume) resume(*job_.resume);
  bool running = true;
  while (running) {
    if (stopped()) result_.ending = Ending::interrupted;
    running = !stopped() && call();
    if (!running) break;
    const std::optional<Every>& save = settings_.checkpoint.every;
    if (save && !save->epochs && step_ % save->count == 0) job_.observer->on_last(counters());
    bool due = validation_due();
    if (due) validate();
    if (stopped()) continue;
    if (due || (job_.val.rows.empty() && walk_.epoch_done())) watch();
    std::optional<Ending> end = ending();
    if (end || walk_.epoch_done()) {
      end_epoch();
    } else if (due) {
      fill_report(now());
      job_.observer->on_validation(epoch_);
    }
    if (end) result_.ending = *end;
    running = !end;
    if (running && walk_.epoch_done()) walk_.seek(walk_.epoch() + 1, 0);
  }
  result_.counters = counters();
  monitors_.finish(*job_.state, &result_);
  if (result_values_.set && result_.ending != Ending::interrupted && result_.ending != Ending::not_finite) {
    result_.val_loss = result_values_.val_loss;
    result_.val = result_values_.val;
  }
  if (result_.ending != Ending::not_finite) job_.observer->on_last(result_.counters);
  result_.step_ms = median_step_ms(durations_);
  return result_;
}

}  // namespace

StepCounts count_steps(const TrainSettings& settings, int64_t train_rows) {
  std::vector<int32_t> rows(static_cast<size_t>(train_rows));
  StepCounts counts{BatchWalk(std::move(rows), settings.batch_size, false, settings.drop_last, 0).steps_per_epoch(), 0};
  counts.per_epoch = (counts.per_epoch + settings.accumulate - 1) / settings.accumulate;
  counts.total = settings.epochs * counts.per_epoch;
  if (settings.steps > 0) counts.total = counts.total > 0 ? std::min(counts.total, settings.steps) : settings.steps;
  return counts;
}

TrainResult train(const TrainJob& job) { return Session(job).run(); }

}  // namespace mlc
