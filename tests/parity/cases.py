"""The parity cases: each a spec of mlc and the same network, loss, optimizer and schedule in PyTorch."""
import math
from dataclasses import dataclass, field
from typing import Callable, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import lr_scheduler as rates

CASES = []


class Net(nn.Module):
    """Steps in order; a step ("name", module) owns parameters under that name, as mlc names them."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = []
        for step in steps:
            if isinstance(step, tuple):
                self.add_module(*step)
                step = step[1]
            self.steps.append([step])  # a list hides the module from a second registration

    def forward(self, x):
        for (step,) in self.steps:
            x = step(x)
        return x


class Residual(Net):
    def __init__(self, *steps, shortcut=None):
        super().__init__(*steps)
        self.shortcut = shortcut

    def forward(self, x):
        return super().forward(x) + (self.shortcut(x) if self.shortcut else x)


@dataclass
class Case:
    name: str
    model: str                                  # YAML of the layers
    net: Callable[[], nn.Module]
    x: Callable[[], torch.Tensor]
    y: Callable[[], torch.Tensor]
    loss: str = "mse"                           # YAML
    criterion: Callable = F.mse_loss
    optimizer: str = "{type: sgd, lr: 0.1}"     # YAML
    make: Callable = lambda p: torch.optim.SGD(p, lr=0.1)
    schedule: Optional[str] = None              # YAML
    rate: Optional[Callable] = None             # optimizer -> scheduler
    rate_each: str = "step"                     # step, epoch, or validation (the scheduler gets the validation loss)
    steps: int = 6
    epochs: int = 0                             # instead of steps; the loss of each epoch is compared too
    batch: int = 4
    drop_last: bool = False
    y_val: Optional[Callable] = None            # validation set: the same x, these targets
    watched: Optional[Callable] = None          # net, x, y_val -> what the schedule monitors, instead of the validation loss
    predict: bool = False                       # also compare `mlc predict` on x after training
    x_predict: Optional[Callable] = None        # on this instead
    outputs: Callable = lambda out: {}          # what predict gives besides `output`
    rtol: float = 1e-5
    atol: float = 2e-6
    still: tuple = ()                           # parameters that rightly do not move
    accumulate: int = 1                         # batches of a step
    clip: Optional[Callable] = None             # parameters -> None, behind the gradient
    ema: float = 0                              # decay of averaged weights
    frozen: Optional[Callable] = None           # path -> whether it is frozen until step `thaw`
    thaw: int = 10**9
    start: dict = field(default_factory=dict)   # initial values that are not random
    train: str = ""                             # further YAML lines of `train:`
    top: str = ""                               # further YAML lines of the file
    transforms: str = ""                        # of the data; the net begins with what they do


def case(name, model, net, x=None, y=None, **rest):
    CASES.append(Case(name, model, net, x or normal(12, 5), y or normal(12, 3), **rest))


def normal(*shape, scale=1.0):
    return lambda: (torch.randn(shape) * scale).mul(1000).round().div(1000)


def index(*shape, high, dtype=torch.int64):
    return lambda: torch.randint(0, high, shape, dtype=dtype)


def given(values, dtype=torch.float32):
    return lambda: torch.tensor(values, dtype=dtype)


def linear(i, o, name="linear1", bias=True):
    return (name, nn.Linear(i, o, bias))


# Layers ---------------------------------------------------------------------------------------------------------------
case("linear", "- linear: 3", lambda: Net(linear(5, 3)), predict=True)
case("linear_no_bias", "- linear: {out: 3, bias: false}", lambda: Net(linear(5, 3, bias=False)))
case("linear_last_axis", "- linear: 3", lambda: Net(linear(5, 3)), x=normal(12, 2, 5), y=normal(12, 2, 3), predict=True)
case("linear_two", "- linear: 4\n- tanh\n- linear: 3", lambda: Net(linear(5, 4), torch.tanh, linear(4, 3, "linear2")))
case("linear_wide", "- linear: 19\n- tanh\n- linear: 33\n- tanh\n- linear: 3",
     lambda: Net(linear(17, 19), torch.tanh, linear(19, 33, "linear2"), torch.tanh, linear(33, 3, "linear3")), x=normal(21, 17), y=normal(21, 3), batch=7)
case("flatten", "- flatten\n- linear: 3", lambda: Net(nn.Flatten(), linear(6, 3)), x=normal(12, 2, 3))
case("flatten_rank4", "- linear: 2\n- flatten\n- linear: 3", lambda: Net(linear(4, 2), nn.Flatten(), linear(12, 3, "linear2")), x=normal(8, 2, 3, 4), y=normal(8, 3))
case("flatten_from_end", "- flatten: {start_dim: -2}\n- linear: 3", lambda: Net(nn.Flatten(-2), linear(12, 3)), x=normal(12, 2, 3, 4), y=normal(12, 2, 3))
case("reshape", "- reshape: [2, 3]\n- linear: 4", lambda: Net(lambda x: x.reshape(-1, 2, 3), linear(3, 4)), x=normal(12, 6), y=normal(12, 2, 4))
case("reshape_minus_one", "- reshape: [3, -1]\n- linear: 2", lambda: Net(lambda x: x.reshape(-1, 3, 4), linear(4, 2)), x=normal(8, 2, 6), y=normal(8, 3, 2))
case("permute", "- permute: [1, 0]\n- linear: 4", lambda: Net(lambda x: x.permute(0, 2, 1), linear(2, 4)), x=normal(12, 2, 3), y=normal(12, 3, 4))
case("permute_rank3", "- linear: 2\n- permute: [2, 0, 1]\n- linear: 4",
     lambda: Net(linear(5, 2), lambda x: x.permute(0, 3, 1, 2), linear(4, 4, "linear2")), x=normal(8, 3, 4, 5), y=normal(8, 2, 3, 4))
case("dropout_p0", "- linear: 4\n- dropout: 0\n- tanh\n- linear: 3", lambda: Net(linear(5, 4), torch.tanh, linear(4, 3, "linear2")))
case("dropout_predict", "- linear: 4\n- dropout: 0.5\n- linear: 3", lambda: Net(linear(5, 4), linear(4, 3, "linear2")), predict=True,
     optimizer="{type: sgd, lr: 0}", make=lambda p: torch.optim.SGD(p, lr=0.0), still=("linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"))
case("dropout_p1", "- linear: 4\n- dropout: 1\n- linear: 3", lambda: Net(linear(5, 4), lambda x: x * 0, linear(4, 3, "linear2")),
     still=("linear1.weight", "linear1.bias", "linear2.weight"))
case("dropout2d", "- dropout2d: 0.5\n- flatten\n- linear: 3", lambda: Net(nn.Flatten(), linear(12, 3)), x=normal(12, 2, 2, 3), predict=True,
     optimizer="{type: sgd, lr: 0}", make=lambda p: torch.optim.SGD(p, lr=0.0), still=("linear1.weight", "linear1.bias"))
case("dropout2d_p1", "- {linear: 4, as: h}\n- reshape: [2, 2, 1]\n- dropout2d: 1\n- flatten\n- linear: 3", lambda: Net(linear(5, 4, "h"), lambda x: x * 0, linear(4, 3)),
     still=("h.weight", "h.bias", "linear1.weight"))
NORM = "- linear: 4\n- {}\n- tanh\n- linear: 3"


def norm(name, module):
    return lambda: Net(linear(5, 4), (name, module()), torch.tanh, linear(4, 3, "linear2"))


# A bias in front of a batch norm has no gradient but rounding.
BN = "- linear: {{out: 4, bias: false}}\n- {}\n- tanh\n- linear: 3"


def bnorm(**arguments):
    return lambda: Net(linear(5, 4, bias=False), ("batch_norm1", nn.BatchNorm1d(4, **arguments)), torch.tanh, linear(4, 3, "linear2"))


case("batch_norm", BN.format("batch_norm"), bnorm(), predict=True, atol=5e-6)
case("batch_norm_settings", BN.format("batch_norm: {eps: 0.1, momentum: 0.3}"), bnorm(eps=0.1, momentum=0.3), predict=True, atol=5e-6)
case("batch_norm_small_last", BN.format("batch_norm"), bnorm(), x=normal(10, 5), y=normal(10, 3), epochs=2, atol=5e-6)
case("batch_norm_channels", "- batch_norm\n- flatten\n- linear: 3",
     lambda: Net(("batch_norm1", nn.BatchNorm1d(3)), nn.Flatten(), linear(12, 3)), x=normal(12, 3, 4, scale=3), predict=True, atol=5e-6)
case("batch_norm_images", "- batch_norm\n- relu\n- flatten\n- linear: 3",
     lambda: Net(("batch_norm1", nn.BatchNorm2d(2)), F.relu, nn.Flatten(), linear(12, 3)), x=normal(8, 2, 2, 3, scale=3), y=normal(8, 3), predict=True, atol=5e-6)
case("layer_norm", NORM.format("layer_norm"), norm("layer_norm1", lambda: nn.LayerNorm(4)), predict=True)
case("layer_norm_eps", NORM.format("layer_norm: {eps: 0.2}"), norm("layer_norm1", lambda: nn.LayerNorm(4, eps=0.2)))
case("layer_norm_rank2", "- layer_norm\n- linear: 3", lambda: Net(("layer_norm1", nn.LayerNorm(5)), linear(5, 3)), x=normal(12, 2, 5, scale=4), y=normal(12, 2, 3))
case("rms_norm", NORM.format("rms_norm"), norm("rms_norm1", lambda: nn.RMSNorm(4, eps=1.1920928955078125e-07)), predict=True)
case("rms_norm_eps", NORM.format("rms_norm: {eps: 0.3}"), norm("rms_norm1", lambda: nn.RMSNorm(4, eps=0.3)))
case("embedding", "- embedding: {num_embeddings: 7, embedding_dim: 4}\n- flatten\n- linear: 3",
     lambda: Net(("embedding1", nn.Embedding(7, 4)), nn.Flatten(), linear(12, 3)), x=index(12, 3, high=7), predict=True)
case("embedding_repeats_i32", "- embedding: {num_embeddings: 4, embedding_dim: 5}\n- linear: 3",
     lambda: Net(("embedding1", nn.Embedding(4, 5)), linear(5, 3)), x=index(12, 2, high=2, dtype=torch.int32), y=normal(12, 2, 3))


class Positions(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) * 0.02)

    def forward(self, x):
        return x + self.weight


case("embedding_padding", "- embedding: {num_embeddings: 5, embedding_dim: 4, padding_idx: 2}\n- linear: 3",
     lambda: Net(("embedding1", nn.Embedding(5, 4, padding_idx=2)), linear(4, 3)), x=index(12, 3, high=5), y=normal(12, 3, 3), predict=True)
case("embedding_padding_last", "- embedding: {num_embeddings: 5, embedding_dim: 4, padding_idx: -1}\n- linear: 3",
     lambda: Net(("embedding1", nn.Embedding(5, 4, padding_idx=-1)), linear(4, 3)), x=index(12, 3, high=5), y=normal(12, 3, 3))
case("embedding_single", "- embedding: {num_embeddings: 5, embedding_dim: 4}\n- linear: 3", lambda: Net(("embedding1", nn.Embedding(5, 4)), linear(4, 3)), x=index(12, high=5))
case("positions", "- positions\n- linear: 3", lambda: Net(("positions1", Positions(4, 5)), linear(5, 3)), x=normal(12, 4, 5), y=normal(12, 4, 3), predict=True)
case("positions_embedded", "- embedding: {num_embeddings: 7, embedding_dim: 6}\n- positions\n- flatten\n- linear: 3",
     lambda: Net(("embedding1", nn.Embedding(7, 6)), ("positions1", Positions(4, 6)), nn.Flatten(), linear(24, 3)), x=index(12, 4, high=7))
case("layer_norm_no_bias", NORM.format("layer_norm: {bias: false}"), norm("layer_norm1", lambda: nn.LayerNorm(4, bias=False)))
case("rms_norm_rank2", "- rms_norm\n- linear: 3", lambda: Net(("rms_norm1", nn.RMSNorm(5, eps=1.1920928955078125e-07)), linear(5, 3)), x=normal(12, 2, 5, scale=4), y=normal(12, 2, 3))
case("flatten_axes", "- flatten: {start_dim: 1}\n- linear: 3", lambda: Net(nn.Flatten(2), linear(12, 3)), x=normal(12, 2, 3, 4), y=normal(12, 2, 3))
case("flatten_inner", "- flatten: {start_dim: 0, end_dim: 1}\n- linear: 3", lambda: Net(nn.Flatten(1, 2), linear(4, 3)), x=normal(12, 2, 3, 4), y=normal(12, 6, 3))


# Attention ------------------------------------------------------------------------------------------------------------
def rotate(x, base=10000.0):
    """Rotary positions on [..., tokens, d], halves paired."""
    n, half = x.shape[-2], x.shape[-1] // 2
    angle = torch.arange(n, dtype=x.dtype)[:, None] * torch.pow(torch.tensor(base, dtype=x.dtype), -torch.arange(half, dtype=x.dtype) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


class Attention(nn.Module):
    def __init__(self, d, heads, causal=False, bias=True, rotary=False):
        super().__init__()
        self.qkv, self.out = nn.Linear(d, 3 * d, bias), nn.Linear(d, d, bias)
        self.heads, self.causal, self.turn = heads, causal, rotate if rotary else lambda x: x

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(self.turn(q), self.turn(k), v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Dropped(Attention):
    def __init__(self, d):
        super().__init__(d, 2)

    def forward(self, x):
        return self.out(0 * x)


class Block(nn.Module):
    def __init__(self, d, heads, ratio=4, **rest):
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(d), nn.LayerNorm(d), Attention(d, heads, **rest)
        self.up, self.down = nn.Linear(d, ratio * d), nn.Linear(ratio * d, d)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def attention(name, arguments, tokens=5, batch=4, d=8, **rest):
    case(name, f"- attention: {arguments}", lambda: Net(("attention1", Attention(d, 2, **rest))), x=normal(3 * batch, tokens, d),
         y=normal(3 * batch, tokens, d), batch=batch, predict=True)


attention("attention", "2")
attention("attention_causal", "{heads: 2, causal: true}", causal=True)
attention("attention_no_bias", "{heads: 2, bias: false}", bias=False)
attention("attention_rotary", "{heads: 2, positions: rotary, causal: true}", rotary=True, causal=True)
attention("attention_tokens", "{heads: 2, causal: true}", tokens=17, causal=True)
attention("attention_tokens_32", "{heads: 2}", tokens=32, batch=2)
attention("attention_samples", "{heads: 2}", batch=16)
case("transformer_block", "- transformer_block: 2", lambda: Net(("transformer_block1", Block(8, 2))), x=normal(8, 5, 8), y=normal(8, 5, 8), predict=True)
case("transformer_blocks", "- transformer_block: {heads: 2, causal: true, mlp_ratio: 2}\n  repeat: 2\n- linear: 3",
     lambda: Net(("transformer_block1", Block(8, 2, 2, causal=True)), ("transformer_block2", Block(8, 2, 2, causal=True)), linear(8, 3)), x=normal(6, 18, 8), y=normal(6, 18, 3),
     batch=3, predict=True)

STILL_BLOCK = dict(optimizer="{type: sgd, lr: 0}", make=lambda p: torch.optim.SGD(p, lr=0.0), steps=1)
case("transformer_block_rotary", "- transformer_block: {heads: 2, mlp_ratio: 3, positions: rotary, causal: true}",
     lambda: Net(("transformer_block1", Block(8, 2, 3, rotary=True, causal=True))), x=normal(8, 5, 8), y=normal(8, 5, 8), predict=True)
case("transformer_block_dropout", "- transformer_block: {heads: 2, dropout: 0.5}", lambda: Net(("transformer_block1", Block(8, 2))), x=normal(8, 5, 8), y=normal(8, 5, 8), predict=True,
     **STILL_BLOCK, still=tuple("transformer_block1." + n for n in Block(8, 2).state_dict()))


class Through(Block):
    """Both branches dropped whole."""

    def forward(self, x):
        return x


case("transformer_block_dropout_one", "- linear: 8\n- transformer_block: {heads: 2, dropout: 1}", lambda: Net(linear(5, 8), ("transformer_block1", Through(8, 2))),
     x=normal(8, 5, 5), y=normal(8, 5, 8), still=tuple("transformer_block1." + n for n in Block(8, 2).state_dict()))
case("attention_heads", "- attention: {heads: 4, positions: rotary}", lambda: Net(("attention1", Attention(8, 4, rotary=True))), x=normal(12, 6, 8), y=normal(12, 6, 8), predict=True)
# Every weight dropped: only the last bias learns.
case("attention_dropout_one", "- attention: {heads: 2, dropout: 1}", lambda: Net(("attention1", Dropped(8))), x=normal(12, 5, 8), y=normal(12, 5, 8),
     still=("attention1.qkv.weight", "attention1.qkv.bias", "attention1.out.weight"))
case("attention_one_token", "- attention: {heads: 2, causal: true}", lambda: Net(("attention1", Attention(8, 2, causal=True))), x=normal(12, 1, 8), y=normal(12, 1, 8))
class CrossAttention(nn.Module):
    """nn.MultiheadAttention with its input weights under two names."""

    def __init__(self, d, memory, heads, bias=True):
        super().__init__()
        self.q, self.kv, self.out, self.heads = nn.Linear(d, d, bias), nn.Linear(memory, 2 * d, bias), nn.Linear(d, d, bias), heads

    def forward(self, x, memory):
        n, t, d = x.shape
        split = lambda v: v.reshape(n, -1, self.heads, d // self.heads).transpose(1, 2)
        k, v = self.kv(memory).chunk(2, -1)
        return self.out(F.scaled_dot_product_attention(split(self.q(x)), split(k), split(v)).transpose(1, 2).reshape(n, t, d))


class Across(nn.Module):
    """Queries are the first two tokens, seen through a linear layer; the memory is all of them."""

    def __init__(self, bias):
        super().__init__()
        self.query, self.cross_attention1 = nn.Linear(6, 4), CrossAttention(4, 6, 2, bias)

    def forward(self, x):
        return self.cross_attention1(self.query(x[:, :2]), x)


for bias in (True, False):
    case("cross_attention" + ("" if bias else "_no_bias"), "- {expr: 'slice(x, 0, 0, 2)', as: first}\n- {linear: 4, as: query}\n"
         f"- {{cross_attention: {{heads: 2, bias: {str(bias).lower()}}}, from: [query, x]}}", lambda bias=bias: Across(bias), x=normal(8, 5, 6), y=normal(8, 2, 4), predict=True,
         rtol=2e-5, atol=4e-6)
case("transformer_text", "- embedding: {num_embeddings: 11, embedding_dim: 8}\n- positions\n- transformer_block: {heads: 2, causal: true}\n- layer_norm\n- linear: 11",
     lambda: Net(("embedding1", nn.Embedding(11, 8)), ("positions1", Positions(6, 8)), ("transformer_block1", Block(8, 2, causal=True)), ("layer_norm1", nn.LayerNorm(8)), linear(8, 11)),
     x=index(12, 6, high=11), y=index(12, 6, high=11), loss="cross_entropy", criterion=lambda out, y: F.cross_entropy(out.transpose(1, 2), y.long()),
     predict=True, rtol=3e-5, atol=5e-6)


class Skips(nn.Module):
    """Layers in a row whose sides are added up at the end: WaveNet's skips."""

    def __init__(self):
        super().__init__()
        for i in range(1, 4):
            g = nn.Module()
            g.side, g.linear1 = nn.Linear(5, 4), nn.Linear(5, 5)
            self.add_module(f"g{i}", g)
        self.linear1 = nn.Linear(4, 3)

    def forward(self, x):
        total = 0
        for g in (self.g1, self.g2, self.g3):
            total, x = total + g.side(x), torch.tanh(g.linear1(x))
        return self.linear1(total)


