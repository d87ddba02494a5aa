"""Parity cases of whole training programs: several networks and updates, several inputs, outputs and targets, shared parameters.

Each is a spec and the same step in PyTorch, written as its users write it. `step(nets, optimizers, batch, k)` does one step of a run."""
import os
import zlib
from dataclasses import dataclass, field
from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F

import tensors
from cases import Net, index, normal

PROGRAMS = []


@dataclass
class Program:
    name: str
    spec: str                                    # YAML: networks and the lines of `train:`
    nets: Callable[[], dict]                     # name of a network ("" for `model:`) -> module
    data: dict                                   # column -> tensor
    optimizers: Callable[[dict], list]
    step: Callable
    steps: int = 6
    batch: int = 4
    accumulate: int = 1                          # batches of a step; `step` is called for each
    columns: str = ""                            # further lines of `data:`
    predict: Callable = None                     # nets, data -> what `mlc predict` gives by name
    rtol: float = 2e-5
    atol: float = 4e-6
    still: tuple = ()                            # parameters that rightly do not move
    init: dict = field(default_factory=dict)


def program(name, spec, nets, data, optimizers, step, **rest):
    PROGRAMS.append(Program(name, spec, nets, data, optimizers, step, **rest))


def indent(text, by):
    return "\n".join(" " * by + line if line else "" for line in text.strip("\n").split("\n"))


def spec(case):
    networks, train = case.spec.split("train:\n")
    columns = ", ".join(f"{name}: {name}" for name in case.data)
    lines = [f"name: {case.name}", "data:", "  reader: safetensors", f"  train: {{path: {case.name}.safetensors, {columns}}}"]
    if case.columns:
        lines.append(indent(case.columns, 2))
    lines += [f'init:\n  - {{match: "*", load: {case.name}.safetensors}}', networks.strip("\n")]
    lines += ["train:", f"  steps: {case.steps}", f"  batch_size: {case.batch}", "  shuffle: false", train.rstrip("\n")]
    return "\n".join(lines) + "\n"


def state(nets):
    out = {}
    for prefix, net in nets.items():
        for name, value in net.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                out[(prefix + "." if prefix else "") + name] = value.detach().clone()
    return out


def slots(optimizers, nets):
    """Adam's and SGD's state under mlc's names: a case names its optimizers' slots by attribute `slots`."""
    names = {p: (prefix + "." if prefix else "") + name for prefix, net in nets.items() for name, p in net.named_parameters()}
    out = {}
    for optimizer in optimizers:
        prefix = getattr(optimizer, "slot_prefix", "")
        for p, held in optimizer.state.items():
            for theirs, ours in (("exp_avg", "m"), ("exp_avg_sq", "v"), ("momentum_buffer", "b")):
                if held.get(theirs) is not None:
                    out[f"optimizer.{prefix}{ours}.{names[p]}"] = held[theirs].detach().clone()
    return out


