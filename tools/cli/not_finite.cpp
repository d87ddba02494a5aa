// A loss that is not a number: which layer gave the first value that is not finite.
#include "compiler/graph/not_finite.h"
#include "compiler/step_input.h"
#include "tools/cli/measured.h"
#include "tools/cli/training.h"

#include <fmt/core.h>

#include <cmath>

namespace mlc {

std::string Training::not_finite_text(const TrainJob::Failure& failure) {
  wait("looking for the first value that is not finite");
  Graph graph = model_->build(GraphKind::train, failure.key.batch,
                              {.active = failure.key.active, .phase = failure.key.phase, .gather = failure.key.gather});
  StepInput<float> in;
  std::map<TensorId, Array<float>> state = read_state(graph, bench_->layout(), bench_->state());
  const Columns columns = columns_of(data_);
  for (size_t t = 0; t < graph.tensors.size(); ++t)
    if (const Tensor& tensor = graph.tensors[t]; tensor.role == Role::input) in.columns[static_cast<TensorId>(t)] = columns.at(tensor.path);
  in.state = &state;
  in.rows = failure.rows;
  read_step(failure.scalars, in);
  // The compiled program has lost the scalars that nothing reads.
  for (const auto& scalar : graph.scalars) {
    double value = 0;
    for (size_t s = 0; s < failure.program->scalars.size(); ++s)
      if (failure.program->scalars[s].name == scalar.name) value = failure.scalars[kFirstScalar + static_cast<int64_t>(s)];
    in.scalars.push_back(value);
  }
  std::optional<NotFinite> first = first_not_finite(graph, in);
  waiting_.end();
  if (!first) return "";
  const Op& op = graph.ops[first->op];
  const std::string& path = graph.scopes[static_cast<size_t>(op.scope)].path;
  bool leaf = op.code == OpCode::state || op.code == OpCode::input;
  std::string what = leaf ? "'" + graph.tensors[static_cast<size_t>(op.attr.tensor)].path + "' holds"
                          : fmt::format("'{}' ({}) gives", path, op_info(op.code).name);
  std::string place = op.loc ? fmt::format(" ({}:{})", sources_.name(op.loc.file), op.loc.line) : "";
  return fmt::format("the first value that is not finite: {} {}{}{}", what,
                     std::isnan(first->value) ? "nan"
                     : first->value > 0       ? "inf"
                                              : "-inf",
                     place,
                     op.code == OpCode::state   ? ": the step before made it so"
                     : op.code == OpCode::input ? ": the data hold it"
                                                : ", of finite operands");
}

}  // namespace mlc