case("names_within_blocks", "- {gated: {}, as: g, repeat: 3}\n- {add: [g1.side, g2.side], as: two}\n- expr: two + g3.side\n- linear: 3", Skips,
     top="blocks:\n  gated():\n    - {linear: 4, as: side}\n    - {linear: 5, from: x}\n    - tanh\n", still=("g3.linear1.weight", "g3.linear1.bias"))


# Activations: the output itself is compared, and the gradient through the weights ----------------------------------------
def activation(name, item, f, x=None, y=None, **rest):
    case(name, "- linear: 4\n- " + item, lambda: Net(linear(5, 4), f), x=x or normal(12, 5, scale=2), y=y or normal(12, 4), predict=True, **rest)


activation("relu", "relu", F.relu)
activation("leaky_relu", "leaky_relu", F.leaky_relu)
activation("identity", "identity", lambda x: x)
activation("softsign", "softsign", F.softsign)
activation("log_sigmoid", "log_sigmoid", F.logsigmoid)
activation("selu", "selu", F.selu)
activation("mish", "mish", F.mish)
activation("hardswish", "hardswish", F.hardswish)
activation("relu6", "relu6", F.relu6, x=normal(12, 5, scale=5))
activation("hardsigmoid", "hardsigmoid", F.hardsigmoid, x=normal(12, 5, scale=3))
activation("celu", "celu: 0.7", lambda x: F.celu(x, 0.7))
activation("threshold", "threshold: {threshold: 0.3, value: -0.2}", lambda x: F.threshold(x, 0.3, -0.2))
activation("hardshrink", "hardshrink", F.hardshrink)
activation("softshrink", "softshrink: 0.4", lambda x: F.softshrink(x, 0.4))
activation("tanhshrink", "tanhshrink", F.tanhshrink)
activation("softmin", "softmin", lambda x: F.softmin(x, -1))
activation("hardtanh", "hardtanh", F.hardtanh)
activation("hardtanh_bounds", "hardtanh: {min_val: -0.2, max_val: 3}", lambda x: F.hardtanh(x, -0.2, 3.0))
activation("glu", "glu", F.glu, y=normal(12, 2))
activation("glu_dim", "glu: 0", lambda x: F.glu(x, 1), x=normal(12, 6, 5), y=normal(12, 3, 4))
activation("glu_middle", "glu: {dim: -2}", lambda x: F.glu(x, -2), x=normal(12, 6, 5), y=normal(12, 3, 4))
activation("leaky_relu_slope", "leaky_relu: 0.3", lambda x: F.leaky_relu(x, 0.3))
activation("elu", "elu", F.elu)
activation("elu_alpha", "elu: 0.6", lambda x: F.elu(x, 0.6))
activation("gelu", "gelu", F.gelu)
activation("gelu_tanh", "gelu: {approximate: tanh}", lambda x: F.gelu(x, approximate="tanh"))
activation("silu", "silu", F.silu)
activation("sigmoid", "sigmoid", torch.sigmoid)
activation("tanh", "tanh", torch.tanh)
activation("softplus", "softplus", F.softplus)
activation("softplus_settings", "softplus: {beta: 2, threshold: 1}", lambda x: F.softplus(x, 2, 1))
activation("softmax", "softmax", lambda x: F.softmax(x, -1))
activation("softmax_dim", "softmax: {dim: 0}", lambda x: F.softmax(x, 1), x=normal(12, 3, 5, scale=2), y=normal(12, 3, 4), still=("linear1.bias",))
activation("log_softmax", "log_softmax", lambda x: F.log_softmax(x, -1))
activation("log_softmax_dim", "log_softmax: {dim: 0}", lambda x: F.log_softmax(x, 1), x=normal(12, 3, 5), y=normal(12, 3, 4), still=("linear1.bias",))
case("prelu", "- linear: 4\n- prelu", lambda: Net(linear(5, 4), ("prelu1", nn.PReLU())), y=normal(12, 4), predict=True)
case("prelu_channels", "- linear: 4\n- prelu: {num_parameters: 3, start: 0.1}\n- linear: 2",
     lambda: Net(linear(5, 4), ("prelu1", nn.PReLU(3, 0.1)), linear(4, 2, "linear2")), x=normal(12, 3, 5), y=normal(12, 3, 2))
# Arguments far outside of the usual range.
FAR = dict(x=normal(12, 5, scale=200), optimizer="{type: sgd, lr: 1e-4}", make=lambda p: torch.optim.SGD(p, lr=1e-4))
STILL = ("linear1.weight", "linear1.bias")
for _name, _f in [("elu", F.elu), ("selu", F.selu), ("gelu", F.gelu), ("silu", F.silu), ("mish", F.mish), ("softplus", F.softplus), ("hardswish", F.hardswish), ("log_sigmoid", F.logsigmoid)]:
    activation(_name + "_far", _name, _f, **FAR, rtol=3e-5, atol=1e-5)
