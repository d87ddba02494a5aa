"""The end-to-end tests. Each takes a run.Context and returns a remark or nothing; it raises Failure or Skip."""
import json
import os
import re
import signal
import struct

TESTS = {}


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def test(function):
    TESTS[function.__name__] = function
    return function


def need(condition, text):
    if not condition:
        raise Failure(text)


# The shipped specs ------------------------------------------------------------------------------------------------------
def reaches(c, name, metric, least, parameters=None, flags=(), data=None):
    summary = c.run(c.spec(name), "--json", *flags, data=data).summary
    found = summary[metric]
    need(found >= least, f"{metric} {found:.4f}, below {least}")
    need(parameters in (None, summary["parameters"]), f"{summary['parameters']} parameters instead of {parameters}")
    return f"{metric} {found:.4f}"


@test
def iris_accuracy(c):
    return reaches(c, "iris", "test_accuracy", 0.95, 243)


@test
def breast_cancer_accuracy(c):
    return reaches(c, "breast_cancer", "test_accuracy", 0.95, 4097)


@test
def wine_accuracy(c):
    return reaches(c, "wine", "test_accuracy", 0.93, 579)


@test
def digits_accuracy(c):
    return reaches(c, "digits", "test_accuracy", 0.93)


@test
def transfer_accuracy(c):
    return reaches(c, "transfer", "test_accuracy", 0.93)


@test
def diabetes_r2(c):
    return reaches(c, "diabetes", "test_r2", 0.35)


@test
def mnist_accuracy(c):
    if not c.data:
        raise Skip("no mnist folder in $MLC_DATA or ../shared/data")
    if c.reference:
        raise Skip("too slow for the reference device")
    return reaches(c, "mnist", "test_accuracy", 0.97, 397510, data=c.data)


@test
def mnist_falls_back_loudly(c):
    flags = ("--set", "train.epochs=1")
    text = c.run(c.spec("mnist"), *flags).text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    need("fallback" in head.lower() and "digits" in head, "the start does not tell of the fallback:\n" + head)
    need("fallback" in tail.lower() and "digits" in tail, "the summary does not tell of the fallback:\n" + tail)
    summary = c.run(c.spec("mnist"), "--json", *flags, out="again").summary
    need("digits" in summary["dataset"], f"the summary's dataset is {summary['dataset']}")
    need(summary["parameters"] == 397510, f"{summary['parameters']} parameters")


