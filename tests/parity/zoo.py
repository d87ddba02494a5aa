"""Parity cases of known architectures: a shipped spec made narrow by `vars`, and torchvision's network (or the same in PyTorch) of that width.

A case's spec includes the shipped one, so what is compared is the file that users start from. Weights are random, running statistics too;
tensors of both sides are paired by their order, which `order` corrects where torchvision lists a module's own parameters first."""
import math
import os
import re
import subprocess
import zlib
from dataclasses import dataclass, field
from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.ops import Conv2dNormActivation

import tensors
from cases import index, normal

ZOO = []
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SMOOTH = nn.CrossEntropyLoss(label_smoothing=0.1)
IMAGES = dict(x=normal(8, 3, 32, 32), y=index(8, high=5))


@dataclass
class Known:
    name: str                                   # of the spec, without .yaml
    vars: dict                                  # that make it narrow
    net: Callable[[], nn.Module]
    x: Callable[[], torch.Tensor]
    y: Callable[[], torch.Tensor] = None        # none: the data are x alone
    loss: Callable = lambda net, x, y: F.cross_entropy(net(x), y)
    outputs: Callable = lambda net, x: {"output": net(x)}
    order: Callable = lambda names: names       # torchvision's names in the order of the spec's
    update: str = ""                            # of a spec with `updates`
    lr: float = 0.1
    momentum: float = 0.9
    steps: int = 4
    batch: int = 4
    rtol: float = 2e-5
    atol: float = 5e-6


def known(name, vars, net, **rest):
    ZOO.append(Known(name, vars, net, **rest))


def behind(marker):
    """An order that puts names with this end behind the rest of their module."""
    def order(names):
        out, held = [], ""
        for name in names:
            if held and not name.startswith(held.removesuffix(marker)):
                out.append(held)
                held = ""
            if name.endswith(marker):
                held = name
            else:
                out.append(name)
        return out + ([held] if held else [])
    return order


def mobilenet():
    net = models.MobileNetV2(5, inverted_residual_setting=[[1, 8, 1, 1], [2, 8, 2, 2], [3, 16, 1, 1]], dropout=0)
    net.features[0] = Conv2dNormActivation(3, 8, stride=2, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6)
    net.features[1] = models.mobilenetv2.InvertedResidual(8, 8, 1, 1)
    net.features[-1] = Conv2dNormActivation(16, 24, kernel_size=1, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6)
    net.classifier[1] = nn.Linear(24, 5)
    return net


known("mobilenet_v2", {"classes": 5, "stem": 8, "last": 24, "drop": 0, "plan": "[[1, 8, 1, 1], [2, 8, 2, 2], [3, 16, 1, 1]]"}, mobilenet, **IMAGES)
known("shufflenet_v2", {"classes": 5, "stem": 24, "widths": "[8, 12, 16]", "depths": "[2, 3, 2]", "last": 24},
      lambda: models.ShuffleNetV2([2, 3, 2], [24, 8, 12, 16, 24], 5), loss=lambda net, x, y: SMOOTH(net(x), y), x=normal(4, 3, 48, 48), y=index(4, high=5), lr=0.03)
known("densenet121", {"classes": 5, "stem": 8, "growth": 4, "bottleneck": 2, "depths": "[2, 3, 2]"},
      lambda: models.DenseNet(4, (2, 3, 2), 8, 2, num_classes=5), **IMAGES)
known("efficientnet_b0", {"classes": 5, "stem": 8, "last": 24, "drop": 0, "depth_drop": 0, "blocks_before": "[0, 1, 3, 5]",
                          "plan": "[[1, 3, 1, 8, 1], [3, 3, 2, 8, 2], [2, 5, 1, 16, 2]]"},
      lambda: models.EfficientNet([MBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(3, 3, 2, 8, 8, 2), MBConvConfig(2, 5, 1, 8, 16, 2)], 0, 0, 5, last_channel=24),
      loss=lambda net, x, y: SMOOTH(net(x), y), **IMAGES)
known("convnext_tiny", {"classes": 5, "widths": "[8, 12]", "depths": "[2, 1]", "depth_drop": 0},
      lambda: models.ConvNeXt([CNBlockConfig(8, 12, 2), CNBlockConfig(12, None, 1)], 0, 0.5, 5), order=behind("layer_scale"),
      loss=lambda net, x, y: SMOOTH(net(x), y), lr=0.4, **IMAGES)