activation("sigmoid_far", "sigmoid", torch.sigmoid, x=normal(12, 5, scale=20))
# 1 - tanh^2 has few digits left where tanh is near 1, in any f32 program.
activation("tanh_far", "tanh", torch.tanh, x=normal(12, 5, scale=20), atol=1.3e-4)
activation("softmax_far", "softmax", lambda x: F.softmax(x, -1), **FAR, atol=1e-4, still=STILL)
activation("log_softmax_far", "log_softmax", lambda x: F.log_softmax(x, -1), **FAR, rtol=3e-5, atol=1e-5)
# Rows of zeros and a bias of zero meet every kink exactly; the bias alone moves by what the kink's gradient is.
ZERO = dict(x=given([[0.0] * 5] * 4), y=given([[1.0, -1.0, 2.0, 0.5]] * 4), steps=1, start={"linear1.bias": [0.0] * 4})
activation("relu_at_zero", "relu", F.relu, **ZERO, still=STILL)
activation("leaky_relu_at_zero", "leaky_relu", F.leaky_relu, **ZERO, still=("linear1.weight",))
activation("elu_at_zero", "elu: 0.5", lambda x: F.elu(x, 0.5), **ZERO, still=("linear1.weight",))
case("maximum_at_zero", '- {linear: 4, as: h}\n- expr: "max(h, 0 * h)"', lambda: Net(linear(5, 4, "h"), lambda x: torch.maximum(x, torch.zeros_like(x))),
     **{**ZERO, "start": {"h.bias": [0.0] * 4}}, still=("h.weight",))



# All activations at once, each behind a shift of its own that starts at 0: gradients at the kinks, values at infinities and at
# what is not a number.
class Shifted(nn.Module):
    def __init__(self, functions, width):
        super().__init__()
        self.functions = functions
        self.shifts = [nn.Parameter(torch.zeros(width)) for _ in functions]
        for i, p in enumerate(self.shifts):
            module = nn.Module()
            module.weight = p
            self.add_module(f"s{i}", module)

    def forward(self, x):
        return torch.cat([f(x + s) for f, s in zip(self.functions, self.shifts)], -1)


CORNERS = {
    "identity": lambda x: x, "relu": F.relu, "leaky_relu": F.leaky_relu, "leaky_relu: -0.5": lambda x: F.leaky_relu(x, -0.5), "elu": F.elu, "elu: 0.5": lambda x: F.elu(x, 0.5),
    "selu": F.selu, "gelu": F.gelu, "gelu: tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "mish": F.mish, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": F.softplus,
    "softplus: {beta: 2, threshold: 6}": lambda x: F.softplus(x, 2, 6), "softmax": lambda x: F.softmax(x, -1), "log_softmax": lambda x: F.log_softmax(x, -1), "hardtanh": F.hardtanh,
    "hardtanh: {min_val: -3, max_val: 6}": lambda x: F.hardtanh(x, -3.0, 6.0), "hardswish": F.hardswish, "glu": lambda x: F.glu(x, -1),
    "relu6": F.relu6, "hardsigmoid": F.hardsigmoid, "celu: 2": lambda x: F.celu(x, 2.0), "threshold: {threshold: 1, value: -2}": lambda x: F.threshold(x, 1.0, -2.0),
    "clamp: {low: -1, high: 6}": lambda x: torch.clamp(x, -1, 6), "clamp: {high: 0}": lambda x: torch.clamp(x, max=0.0), "hardshrink: 1": lambda x: F.hardshrink(x, 1.0), "softshrink: 1": lambda x: F.softshrink(x, 1.0), "tanhshrink": F.tanhshrink, "softmin": lambda x: F.softmin(x, -1),
}
KINKS = [-6.0, -3.0, -1.0, -0.0, 0.0, 1.0, 3.0, 6.0, 20.0, 20.5]
SHIFT = "blocks:\n  shift():\n    params:\n      weight: {shape: in.shape, init: 0}\n    y: x + weight\n"
case("activation_corners", "".join(f"- {{shift: {{}}, as: s{i}, from: x}}\n- {item if ':' in item else item + ': {}'}\n  as: f{i}\n" for i, item in enumerate(CORNERS))
     + "- concat: {dim: -1}\n  from: [" + ", ".join(f"f{i}" for i in range(len(CORNERS))) + "]",
     lambda: Shifted(list(CORNERS.values()), 10), x=given([KINKS]), y=normal(1, 305), batch=1, steps=1, top=SHIFT, predict=True, loss="{type: mse, reduction: sum}",
     criterion=lambda out, y: F.mse_loss(out, y, reduction="sum"), optimizer="{type: sgd, lr: 0.01}", make=lambda p: torch.optim.SGD(p, lr=0.01),
     x_predict=given([KINKS, [math.inf, 1, -200, 200, 80, -80, 1e-8, -1e-8, 1e30, 5], [-math.inf, 1, -2, 3, -4, 5, -6, 7, -8, 9], [-math.inf] * 10, [math.nan, 1, 0, -1, 2, -2, 3, -3, 4, -4]]),
     rtol=2e-5, atol=5e-6)

# Losses -----------------------------------------------------------------------------------------------------------------
def loss(name, text, criterion, out=3, model="", net=(), **rest):
    rest.setdefault("epochs", 2)
    case(name, f"- linear: {out}" + model, lambda: Net(linear(5, out), *net), loss=text, criterion=criterion, **rest)


CLASSES = dict(y=index(12, high=3))
SUM = dict(epochs=0, optimizer="{type: sgd, lr: 0.02}", make=lambda p: torch.optim.SGD(p, lr=0.02))
WEIGHT = [0.2, 1.0, 2.5]


def ce(dim=None, **arguments):
    if "weight" in arguments:
        arguments["weight"] = torch.tensor(arguments["weight"], dtype=torch.float64)
    return lambda out, y: F.cross_entropy(out if dim is None else out.movedim(dim, 1), y.long(), **arguments)


PROBABILITY = dict(predict=True, outputs=lambda out: {"probability": F.softmax(out, -1), "class": out.argmax(-1)})
loss("cross_entropy", "cross_entropy", ce(), **CLASSES, **PROBABILITY)
loss("cross_entropy_i32", "cross_entropy", ce(), y=index(12, high=3, dtype=torch.int32))
loss("cross_entropy_weight", "{type: cross_entropy, weight: [0.2, 1.0, 2.5]}", ce(weight=WEIGHT), **CLASSES)
UNEVEN = lambda: torch.tensor([0, 1, 0, 2, 0, 0, 1, 0, 1, 0, 2, 1])
loss("cross_entropy_balanced", "{type: cross_entropy, weight: balanced}", ce(weight=[12 / 18, 1.0, 2.0]), y=UNEVEN)
loss("cross_entropy_balanced_smoothing", "{type: cross_entropy, weight: balanced, label_smoothing: 0.1}", ce(weight=[12 / 18, 1.0, 2.0], label_smoothing=0.1), y=UNEVEN)
loss("cross_entropy_balanced_sum", "{type: cross_entropy, weight: balanced, reduction: sum}", ce(weight=[12 / 18, 1.0, 2.0], reduction="sum"), y=UNEVEN, **SUM)
loss("cross_entropy_balanced_formula", "'cross_entropy(output, y, weight=\"balanced\")'", ce(weight=[12 / 18, 1.0, 2.0]), y=UNEVEN)
loss("cross_entropy_smoothing", "{type: cross_entropy, label_smoothing: 0.1}", ce(label_smoothing=0.1), **CLASSES)
loss("cross_entropy_weight_smoothing", "{type: cross_entropy, weight: [0.2, 1.0, 2.5], label_smoothing: 0.2}", ce(weight=WEIGHT, label_smoothing=0.2), **CLASSES)
loss("cross_entropy_sum", "{type: cross_entropy, reduction: sum}", ce(reduction="sum"), **CLASSES, **SUM)
loss("cross_entropy_weight_sum", "{type: cross_entropy, reduction: sum, weight: [0.2, 1.0, 2.5]}", ce(reduction="sum", weight=WEIGHT), **CLASSES, **SUM)
loss("cross_entropy_positions", "cross_entropy", ce(dim=-1), x=normal(12, 4, 5), y=index(12, 4, high=3))
loss("cross_entropy_dim0", "{type: cross_entropy, dim: 0}", ce(), out=4, x=normal(12, 3, 5), y=index(12, 4, high=3), still=("linear1.bias",))
loss("cross_entropy_dim0_weight", "{type: cross_entropy, dim: 0, weight: [0.2, 1.0, 2.5], label_smoothing: 0.1}", ce(weight=WEIGHT, label_smoothing=0.1),
     out=4, x=normal(12, 3, 5), y=index(12, 4, high=3), still=("linear1.bias",))
loss("cross_entropy_small_last", "{type: cross_entropy, weight: [0.2, 1.0, 2.5]}", ce(weight=WEIGHT), x=normal(10, 5), y=index(10, high=3))
loss("cross_entropy_far", "cross_entropy", ce(), x=normal(12, 5, scale=300), **CLASSES,
     optimizer="{type: sgd, lr: 1e-4}", make=lambda p: torch.optim.SGD(p, lr=1e-4), atol=1e-5, rtol=3e-5, still=("linear1.bias",))
loss("nll", "nll", lambda out, y: F.nll_loss(out, y), model="\n- log_softmax", net=(lambda x: F.log_softmax(x, -1),), **CLASSES)
loss("nll_sum", "{type: nll, reduction: sum}", lambda out, y: F.nll_loss(out, y, reduction="sum"), model="\n- log_softmax",
     net=(lambda x: F.log_softmax(x, -1),), **CLASSES, **SUM)
BITS = dict(y=lambda: torch.randint(0, 2, (12, 2)).float())
SIGMOID = dict(model="\n- sigmoid", net=(torch.sigmoid,))
loss("bce", "bce", F.binary_cross_entropy, out=2, **BITS, **SIGMOID)
loss("bce_sum", "{type: bce, reduction: sum}", lambda out, y: F.binary_cross_entropy(out, y, reduction="sum"), out=2, **BITS, **SIGMOID, **SUM)
loss("bce_soft_targets", "bce", F.binary_cross_entropy, out=2, y=lambda: torch.rand(12, 2), **SIGMOID)
# Outputs of exactly 0 and 1: logarithms end at -100, the gradient at a denominator of 1e-12.
case("bce_log_zero", "- linear: {out: 1, bias: false}", lambda: Net(linear(5, 1, bias=False)), x=lambda: torch.eye(5), y=given([[0.0], [1.0], [0.0], [1.0], [1.0]]),
     start={"linear1.weight": [[0.0, 0.0, 1.0, 1.0, 0.25]]}, loss="bce", criterion=F.binary_cross_entropy, optimizer="{type: sgd, lr: 1e-13}",
     make=lambda p: torch.optim.SGD(p, lr=1e-13), epochs=1, batch=5)
case("bce_saturated", "- linear: {out: 1, bias: false}\n- sigmoid", lambda: Net(linear(5, 1, bias=False), torch.sigmoid), x=lambda: torch.eye(5),
     y=given([[0.0], [1.0], [1.0], [0.0], [0.0]]), start={"linear1.weight": [[60.0, -50.0, -110.0, 110.0, -80.0]]}, loss="bce",
     criterion=F.binary_cross_entropy, epochs=1, batch=5, still=("linear1.weight",))
logits = F.binary_cross_entropy_with_logits
loss("bce_with_logits", "bce_with_logits", logits, out=2, **BITS)
loss("bce_with_logits_one_output", "bce_with_logits", lambda out, y: logits(out, y.to(out).reshape(out.shape)), out=1, y=index(12, high=2),
     predict=True, outputs=lambda out: {"probability": torch.sigmoid(out)})
loss("bce_with_logits_pos_weight", "{type: bce_with_logits, pos_weight: 2.5}", lambda out, y: logits(out, y, pos_weight=torch.tensor(2.5, dtype=torch.float64)), out=2, **BITS)
loss("bce_with_logits_pos_weights", "{type: bce_with_logits, pos_weight: [0.5, 3.0]}",
     lambda out, y: logits(out, y, pos_weight=torch.tensor([0.5, 3.0], dtype=torch.float64)), out=2, **BITS)
