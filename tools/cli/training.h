// A spec made ready to train: what `run` and `profile` share.
#pragma once
#include "tools/cli/workbench.h"

#include "runtime/train/session.h"
#include "tools/cli/bind.h"
#include "tools/cli/progress.h"

#include <memory>
#include <string>
#include <vector>

namespace mlc {

/// What one training leaves to the next of a series: folds, trials.
struct Reuse {
  std::string data_key;                 ///< text of the sections that the data depend on
  Dataset data;
  std::vector<std::unique_ptr<Workbench>> benches;   ///< with the programs of former trainings, the latest last
  bool tuned = false;                   ///< contractions were measured: the next trainings take what was found
  bool warned = false;                  ///< warnings were printed: those of the next trainings would be the same
};

class Training {
public:
  /// `values` are put into the spec behind the command line's.
  explicit Training(const Arguments& arguments, std::vector<Assignment> values = {})
      : arguments_(arguments), path_(arguments.text("SPEC")), values_(std::move(values)), diagnostics_(sources_) {}

  /// Reads the spec and the data, and checks one against the other; false when faults were printed.
  bool read(Reuse* reuse = nullptr);
  /// Compiles and fills the state; false when faults were printed.
  bool make_ready(Reuse* reuse = nullptr);
  bool prepare() { return read() && make_ready(); }
  /// Hands on what the next training may use. This one is over.
  void leave(Reuse& reuse);
  const Node& spec() const { return spec_; }
  const TrainSettings& settings() const { return settings_; }
  /// How many trainings data.split.k_fold asks for; 0: a single one (no k_fold, or `fold` names one).
  int64_t folds() const { return folds_; }
  Diagnostics& diagnostics() { return diagnostics_; }
  bool validates() const { return !data_.val.empty(); }

protected:
  /// Whether contractions are measured first (--tune).
  bool tunes() const;
  /// Which layer gave the first value that is not finite; empty: none was found.
  std::string not_finite_text(const TrainJob::Failure& failure);
  /// The job without observer and stop flag. Valid as long as this.
  TrainJob make_job();

  const Arguments& arguments_;
  std::string path_;
  std::vector<Assignment> values_;
  Sources sources_;
  Diagnostics diagnostics_;
  Node spec_;
  TrainSettings settings_;
  Dataset data_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Workbench> bench_;
  std::vector<std::string> notes_;
  int64_t folds_ = 0;
  double data_seconds_ = 0;             ///< that reading the data took
  Waiting waiting_{shows_progress()};   ///< begins nothing under --quiet

private:
  void wait(const std::string& what) { arguments_.flag("quiet") ? waiting_.end() : waiting_.begin(what); }

  void tune_contractions();
  std::string data_key() const;
  void read_data(const DataSettings& settings, Reuse* reuse);
  void check_lengths();
  void check_indices();
  Loc loss_place() const;
  /// Weights that the spec names lie in its folder's tree.
  void check_weight_files();
};

}  // namespace mlc
