// Where a trainer gets its programs from. Programs are exact: one per kind, batch size and set of updates, made on first
// use.
#pragma once
#include "runtime/device.h"
#include "runtime/program.h"

#include <cstdint>
#include <map>
#include <string>

namespace mlc {

enum class StepKind : uint8_t { train, eval, predict };

/// All updates of a training step; else bit i stands for update i.
inline constexpr uint32_t kAllUpdates = ~uint32_t{0};

struct ProgramKey {
  StepKind kind = StepKind::train;
  int64_t batch = 0;
  uint32_t active = kAllUpdates;  ///< updates in the step
  int phase = INT32_MAX;         ///< how many groups of frozen parameters have thawed; more than there are: all
  bool gather = false;           ///< with `accumulate`: adds its gradients up, and no more
  auto operator<=>(const ProgramKey&) const = default;
};

struct StepProgram {
  const Program* program = nullptr;
  Executable* executable = nullptr;
};

class ProgramSource {
public:
  virtual ~ProgramSource() = default;
  /// Compiles on first use. What is returned stays valid as long as the source.
  virtual StepProgram get(const ProgramKey& key) = 0;
};

/// Resident columns by the names of a program's Role::input tensors; rows are contiguous, in the column's own type.
using Columns = std::map<std::string, const void*>;

/// The pointers for Feed::columns. Throws RuntimeError when a column that the program reads is not there.
std::vector<const void*> bind_columns(const Program& program, const Columns& columns);

/// The Role::output tensor of this name, or null.
const TensorSlot* find_output(const Program& program, const std::string& name);

}  // namespace mlc