def write_program(case, folder, stored):
    torch.manual_seed(zlib.crc32(case.name.encode()))
    nets = case.nets()
    data = {name: make() for name, make in case.data.items()}
    start = state(nets)
    for net in nets.values():
        net.double()
    wide = {n: t.double() if t.is_floating_point() else t for n, t in data.items()}
    optimizers = case.optimizers(nets)
    rows = len(next(iter(data.values())))
    k = 0
    while k < case.steps * case.accumulate:
        for begin in range(0, rows, case.batch):
            if k == case.steps * case.accumulate:
                break
            case.step(nets, optimizers, {n: t[begin:begin + case.batch] for n, t in wide.items()}, k)
            k += 1
    end = state(nets)
    for name, value in end.items():
        moved, least = (start[name] - value).abs().max().item(), 100 * (case.atol + case.rtol * value.abs().max().item())
        if (name in case.still) == (moved >= least):
            raise SystemExit(f"{case.name}: {name} moves by {moved:.3g}, tolerance {least / 100:.3g}; wrong in `still`")
    result = {name: stored(value) for name, value in {**data, **start}.items()}
    result |= {"expected." + name: stored(value) for name, value in {**end, **slots(optimizers, nets)}.items()}
    if case.predict:
        for net in nets.values():
            net.eval()
        with torch.no_grad():
            for name, value in case.predict(nets, wide).items():
                result["expected.predict." + name] = stored(value)
    metadata = {"rtol": str(case.rtol), "atol": str(case.atol), "inputs": ",".join(n for n in case.data)}
    tensors.write(os.path.join(folder, case.name + ".safetensors"), result, metadata)
    with open(os.path.join(folder, case.name + ".yaml"), "w", encoding="utf-8") as file:
        file.write(spec(case))


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# Generative adversarial networks -------------------------------------------------------------------------------------------
def gan_nets(norm=False):
    def make():
        middle = [("batch_norm1", nn.BatchNorm1d(6))] if norm else []
        other = [("batch_norm1", nn.BatchNorm1d(7))] if norm else []
        return {"generator": Net(("linear1", nn.Linear(3, 6, bias=not norm)), *middle, torch.relu, ("linear2", nn.Linear(6, 5)), torch.tanh),
                "discriminator": Net(("linear1", nn.Linear(5, 7, bias=not norm)), *other, lambda x: F.leaky_relu(x, 0.2), ("linear2", nn.Linear(7, 1)))}
    return make


def gan_updates(d_lr=0.02, g_lr=0.01, d="", g="", made='{fake: "discriminator(generator(w))"}', loss="bce_with_logits(fake, 1)"):
    return f"""  updates:
    d:
      params: discriminator.*
      forward:
        fake: discriminator(generator(z))
        real: discriminator(x)
      loss: bce_with_logits(real, 1) + bce_with_logits(fake, 0)
      optimizer: {{type: adam, lr: {d_lr}, betas: [0.5, 0.999]}}{d}
    g:
      params: generator.*
      forward: {made}
      loss: {loss}
      optimizer: {{type: adam, lr: {g_lr}, betas: [0.5, 0.999]}}{g}
"""


def gan_spec(norm="", d="", g="", top=""):
    first = "{{linear: {{out: {}, bias: false}}}}" if norm else "{{linear: {}}}"
    return f"""
models:
  generator:
    inputs: {{z: [3]}}
    layers: [{first.format(6)}, {norm}relu, {{linear: 5}}, tanh]
  discriminator: [{first.format(7)}, {norm}{{leaky_relu: 0.2}}, {{linear: 1}}]
train:
{top}{gan_updates(d=d, g=g)}"""


def bce(x, y):
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, y))


def adams(nets):
    return [torch.optim.Adam(nets["discriminator"].parameters(), lr=0.02, betas=(0.5, 0.999)),
            torch.optim.Adam(nets["generator"].parameters(), lr=0.01, betas=(0.5, 0.999))]


def gan_step(every=1, d_clip=None):
    def step(nets, optimizers, batch, k):
        g, d = nets["generator"], nets["discriminator"]
        fake, real = d(g(batch["z"]).detach()), d(batch["x"])
        optimizers[0].zero_grad()
        (bce(real, 1.0) + bce(fake, 0.0)).backward()
        if d_clip:
            nn.utils.clip_grad_norm_(d.parameters(), d_clip)
        optimizers[0].step()
        if (k + 1) % every == 0:
            descend(optimizers[1], bce(d(g(batch["w"])), 1.0))
    return step


GAN_DATA = {"x": normal(12, 5), "z": normal(12, 3), "w": normal(12, 3)}
program("updates_gan", gan_spec(), gan_nets(), GAN_DATA, adams, gan_step())
program("updates_gan_batch_norm", gan_spec(norm="batch_norm, "), gan_nets(True), GAN_DATA, adams, gan_step())
program("updates_gan_every", gan_spec(g="\n      every: 2"), gan_nets(), GAN_DATA, adams, gan_step(every=2), steps=7)
program("updates_gan_clip", gan_spec(d="\n      clip: {norm: 0.2}"), gan_nets(), GAN_DATA, adams, gan_step(d_clip=0.2))


