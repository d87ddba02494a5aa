#include "runtime/data/split.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

namespace mlc {
namespace {

std::array<int64_t, 3> share(int64_t n, const std::array<double, 3>& fractions) {
  std::array<int64_t, 3> out{};
  std::array<double, 3> rest{};
  double total = 0;
  for (size_t i = 0; i < 3; ++i) {
    double exact = fractions[i] * static_cast<double>(n);
    out[i] = static_cast<int64_t>(std::floor(exact + 1e-9));
    rest[i] = exact - static_cast<double>(out[i]);
    total += exact;
  }
  for (auto left = static_cast<int64_t>(std::llround(total)) - std::accumulate(out.begin(), out.end(), int64_t{0}); left > 0; --left) {
    size_t best = static_cast<size_t>(std::max_element(rest.begin(), rest.end()) - rest.begin());
    ++out[best];
    rest[best] = -1;
  }
  return out;
}

// The rows in the order in which they are dealt.
std::vector<int32_t> drawn(const std::vector<int32_t>& rows, const SplitSettings& s, uint64_t seed) {
  std::vector<int32_t> order = rows;
  if (s.sequential) return order;
  auto stream = static_cast<uint32_t>(hash_bytes("split"));
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return philox_word(seed, stream, 0, 0, static_cast<uint32_t>(a)) < philox_word(seed, stream, 0, 0, static_cast<uint32_t>(b));
  });
  return order;
}

