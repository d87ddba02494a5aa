// Made-up data: features from the generator, targets by a formula of some of them.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"

#include <algorithm>
#include <cmath>

namespace mlc {

constexpr int64_t kSyntheticTerms = 16;   // inputs that each target of synthetic data depends on

void Opener::synthetic() {
  std::vector<int64_t> counts;
  const SourceSettings* first = nullptr;
  for (auto [part, source] : parts()) {
    if (source->rows < 1) throw SpecError(source->loc, "a synthetic source needs 'rows'");
    if (!first) first = source;
    if (source->x != first->x || source->y != first->y || source->classes != first->classes)
      throw SpecError(source->loc, "synthetic parts must have the same x and y");
    parts_.push_back(part);
    counts.push_back(source->rows);
    out_.rows += source->rows;
  }
  double row_bytes = 4;
  for (int64_t extent : first->x) row_bytes *= static_cast<double>(extent);
  double bytes = row_bytes * static_cast<double>(out_.rows);
  if (bytes > static_cast<double>(machine_memory()) || out_.rows > INT32_MAX)
    throw SpecError(first->loc,
                    "the synthetic data would have " + format_count(out_.rows) + " rows and " + format_bytes(bytes) + "; " +
                        (out_.rows > INT32_MAX ? "2,147,483,647 rows are the most"
                                               : "there are " + format_bytes(static_cast<double>(machine_memory())) + " of memory"));
  out_.schema.dataset = out_.source = "synthetic";
  auto stream = [](const char* what) { return static_cast<uint32_t>(hash_bytes(std::string("synthetic:") + what)); };
  int64_t in = element_count(first->x), outputs = first->classes > 0 ? first->classes : element_count(first->y);
  ColumnSchema x;
  x.name = "x";
  x.type = {DType::f32, first->x};
  Bytes& xb = add_column(x, out_.rows);
  std::vector<int32_t> classes;
  std::vector<float> values;
  if (!schema_only_) {
    auto* to = reinterpret_cast<float*>(xb.writable());
    for (int64_t r = 0; r < out_.rows; ++r)
      for (int64_t i = 0; i < in; ++i)
        to[r * in + i] = static_cast<float>(philox_normal(s_.seed, stream("x"), 0, static_cast<uint32_t>(r), static_cast<uint32_t>(i)));
    // Targets follow a fixed random linear map of a few inputs each, so that there is something to learn.
    int64_t terms = std::min<int64_t>(in, kSyntheticTerms);
    std::vector<float> weights;
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t t = 0; t < terms; ++t)
        weights.push_back(static_cast<float>(philox_normal(s_.seed, stream("w"), 0, static_cast<uint32_t>(o), static_cast<uint32_t>(t)) /
                                             std::sqrt(static_cast<double>(terms))));
    for (int64_t r = 0; r < out_.rows; ++r) {
      const float *row = to + r * in, *weight = weights.data();
      double best = 0;
      int32_t which = 0;
      for (int64_t o = 0; o < outputs; ++o) {
        double sum = 0;
        for (int64_t t = 0; t < terms; ++t) sum += double{row[(o + t) % in]} * double{*weight++};
        if (o == 0 || sum > best) best = sum, which = static_cast<int32_t>(o);
        if (first->classes == 0) values.push_back(static_cast<float>(sum));
      }
      classes.push_back(which);
    }
  }
  if (first->classes > 0) {
    std::vector<std::string> names;
    for (int64_t i = 0; i < first->classes; ++i) names.push_back(std::to_string(i));
    labels_ = classes;
    add_values(target(names, true), classes, out_.rows);
  } else if (!first->y.empty()) {
    ColumnSchema y = target({}, false);
    y.type.shape = first->y;
    add_values(y, values, out_.rows);
  }
  assign(counts);
}
}  // namespace mlc
