// From the spec tree to graphs: definitions are expanded, parameters named, shapes checked, one training step or one
// evaluation built for an exact batch. The model is elaborated once; graphs are built from it on demand.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/base/initializer.h"
#include "compiler/base/schema.h"
#include "compiler/graph/gradient_check.h"
#include "compiler/graph/ir.h"
#include "compiler/spec/node.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// A tensor of the model's state with how it starts. Slots of optimizers are listed too.
struct StateTensor {
  Tensor tensor;
  Initializer init;
  Loc loc;                    ///< the item that owns it
  int64_t thaw = 0;           ///< slots: the step before which there is nothing in them, since the parameter is frozen
};

/// One row of the layer table that `mlc check` prints: items of the model, top level first.
struct LayerRow {
  std::string path, op;       ///< "linear1", "linear(500)"
  Shape output;               ///< of one sample
  int64_t parameters = 0;     ///< of the item and all within
  int depth = 0;
  Loc loc;
};

/// What a raw output means (`predict` of the loss).
struct Prediction {
  enum class Kind : uint8_t { none, value, probability };
  Kind kind = Kind::none;
  int64_t classes = 0;        ///< probability: extent of the class axis, or 1: each number is the probability of the positive class
  int64_t axis = 0;           ///< the class axis of a sample, where there are several classes
};

/// One of several updates: it runs at steps every, 2 * every, ... counted from 1.
struct UpdateInfo {
  std::string name;
  int64_t every = 1;
};

/// Which training step a graph is.
struct StepForm {
  uint32_t active = ~uint32_t{0};   ///< bit i: update i is part of it
  int phase = INT32_MAX;            ///< how many of Model::thaws() lie behind it; more than there are: all
  bool gather = false;              ///< with `accumulate`: adds the gradients of its batch up, and no more. The other step uses them
};

/// A per-sample value that evaluation and prediction put out.
struct ModelOutput {
  std::string name;           ///< `output` where the model has one, else as the spec names it
  Shape shape;                ///< of one sample
  Prediction prediction;
  std::string target;         ///< the column that its loss compares it with; empty: none
  /// In front of what belongs to it: "" for `output`, else "name.".
  std::string prefix() const { return name == "output" ? "" : name + "."; }
};

/// A schedule as host formulas. Variables: lr (the base rate), k (the optimizer step from 0, within the phase),
/// total (steps of the phase less its warm-up), epoch (from 0), value, rising (of reduce_on_plateau), then the states.
struct SchedulePhase {
  HostFormula lr;
  std::vector<HostState> states;                       ///< updated at `each`, all from the old values
  enum class Each : uint8_t { step, epoch, validation } each = Each::step;
  std::string monitor;                                 ///< of `each: validation`
  double length = 0;                                   ///< 0: to the end
  bool length_in_epochs = false;
};

/// The schedule of one update: its rate is the variable kHostRates + update of the step's formulas.
struct OwnSchedule {
  int update = 0;                                      ///< its place among the updates
  double base_lr = 0;
  std::vector<SchedulePhase> phases;                   ///< empty: base_lr throughout
};

enum class GraphKind : uint8_t {
  train,      ///< per update: forward, loss, gradient, new weights. Outputs: "loss" f32[], with `updates` their sum and
              ///< "UPDATE.loss" for each
  eval,       ///< forward in eval mode. Outputs: Model::outputs() (raw) by name, losses as in train where targets are there,
              ///< PREFIX"probability" or PREFIX"value" of the outputs whose loss predicts
  predict,    ///< as eval without targets and loss
  gradient,   ///< as train, but no updates: what GradientGraph says
  fit         ///< the transforms up to the first that is still to be fitted. Output: "x"
};

/// A derivative that `mlc check --grad` compares with differences.
struct GradientTask {
  std::string name;                  ///< "loss", "d.loss" of an update, or the user's definition
  Loc loc;                           ///< of the loss, or of the call
  GradientProbe probe;
  struct At {
    std::string name;                ///< a parameter's path, an argument's name
    Loc loc;                         ///< of the item, or of the stated gradient (none: derived)
  };
  std::vector<At> at;                ///< per entry of probe.at
  bool of_loss = false;
};
/// The loss by each trained parameter, and each use of the user's own functions and blocks by its arguments. Functions that the
/// spec does not use are called on random samples of shape [3, 4]; `unchecked`: those that do not take them, with the reason.
struct GradientGraph {
  Graph graph;
  std::vector<GradientTask> tasks;
  std::vector<std::pair<std::string, std::string>> unchecked;
};

