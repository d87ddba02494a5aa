// The order in which rows are trained on, cut into calls.
#pragma once
#include <cstdint>
#include <vector>

namespace mlc {

/// Several steps of one batch size, over rows that follow each other in the epoch's order.
struct BatchCall {
  int64_t batch = 0;
  int steps = 0;
  const int32_t* rows = nullptr;  ///< batch * steps row numbers
};

/// Walks a split epoch by epoch. No batch crosses the border of two epochs; the last, smaller batch of an epoch is a
/// call of its own, or dropped. With `shuffle` the order of an epoch is a function of (seed, epoch) alone.
class BatchWalk {
public:
  /// Throws RuntimeError when there is no batch at all (no rows, or drop_last with fewer rows than a batch).
  BatchWalk(std::vector<int32_t> rows, int64_t batch, bool shuffle, bool drop_last, uint64_t seed);

  int64_t steps_per_epoch() const { return full_ + (tail_ > 0 ? 1 : 0); }
  int64_t rows_per_epoch() const { return full_ * batch_ + tail_; }
  /// Sizes of the last batch of an epoch and of all others; 0 where there is none.
  int64_t tail() const { return tail_; }
  int64_t full_batch() const { return full_ > 0 ? batch_ : 0; }

  /// Goes to step `step` of epoch `epoch` (both from 0).
  void seek(int64_t epoch, int64_t step);
  int64_t epoch() const { return epoch_; }
  int64_t step_in_epoch() const { return step_; }
  bool epoch_done() const { return step_ == steps_per_epoch(); }
  /// The next call of at most `limit` steps (at least 1); requires that the epoch is not done. Valid until seek().
  BatchCall next(int64_t limit) const;
  void advance(int64_t steps) { step_ += steps; }

private:
  std::vector<int32_t> rows_, order_;
  int64_t batch_, full_, tail_;
  bool shuffle_;
  uint64_t seed_;
  int64_t epoch_ = -1, step_ = 0;
};

/// Shuffles in place (Fisher and Yates) by Philox words of (seed, epoch).
void shuffle_rows(std::vector<int32_t>& rows, uint64_t seed, int64_t epoch);

}  // namespace mlc
