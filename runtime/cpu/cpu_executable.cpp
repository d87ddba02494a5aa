#include "runtime/cpu/cpu_executable.h"

#include "compiler/base/diagnostics.h"
#include "runtime/cpu/float_mode.h"

#include <chrono>
#include <cmath>

namespace mlc {

/// What the threads of one run() share; written by one thread between steps.
struct CpuExecutable::Call {
  const Feed& feed;
  int done = 0;
  bool more = true;
};

CpuExecutable::CpuExecutable(const Program& program, SharedState& state, std::unique_ptr<JitCode> code, std::shared_ptr<ThreadPool> pool)
    : code_(std::move(code)), pool_(std::move(pool)), arena_(program.arena_bytes), batch_(program.batch),
      scalar_stride_(kFirstScalar + static_cast<int64_t>(program.scalars.size())), results_per_step_(program.results_per_step) {
  ensure(program.state_bytes <= state.size(), "cpu: the state arena is smaller than the program's state");
  for (const TensorSlot& tensor : program.tensors) column_count_ += tensor.role == Role::input;
  for (const Launch& launch : program.launches) add_launch(program, launch, *code_, state);
  place_barriers(program);
}

void CpuExecutable::add_launch(const Program& program, const Launch& launch, JitCode& code, SharedState& state) {
  ensure(launch.kernel >= 0 && static_cast<size_t>(launch.kernel) < program.kernels.size(), "cpu: launch of no kernel");
  Step step;
  step.entry = code.find(program.kernels[static_cast<size_t>(launch.kernel)].name);
  step.first_arg = args_.size();
  step.tiles = launch.tiles;
  step.parallel = launch.parallel && launch.tiles > 1 && pool_->size() > 1;
  parallel_ |= step.parallel;
  for (const ArgPlace& place : launch.args) {
    char* fixed = nullptr;
    int64_t end = INT64_MAX;
    switch (place.space) {
    case Space::arena:
      fixed = arena_.data() + place.offset;
      end = program.arena_bytes;
      break;
    case Space::state:
      fixed = state.data() + place.offset;
      end = program.state_bytes;
      break;
    case Space::column:
      ensure(place.index >= 0 && static_cast<size_t>(place.index) < column_count_, "cpu: argument from no column");
      columns_.push_back({args_.size(), place});
      break;
    case Space::rows: moving_.push_back({args_.size(), place}); break;
    case Space::results:
      moving_.push_back({args_.size(), place});
      end = results_per_step_ * static_cast<int64_t>(sizeof(float));
      break;
    }
    ensure(place.offset >= 0 && place.offset < end, "cpu: argument outside of its memory");
    args_.push_back(fixed);
  }
  steps_.push_back(step);
}

// A barrier between two serial launches orders nothing when no parallel launch is under way: one thread runs both. It
// then waits for the last serial launch before a parallel one. The end of a step is a barrier in any case.
void CpuExecutable::place_barriers(const Program& program) {
  bool owed = false, under_way = false;
  for (size_t i = 0; i + 1 < steps_.size(); ++i) {
    owed |= program.launches[i].barrier_after;
    under_way |= steps_[i].parallel;
    if (!owed || (!under_way && !steps_[i + 1].parallel)) continue;
    steps_[i].barrier = true;
    owed = under_way = false;
  }
}

void CpuExecutable::bind_columns(const Feed& feed) {
  ensure(feed.columns.size() == column_count_, "cpu: a call needs one column per input");
  // Kernels take all buffers as char*; columns they only read.
  for (const Moving& m : columns_)
    args_[m.arg] = static_cast<char*>(const_cast<void*>(feed.columns[static_cast<size_t>(m.place.index)])) + m.place.offset;
}

void CpuExecutable::begin_step(Call& call) {
  const Feed& feed = call.feed;
  for (const Moving& m : moving_) {
    char* base = m.place.space == Space::rows ? reinterpret_cast<char*>(const_cast<int32_t*>(feed.rows + call.done * batch_))
                                              : reinterpret_cast<char*>(feed.results + call.done * results_per_step_);
    args_[m.arg] = base + m.place.offset;
  }
}

void CpuExecutable::finish_step(Call& call) {
  const Feed& feed = call.feed;
  bool finite = feed.loss_result < 0 || std::isfinite(feed.results[call.done * results_per_step_ + feed.loss_result]);
  ++call.done;
  bool stopped = feed.stop != nullptr && feed.stop->load(std::memory_order_relaxed);
  call.more = finite && !stopped && call.done < feed.steps;
  if (call.more) begin_step(call);
}

template <bool kTimed> void CpuExecutable::walk(Call& call, Barrier& barrier, int thread, int threads) {
  FlushDenormals mode;
  auto now = [] { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); };
  auto run = [&](const Step& step, char** buffers, const float* scalars, int64_t begin, int64_t end) {
    int64_t from = kTimed ? now() : 0;
    step.entry(buffers, scalars, begin, end);
    if (kTimed)
      call.feed.times->threads[static_cast<size_t>(thread)].push_back({call.done, static_cast<int>(&step - steps_.data()), from, now()});
  };
  do {
    const float* scalars = call.feed.scalars + call.done * scalar_stride_;
    for (const Step& step : steps_) {
      char** buffers = args_.data() + step.first_arg;
      if (step.parallel) {
        int64_t begin = step.tiles * thread / threads, end = step.tiles * (thread + 1) / threads;
        if (begin < end) run(step, buffers, scalars, begin, end);
      } else if (thread == 0) {
        run(step, buffers, scalars, 0, step.tiles);
      }
      if (step.barrier) barrier.arrive();
    }
    barrier.arrive([&] { finish_step(call); });
  } while (call.more);
}

int CpuExecutable::run(const Feed& feed) {
  if (feed.steps <= 0 || (feed.stop != nullptr && feed.stop->load(std::memory_order_relaxed))) return 0;
  ensure(feed.loss_result < results_per_step_, "cpu: the loss is outside of the results");
  Call call{feed};
  bind_columns(feed);
  begin_step(call);
  int threads = parallel_ ? pool_->size() : 1;
  Barrier barrier(threads);
  if (feed.times != nullptr) feed.times->threads.resize(static_cast<size_t>(pool_->size()));
  auto work = feed.times != nullptr ? &CpuExecutable::walk<true> : &CpuExecutable::walk<false>;
  if (threads == 1) (this->*work)(call, barrier, 0, 1);
  else pool_->run([&](int thread) { (this->*work)(call, barrier, thread, threads); });
  return call.done;
}

}  // namespace mlc
