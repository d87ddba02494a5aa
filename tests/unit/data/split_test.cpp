// Splits by groups, and folds: who is dealt to whom.
#include "compiler/base/diagnostics.h"
#include "runtime/data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace mlc {
namespace {

std::vector<int32_t> first_rows(int32_t n) {
  std::vector<int32_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

std::set<int32_t> codes_in(const std::vector<int32_t>& rows, const std::vector<int32_t>& codes) {
  std::set<int32_t> out;
  for (int32_t r : rows) out.insert(codes[static_cast<size_t>(r)]);
  return out;
}

// Ten groups, of 1, 2, ..., 10 rows, interleaved.
std::vector<int32_t> ten_groups() {
  std::vector<int32_t> codes;
  for (int32_t round = 0; round < 10; ++round)
    for (int32_t g = round; g < 10; ++g) codes.push_back(g);
  return codes;
}

TEST(Split, GroupsStayWhole) {
  std::vector<int32_t> groups = ten_groups(), rows = first_rows(55);
  for (bool sequential : {false, true})
    for (uint64_t seed : {1, 2, 3}) {
      Parts p = split_rows(rows, {{}, groups}, {.train = 0.6, .val = 0.2, .test = 0.2, .sequential = sequential}, seed);
      EXPECT_EQ(p.train.size() + p.val.size() + p.test.size(), 55u);
      std::set<int32_t> a = codes_in(p.train, groups), b = codes_in(p.val, groups), c = codes_in(p.test, groups);
      EXPECT_EQ(a.size() + b.size() + c.size(), 10u) << "a group is in two parts";
      EXPECT_NEAR(static_cast<double>(p.train.size()), 33, 5);
    }
  EXPECT_THROW(split_rows(rows, {{}, std::vector<int32_t>(55, 0)}, {.train = 0.8, .test = 0.2}, 1), SpecError);
}

// The largest are dealt first, so the sizes of groups decide the sizes of parts, not the draw.
TEST(Split, GroupsAreDealtLargestFirst) {
  std::vector<int32_t> groups = ten_groups(), rows = first_rows(55);
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Parts p = split_rows(rows, {{}, groups}, {.train = 0.6, .val = 0.2, .test = 0.2}, seed);
    EXPECT_EQ(p.train.size(), 34u);
    EXPECT_EQ(p.val.size(), 11u);
    for (int64_t fold = 1; fold <= 3; ++fold) {
      size_t held = fold_rows(rows, {{}, groups}, {.folds = 3, .fold = fold}, seed).val.size();
      EXPECT_TRUE(held == 18 || held == 19) << held;
    }
  }
}

// In file order a group belongs to the part that its middle lies in: the eighth, rows 28 to 36, to the second.
TEST(Split, GroupsInFileOrderGoByTheirMiddle) {
  Parts p = split_rows(first_rows(55), {{}, ten_groups()}, {.train = 0.55, .val = 0.25, .test = 0.2, .sequential = true}, 1);
  EXPECT_EQ(p.train.size(), 28u);
  EXPECT_EQ(p.val.size(), 17u);
  EXPECT_EQ(p.test.size(), 10u);
}

TEST(Split, OversamplingRepeatsAllRowsOfAClassInTurn) {
  std::vector<int32_t> labels = {0, 1, 0, 0, 2, 1, 0, 0}, rows = {0, 1, 2, 3, 5, 6, 7};  // row 4 is in another part
  std::vector<int32_t> out = oversampled(rows, labels);
  ASSERT_EQ(out.size(), 10u);
  EXPECT_TRUE(std::equal(rows.begin(), rows.end(), out.begin())) << "rows go on in their order";
  std::map<int32_t, int> times;
  for (int32_t r : out) ++times[r];
  EXPECT_EQ(times, (std::map<int32_t, int>{{0, 1}, {1, 3}, {2, 1}, {3, 1}, {5, 2}, {6, 1}, {7, 1}}));
}

TEST(Split, FoldsShareStrataAndRows) {
  // 10 of class 0, 7 of class 1, 4 of class 2.
  std::vector<int32_t> labels(10, 0), rows = first_rows(21);
  labels.insert(labels.end(), 7, 1);
  labels.insert(labels.end(), 4, 2);
  for (bool sequential : {false, true}) {
    std::vector<int32_t> seen;
    for (int64_t fold = 1; fold <= 4; ++fold) {
      Parts p = fold_rows(rows, {labels, {}}, {.sequential = sequential, .folds = 4, .fold = fold}, 5);
      EXPECT_EQ(p.train.size() + p.val.size(), 21u);
      EXPECT_TRUE(p.val.size() == 5 || p.val.size() == 6) << p.val.size();
      std::map<int32_t, int> count;
      for (int32_t r : p.val) ++count[labels[static_cast<size_t>(r)]];
      EXPECT_TRUE(count[0] == 2 || count[0] == 3);
      EXPECT_TRUE(count[1] == 1 || count[1] == 2);
      EXPECT_EQ(count[2], 1);
      seen.insert(seen.end(), p.val.begin(), p.val.end());
      for (int32_t r : p.train) EXPECT_FALSE(std::count(p.val.begin(), p.val.end(), r));
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, rows);
  }
}

TEST(Split, FoldsInFileOrderAreRuns) {
  Parts p = fold_rows(first_rows(10), {}, {.sequential = true, .folds = 3, .fold = 2}, 0);
  EXPECT_EQ(p.val, (std::vector<int32_t>{4, 5, 6}));  // sklearn's KFold(3): 0..3, 4..6, 7..9
  EXPECT_EQ(p.train, (std::vector<int32_t>{0, 1, 2, 3, 7, 8, 9}));
}

TEST(Split, FoldsOfGroups) {
  std::vector<int32_t> groups = ten_groups(), rows = first_rows(55);
  std::set<int32_t> all;
  for (int64_t fold = 1; fold <= 3; ++fold) {
    Parts p = fold_rows(rows, {{}, groups}, {.folds = 3, .fold = fold}, 7);
    std::set<int32_t> held = codes_in(p.val, groups), trained = codes_in(p.train, groups);
    EXPECT_EQ(held.size() + trained.size(), 10u);
    EXPECT_NEAR(static_cast<double>(p.val.size()), 55.0 / 3, 2);
    all.insert(held.begin(), held.end());
  }
  EXPECT_EQ(all.size(), 10u);
  EXPECT_THROW(fold_rows(rows, {{}, groups}, {.folds = 11, .fold = 1}, 7), SpecError);
  EXPECT_THROW(fold_rows(first_rows(3), {}, {.folds = 4, .fold = 1}, 7), SpecError);
}

}  // namespace
}  // namespace mlc
