"""What of the standard library only a whole run shows: the predictions of losses, the state of optimizers, where a block drops, the range of raw data."""
import json
import math
import struct

from tests import need, tensors_of, test


def header_of(checkpoint):
    (size,) = struct.unpack("<Q", checkpoint[:8])
    return json.loads(checkpoint[8:8 + size])


SPEC = "data: {reader: synthetic, train: {rows: 16, x: [3], y: Y}}\nmodel: [MODEL]\ntrain: {steps: 2, batch_size: 8, loss: LOSS, optimizer: {type: sgd, lr: 0.1}}\n"


def write_row(c):
    head = json.dumps({"x": {"dtype": "F32", "shape": [1, 3], "data_offsets": [0, 12]}}).encode()
    with open(c.path("x.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + struct.pack("<3f", 0.5, -1, 2))


def predicted(c, loss, y, model):
    """One row's output and probability, as `mlc predict` gives them."""
    c.run(c.write("spec.yaml", SPEC.replace("Y", y).replace("MODEL", model).replace("LOSS", loss)), "--quiet")
    write_row(c)
    c.mlc("predict", c.path("run"), "--input", c.path("x.safetensors"), "--output", c.path("y.safetensors"))
    with open(c.path("y.safetensors"), "rb") as file:
        found = tensors_of(file.read())
    return {name: struct.unpack(f"<{len(value) // 4}f", value) for name, value in found.items() if name in ("output", "probability")}


@test
def losses_predict(c):
    sigmoid, same = lambda v: 1 / (1 + math.exp(-v)), lambda v: v
    softmax = lambda row: [math.exp(v) / sum(map(math.exp, row)) for v in row]
    for loss, y, model, f in (("cross_entropy", "3", "{linear: 3}", softmax), ("nll", "3", "{linear: 3}, log_softmax", lambda row: [math.exp(v) for v in row]),
                              ("bce", "[2]", "{linear: 2}, sigmoid", same), ("bce_with_logits", "[2]", "{linear: 2}", sigmoid), ("focal", "[2]", "{linear: 2}", sigmoid),
                              ("dice", "[2]", "{linear: 2}, sigmoid", same), ("hinge", "[2]", "{linear: 2}", sigmoid)):
        found = predicted(c, loss, y, model)
        need("probability" in found, f"{loss} predicts no probability")
        expected = f(found["output"]) if y == "3" else [f(v) for v in found["output"]]
        need(all(abs(a - b) < 1e-5 for a, b in zip(expected, found["probability"], strict=True)), f"{loss} predicts {found}")
    # Numbers are predicted as they stand, log probabilities as probabilities: a network of one constant has the same mae under mse.
    def mae(loss, constant):
        spec = SPEC.replace("y: Y", "y: [1]}, val: {rows: 4, x: [3], y: [1]").replace("MODEL", f"{{linear: 1, init: {{weight: 0, bias: {constant}}}}}").replace("LOSS", loss)
        return c.run(c.write("spec.yaml", spec + "eval: {metrics: [mae]}\n"), "--set", "train.optimizer.lr=0", "--json").summary["val_mae"]

    for loss, constant in (("l1", 0.5), ("huber", 0.5), ("smooth_l1", 0.5), ("{type: kl_div, log_target: true}", math.exp(0.5))):
        need(abs(mae(loss, 0.5) - mae("mse", constant)) < 1e-6, f"{loss} predicts other numbers than {constant}")


@test
def predicted_classes_follow_the_threshold(c):
    for threshold, expected in ((0.4, 1), (0.5, 1), (0.6, 0)):
        spec = SPEC.replace("Y", "2").replace("MODEL", "{linear: {out: 1}, init: {weight: 0, bias: 0}}").replace("LOSS", "bce_with_logits").replace("lr: 0.1", "lr: 0")
        c.run(c.write("spec.yaml", spec + f"eval: {{threshold: {threshold}}}\n"), "--quiet")
        write_row(c)
        c.mlc("predict", c.path("run"), "--input", c.path("x.safetensors"), "--output", c.path("y.safetensors"))
        with open(c.path("y.safetensors"), "rb") as file:
            found = struct.unpack("<i", tensors_of(file.read())["class"])[0]
        need(found == expected, f"class {found} of a probability of 0.5 at a threshold of {threshold}")


SLOTS = {"sgd": (), "sgd, momentum: 0.9": ("b",), "adam": ("m", "v"), "adam, amsgrad: true": ("m", "top", "v"), "adamw": ("m", "v"), "adamw, amsgrad: true": ("m", "top", "v"), "nadam": ("m", "v"), "radam": ("m", "v"),
         "adamax": ("m", "u"), "rmsprop": ("v",), "rmsprop, momentum: 0.5": ("b", "v"), "rmsprop, centered: true": ("a", "v"), "adagrad": ("s",), "adadelta": ("u", "v"), "lion": ("m",), "lamb": ("m", "v")}


@test
def optimizers_keep_what_they_need(c):
    """A slot that no setting uses costs no memory."""
    for setting, slots in SLOTS.items():
        c.run(c.write("spec.yaml", SPEC.replace("Y", "[1]").replace("MODEL", "{linear: 1}").replace("LOSS", "mse")), "--set", f"train.optimizer={{type: {setting}}}", "--quiet")
        found = {name.split(".")[1] for name in header_of(c.checkpoint()) if name.startswith("optimizer.")}
        need(found == set(slots), f"{setting} keeps {sorted(found)} instead of {list(slots)}")


@test
def blocks_drop_where_they_say(c):
    """Draws of the training program: attention weights, and behind both branches of a transformer block."""
    data = "data: {reader: synthetic, train: {rows: 8, x: [3, 6], y: [3, 6]}}\n"
    for item, draws in (("attention: {heads: 2}", 0), ("attention: {heads: 2, dropout: 0.5}", 1), ("transformer_block: {heads: 2}", 0), ("transformer_block: {heads: 2, dropout: 0.5}", 3)):
        spec = c.write("spec.yaml", data + f"model: [{{{item}}}]\ntrain: {{steps: 1, batch_size: 8, loss: mse, optimizer: sgd}}\n")
        graph = c.mlc("dump-ir", spec, "--stage", "grad").out
        need(graph.count(" = uniform ") == draws, f"{item} draws {graph.count(' = uniform ')} times instead of {draws}")


@test
def bytes_become_zero_to_one(c):
    """Images of bytes 0, 51, 102, 255: the loss is the mean of what to_float makes of them."""
    with open(c.path("images.idx"), "wb") as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3I", 4, 2, 2) + bytes([0, 51, 102, 255] * 4))
    spec = c.write("spec.yaml", "data: {reader: idx, train: {x: images.idx}, transforms: [to_float]}\nmodel: [identity]\n"
                   "train: {steps: 1, batch_size: 4, loss: 'mean(x) + 10 * max(x) + 0 * mean(output)', optimizer: sgd}\n")
    loss = c.run(spec, "--json").summary["train_loss"]
    need(abs(loss - (408 / 255 / 4 + 10)) < 1e-5, f"the loss is {loss}")
