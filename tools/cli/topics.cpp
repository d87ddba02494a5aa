#include "tools/cli/topics.h"

namespace mlc {

const std::vector<Topic>& topics() {
  static const std::vector<Topic> table = {
      {"yaml", "how a spec is read",
       R"(YAML 1.2 core schema: 1e-3 is a number, `no` and `on` are text, 0o10 is eight, 010 is ten. A repeated key, a tag (!x), `<<`, a second
document, bytes that are not UTF-8 and an open quote are errors. A BOM and CRLF are accepted.
Only top-level keys that start with `x-` are free; every other unknown key is an error.
Texts take ${name} of `vars` and ${env:NAME} of the environment.
`include: file.yaml` (or a list): maps merge key by key, lists replace, the including file wins.
)"},
      {"formulas", "what may stand where a number belongs",
       R"(Python's operators: + - * / // % **, comparisons, and or not, `a if c else b`, [lists], x[i], x[a:b], x.shape, f(x, dim=0).
A text where a number belongs is a formula: `out: 4 * d`. Quote it where it starts with one of [ { " ' * & ! | > % @ or holds `: ` or ` #`;
inside {} or [] also where it holds a comma, a bracket or a brace.
Names: `vars`, the arguments around, `in.shape`, `in.features`, `in.channels`, `data.classes`, `data.features`, `pi`, `i` of a repeat.
A formula describes one sample: shapes and dim never count the batch; only a reduction crosses it, by batch=true.
`mlc doc all` lists the functions; `mlc doc NAME` documents one.
)"},
      {"items", "layers and transforms in a list",
       R"(- relu                                      an op
- linear: 64                                an op with its main argument
- conv2d: {out: 32, kernel: 3}              an op with arguments
Beside the op: `as: name`, `from: name` or [names], `init: {weight: ...}`, `repeat: n` (weights are not shared), `if: condition`,
`on: train|eval|all` (transforms).
Joining: `layers: [...]`, `residual: [...]` (with `shortcut: [...]`), `add`/`mul`/`matmul: [names]`, `{concat: {dim: 0}, from: [names]}`,
`expr: formula` over named values. An automatic name is the op and its running number: linear1, residual2.linear1.
)"},
      {"lints", "warnings, and how to silence them",
       R"(A warning has a reason and a name: silence it by `lints: {name: off}`; --werror makes warnings errors.
  softmax-before-loss     the loss takes logits: softmax is applied twice
  sigmoid-before-loss     the same for sigmoid and bce_with_logits
  bias-before-batch-norm  batch_norm removes the bias of the layer before it
  unused-value            nothing uses the result of an item
  no-gradient             the loss does not reach a parameter: it never changes
  target-in-features      a feature tells the target of every row
  batch-of-one            batch_norm over a batch of one row
  schedule-too-long       a length of the schedule is more than the training has
  extra-outputs           the output has more classes than the target
)"},
      {"bounds", "limits of a spec",
       R"(A spec file has at most 16 MB, 200 levels of nesting and 1,000,000 nodes after aliases; a formula 100,000 characters and 200 levels; a model
100,000 layers. Memory that the machine does not have is refused before it is asked for.
Includes and data lie in the spec's folder or below, in data.root, $MLC_DATA, ./data or the cache; --allow-outside lifts that.
A run writes into its folder only.
)"},
  };
  return table;
}

}  // namespace mlc
