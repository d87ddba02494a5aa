#!/usr/bin/env python3
"""`mlc schema` against specs: run.py --mlc PROGRAM. The schema is a valid one; every shipped spec and every example of docs/language.md
fits it; the faulty specs whose fault is one of form (FORM below) do not. Every event of --json and of metrics.jsonl fits the schema of
docs/events.md. Needs python3-jsonschema and python3-yaml."""
import argparse, glob, json, os, re, subprocess, sys, tempfile

try:
    import jsonschema, yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--mlc", required=True)
mlc = os.path.abspath(parser.parse_args().mlc)


class Core(yaml.SafeLoader):
    """PyYAML with the scalars of YAML 1.2's core schema."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
]:
    Core.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(f"^(?:{pattern})$"), list(first))
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value, 0) if node.value.startswith(("0o", "0x")) else int(node.value))
Core.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value.replace(".inf", "inf").replace(".nan", "nan").lower()))

# Faults of form that the first line of the expected text tells by these words. Others need values, shapes or files.
FORM = re.compile(r"unknown key '|has no value; expected|unknown argument '.*' of (linear|adam|relu|dropout|step|sgd)|' expects (a map|a list|true or false|one of)|cannot be '|"
                  r"an item is an op, .* not a (number|list)|needs 'type', its name|concat needs 'dim'|unknown lint")
DEEP = {"report_generate_key.yaml", "text_unknown_key.yaml", "own_state_key.yaml"}      # keys of settings that the schema leaves open
passed = failed = 0


def test(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAIL {name}: {detail}")


text = subprocess.run([mlc, "schema"], capture_output=True, text=True, check=True).stdout
schema = json.loads(text)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


def texts(node):
    """Keys as text, as mlc reads them."""
    if isinstance(node, dict):
        return {str(k): texts(v) for k, v in node.items()}
    return [texts(v) for v in node] if isinstance(node, list) else node


def fault(spec):
    error = jsonschema.exceptions.best_match(validator.iter_errors(texts(spec)))
    return error and f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


specs = [p for folder in ("specs", "tests/parity/fixtures", "tests/fusion/specs") for p in sorted(glob.glob(os.path.join(root, folder, "*.yaml")))]
for path in specs:
    with open(path, encoding="utf-8") as file:
        found = fault(yaml.load(file, Core))
    test(os.path.relpath(path, root), found is None, found)
with open(os.path.join(root, "docs", "language.md"), encoding="utf-8") as file:
    for i, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", file.read(), re.S | re.M)):
        if re.search(r"^(model|data|train):", block, re.M):
            found = fault(yaml.load(block, Core))
            test(f"docs/language.md example {i}", found is None, found)
told = 0
for path in sorted(glob.glob(os.path.join(root, "tests", "errors", "cases", "*.yaml"))):
    expected = path[:-5] + ".expected"
    with open(path, encoding="utf-8", errors="replace") as file:
        body = file.read()
    if not os.path.exists(expected) or body.startswith("# "):
        continue
    with open(expected, encoding="utf-8") as file:
        first = file.readline()
    if not FORM.search(first) or os.path.basename(path) in DEEP or "include:" in body:
        continue
    try:
        spec = yaml.load(body, Core)
    except yaml.YAMLError:
        continue
    told += 1
    test(os.path.basename(path) + " does not fit", fault(spec) is not None, "the schema accepts it: " + first.strip())
test("faulty specs were tried", told >= 15, f"{told} only")

# Events ---------------------------------------------------------------------------------------------------------------------
with open(os.path.join(root, "docs", "events.md"), encoding="utf-8") as file:
    event_schema = json.loads(re.search(r"^```json\n(.*?)^```", file.read(), re.S | re.M)[1])
jsonschema.Draft202012Validator.check_schema(event_schema)
event_validator = jsonschema.Draft202012Validator(event_schema)
SMALL = """data: {reader: synthetic, train: {rows: 60, x: [4], y: 3}, val: {rows: 30, x: [4], y: 3}, test: {rows: 30, x: [4], y: 3}}
vars: {width: 4}
model: [{linear: width}, relu, {linear: 3}]
train: {epochs: 2, batch_size: 10, loss: cross_entropy, optimizer: {type: sgd, lr: 0.1}%s}
eval: {metrics: [accuracy]}
%s"""
FOLDS = SMALL.replace("val: {rows: 30, x: [4], y: 3}, ", "").replace("test: {rows: 30, x: [4], y: 3}}", "split: {k_fold: 2}}")
GAN = """data: {reader: synthetic, train: {rows: 40, x: [4], y: 3}, val: {rows: 20, x: [4], y: 3}}
models: {generator: {inputs: {z: [2]}, layers: [{linear: 4}]}, critic: [{linear: 1}]}
train:
  epochs: 2
  updates:
    d:
      params: critic.*
      forward: {fake: "critic(generator(normal([2])))", real: critic(x)}
      loss: bce_with_logits(real, 1) + bce_with_logits(fake, 0)
      optimizer: adam
    g: {params: generator.*, forward: {fake: "critic(generator(normal([2])))"}, loss: "bce_with_logits(fake, 1)", optimizer: adam}