loss("bce_with_logits_sum", "{type: bce_with_logits, reduction: sum}", lambda out, y: logits(out, y, reduction="sum"), out=2, **BITS, **SUM)
loss("bce_with_logits_far", "bce_with_logits", logits, out=2, x=normal(12, 5, scale=300), **BITS,
     optimizer="{type: sgd, lr: 1e-4}", make=lambda p: torch.optim.SGD(p, lr=1e-4), rtol=3e-5, atol=1e-5, still=("linear1.bias",))
loss("mse", "mse", F.mse_loss)
loss("mse_sum", "{type: mse, reduction: sum}", lambda out, y: F.mse_loss(out, y, reduction="sum"), **SUM)
loss("mse_positions", "mse", F.mse_loss, x=normal(12, 2, 5), y=normal(12, 2, 3))
loss("mse_one_output", "mse", lambda out, y: F.mse_loss(out[:, 0], y), out=1, y=normal(12))
loss("mse_small_last", "mse", F.mse_loss, x=normal(10, 5), y=normal(10, 3))
loss("l1", "l1", F.l1_loss)
loss("l1_sum", "{type: l1, reduction: sum}", lambda out, y: F.l1_loss(out, y, reduction="sum"), **SUM)
loss("l1_at_zero", "l1", F.l1_loss, x=given([[0.0] * 5] * 4), y=given([[0.0, 1.0, -1.0]] * 4), start={"linear1.bias": [0.0] * 3},
     epochs=1, still=("linear1.weight",))
loss("huber", "huber", F.huber_loss, y=normal(12, 3, scale=2))
loss("huber_delta", "{type: huber, delta: 0.4}", lambda out, y: F.huber_loss(out, y, delta=0.4))
loss("huber_sum", "{type: huber, reduction: sum}", lambda out, y: F.huber_loss(out, y, reduction="sum"), y=normal(12, 3, scale=2), **SUM)
DOUBLE = dict(y=normal(12, 3, scale=2))


def numbers(name, text, f, **rest):
    """A loss with both reductions."""
    loss(name, text, f, **rest)
    arguments = text.strip("{}").removeprefix("type: ")
    loss(name + "_sum", "{type: " + arguments + ", reduction: sum}", lambda out, y: f(out, y, reduction="sum"), **{**rest, **SUM})


def with_arguments(f, **arguments):
    return lambda out, y, **rest: f(out, y, **arguments, **rest)


numbers("smooth_l1", "smooth_l1", F.smooth_l1_loss, **DOUBLE)
numbers("smooth_l1_beta", "{type: smooth_l1, beta: 0.4}", with_arguments(F.smooth_l1_loss, beta=0.4), **DOUBLE)
loss("smooth_l1_beta_zero", "{type: smooth_l1, beta: 0}", lambda out, y: F.smooth_l1_loss(out, y, beta=0.0))
loss("huber_delta_sum", "{type: huber, delta: 0.4, reduction: sum}", lambda out, y: F.huber_loss(out, y, delta=0.4, reduction="sum"), **SUM)
# Differences of exactly 0 and delta: one row of identity weights.
TIES = dict(x=given([[0.0] * 5] * 4), y=given([[0.0, 0.5, -0.5, 2.0]] * 4), start={"linear1.bias": [0.0] * 4}, out=4, still=("linear1.weight",), epochs=1)
loss("huber_ties", "{type: huber, delta: 0.5}", lambda out, y: F.huber_loss(out, y, delta=0.5), **TIES)
loss("smooth_l1_ties", "{type: smooth_l1, beta: 0.5}", lambda out, y: F.smooth_l1_loss(out, y, beta=0.5), **TIES)
LOGP = dict(model="\n- log_softmax", net=(lambda x: F.log_softmax(x, -1),))
SHARES = dict(y=lambda: F.normalize(torch.rand(12, 3).mul(10).round().clamp(0, 6), p=1, dim=-1), **LOGP)   # some are exactly 0
numbers("kl_div", "kl_div", F.kl_div, **SHARES)
loss("kl_div_batchmean", "{type: kl_div, reduction: batchmean}", lambda out, y: F.kl_div(out, y, reduction="batchmean"), **SHARES)
loss("kl_div_log_target", "{type: kl_div, log_target: true, reduction: batchmean}", lambda out, y: F.kl_div(out, y, reduction="batchmean", log_target=True),
     y=lambda: F.log_softmax(torch.randn(12, 3), -1), **LOGP)


def focal(out, y, gamma=2.0, alpha=0.25, reduction="mean"):
    """torchvision.ops.sigmoid_focal_loss."""
    p = torch.sigmoid(out)
    value = logits(out, y, reduction="none") * (1 - (p * y + (1 - p) * (1 - y))) ** gamma
    if alpha >= 0:
        value = (alpha * y + (1 - alpha) * (1 - y)) * value
    return value.mean() if reduction == "mean" else value.sum()


def dice(out, y, dims=(1, 2), smooth=1e-5, reduction="mean"):
    value = 1 - (2 * (out * y).sum(dims) + smooth) / (out.sum(dims) + y.sum(dims) + smooth)
    return value.mean() if reduction == "mean" else value.sum()


def hinge(out, y, margin=1.0, reduction="mean"):
    value = (margin - torch.where(y > 0, 1.0, -1.0) * out).clamp(min=0)
    return value.mean() if reduction == "mean" else value.sum()


numbers("focal", "focal", focal, out=2, **BITS)
numbers("focal_settings", "{type: focal, gamma: 1.5, alpha: 0.6}", with_arguments(focal, gamma=1.5, alpha=0.6), out=2, **BITS)
loss("focal_no_weights", "{type: focal, gamma: 1, alpha: none}", with_arguments(focal, gamma=1.0, alpha=-1), out=2, **BITS)
loss("focal_gamma_zero", "{type: focal, gamma: 0, alpha: -1}", with_arguments(focal, gamma=0.0, alpha=-1), out=2, **BITS)
loss("focal_one_output", "focal", lambda out, y: focal(out, y.to(out).reshape(out.shape)), out=1, y=index(12, high=2),
     predict=True, outputs=lambda out: {"probability": torch.sigmoid(out)})
MAPS = dict(x=normal(12, 2, 3, 5), y=lambda: torch.randint(0, 2, (12, 2, 3, 4)).float(), out=4, **SIGMOID)
numbers("dice", "dice", with_arguments(dice, dims=(1, 2, 3)), **MAPS)
numbers("dice_channels", "{type: dice, dim: [1, 2], smooth: 1}", with_arguments(dice, dims=(2, 3), smooth=1.0), **MAPS)
numbers("hinge", "hinge", hinge, out=2, **BITS)
loss("hinge_signs", "{type: hinge, margin: 0.3}", with_arguments(hinge, margin=0.3), out=2, y=lambda: torch.randint(0, 2, (12, 2)).float() * 2 - 1)
loss("hinge_classes", "{type: hinge, margin: 2}", lambda out, y: hinge(out, y.to(out).reshape(out.shape), margin=2.0), out=1, y=index(12, high=2))
THREE = '(slice(output, 0, 0, 3), slice(output, 0, 3, 6), slice(output, 0, 6, 9)'


def triplet(**arguments):
    return lambda out, y: F.triplet_margin_loss(out[:, :3], out[:, 3:6], out[:, 6:], **arguments)


def cosine(**arguments):
    return lambda out, y: F.cosine_embedding_loss(out[:, :3], out[:, 3:6], y, **arguments)


loss("triplet", f'"triplet{THREE})"', triplet(), out=9)
loss("triplet_settings", f"\"triplet{THREE}, margin=0.4, p=1, eps=0.01, swap=true)\"", triplet(margin=0.4, p=1, eps=0.01, swap=True), out=9)
loss("triplet_p3", f'"triplet{THREE}, p=3)"', triplet(p=3), out=9)
loss("triplet_sum", f"'triplet{THREE}, reduction=\"sum\")'", triplet(reduction="sum"), out=9, **SUM)
ALIKE = dict(out=6, y=lambda: torch.randint(0, 2, (12,)).float() * 2 - 1, still=())
loss("cosine_embedding", '"cosine_embedding(slice(output, 0, 0, 3), slice(output, 0, 3, 6), y)"', cosine(), **ALIKE)
loss("cosine_embedding_margin", '"cosine_embedding(slice(output, 0, 0, 3), slice(output, 0, 3, 6), y, margin=-0.3)"', cosine(margin=-0.3), **ALIKE)
loss("cosine_embedding_sum", "'cosine_embedding(slice(output, 0, 0, 3), slice(output, 0, 3, 6), y, reduction=\"sum\")'", cosine(reduction="sum"), **ALIKE, **SUM)


def negative_likelihood(weight=None, dim=1, **arguments):
    if weight:
        weight = torch.tensor(weight, dtype=torch.float64)
    return lambda out, y: F.nll_loss(out if dim == 1 else out.movedim(dim, 1), y.long(), weight=weight, **arguments)


loss("nll_weight", "{type: nll, weight: [0.2, 1.0, 2.5]}", negative_likelihood(WEIGHT), **CLASSES, **LOGP)
loss("nll_weight_sum", "{type: nll, weight: [0.2, 1.0, 2.5], reduction: sum}", negative_likelihood(WEIGHT, reduction="sum"), **CLASSES, **LOGP, **SUM)
loss("nll_positions", "nll", negative_likelihood(dim=-1), x=normal(12, 4, 5), y=index(12, 4, high=3), **LOGP)
loss("nll_dim0", "{type: nll, dim: 0, weight: [0.2, 1.0, 2.5]}", negative_likelihood(WEIGHT), out=4, x=normal(12, 3, 5), y=index(12, 4, high=3),
     model="\n- log_softmax: 0", net=(lambda x: F.log_softmax(x, 1),), still=("linear1.bias",))
loss("nll_ignore", "{type: nll, ignore_index: 1}", negative_likelihood(ignore_index=1), **CLASSES, **LOGP)
loss("nll_ignore_weight", "{type: nll, ignore_index: 1, weight: [0.2, 1.0, 2.5]}", negative_likelihood(WEIGHT, ignore_index=1), **CLASSES, **LOGP)
HOLES = dict(x=normal(12, 4, 5), y=index(12, 4, high=4), out=4)
FOUR = dict(weight=[0.2, 1.0, 2.5, 0.7], ignore_index=3)
loss("cross_entropy_ignore", "{type: cross_entropy, ignore_index: 3}", ce(dim=-1, ignore_index=3), **HOLES)
loss("cross_entropy_ignore_i32", "{type: cross_entropy, ignore_index: 3}", ce(ignore_index=3), out=4, y=index(12, high=4, dtype=torch.int32))
loss("cross_entropy_ignore_sum", "{type: cross_entropy, ignore_index: 3, reduction: sum}", ce(dim=-1, ignore_index=3, reduction="sum"), **HOLES, **SUM)
loss("cross_entropy_ignore_all", "{type: cross_entropy, ignore_index: 3, weight: [0.2, 1.0, 2.5, 0.7], label_smoothing: 0.2}", ce(dim=-1, label_smoothing=0.2, **FOUR), **HOLES)
# Labels that are no class: PyTorch's own default, and another number.
NO_CLASS = lambda ignored: dict(x=normal(12, 4, 5), y=lambda: torch.where(torch.rand(12, 4) < 0.3, ignored, torch.randint(0, 4, (12, 4))), out=4)
loss("cross_entropy_ignore_negative", "{type: cross_entropy, ignore_index: -100}", ce(dim=-1), **NO_CLASS(-100))
loss("nll_ignore_negative", "{type: nll, ignore_index: -1, weight: [0.2, 1.0, 2.5, 0.7]}", negative_likelihood([0.2, 1.0, 2.5, 0.7], dim=-1, ignore_index=-1), **NO_CLASS(-1), **LOGP)
loss("cross_entropy_all_smoothing", "{type: cross_entropy, label_smoothing: 1}", ce(label_smoothing=1.0), **CLASSES)
loss("cross_entropy_weight_smoothing_sum", "{type: cross_entropy, weight: [0.2, 1.0, 2.5], label_smoothing: 0.2, reduction: sum}",
     ce(weight=WEIGHT, label_smoothing=0.2, reduction="sum"), **CLASSES, **SUM)
loss("mse_positions_sum", "{type: mse, reduction: sum}", lambda out, y: F.mse_loss(out, y, reduction="sum"), x=normal(12, 2, 5), y=normal(12, 2, 3), **SUM)
loss("loss_terms", "cross_entropy(output, y) + 0.1 * mean(abs(output))", lambda out, y: F.cross_entropy(out, y.long()) + 0.1 * out.abs().mean(), **CLASSES)
loss("formula_loss", "mean((output - y)**4)", lambda out, y: ((out - y) ** 4).mean(), optimizer="{type: sgd, lr: 0.005}",
     make=lambda p: torch.optim.SGD(p, lr=0.005))

