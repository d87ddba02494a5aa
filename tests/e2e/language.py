"""End-to-end tests of the spec language: what data, metrics, validation and series of runs make of their keys."""
import array
import json
import os
import shutil
import struct
import sys

from tests import VALIDATED, need, test, tensors_of

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
import tensors  # noqa: E402

COLORS = """seed: 1
data:
  reader: csv
  path: colors.csv
  types: {color: category, shape: category}
  target: y
  classes: ["no", "yes"]
  inputs: {color: color, kinds: [color2, shape], size: size}
model:
  inputs: {color: [1], kinds: [2], size: [1]}
  layers:
    - {embedding: {num_embeddings: in.classes, embedding_dim: 3}, from: color}
    - {flatten: {}, as: color_vector}
    - {embedding: {num_embeddings: kinds.classes, embedding_dim: 2}, from: kinds}
    - {flatten: {}, as: kinds_vector}
    - {concat: {dim: -1}, from: [color_vector, kinds_vector, size]}
    - linear: 2
train: {epochs: 60, batch_size: 8, loss: cross_entropy, optimizer: {type: adam, lr: 0.05}}
eval: {metrics: [accuracy]}
""".replace("types: {color:", "types: {color2: category, color:")


def colors(rows):
    """What decides is whether the color is one of two, whatever the size: no line through their codes tells."""
    names, shapes = ["amber", "blue", "coral", "denim"], ["disc", "square", "star"]
    found = []
    for i in range(rows):
        color = names[i * 7 % 4]
        found.append((color, names[i * 5 % 3], shapes[i % 3], (i * 37 % 20) / 10, "yes" if color in ("amber", "coral") else "no"))
    return found


