// What `mlc predict` writes: the outputs of a model for all rows.
#pragma once
#include "compiler/base/schema.h"
#include "compiler/model/model.h"
#include "runtime/train/evaluate.h"

#include <iosfwd>
#include <string>
#include <vector>

namespace mlc {

class Predictions {
public:
  /// All must outlive this. threshold: the least probability of the positive class that predicts it.
  Predictions(const Evaluation& evaluation, const Model& model, const Schema& schema, double threshold)
      : evaluation_(evaluation), model_(model), schema_(schema), threshold_(threshold) {}

  /// A line per row: the class and probabilities, the value, or the raw output. With several outputs the columns of each start
  /// with its name. Throws RuntimeError for an output whose rows are no lines.
  void write_csv(std::ostream& out) const;
  /// Every output by its name, `probability` or `value`, and `class`; behind "name." where the output is not called `output`.
  void write_tensors(const std::string& path) const;
  /// The only output, raw. Throws RuntimeError where there are several.
  void write_npy(const std::string& path) const;

private:
  const std::vector<std::string>& classes_of(const ModelOutput& output) const;
  std::vector<int32_t> class_indices(const ModelOutput& output, const OutputTable& probability) const;
  Shape rows_of(const OutputTable& table) const;

  const Evaluation& evaluation_;
  const Model& model_;
  const Schema& schema_;
  double threshold_;
};

}  // namespace mlc
