// A whole training step, compiled in all variants.
#include "tests/unit/compile/differential.h"
#include "tests/unit/compile/mlp.h"

namespace mlc {
namespace {

TEST(Training, SmallStepAgreesEverywhere) { Differential(mlp_step({16, 20, 17, 4}), 3, 1).check(1e-4); }
TEST(Training, OddStepAgreesEverywhere) { Differential(mlp_step({37, 33, 50, 5}), 3, 2).check(1e-4); }
TEST(Training, OneRowAgreesEverywhere) { Differential(mlp_step({1, 9, 5, 4}), 2, 3).check(1e-4); }
TEST(Training, WideStepAgreesEverywhere) { Differential(mlp_step({64, 100, 130, 10}), 2, 4, 10).check(1e-4); }

}  // namespace
}  // namespace mlc