@test
def categories_are_embedded(c):
    rows = colors(64)
    c.write("colors.csv", "color,color2,shape,size,y\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    spec = c.write("colors.yaml", COLORS)
    table = c.mlc("check", spec).out
    need("embedding" in table and "4 * 3" not in table, table)
    done = c.run(spec, "--json")
    # 4 colors of 3 numbers, at most 3 labels of 2 numbers each, 8 features in.
    need(done.summary["parameters"] == 4 * 3 + 3 * 2 + 2 * (3 + 4 + 1) + 2, f"{done.summary['parameters']} parameters")
    need(done.summary["train_loss"] < 0.05, f"train_loss {done.summary['train_loss']:.3f}")
    # Other order of columns; labels keep their codes though one is missing.
    text = "y,size,shape,color2,color\n" + "".join(f"{r[4]},{r[3]},{r[2]},{r[1]},{r[0]}\n" for r in rows if r[0] != "amber")
    lines = c.mlc("predict", c.path("run"), "--input", "-", stdin=text).out.splitlines()[1:]
    need([line.split(",")[0] for line in lines] == [r[4] for r in rows if r[0] != "amber"], "predictions are not the classes of the rows")
    err = c.mlc("predict", c.path("run"), "--input", "-", stdin=text.replace("coral", "crimson"), status=1).err
    need("'crimson' is none of the labels that the training data had: amber, blue, coral, denim" in " ".join(err.split()), err)


@test
def indices_beyond_the_table_are_refused(c):
    def write(name, high):
        index = array.array("i", [i % high for i in range(24)])
        tensors.write(c.path(name), {"x": tensors.Tensor("I32", (8, 3), index), "y": tensors.Tensor("I32", (8,), array.array("i", [i % 2 for i in range(8)]))})
    write("d.safetensors", 5)
    spec = c.write("index.yaml", """
data: {reader: safetensors, train: {path: d.safetensors, x: x, y: y}}
model: [{embedding: {num_embeddings: 5, embedding_dim: 2}}, flatten, {linear: 2}]
train: {steps: 3, batch_size: 4, loss: cross_entropy, optimizer: adam}
""")
    c.run(spec, "--quiet")
    err = c.run(spec, "--set", "model.0.embedding.num_embeddings=4", status=1, out="no").err
    need("'x' holds the index 4 in row 2 of d.safetensors; the table has 4 rows" in err, err)
    write("more.safetensors", 7)
    err = c.mlc("predict", c.path("run"), "--input", c.path("more.safetensors"), status=1).err
    need("'x' holds the index 5 in row 2 of" in err and "has 5 rows" in err, err)


@test
def metrics_of_maps(c):
    """The class axis is the loss's, wherever it lies; the model gives its input back."""
    h, w, classes, rows = 3, 4, 3, 6
    values = [((i * 2654435761) % 1000) / 100 for i in range(rows * classes * h * w)]
    labels = [(i * 7 // 3) % classes for i in range(rows * h * w)]
    at = lambda r, k, p: values[(r * classes + k) * h * w + p]
    right = sum(max(range(classes), key=lambda k: at(r, k, p)) == labels[r * h * w + p] for r in range(rows) for p in range(h * w))
    first = [at(r, k, p) for r in range(rows) for k in range(classes) for p in range(h * w)]
    last = [at(r, k, p) for r in range(rows) for p in range(h * w) for k in range(classes)]
    y = tensors.Tensor("I32", (rows, h, w), array.array("i", labels))
    scores = set()
    for name, shape, data, dim in (("first", (classes, h, w), first, 0), ("last", (h, w, classes), last, -1), ("middle", (h, classes, w), None, 1)):
        if data is None:
            data = [at(r, k, i * w + j) for r in range(rows) for i in range(h) for k in range(classes) for j in range(w)]
        tensors.write(c.path(name + ".safetensors"), {"x": tensors.Tensor("F32", (rows, *shape), array.array("f", data)), "y": y})
        spec = c.write(name + ".yaml", f"""
data: {{reader: safetensors, train: {{path: {name}.safetensors, x: x, y: y}}, test: {{path: {name}.safetensors, x: x, y: y}}}}
blocks:
  gain(): {{params: {{weight: {{shape: [], init: 1}}}}, y: x * weight}}
model: [gain]
train: {{steps: 1, batch_size: 2, loss: {{type: cross_entropy, dim: {dim}}}, optimizer: {{type: sgd, lr: 0}}}}
eval: {{metrics: [accuracy, {{top_k: 2}}, perplexity, f1], report: [confusion_matrix]}}
""")
        done = c.run(spec, "--json", out=name)
        need(abs(done.summary["test_accuracy"] - right / len(labels)) < 1e-12, f"{name}: accuracy {done.summary['test_accuracy']} instead of {right / len(labels)}")
        need(abs(done.summary["test_perplexity"] - 2.718281828459045 ** done.summary["test_loss"]) < 1e-4 * done.summary["test_perplexity"], f"{name}: perplexity is not exp of the loss")
        need(done.summary["test_accuracy"] < done.summary["test_top_2"] < 1, f"{name}: {done.summary}")
        scores.add((done.summary["test_f1"], done.summary["test_top_2"]))
    need(len(scores) == 1, f"f1 and top 2 differ with the place of the class axis: {scores}")


def write_idx(path, shape, values):
    with open(path, "wb") as file:
        file.write(bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(values))


@test
def predicted_images_are_resized_as_those_of_training(c):
    rows = 12
    write_idx(c.path("x.idx"), (rows, 6, 6), [(i * 37 + i // 36 * 91) % 256 for i in range(rows * 36)])
    write_idx(c.path("y.idx"), (rows,), [i % 3 for i in range(rows)])
    spec = c.write("small.yaml", """
data: {reader: idx, train: {x: x.idx, y: y.idx}, test: {x: x.idx, y: y.idx}, transforms: [{resize: [4, 4]}, to_float, flatten]}
model: [{linear: 3}]
train: {epochs: 30, batch_size: 4, loss: cross_entropy, optimizer: {type: adam, lr: 0.05}}
eval: {metrics: [accuracy]}
""")
    accuracy = c.run(spec, "--json", out="small").summary["test_accuracy"]
    lines = c.mlc("predict", c.path("small"), "--input", c.path("x.idx")).out.strip().split("\n")
    place = lines[0].split(",").index("class")
    found = [int(line.split(",")[place]) for line in lines[1:]]
    right = sum(k == i % 3 for i, k in enumerate(found)) / rows
    need(len(found) == rows and abs(right - accuracy) < 1e-9, f"predict gives {right} right, the test {accuracy}")


@test
def validations_within_epochs_are_kept(c):
    spec = c.write("every.yaml", VALIDATED)
    done = c.run(spec, "--set", "train.validate.every=2 steps", "--set", "train.epochs=2", "--set", "train.batch_size=16", "--json")
    kept = [json.loads(line) for line in open(c.path("run", "metrics.jsonl"), encoding="utf-8")]
    at = [(e["event"], e["epoch"], e["step"]) for e in kept if e["event"] in ("validation", "epoch")]
    # 90 rows are 6 steps; what falls on an epoch's end is told by its line.
    need(at == [("validation", 1, 2), ("validation", 1, 4), ("epoch", 1, 6), ("validation", 2, 8), ("validation", 2, 10), ("epoch", 2, 12)], f"validations {at}")
    need(all("val_loss" in e and "val_accuracy" in e and "lr" in e for e in kept if e["event"] == "validation"), f"{kept[1]}")
    need("step 2" in done.err, done.err[-800:])
    # The same weights as a run that validates at epochs; at step 4 those of a run of 4 steps.
    c.run(spec, "--set", "train.epochs=2", "--set", "train.batch_size=16", "--quiet", out="plain")
    need(tensors_of(c.checkpoint("plain")) == tensors_of(c.checkpoint()), "validating changes the weights")
    short = c.run(spec, "--set", "train.steps=4", "--set", "train.batch_size=16", "--json", out="short").summary
    need(abs(short["val_loss"] - kept[[e["event"] for e in kept].index("validation") + 1]["val_loss"]) < 1e-9, "the values are not those of step 4")


@test
def validations_of_every_other_epoch(c):
    found = c.run(c.write("every.yaml", VALIDATED), "--set", "train.validate.every=2 epochs", "--set", "train.epochs=5", "--json").events
    at = [e["epoch"] for e in found if e["event"] == "epoch" and "val_loss" in e]
    need(at == [2, 4, 5], f"epochs {at} were validated; the last one is always")


@test
def checkpoints_during_training_outlive_it(c):
    """A training that breaks off keeps the last weights that it wrote on its way."""
    spec = c.write("broken.yaml", VALIDATED.replace("{type: adam, lr: 0.05}", "{type: sgd, lr: 0.05}").replace("epochs: 30", "epochs: 9"))
    every = "train.schedule={type: formula, lr: lr if k < %d else 1e38}"
    for unit, steps in (("4 steps", 8), ("2 epochs", 12)):   # an epoch has 6 steps
        c.run(spec, "--set", every % steps, "--set", f"train.checkpoint.every={unit}", "--quiet", status=3, out="broken")
        c.run(spec, "--set", f"train.steps={steps}", "--quiet", out="whole")
        need(tensors_of(c.checkpoint("broken")) == tensors_of(c.checkpoint("whole")), f"every {unit}: last.safetensors is not that of step {steps}")


@test
def folders_of_former_series_go(c):
    folds = c.write("folds.yaml", VALIDATED.replace("train: 0.6, val: 0.2, test: 0.2", "test: 0.2, k_fold: 3").replace("epochs: 30", "epochs: 1"))
    heading = next(line for line in c.run(folds).err.splitlines() if line.startswith("fold  "))
    need(set(heading.split()) == {"fold", "train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"}, f"the table of folds shows {heading}")
    os.makedirs(c.path("run", "fold_notes"))
    c.run(folds, "--quiet", "--set", "data.split.k_fold=2")
    need(not os.path.exists(c.path("run", "fold3")) and os.path.exists(c.path("run", "fold2")), "fold3 of the run before is still there")
    c.run(folds, "--quiet", "--set", "data.split.fold=1")
    need(sorted(os.listdir(c.path("run"))) == ["checkpoints", "fold_notes", "metrics.jsonl", "spec.yaml"], f"the folder holds {os.listdir(c.path('run'))}")


@test
def sweep_keeps_programs_of_all_trials(c):
    spec = c.write("widths.yaml", VALIDATED + "sweep: {objective: min val_loss, over: {train.optimizer.lr: [0.1, 0.01, 0.001], train.batch_size: [16, 32]}}\n")
    done = c.mlc("sweep", spec, "--out", c.path("run"), *c.device, "--json", "--quiet")
    trials = [e for e in done.events if e["event"] == "trial"]
    need([t["compile_ms"] > 0 for t in trials] == [True, True] + [False] * 4, f"compiled in {[t['compile_ms'] for t in trials]} ms")
    c.run(c.path("run", "trial5", "spec.yaml"), "--quiet", out="alone")
    need(tensors_of(c.checkpoint("alone")) == tensors_of(c.checkpoint("run/trial5")), "a trial on kept programs trains other weights")


@test
def trials_read_their_own_data(c):
    """What `vars` change of the data is read again, also where other trials lie between."""
    spec = c.write("shares.yaml", "vars: {share: 0.3}\n" + VALIDATED.replace("train: 0.6", "train: share").replace("epochs: 30", "epochs: 3")
                   + "sweep: {objective: min val_loss, over: {vars.share: [0.3, 0.6], train.optimizer.lr: [0.1, 0.01]}}\n")
    c.mlc("sweep", spec, "--out", c.path("run"), *c.device, "--quiet")
    for trial in (1, 3, 4):
        c.run(c.path("run", f"trial{trial}", "spec.yaml"), "--quiet", out="alone")
        need(tensors_of(c.checkpoint("alone")) == tensors_of(c.checkpoint(f"run/trial{trial}")), f"trial {trial} has not trained on its rows")


@test
def positive_class_has_index_one(c):
    """Of names, and of indices beside names: the same rows are positive."""
    c.write("names.csv", "a,y\n" + "".join(f"{i},{'no' if i < 12 else 'yes'}\n" for i in range(20)))
    c.write("codes.csv", "a,y\n" + "".join(f"{i},{int(i >= 12)}\n" for i in range(20)))
    for name in ("names", "codes"):
        spec = c.write(name + ".yaml", f"""
data: {{reader: csv, train: {{path: {name}.csv}}, test: {{path: {name}.csv}}, target: y, classes: ["no", "yes"], positive: "no", transforms: [standardize]}}
model: [{{linear: 1}}]
train: {{epochs: 200, batch_size: 20, loss: bce_with_logits, optimizer: {{type: adam, lr: 0.1}}}}
eval: {{metrics: [recall, accuracy], report: [classification_report]}}
""")
        done = c.run(spec, out=name)
        rows = [line.split() for line in done.err.splitlines() if line.split()[:1] in (["no"], ["yes"])]
        need([r[0] for r in rows] == ["yes", "no"] and [r[-1] for r in rows] == ["8", "12"], f"{name}: classes {rows}")
        lines = c.mlc("predict", c.path(name), "--input", "-", stdin="a\n1\n19\n").out.splitlines()
        need([line.split(",")[0] for line in lines[1:]] == ["no", "yes"], f"{name}: predicted {lines}")


@test
def ignored_labels_count_nowhere(c):
    """The label of a token is the token, but half of the labels are -100: a loss that learns the others makes all that count right."""
    tokens = [i * 7 % 5 for i in range(96)]
    labels = [t if i % 2 else -100 for i, t in enumerate(tokens)]
    tensors.write(c.path("tokens.safetensors"), {"x": tensors.Tensor("I32", (24, 4), array.array("i", tokens)), "y": tensors.Tensor("I64", (24, 4), array.array("q", labels))})
    text = """data: {reader: safetensors, train: {path: tokens.safetensors, x: x, y: y}, split: {train: 0.5, val: 0.25, test: 0.25}}
model: [{embedding: {num_embeddings: 5, embedding_dim: 5}}, {linear: 5}]
train: {epochs: 80, batch_size: 6, loss: {type: cross_entropy, ignore_index: -100, weight: balanced}, optimizer: {type: adam, lr: 0.1}}
eval: {metrics: [accuracy, perplexity, f1], report: [confusion_matrix, classification_report]}
"""
    done = c.run(c.write("tokens.yaml", text), "--json")
    for key in ("val_accuracy", "val_f1"):
        need(done.summary[key] == 1, f"{key} {done.summary[key]}")
    need(done.summary["val_perplexity"] < 1.1, f"val_perplexity {done.summary['val_perplexity']}")
    whole = c.mlc("eval", c.path("run"), "--json").out
    need('"test_accuracy":1.0' in whole.replace(" ", ""), whole)
    # By formula; and masks of bytes, where 255 is no class.
    by_formula = text.replace("{type: cross_entropy, ignore_index: -100, weight: balanced}", "'cross_entropy(output, y, ignore_index=-100)'")
    need(c.run(c.write("formula.yaml", by_formula), "--json").summary["val_accuracy"] == 1, "by formula")
    tensors.write(c.path("bytes.safetensors"), {"x": tensors.Tensor("I32", (24, 4), array.array("i", tokens)), "y": tensors.Tensor("U8", (24, 4), array.array("B", [l % 256 if l >= 0 else 255 for l in labels]))})
    masks = c.write("bytes.yaml", text.replace("tokens.safetensors", "bytes.safetensors").replace("-100", "255").replace("}}\nmodel", "}, classes: 5}\nmodel"))
    need(c.run(masks, "--json").summary["val_accuracy"] == 1, "masks of bytes")
    need("holds the index 255 in row 1 of bytes.safetensors, which is no class" in c.run(masks, "--set", "train.loss=cross_entropy", status=1).err, "an index that nothing ignores")


@test
def a_key_may_be_none(c):
    c.write("base.yaml", "data: {dataset: iris}\nmodel: [{linear: 3}]\ntrain: {epochs: 1, loss: cross_entropy, optimizer: sgd}\nexpect: {parameters: 99}\n"
            "sweep: {objective: train_loss, over: {train.batch_size: [8, 16]}}\n")
    wider = c.write("wider.yaml", "include: base.yaml\nexpect: none\nsweep: none\n")
    need("15 parameters" in c.mlc("check", wider).out, "an included `expect` is gone")
    need("has no 'sweep'" in c.mlc("sweep", wider, status=1).err, "an included `sweep` is gone")
    base = c.path("base.yaml")
    for sets in (["--set", "expect=none"], ["--set", "expect.parameters=none"]):
        need("15 parameters" in c.mlc("check", base, *sets).out, str(sets))
    need("'train' needs 'epochs'" in c.mlc("check", base, "--set", "expect=none", "--set", "train.epochs=none", status=1).err, "what is needed is missed")


@test
def another_reader_takes_over_what_is_done_with_rows(c):
    c.write("base.yaml", "data: {reader: synthetic, train: {rows: 40, x: [4], y: 5}, split: {train: 0.5, test: 0.5}, transforms: [standardize]}\n"
            "model: [{linear: data.classes}]\ntrain: {epochs: 1, loss: cross_entropy, optimizer: sgd}\n")
    of = {name: c.write(name + ".yaml", "include: base.yaml\n" + data) for name, data in (("same", "data: {train: {rows: 20}}\n"), ("other", "data: {dataset: iris}\n"))}
    need("25 parameters" in c.mlc("check", of["same"]).out, "of the same reader all else stays")
    need("15 parameters" in c.mlc("check", of["other"]).out, "the classes are those of the dataset")
    shown = c.mlc("show", of["other"]).out
    for line in ("test: 0.5", "standardize"):
        need(line in shown, line + " is taken over")
    need("rows: 40" not in shown and "synthetic" not in shown, "the rows of the other reader are gone")


TWO_TARGETS = """data:
  reader: csv
  path: two.csv
  target: {kind: kind, size: size}
  classes: {kind: [x, y, z]}
  split: {test: 0.2, k_fold: 3}
vars: {width: 4}
model:
  layers: [{linear: width}, {relu: {}, as: h}, {linear: 3, as: species}, {linear: 1, as: extent, from: h}]
  outputs: [species, extent]
train: {epochs: 2, loss: 'cross_entropy(species, kind, weight="balanced") + mse(extent, size)', optimizer: adam}
eval: {metrics: [accuracy, mae]}
sweep: {objective: max val_species_accuracy, over: {vars.width: [2, 4]}}
"""


@test
def folds_of_several_targets(c):
    c.write("two.csv", "a,b,kind,size\n" + "".join(f"{i % 7},{i * 5 % 11},{'xyz'[i % 3]},{i % 7 / 2}\n" for i in range(60)))
    spec = c.write("two.yaml", TWO_TARGETS)
    summary = c.run(spec, "--json").summary
    need({"val_loss", "val_species_accuracy", "val_extent_mae", "test_extent_mae"} <= summary.keys(), str(summary))
    alone = c.run(spec, "--set", "data.split.fold=2", "--json").summary
    need("val_extent_mae" in alone, str(alone))
    # A trial of a sweep is the mean of its folds.
    table = c.mlc("sweep", spec, "--out", c.path("sweep")).out
    wide = next(line.split() for line in table.splitlines() if line.split()[:2] == ["2", "4"])
    need(abs(float(wide[2]) - summary["val_species_accuracy"]) < 1e-3, table)
    need(all(os.path.isdir(c.path(f"sweep/trial{t}/fold{f}")) for t in (1, 2) for f in (1, 2, 3)), "a fold of a trial has no folder")
@test
def weights_are_renamed_when_loaded(c):
    """The first rule that matches a path decides; the file's names go through `rename`; what the file has beyond is a note."""
    spec = """data: {dataset: iris, split: {train: 0.8, test: 0.2}, transforms: [standardize]}
model: [{linear: 8, as: BODY}, batch_norm, tanh, {linear: 3, as: HEAD}]
train: {steps: 20, batch_size: 16, loss: cross_entropy, optimizer: {type: sgd, lr: RATE}}
"""
    c.run(c.write("a.yaml", spec.replace("BODY", "body").replace("HEAD", "fc").replace("RATE", "0.1")), out="a")
    shutil.copy(c.path("a", "checkpoints", "last.safetensors"), c.path("a.safetensors"))
    rules = """init:
  - {match: "head.bias", constant: 0.5}
  - {match: "*", load: a.safetensors, rename: {"body.*": "trunk.stem.*", "fc.*": "head.*"}}
"""
    b = spec.replace("{linear: 8, as: BODY}", "{layers: [{linear: 8, as: stem}], as: trunk}").replace("HEAD", "head").replace("RATE", "0").replace("batch_norm,", "batch_norm,")
    c.run(c.write("b.yaml", b + rules), out="b")
    first, second = tensors_of(c.checkpoint("a")), tensors_of(c.checkpoint("b"))
    for name, renamed in (("body.weight", "trunk.stem.weight"), ("fc.weight", "head.weight"), ("batch_norm1.weight", "batch_norm1.weight")):
        need(first[name] == second[renamed], f"{renamed} is not what {name} was")
    need(second["head.bias"] == struct.pack("<3f", 0.5, 0.5, 0.5), "head.bias is not 0.5")
    done = c.run(c.write("c.yaml", b + rules.replace('"fc.*"', '"fd.*"')), out="c", status=1)
    need("c.yaml:" in done.err and "'fd.*' matches no tensor of a.safetensors; did you mean 'fc.*'?" in done.err, done.err)
    done = c.run(c.write("d.yaml", b + rules.replace(', "fc.*": "head.*"', "")), out="d", status=1)
    need("d.yaml:" in done.err and "has no tensor 'head.weight'" in done.err, "no place and name in\n" + done.err)
    done = c.run(c.write("e.yaml", b + rules.replace('"fc.*"', '"*f*"')), out="e", status=1)
    need("'*f*' of rename: one star at most" in done.err, done.err)
