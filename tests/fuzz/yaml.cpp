// A spec from its text to its graphs: YAML, includes, vocabulary, defaults, expansion of the model, both programs.
#include "compiler/model/model.h"
#include "compiler/spec/spec.h"
#include "tests/fuzz/fuzz.h"

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryFile file(data, size);
  Sources sources;
  Diagnostics diagnostics(sources);
  answers([&] {
    Node spec = load_spec(sources, file.path(), {}, diagnostics);
    if (!spec.is(Node::Kind::null)) check_vocabulary(spec, diagnostics);
    if (!diagnostics.errors()) {
      spec = effective_spec(spec);
      // What is printed reads back.
      Sources again;
      Diagnostics faults(again);
      std::string text = print_spec(spec, false, sources);
      MemoryFile copy(reinterpret_cast<const uint8_t*>(text.data()), text.size());
      Node read = load_spec(again, copy.path(), {}, faults);
      if (faults.errors() && text.find("${") == std::string::npos)
        throw InternalError("a printed spec does not read back:\n" + text + faults.render());
      Schema schema;
      schema.columns = {
          {.name = "x", .type = {DType::f32, {8}}},
          {.name = "y", .type = {DType::i32, {}}, .target = true, .meaning = ColumnSchema::Meaning::index, .classes = {"a", "b", "c"}}};
      elaborate(spec, schema, sources, diagnostics);
    }
  });
  diagnostics.render(80, true);
  return 0;
}