# Optimizers -------------------------------------------------------------------------------------------------------------
def optimizer(name, text, kind, steps=8, **arguments):
    case(name, "- linear: 4\n- tanh\n- linear: 3", lambda: Net(linear(5, 4), torch.tanh, linear(4, 3, "linear2")), optimizer="{type: " + text + "}",
         make=lambda p: kind(p, **arguments), steps=steps, rtol=2e-5, atol=5e-6)


SGD, Adam, AdamW, RMSprop, Adagrad = (getattr(torch.optim, n) for n in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"))
optimizer("sgd", "sgd, lr: 0.2", SGD, lr=0.2)
optimizer("sgd_default", "sgd", SGD, steps=20)
optimizer("sgd_momentum", "sgd, lr: 0.1, momentum: 0.9", SGD, lr=0.1, momentum=0.9)
optimizer("sgd_nesterov", "sgd, lr: 0.1, momentum: 0.9, nesterov: true", SGD, lr=0.1, momentum=0.9, nesterov=True)
optimizer("sgd_dampening", "sgd, lr: 0.1, momentum: 0.9, dampening: 0.4", SGD, lr=0.1, momentum=0.9, dampening=0.4)
optimizer("sgd_weight_decay", "sgd, lr: 0.1, weight_decay: 0.2", SGD, lr=0.1, weight_decay=0.2)
optimizer("sgd_all", "sgd, lr: 0.1, momentum: 0.8, nesterov: true, weight_decay: 0.1", SGD, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.1)
optimizer("adam_default", "adam", Adam, steps=20)
optimizer("adam", "adam, lr: 0.05", Adam, lr=0.05)
optimizer("adam_betas", "adam, lr: 0.05, betas: [0.5, 0.9]", Adam, lr=0.05, betas=(0.5, 0.9))
optimizer("adam_eps", "adam, lr: 0.05, eps: 0.1", Adam, lr=0.05, eps=0.1)
optimizer("adam_weight_decay", "adam, lr: 0.05, weight_decay: 0.3", Adam, lr=0.05, weight_decay=0.3)
optimizer("adam_amsgrad", "adam, lr: 0.05, betas: [0.5, 0.5], amsgrad: true", Adam, lr=0.05, betas=(0.5, 0.5), amsgrad=True)
optimizer("adam_long", "adam, lr: 0.02", Adam, steps=40, lr=0.02)
optimizer("adamw_default", "adamw", AdamW, steps=20)
optimizer("adamw", "adamw, lr: 0.05, weight_decay: 0.5", AdamW, lr=0.05, weight_decay=0.5)
optimizer("adamw_betas", "adamw, lr: 0.05, betas: [0.7, 0.8], eps: 0.01", AdamW, lr=0.05, betas=(0.7, 0.8), eps=0.01)
optimizer("rmsprop_default", "rmsprop", RMSprop, steps=10)
optimizer("rmsprop", "rmsprop, lr: 0.02, alpha: 0.7", RMSprop, lr=0.02, alpha=0.7)
optimizer("rmsprop_momentum", "rmsprop, lr: 0.02, momentum: 0.6", RMSprop, lr=0.02, momentum=0.6)
optimizer("rmsprop_centered", "rmsprop, lr: 0.02, eps: 0.01, centered: true", RMSprop, lr=0.02, eps=0.01, centered=True)
optimizer("rmsprop_weight_decay", "rmsprop, lr: 0.02, weight_decay: 0.3", RMSprop, lr=0.02, weight_decay=0.3)
optimizer("rmsprop_all", "rmsprop, lr: 0.02, alpha: 0.9, eps: 0.05, momentum: 0.5, centered: true, weight_decay: 0.1", RMSprop, lr=0.02, alpha=0.9, eps=0.05,
          momentum=0.5, centered=True, weight_decay=0.1)
optimizer("adagrad_default", "adagrad", Adagrad, steps=10)
optimizer("adagrad_lr_decay", "adagrad, lr: 0.1, lr_decay: 0.3", Adagrad, lr=0.1, lr_decay=0.3)
optimizer("adagrad_weight_decay", "adagrad, lr: 0.1, weight_decay: 0.3", Adagrad, lr=0.1, weight_decay=0.3)
optimizer("adagrad_start", "adagrad, lr: 0.1, initial_accumulator_value: 0.5, eps: 0.1", Adagrad, lr=0.1, initial_accumulator_value=0.5, eps=0.1)
optimizer("adamw_amsgrad", "adamw, lr: 0.05, betas: [0.5, 0.5], amsgrad: true", AdamW, lr=0.05, betas=(0.5, 0.5), amsgrad=True)
optimizer("adam_all", "adam, lr: 0.05, betas: [0.8, 0.9], eps: 0.01, weight_decay: 0.2, amsgrad: true", Adam, lr=0.05, betas=(0.8, 0.9), eps=0.01, weight_decay=0.2, amsgrad=True)
NAdam, RAdam, Adamax, Adadelta = (getattr(torch.optim, n) for n in ("NAdam", "RAdam", "Adamax", "Adadelta"))
optimizer("nadam_default", "nadam", NAdam, steps=20)
optimizer("nadam_all", "nadam, lr: 0.05, betas: [0.8, 0.9], eps: 0.01, weight_decay: 0.2, momentum_decay: 0.1", NAdam, lr=0.05, betas=(0.8, 0.9), eps=0.01,
          weight_decay=0.2, momentum_decay=0.1)
optimizer("nadam_decoupled", "nadam, lr: 0.05, weight_decay: 0.4, decoupled_weight_decay: true", NAdam, lr=0.05, weight_decay=0.4, decoupled_weight_decay=True)
optimizer("radam_default", "radam", RAdam, steps=20)
optimizer("radam_all", "radam, lr: 0.05, betas: [0.8, 0.9], eps: 0.01, weight_decay: 0.2", RAdam, steps=16, lr=0.05, betas=(0.8, 0.9), eps=0.01, weight_decay=0.2)
optimizer("radam_decoupled", "radam, lr: 0.05, weight_decay: 0.4, decoupled_weight_decay: true", RAdam, lr=0.05, weight_decay=0.4, decoupled_weight_decay=True)
optimizer("radam_never_sure", "radam, lr: 0.05, betas: [0.8, 0.6]", RAdam, lr=0.05, betas=(0.8, 0.6))
optimizer("adamax_default", "adamax", Adamax, steps=20)
optimizer("adamax_all", "adamax, lr: 0.05, betas: [0.8, 0.7], eps: 0.1, weight_decay: 0.2", Adamax, lr=0.05, betas=(0.8, 0.7), eps=0.1, weight_decay=0.2)
optimizer("adadelta_default", "adadelta", Adadelta, steps=20)
optimizer("adadelta_all", "adadelta, lr: 0.7, rho: 0.6, eps: 0.001, weight_decay: 0.2", Adadelta, lr=0.7, rho=0.6, eps=0.001, weight_decay=0.2)
optimizer("adagrad_all", "adagrad, lr: 0.1, lr_decay: 0.1, weight_decay: 0.2, initial_accumulator_value: 0.3, eps: 0.01", Adagrad, lr=0.1, lr_decay=0.1, weight_decay=0.2,
          initial_accumulator_value=0.3, eps=0.01)


class Formula(torch.optim.Optimizer):
    """An optimizer whose `update(p, g, state, t, group)` is given by a paper."""

    def __init__(self, parameters, **settings):
        super().__init__(parameters, settings)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["t"] = state.get("t", 0) + 1
                self.update(p, p.grad, state, state["t"], group)


class Lion(Formula):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, parameters, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, lr=lr, betas=betas, weight_decay=weight_decay)

    def update(self, p, g, state, t, group):
        (b1, b2), lr = group["betas"], group["lr"]
        m = state.setdefault("m", torch.zeros_like(p))
        p.sub_(lr * ((b1 * m + (1 - b1) * g).sign() + group["weight_decay"] * p))
        m.mul_(b2).add_(g, alpha=1 - b2)


class Lamb(Formula):
    """You et al. 2020, algorithm 2, phi the identity."""

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=1e-2):
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, state, t, group):
        b1, b2 = group["betas"]
        m, v = state.setdefault("m", torch.zeros_like(p)), state.setdefault("v", torch.zeros_like(p))
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).add_(g * g, alpha=1 - b2)
        r = m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + group["eps"]) + group["weight_decay"] * p
        ratio = p.norm() / r.norm() if p.norm() > 0 and r.norm() > 0 else 1.0
        p.sub_(group["lr"] * ratio * r)


optimizer("lion_default", "lion", Lion, steps=30)
optimizer("lion_all", "lion, lr: 0.02, betas: [0.7, 0.8], weight_decay: 0.3", Lion, lr=0.02, betas=(0.7, 0.8), weight_decay=0.3)
optimizer("lamb_default", "lamb", Lamb, steps=20)
optimizer("lamb_all", "lamb, lr: 0.05, betas: [0.7, 0.9], eps: 0.01, weight_decay: 0.3", Lamb, lr=0.05, betas=(0.7, 0.9), eps=0.01, weight_decay=0.3)
case("lamb_zero_norm", "- linear: 3", lambda: Net(linear(5, 3)), start={"linear1.bias": [0.0] * 3}, optimizer="{type: lamb, lr: 0.05, weight_decay: 0}",
     make=lambda p: Lamb(p, lr=0.05, weight_decay=0.0))

# Schedules: row k of an identity matrix moves weight k alone, by the rate of step k ---------------------------------------
def schedule(name, text, rate, each="step", epochs=0, batch=1, **rest):
    case(name, "- linear: {out: 1, bias: false}", lambda: Net(linear(20, 1, bias=False)), x=lambda: torch.eye(20), y=lambda: torch.full((20, 1), -0.5),
         start={"linear1.weight": [[0.0] * 20]}, schedule=text, rate=rate, rate_each=each, steps=20, epochs=epochs, batch=batch, rtol=2e-6, atol=1e-8, **rest)


schedule("rate_step", "{type: step, step_size: 6 steps, gamma: 0.5}", lambda o: rates.StepLR(o, 6, 0.5))
schedule("rate_step_default_gamma", "{type: step, step_size: 8 steps}", lambda o: rates.StepLR(o, 8))
schedule("rate_step_epochs", "{type: step, step_size: 2 epochs, gamma: 0.5}", lambda o: rates.StepLR(o, 2, 0.5), each="epoch", epochs=6, batch=4)
schedule("rate_multi_step", "{type: multi_step, milestones: [5 steps, 12 steps], gamma: 0.3}", lambda o: rates.MultiStepLR(o, [5, 12], 0.3))
schedule("rate_exponential", "{type: exponential, gamma: 0.9, every: 1 step}", lambda o: rates.ExponentialLR(o, 0.9))
schedule("rate_exponential_epochs", "{type: exponential, gamma: 0.7, every: 1 epoch}", lambda o: rates.ExponentialLR(o, 0.7), each="epoch", epochs=4, batch=4)
schedule("rate_cosine", "cosine", lambda o: rates.CosineAnnealingLR(o, 20))
schedule("rate_cosine_settings", "{type: cosine, t_max: 8 steps, eta_min: 0.02}", lambda o: rates.CosineAnnealingLR(o, 8, 0.02))
schedule("rate_linear", "{type: linear, start_factor: 0.25, end_factor: 1.0}", lambda o: rates.LinearLR(o, 0.25, 1.0, 20))
schedule("rate_linear_default", "linear", lambda o: rates.LinearLR(o, total_iters=20))
schedule("rate_linear_iters", "{type: linear, end_factor: 0.2, total_iters: 9 steps}", lambda o: rates.LinearLR(o, end_factor=0.2, total_iters=9))
schedule("rate_linear_down", "{type: linear, start_factor: 1.0, end_factor: 0.1}", lambda o: rates.LinearLR(o, 1.0, 0.1, 20))
schedule("rate_one_cycle", "one_cycle", lambda o: rates.OneCycleLR(o, 0.1, total_steps=20, cycle_momentum=False))
schedule("rate_one_cycle_settings", "{type: one_cycle, max_lr: 0.3, pct_start: 0.4, div_factor: 10, final_div_factor: 100}",
         lambda o: rates.OneCycleLR(o, 0.3, total_steps=20, pct_start=0.4, div_factor=10, final_div_factor=100, cycle_momentum=False))
