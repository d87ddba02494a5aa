"""Parity cases of what usual numbers hide: the defaults of eps, ends of ranges, arguments beside their defaults."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import lr_scheduler as rates

from cases import CLASSES, FAR, LOGP, SUM, STILL, Lamb, Net, case, activation, ce, index, linear, loss, normal, rotate, schedule
from images import BEFORE, behind, conv, image_case


def small(*shape, scale):
    return lambda: torch.randn(shape) * scale


# A loss of gradients near the eps of the optimizer ------------------------------------------------
def tiny(name, kind, scale, lr=0.05, steps=8):
    case(name + "_tiny", "- linear: 3", lambda: Net(linear(5, 3)), loss=f"{scale} * mean((output - y)**2)", criterion=lambda out, y: scale * F.mse_loss(out, y),
         optimizer=f"{{type: {name}, lr: {lr}}}", make=lambda p: kind(p, lr=lr), steps=steps, rtol=2e-5, atol=5e-6)


for _name, _kind, _scale in (("adam", torch.optim.Adam, 2e-8), ("adamw", torch.optim.AdamW, 2e-8), ("nadam", torch.optim.NAdam, 2e-8),
                             ("adamax", torch.optim.Adamax, 2e-8), ("rmsprop", torch.optim.RMSprop, 1e-7), ("adagrad", torch.optim.Adagrad, 3e-10), ("lamb", Lamb, 2e-6)):
    tiny(_name, _kind, _scale)
tiny("radam", torch.optim.RAdam, 1e-8, steps=30)      # its first five take no root
tiny("adadelta", torch.optim.Adadelta, 2e-3, 1)


# A step of length 0 has no direction to scale.
case("lamb_zero_step", "- linear: 3", lambda: Net(linear(5, 3)), x=lambda: torch.zeros(12, 5), optimizer="{type: lamb, lr: 0.05, weight_decay: 0}", make=lambda p: Lamb(p, lr=0.05, weight_decay=0.0),
     still=("linear1.weight",))


# Norms of inputs near their eps ---------------------------------------------------------------------------------------------
def small_norm(name, module, shape, scale):
    case(name + "_small", f"- {name if name != 'group_norm' else 'group_norm: 2'}\n- linear: 3", lambda: Net((name + "1", module()), linear(shape[-1], 3)),
         x=small(12, *shape, scale=scale), y=normal(12, *shape[:-1], 3), predict=True, atol=5e-6)


small_norm("batch_norm", lambda: nn.BatchNorm1d(4), (4,), 3e-3)
small_norm("layer_norm", lambda: nn.LayerNorm(6), (6,), 3e-3)
small_norm("rms_norm", lambda: nn.RMSNorm(6, eps=1.19e-7), (6,), 3e-4)
small_norm("group_norm", lambda: nn.GroupNorm(2, 4), (4, 5), 3e-3)
image_case("group_norm_one", BEFORE + "- group_norm: {num_groups: 1, eps: 0.3}", lambda: Net(("conv2d1", nn.Conv2d(2, 4, 3, padding=1)), ("group_norm1", nn.GroupNorm(1, 4, eps=0.3))), (2, 4, 5), (4, 4, 5),
           rtol=2e-5, atol=5e-6)
# Evaluation of one row needs no statistics of it.
case("batch_norm_one_row", "- batch_norm\n- linear: 3", lambda: Net(("batch_norm1", nn.BatchNorm1d(5)), linear(5, 3)), predict=True, x_predict=normal(1, 5), atol=5e-6)

# Axes -------------------------------------------------------------------------------------------------------------------------
case("flatten_nothing", "- flatten: {end_dim: 0}\n- linear: 3", lambda: Net(nn.Flatten(1, 1), linear(3, 3)), x=normal(12, 2, 3), y=normal(12, 2, 3))
case("embedding_one_row", "- embedding: {num_embeddings: 1, embedding_dim: 4}\n- linear: 3", lambda: Net(("embedding1", nn.Embedding(1, 4)), linear(4, 3)), x=index(12, high=1))
for _out in ((3, 4), (4, 3)):
    image_case("adaptive_avg_pool2d_{}_{}".format(*_out), BEFORE + f"- adaptive_avg_pool2d: {list(_out)}", behind(nn.AdaptiveAvgPool2d(_out)), (2, 6, 6), (4, *_out))
case("global_avg_pool_line", "- linear: 4\n- global_avg_pool", lambda: Net(linear(5, 4), lambda x: x.mean(2)), x=normal(12, 3, 5), y=normal(12, 3))

image_case("pools_line", "- conv1d: {out: 3, kernel: 3}\n- avg_pool1d: 2\n- max_pool1d: 2", lambda: Net(("conv1d1", nn.Conv1d(2, 3, 3)), nn.AvgPool1d(2), nn.MaxPool1d(2)), (2, 11), (3, 2))
image_case("channel_shuffle_wide", BEFORE + "- channel_shuffle: 2", behind(nn.ChannelShuffle(2)), (2, 3, 6), (4, 3, 6))
image_case("conv_transpose1d_plain", "- conv_transpose1d: {out: 2, kernel: 3}", lambda: Net(("conv_transpose1d1", nn.ConvTranspose1d(3, 2, 3))), (3, 5), (2, 7))

image_case("conv_transpose3d_plain", "- conv_transpose3d: {out: 2, kernel: 2}", lambda: Net(("conv_transpose3d1", nn.ConvTranspose3d(2, 2, 2))), (2, 2, 3, 2), (2, 3, 4, 3))
# `same` with strides gives inputs / stride outputs, rounded up; what is odd stands at the end.
for _mode in ("constant", "circular"):
    image_case(f"conv2d_same_strided_{_mode}", "- conv2d: {out: 3, kernel: [3, 2], stride: [2, 3], dilation: [1, 2], padding: same" + (", padding_mode: circular}" if _mode == "circular" else "}"),
               lambda _mode=_mode: Net(lambda x: F.pad(x, (0, 1, 0, 1), mode=_mode), conv("conv2d1", 2, 3, (3, 2), stride=(2, 3), dilation=(1, 2))), (2, 6, 5), (3, 3, 2))
image_case("conv3d_same_strided", "- conv3d: {out: 2, kernel: [2, 3, 4], stride: [1, 2, 3], padding: same, padding_mode: replicate}",
           lambda: Net(lambda x: F.pad(x, (1, 1, 1, 1, 0, 1), mode="replicate"), conv("conv3d1", 2, 2, (2, 3, 4), d=3, stride=(1, 2, 3))), (2, 3, 5, 5), (2, 3, 3, 2))
activation("celu_far", "celu", F.celu, **FAR, rtol=3e-5, atol=1e-5)
activation("softshrink_default", "softshrink", F.softshrink)
activation("hardshrink_default", "hardshrink", F.hardshrink)

case("rotary_base", "- {linear: 8, as: h}\n- expr: 'rotary(h, 3)'", lambda: Net(linear(5, 8, "h"), lambda h: rotate(h, 3.0)), x=normal(12, 4, 5), y=normal(12, 4, 8))

# Losses -----------------------------------------------------------------------------------------------------------------------
UNEVEN = lambda: torch.tensor([0, 1, 0, 2, 0, 0, 1, 0, 1, 0, 2, 1])
BALANCED = torch.tensor([12 / 18, 1.0, 2.0], dtype=torch.float64)
loss("nll_balanced", "{type: nll, weight: balanced}", lambda out, y: F.nll_loss(out, y, BALANCED), **LOGP, y=UNEVEN)
loss("nll_balanced_sum", "{type: nll, weight: balanced, reduction: sum}", lambda out, y: F.nll_loss(out, y, BALANCED, reduction="sum"), **LOGP, y=UNEVEN, **SUM)
loss("nll_predict", "nll", F.nll_loss, **LOGP, **CLASSES, predict=True, outputs=lambda out: {"probability": out.exp(), "class": out.argmax(-1)})
# A class that no row has is no fault where the weights are given, or none.
for _name, _weight in (("cross_entropy", None), ("cross_entropy_weight", [0.2, 1.0, 2.5])):
    loss(_name + "_absent", "cross_entropy" if not _weight else "{type: cross_entropy, weight: [0.2, 1.0, 2.5]}", ce(**({"weight": _weight} if _weight else {})), y=lambda: 2 * torch.randint(0, 2, (12,)))
loss("cross_entropy_all_smooth", "{type: cross_entropy, label_smoothing: 1}", ce(label_smoothing=1.0), **CLASSES)
SHARES = dict(model="\n- sigmoid", net=(torch.sigmoid,))


def dice(out, y):
    return (1 - 2 * (out * y).sum(-1) / (out.sum(-1) + y.sum(-1))).mean()


loss("dice_exact", "{type: dice, smooth: 0}", dice, y=lambda: torch.randint(0, 2, (12, 3)).float(), **SHARES)
# Exactly on the edge of what costs nothing the gradient is 0.
EDGE = dict(x=lambda: torch.zeros(4, 5), y=normal(4), steps=1, still=("h.weight", "h.bias"), batch=4)
case("triplet_edge", "- {linear: 3, as: h}", lambda: Net(linear(5, 3, "h")), **EDGE, start={"h.bias": [0.0] * 3}, loss="triplet(output, tensor([1, 0, 0]), tensor([0, 2, 0]), eps=0)",
     criterion=lambda out, y: F.triplet_margin_loss(out, torch.tensor([[1.0, 0, 0]], dtype=out.dtype), torch.tensor([[0, 2.0, 0]], dtype=out.dtype), eps=0))
case("cosine_embedding_edge", "- {linear: 3, as: h}", lambda: Net(linear(5, 3, "h")), **EDGE, start={"h.bias": [2.0, 0, 0]}, loss="cosine_embedding(output, tensor([0, 1, 0]), -1)",
     criterion=lambda out, y: F.cosine_embedding_loss(out, torch.tensor([[0, 1.0, 0]], dtype=out.dtype).expand(len(out), 3), -torch.ones(len(out), dtype=out.dtype)))
case("hinge_edge", "- {linear: 3, as: h}", lambda: Net(linear(5, 3, "h")), **{**EDGE, "y": lambda: torch.tensor([[1.0, 1, 0]] * 4)}, start={"h.bias": [1.0, 2, -1]}, loss="hinge",
     criterion=lambda out, y: (1 - (2 * y - 1) * out).clamp_min(0).mean())
case("cosine_embedding_rows", "- {linear: 3, as: h}", lambda: Net(linear(5, 3, "h")), x=normal(12, 2, 5), y=normal(12, 2, 3), loss="cosine_embedding(output, y, tensor([1, -1]))",
     criterion=lambda out, y: F.cosine_embedding_loss(out.flatten(0, 1), y.flatten(0, 1), torch.tensor([1.0, -1.0] * len(out), dtype=out.dtype)))
MAP = dict(out=4, x=normal(12, 3, 5), y=index(12, 4, high=3), still=("linear1.bias",), predict=True)
loss("cross_entropy_dim0_predict", "{type: cross_entropy, dim: 0}", ce(), **MAP, outputs=lambda out: {"probability": out.softmax(1), "class": out.argmax(1)})
loss("nll_dim0_predict", "{type: nll, dim: 0}", F.nll_loss, **MAP, model="\n- log_softmax: 0", net=(lambda x: F.log_softmax(x, 1),), outputs=lambda out: {"probability": out.exp(), "class": out.argmax(1)})
# Vectors near the 1e-12 that keeps their cosine finite.
case("cosine_embedding_small", "- {linear: {out: 3, bias: false}, as: h}", lambda: Net(linear(5, 3, "h", bias=False)), x=small(12, 5, scale=1e-6), y=normal(12, 3),
     loss="cosine_embedding(output, 1e-6 * y, 1)", criterion=lambda out, y: F.cosine_embedding_loss(out, 1e-6 * y, torch.ones(len(y), dtype=y.dtype)), rtol=2e-5)

# Vectors of exactly 0 and equal vectors: the norm has the gradient 0 there.
ZEROS = dict(x=lambda: torch.zeros(12, 4), start={"h.bias": [0.0] * 4}, still=("h.weight",), steps=1)
case("cosine_similarity_zero", "- {linear: 4, as: h}\n- expr: cosine_similarity(h, tensor([1, 2, 3, 4]))", lambda: Net(linear(4, 4, "h"), lambda h: F.cosine_similarity(h, torch.tensor([[1.0, 2, 3, 4]], dtype=h.dtype), -1)),
     **ZEROS, y=normal(12), optimizer="{type: sgd, lr: 1e-8}", make=lambda p: torch.optim.SGD(p, lr=1e-8))
case("pairwise_distance_zero", "- {linear: 4, as: h}\n- expr: " + " + ".join(f"pairwise_distance(h, 0, {p}, 0)" for p in (1, 2, 3, "inf")) + " + sum(h)",
     lambda: Net(linear(4, 4, "h"), lambda h: sum(F.pairwise_distance(h, torch.zeros_like(h), p, 0) for p in (1, 2, 3, float("inf"))) + h.sum(-1)), **ZEROS, y=normal(12))

# Schedules --------------------------------------------------------------------------------------------------------------------
schedule("rate_cyclic_exp_range_default", "{type: cyclic, max_lr: 0.4, step_size_up: 6 steps, mode: exp_range}",
         lambda o: rates.CyclicLR(o, 0.1, 0.4, 6, mode="exp_range", cycle_momentum=False))
schedule("rate_cyclic_default", "{type: cyclic, max_lr: 10}", lambda o: rates.CyclicLR(o, 0.1, 10, cycle_momentum=False))
schedule("rate_polynomial_default", "{type: polynomial, power: 1.5}", lambda o: rates.PolynomialLR(o, 20, 1.5))
# Far from the validation targets the loss improves by less than the threshold.
schedule("rate_plateau_slow", "{type: reduce_on_plateau, patience: 2, factor: 0.5}", lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=2), each="validation", epochs=8, batch=4, y_val=lambda: torch.full((20, 1), -3000.0))
schedule("rate_plateau_patience", "reduce_on_plateau", lambda o: rates.ReduceLROnPlateau(o), each="validation", epochs=14, batch=4, y_val=lambda: torch.full((20, 1), 0.5))
# Weights pass the validation targets on their way: the validation loss falls, then rises.
PASSING = dict(each="validation", batch=4, y_val=lambda: torch.full((20, 1), -0.15))
schedule("rate_plateau_passing", "{type: reduce_on_plateau, patience: 1, factor: 0.5, threshold: 1e-2}", lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=1e-2), epochs=14, **PASSING)
schedule("rate_plateau_cooldown", "{type: reduce_on_plateau, patience: 0, factor: 0.5, cooldown: 3}", lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=0, cooldown=3), epochs=12, **{**PASSING, "y_val": lambda: torch.full((20, 1), 0.5)})
schedule("rate_plateau_default", "reduce_on_plateau", lambda o: rates.ReduceLROnPlateau(o), epochs=16, **PASSING)


def right_share(net, x, y):
    return (net(x).argmax(-1) == y).double().mean().item()


TRAINED = lambda: torch.tensor([0, 1, 2] * 4)
for _name, _text, _arguments in (("rate_plateau_rising_trained", "patience: 0, factor: 0.7", dict(factor=0.7, patience=0)),
                               ("rate_plateau_rising_trained_threshold", "patience: 0, factor: 0.8, threshold: 0.5", dict(factor=0.8, patience=0, threshold=0.5)), ("rate_plateau_rising", "patience: 1, factor: 0.5", dict(factor=0.5, patience=1)), ("rate_plateau_rising_threshold", "patience: 0, factor: 0.6, threshold: 0.2", dict(factor=0.6, patience=0, threshold=0.2)),
                               ("rate_plateau_rising_flat", "patience: 2, factor: 0.5, threshold: 0", dict(factor=0.5, patience=2, threshold=0))):
    case(_name, "- linear: 3", lambda: Net(linear(5, 3)), y=TRAINED if "trained" in _name else index(12, high=3), y_val=TRAINED if "trained" in _name else index(12, high=3), loss="cross_entropy", criterion=F.cross_entropy, epochs=12,
         schedule=f"{{type: reduce_on_plateau, monitor: val_accuracy, {_text}}}", rate=lambda o, a=_arguments: rates.ReduceLROnPlateau(o, mode="max", **a), rate_each="validation", watched=right_share,
         optimizer="{type: sgd, lr: 0.5}", make=lambda p: torch.optim.SGD(p, lr=0.5), top="eval: {metrics: [accuracy]}\n", rtol=3e-5, atol=5e-6)
