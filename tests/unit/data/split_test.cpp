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