schedule("rate_polynomial", "{type: polynomial, total_iters: 15 steps}", lambda o: rates.PolynomialLR(o, 15))
schedule("rate_polynomial_power", "{type: polynomial, total_iters: 15 steps, power: 2}", lambda o: rates.PolynomialLR(o, 15, 2.0))
schedule("rate_formula", '{type: formula, lr: "lr / (1 + 0.2 * k)"}', lambda o: rates.LambdaLR(o, lambda k: 1 / (1 + 0.2 * k)))
schedule("rate_formula_total", '{type: formula, lr: "lr * (1 - k / total)**0.5"}', lambda o: rates.LambdaLR(o, lambda k: math.sqrt(1 - k / 20)))
schedule("rate_warmup_cosine", "{type: cosine, warmup: 5 steps}",
         lambda o: rates.SequentialLR(o, [rates.LinearLR(o, 0.2, 1.0, 4), rates.CosineAnnealingLR(o, 15)], [5]))
schedule("rate_warmup_step", "{type: step, warmup: 4 steps, step_size: 6 steps}",
         lambda o: rates.LambdaLR(o, lambda k: (k + 1) / 4 if k < 4 else 0.1 ** ((k - 4) // 6)))
schedule("rate_phases", "[{type: linear, for: 8 steps, start_factor: 0.5, end_factor: 1.0}, {type: exponential, gamma: 0.8, every: 1 step}]",
         lambda o: rates.LambdaLR(o, lambda k: 0.5 + 0.5 * k / 8 if k < 8 else 0.8 ** (k - 8)))
schedule("rate_cyclic", "{type: cyclic, max_lr: 0.5, step_size_up: 4 steps}",
         lambda o: rates.CyclicLR(o, 0.1, 0.5, step_size_up=4, cycle_momentum=False))
schedule("rate_cyclic_triangular2", "{type: cyclic, base_lr: 0.02, max_lr: 0.3, step_size_up: 3 steps, step_size_down: 5 steps, mode: triangular2}",
         lambda o: rates.CyclicLR(o, 0.02, 0.3, step_size_up=3, step_size_down=5, mode="triangular2", cycle_momentum=False))
schedule("rate_cyclic_exp_range", "{type: cyclic, max_lr: 0.4, step_size_up: 6 steps, mode: exp_range, gamma: 0.9}",
         lambda o: rates.CyclicLR(o, 0.1, 0.4, step_size_up=6, mode="exp_range", gamma=0.9, cycle_momentum=False))
schedule("rate_wsd", "{type: wsd, decay: 25%}", lambda o: rates.LambdaLR(o, lambda k: min(1, (20 - k) / 5)))
schedule("rate_wsd_warmup", "{type: wsd, warmup: 4 steps, decay: 8 steps, min_factor: 0.1, shape: sqrt}",
         lambda o: rates.LambdaLR(o, lambda k: (k + 1) / 4 if k < 4 else 0.1 + 0.9 * (1 - math.sqrt(max(k - 12, 0) / 8))))
schedule("rate_wsd_cosine", "{type: wsd, decay: 10 steps, shape: cosine}",
         lambda o: rates.LambdaLR(o, lambda k: (1 + math.cos(math.pi * max(k - 10, 0) / 10)) / 2))
schedule("rate_phases_warmup", "[{type: cosine, for: 3 epochs, warmup: 4 steps, eta_min: 0.01}, {type: linear, for: 5 steps, start_factor: 1, end_factor: 0.5}, {type: formula, lr: lr / (2 + k)}]",
         lambda o: rates.LambdaLR(o, lambda k: (k + 1) / 4 if k < 4 else 0.1 + 0.9 * (1 + math.cos(math.pi * (k - 4) / 8)) / 2 if k < 12
                                  else 1 - 0.5 * (k - 12) / 5 if k < 17 else 1 / (2 + k - 17)), epochs=5, batch=5)
# The validation targets lie on the other side: the validation loss rises in every epoch.
PLATEAU = dict(each="validation", epochs=9, batch=4, y_val=lambda: torch.full((20, 1), 0.5))
schedule("rate_plateau", "{type: reduce_on_plateau, patience: 1, factor: 0.5}", lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=1), **PLATEAU)
schedule("rate_plateau_settings", "{type: reduce_on_plateau, monitor: val_loss, patience: 0, factor: 0.3, cooldown: 1, min_lr: 0.02}",
         lambda o: rates.ReduceLROnPlateau(o, factor=0.3, patience=0, cooldown=1, min_lr=0.02), **PLATEAU)
schedule("rate_plateau_threshold", "{type: reduce_on_plateau, monitor: val_loss, patience: 1, factor: 0.5, threshold: 0.5}",
         lambda o: rates.ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.5), each="validation", epochs=9, batch=4, y_val=lambda: torch.full((20, 1), -0.5))
MLP = dict(model="- linear: 4\n- tanh\n- linear: 3", net=lambda: Net(linear(5, 4), torch.tanh, linear(4, 3, "linear2")))
case("rate_adam_cosine", **MLP, optimizer="{type: adam, lr: 0.05}", make=lambda p: Adam(p, lr=0.05), schedule="cosine",
     rate=lambda o: rates.CosineAnnealingLR(o, 12), steps=12, rtol=2e-5, atol=5e-6)
case("rate_sgd_momentum_step", **MLP, optimizer="{type: sgd, lr: 0.1, momentum: 0.9}", make=lambda p: SGD(p, lr=0.1, momentum=0.9),
     schedule="{type: step, step_size: 4 steps}", rate=lambda o: rates.StepLR(o, 4), steps=12)
case("rate_adamw_decay", **MLP, optimizer="{type: adamw, lr: 0.05, weight_decay: 0.4}", make=lambda p: AdamW(p, lr=0.05, weight_decay=0.4),
     schedule="{type: exponential, gamma: 0.8, every: 1 step}", rate=lambda o: rates.ExponentialLR(o, 0.8), steps=12, rtol=2e-5, atol=5e-6)

# Structure ----------------------------------------------------------------------------------------------------------------
case("residual", "- linear: 4\n- residual:\n    - linear: 4\n    - tanh\n- linear: 3",
     lambda: Net(linear(5, 4), ("residual1", Residual(linear(4, 4), torch.tanh)), linear(4, 3, "linear2")))
case("residual_shortcut", "- residual:\n    - linear: 4\n    - tanh\n  shortcut:\n    - linear: {out: 4, bias: false}\n- linear: 3",
     lambda: Net(("residual1", Residual(linear(5, 4), torch.tanh, shortcut=Net(linear(5, 4, bias=False)))), linear(4, 3)))
case("residual_nested", "- linear: 4\n- residual:\n    - residual:\n        - linear: 4\n        - relu\n    - tanh\n- linear: 3",
     lambda: Net(linear(5, 4), ("residual1", Residual(("residual1", Residual(linear(4, 4), F.relu)), torch.tanh)), linear(4, 3, "linear2")))


class Branches(Net):
    """Layers `a` and `b` on the input, joined, then linear1."""

    def __init__(self, join, joined):
        super().__init__(linear(5, 4, "a"), linear(5, 4, "b"), linear(joined, 3))
        self.join = join

    def forward(self, x):
        return self.linear1(self.join(self.a(x), self.b(x)))


class Twice(Net):
    """The value of layer `a` feeds layer `b` and meets its result again."""

    def __init__(self):
        super().__init__(linear(5, 4, "a"), linear(4, 4, "b"), linear(4, 3))

    def forward(self, x):
        a = self.a(x)
        return self.linear1(a + self.b(torch.tanh(a)))


class Gain(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width) / 4)

    def forward(self, x):
        return x * torch.exp(self.weight)


BRANCHES = "- {linear: 4, as: a, from: x}\n- {linear: 4, as: b, from: x}\n"
case("add_values", BRANCHES + "- add: [a, b]\n- linear: 3", lambda: Branches(torch.add, 4))
case("mul_values", BRANCHES + "- mul: [a, b]\n- linear: 3", lambda: Branches(torch.mul, 4))
case("matmul_values", BRANCHES + "- matmul: [a, b]\n- linear: 3", lambda: Branches(torch.matmul, 4), x=normal(12, 4, 5), y=normal(12, 4, 3))
case("concat_values", BRANCHES + "- {concat: {dim: -1}, from: [a, b]}\n- linear: 3", lambda: Branches(lambda a, b: torch.cat([a, b], 1), 8))
case("concat_axis0", BRANCHES + "- {concat: {dim: 0}, from: [a, b]}\n- flatten\n- linear: 3",
     lambda: Branches(lambda a, b: torch.cat([a, b], 1).flatten(1), 16), x=normal(12, 2, 5))
case("expr_values", BRANCHES + '- expr: "a * tanh(b) + exp(-a**2) / (1 + abs(b))"\n- linear: 3',
     lambda: Branches(lambda a, b: a * torch.tanh(b) + torch.exp(-(a**2)) / (1 + b.abs()), 4))
case("value_used_twice", "- {linear: 4, as: a}\n- tanh\n- {linear: 4, as: b}\n- add: [a, b]\n- linear: 3", Twice)
case("repeat", "- linear: 4\n- layers:\n    - linear: 4\n    - tanh\n  repeat: 3\n  as: stage\n- linear: 3",
     lambda: Net(linear(5, 4), *((f"stage{i}", Net(linear(4, 4), torch.tanh)) for i in (1, 2, 3)), linear(4, 3, "linear2")))
case("block", "- unit: 4\n- unit: {out: 3, slope: 0.2}", lambda: Net(("unit1", Net(linear(5, 4), F.leaky_relu)), ("unit2", Net(linear(4, 3), lambda x: F.leaky_relu(x, 0.2)))),
     top="blocks:\n  unit(out, slope=0.01):\n    - linear: out\n    - leaky_relu: slope\n")
case("own_function", "- linear: 4\n- wave: 2\n- linear: 3", lambda: Net(linear(5, 4), lambda x: torch.sin(2 * x) + x**2 / 4, linear(4, 3, "linear2")),
     top="functions:\n  wave(x, w=1): sin(w * x) + x**2 / 4\n")
case("own_layer", "- gain\n- linear: 3", lambda: Net(("gain1", Gain(5)), linear(5, 3)),
     top='blocks:\n  gain():\n    params:\n      weight: {shape: "[in.features]", init: 1}\n    y: x * exp(weight)\n')
case("own_optimizer", **MLP, optimizer="{type: heavy_ball, lr: 0.1, friction: 0.2}", make=lambda p: SGD(p, lr=0.1, momentum=0.8),
     top="optimizers:\n  heavy_ball(lr=0.01, friction=0.1):\n    state:\n      v: {init: 0}\n    step:\n      v: (1 - friction) * v + g\n      p: p - lr * v\n")
# Slots of shape [] live on the host: lines before and after their new value, and parameters of different settings.
class Warming(Formula):
    def update(self, p, g, state, t, group):
        before = state.setdefault("share", 0.1)
        state["share"] = min(1.0, before * 1.5 + group["weight_decay"])
        p.sub_(group["lr"] * (before * g + 0.5 * state["share"] * g.abs()))


WARMING = """optimizers:
  warming(lr=0.01, weight_decay=0):
    state: {share: {init: 0.1, shape: []}}
    step:
      before: share
      share: "min(1, share * 1.5 + weight_decay)"
      p: p - lr * (before * g + 0.5 * share * abs(g))
"""
case("own_optimizer_host_slot", **MLP, optimizer="{type: warming, lr: 0.1}", make=lambda p: Warming(p, lr=0.1, weight_decay=0.0), top=WARMING)
case("own_optimizer_host_slots", **MLP, optimizer="{type: warming, lr: 0.1}", train='  params:\n    - {match: "*.bias", weight_decay: 0.2}\n', top=WARMING,
     make=lambda p: (lambda q: Warming([{"params": q[0::2], "weight_decay": 0.0}, {"params": q[1::2], "weight_decay": 0.2}], lr=0.1))(list(p)))
case("rule_nadam", **MLP, optimizer="{type: nadam, lr: 0.05}", train='  params:\n    - {match: "*.bias", lr: lr / 5, weight_decay: 0.3}\n', atol=5e-6,
     make=lambda p: (lambda q: NAdam([{"params": q[0::2]}, {"params": q[1::2], "lr": 0.01, "weight_decay": 0.3}], lr=0.05))(list(p)))
