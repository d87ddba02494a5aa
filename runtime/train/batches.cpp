#include "runtime/train/batches.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"

#include <algorithm>
#include <utility>

namespace mlc {

void shuffle_rows(std::vector<int32_t>& rows, uint64_t seed, int64_t epoch) {
  constexpr uint32_t kStream = static_cast<uint32_t>(hash_bytes("shuffle"));
  PhiloxBlock words{};
  for (size_t i = rows.size(); i > 1; --i) {
    uint32_t draw = static_cast<uint32_t>(rows.size() - i);
    if (draw % 4 == 0) words = philox({draw / 4, static_cast<uint32_t>(epoch), 0, kStream}, seed);
    std::swap(rows[i - 1], rows[(uint64_t{words[draw % 4]} * i) >> 32]);
  }
}

BatchWalk::BatchWalk(std::vector<int32_t> rows, int64_t batch, bool shuffle, bool drop_last, uint64_t seed)
    : rows_(std::move(rows)), batch_(batch), shuffle_(shuffle), seed_(seed) {
  int64_t count = static_cast<int64_t>(rows_.size());
  ensure(batch > 0, "batch size is positive");
  if (count == 0) throw RuntimeError("the training split has no rows");
  full_ = count / batch;
  tail_ = drop_last ? 0 : count % batch;
  if (steps_per_epoch() == 0)
    throw RuntimeError("drop_last leaves nothing to train on: " + std::to_string(count) + " training rows are fewer than batch_size " +
                       std::to_string(batch));
}

void BatchWalk::seek(int64_t epoch, int64_t step) {
  step_ = step;
  if (epoch == epoch_) return;
  epoch_ = epoch;
  order_ = rows_;
  if (shuffle_) shuffle_rows(order_, seed_, epoch);
}

BatchCall BatchWalk::next(int64_t limit) const {
  ensure(epoch_ >= 0 && !epoch_done(), "a call lies within an epoch");
  const int32_t* rows = order_.data() + step_ * batch_;
  if (step_ == full_) return {tail_, 1, rows};
  return {batch_, static_cast<int>(std::clamp<int64_t>(limit, 1, full_ - step_)), rows};
}

}  // namespace mlc
