// Which rows of a dataset are training, validation and test: by counts, splits, folds, subsets, groups.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/split.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace mlc {

void Opener::assign(const std::vector<int64_t>& counts) {
  for (size_t i = 0; i < out_.pieces.size() && i < counts.size(); ++i) out_.pieces[i].second = counts[i];
  std::vector<int32_t>* lists[] = {&out_.train, &out_.val, &out_.test};
  int32_t row = 0;
  bool one = parts_[0] < 0;
  for (size_t p = 0; p < counts.size(); ++p)
    for (int64_t i = 0; i < counts[p]; ++i) lists[one ? 0 : parts_[p]]->push_back(row++);
  const SplitSettings& split = s_.split;
  find_keys();
  if (split.train + split.val + split.test > 0) {
    SplitSettings s = split;
    if (!one && (s.test > 0 && !out_.test.empty()))
      throw SpecError(s.loc, "the data come with test rows: 'split' can take 'val' from the training rows");
    if (s.train == 0) s.train = std::max(0.0, 1 - s.val - s.test);
    assign_split(s);
  }
  if (split.folds > 0) assign_fold();
  subsets();
  if (s_.oversample) {
    if (labels_.empty()) throw SpecError(s_.loc, "'balance: oversample' needs a class target");
    out_.train = oversampled(out_.train, labels_);
  }
}

void Opener::subsets() {
  cut(out_.train, s_.subset_train, "train");
  cut(out_.val, s_.subset_val, "val");
  cut(out_.test, s_.subset_test, "test");
}

void Opener::assign_split(const SplitSettings& s) {
  Parts parts = split_rows(out_.train, keys_, s, s_.seed);
  out_.train = std::move(parts.train);
  if (s.val > 0) out_.val = std::move(parts.val);
  if (s.test > 0) out_.test = std::move(parts.test);
}

void Opener::assign_fold() {
  if (!out_.val.empty())
    throw SpecError(s_.split.loc, "'k_fold' takes its validation rows from the training rows: the data have validation rows already");
  Parts parts = fold_rows(out_.train, keys_, s_.split, s_.seed);
  out_.train = std::move(parts.train);
  out_.val = std::move(parts.val);
}

void Opener::find_keys() {
  const SplitSettings& s = s_.split;
  if (!s.group.text.empty() && keys_.groups.empty()) keys_.groups = codes_of(s.group, "group");
  if (!s.stratify_by.text.empty() && keys_.strata.empty()) keys_.strata = codes_of(s.stratify_by, "stratify");
  bool grouped = !s.group.text.empty();
  if (grouped && s.stratify.value_or(false)) throw SpecError(s.loc, "'stratify' and 'group' exclude each other: groups stay whole");
  if (s.stratify.value_or(false) && s.stratify_by.text.empty() && labels_.empty())
    throw SpecError(s.loc, "'stratify' needs a class target, or names a column");
  if (keys_.strata.empty() && !grouped && s.stratify.value_or(true)) keys_.strata = labels_;
  if (s.stratify_by.text.empty()) return;
  size_t kinds = std::set<int32_t>(keys_.strata.begin(), keys_.strata.end()).size();
  if (kinds > 2 && kinds * 5 > keys_.strata.size())
    throw SpecError(s.stratify_by.loc, "'" + s.stratify_by.text + "' has " + std::to_string(kinds) + " different values in " +
                                           std::to_string(keys_.strata.size()) + " rows: 'stratify' needs a column of few");
}

std::vector<int32_t> Opener::codes_of(const Placed& name, const char* key) const {
  for (size_t i = 0; i < out_.schema.columns.size() && i < out_.columns.size(); ++i) {
    const ColumnSchema& c = out_.schema.columns[i];
    if (c.name != name.text) continue;
    if (is_float(c.type.dtype) || c.type.elements() != 1) break;
    std::map<int64_t, int32_t> known;
    std::vector<int32_t> out;
    for (int64_t r = 0; r < out_.rows; ++r) {
      int64_t value = 0;
      std::memcpy(&value, out_.columns[i].data() + r * c.type.bytes(), static_cast<size_t>(c.type.bytes()));
      out.push_back(known.try_emplace(value, static_cast<int32_t>(known.size())).first->second);
    }
    return out;
  }
  throw SpecError(name.loc, std::string("'") + key + "' names a column of a table, or a tensor with one integer for each row; '" +
                                name.text + "' is neither");
}

void Opener::cut(std::vector<int32_t>& rows, const std::optional<RowRange>& range, const char* part) {
  if (!range) return;
  if (range->begin < 0 || range->end > static_cast<int64_t>(rows.size()) || range->begin >= range->end)
    throw SpecError(range->loc, std::string("the part '") + part + "' has " + std::to_string(rows.size()) + " rows; " +
                                    std::to_string(range->begin) + ".." + std::to_string(range->end) + " is not within");
  rows = std::vector<int32_t>(rows.begin() + range->begin, rows.begin() + range->end);
}
}  // namespace mlc