def vit_order(names):
    first = ["conv_proj.weight", "conv_proj.bias", "class_token", "encoder.pos_embedding"]
    return first + [name for name in names if name not in first]


known("vit_b16", {"classes": 5, "size": 16, "patch": 4, "width": 16, "depth": 2, "heads": 2},
      lambda: models.VisionTransformer(16, 4, 2, 2, 16, 64, num_classes=5), order=vit_order, x=normal(8, 3, 16, 16), y=index(8, high=5))


class Double(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(*[m for k in (i, o) for m in (nn.Conv2d(k, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())])


class Up(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.wide, self.double_ = nn.ConvTranspose2d(i, o, 2, stride=2), Double(2 * o, o)

    def forward(self, x, skip):
        return self.double_(torch.cat([skip, self.wide(x)], 1))


class UNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.a, self.b, self.c, self.deep = Double(1, w), Double(w, 2 * w), Double(2 * w, 4 * w), Double(4 * w, 8 * w)
        self.c_up, self.b_up, self.a_up, self.last = Up(8 * w, 4 * w), Up(4 * w, 2 * w), Up(2 * w, w), nn.Conv2d(w, 1, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        deep = self.deep(F.max_pool2d(c, 2))
        return self.last(self.a_up(self.b_up(self.c_up(deep, c), b), a))


known("unet", {"width": 3, "noise": 0}, lambda: UNet(3), x=normal(6, 1, 16, 16), batch=3, update="mask",
      loss=lambda net, x, y: F.binary_cross_entropy_with_logits(net(x), (x > 0.5).to(x.dtype)), outputs=lambda net, x: {"found": net(x)})


class ESPCN(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 64, 5, padding=2, padding_mode="replicate"), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(), nn.Conv2d(32, 4, 3, padding=1), nn.PixelShuffle(2))


known("super_resolution", {"factor": 2}, ESPCN, x=normal(6, 1, 6, 8), batch=3, update="pixels",
      loss=lambda net, x, y: F.mse_loss(net(F.avg_pool2d(x, 2)), x), outputs=lambda net, x: {"sharp": net(F.avg_pool2d(x, 2))})


class CVAE(nn.Module):
    def __init__(self, latent, hidden):
        super().__init__()
        self.enter, self.mean, self.log_var = nn.Linear(794, hidden), nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.leave, self.pixels = nn.Linear(latent + 10, hidden), nn.Linear(hidden, 784)

    def bound(self, x, y):
        kind = F.one_hot(y, 10).to(x.dtype)
        h = F.relu(self.enter(torch.cat([x, kind], 1)))
        mean, log_var = self.mean(h), self.log_var(h)
        image = self.pixels(F.relu(self.leave(torch.cat([mean, kind], 1))))
        pixels = F.binary_cross_entropy_with_logits(image, x, reduction="none").sum(1)
        return (pixels - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1)).mean()


# What its forward pass gives depends on the target or is drawn: mlc predict shows samples only.
known("cvae", {"latent": 3, "hidden": 6, "spread": 0}, lambda: CVAE(3, 6), x=lambda: torch.rand(10, 784), y=lambda: torch.arange(10), batch=5, update="bound",
      lr=0.001, loss=lambda net, x, y: net.bound(x, y), outputs=lambda net, x: {})


class GPTBlock(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.c_attn, self.c_proj = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ln_2, self.c_fc, self.mlp_proj = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (p.reshape(n, t, self.heads, -1).transpose(1, 2) for p in self.c_attn(self.ln_1(x)).chunk(3, -1))
        x = x + self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, d))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, vocab, t, d, heads, depth):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Parameter(torch.randn(t, d))
        self.h, self.ln_f = nn.Sequential(*[GPTBlock(d, heads) for _ in range(depth)]), nn.LayerNorm(d)

    def forward(self, x):
        return self.ln_f(self.h(self.wte(x) + self.wpe)) @ self.wte.weight.T


known("gpt2", {"vocab": 23, "width": 12, "heads": 3, "depth": 2, "window": 9}, lambda: GPT(23, 9, 12, 3, 2), x=index(8, 9, high=23), y=index(8, 9, high=23),
      loss=lambda net, x, y: F.cross_entropy(net(x).transpose(1, 2), y), order=lambda names: ["wte.weight", "wpe"] + [n for n in names if n not in ("wte.weight", "wpe")])


