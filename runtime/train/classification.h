// The confusion matrix and what follows from it, and both as tables to read.
#pragma once
#include "runtime/train/metrics.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// counts[truth][prediction].
using Confusion = std::vector<std::vector<int64_t>>;
Confusion confusion_matrix(const Predicted& predicted);

/// Of one class; a quotient 0/0 is 0.
struct ClassScores {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;   ///< rows of this class
  int64_t predicted = 0;  ///< rows taken for it
};
std::vector<ClassScores> class_scores(const Confusion& confusion);

/// The matrix with names at its rows (truth) and columns (prediction); columns go by number when names do not fit into
/// `width` characters.
std::string print_confusion(const Confusion& confusion, const std::vector<std::string>& classes, int width);

/// Precision, recall, F1 and support per class, then accuracy, macro and weighted averages, as scikit-learn lays it
/// out.
std::string print_classification(const Confusion& confusion, const std::vector<std::string>& classes);

}  // namespace mlc