/// A rule of `init` that loads weights: tensors of `file` whose names, after `rename`, are these paths.
struct LoadRule {
  std::string file;           ///< as written
  std::vector<std::string> paths;   ///< parameters and running state that the rule is the first to match
  std::vector<std::pair<std::string, std::string>> rename;   ///< globs of names in the file -> paths
  Loc loc;
};

/// A column of the data whose elements index something of this extent: 0 <= element < extent.
struct IndexBound {
  std::string column;
  int64_t extent = 0;
  Loc loc;                    ///< of the item or formula
  std::optional<double> ignored;   ///< another index is read in place of this one: `ignore_index`
};

/// How long a run is, in optimizer steps.
struct RunLength {
  int64_t steps_per_epoch = 1;
  int64_t total_steps = 0;    ///< 0: until a time is over
  int64_t tail = 0;           ///< rows of a last, smaller batch; 0: there is none
};

class Model {
public:
  virtual ~Model() = default;
  virtual const std::vector<StateTensor>& state() const = 0;      ///< parameters, running, slots, in order of use
  virtual int64_t parameter_count() const = 0;
  virtual const std::vector<LayerRow>& layers() const = 0;
  virtual const std::vector<ModelOutput>& outputs() const = 0;    ///< in order of the spec; may be none
  virtual const std::vector<IndexBound>& index_bounds() const = 0;   ///< what the data must keep
  virtual std::vector<LoadRule> loads() const = 0;                ///< in file order
  virtual double base_lr() const = 0;                             ///< the optimizer's rate, variable `lr` of the schedule
  /// Phases in order; empty: the base rate throughout. `steps_per_epoch` and `total_steps` turn units into steps.
  virtual std::vector<SchedulePhase> schedule(int64_t steps_per_epoch, int64_t total_steps) const = 0;
  /// The schedules that updates have of their own.
  virtual std::vector<OwnSchedule> own_schedules(int64_t steps_per_epoch, int64_t total_steps) const = 0;
  /// Reports what only the length of the run tells: faults and warnings of the last, smaller batch and of the schedule.
  virtual void check_steps(const RunLength& run, Diagnostics& diagnostics) const = 0;
  /// Input tensors in order of Schema::columns, those that the graph reads only. Not simplified.
  virtual Graph build(GraphKind kind, int64_t batch, const StepForm& form = {}) const = 0;
  /// What "until 3 epochs" means. Known with the data; call before thaws() and build().
  virtual void set_length(int64_t steps_per_epoch, int64_t total_steps) = 0;
  /// Steps at which frozen parameters begin to be trained, rising: each begins a phase.
  virtual std::vector<int64_t> thaws() const = 0;
  virtual GradientGraph gradients(int64_t batch) const = 0;       ///< needs `train`
  virtual const std::vector<UpdateInfo>& updates() const = 0;     ///< of `train.updates`, in file order; none: a single one
  /// Transforms with fitted state, in order: paths of their tensors (`data.standardize1.mean`, ...). Fitting runs the
  /// graph GraphKind::fit over the training rows, sets these, and calls fitted(); until all are fitted.
  struct Fit {
    std::string mean_path, std_path;
    Loc loc;
  };
  virtual const Fit* next_fit() const = 0;                        ///< null: all are fitted
  virtual void fitted() = 0;
};

/// Elaborates a checked effective spec against the data's schema. Reports all faults; null when there were errors. A
/// schema without columns stands for data that are at fault themselves: then names and arguments are checked, no shapes.
/// Checks `expect`. What depends on the number of rows is checked by check_steps().
std::unique_ptr<Model> elaborate(const Node& spec, const Schema& schema, Sources& sources, Diagnostics& diagnostics);

/// Documentation of a standard entry (`mlc doc linear`): signature, arguments, shapes, formula. Empty: unknown name.
std::string document_entry(const std::string& name);
std::vector<std::string> entry_names();

}  // namespace mlc
