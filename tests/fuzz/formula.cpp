// Formulas: parse, print, parse again to the same text; signatures.
#include "compiler/spec/formula.h"
#include "compiler/base/text.h"
#include "tests/fuzz/fuzz.h"

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  if (!utf8_valid(text)) return 0;
  looks_like_formula(text);
  Node node = Node::make_text(text, {1, 1, 1, 1});
  answers([&] { parse_signature(node); });
  answers([&] {
    std::string printed = print_formula(*parse_formula(node));
    std::string again;
    try {
      again = print_formula(*parse_formula(printed, {1, 1, 1, 1}));
    } catch (const SpecError& e) {
      throw InternalError("a printed formula does not read back: " + printed + ": " + e.what());
    }
    if (again != printed) throw InternalError("a formula changes when printed again: " + printed + " becomes " + again);
  });
  return 0;
}
