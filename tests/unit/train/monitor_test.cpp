// Early stopping and the best checkpoints, on sequences of values.
#include "runtime/train/monitor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mlc {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Monitors::Outcome give(Monitors& monitors, double value) {
  return monitors.update({.train_loss = 0, .val_loss = value, .val = nullptr}, 1);
}

std::vector<int64_t> ranks(int64_t keep, const std::vector<double>& values) {
  TrainSettings settings;
  settings.checkpoint.monitor = "val_loss";
  settings.checkpoint.keep = keep;
  Monitors monitors(settings, true);
  std::vector<int64_t> out;
  for (double v : values) out.push_back(give(monitors, v).rank);
  return out;
}

TEST(Checkpoints, AreRankedAmongThoseKept) {
  EXPECT_EQ(ranks(1, {3, 2, 4, 2, 1}), (std::vector<int64_t>{1, 1, 0, 0, 1}));
  EXPECT_EQ(ranks(3, {3, 2, 4, 5, 2.5, 1, 2}), (std::vector<int64_t>{1, 1, 3, 0, 2, 1, 3}));
  EXPECT_EQ(ranks(2, {kNaN, 3, kNaN, 4}), (std::vector<int64_t>{0, 1, 0, 2}));
}

// The number of the validation that ends the training, from 1; 0: none does.
int ends_at(int64_t patience, double min_delta, const std::vector<double>& values) {
  TrainSettings settings;
  settings.early_stopping = EarlyStopping{"val_loss", patience, min_delta, false};
  Monitors monitors(settings, true);
  for (size_t i = 0; i < values.size(); ++i) {
    give(monitors, values[i]);
    if (monitors.exhausted()) return static_cast<int>(i + 1);
  }
  return 0;
}

TEST(EarlyStopping, CountsAsKerasDoes) {
  EXPECT_EQ(ends_at(2, 0, {3, 2, 2.5, 2.1, 1}), 4);
  EXPECT_EQ(ends_at(2, 0, {3, 2, 2.5, 1.9, 2, 1}), 0);
  EXPECT_EQ(ends_at(0, 0, {3, 2, 2.5}), 3);
  EXPECT_EQ(ends_at(1, 0, {3, 2, 2.5}), 3);
  EXPECT_EQ(ends_at(2, 0.5, {3, 2.8, 2.6, 1}), 3);
  EXPECT_EQ(ends_at(2, 0, {3, kNaN, kNaN}), 3);
}

}  // namespace
}  // namespace mlc