# Names, definitions with state, gradients and requirements of their own ---------------------------------------------------
case("names_after_as", "- {linear: 4, as: a}\n- tanh\n- {linear: 4, as: b}\n- linear: 3", lambda: Net(linear(5, 4, "a"), torch.tanh, linear(4, 4, "b"), linear(4, 3)))
case("repeat_zero", "- linear: 4\n  repeat: 0\n- linear: 3", lambda: Net(linear(5, 3)))
case("repeat_counts_on", "- linear: 4\n- linear: 4\n  repeat: 2\n- linear: 3", lambda: Net(linear(5, 4), linear(4, 4, "linear2"), linear(4, 4, "linear3"), linear(4, 3, "linear4")))


class Tied(Net):
    def __init__(self):
        super().__init__(("tok", nn.Embedding(7, 4)), linear(4, 4))

    def forward(self, x):
        return F.linear(torch.tanh(self.linear1(self.tok(x))), self.tok.weight)


case("tied_weight", "- embedding: {num_embeddings: 7, embedding_dim: 4}\n  as: tok\n- linear: 4\n- tanh\n- linear: {out: 7, bias: false, weight: tok.weight}", Tied,
     x=index(12, 3, high=7), y=index(12, 3, high=7), loss="cross_entropy", criterion=lambda out, y: F.cross_entropy(out.transpose(1, 2), y.long()), predict=True)


class Averaged(nn.Module):
    """Subtracts a running mean of what came before."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("seen", torch.zeros(width))

    def forward(self, x):
        y = x - self.seen
        if self.training:
            self.seen = 0.8 * self.seen + 0.2 * x.detach().mean(0)
        return y


case("own_state", "- linear: 4\n- averaged\n- tanh\n- linear: 3", lambda: Net(linear(5, 4), ("averaged1", Averaged(4)), torch.tanh, linear(4, 3, "linear2")), predict=True,
     top="blocks:\n  averaged(share=0.2):\n    require: {0 <= share and share <= 1: share is a share}\n    state:\n      seen: {shape: in.shape, init: 0}\n"
         "    y: x - seen\n    update:\n      seen: (1 - share) * seen + share * mean(x, dim=[], batch=true)\n")
case("own_gradient", "- linear: 4\n- steps: 3\n- linear: 3", lambda: Net(linear(5, 4), lambda x: x + ((x * 3).round() / 3 - x).detach(), linear(4, 3, "linear2")), predict=True,
     top="functions:\n  steps(x, n=2):\n    y: round(x * n) / n\n    grad:\n      x: g\n")
case("own_gradient_of_result", "- linear: 4\n- squash\n- linear: 3", lambda: Net(linear(5, 4), torch.tanh, linear(4, 3, "linear2")),
     top="functions:\n  squash(x):\n    let: {e: exp(2 * x)}\n    y: (e - 1) / (e + 1)\n    grad:\n      x: g * (1 - result * result)\n")
case("override", "- linear: 4\n- silu\n- linear: 3", lambda: Net(linear(5, 4), lambda x: x * torch.sigmoid(1.5 * x), linear(4, 3, "linear2")),
     top="functions:\n  override silu(x): x * sigmoid(1.5 * x)\n")
OWN_LOSS = """functions:
  gap(x, y, least=0.5, reduction="mean"):
    args: {reduction: {type: text, words: [mean, sum]}}
    target: index
    let:
      l: logsumexp(x, dim=-1) - pick(x, y) + least * mean(x * x)
    y: 'l if reduction == "mean" else sum(l, batch=true)'
    predict: {probability: softmax(x), dim: -1}
