// From a spec to programs that run: what run, check, dump-ir, eval and predict share.
#pragma once
#include "compiler/compile.h"
#include "compiler/model/model.h"
#include "runtime/cpu/host.h"
#include "runtime/data/dataset.h"
#include "runtime/train/programs.h"
#include "runtime/train/session.h"
#include "tools/cli/cli.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// The device that a spec asks for: "cpu" or "reference"; `auto` is cpu where compiled code runs. Throws RuntimeError for
/// devices that are not there.
std::string choose_device(const Node& spec);

/// What a command line may force; the defaults are those of the machine.
struct WorkbenchOptions {
  int lanes = 0;                          ///< f32 lanes of vectors; 0: the CPU's
  std::vector<std::string> disabled;      ///< passes
  bool cache = true;
  bool tuned = false;                     ///< contractions are tiled as a run with --tune has measured on this machine
};
WorkbenchOptions workbench_options(const Arguments& arguments);
/// Of --disable-pass and --no-fusion. Throws UsageError for passes that are not there or cannot be left out.
std::vector<std::string> disabled_passes(const Arguments& arguments);

/// Compiles programs of one model on demand and runs them on one state.
class Workbench : public ProgramSource {
public:
  Workbench(const Node& spec, const WorkbenchOptions& options, const Model& model);
  ~Workbench() override;

  StepProgram get(const ProgramKey& key) override;
  /// The compiled program with all that was made on the way.
  const Compiled& compiled(const ProgramKey& key);

  /// Lets this training of a series take over what a former one compiled, on the same device: its programs run again where
  /// the graphs are the same but for formulas of the host (rates and what follows from them). The one whose first program
  /// is the same leaves `pool`, which must outlive this. Call before make_state().
  void take_over(std::vector<std::unique_ptr<Workbench>>& pool);
  /// This training is over: into the pool with its programs, from which the oldest go where there are many or their memory is great.
  static void put_back(std::unique_ptr<Workbench> bench, std::vector<std::unique_ptr<Workbench>>& pool);
  /// Lays the state out by this program, fills it with initial values; call before get(). Throws SpecError where state and
  /// step do not fit the memory of the machine.
  void make_state(StepKind kind, int64_t batch, uint64_t seed);
  SharedState& state() { return *state_; }
  const StateLayout& layout() const { return layout_; }
  const std::string& device_name() const { return device_; }
  int threads() const { return threads_; }
  double compile_ms() const { return compile_ms_; }
  /// Of these: machine code, made or from the cache. Loading the code generator itself is not part of it.
  double load_ms() const { return load_ms_; }
  size_t programs() const { return entries_.size(); }
  CompileOptions options() const { return options_; }
  /// Tilings that programs compiled from now on take; what was compiled is dropped. State and its layout stay.
  void set_tuning(Tuning tuning);
  const Tuning& tuning() const { return tuning_; }

private:
  struct Entry {
    std::string graph;                    // its text without the host's formulas
    Compiled compiled;
    std::unique_ptr<Executable> executable;
  };
  Entry& entry(const ProgramKey& key);
  Entry* taken_over(const ProgramKey& key, const Graph& graph, const std::string& text);
  bool fits(const Workbench& other) const;
  bool has(const std::string& text) const;
  void make_room();
  void check_memory(const Compiled& compiled, int64_t batch) const;

  const Model& model_;
  Loc batch_place_;                       // what to lower where memory does not suffice
  CompileOptions options_;
  Tuning tuning_;
  std::string device_;
  int threads_ = 1;
  std::unique_ptr<Device> cpu_;
  bool cache_ = true;
  StateLayout layout_;
  std::unique_ptr<SharedState> state_;
  std::vector<std::unique_ptr<Workbench>>* pool_ = nullptr;   // of a series
  std::unique_ptr<Workbench> former_;   // before entries_: executables run on its device and state
  std::map<ProgramKey, Entry> entries_;
  double compile_ms_ = 0, load_ms_ = 0;
};

}  // namespace mlc
