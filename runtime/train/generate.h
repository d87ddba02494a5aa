// Text from a model that predicts each next token.
#pragma once
#include "compiler/base/schema.h"
#include "runtime/train/programs.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace mlc {

struct GenerateSettings {
  std::string prompt;       ///< at least one token
  int64_t length = 500;     ///< tokens to add
  double temperature = 1;   ///< logits are divided by it; 0: always the likeliest token
  int64_t top_k = 0;        ///< draw among this many likeliest tokens; 0: among all
  uint64_t seed = 0;
};

/// Why a text cannot be continued: it is empty, or holds what is no token of these data. Nothing where it can.
std::optional<std::string> prompt_fault(const Schema& schema, const std::string& prompt);

/// Draws `length` tokens after the prompt, each from the model's logits for it (output [window, vocabulary]), and hands over
/// the text of each as it comes; the model sees the last `window` tokens. A function of weights and settings alone. Throws
/// RuntimeError: data that are no text, an output of another shape, a prompt with unknown characters, and a model that is
/// not causal (what stands behind a token changes what is predicted for it) where the prompt is shorter than the window.
void generate(ProgramSource& source, const Schema& schema, const GenerateSettings& settings,
              const std::function<void(const std::string&)>& emit);

}  // namespace mlc
