#include "compiler/spec/names.h"

#include "compiler/base/text.h"
#include "compiler/spec/spec.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace mlc {
namespace {

// Words of other frameworks, and of habit; one word may mean several things, of which the place picks one.
const std::multimap<std::string_view, std::string_view>& synonyms() {
  static const std::multimap<std::string_view, std::string_view> table = {
#define SYNONYM(word, name) {word, name},
#include "compiler/spec/synonyms.def"
#undef SYNONYM
  };
  return table;
}

// "BatchNorm2d" -> "batch_norm2d", "batch-norm" -> "batch_norm".
std::string snake_case(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    auto upper = [&](size_t at) { return at < name.size() && std::isupper(static_cast<unsigned char>(name[at])) != 0; };
    bool word = upper(i) && i > 0 && name[i - 1] != '_' &&
                (!upper(i - 1) || (i + 1 < name.size() && std::islower(static_cast<unsigned char>(name[i + 1]))));
    if (word) out += '_';
    out += name[i] == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return out;
}

}  // namespace

bool same_meaning(const std::string& name, const std::string& candidate) {
  std::string snake = snake_case(name), letters = replace_all(snake, "_", "");
  if (replace_all(candidate, "_", "") == letters) return true;
  for (std::string_view word : {std::string_view(name), std::string_view(snake), std::string_view(letters)}) {
    auto [begin, end] = synonyms().equal_range(word);
    if (std::any_of(begin, end, [&](const auto& row) { return row.second == candidate; })) return true;
  }
  return false;
}

int64_t open_parentheses(const std::string& text) {
  return std::count(text.begin(), text.end(), '(') - std::count(text.begin(), text.end(), ')');
}

std::string suggest(const std::string& name, const std::vector<std::string>& candidates) {
  auto [begin, end] = synonyms().equal_range(name);
  if (std::any_of(begin, end, [](const auto& row) { return row.second.empty(); })) return "";
  // Its own letters before what other words stand for.
  std::string letters = replace_all(snake_case(name), "_", "");
  for (const std::string& c : candidates)
    if (replace_all(c, "_", "") == letters) return c;
  for (const std::string& c : candidates)
    if (same_meaning(name, c)) return c;
  std::string near = nearest(snake_case(name), candidates);
  // nn.ReLU, tf.keras.layers.Dense: the module says nothing here.
  size_t dot = name.rfind('.');
  return near.empty() && dot != std::string::npos ? suggest(name.substr(dot + 1), candidates) : near;
}

std::string needless(const std::string& argument) {
  static const std::set<std::string_view> sizes = {
      "in",        "in_channels", "in_features", "in_planes", "num_features", "num_channels", "n_in",   "in_dim",   "normalized_shape",
      "embed_dim", "d_model",     "input_shape", "in_size",   "num_inputs",   "input_size",   "n_embd", "input_dim"};
  static const std::set<std::string_view> memory = {"inplace", "device", "dtype", "data_format", "memory_format"};
  if (sizes.count(argument)) return "the size of the input is known; leave it out";
  return memory.count(argument) ? "where and how values lie is mlc's business; leave it out" : "";
}

Diagnostic unknown_name(Loc loc, const std::string& what, const std::string& name, const std::vector<std::string>& candidates) {
  if (what == "key" && open_parentheses(name) < 0)
    return {.loc = loc, .text = "'" + name + "' looks like the end of a formula: within {} and [] a formula with commas is quoted"};
  bool few = !candidates.empty() && candidates.size() <= 16;
  return misnamed(loc, "unknown " + what + " '" + name + "'", suggest(name, candidates),
                  few ? "; known here: " + join(candidates, ", ") : "");
}

}  // namespace mlc