def paths(spec):
    """The parameters and running state of a spec, in order: [(path, shape)]."""
    program = os.environ.get("MLC") or os.path.join(ROOT, "build", "release", "mlc")
    done = subprocess.run([program, "dump-ir", spec, "--stage", "graph", "--allow-outside", "--set", "init=none", "--set", "expect=none"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    rows = re.findall(r'^tensor @\d+ (?:parameter|running) "(?!ema\.)([^"]+)" \w+\[([^\]]*)\]', done.stdout.split("\ngraph ")[0], re.M)
    return [(path, [int(n) for n in shape.split(",")] if shape else []) for path, shape in rows]


def randomise(net):
    """All that starts as 0 or 1, so that nothing agrees by chance."""
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.2)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        for p in net.parameters():
            if p.ndim == 1 or p.std() < 1e-3:
                p.add_(torch.randn_like(p) * 0.2)


def spec(case, count):
    file = f"zoo_{case.name}.safetensors"
    none = "".join(f", {key}: none" for key in ("epochs", "schedule", "params", "clip", "ema"))
    target = ", y: y" if case.y else ""
    rate = f"{{type: sgd, lr: {case.lr}, momentum: {case.momentum}, nesterov: false, weight_decay: 0}}"
    optimizer = f"  updates: {{{case.update}: {{optimizer: {rate}}}}}" if case.update else f"  optimizer: {rate}"
    return "\n".join([
        f"name: zoo_{case.name}", f"include: ../../../specs/{case.name}.yaml",
        "vars: {" + ", ".join(f"{key}: {value}" for key, value in case.vars.items()) + "}",
        f"data: {{reader: safetensors, train: {{path: {file}, x: x{target}}}, split: none, transforms: none}}",
        f'init: [{{match: "*", load: {file}}}]',
        f"train: {{steps: {case.steps}, batch_size: {case.batch}, shuffle: false{none},", optimizer + "}", "eval: none", f"expect: {{parameters: {count}, output: none}}",
    ]) + "\n"


def write_known(case, folder, stored):
    torch.manual_seed(zlib.crc32(case.name.encode()))
    net, x, y = case.net(), case.x(), case.y() if case.y else None
    randomise(net)
    path = os.path.join(folder, f"zoo_{case.name}")
    with open(path + ".yaml", "w", encoding="utf-8") as file:
        file.write(spec(case, sum(p.numel() for p in net.parameters())))
    data = {"x": stored(x), **({"y": stored(y)} if y is not None else {})}
    tensors.write(path + ".safetensors", data)
    ours = paths(path + ".yaml")
    theirs = case.order([name for name in net.state_dict() if not name.endswith("num_batches_tracked")])
    if [math.prod(shape) for _, shape in ours] != [net.state_dict()[name].numel() for name in theirs]:
        raise SystemExit(f"{case.name}: the tensors do not pair: " + "; ".join(f"{o} {t}" for o, t in zip(ours, theirs)))

    def state():
        return {own: net.state_dict()[name].detach().clone().reshape(shape) for (own, shape), name in zip(ours, theirs)}

    start = state()
    result = data | {name: stored(value) for name, value in start.items()}
    net.double()
    x = x.double() if x.is_floating_point() else x
    optimizer = torch.optim.SGD(net.parameters(), lr=case.lr, momentum=case.momentum)
    net.train()
    for k in range(case.steps):
        rows = slice(k * case.batch % len(x), k * case.batch % len(x) + case.batch)
        optimizer.zero_grad()
        case.loss(net, x[rows], y[rows] if y is not None else None).backward()
        optimizer.step()
    end = state()
    # Some have no gradient, as a bias in front of a norm; most must move, or they would agree with anything.
    moved = [(start[name] - value).abs().max() > 30 * (case.atol + case.rtol * value.abs().max()) for name, value in end.items()]
    if sum(moved) < 0.75 * len(moved):
        raise SystemExit(f"{case.name}: only {sum(moved)} of {len(moved)} tensors move")
    result |= {"expected." + name: stored(value) for name, value in end.items()}
    net.eval()
    with torch.no_grad():
        result |= {"expected.predict." + name: stored(value) for name, value in case.outputs(net, x).items()}
    tensors.write(path + ".safetensors", result, {"rtol": str(case.rtol), "atol": str(case.atol)})
