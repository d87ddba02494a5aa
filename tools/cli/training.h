// A spec made ready to train: what `run` and `profile` share.
#pragma once
#include "tools/cli/workbench.h"

#include "runtime/train/session.h"
#include "tools/cli/bind.h"

#include <memory>
#include <string>
#include <vector>

namespace mlc {

class Training {
protected:
  explicit Training(const Arguments& arguments) : arguments_(arguments), path_(arguments.text("SPEC")), diagnostics_(sources_) {}

  /// Reads the spec and the data, compiles, fills the state; false when faults were printed.
  bool prepare();
  /// The job without observer and stop flag. Valid as long as this.
  TrainJob make_job();

  const Arguments& arguments_;
  std::string path_;
  Sources sources_;
  Diagnostics diagnostics_;
  Node spec_;
  TrainSettings settings_;
  Dataset data_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Workbench> bench_;
  std::vector<std::string> notes_;

private:
  void check_steps();
  void check_monitor(const std::string& monitor, const Node& section);
};

}  // namespace mlc
