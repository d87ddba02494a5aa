// Cross validation: one training for each fold of data.split.k_fold.
#pragma once
#include "tools/cli/run.h"

namespace mlc {

/// Trains each fold into folder/foldN, writes an event `fold` for each and the summary, whose numbers are means over folds
/// (with `_std` beside those that are validated or tested). Ends at the first fold that does not end well.
int train_folds(Run& first, const Arguments& arguments, const std::vector<Assignment>& values, RunFolder& folder, const Look& look,
                Reuse& reuse, nlohmann::ordered_json* summary);

/// Whether a number of a summary is a loss or a metric, which tables of folds and trials show.
bool is_measured(const std::string& key, const nlohmann::ordered_json& value);

}  // namespace mlc
