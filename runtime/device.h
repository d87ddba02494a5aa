// The interface between a trainer and whatever runs compiled programs.
#pragma once
#include "runtime/program.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace mlc {

/// Parameters, optimizer slots and running state: one block, shared by the programs of a run (train, last smaller batch,
/// evaluation), which all use the same layout. 64-byte aligned, zeroed at first.
class SharedState {
public:
  explicit SharedState(int64_t bytes);
  ~SharedState();
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;
  char* data() const { return data_; }
  int64_t size() const { return size_; }
  void read(int64_t offset, void* to, int64_t bytes) const;
  void write(int64_t offset, const void* from, int64_t bytes);

private:
  char* data_ = nullptr;
  int64_t size_ = 0;
};

/// When each thread worked on each launch of a call, for profiles. Nothing is measured where a Feed has none.
struct LaunchTimes {
  struct Span {
    int step = 0, launch = 0;
    int64_t begin = 0, end = 0;       ///< nanoseconds of the steady clock
  };
  std::vector<std::vector<Span>> threads;
};

/// A call of several steps. Step s reads rows[s * batch .. (s + 1) * batch), scalars[s * stride ..] where the stride is
/// kFirstScalar + program.scalars.size(), and writes results[s * results_per_step ..].
struct Feed {
  int steps = 0;
  std::vector<const void*> columns;   ///< one per Role::input tensor of the program, in order; rows are contiguous
  const int32_t* rows = nullptr;
  const float* scalars = nullptr;
  float* results = nullptr;
  const std::atomic<bool>* stop = nullptr;  ///< looked at between steps; may be null
  int loss_result = -1;               ///< index in a step's results whose value ends the call when it is not finite
  LaunchTimes* times = nullptr;       ///< spans are appended; devices that cannot tell leave it empty
};

class Executable {
public:
  virtual ~Executable() = default;
  /// Runs up to feed.steps steps; returns the number done: fewer when stopped, or when a loss is not finite (that step
  /// is counted).
  virtual int run(const Feed& feed) = 0;
};

class Device {
public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;
  /// Compiles (or finds in the cache) and makes ready. `state` must outlive the executable and have at least
  /// program.state_bytes.
  virtual std::unique_ptr<Executable> load(const Program& program, SharedState& state) = 0;
};

}  // namespace mlc
