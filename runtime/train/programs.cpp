#include "runtime/train/programs.h"

#include "compiler/base/diagnostics.h"

namespace mlc {

std::vector<const void*> bind_columns(const Program& program, const Columns& columns) {
  std::vector<const void*> bound;
  for (const TensorSlot& slot : program.tensors) {
    if (slot.role != Role::input) continue;
    auto found = columns.find(slot.path);
    if (found == columns.end()) throw RuntimeError("the model reads '" + slot.path + "', which the data do not have");
    bound.push_back(found->second);
  }
  return bound;
}

const TensorSlot* find_output(const Program& program, const std::string& name) {
  for (const TensorSlot& slot : program.tensors)
    if (slot.role == Role::output && slot.path == name) return &slot;
  return nullptr;
}

}  // namespace mlc
