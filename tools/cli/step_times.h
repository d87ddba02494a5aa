// Where the time of training steps goes: what `profile` and `run -v` share.
#pragma once
#include "compiler/compile.h"
#include "tools/cli/workbench.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// Passes programs on and keeps the spans of the first training program with a full batch: of its steps `skip` to
/// `skip + most`, counted from 0.
class StepRecorder : public ProgramSource {
public:
  StepRecorder(Workbench& bench, int64_t batch, int64_t skip, int64_t most);
  ~StepRecorder() override;
  StepProgram get(const ProgramKey& key) override;
  /// By thread; steps count from 0.
  const std::vector<std::vector<LaunchTimes::Span>>& spans() const { return spans_; }
  /// The program that was recorded; null: there was no step.
  const Compiled* compiled();

private:
  class Recorded;

  Workbench& bench_;
  int64_t batch_, skip_, most_, steps_ = 0;
  std::optional<ProgramKey> key_;
  std::unique_ptr<Recorded> recorded_;
  std::vector<std::vector<LaunchTimes::Span>> spans_;
};

/// Microseconds of one step, means over the recorded ones. A launch takes the mean of its threads' times; what the step takes
/// beyond the launches is waiting and the host's work.
struct StepTimes {
  std::vector<double> launch, least;   ///< by launch; the shortest span
  double steps = 0, step = 0, busy = 0;
};
StepTimes step_times(const Compiled& compiled, const std::vector<std::vector<LaunchTimes::Span>>& spans);

enum class TimePart : uint8_t { data, forward, backward, update };
TimePart time_part(const Graph& graph, const Op& op);

/// Shares a kernel's time out to its ops by their estimated work.
void share_out(const Graph& graph, const Group& group, double us, const std::function<void(const Op& op, double us)>& give);

/// Time by layer as a table; what belongs to no layer goes by the first name of its path (loss, the update).
std::string layer_times(const Compiled& compiled, const StepTimes& times, const std::vector<LayerRow>& layers);

}  // namespace mlc
