// mlc run --tune: measures how the contractions of a training step are best tiled on this machine. Results keep their bits.
#pragma once
#include "compiler/compile.h"
#include "compiler/model/model.h"
#include "runtime/train/session.h"

#include <string>

namespace mlc {

struct TuneReport {
  int contractions = 0;      ///< that the step has
  int changed = 0;           ///< whose measured tiling is not the cost model's
  double seconds = 0;
};

/// Runs the training step with each tiling worth measuring, on a state of its own and `rows` of the data, and adds the
/// fastest of each contraction to `tuning`. The cost model's choice stays where no other is faster by more than the noise.
TuneReport tune(const Model& model, int64_t batch, CompileOptions options, int threads, const Columns& columns,
                const std::vector<int32_t>& rows, Tuning& tuning);

/// Tilings measured before on this machine with these lanes and threads, as kept in the cache folder; none where there are none.
Tuning load_tuning(const Target& target, int threads);
/// Adds to them. A cache that cannot be written is no error.
void store_tuning(const Target& target, int threads, const Tuning& tuning);
/// One contraction a line, as JSON.
std::string print_tuning(const Tuning& tuning);

}  // namespace mlc
