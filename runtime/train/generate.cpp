#include "runtime/train/generate.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"
#include "runtime/data/tokens.h"
#include "runtime/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mlc {
namespace {

/// The model as a function of the tokens so far.
class NextToken {
public:
  NextToken(ProgramSource& source, const Schema& schema) : source_(source) {
    for (const ColumnSchema& c : schema.columns)
      if (!c.target) input_ = &c;
    if (schema.vocabulary.empty() || !input_ || input_->type.shape.size() != 1)
      throw RuntimeError("this run was not trained on a text: it generates none");
    vocabulary_ = schema.vocabulary.size();
    row_.resize(static_cast<size_t>(input_->type.shape[0]));
  }

  size_t window() const { return row_.size(); }

  /// Logits of the token behind `tokens`, of which the last window counts. Free places behind them hold `filler`.
  std::vector<float> logits(const std::vector<int32_t>& tokens, int32_t filler) {
    size_t n = std::min(tokens.size(), row_.size());
    std::fill(row_.begin(), row_.end(), filler);
    std::copy(tokens.end() - static_cast<std::ptrdiff_t>(n), tokens.end(), row_.begin());
    Evaluation e = evaluate_rows(source_, StepKind::predict, {{input_->name, row_.data()}}, {0}, 1, 0, Keep::all);
    Shape expected = {static_cast<int64_t>(row_.size()), static_cast<int64_t>(vocabulary_)};
    if (!e.outputs.count("output"))
      throw RuntimeError("to generate text, a model has one output, logits of shape " + format_shape(expected));
    const OutputTable& output = e.outputs.at("output");
    if (output.type.shape != expected)
      throw RuntimeError("the model's output is " + format_shape(output.type.shape) + "; to generate text it must be " +
                         format_shape(expected) + ", logits for each token's successor");
    auto begin = output.values.begin() + static_cast<std::ptrdiff_t>((n - 1) * vocabulary_);
    return {begin, begin + static_cast<std::ptrdiff_t>(vocabulary_)};
  }

private:
  ProgramSource& source_;
  const ColumnSchema* input_ = nullptr;
  size_t vocabulary_ = 0;
  std::vector<int32_t> row_;
};

int32_t draw(const std::vector<float>& logits, const GenerateSettings& s, uint32_t position) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  auto logit = [&](int32_t token) { return logits[static_cast<size_t>(token)]; };
  for (float l : logits)
    if (std::isnan(l)) throw RuntimeError("the model's output is not a number");
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logit(a) > logit(b); });
  if (s.temperature == 0) return order[0];
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < order.size()) order.resize(static_cast<size_t>(s.top_k));
  std::vector<double> upto;
  double sum = 0;
  for (int32_t token : order) upto.push_back(sum += std::exp((double{logit(token)} - double{logit(order[0])}) / s.temperature));
  constexpr auto kStream = static_cast<uint32_t>(hash_bytes("generate"));
  double at = philox_word(s.seed, kStream, position, 0, 0) * 0x1p-32 * sum;
  auto found = std::upper_bound(upto.begin(), upto.end(), at);
  return order[static_cast<size_t>(std::min<std::ptrdiff_t>(found - upto.begin(), static_cast<std::ptrdiff_t>(order.size()) - 1))];
}

}  // namespace

std::optional<std::string> prompt_fault(const Schema& schema, const std::string& prompt) {
  if (prompt.empty()) return "the prompt is empty: the model continues at least one token";
  Vocabulary vocabulary(schema);
  std::vector<int32_t> tokens;
  std::optional<EncodingFault> fault = vocabulary.encode(prompt, &tokens);
  if (!fault) return std::nullopt;
  std::string place = "the prompt's character " + std::to_string(utf8_length(std::string_view(prompt).substr(0, fault->at)) + 1);
  if (fault->length == 0) return place + " is not UTF-8";
  return place + ", " + show_token(std::string_view(prompt).substr(fault->at, fault->length)) + ", is not among the " +
         std::to_string(vocabulary.size()) + " characters of the training text";
}

void generate(ProgramSource& source, const Schema& schema, const GenerateSettings& settings,
              const std::function<void(const std::string&)>& emit) {
  NextToken model(source, schema);
  if (std::optional<std::string> fault = prompt_fault(schema, settings.prompt)) throw RuntimeError(*fault);
  Vocabulary vocabulary(schema);
  std::vector<int32_t> tokens;
  vocabulary.encode(settings.prompt, &tokens);
  bool short_prompt = tokens.size() < model.window() && vocabulary.size() > 1;
  if (short_prompt && model.logits(tokens, 0) != model.logits(tokens, 1))
    throw RuntimeError(
        "the model is not causal: what stands behind a token changes what is predicted for it; attention needs causal: true");
  for (int64_t i = 0; i < settings.length; ++i) {
    tokens.push_back(draw(model.logits(tokens, 0), settings, static_cast<uint32_t>(i)));
    emit(vocabulary.text(tokens.back()));
  }
}

}  // namespace mlc
