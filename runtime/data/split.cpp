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

}  // namespace

std::array<int64_t, 3> split_counts(int64_t n, const SplitSettings& s) {
  double sum = s.train + s.val + s.test;
  if (sum > 1 + 1e-9) throw SpecError(s.loc, "the fractions of the split sum to " + format_number(sum) + ", more than 1");
  return share(n, {s.train, s.val, s.test});
}

Parts split_rows(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels, const SplitSettings& s, uint64_t seed) {
  std::array<double, 3> fractions{s.train, s.val, s.test};
  double sum = s.train + s.val + s.test;
  if (sum > 1 + 1e-9) throw SpecError(s.loc, "the fractions of the split sum to " + format_number(sum) + ", more than 1");
  std::vector<int32_t> order = rows;
  if (!s.sequential) {
    auto stream = static_cast<uint32_t>(hash_bytes("split"));
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return philox_word(seed, stream, 0, 0, static_cast<uint32_t>(a)) < philox_word(seed, stream, 0, 0, static_cast<uint32_t>(b));
    });
  }
  std::map<int32_t, std::vector<int32_t>> classes;
  for (int32_t r : order) classes[labels.empty() ? 0 : labels[static_cast<size_t>(r)]].push_back(r);
  // How many of each part: the whole decides, so that rounding per class does not add up.
  std::array<std::vector<int32_t>, 3> parts;
  for (const auto& [label, members] : classes) {
    std::array<int64_t, 3> count = share(static_cast<int64_t>(members.size()), fractions);
    size_t at = 0;
    for (size_t p = 0; p < 3; ++p)
      for (int64_t i = 0; i < count[p] && at < members.size(); ++i) parts[p].push_back(members[at++]);
  }
  static const char* kNames[] = {"train", "val", "test"};
  for (size_t p = 0; p < 3; ++p) {
    if (fractions[p] > 0 && parts[p].empty())
      throw SpecError(s.loc, std::string("the part '") + kNames[p] + "' of the split rounds to 0 of " + std::to_string(rows.size()) + " rows");
    // Classes were dealt one after the other: back to the drawn order.
    if (!s.sequential && !labels.empty()) {
      std::map<int32_t, size_t> place;
      for (size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
      std::sort(parts[p].begin(), parts[p].end(), [&](int32_t a, int32_t b) { return place[a] < place[b]; });
    } else if (s.sequential) {
      std::sort(parts[p].begin(), parts[p].end());
    }
  }
  return {parts[0], parts[1], parts[2]};
}

std::vector<int32_t> oversampled(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels) {
  std::map<int32_t, std::vector<int32_t>> classes;
  size_t most = 0;
  for (int32_t r : rows) most = std::max(most, (classes[labels[static_cast<size_t>(r)]].push_back(r), classes[labels[static_cast<size_t>(r)]].size()));
  std::vector<int32_t> out = rows;
  for (const auto& [label, members] : classes)
    for (size_t i = members.size(); i < most; ++i) out.push_back(members[i % members.size()]);
  return out;
}

}  // namespace mlc