# On the bundled digits, enlarged.
@test
def cnn_accuracy(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    return reaches(c, "cnn_mnist", "test_accuracy", 0.9, 20490, flags=("--set", "train.epochs=4"))


@test
def convolutional_specs_count(c):
    for name, parameters in (("resnet18", "11,689,512"), ("resnet18_32", "11,173,962")):
        out = c.mlc("check", c.spec(name)).out
        need(f"{parameters} parameters" in out, f"{name} does not have {parameters} parameters:\n{out[-300:]}")


@test
def dcgan_counts(c):
    out = c.mlc("check", c.spec("dcgan")).out
    for network, parameters in (("generator", "3,576,704"), ("discriminator", "2,765,568")):
        need(re.search(rf"^{network} .* {parameters}$", out, re.M), f"the {network} does not have {parameters} parameters:\n{out}")


# Eight images of noise are learnt by heart: their loss starts at log 1000 and log 10.
@test
def residual_networks_train(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    found = []
    for name, size in (("resnet18", 32), ("resnet18_32", 16)):
        sets = {"data.train": f"{{rows: 8, x: [3, {size}, {size}], y: classes}}", "train.batch_size": 8, "train.epochs": 10, "train.optimizer.lr": 0.02}
        loss = c.run(c.spec(name), "--json", *(word for path, value in sets.items() for word in ("--set", f"{path}={value}"))).summary["train_loss"]
        need(loss < 0.05, f"{name}: the loss is {loss}")
        found.append(f"{name} {loss:.1e}")
    return ", ".join(found)


CATS_AND_DOGS = """data:
  reader: synthetic
  train: {rows: 8, x: [3, 180, 180], y: 2}
  transforms: [{random_flip: {horizontal: 0.5}}, {random_rotation: 10}, {random_affine: {degrees: 0, translate: [0.2, 0.2]}}]
blocks:
  stage(out):
    - conv2d: {out: out, kernel: 3, padding: same}
    - relu
vars: {widths: [32, 64, 128, 256]}
model:
  - layers: [{stage: "widths[i]"}, {max_pool2d: 2}]
    repeat: len(widths)
  - stage: 256
  - flatten
  - linear: 1
  - sigmoid
train: {epochs: 1, batch_size: 4, loss: bce, optimizer: {type: rmsprop, lr: 1e-4}}
expect: {parameters: 1009473}
"""


@test
def cats_and_dogs_count(c):
    out = c.mlc("check", c.write("spec.yaml", CATS_AND_DOGS)).out
    need("1,009,473 parameters" in out, out[-300:])


# Equal bits ---------------------------------------------------------------------------------------------------------------
def same_bits(c, spec, variants, *flags, data=None):
    weights = {}
    for variant in variants:
        out = "-".join(variant).replace("/", "") or "plain"
        c.run(spec, "--quiet", *variant, *flags, out=out, data=data)
        weights[" ".join(variant)] = c.checkpoint(out)
    first = next(iter(weights))
    for variant, found in weights.items():
        need(found == weights[first], f"last.safetensors differs between '{first}' and '{variant}'")


THREADS = [("--threads", n) for n in "123"]
LANES = [("--lanes", n) for n in ("4", "8", "16")]


@test
def iris_bits_of_threads_and_lanes(c):
    same_bits(c, c.spec("iris"), THREADS + LANES, "--set", "train.epochs=10")


@test
def breast_cancer_bits_of_threads_and_lanes(c):
    same_bits(c, c.spec("breast_cancer"), THREADS + LANES, "--set", "train.epochs=5")


@test
def diabetes_bits_of_threads_and_lanes(c):
    same_bits(c, c.spec("diabetes"), THREADS + LANES, "--set", "train.epochs=5")


@test
def mnist_bits_of_threads_and_lanes(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    same_bits(c, c.spec("mnist"), THREADS + LANES, "--set", "train.epochs=1", data=c.data)
    return "MNIST" if c.data else "on the fallback"


@test
def cnn_bits_of_threads_and_lanes(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    same_bits(c, c.spec("cnn_mnist"), THREADS + LANES, "--set", "train.steps=12")


@test
def bits_of_a_repeated_run(c):
    same_bits(c, c.spec("wine"), [(), ("--json",), ("--quiet",)], "--set", "train.epochs=5")


@test
def another_seed_gives_other_weights(c):
    c.run(c.spec("iris"), "--seed", "1", "--set", "train.epochs=2", out="a")
    c.run(c.spec("iris"), "--seed", "2", "--set", "train.epochs=2", out="b")
    need(c.checkpoint("a") != c.checkpoint("b"), "seeds 1 and 2 give the same weights")


@test
def shown_spec_gives_the_same_bits(c):
    shown = c.write("shown.yaml", c.mlc("show", c.spec("iris")).out)
    c.run(c.spec("iris"), "--set", "train.epochs=5", out="a")
    c.run(shown, "--set", "train.epochs=5", out="b")
    need(c.checkpoint("a") == c.checkpoint("b"), "the spec that `show` prints trains other weights")


@test
def kept_spec_gives_the_same_bits(c):
    c.run(c.spec("iris"), "--set", "train.epochs=5", out="a")
    c.run(c.path("a", "spec.yaml"), out="b")
    need(c.checkpoint("a") == c.checkpoint("b"), "the spec of the run folder trains other weights")


# The run folder -----------------------------------------------------------------------------------------------------------
@test
def run_folder_is_complete(c):
    events = c.run(c.spec("iris"), "--json").events
    for name in ("spec.yaml", "metrics.jsonl", "checkpoints/last.safetensors"):
        need(os.path.getsize(c.path("run", name)) > 0, name + " is empty")
    with open(c.path("run", "metrics.jsonl"), encoding="utf-8") as file:
        kept = [json.loads(line) for line in file]
    need([e for e in kept if e["event"] == "epoch"] == [e for e in events if e["event"] == "epoch"], "metrics.jsonl and --json differ in their epochs")


@test
def eval_repeats_the_summary(c):
    summary = c.run(c.spec("iris"), "--json").summary
    found = c.mlc("eval", c.path("run"), "--json").events
    values = {k: v for e in found for k, v in e.items()}
    for key in ("test_accuracy", "test_loss"):
        need(abs(values[key] - summary[key]) < 1e-9, f"eval gives {key} {values[key]}, the run {summary[key]}")


def tensors_of(checkpoint):
    """Name -> bytes, without the place in the training."""
    (size,) = struct.unpack("<Q", checkpoint[:8])
    header, data = json.loads(checkpoint[8 : 8 + size]), checkpoint[8 + size :]
    return {k: data[slice(*v["data_offsets"])] for k, v in header.items() if k != "__metadata__" and not k.startswith("train.")}


def iris_rows():
    return [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]


@test
def predict_reads_safetensors(c):
    c.run(c.spec("iris"), "--quiet")
    header = json.dumps({"x": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}).encode()
    with open(c.path("x.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + struct.pack("<12f", *(v for row in iris_rows() for v in row)))
    c.mlc("predict", c.path("run"), "--input", c.path("x.safetensors"), "--output", c.path("y.safetensors"))
    with open(c.path("y.safetensors"), "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    begin, end = header["class"]["data_offsets"]
    classes = struct.unpack({"I32": "<3i", "I64": "<3q"}[header["class"]["dtype"]], data[begin:end])
    need(classes == (0, 1, 2), f"classes {classes} of a setosa, a versicolor and a virginica")
    begin, end = header["probability"]["data_offsets"]
    probability = struct.unpack("<9f", data[begin:end])
    for row in range(3):
        need(abs(sum(probability[3 * row : 3 * row + 3]) - 1) < 1e-5, "probabilities do not sum to 1")


@test
def predict_reads_csv(c):
    c.run(c.spec("iris"), "--quiet")
    with open(os.path.join(os.path.dirname(c.spec("iris")), "data", "iris.csv"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    c.write("rows.csv", "\n".join(lines[:2] + lines[60:61] + lines[140:141]) + "\n")
    out = c.mlc("predict", c.path("run"), "--input", c.path("rows.csv")).out
    for name in ("setosa", "versicolor", "virginica"):
        need(name in out, f"no {name} in\n{out}")


PASSENGERS = """data:
  reader: csv
  path: passengers.csv
  target: fate
  classes: [lost, saved]
  types: {sex: category}
  missing: {tokens: ["?"], fill: mean}
  transforms: [{one_hot: {columns: [sex]}}]
model: [{linear: 2}]
train: {steps: 400, batch_size: 8, loss: cross_entropy, optimizer: {type: adam, lr: 0.05}}
"""


@test
def predict_keeps_categories_and_means(c):
    """Labels of a category, means of missing values and names of classes are those of the training, with no data at hand."""
    c.write("passengers.csv", "age,sex,fate\n" + "".join(f"{age},{sex},{fate}\n" for age, sex, fate in
            [(20, "m", "lost"), (30, "f", "saved"), (40, "m", "lost"), (10, "f", "saved"), ("?", "m", "lost"), (50, "f", "saved"), (25, "m", "lost"), (35, "f", "saved")]))
    c.run(c.write("spec.yaml", PASSENGERS), "--quiet")
    os.remove(c.path("passengers.csv"))
    # Other order, one label only, a column too many; the mean of the training, 30, stands for "?".
    rows = "sex,name,age\nf,Ann,30\nf,Eve,?\n"
    lines = c.mlc("predict", c.path("run"), "--input", "-", stdin=rows).out.splitlines()
    need(lines[0] == "class,lost,saved" and lines[1].startswith("saved,"), f"printed {lines}")
    need(lines[1] == lines[2], f"a missing age is not the mean of training: {lines}")
    err = c.mlc("predict", c.path("run"), "--input", "-", stdin="age,sex\n30,x\n", status=1).err
    need("standard input:2: error: column 'sex': 'x' is none of the labels that the training data had: f, m" in err, err)


# Text -----------------------------------------------------------------------------------------------------------------------
@test
def sonnets_are_learnt(c):
    summary = c.run(c.spec("sonnets"), "--json").summary
    need(summary["val_loss"] < 2.6, f"val_loss {summary['val_loss']:.3f}; chance is 3.93")
    need(abs(summary["val_perplexity"] - 2.718281828 ** summary["val_loss"]) < 1e-3 * summary["val_perplexity"], "perplexity is not exp of the loss")
    prompt = ("predict", c.path("run"), "--prompt", "When I", "--length", "40")
    texts = [c.mlc(*prompt, "--seed", "3", *more).out for more in ((), ("--threads", "1"), ("--lanes", "4"), ("--temperature", "0"), ("--top-k", "1"))]
    need(texts[0] == texts[1] == texts[2], f"one seed gives several texts: {texts[:3]}")
    need(texts[3] == texts[4], "the likeliest token is not the only one of the first")
    need(all(t.startswith("When I") and len(t) == 47 for t in texts), f"texts of other lengths: {texts}")
    need(c.mlc(*prompt, "--seed", "4").out != texts[0], "two seeds give one text")
    # Longer than the window, from standard input.
    long = "So long as men can breathe, or eyes can see, so long"
    out = c.mlc("predict", c.path("run"), "--prompt", "-", "--length", "5", stdin=long).out
    need(out.startswith(long) and len(out) == len(long) + 6, out)
    err = c.mlc("predict", c.path("run"), "--prompt", "caf\u00e9", status=1).err
    need("the prompt's character 4, '\u00e9' (U+00E9), is not among the" in err, err)
    return f"val_loss {summary['val_loss']:.3f}"


BIGRAM = """data: {reader: text, train: {path: t.txt, tokens: byte, window: 8, stride: 1}}
model: [{embedding: {num_embeddings: data.vocab, embedding_dim: 16}}, MIDDLE{linear: data.vocab}]
train: {steps: 150, batch_size: 16, loss: cross_entropy, optimizer: {type: adam, lr: 0.03}}
eval: {report: [{generate: {prompt: a, length: 6, temperature: 0}}]}
"""


@test
def bytes_are_generated(c):
    c.write("t.txt", "abcd" * 20)
    text = c.run(c.write("spec.yaml", BIGRAM.replace("MIDDLE", ""))).text
    need("abcdabc\n" in text, "no sample in\n" + text)
    # Rows of tokens, as i64 too: a class for each position, and no line of CSV.
    header = json.dumps({"x": {"dtype": "I64", "shape": [2, 8], "data_offsets": [0, 128]}}).encode()
    with open(c.path("x.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + struct.pack("<16q", *b"abcdabcd", *b"dabcdabc"))
    c.mlc("predict", c.path("run"), "--input", "x.safetensors", "--output", "y.safetensors")
    with open(c.path("y.safetensors"), "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    begin, end = header["class"]["data_offsets"]
    need(header["class"]["shape"] == [2, 8] and bytes(struct.unpack("<16i", data[begin:end])) == b"bcdabcdaabcdabcd", f"classes {header['class']}")
    err = c.mlc("predict", c.path("run"), "--input", "x.safetensors", status=1).err
    need("a row of the result is [8, 256], no line of CSV" in err, err)
    # What comes behind a token must not matter where the window is not full.
    c.run(c.write("open.yaml", BIGRAM.replace("MIDDLE", "{transformer_block: {heads: 2}}, ").replace("eval: {report: [{generate: {prompt: a, length: 6, temperature: 0}}]}\n", "")), "--quiet", out="open")
    err = c.mlc("predict", c.path("open"), "--prompt", "ab", status=1).err
    need("the model is not causal" in err, err)
    err = c.mlc("predict", c.path("open"), "--prompt", "ab", "--input", "t.txt", status=2).err
    need("--input FILE, or --prompt TEXT" in err, err)


# Targets of noise, of variance 1, are learnt by heart.
@test
def transformer_block_trains(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    sets = ("data.train={rows: 8, x: [16, 384], y: [16, 384]}", "train.epochs=30", "expect.output=[16, 384]")
    loss = c.run(c.spec("transformer_block"), "--json", *(word for text in sets for word in ("--set", text))).summary["train_loss"]
    need(loss < 0.1, f"the loss is {loss}")
    return f"train_loss {loss:.3f}"


# Chance is 4.17, and what frequencies of characters alone give 3.3.
@test
def plays_are_learnt(c):
    if not c.data or not os.path.exists(os.path.join(c.data, "text", "tinyshakespeare.txt")):
        raise Skip("no text/tinyshakespeare.txt in $MLC_DATA or ../shared/data")
    if c.reference:
        raise Skip("too slow for the reference device")
    sets = ("train.steps=40", "train.schedule.warmup=10 steps", "train.validate.every=1 epoch", "data.subset={val: 0..64}")
    summary = c.run(c.spec("char_transformer"), "--json", *(word for text in sets for word in ("--set", text)), data=c.data).summary
    need(summary["parameters"] == 810049 and summary["val_loss"] < 3, f"{summary['parameters']} parameters, val_loss {summary['val_loss']:.3f}")
    return f"val_loss {summary['val_loss']:.3f}"


@test
def text_without_its_file(c):
    err = c.mlc("check", c.spec("char_transformer"), status=1).err
    need("to check without the data, write data.classes" in err, err)
    out = c.mlc("check", c.spec("char_transformer"), "--set", "data.classes=65").out
    need("checked against what the spec says of the data" in out and "810,049 parameters, output [128, 65]" in out, out)


# Training features ----------------------------------------------------------------------------------------------------------
VALIDATED = """data: {dataset: iris, split: {train: 0.6, val: 0.2, test: 0.2}, transforms: [standardize]}
model: [{linear: 8}, relu, {linear: 3}]
train: {epochs: 30, batch_size: 16, loss: cross_entropy, optimizer: {type: adam, lr: 0.05}}
eval: {metrics: [accuracy]}
"""


def epochs_of(done):
    return [e for e in done.events if e["event"] == "epoch"]


@test
def checkpoint_keeps_the_best_in_order(c):
    spec = c.write("kept.yaml", VALIDATED)
    done = c.run(spec, "--set", "train.checkpoint={monitor: val_loss, keep: 2}", "--json")
    files = sorted(os.listdir(c.path("run", "checkpoints")))
    need(files == ["best.safetensors", "best2.safetensors", "last.safetensors"], f"checkpoints {files}")
    losses = sorted((e["val_loss"], e["epoch"]) for e in epochs_of(done))
    # Weights of epoch n are those of a run of n epochs.
    for name, (loss, epoch) in zip(("best", "best2"), losses):
        c.run(spec, "--set", f"train.epochs={epoch}", "--quiet", out=name)
        need(tensors_of(c.checkpoint(name)) == tensors_of(c.checkpoint("run", name)), f"{name} is not the checkpoint of epoch {epoch}")
    need(done.summary["val_loss"] == losses[0][0], "the summary does not tell the best checkpoint's loss")
    found = json.loads(c.mlc("eval", c.path("run"), "--json").out)
    need(abs(found["test_loss"] - done.summary["test_loss"]) < 1e-9, "the test rows were not evaluated with the best weights")
    c.run(spec, "--set", "train.epochs=1", "--quiet")
    need(os.listdir(c.path("run", "checkpoints")) == ["last.safetensors"], "checkpoints of the run before are still there")


@test
def early_stopping_ends_and_restores(c):
    spec = c.write("stopped.yaml", VALIDATED)
    stop = "train.early_stopping={monitor: val_loss, patience: 2, restore_best: true}"
    done = c.run(spec, "--set", stop, "--set", "train.epochs=300", "--set", "train.optimizer.lr=0.3", "--json")
    losses = [e["val_loss"] for e in epochs_of(done)]
    best = losses.index(min(losses))
    need(len(losses) == best + 3 < 300, f"ends after epoch {len(losses)}, best was {best + 1}")
    need("val_loss has not improved for 2 validations" in done.err, done.err[-600:])
    c.run(spec, "--set", f"train.epochs={best + 1}", "--set", "train.optimizer.lr=0.3", "--quiet", out="short")
    need(tensors_of(c.checkpoint("short")) == tensors_of(c.checkpoint()), "the weights of the best epoch were not restored")


@test
def k_fold_trains_each_fold(c):
    spec = c.write("folds.yaml", VALIDATED.replace("train: 0.6, val: 0.2, test: 0.2", "test: 0.2, k_fold: 4"))
    done = c.run(spec, "--json", "--quiet")
    folds = [e for e in done.events if e["event"] == "fold"]
    need([e["fold"] for e in folds] == [1, 2, 3, 4], f"folds {[e['fold'] for e in folds]}")
    for key in ("val_loss", "val_accuracy", "test_accuracy", "train_loss"):
        mean = sum(e[key] for e in folds) / 4
        need(abs(done.summary[key] - mean) < 1e-12, f"{key} is {done.summary[key]}, the mean of the folds {mean}")
    need(len({e["val_loss"] for e in folds}) == 4, "two folds have the same validation loss")
    need(all(e["compile_ms"] == 0 for e in folds[1:]), f"folds of the same shape were compiled again: {[e['compile_ms'] for e in folds]}")
    found = json.loads(c.mlc("eval", c.path("run", "fold2"), "--part", "val", "--json").out)
    need(found["rows"] == 30 and abs(found["val_accuracy"] - folds[1]["val_accuracy"]) < 1e-9, f"eval of fold 2: {found}")
    c.run(spec, "--set", "data.split.fold=3", "--quiet", out="third")
    need(tensors_of(c.checkpoint("third")) == tensors_of(c.checkpoint("run/fold3")), "`fold: 3` alone trains other weights")
    need("mean" in c.run(spec).err, "no table of folds")


SWEEP = "sweep={method: random, trials: 4, objective: max val_accuracy, over: {vars.width: [4, 8], train.optimizer.lr: {log: [1e-3, 0.3]}}}"


@test
def sweep_compares_trials(c):
    spec = c.write("swept.yaml", "vars: {width: 8}\n" + VALIDATED.replace("linear: 8", "linear: width"))
    run = lambda out, *flags: c.mlc("sweep", spec, "--out", c.path(out), *c.device, *flags)
    done = run("a", "--set", SWEEP, "--json", "--quiet")
    trials = [e for e in done.events if e["event"] == "trial"]
    need([t["trial"] for t in trials] == [1, 2, 3, 4], f"trials {trials}")
    best = max(trials, key=lambda t: t["val_accuracy"])
    need(done.summary["value"] == best["val_accuracy"] == best["objective"], f"the best of {[t['val_accuracy'] for t in trials]} is {done.summary}")
    again = [e for e in run("b", "--set", SWEEP, "--json", "--quiet").events if e["event"] == "trial"]
    need([t["values"] for t in again] == [t["values"] for t in trials], "the same seed draws other values")
    need(len({t["values"]["train.optimizer.lr"] for t in trials}) == 4, "two trials drew the same rate")
    # A trial is the run that its values describe, and its folder says which.
    t = trials[1]
    sets = [word for path, value in t["values"].items() for word in ("--set", f"{path}={value}")]
    c.run(spec, *sets, "--quiet", out="plain")
    need(tensors_of(c.checkpoint("plain")) == tensors_of(c.checkpoint("a/trial2")), "trial 2 is not the run of its values")
    c.run(c.path("a", "trial2", "spec.yaml"), "--quiet", out="kept")
    need(tensors_of(c.checkpoint("kept")) == tensors_of(c.checkpoint("plain")), "the spec of trial 2 trains other weights")


@test
def sweep_of_rates_compiles_once(c):
    spec = c.write("rates.yaml", VALIDATED + "sweep: {objective: min val_loss, over: {train.batch_size: [16, 32], train.optimizer.lr: [0.1, 0.01, 0.001]}}\n")
    done = c.mlc("sweep", spec, "--out", c.path("run"), *c.device, "--json", "--quiet")
    trials = [e for e in done.events if e["event"] == "trial"]
    need([t["compile_ms"] > 0 for t in trials] == [True, False, False] * 2, f"compiled in {[t['compile_ms'] for t in trials]} ms")
    need(len({t["val_loss"] for t in trials}) == 6, "trials share their results")
    lines = c.mlc("sweep", spec, "--out", c.path("run"), *c.device, "--quiet").out.splitlines()
    losses = [float(line.split()[3]) for line in lines[1:]]
    need(lines[0].split()[:4] == ["trial", "train.batch_size", "train.optimizer.lr", "val_loss"] and losses == sorted(losses) and len(losses) == 6, "\n".join(lines))
    done = c.mlc("sweep", spec, "--out", c.path("run"), *c.device, "--json", "--quiet", "--set", "train.optimizer={type: sgd}", "--set", "sweep.over={train.optimizer.lr: [1e30, 0.1]}")
    need(done.summary["best"] == 2, "a trial that ends in nan is the best, or ends the sweep")


BODY = """seed: 1
data: {dataset: digits, split: {train: 0.5, val: 0.2, test: 0.3}, transforms: [to_float, flatten]}
model: [{linear: 24, as: body}, batch_norm, relu, {linear: 10, as: head}]
train: {epochs: 6, batch_size: 32, loss: cross_entropy, optimizer: {type: adam, lr: 0.01}}
eval: {metrics: [accuracy]}
"""


@test
def transfer_thaws_a_loaded_body(c):
    c.run(c.write("body.yaml", BODY), "--quiet", out="body")
    spec = c.write("transfer.yaml", BODY.replace("seed: 1", "seed: 2") + """init:
  - {match: "head.*", normal: {std: 0.01}}
  - {match: "*", load: body/checkpoints/last.safetensors}
""")
    rules = "train.params=[{match: 'head.*'}, {match: '*', lr: lr / 10, frozen: until 2 epochs}]"
    names = ("body.weight", "body.bias", "batch_norm1.weight", "batch_norm1.running_mean")
    start = tensors_of(c.checkpoint("body"))
    done = c.run(spec, "--set", rules, "--set", "train.epochs=2", "--json", out="frozen")
    frozen = tensors_of(c.checkpoint("frozen"))
    need(all(frozen[n] == start[n] for n in names), "a frozen tensor has moved, or was not loaded")
    need(frozen["head.weight"] != start["head.weight"], "the head was loaded too")
    need(done.summary["test_accuracy"] > 0.85, f"test accuracy {done.summary['test_accuracy']} with a new head on a trained body")
    c.run(spec, "--set", rules, "--set", "train.epochs=3", "--quiet", out="thawed")
    thawed = tensors_of(c.checkpoint("thawed"))
    need(all(thawed[n] != start[n] for n in names), "a thawed tensor has not moved")
    need("optimizer.m.body.weight" in thawed, "a thawed parameter has no slots")


@test
def groups_stay_in_one_part(c):
    rows = [f"{i % 7 * 0.1:.1f},{i % 5 * 0.3:.1f},{'abcdefgh'[i % 8]},{i % 3 * 1.5}" for i in range(96)]
    c.write("rows.csv", "a,b,who,y\n" + "\n".join(rows) + "\n")
    spec = c.write("groups.yaml", """data: {reader: csv, path: rows.csv, target: y, split: {train: 0.5, val: 0.25, test: 0.25, group: who}}
model: [{linear: 1}]
train: {epochs: 1, loss: mse, optimizer: sgd}
expect: {parameters: 3}
""")
    header = c.run(spec, "--json").events[0]
    need((header["train_rows"], header["val_rows"], header["test_rows"]) == (48, 24, 24), f"parts {header}")
    c.run(spec, "--set", "data.split={k_fold: 8, group: who}", "--quiet")
    need("9" in c.run(spec, "--set", "data.split={k_fold: 9, group: who}", status=1).err, "nine folds of eight groups")
    c.run(spec, "--set", "data.columns=[a, b, who]", status=1)  # a selected group column is a feature, and this one is text


# Streams ------------------------------------------------------------------------------------------------------------------
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@test
def piped_output_has_no_control_characters(c):
    for flags in ((), ("--quiet",), ("--json",)):
        text = c.run(c.spec("iris"), *flags, out="run" + "".join(flags)).text
        need(not CONTROL.search(text), f"run {' '.join(flags)}: {CONTROL.search(text)}")
    for command in (("check", c.spec("iris")), ("show", c.spec("iris")), ("doctor",), ("doc", "linear")):
        text = c.mlc(*command).text
        need(not CONTROL.search(text), f"{command[0]}: {CONTROL.search(text)}")


@test
def json_has_its_events(c):
    events = c.run(c.spec("iris"), "--json").events
    kinds = [e["event"] for e in events]
    need(kinds[0] == "header" and kinds[-1] == "summary", f"events {kinds[0]} ... {kinds[-1]}")
    epochs = [e for e in events if e["event"] == "epoch"]
    need([e["epoch"] for e in epochs] == list(range(1, 101)), f"epochs {[e['epoch'] for e in epochs]}")
    for key in ("epoch", "step", "seconds", "train_loss", "lr"):
        need(key in epochs[0], f"an epoch has no {key}")
    for key in ("parameters", "epochs", "steps", "train_loss", "test_accuracy", "step_ms", "compile_ms", "first_step_ms", "seconds", "peak_rss_mb", "device",
                "threads", "dataset", "run"):
        need(key in events[-1], f"the summary has no {key}")


@test
def quiet_prints_the_folder_only(c):
    done = c.run(c.spec("iris"), "--quiet")
    need(len(done.text.splitlines()) == 1 and c.path("run") in done.text, "--quiet prints\n" + done.text)


@test
def errors_go_to_stderr(c):
    spec = c.write("bad.yaml", "model:\n  - liner: 3\ntrain: {epochs: 1, loss: mse}\n")
    done = c.run(spec, status=1)
    need(re.search(r"bad\.yaml:2:5: error: .*linear", done.err), "no place and no nearest name in\n" + done.err)
    need(not done.out, "stdout holds\n" + done.out)


# Exit statuses --------------------------------------------------------------------------------------------------------------
@test
def statuses_of_wrong_use(c):
    for arguments, status in (((), 2), (("fly",), 2), (("run",), 2), (("run", c.spec("iris"), "--fast"), 2), (("run", c.path("none.yaml")), 1),
                              (("run", c.spec("iris"), "--set", "train.epochs"), 2), (("run", c.spec("iris"), "--set", "train.epoch=1"), 1),
                              (("run", c.spec("iris"), "--set", "train.epochs=some"), 1), (("check", c.spec("iris")), 0), (("eval", c.path("none")), 1),
                              (("predict", c.path("none"), "--input", c.path("none.csv")), 1), (("doc", "liner"), 1), (("--help",), 0)):
        done = c.mlc(*arguments, status=None)
        need(done.status == status, f"mlc {' '.join(arguments)} ends with {done.status} instead of {status}:\n{done.text[:500]}")
        need(status == 0 or done.err, f"mlc {' '.join(arguments)} says nothing on standard error")


@test
def infinite_rate_ends_with_3(c):
    done = c.run(c.spec("diabetes"), "--set", "train.optimizer={type: sgd, lr: 1e30}", status=3)
    need("not a number" in done.err or "nan" in done.err.lower(), "no reason in\n" + done.err)
    need("Traceback" not in done.err and "internal" not in done.err.lower(), done.err)


@test
def interrupt_writes_a_checkpoint(c):
    with c.start("run", c.spec("iris"), "--out", c.path("run"), *c.device, "--set", "train.epochs=1000000", "--json", start_new_session=True) as child:
        for line in child.stdout:
            if json.loads(line)["event"] == "epoch":
                break
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    need(child.returncode == 130, f"ends with {child.returncode}:\n{err[-800:]}")
    need("interrupted" in err, "does not say that it was interrupted:\n" + err[-800:])
    need(len(c.checkpoint()) > 243 * 4, "the checkpoint is too small")


# Without a device -----------------------------------------------------------------------------------------------------------
@test
def check_shows_shapes_and_memory(c):
    out = c.mlc("check", c.spec("mnist")).out
    for word in ("397510", "500", "10"):
        need(word in out.replace(",", ""), f"no {word} in\n{out}")


@test
def every_level_prints(c):
    for stage in ("spec", "graph", "grad", "fused", "plan", "loops", "llvm", "c"):
        need(len(c.mlc("dump-ir", c.spec("iris"), "--stage", stage).out) > 100, f"stage {stage} prints next to nothing")


# Looking at the compiler ---------------------------------------------------------------------------------------------------
@test
def profile_tells_kernels_and_lines(c):
    if c.reference:
        raise Skip("a profile needs compiled code")
    trace = c.path("trace.json")
    found = json.loads(c.mlc("profile", c.spec("iris"), "--steps", "50", "--threads", "1", "--json", "--trace", trace).out)
    need(found["steps"] >= 40, f"{found['steps']} steps measured")
    share = sum(k["share"] for k in found["kernels"])
    need(0.5 < share < 1.01, f"the kernels' shares sum to {share}")
    by_kernel = sum(k["us"] for k in found["kernels"])
    by_line = sum(line["forward_us"] + line["backward_us"] + line["update_us"] for line in found["lines"])
    need(abs(by_line - by_kernel) < 1e-6 * by_kernel + 1e-9, f"lines take {by_line} us, kernels {by_kernel} us")
    texts = [line["text"] for line in found["lines"]]
    need(sum("linear" in text for text in texts) == 3, f"three linear layers are not among the lines {texts}")
    layers = [line for line in found["lines"] if "linear" in line["text"]]
    need(all(line["forward_us"] > 0 and line["backward_us"] > 0 for line in layers), "a layer has no time in one direction")
    need(any(line["update_us"] > 0 for line in found["lines"]), "no line has the update")
    with open(trace, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    need({e["ph"] for e in events} == {"X"} and {e["args"]["step"] for e in events} == set(range(5)), "the trace does not hold complete events of five steps")


@test
def profile_as_a_table(c):
    if c.reference:
        raise Skip("a profile needs compiled code")
    out = c.mlc("profile", c.spec("wine"), "--steps", "20").out
    for text in ("bound by", "barriers and waiting", "line of the spec", "optimizer: "):
        need(text in out, f"'{text}' is not in the table")
    need(max(map(len, out.splitlines())) <= 100, "a line has more than 100 columns")
    need("device" in c.mlc("profile", c.spec("wine"), "--device", "reference", status=1).err, "the reference device is not refused")


@test
def check_shows_the_plan_and_the_largest_batch(c):
    out = c.mlc("check", c.spec("wine"), "--plan", "--memory", "1MB").out
    found = re.search(r"peak (\d+) bytes; live at most (\d+)", out)
    need(found and int(found[2]) <= int(found[1]) <= 1.25 * int(found[2]), "the plan has no peak near what lives at once")
    batch = int(re.search(r"largest batch within 1.0 MB: (\d+)", out)[1])
    memory = lambda size: c.mlc("check", c.spec("wine"), "--set", f"train.batch_size={size}", "--set", "train.drop_last=false", "--memory", "1MB").out
    need(batch > 32, f"the largest batch is {batch}")
    c.mlc("check", c.spec("wine"), "--memory", "much", status=2)
    need("no batch fits" in c.mlc("check", c.spec("wine"), "--memory", "10KB").out, "10 KB are enough")
    need(f": {batch}" in memory(batch), "the largest batch depends on the spec's")


@test
def check_compares_gradients(c):
    spec = lambda cube: c.write("grad.yaml", f"""data: {{dataset: wine, split: {{train: 0.8, test: 0.2}}, transforms: [standardize]}}
functions:
  cube(x):
    y: x**3
    grad: {{x: {cube}}}
  unused(a, b): a * sigmoid(b)
blocks:
  gain():
    params: {{weight: {{shape: [in.features], init: 1}}}}
    y: x * exp(weight)
model: [{{linear: 6}}, gain, batch_norm, {{dropout: 0.3}}, relu, cube, {{linear: 3}}]
train: {{epochs: 1, loss: cross_entropy, optimizer: adam}}
""")
    out = c.mlc("check", "--grad", spec("g * 3 * x**2")).out
    for row in ("cube by x (line 11)", "gain by x (line 11)", "unused by b", "loss by linear1.weight", "loss by gain1.weight", "loss by batch_norm1.bias"):
        need(row in out, f"no row '{row}' in\n{out}")
    need(" off" not in out and "11 gradients agree" in out, out)
    wrong = c.mlc("check", "--grad", spec("g * 2 * x**2"), status=1)
    need("grad.yaml:5:15: error: the gradient of 'cube' by 'x' is off" in wrong.err and wrong.err.count("error:") == 1, wrong.err)
    need("  off" in wrong.out, wrong.out)


# Tuning --------------------------------------------------------------------------------------------------------------------
@test
def tuning_keeps_bits_and_is_kept(c):
    spec, cache = c.spec("breast_cancer"), c.path("cache")
    if c.reference:
        need("device cpu" in c.run(spec, "--tune", status=1).err, "--tune without compiled code is not refused")
        return
    def run(out, *flags):
        text = c.run(spec, "--set", "train.epochs=3", "--threads", "1", *flags, out=out, cache=cache).text
        return text, tensors_of(c.checkpoint(out)), {name for name in os.listdir(cache) if not name.startswith("tuning-")}

    text, plain, _ = run("plain")
    need("tuned" not in text, "a run tunes unasked")
    text, tuned, code = run("tuned", "--tune")
    need(re.search(r"tuned \d+ contractions in .*, \d+ changed", text), "the run does not tell that it tuned")
    need(tuned == plain, "bits depend on tuning")
    with open(c.path("tuned", "tuning.json"), encoding="utf-8") as file:
        chosen = json.load(file)
    need(len(chosen) >= 6 and all(t["rows"] >= 1 and t["vectors"] >= 1 for t in chosen.values()), "the run does not hold its choices")
    kept = [name for name in os.listdir(cache) if name.startswith("tuning-")]
    need(len(kept) == 1, "the cache does not hold the choices")
    # A later run takes what the cache says: the same code, and other code where it says otherwise.
    _, later, same = run("later")
    need(same == code, "kept choices compile other code than the tuned run")
    with open(os.path.join(cache, kept[0]), "w", encoding="utf-8") as file:
        json.dump({name: {**t, "blocks_outside": not t["blocks_outside"]} for name, t in chosen.items()}, file)
    _, other, changed = run("other")
    need(changed != code, "kept choices are not used")
    need(later == other == plain, "bits depend on kept choices")
    with open(os.path.join(cache, kept[0]), "w", encoding="utf-8") as file:
        file.write("{ damaged")
    need(run("damaged")[1] == plain, "a damaged file of choices is no harm")