"""
case("own_loss", "- linear: 3", lambda: Net(linear(5, 3)), **CLASSES, **PROBABILITY, loss="{type: gap, least: 0.2}", criterion=lambda out, y: F.cross_entropy(out, y.long()) + 0.2 * (out * out).mean(), top=OWN_LOSS)
case("own_loss_sum", "- linear: 3", lambda: Net(linear(5, 3)), **CLASSES, loss="{type: gap, reduction: sum}",
     criterion=lambda out, y: F.cross_entropy(out, y.long(), reduction="sum") + 0.5 * (out * out).mean(-1).sum(), top=OWN_LOSS)
case("own_optimizer_slots", **MLP, optimizer="{type: lazy, lr: 0.1, momentum: 0.5}", make=lambda p: SGD(p, lr=0.1, momentum=0.5),
     top="optimizers:\n  lazy(lr=0.01, momentum=0):\n    state: {b: {init: 0, if: momentum > 0, else: 0}}\n    step:\n      b: momentum * b + g if momentum > 0 else g\n      p: p - lr * b\n")
case("own_optimizer_stand_in", **MLP, optimizer="{type: lazy, lr: 0.1}", make=lambda p: SGD(p, lr=0.1),
     top="optimizers:\n  lazy(lr=0.01, momentum=0):\n    state: {b: {init: 0, if: momentum > 0, else: 1}}\n    step:\n      d: g * b if momentum == 0 else g\n      p: p - lr * d\n")

# Functions of formulas: each gives one number per sample of a [3, 4] value h.
def gather(h):
    return torch.gather(h, 2, h.argmax(2, keepdim=True)).sum((1, 2))


def shifted(h, f):
    """A reduction over the batch."""
    return (h - f).pow(2).sum((1, 2))


TABLE = "[[1, 2, -1], [0.5, 3, 1], [2, -2, 1], [1, 0, 4]]"
REDUCTIONS = {
    "mean(h)": lambda h: h.mean((1, 2)),
    "sum(mean(h, dim=0)**2)": lambda h: h.mean(1).pow(2).sum(1),
    "var(h)": lambda h: h.var((1, 2)),
    "sum(var(h, dim=-1, correction=0, keepdim=true) * h)": lambda h: (h.var(2, correction=0, keepdim=True) * h).sum((1, 2)),
    "sum(var(h, dim=[0, 1], keepdim=true) * h)": lambda h: (h.var((1, 2), keepdim=True) * h).sum((1, 2)),
    "max(h)": lambda h: h.amax((1, 2)),
    "sum(min(h, dim=0)**2)": lambda h: h.amin(1).pow(2).sum(1),
    "prod(h)": lambda h: h.reshape(-1, 12).prod(1),
    "sum(prod(h, dim=[0]))": lambda h: h.prod(1).sum(1),
    "logsumexp(h)": lambda h: h.logsumexp((1, 2)),
    "sum(logsumexp(h, dim=1)**2) + sum(logsumexp(h, dim=-1, keepdim=true) * h)": lambda h: h.logsumexp(2).pow(2).sum(1) + (h.logsumexp(2, keepdim=True) * h).sum((1, 2)),
    "0.01 * sum(logsumexp(20 * h + 150, dim=1))": lambda h: 0.01 * (20 * h + 150).logsumexp(2).sum(1),
    "sum(logsumexp(h, dim=0)**2)": lambda h: h.logsumexp(1).pow(2).sum(1),
    "sum(logsumexp(h, dim=[0, 1], keepdim=true) * h)": lambda h: (h.logsumexp((1, 2), keepdim=True) * h).sum((1, 2)),
    "argmax(h) * mean(h)": lambda h: h.reshape(-1, 12).argmax(1) * h.mean((1, 2)),
    "sum(argmax(h, dim=0) * sum(h, dim=0))": lambda h: (h.argmax(1) * h.sum(1)).sum(1),
    "count(h) * mean(h) + count(h, dim=1)": lambda h: 12 * h.mean((1, 2)) + 4,
    "sum(cumsum(h, 1)**2)": lambda h: h.cumsum(2).pow(2).sum((1, 2)),
    "sum((h - mean(h, dim=[], batch=true))**2)": lambda h: shifted(h, h.mean(0)),
    "sum((h - mean(h, batch=true))**2)": lambda h: shifted(h, h.mean()),
    "sum((h - var(h, dim=1, batch=true, keepdim=true))**2)": lambda h: shifted(h, h.var((0, 2)).reshape(3, 1)),
    "sum((h - max(h, dim=0, batch=true))**2)": lambda h: shifted(h, h.amax((0, 1))),
    "sum((h - logsumexp(h, dim=0, batch=true))**2)": lambda h: shifted(h, h.logsumexp((0, 1))),
}
SHAPES = {
    f"sum(transpose(h) * tensor({TABLE}))": lambda h: (h.transpose(1, 2) * torch.tensor(eval(TABLE))).sum((1, 2)),
    f"sum(permute(h, [1, 0]) * tensor({TABLE}))": lambda h: (h.permute(0, 2, 1) * torch.tensor(eval(TABLE))).sum((1, 2)),
    "sum(pick(h, argmax(h, dim=1), 1))": gather,
    "sum(one_hot(argmax(h), 12) * reshape(h, [-1]))": lambda h: h.amax((1, 2)),
    "sum(stack([h, 2 * h, h * h], 1)**2 * reshape(arange(3), [1, 3, 1]))": lambda h: (torch.stack([h, 2 * h, h * h], 2).pow(2) * torch.arange(3).reshape(1, 3, 1)).sum((1, 2, 3)),
    "sum(stack([h, 2 * h], -1)**2 * tensor([1, 3]))": lambda h: (torch.stack([h, 2 * h], -1).pow(2) * torch.tensor([1, 3])).sum((1, 2, 3)),
    "sum(concat([h, h * h], -1)**2)": lambda h: torch.cat([h, h * h], 2).pow(2).sum((1, 2)),
    "sum(slice(h, 1, 0, 4, 2)**2) + sum(slice(h, 0, 1)**3)": lambda h: h[:, :, 0:4:2].pow(2).sum((1, 2)) + h[:, 1:].pow(3).sum((1, 2)),
    "sum(pad(h, [[1, 0], [0, 2]], 0.5)**2) * mean(h)": lambda h: F.pad(h, (0, 2, 1, 0), value=0.5).pow(2).sum((1, 2)) * h.mean((1, 2)),
    'sum(pad(h, [[1, 2], [3, 1]], 0, "reflect")**3)': lambda h: F.pad(h, (3, 1, 1, 2), mode="reflect").pow(3).sum((1, 2)),
    'sum(pad(h, [[1, 2], [3, 1]], 0, "replicate")**3)': lambda h: F.pad(h, (3, 1, 1, 2), mode="replicate").pow(3).sum((1, 2)),
    "sum(where(h > 0, h, -2 * h) + (h if h > 0.5 else 3 * h))": lambda h: (torch.where(h > 0, h, -2 * h) + torch.where(h > 0.5, h, 3 * h)).sum((1, 2)),
    "sum(zeros([4]) + ones([3, 1]) * h * h)": lambda h: (h * h).sum((1, 2)),
    "sum(matmul(h, transpose(h)))": lambda h: (h @ h.transpose(1, 2)).sum((1, 2)),
    "sum(take(tensor(" + TABLE + "), argmax(h, dim=1)) * slice(h, 1, 0, 3))": lambda h: (torch.tensor(eval(TABLE))[h.argmax(2)] * h[:, :, :3]).sum((1, 2)),
    "sum(cosine_similarity(h, h * h + 1)) + sum(cosine_similarity(h, sin(h), 0))":
        lambda h: F.cosine_similarity(h, h * h + 1, 2).sum(1) + F.cosine_similarity(h, h.sin(), 1).sum(1),
    "sum(pairwise_distance(h, cos(h))**2) + sum(pairwise_distance(h, cos(h), p=1)**2) + sum(pairwise_distance(h, cos(h), inf)**2)":
        lambda h: sum(F.pairwise_distance(h, h.cos(), p=p).pow(2).sum(1) for p in (2, 1, math.inf)),
    "sum(pairwise_distance(h, cos(h), p=3)) + sum(stop_gradient(1e5 * pairwise_distance(h, h))) + sum(cosine_similarity(1e-9 * h, h))":
        lambda h: F.pairwise_distance(h, h.cos(), p=3).sum(1) + 1e5 * F.pairwise_distance(h.detach(), h.detach()).sum(1) + F.cosine_similarity(1e-9 * h, h, 2).sum(1),
    "sum(scaled_dot_product_attention(h, 2 * h, h * h)) + sum(scaled_dot_product_attention(h, h, h, causal=true))":
        lambda h: F.scaled_dot_product_attention(h, 2 * h, h * h).sum((1, 2)) + F.scaled_dot_product_attention(h, h, h, is_causal=True).sum((1, 2)),
}
ELEMENTS = {
    "abs(h) * sign(h)": lambda h: h, "exp(h) + expm1(h)": lambda h: h.exp() + h.expm1(), "log(1 + h * h) + log1p(abs(h))": lambda h: (1 + h * h).log() + h.abs().log1p(),
    "sqrt(1 + h * h) * rsqrt(2 + h * h)": lambda h: (1 + h * h).sqrt() * (2 + h * h).rsqrt(), "sin(h) * cos(h)": lambda h: h.sin() * h.cos(),
    "tanh(h) + erf(h) + sigmoid(h)": lambda h: h.tanh() + h.erf() + h.sigmoid(), "(floor(h) + ceil(h) + round(h)) * h": lambda h: (h.floor() + h.ceil() + h.round()) * h,
    "h % 0.7 + h // 0.5 * h": lambda h: h % 0.7 + (h / 0.5).floor() * h, "abs(h)**1.5 + 2**h + (1 + h * h)**h": lambda h: h.abs() ** 1.5 + 2**h + (1 + h * h) ** h,
    "min(max(h, -0.5), 0.5) * h": lambda h: h.clamp(-0.5, 0.5) * h, "cast(h > 0, f32) * h + (isnan(h) or not h > 1) * h": lambda h: (h > 0) * h + ~(h > 1) * h,
    "h if 0 < h and h < 1 else -h": lambda h: torch.where((0 < h) & (h < 1), h, -h), "stop_gradient(h) * h": lambda h: h.detach() * h,
    "h**2 - h**3 + (1 + h * h)**-1 + (1 + h * h)**0.5": lambda h: h**2 - h**3 + 1 / (1 + h * h) + (1 + h * h) ** 0.5,
    "h / (1 + h * h) - 1 / (2 + h)**2 * 0.1": lambda h: h / (1 + h * h) - 0.1 / (2 + h) ** 2,
}


class Formulas(Net):
    def __init__(self, functions):
        super().__init__(linear(5, 4, "h"))
        self.functions = functions

    def forward(self, x):
        h = self.h(x)
        return torch.stack([f(h) for f in self.functions], 1)


def formulas(name, table, wrap=lambda text: text, **rest):
    items = "".join(f"- expr: '{wrap(text)}'\n  as: f{i}\n" for i, text in enumerate(table))
    case(name, "- {linear: 4, as: h}\n" + items + "- expr: stack([" + ", ".join(f"f{i}" for i in range(len(table))) + "], 0)",
         lambda: Formulas(list(table.values())), x=normal(12, 3, 5, scale=0.7), y=normal(12, len(table)), predict=True, loss="{type: mse, reduction: sum}",
         criterion=lambda out, y: F.mse_loss(out, y, reduction="sum"), optimizer="{type: sgd, lr: 4e-6}", make=lambda p: SGD(p, lr=4e-6), steps=3, rtol=2e-5, atol=2e-6, **rest)


formulas("formula_reductions", REDUCTIONS)
formulas("formula_shapes", SHAPES)
formulas("formula_elements", {text: (lambda f: lambda h: f(h).sum((1, 2)))(f) for text, f in ELEMENTS.items()}, wrap=lambda text: f"sum({text})")
case("drop_last", **MLP, x=normal(10, 5), y=normal(10, 3), drop_last=True, epochs=3)
case("steps_wrap_around", **MLP, x=normal(10, 5), y=normal(10, 3), steps=7)
case("batch_of_all", **MLP, batch=12, steps=5)
case("batch_of_one", **MLP, batch=1, steps=15)
case("rule_rate", **MLP, train='  params:\n    - {match: "linear1.*", lr: lr / 10}\n',
     make=lambda p: (lambda q: SGD([{"params": q[:2], "lr": 0.01}, {"params": q[2:]}], lr=0.1))(list(p)))
case("rule_no_decay_on_bias", **MLP, optimizer="{type: adamw, lr: 0.05, weight_decay: 0.4}", train='  params:\n    - {match: "*.bias", weight_decay: 0}\n',
     make=lambda p: (lambda q: AdamW([{"params": q[0::2]}, {"params": q[1::2], "weight_decay": 0.0}], lr=0.05, weight_decay=0.4))(list(p)), atol=5e-6)
case("rule_momentum", **MLP, optimizer="{type: sgd, lr: 0.1}", train='  params:\n    - {match: "linear1.*", momentum: 0.9, nesterov: true}\n',
     make=lambda p: (lambda q: SGD([{"params": q[:2], "momentum": 0.9, "nesterov": True}, {"params": q[2:]}], lr=0.1))(list(p)))
case("rule_betas", **MLP, optimizer="{type: adam, lr: 0.05}", train='  params:\n    - {match: "*.bias", betas: [0.5, 0.9], eps: 1e-2}\n    - {op: linear, lr: lr / 2, betas: [0.8, 0.9]}\n',
     make=lambda p: (lambda q: Adam([{"params": q[0::2], "betas": (0.8, 0.9), "lr": 0.025}, {"params": q[1::2], "betas": (0.5, 0.9), "eps": 1e-2}], lr=0.05))(list(p)), rtol=2e-5, atol=5e-6)
case("rule_alpha_momentum", **MLP, optimizer="{type: rmsprop, lr: 0.02}", train='  params:\n    - {match: "linear2.*", alpha: 0.5, momentum: 0.6}\n',
     make=lambda p: (lambda q: torch.optim.RMSprop([{"params": q[:2]}, {"params": q[2:], "alpha": 0.5, "momentum": 0.6}], lr=0.02))(list(p)), rtol=2e-5, atol=5e-6)
case("rule_frozen", **MLP, optimizer="{type: sgd, lr: 0.1, weight_decay: 0.2}", train='  params:\n    - {match: "linear1.*", frozen: true}\n',
     make=lambda p: SGD(list(p)[2:], lr=0.1, weight_decay=0.2), still=STILL)

# Training features --------------------------------------------------------------------------------------------------------
def train_case(name, train, **rest):
    case(name, **{**MLP, **rest}, train="".join(f"  {line}\n" for line in train.split("\n")))


ADAM = dict(optimizer="{type: adam, lr: 0.05}", make=lambda p: Adam(p, lr=0.05), rtol=2e-5, atol=5e-6)
MOMENTUM = dict(optimizer="{type: sgd, lr: 0.1, momentum: 0.9}", make=lambda p: SGD(p, lr=0.1, momentum=0.9))
clip_norm = lambda limit: lambda p: torch.nn.utils.clip_grad_norm_(p, limit)
train_case("clip_norm", "clip: {norm: 0.5}", clip=clip_norm(0.5))
train_case("clip_norm_unreached", "clip: {norm: 50}", clip=clip_norm(50))
train_case("clip_norm_momentum", "clip: {norm: 0.3}", clip=clip_norm(0.3), **MOMENTUM)
train_case("clip_value", "clip: {value: 0.1}", clip=lambda p: torch.nn.utils.clip_grad_value_(p, 0.1))
train_case("clip_value_adam", "clip: {value: 0.02}", clip=lambda p: torch.nn.utils.clip_grad_value_(p, 0.02), **ADAM)
train_case("accumulate", "accumulate: 3", accumulate=3, steps=5)
train_case("accumulate_left_over", "accumulate: 2", accumulate=2, epochs=3)
train_case("accumulate_small_last", "accumulate: 2", x=normal(14, 5), y=normal(14, 3), accumulate=2, epochs=2, **MOMENTUM)
train_case("accumulate_drop_last", "accumulate: 2", x=normal(14, 5), y=normal(14, 3), accumulate=2, epochs=2, drop_last=True)
train_case("accumulate_clip_adam", "accumulate: 3\nclip: {norm: 0.2}", accumulate=3, steps=7, clip=clip_norm(0.2), **ADAM)
train_case("accumulate_schedule", "accumulate: 2", x=normal(16, 5), y=normal(16, 3), accumulate=2, steps=8, schedule="cosine", rate=lambda o: rates.CosineAnnealingLR(o, 8))
case("accumulate_batch_norm", BN.format("batch_norm"), bnorm(), x=normal(14, 5), y=normal(14, 3), batch=5, accumulate=2, epochs=2, train="  accumulate: 2\n", atol=5e-6)
train_case("ema", "ema: {decay: 0.8}", ema=0.8, steps=8, predict=True)
train_case("ema_adam", "ema: {decay: 0.9}", ema=0.9, steps=8, predict=True, **ADAM)
train_case("ema_accumulate", "ema: {decay: 0.5}\naccumulate: 2", ema=0.5, accumulate=2, epochs=3, predict=True)
case("ema_batch_norm", BN.format("batch_norm"), bnorm(), ema=0.7, predict=True, train="  ema: {decay: 0.7}\n", atol=5e-6)
FIRST = lambda name: name.startswith("linear1")
train_case("frozen_until_adam", 'params:\n  - {match: "linear1.*", frozen: until 3 steps}', frozen=FIRST, thaw=3, steps=8, **ADAM)
train_case("frozen_until_momentum", 'params:\n  - {match: "linear1.*", frozen: until 4 steps}', frozen=FIRST, thaw=4, steps=9, **MOMENTUM)
train_case("frozen_until_epochs", 'params:\n  - {match: "linear1.*", frozen: until 2 epochs}', frozen=FIRST, thaw=6, epochs=4, **ADAM)
train_case("frozen_until_second", 'params:\n  - {match: "linear2.*", frozen: until 3 steps, lr: lr / 2}', frozen=lambda n: n.startswith("linear2"), thaw=3, steps=8,
           make=lambda p: (lambda q: SGD([{"params": q[2:], "lr": 0.05}, {"params": q[:2]}], lr=0.1))(list(p)))
train_case("frozen_until_accumulate", 'accumulate: 2\nparams:\n  - {match: "linear1.weight", frozen: until 2 steps}', frozen=lambda n: n == "linear1.weight",
           thaw=2, steps=6, accumulate=2, x=normal(16, 5), y=normal(16, 3), **ADAM)
train_case("frozen_until_ema", 'ema: {decay: 0.6}\nparams:\n  - {match: "linear1.*", frozen: until 3 steps}', frozen=FIRST, thaw=10**9, steps=3, ema=0.6, predict=True, still=STILL)
train_case("frozen_until_ema_thawed", 'ema: {decay: 0.6}\nparams:\n  - {match: "linear1.*", frozen: until 3 steps}', frozen=FIRST, thaw=3, steps=6, ema=0.6, predict=True)
NORM_FROZEN = dict(frozen=lambda n: n.startswith("batch_norm1"), train='  params:\n    - {op: batch_norm, frozen: %s}\n', atol=5e-6)
case("frozen_batch_norm", BN.format("batch_norm"), bnorm(), predict=True, still=("batch_norm1.weight", "batch_norm1.bias", "batch_norm1.running_mean", "batch_norm1.running_var"),
     **{**NORM_FROZEN, "train": NORM_FROZEN["train"] % "true"})
case("frozen_batch_norm_until", BN.format("batch_norm"), bnorm(), predict=True, thaw=3, steps=7, **{**NORM_FROZEN, "train": NORM_FROZEN["train"] % "until 3 steps"})
train_case("rule_list", 'params:\n  - {match: ["linear1.bias", "linear2.*"], lr: 0.02}',
           make=lambda p: (lambda q: SGD([{"params": q[1:], "lr": 0.02}, {"params": q[:1]}], lr=0.1))(list(p)))
train_case("rule_first_match_wins", 'params:\n  - {match: "linear1.weight", lr: 0.05}\n  - {match: "linear1.*", lr: 0.01, weight_decay: 0.3}',
           make=lambda p: (lambda q: SGD([{"params": q[:1], "lr": 0.05}, {"params": q[1:2], "lr": 0.01, "weight_decay": 0.3}, {"params": q[2:]}], lr=0.1))(list(p)))
train_case("rule_scheduled", 'params:\n  - {match: "linear1.*", lr: 0.02}', schedule="{type: exponential, gamma: 0.8, every: 1 step}", steps=10,
           make=lambda p: (lambda q: SGD([{"params": q[:2], "lr": 0.02}, {"params": q[2:]}], lr=0.1))(list(p)), rate=lambda o: rates.ExponentialLR(o, 0.8))
train_case("rule_of_op", "params:\n  - {op: linear, weight_decay: 0.2}", make=lambda p: SGD(p, lr=0.1, weight_decay=0.2))