def dcgan_nets():
    """The layers of specs/dcgan.yaml on images of 8 by 8."""
    return {"generator": Net(("conv_transpose2d1", nn.ConvTranspose2d(3, 6, 4, bias=False)), ("batch_norm1", nn.BatchNorm2d(6)), torch.relu,
                             ("conv_transpose2d2", nn.ConvTranspose2d(6, 1, 4, 2, 1, bias=False)), torch.tanh),
            "discriminator": Net(("conv2d1", nn.Conv2d(1, 4, 4, 2, 1, bias=False)), lambda x: F.leaky_relu(x, 0.2),
                                 ("conv2d2", nn.Conv2d(4, 6, 4, 2, 1, bias=False)), ("batch_norm1", nn.BatchNorm2d(6)), lambda x: F.leaky_relu(x, 0.2),
                                 ("conv2d3", nn.Conv2d(6, 1, 2, bias=False)), nn.Flatten())}


program("updates_dcgan", """
models:
  generator:
    inputs: {z: [3, 1, 1]}
    layers:
      - conv_transpose2d: {out: 6, kernel: 4, bias: false}
      - batch_norm
      - relu
      - conv_transpose2d: {out: 1, kernel: 4, stride: 2, padding: 1, bias: false}
      - tanh
  discriminator:
    - conv2d: {out: 4, kernel: 4, stride: 2, padding: 1, bias: false}
    - leaky_relu: 0.2
    - conv2d: {out: 6, kernel: 4, stride: 2, padding: 1, bias: false}
    - batch_norm
    - leaky_relu: 0.2
    - conv2d: {out: 1, kernel: 2, bias: false}
    - flatten
train:
""" + gan_updates(0.002, 0.002, made="{image: generator(w), fake: discriminator(image)}"), dcgan_nets, {"x": normal(12, 1, 8, 8), "z": normal(12, 3, 1, 1), "w": normal(12, 3, 1, 1)},
        lambda nets: [torch.optim.Adam(nets[name].parameters(), lr=0.002, betas=(0.5, 0.999)) for name in ("discriminator", "generator")],
        gan_step(),  # samples and their judgement are made with running statistics
        predict=lambda nets, data: {"image": nets["generator"](data["w"]), "fake": nets["discriminator"](nets["generator"](data["w"])), "real": nets["discriminator"](data["x"])})


