#include "compiler/spec/spec.h"

#include <gtest/gtest.h>

namespace mlc {
namespace {

std::string again(const char* text) { return print_formula(*parse_formula(text, {1, 1, 1, 1})); }

TEST(Formula, PrintsWithTheParenthesesThatPythonNeeds) {
  EXPECT_EQ(again("1+2*3"), "1 + 2 * 3");
  EXPECT_EQ(again("(1+2)*3"), "(1 + 2) * 3");
  EXPECT_EQ(again("-x**2"), "-x ** 2");
  EXPECT_EQ(again("(-x)**2"), "(-x) ** 2");
  EXPECT_EQ(again("2**3**2"), "2 ** 3 ** 2");
  EXPECT_EQ(again("a-b-c"), "a - b - c");
  EXPECT_EQ(again("a-(b-c)"), "a - (b - c)");
  EXPECT_EQ(again("0 if x <= 0 else x"), "0 if x <= 0 else x");
  EXPECT_EQ(again("not a and b or c"), "not a and b or c");
  EXPECT_EQ(again("f(x, dim=-1)[1:].shape"), "f(x, dim=-1)[1:].shape");
  EXPECT_EQ(again("0 < a < 1"), "0 < a and a < 1");
  EXPECT_EQ(again("3 .x"), "(3).x");
}

TEST(Formula, PointsAtTheFault) {
  auto column = [](const char* text) -> uint32_t {
    try {
      parse_formula(text, {1, 1, 10, 1});
    } catch (const SpecError& e) {
      return e.diagnostic.loc.col;
    }
    return 0;
  };
  EXPECT_EQ(column("x + * y"), 14u);
  EXPECT_EQ(column("f(x, )y"), 16u);
  EXPECT_EQ(column("a ^ b"), 12u);
  EXPECT_EQ(column("x + y"), 0u);
}

TEST(Formula, NestingIsBounded) {
  std::string deep(1000, '(');
  EXPECT_THROW(parse_formula(deep + "x", {1, 1, 1, 1}), SpecError);
  EXPECT_THROW(parse_formula(std::string(1000, '-') + "x", {1, 1, 1, 1}), SpecError);
}

TEST(Formula, KnowsFormulasFromTexts) {
  for (const char* text : {"4 * d", "1/255", "widths[i]", "sqrt(2)", "[1, 2]", "a if b else c"})
    EXPECT_TRUE(looks_like_formula(text)) << text;
  for (const char* text : {"adam", "val_loss", "data/train", "cats-dogs", "2024-01-02x", "some text", "30 epochs"})
    EXPECT_FALSE(looks_like_formula(text)) << text;
}

TEST(Signature, ReadsNamesAndDefaults) {
  Node key = Node::make_text("override f(x, a=1 + 2)", {1, 1, 1, 24});
  Signature s = parse_signature(key);
  EXPECT_TRUE(s.overrides);
  EXPECT_EQ(s.name, "f");
  ASSERT_EQ(s.parameters.size(), 2u);
  EXPECT_EQ(s.parameters[0].fallback, nullptr);
  EXPECT_EQ(print_formula(*s.parameters[1].fallback), "1 + 2");
}

TEST(Quantity, ReadsUnits) {
  auto of = [](const char* text) { return parse_quantity(Node::make_text(text)); };
  EXPECT_EQ(of("500 steps")->value, 500);
  EXPECT_EQ(of("1epoch")->unit, Quantity::Unit::epochs);
  EXPECT_EQ(of("10 min")->value, 600);
  EXPECT_EQ(of("5%")->unit, Quantity::Unit::percent);
  EXPECT_FALSE(of("5"));
  EXPECT_FALSE(of("5 lightyears"));
}

}  // namespace
}  // namespace mlc
