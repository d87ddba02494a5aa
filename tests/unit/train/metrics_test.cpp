// Metrics against numbers worked out by hand.
#include "compiler/base/diagnostics.h"
#include "runtime/train/batches.h"
#include "runtime/train/classification.h"
#include "runtime/train/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mlc {
namespace {

double of(const std::string& name, const Predicted& p, int64_t k = 5) { return metric({name, name, k}, p); }

// Truth 1 1 0 0 1, scores .9 .4 .6 .1 .6: at one half two true, one false positive, one missed.
Predicted binary() { return {.outputs = 1, .scores = {0.9f, 0.4f, 0.6f, 0.1f, 0.6f}, .labels = {1, 1, 0, 0, 1}, .targets = {}}; }

TEST(Metrics, OfTwoClasses) {
  EXPECT_DOUBLE_EQ(of("accuracy", binary()), 0.6);
  EXPECT_DOUBLE_EQ(of("precision", binary()), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of("recall", binary()), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of("f1", binary()), 2.0 / 3);
  // Pairs of a positive and a negative: .9 wins twice, .4 once, .6 once and ties once: 4.5 of 6.
  EXPECT_DOUBLE_EQ(of("roc_auc", binary()), 0.75);
}

TEST(Metrics, OfThreeClasses) {
  Predicted p{.outputs = 3, .scores = {.5f, .3f, .2f, .1f, .2f, .7f, .4f, .5f, .1f, .2f, .3f, .5f}, .labels = {0, 2, 0, 1}, .targets = {}};
  EXPECT_DOUBLE_EQ(of("accuracy", p), 0.5);
  EXPECT_DOUBLE_EQ(of("top_k", p, 2), 1.0);
  EXPECT_EQ(confusion_matrix(p), (Confusion{{1, 1, 0}, {0, 0, 1}, {0, 0, 1}}));
  EXPECT_NEAR(of("precision", p), (1.0 + 0 + 0.5) / 3, 1e-12);
}

TEST(Metrics, PerplexityIsTheInverseMeanProbability) {
  // Geometric mean of 1/2 and 1/8: 1/4.
  Predicted p{.outputs = 3, .scores = {.5f, .25f, .25f, .125f, .375f, .5f}, .labels = {0, 0}, .targets = {}};
  EXPECT_DOUBLE_EQ(of("perplexity", p), 4);
  EXPECT_DOUBLE_EQ(of("perplexity", {.outputs = 1, .scores = {.25f, .25f}, .labels = {1, 0}, .targets = {}}),
                   std::exp(-(std::log(0.25) + std::log(0.75)) / 2));
  // A probability that f32 cannot hold is no infinite loss.
  EXPECT_NEAR(std::log2(of("perplexity", {.outputs = 2, .scores = {0, 1}, .labels = {0}, .targets = {}})), 126, 1e-9);
  EXPECT_FALSE(rises("val_perplexity"));
}

TEST(Metrics, ClassesLieOnTheLastAxis) {
  Predicted p{.outputs = 2, .scores = {.1f, .2f, .3f, .4f, .5f, .6f}, .labels = {0, 1}, .targets = {}};
  EXPECT_THROW(of("accuracy", p), RuntimeError);
}

TEST(Metrics, OfValues) {
  Predicted p{.outputs = 1, .scores = {1, 2, 4}, .labels = {}, .targets = {1, 3, 5}};
  EXPECT_DOUBLE_EQ(of("mae", p), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of("rmse", p), std::sqrt(2.0 / 3));
  EXPECT_DOUBLE_EQ(of("r2", p), 1 - 2.0 / 8);
  EXPECT_NEAR(of("mape", p), (1.0 / 3 + 1.0 / 5) / 3, 1e-12);
}

TEST(Batches, WalkEachRowOnceAndEndWithTheRest) {
  std::vector<int32_t> rows(10);
  std::iota(rows.begin(), rows.end(), 0);
  BatchWalk walk(rows, 4, true, false, 3);
  EXPECT_EQ(walk.steps_per_epoch(), 3);
  walk.seek(0, 0);
  std::vector<int32_t> seen;
  while (!walk.epoch_done()) {
    BatchCall call = walk.next(2);
    EXPECT_TRUE(call.batch == 4 || call.batch == 2);
    seen.insert(seen.end(), call.rows, call.rows + call.batch * call.steps);
    walk.advance(call.steps);
  }
  EXPECT_NE(seen, rows);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, rows);
  EXPECT_EQ(BatchWalk(rows, 4, true, true, 3).steps_per_epoch(), 2);
}

}  // namespace
}  // namespace mlc
