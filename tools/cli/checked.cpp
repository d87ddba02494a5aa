#include "tools/cli/checked.h"

#include "compiler/base/text.h"
#include "runtime/data/text_fault.h"
#include "tools/cli/declared.h"
#include "tools/cli/evaluation.h"

namespace mlc {
namespace {

// The data's schema; where they are not here, the one that the spec declares.
Schema schema_of(Checked& c, const DataSettings& data) {
  try {
    return read_schema(data);
  } catch (const MissingData& missing) {
    std::variant<Schema, std::vector<std::string>> declared = declared_schema(c.spec, data);
    if (auto* schema = std::get_if<Schema>(&declared)) {
      c.note = missing.diagnostic.text + ": checked against what the spec says of the data";
      return std::move(*schema);
    }
    SpecError error = missing;
    error.diagnostic.lines.push_back("to check without the data, write " + join(std::get<std::vector<std::string>>(declared), " and "));
    throw error;
  }
}

}  // namespace

std::unique_ptr<Checked> check_spec(const std::string& path, const Arguments& a, bool anywhere) {
  auto c = std::make_unique<Checked>();
  c->spec = read_spec(path, a, c->sources, c->diagnostics);
  if (c->spec.is(Node::Kind::null)) return c;
  size_t before = c->diagnostics.errors();
  DataSettings data = bind_data(c->spec, path, c->diagnostics);
  if (anywhere || a.flag("allow-outside")) data.home.clear();
  bool readable = c->diagnostics.errors() == before;
  TrainSettings train = bind_train(c->spec, c->diagnostics);
  c->batch = train.batch_size;
  try {
    if (readable) c->schema = schema_of(*c, data);
  } catch (const SpecError& e) {
    c->diagnostics.report(e.diagnostic);
  } catch (const TextFault& e) {
    c->diagnostics.report(located(e, c->sources));
  } catch (const RuntimeError&) {   // a fault within the data: those of the spec come with it
    elaborate(c->spec, Schema{}, c->sources, c->diagnostics);
    if (c->diagnostics.errors()) report(c->diagnostics, false);
    throw;
  }
  c->model = elaborate(c->spec, c->schema, c->sources, c->diagnostics);
  if (!c->schema.columns.empty()) check_evaluation(c->spec, c->schema, c->diagnostics);
  try {
    if (c->model && !c->diagnostics.errors()) check_run(c->spec, *c->model, train, c->schema, c->diagnostics);
  } catch (const SpecError& e) {
    c->diagnostics.report(e.diagnostic);
  }
  if (report(c->diagnostics, a.flag("werror"))) c->model.reset();
  return c;
}

}  // namespace mlc
