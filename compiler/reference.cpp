// The interpreter as a device: slow, naive, and the judge of all others.
#include "compiler/base/diagnostics.h"
#include "compiler/compile.h"
#include "compiler/graph/graph.h"
#include "compiler/step_input.h"

#include <cmath>
#include <cstring>

namespace mlc {

std::map<TensorId, Array<float>> read_state(const Graph& graph, const StateLayout& layout, const SharedState& state) {
  std::map<TensorId, Array<float>> out;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const Tensor& tensor = graph.tensors[t];
    if (tensor.role == Role::input || tensor.role == Role::output) continue;
    ensure(tensor.type.dtype == DType::f32, "reference: state is f32");
    Array<float>& a = out[static_cast<TensorId>(t)];
    a.type = tensor.type;
    a.data.resize(static_cast<size_t>(tensor.type.elements()));
    state.read(layout.offsets.at(tensor.path), a.data.data(), tensor.type.bytes());
  }
  return out;
}

void read_step(const float* scalars, StepInput<float>& input) {
  uint32_t words[kFirstScalar];
  std::memcpy(words, scalars, sizeof words);
  input.step = words[kStepScalar];
  input.seed = words[kSeedLowScalar] | uint64_t{words[kSeedHighScalar]} << 32;
}

namespace {

class Reference : public Executable {
public:
  Reference(const Compiled& compiled, SharedState& state)
      : graph_(compiled.graph), layout_(compiled.state), state_(state), slots_(compiled.program.tensors),
        results_(compiled.program.results_per_step) {}

  int run(const Feed& feed) override {
    values_ = read_state(graph_, layout_, state_);
    int done = 0;
    size_t stride = kFirstScalar + graph_.scalars.size();
    while (done < feed.steps && !(feed.stop && feed.stop->load())) {
      const float* scalars = feed.scalars + static_cast<size_t>(done) * stride;
      StepInput<float> in;
      size_t column = 0;
      for (size_t t = 0; t < graph_.tensors.size(); ++t)
        if (graph_.tensors[t].role == Role::input) in.columns[static_cast<TensorId>(t)] = feed.columns.at(column++);
      in.rows = feed.rows + static_cast<int64_t>(done) * graph_.batch;
      read_step(scalars, in);
      for (size_t s = 0; s < graph_.scalars.size(); ++s) in.scalars.push_back(scalars[kFirstScalar + s]);
      in.state = &values_;
      std::map<TensorId, Array<float>> out = interpret(graph_, in);
      float* results = feed.results + static_cast<int64_t>(done) * results_;
      for (const auto& [id, value] : out) put(graph_.tensors[static_cast<size_t>(id)], value, results);
      ++done;
      if (feed.loss_result >= 0 && !std::isfinite(results[feed.loss_result])) break;
    }
    save();
    return done;
  }

private:
  void put(const Tensor& tensor, const Array<float>& value, float* results) const {
    for (const TensorSlot& slot : slots_) {
      if (slot.role != Role::output || slot.path != tensor.path) continue;
      for (size_t i = 0; i < value.data.size(); ++i) {
        if (is_float(tensor.type.dtype)) {
          results[static_cast<size_t>(slot.offset) + i] = value.data[i];
        } else {
          auto integer = static_cast<int32_t>(value.data[i]);
          std::memcpy(results + slot.offset + static_cast<int64_t>(i), &integer, sizeof integer);
        }
      }
    }
  }

  void save() {
    for (const auto& [id, value] : values_)
      state_.write(layout_.offsets.at(graph_.tensors[static_cast<size_t>(id)].path), value.data.data(), value.type.bytes());
  }

  const Graph& graph_;
  const StateLayout& layout_;
  SharedState& state_;
  std::vector<TensorSlot> slots_;
  int results_;
  std::map<TensorId, Array<float>> values_;
};

}  // namespace

std::unique_ptr<Executable> make_reference_executable(const Compiled& compiled, SharedState& state) {
  return std::make_unique<Reference>(compiled, state);
}

}  // namespace mlc
