#include "compiler/model/losses.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/spec/spec.h"

namespace mlc {
namespace {

using Kind = Value::Kind;

std::vector<std::string> loss_names(Library& library) {
  std::vector<std::string> out;
  for (const std::string& name : library.names(DefinitionKind::function))
    if (const Definition* d = library.find(DefinitionKind::function, name, 0); d && d->is_loss()) out.push_back(name);
  return out;
}

const Definition& find_loss(const TypedSetting& setting, Library& library) {
  const Definition* d = library.find(DefinitionKind::function, setting.type, setting.loc.file);
  if (d && (d->is_loss() || d->faulty)) return *d;
  std::vector<std::string> known = loss_names(library);
  throw SpecError(
      misnamed(setting.loc, "unknown loss '" + setting.type + "'", suggest(setting.type, known), "; losses are " + join(known, ", ")));
}

// A call whose parentheses do not close is a formula too, and a faulty one.
bool is_named(const Node& loss) {
  return loss.is(Node::Kind::map) ||
         (loss.is(Node::Kind::text) && !looks_like_formula(loss.text) && loss.text.find('(') == std::string::npos);
}

Value named_loss(const TypedSetting& setting, Evaluator& evaluator, Env& names) {
  Context& context = evaluator.context();
  const Definition* d = &find_loss(setting, context.library);
  if (d->faulty) return Value::make_unknown();
  std::vector<const ColumnSchema*> targets;
  for (const ColumnSchema& column : context.schema.columns)
    if (column.target) targets.push_back(&column);
  const Value* output = evaluator.lookup("output", names, setting.loc);
  if (!output) {
    std::vector<std::string> known;
    for (const OutputValue& o : context.outputs) known.push_back(o.name);
    throw SpecError(setting.loc,
                    "a loss by its name alone is one of 'output', which is not there; write a formula over " + join(known, ", "));
  }
  std::vector<Given> given = {{"", *output, setting.loc}};
  bool needs_target = d->signature.parameters.size() > 1 && !d->signature.parameters[1].fallback;
  if (needs_target) {
    if (targets.empty() && context.schema.columns.empty()) return Value::make_unknown();
    if (targets.empty()) throw SpecError(setting.loc, "the loss '" + setting.type + "' needs a target; the data have none");
    if (targets.size() > 1) throw SpecError(setting.loc, "the data have several targets: write the loss as a formula over them");
    given.push_back({"", *evaluator.lookup(targets[0]->name, names, setting.loc), setting.loc});
  }
  for (Given& g : typed_arguments(*d, setting, {}, names, evaluator)) given.push_back(std::move(g));
  return evaluator.call(*d, given, setting.loc);
}

}  // namespace

void check_loss_name(const Node& loss, Library& library) {
  if (is_named(loss)) find_loss(read_typed("loss", loss), library);
  else if (loss.is_scalar() && !loss.is(Node::Kind::null)) parse_formula(loss);
}

ValueId build_loss(const Node& loss, Evaluator& evaluator, Env& names) {
  Builder& b = evaluator.builder();
  b.at(loss.loc);
  Value value;
  if (is_named(loss)) value = named_loss(read_typed("loss", loss), evaluator, names);
  else if (loss.is_scalar() && !loss.is(Node::Kind::null)) value = evaluator.eval(parse_formula(loss), names);
  else throw SpecError(loss.loc, "'loss' is a name, a map with 'type' or a formula, not " + kind_name(loss.kind));
  if (value.is(Kind::unknown)) return kNoValue;
  if (!value.is(Kind::tensor)) throw SpecError(loss.loc, "the loss must depend on the model's output; it is " + show_value(value));
  b.at(loss.loc);
  ValueId id = value.tensor;
  Shape shape = b.sample_shape(id);
  if (element_count(shape) != 1)
    throw SpecError(loss.loc,
                    "a loss must be one number per sample; this one has shape " + format_shape(shape) + "; reduce it with mean or sum");
  if (!shape.empty()) id = b.reshape(id, {});
  if (!b.graph().op(id).per_sample) return id;
  double rows = static_cast<double>(b.graph().batch);
  return b.binary(OpCode::div, b.reduce(OpCode::reduce_sum, id, std::nullopt, false, true), b.constant(rows));
}

Predicted build_prediction(const LossUse& use, Evaluator& evaluator, ValueId output) {
  Predicted out;
  if (!use.definition || !use.definition->predict) return out;
  const Definition& d = *use.definition;
  return evaluator.inside(d, use.loc, [&] {
    Env arguments(d.is_std ? nullptr : evaluator.context().vars), names(&arguments);
    for (const auto& [name, value] : use.arguments) arguments.set(name, value);
    arguments.set(d.signature.parameters[0].name, Value::of_tensor(output));
    for (const auto& [name, formula] : d.let) names.set_lazy(name, formula, &names);
    Value value = evaluator.eval(d.predict, names);
    if (!value.is(Kind::tensor)) throw SpecError(use.loc, "'predict' of " + d.name() + " gives no tensor");
    out.value = value.tensor;
    out.prediction.kind = d.prediction == "probability" ? Prediction::Kind::probability : Prediction::Kind::value;
    if (out.prediction.kind == Prediction::Kind::value) return out;
    out.prediction.classes = 1;
    if (d.predict_dim) {
      Shape shape = evaluator.builder().sample_shape(out.value);
      int64_t dim = integer_of(evaluator.eval(d.predict_dim, names), use.loc, "'dim' of predict");
      dim += dim < 0 ? static_cast<int64_t>(shape.size()) : 0;
      if (dim < 0 || dim >= static_cast<int64_t>(shape.size()))
        throw SpecError(use.loc, "the output has no class axis " + std::to_string(dim));
      out.prediction.classes = shape[static_cast<size_t>(dim)];
      out.prediction.axis = dim;
    }
    return out;
  });
}

}  // namespace mlc