def halving_step(nets, optimizers, batch, k):
    for optimizer, rate in zip(optimizers, (0.02, 0.01)):
        optimizer.param_groups[0]["lr"] = rate * 0.5 ** (k // 2)
    gan_step()(nets, optimizers, batch, k)


program("updates_gan_schedule", gan_spec(top="  schedule: {type: step, step_size: 2 steps, gamma: 0.5}\n"), gan_nets(), GAN_DATA, adams, halving_step)


# What `train` says of all updates, and what an update has of its own ---------------------------------------------------------
def own_rates_step(own, common):
    """Rates of step k as factors: of the discriminator's own schedule, and of the run's, which the generator follows."""
    def step(nets, optimizers, batch, k):
        for optimizer, rate in zip(optimizers, (0.02 * own(k), 0.01 * common(k))):
            optimizer.param_groups[0]["lr"] = rate
        gan_step()(nets, optimizers, batch, k)
    return step


OWN = "\n      schedule: {type: exponential, gamma: 0.7, every: 2 steps}"
program("updates_own_schedule", gan_spec(top="  schedule: {type: step, step_size: 3 steps, gamma: 0.1}\n", d=OWN), gan_nets(), GAN_DATA, adams,
        own_rates_step(lambda k: 0.7 ** (k // 2), lambda k: 0.1 ** (k // 3)))
program("updates_own_schedule_alone", gan_spec(d=OWN), gan_nets(), GAN_DATA, adams, own_rates_step(lambda k: 0.7 ** (k // 2), lambda k: 1))
program("updates_own_schedule_none", gan_spec(top="  schedule: {type: step, step_size: 2 steps, gamma: 0.5}\n", g="\n      schedule: none"), gan_nets(), GAN_DATA, adams,
        own_rates_step(lambda k: 0.5 ** (k // 2), lambda k: 1))


def rule_groups(nets):
    d, g = nets["discriminator"], nets["generator"]
    return [torch.optim.Adam([{"params": d.linear1.parameters(), "lr": 0.002}, {"params": d.linear2.parameters(), "betas": (0.8, 0.9)}], lr=0.02, betas=(0.5, 0.999)),
            torch.optim.Adam([{"params": g.linear1.parameters(), "eps": 1e-3}, {"params": g.linear2.parameters()}], lr=0.01, betas=(0.5, 0.999))]


program("updates_rules", gan_spec(top="""  params:
    - {match: discriminator.linear1.*, lr: lr / 10}
    - {match: discriminator.linear2.*, betas: [0.8, 0.9]}
    - {match: generator.linear1.*, eps: 1e-3}
"""), gan_nets(), GAN_DATA, rule_groups, gan_step())


def gathering_step(n):
    """Gradients of n batches; those of the earlier ones are taken as the step begins."""
    sums = {}

    def step(nets, optimizers, batch, k):
        g, d = nets["generator"], nets["discriminator"]

        def gather(optimizer, net, loss):
            grads = torch.autograd.grad(loss / n, list(net.parameters()))
            sums[net] = [a + b for a, b in zip(sums[net], grads)] if net in sums else grads
            if k % n == n - 1:
                for p, grad in zip(net.parameters(), sums.pop(net)):
                    p.grad = grad
                optimizer.step()

        gather(optimizers[0], d, bce(d(batch["x"]), 1.0) + bce(d(g(batch["z"]).detach()), 0.0))
        gather(optimizers[1], g, bce(d(g(batch["w"])), 1.0))
    return step


program("updates_accumulate", gan_spec(top="  accumulate: 3\n"), gan_nets(), GAN_DATA, adams, gathering_step(3), accumulate=3)


def averaged_nets():
    nets = gan_nets()()
    return {**nets, "ema": nn.ModuleDict(gan_nets()())}


def averaging_step(decay):
    def step(nets, optimizers, batch, k):
        gan_step()(nets, optimizers, batch, k)
        with torch.no_grad():
            for name, net in nets["ema"].items():
                for average, p in zip(net.parameters(), nets[name].parameters()):
                    average.copy_(p if k == 0 else decay * average + (1 - decay) * p)
    return step


program("updates_ema", gan_spec(top="  ema: {decay: 0.7}\n"), averaged_nets, GAN_DATA, adams, averaging_step(0.7))


# Names within networks, blocks of several outputs ---------------------------------------------------------------------------
class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.linear1 = Net(("linear1", nn.Linear(5, 7)), lambda x: F.leaky_relu(x, 0.2)), nn.Linear(7, 1)

    def forward(self, x):
        return self.linear1(self.body(x))


def feature_step(nets, optimizers, batch, k):
    g, d = nets["generator"], nets["discriminator"]
    features = d.body
    descend(optimizers[0], bce(d(batch["x"]), 1.0) + bce(d(g(batch["z"]).detach()), 0.0))
    descend(optimizers[1], F.mse_loss(features(g(batch["w"])), features(batch["x"]).detach()))


program("updates_feature_matching", """
models:
  generator:
    inputs: {z: [3]}
    layers: [{linear: 6}, relu, {linear: 5}, tanh]
  discriminator: [{layers: [{linear: 7}, {leaky_relu: 0.2, as: features}], as: body}, {linear: 1}]
train:
""" + gan_updates(made='{fake: "discriminator(generator(w))", real: discriminator(x)}', loss="mse(fake.body.features, real.body.features)"), lambda: {**gan_nets()(), "discriminator": Features()}, GAN_DATA,
        lambda nets: [torch.optim.Adam(nets["discriminator"].parameters(), lr=0.02, betas=(0.5, 0.999)),
                      torch.optim.Adam(nets["generator"].parameters(), lr=0.01, betas=(0.5, 0.999))], feature_step)


# Two updates of the same parameters ----------------------------------------------------------------------------------------
def two_losses_net():
    return Net(("linear1", nn.Linear(5, 6)), torch.tanh, ("linear2", nn.Linear(6, 3)))


def two_losses(nets):
    net = nets[""]
    first = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    second = torch.optim.Adam(net.get_submodule("linear2").parameters(), lr=0.01)
    second.slot_prefix = "sharpen."
    return [first, second]


def two_losses_step(nets, optimizers, batch, k):
    net = nets[""]
    descend(optimizers[0], F.mse_loss(net(batch["x"]), batch["y"]))
    descend(optimizers[1], F.l1_loss(net(batch["x"]), batch["y"]))


program("updates_same_parameters", """
model: [{linear: 6}, tanh, {linear: 3}]
train:
  updates:
    fit: {loss: mse, optimizer: {type: sgd, lr: 0.05, momentum: 0.9}}
    sharpen: {params: linear2.*, loss: l1, optimizer: {type: adam, lr: 0.01}}
""", lambda: {"": two_losses_net()}, {"x": normal(12, 5), "y": normal(12, 3)}, two_losses, two_losses_step,
        predict=lambda nets, data: {"output": nets[""](data["x"])})


def averaged_shared():
    return {"": two_losses_net(), "ema": two_losses_net()}


def averaged_step(nets, optimizers, batch, k):
    """Two updates train linear2: its average moves once a step, like that of linear1."""
    net = nets[""]
    descend(optimizers[0], F.mse_loss(net(batch["x"]), batch["y"]))
    if k % 2:
        descend(optimizers[1], F.l1_loss(net(batch["x"]), batch["y"]))
    with torch.no_grad():
        for average, p in zip(nets["ema"].parameters(), net.parameters()):
            average.copy_(p if k == 0 else 0.6 * average + 0.4 * p)


program("updates_same_parameters_ema", """
model: [{linear: 6}, tanh, {linear: 3}]
train:
  ema: {decay: 0.6}
  updates:
    fit: {loss: mse, optimizer: {type: sgd, lr: 0.05, momentum: 0.9}}
    sharpen: {params: linear2.*, loss: l1, optimizer: {type: adam, lr: 0.01}, every: 2}
""", averaged_shared, {"x": normal(12, 5), "y": normal(12, 3)}, two_losses, averaged_step)


# One network -------------------------------------------------------------------------------------------------------------
def sgd(rate):
    return lambda nets: [torch.optim.SGD([p for n in nets.values() for p in n.parameters()], lr=rate)]


program("autoencoder", """
model: [{linear: 2}, {tanh: {}, as: code}, {linear: 5}]
train:
  loss: mse(output, x) + 0.1 * mean(abs(code))
  optimizer: {type: sgd, lr: 0.5}
""", lambda: {"": Net(("linear1", nn.Linear(5, 2)), torch.tanh, ("linear2", nn.Linear(2, 5)))}, {"x": normal(12, 5)}, sgd(0.5),
        lambda nets, optimizers, batch, k: descend(optimizers[0], (lambda code: F.mse_loss(nets[""].linear2(code), batch["x"]) + 0.1 * code.abs().mean())(
            torch.tanh(nets[""].linear1(batch["x"])))),
        predict=lambda nets, data: {"output": nets[""](data["x"])})


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.digit, self.parity = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(8, 1)

    def forward(self, image, meta):
        hidden = torch.relu(self.linear1(torch.cat([image.flatten(1), meta], 1)))
        return self.digit(hidden), self.parity(hidden)


def heads_step(nets, optimizers, batch, k):
    digit, parity = nets[""](batch["image"], batch["meta"])
    descend(optimizers[0], F.cross_entropy(digit, batch["d"]) + 0.5 * F.mse_loss(parity, batch["p"]))


def heads_predict(nets, data):
    digit, parity = nets[""](data["image"], data["meta"])
    return {"digit": digit, "digit.probability": digit.softmax(1), "digit.class": digit.argmax(1), "parity": parity, "parity.value": parity}


program("inputs_outputs_targets", """
model:
  inputs: {image: [2, 2], meta: [2]}
  layers:
    - {flatten: {}, from: image, as: flat}
    - {concat: {dim: -1}, from: [flat, meta]}
    - linear: 8
    - {relu: {}, as: hidden}
    - {linear: 4, from: hidden, as: digit}
    - {linear: 1, from: hidden, as: parity}
  outputs: [digit, parity]
train:
  loss: cross_entropy(digit, label) + 0.5 * mse(parity, p)
  optimizer: {type: sgd, lr: 0.5}
""", lambda: {"": Heads()}, {"image": normal(12, 2, 2), "meta": normal(12, 2), "d": index(12, high=4), "p": normal(12, 1)}, sgd(0.5), heads_step,
        columns="target: {label: d, p: p}", predict=heads_predict)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.code = nn.ModuleDict({"linear1": nn.Linear(5, 4), "mu": nn.Linear(4, 3), "gate": nn.Linear(4, 3)})
        self.linear1 = nn.Linear(3, 2)

    def forward(self, x):
        h = torch.tanh(self.code["linear1"](x))
        return self.linear1(self.code["mu"](h) * torch.sigmoid(self.code["gate"](h)))


program("block_outputs", """
blocks:
  branches(width):
    inputs: [x]
    layers: [{linear: width}, {tanh: {}, as: h}, {linear: 3, as: mu}, {linear: 3, from: h, as: gate}]
    outputs: {value: mu, gate: gate}
model:
  - {branches: 4, as: code}
  - expr: code.value * sigmoid(code.gate)
  - linear: 2
train:
  loss: mse
  optimizer: {type: sgd, lr: 0.2}
""", lambda: {"": Branches()}, {"x": normal(12, 5), "y": normal(12, 2)}, sgd(0.2),
        lambda nets, optimizers, batch, k: descend(optimizers[0], F.mse_loss(nets[""](batch["x"]), batch["y"])), predict=lambda nets, data: {"output": nets[""](data["x"])})


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.linear1 = nn.Embedding(7, 4), nn.Linear(4, 4)

    def forward(self, x):
        return torch.tanh(self.linear1(self.tok(x))) @ self.tok.weight.T


program("tied_embedding", """
model: [{embedding: {num_embeddings: 7, embedding_dim: 4}, as: tok}, {linear: 4}, tanh, {linear: {out: 7, bias: false, weight: tok.weight}}]
train:
  loss: cross_entropy
  optimizer: {type: adam, lr: 0.02}
""", lambda: {"": Tied()}, {"x": index(12, 3, high=7), "y": index(12, 3, high=7)}, lambda nets: [torch.optim.Adam(nets[""].parameters(), lr=0.02)],
        lambda nets, optimizers, batch, k: descend(optimizers[0], F.cross_entropy(nets[""](batch["x"]).flatten(0, 1), batch["y"].flatten())))


# Networks in formulas ----------------------------------------------------------------------------------------------------
def vae_step(nets, optimizers, batch, k):
    trunk = torch.tanh(nets["encoder"].linear1(batch["x"]))
    mu, logvar = nets["encoder"].mu(trunk), nets["encoder"].logvar(trunk)
    recon = nets["decoder"](mu + torch.exp(0.5 * logvar) * batch["eps"])
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    descend(optimizers[0], ((recon - batch["x"])**2).sum(1).mean() + kl.mean())


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.mu, self.logvar = nn.Linear(5, 6), nn.Linear(6, 2), nn.Linear(6, 2)


program("updates_vae", """
models:
  encoder:
    inputs: {x: [5]}
    layers: [{linear: 6}, {tanh: {}, as: trunk}, {linear: 2, from: trunk, as: mu}, {linear: 2, from: trunk, as: logvar}]
    outputs: {mu: mu, logvar: logvar}
  decoder: [{linear: 6}, tanh, {linear: 5}]
train:
  updates:
    vae:
      forward:
        code: encoder(x)
        z: code.mu + exp(0.5 * code.logvar) * eps
        recon: decoder(z)
      loss: sum((recon - x)**2) + 0.5 * sum(code.mu**2 + exp(code.logvar) - 1 - code.logvar)
      optimizer: {type: adam, lr: 0.01}
""", lambda: {"encoder": Encoder(), "decoder": Net(("linear1", nn.Linear(2, 6)), torch.tanh, ("linear2", nn.Linear(6, 5)))},
        {"x": normal(12, 5), "eps": normal(12, 2)}, lambda nets: [torch.optim.Adam([p for n in nets.values() for p in n.parameters()], lr=0.01)], vae_step)


def teacher():
    net = Net(("linear1", nn.Linear(5, 6)), ("batch_norm1", nn.BatchNorm1d(6)), torch.relu, ("dropout1", nn.Dropout(0.5)), ("linear2", nn.Linear(6, 3)))
    with torch.no_grad():
        net.batch_norm1.running_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0, 0.5, -0.1]))
        net.batch_norm1.running_var.copy_(torch.tensor([0.9, 1.2, 0.7, 1.0, 1.5, 0.8]))
    return net


def distill_step(nets, optimizers, batch, k):
    with torch.no_grad():
        soft = nets["teacher"].eval()(batch["x"])
    out = nets["student"](batch["x"])
    kl = F.kl_div(F.log_softmax(out / 2, 1), F.softmax(soft / 2, 1), reduction="batchmean")
    descend(optimizers[0], F.cross_entropy(out, batch["y"]) + 4 * kl)


TEACHER = tuple("teacher." + n for n in ("linear1.weight", "linear1.bias", "batch_norm1.weight", "batch_norm1.bias", "batch_norm1.running_mean", "batch_norm1.running_var",
                                         "linear2.weight", "linear2.bias"))
program("updates_distillation", """
models:
  teacher: {mode: eval, layers: [{linear: 6}, batch_norm, relu, {dropout: 0.5}, {linear: 3}]}
  student: [{linear: 4}, relu, {linear: 3}]
train:
  updates:
    student:
      params: student.*
      forward: {output: student(x), soft: teacher(x)}
      loss: cross_entropy(output, y) + 4 * sum(softmax(soft / 2) * (log_softmax(soft / 2) - log_softmax(output / 2)))
      optimizer: {type: sgd, lr: 0.2}
""", lambda: {"teacher": teacher(), "student": Net(("linear1", nn.Linear(5, 4)), torch.relu, ("linear2", nn.Linear(4, 3)))},
        {"x": normal(12, 5), "y": index(12, high=3)}, lambda nets: [torch.optim.SGD(nets["student"].parameters(), lr=0.2)], distill_step, still=TEACHER,
        predict=lambda nets, data: {"output": nets["student"](data["x"]), "soft": nets["teacher"](data["x"]), "class": nets["student"](data["x"]).argmax(1)})


def siamese_step(nets, optimizers, batch, k):
    net = nets["tower"]
    a, b = net(batch["x"]), net(batch["other"])
    descend(optimizers[0], ((a - b)**2).mean() + 0.1 * (a**2).mean())


program("network_called_twice", """
models:
  tower: [{linear: 6}, batch_norm, tanh, {linear: 3}]
train:
  updates:
    pull:
      forward: {a: tower(x), b: tower(other)}
      loss: mean((a - b)**2) + 0.1 * mean(a**2)
      optimizer: {type: sgd, lr: 0.5}
""", lambda: {"tower": Net(("linear1", nn.Linear(5, 6)), ("batch_norm1", nn.BatchNorm1d(6)), torch.tanh, ("linear2", nn.Linear(6, 3)))},
        {"x": normal(12, 5), "other": normal(12, 5)}, sgd(0.5), siamese_step, still=("tower.linear1.bias",))


def looking_back_step(nets, optimizers, batch, k):
    net = nets["tower"]
    descend(optimizers[0], F.mse_loss(net(batch["x"]), net(batch["other"]).detach()))


program("gradient_stopped", """
models: {tower: [{linear: 6}, tanh, {linear: 3}]}
train:
  updates:
    follow:
      loss: mse(ahead, behind)
      forward: {behind: stop_gradient(tower(other)), ahead: tower(x)}
      optimizer: {type: sgd, lr: 0.5}
""", lambda: {"tower": Net(("linear1", nn.Linear(5, 6)), torch.tanh, ("linear2", nn.Linear(6, 3)))}, {"x": normal(12, 5), "other": normal(12, 5)}, sgd(0.5),
        looking_back_step)
