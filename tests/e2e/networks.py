"""End-to-end tests of several networks, updates, inputs, outputs and targets; on the bundled digits and iris."""
import array
import os
import sys

from tests import Skip, need, test

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity"))
import tensors  # noqa: E402


def events(c, spec, *flags, out="run", **rest):
    return c.run(spec, "--json", *flags, out=out, **rest).events


def last_epoch(found):
    return [e for e in found if e["event"] == "epoch"][-1]


def predicted(c, rows, width, name="image", out="run", flags=()):
    """`mlc predict` on rows of zeros: networks that draw need no more of them."""
    given, to = c.path("rows.safetensors"), c.path("out.safetensors")

    tensors.write(given, {"x": tensors.Tensor("U8", (rows, *width), array.array("B", bytes(rows * width[0] * width[1] * width[2])))})
    c.mlc("predict", c.path(out), "--input", given, "--output", to, *flags)
    return tensors.read(to)[0]


@test
def gan_trains_two_networks(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    found = events(c, c.spec("gan"), "--set", "train.epochs=30")
    epoch, first = last_epoch(found), [e for e in found if e["event"] == "epoch"][0]
    need(abs(epoch["train_loss"] - epoch["train_d_loss"] - epoch["train_g_loss"]) < 1e-5, f"the loss is not the sum of the updates' losses: {epoch}")
    need(0.05 < epoch["train_d_loss"] < 2 * 0.6931 and 0.4 < epoch["train_g_loss"] < 8, f"one network has won: {epoch}")
    need(first["train_d_loss"] != epoch["train_d_loss"], "the discriminator does not learn")
    found = predicted(c, 16, (1, 28, 28))
    images = found["image"]
    need(images.shape == (16, 784) and all(-1 <= v <= 1 for v in images.values), "the samples are no images")
    row = lambda i: images.values[784 * i:784 * (i + 1)]
    need(row(0) != row(1), "two samples are the same")
    # The digits leave the upper left corner dark: a generator that has learnt does so too.
    corner = sum(row(i)[0] for i in range(16)) / 16
    middle = sum(sum(row(i)[28 * r + q] for r in range(10, 18) for q in range(10, 18)) / 64 for i in range(16)) / 16
    need(corner < -0.7 < -0.4 < middle, f"the samples look like no digits: corner {corner:.2f}, middle {middle:.2f}")
    other = predicted(c, 16, (1, 28, 28), flags=("--seed", "5"))["image"]
    need(other.values != images.values, "another seed draws the same samples")
    return f"d_loss {epoch['train_d_loss']:.3f}, g_loss {epoch['train_g_loss']:.3f}, corner {corner:.2f}, middle {middle:.2f}"


@test
def dcgan_makes_digits(c):
    """Small: images of 16 by 16, of the bundled digits."""
    if c.reference:
        raise Skip("too slow for the reference device")
    sets = ("vars.levels=1", "vars.width=32", "train.batch_size=32", "train.epochs=12", "expect={}")
    epoch = last_epoch(events(c, c.spec("dcgan"), *(word for text in sets for word in ("--set", text))))
    need(0.1 < epoch["train_d_loss"] < 2 * 0.6931 and 0.5 < epoch["train_g_loss"] < 4, f"one network has won: {epoch}")
    rows = 24
    values = predicted(c, rows, (1, 16, 16))["image"].values
    need(len(values) == rows * 3 * 256 and all(-1 <= v <= 1 for v in values), "the samples are no images")
    column = lambda q: sum(values[q::16]) / (rows * 3 * 16)
    sides, middle = (column(0) + column(15)) / 2, (column(7) + column(8)) / 2
    need(sides < -0.5 and middle > -0.1, f"the samples look like no digits: sides {sides:.2f}, middle {middle:.2f}")
    gray = sum(abs(values[768 * i + p] - values[768 * i + 256 + p]) for i in range(rows) for p in range(256)) / (rows * 256)
    need(gray < 0.1, f"the channels, which are equal in the data, differ by {gray:.2f}")
    apart = sum(abs(values[p] - values[768 + p]) for p in range(768)) / 768
    need(apart > 0.05, f"two samples differ by {apart:.3f} only")
    return f"d_loss {epoch['train_d_loss']:.3f}, sides {sides:.2f}, middle {middle:.2f}, channels apart {gray:.3f}, samples {apart:.2f}"


@test
def gan_bits_do_not_depend_on_threads(c):
    flags = ("--set", "train.epochs=1", "--quiet")
    c.run(c.spec("gan"), *flags, "--threads", "1", out="one")
    c.run(c.spec("gan"), *flags, "--threads", "2", out="two")
    need(c.checkpoint("one") == c.checkpoint("two"), "the weights differ")


@test
def updates_every_other_step(c):
    spec = c.write("every.yaml", """
data: {dataset: iris, split: {train: 0.8, val: 0.2}, transforms: [standardize]}
models: {a: [{linear: 3}], b: [{linear: 3}]}
train:
  steps: 9
  batch_size: 16
  updates:
    one: {params: a.*, forward: {left: a(x)}, loss: "cross_entropy(left, y)", optimizer: {type: sgd, lr: 0.1}}
    two: {params: b.*, forward: {right: b(x)}, loss: "cross_entropy(right, y)", optimizer: {type: sgd, lr: 0.1}, every: 2}
eval: {metrics: [accuracy]}
""")
    found = events(c, spec)
    epoch = next(e for e in found if e["event"] == "epoch")
    need({"train_one_loss", "train_two_loss", "val_one_loss", "val_two_loss", "val_left_accuracy", "val_right_accuracy"} <= set(epoch), f"keys are missing: {sorted(epoch)}")
    need(found[-1]["steps"] == 9, "the steps are miscounted")
    # The rate that an epoch reports is that of the first update, its own schedule included.
    rate = next(e["lr"] for e in events(c, spec, "--set", "train.updates.one.schedule={type: exponential, gamma: 0.5, every: 1 step}") if e["event"] == "epoch")
    need(abs(rate - 0.1 * 0.5 ** 7) < 1e-12, f"the first epoch ends with lr {rate}")
    c.run(spec, "--set", "train.steps=1", out="short")
    weights = tensors.read(c.path("short", "checkpoints", "last.safetensors"))[0]
    c.run(spec, "--set", "train.steps=1", "--set", "train.updates.two.every=1", "--set", "train.updates.one.every=2", out="other")
    other = tensors.read(c.path("other", "checkpoints", "last.safetensors"))[0]
    need(weights["b.linear1.weight"].values != other["b.linear1.weight"].values, "an update runs before its turn, or never")
    need(weights["a.linear1.weight"].values != other["a.linear1.weight"].values, "an update does not run in its turn")


@test
def autoencoder_reconstructs(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    summary = c.run(c.spec("autoencoder"), "--json", "--set", "train.epochs=10").summary
    need(summary["test_loss"] < 0.03, f"reconstruction error {summary['test_loss']:.4f}")
    return f"test loss {summary['test_loss']:.4f}"


@test
def vae_reconstructs_and_samples(c):
    if c.reference:
        raise Skip("too slow for the reference device")
    found = events(c, c.spec("vae"), "--set", "train.epochs=10")
    losses = [e["train_vae_loss"] for e in found if e["event"] == "epoch"]
    need(losses[-1] < 0.7 * losses[0], f"the bound does not fall: {losses}")
    sample = predicted(c, 8, (1, 28, 28))["sample"]
    need(sample.shape == (8, 784) and all(0 <= v <= 1 for v in sample.values), "samples are no images")
    need(sample.values[:784] != sample.values[784:1568], "two samples are the same")
    return f"bound from {losses[0]:.1f} to {losses[-1]:.1f}"


@test
def distillation_keeps_the_teacher(c):
    found = c.run(c.spec("distillation"), "--json").summary
    before = tensors.read(os.path.join(os.path.dirname(c.spec("x")), "data", "digits_teacher.safetensors"))[0]
    after = tensors.read(c.path("run", "checkpoints", "last.safetensors"))[0]
    for name, tensor in before.items():
        need(after["teacher." + name].values == tensor.values, f"the teacher's {name} has changed")
    need(not any(name.startswith("optimizer.") and "teacher" in name for name in after), "the teacher has an optimizer's state")
    need(found["test_accuracy"] > 0.93, f"test accuracy {found['test_accuracy']:.4f}")
    return f"test accuracy {found['test_accuracy']:.4f}"


@test
def multi_task_measures_both(c):
    found = c.run(c.spec("multi_task"), "--json").summary
    need(found["test_species_accuracy"] > 0.9 and found["test_width_mae"] < 0.25, f"{found}")
    rows = c.write("rows.csv", "petal_length,sepal_width,sepal_length\n1.4,3.5,5.1\n6.0,3.0,6.9\n")
    lines = c.mlc("predict", c.path("run"), "--input", rows).out.splitlines()
    need(lines[0] == "species.class,species.setosa,species.versicolor,species.virginica,width.value", f"the header is {lines[0]}")
    need(lines[1].startswith("setosa,") and lines[2].startswith("virginica,"), "\n".join(lines))
    tables = c.mlc("eval", c.path("run")).out
    need("species_accuracy" in tables and "width_mae" in tables, tables)
    c.mlc("predict", c.path("run"), "--input", rows, "--output", c.path("y.npy"), status=1)
    return f"accuracy {found['test_species_accuracy']:.3f}, error {found['test_width_mae']:.3f}"


@test
def monitors_of_updates_and_outputs(c):
    flags = ("--json", "--set", "data.split={train: 0.6, val: 0.2, test: 0.2}", "--set", "train.epochs=3")
    for monitor in ("val_width_mae", "val_species_accuracy", "train_loss"):
        c.run(c.spec("multi_task"), *flags, "--set", f"train.checkpoint={{monitor: {monitor}}}", out=monitor)
        need(os.path.exists(c.path(monitor, "checkpoints", "best.safetensors")), f"no best checkpoint by {monitor}")
    text = c.run(c.spec("multi_task"), *flags, "--set", "train.checkpoint={monitor: val_widht_mae}", status=1).err
    need("val_width_mae" in text, f"no nearest monitor in {text}")