"""
with tempfile.TemporaryDirectory(prefix="mlc-events-") as folder:
    # name, command, spec, the kinds of events that must come
    for name, command, spec, kinds in (
            ("plain", "run", SMALL % ("", ""), {"header", "epoch", "summary"}),
            ("validations", "run", SMALL % (", validate: {every: 2 steps}", ""), {"header", "epoch", "validation", "summary"}),
            ("warning", "run", SMALL.replace("relu", "softmax, {linear: 3, as: unused}, {linear: 3, from: softmax1}").replace("softmax,", "{softmax: -1, as: softmax1},") % ("", ""),
             {"message", "header", "epoch", "summary"}),
            ("not finite", "run", SMALL.replace("0.1", "1e38") % ("", ""), {"header", "summary"}),
            ("error", "run", SMALL.replace("relu", "relo") % ("", ""), {"message"}),
            ("fault of the data", "run", "data: {reader: csv, path: none.csv, target: y}\nmodel: [{linear: 1}]\ntrain: {epochs: 1, loss: mse, optimizer: sgd}\n", {"message"}),
            ("bad cell", "run", "data: {reader: csv, path: bad.csv, target: y}\nmodel: [{linear: 1}]\ntrain: {epochs: 1, loss: mse, optimizer: sgd}\n", {"message"}),
            ("folds", "run", FOLDS % ("", ""), {"fold", "summary"}),
            ("updates", "run", GAN, {"header", "epoch", "summary"}),
            ("sweep", "sweep", SMALL % ("", "sweep: {objective: min val_loss, over: {vars.width: [2, 4]}}\n"), {"trial", "summary"})):
        path = os.path.join(folder, "spec.yaml")
        out = os.path.join(folder, name.replace(" ", "_"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(spec)
        with open(os.path.join(folder, "bad.csv"), "w", encoding="utf-8") as file:
            file.write("x,y\n1,2\nc,3\n")
        done = subprocess.run([mlc, command, path, "--out", out, "--json", "--threads", "1"], capture_output=True, text=True, cwd=folder)
        lines = done.stdout.splitlines()
        for base, _, files in os.walk(out):
            if "metrics.jsonl" in files:
                with open(os.path.join(base, "metrics.jsonl"), encoding="utf-8") as file:
                    lines += file.read().splitlines()
        faults = [f"{line[:160]}: {fault.message[:160]}" for line in lines for fault in event_validator.iter_errors(json.loads(line))]
        test("events: " + name, not faults, "; ".join(faults[:3]))
        found = {json.loads(line)["event"] for line in done.stdout.splitlines()}
        test("events: kinds of " + name, kinds <= found, f"{sorted(found)}, status {done.returncode}: {done.stderr[-300:]}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
