// The updates of a training step, as written: `train.updates`, or the single one that `loss` and `optimizer` stand for.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

struct UpdateSetting {
  std::string name;                   ///< empty: the single update of a spec without `updates`
  Loc loc;                            ///< of the name
  const Node* node = nullptr;         ///< the map that holds loss, optimizer and clip
  const Node* params = nullptr;       ///< as written; null: whatever the loss reaches
  std::vector<std::string> match;     ///< globs of `params`
  const Node* forward = nullptr;      ///< names to formulas, in order; null: `output: model(x)`
  const Node* clip = nullptr;         ///< its own, else that of `train`
  const Node* schedule = nullptr;     ///< of its own rate, counted in steps of the run; null: the rate follows `train.schedule`
  const Node* accumulate = nullptr;   ///< of `train`; null: 1
  const Node* ema = nullptr;          ///< of `train`: {decay}; null: no averages
  int64_t every = 1;                  ///< runs at steps every, 2 * every, ... counted from 1

  /// Whether `params` names this path.
  bool trains(const std::string& path) const;
  /// "d.": what tells its losses, slots and random numbers from those of other updates; empty for the single one.
  std::string prefix() const { return name.empty() ? "" : name + "."; }
};

/// Reads `train`, in file order. Pointers are into the spec. Faults are reported; what is malformed is left out.
std::vector<UpdateSetting> read_updates(const Node& spec, Diagnostics& diagnostics);

}  // namespace mlc
