// Networks: what `model` and `models` define. Formulas call them; all calls of one share its parameters.
#pragma once
#include "compiler/model/items.h"
#include "compiler/spec/node.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace mlc {

/// A network as written. Pointers are into the spec.
struct Network {
  std::string name;                   ///< "model" for the one of `model:`
  std::string prefix;                 ///< of its parameter paths: "" for the one of `model:`, else "name."
  Loc loc;
  const Node* layers = nullptr;
  struct Input {
    std::string name;
    const Node* shape = nullptr;      ///< null: not declared
    Loc loc;
  };
  std::vector<Input> inputs;          ///< `x` where none is declared
  bool declares_inputs = false;
  struct Output {
    std::string name, value;          ///< what it is called outside, and within
    Loc loc;
  };
  std::vector<Output> outputs;        ///< empty: the last item's value
  bool eval = false;                  ///< `mode: eval`: dropout and running statistics stay as in evaluation
};

/// Reads `model` or `models`; faults are reported.
std::vector<Network> read_networks(const Node& spec, Diagnostics& diagnostics);

/// The networks of a spec while one graph is built.
class Networks {
public:
  Networks(const std::vector<Network>& networks, Items& items, Evaluator& evaluator)
      : networks_(networks), items_(items), evaluator_(evaluator), context_(evaluator.context()) {}

  const Network* find(const std::string& name) const;
  std::vector<std::string> names() const;
  /// Applies a network. One output gives a tensor, several a list with names; the `as:` names within a network of `models`
  /// are attributes of it. Where the network has several outputs or
  /// `as:` names, `names` receives them (unless null). What its layers see beside their inputs is in `around`.
  Value call(const Network& network, const std::vector<Given>& given, Loc loc, Env* around = nullptr, Env* names = nullptr);
  /// Networks that no formula has called so far.
  std::vector<const Network*> uncalled() const;

private:
  std::vector<Value> bind(const Network& network, const std::vector<Given>& given, Loc loc);
  void check_shape(const Network& network, const Network::Input& input, const Value& value, Loc loc);
  Value outputs_of(const Network& network, ItemScope& scope, const Value& last, Env* names);
  Value with_names(Value value, const Network& network, const ItemScope& scope) const;

  const std::vector<Network>& networks_;
  Items& items_;
  Evaluator& evaluator_;
  Context& context_;
  std::set<std::string> called_, running_;
};

}  // namespace mlc