// Rows with the same code, in the order given; by the code's value, or by their first row.
using Bins = std::vector<std::vector<int32_t>>;
Bins by_code(const std::vector<int32_t>& order, const std::vector<int32_t>& codes) {
  std::map<int32_t, std::vector<int32_t>> bins;
  for (int32_t r : order) bins[codes.empty() ? 0 : codes[static_cast<size_t>(r)]].push_back(r);
  Bins out;
  for (auto& [code, members] : bins) out.push_back(std::move(members));
  return out;
}
Bins by_first_row(const std::vector<int32_t>& order, const std::vector<int32_t>& codes) {
  std::map<int32_t, size_t> place;
  Bins out;
  for (int32_t r : order) {
    auto [it, fresh] = place.try_emplace(codes[static_cast<size_t>(r)], out.size());
    if (fresh) out.emplace_back();
    out[it->second].push_back(r);
  }
  return out;
}
void largest_first(Bins& bins) {
  std::stable_sort(bins.begin(), bins.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

using Dealt = std::array<std::vector<int32_t>, 3>;

Dealt deal_groups(const std::vector<int32_t>& order, const SplitKeys& keys, const std::array<double, 3>& fractions, bool sequential) {
  Bins groups = by_first_row(order, keys.groups);
  if (!sequential) largest_first(groups);
  auto n = static_cast<double>(order.size());
  // A fourth part holds what no fraction asks for.
  std::array<double, 4> wanted{}, ends{};
  for (size_t p = 0; p < 3; ++p) wanted[p] = fractions[p] * n;
  wanted[3] = std::max(0.0, n - wanted[0] - wanted[1] - wanted[2]);
  std::partial_sum(wanted.begin(), wanted.end(), ends.begin());
  Dealt parts;
  double begin = 0;
  for (const std::vector<int32_t>& group : groups) {
    auto size = static_cast<double>(group.size());
    size_t part = 0;
    if (sequential)
      while (part < 3 && begin + size / 2 >= ends[part]) ++part;
    else part = static_cast<size_t>(std::max_element(wanted.begin(), wanted.end()) - wanted.begin());
    begin += size;
    wanted[part] -= size;
    if (part < 3) parts[part].insert(parts[part].end(), group.begin(), group.end());
  }
  return parts;
}

// Puts rows that were dealt bin by bin back into the drawn order.
void restore_order(std::vector<int32_t>& rows, const std::vector<int32_t>& order) {
  std::map<int32_t, size_t> place;
  for (size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  std::sort(rows.begin(), rows.end(), [&](int32_t a, int32_t b) { return place[a] < place[b]; });
}

void check_sum(const SplitSettings& s) {
  double sum = s.train + s.val + s.test;
  // What binary fractions add beyond the ninth digit is nobody's.
  if (sum > 1 + 1e-9)
    throw SpecError(s.loc, "the fractions of the split sum to " + format_number(std::round(sum * 1e9) / 1e9) + ", more than 1");
}

}  // namespace

std::array<int64_t, 3> split_counts(int64_t n, const SplitSettings& s) {
  check_sum(s);
  return share(n, {s.train, s.val, s.test});
}

Parts split_rows(const std::vector<int32_t>& rows, const SplitKeys& keys, const SplitSettings& s, uint64_t seed) {
  std::array<double, 3> fractions{s.train, s.val, s.test};
  check_sum(s);
  std::vector<int32_t> order = drawn(rows, s, seed);
  Dealt parts;
  if (!keys.groups.empty()) {
    parts = deal_groups(order, keys, fractions, s.sequential);
  } else {
    // How many of each part: the whole decides, so that rounding per stratum does not add up.
    for (const std::vector<int32_t>& members : by_code(order, keys.strata)) {
      std::array<int64_t, 3> count = share(static_cast<int64_t>(members.size()), fractions);
      size_t at = 0;
      for (size_t p = 0; p < 3; ++p)
        for (int64_t i = 0; i < count[p] && at < members.size(); ++i) parts[p].push_back(members[at++]);
    }
  }
  static const char* kNames[] = {"train", "val", "test"};
  for (size_t p = 0; p < 3; ++p) {
    if (fractions[p] > 0 && parts[p].empty())
      throw SpecError(s.loc, std::string("the part '") + kNames[p] + "' of the split " +
                                 (keys.groups.empty() ? "rounds to 0 of " + std::to_string(rows.size()) + " rows"
                                                      : "gets none of the " + std::to_string(by_code(rows, keys.groups).size()) +
                                                            " groups of '" + s.group.text + "'"));
    restore_order(parts[p], order);
  }
  return {parts[0], parts[1], parts[2]};
}

Parts fold_rows(const std::vector<int32_t>& rows, const SplitKeys& keys, const SplitSettings& s, uint64_t seed) {
  std::vector<int32_t> order = drawn(rows, s, seed);
  auto folds = static_cast<size_t>(s.folds);
  size_t units = keys.groups.empty() ? rows.size() : by_code(rows, keys.groups).size();
  if (folds > units)
    throw SpecError(s.folds_loc, "'k_fold: " + std::to_string(folds) + "' needs as many " +
                                     (keys.groups.empty() ? "training rows" : "groups of '" + s.group.text + "'") + "; there are " +
                                     std::to_string(units));
  Bins parts(folds);
  if (!keys.groups.empty()) {
    Bins groups = by_first_row(order, keys.groups);
    largest_first(groups);
    for (const std::vector<int32_t>& group : groups) {
      auto least = std::min_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
      least->insert(least->end(), group.begin(), group.end());
    }
  } else {
    // Dealing goes on from one stratum to the next: sizes differ by one at most, in each stratum and in all.
    size_t next = 0;
    for (const std::vector<int32_t>& members : by_code(order, keys.strata)) {
      size_t least = members.size() / folds, more = members.size() % folds, at = 0;
      for (size_t f = 0; f < folds; ++f) {
        size_t fold = (next + f) % folds, count = least + (f < more);
        for (size_t i = 0; i < count; ++i) parts[fold].push_back(s.sequential ? members[at++] : members[i * folds + f]);
      }
      next = (next + more) % folds;
    }
  }
  Parts out;
  for (size_t f = 0; f < folds; ++f) {
    std::vector<int32_t>& to = f + 1 == static_cast<size_t>(s.fold) ? out.val : out.train;
    to.insert(to.end(), parts[f].begin(), parts[f].end());
  }
  restore_order(out.train, order);
  restore_order(out.val, order);
  return out;
}

std::vector<int32_t> oversampled(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels) {
  std::map<int32_t, std::vector<int32_t>> classes;
  size_t most = 0;
  for (int32_t r : rows)
    most = std::max(most, (classes[labels[static_cast<size_t>(r)]].push_back(r), classes[labels[static_cast<size_t>(r)]].size()));
  std::vector<int32_t> out = rows;
  for (const auto& [label, members] : classes)
    for (size_t i = members.size(); i < most; ++i) out.push_back(members[i % members.size()]);
  return out;
}

}  // namespace mlc
