// Rows of the conformance test of compiled code (ops_test.cpp): graphs by the op that they are named after.
#pragma once
#include "compiler/graph/builder.h"

#include <functional>
#include <string>
#include <vector>

namespace mlc {

struct Inputs {
  Builder& b;
  std::function<ValueId(Shape)> x;      ///< f32 on -1..1, per-sample
  std::function<ValueId(Shape)> p;      ///< f32 on -0.5..0.5, shared
  std::function<ValueId(Shape)> index;  ///< i32 below 4, per-sample
};

struct Row {
  std::string name;
  std::function<std::vector<ValueId>(Inputs&)> make;
  bool large = false;  ///< many kernels: one batch in every variant, the others in some
};

std::vector<Row> window_rows();  ///< ops of class window, and resampled images

}  // namespace mlc
