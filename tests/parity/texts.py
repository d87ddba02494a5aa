"""Parity cases of text: character transformers, targets of one class per token."""
import os
import re

import torch
import torch.nn as nn
import torch.nn.functional as F

from cases import Block, Net, case, index, linear

VOCABULARY, WIDTH, TOKENS = 11, 8, 9


class Learned(nn.Module):
    """One trained vector per position, added."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(TOKENS, WIDTH) * 0.3)

    def forward(self, x):
        return x + self.weight


def blocks(**rest):
    return [(f"transformer_block{i}", Block(WIDTH, 2, causal=True, **rest)) for i in (1, 2)]


def net(*behind_embedding, **rest):
    return Net(("embedding1", nn.Embedding(VOCABULARY, WIDTH)), *behind_embedding, *blocks(**rest), ("layer_norm1", nn.LayerNorm(WIDTH)), linear(WIDTH, VOCABULARY))


def transformer(name, positions, make, optimizer, step, learned="", **rest):
    model = f"""- embedding: {{num_embeddings: {VOCABULARY}, embedding_dim: {WIDTH}}}{learned}
- transformer_block: {{heads: 2, causal: true, positions: {positions}}}
  repeat: 2
- layer_norm
- linear: {VOCABULARY}"""
    case(name, model, make, x=index(12, TOKENS, high=VOCABULARY), y=index(12, TOKENS, high=VOCABULARY), loss="cross_entropy",
         criterion=lambda out, y: F.cross_entropy(out.transpose(1, 2), y.long()), optimizer=optimizer, make=step, epochs=2, predict=True,
         outputs=lambda out: {"probability": out.softmax(-1), "class": out.argmax(-1).int()}, **rest)


transformer("char_transformer", "rotary", lambda: net(rotary=True), "{type: adamw, lr: 0.01, betas: [0.9, 0.99], weight_decay: 0.1}",
            lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1))
# Without rotation no loss depends on the bias of the keys: Adam would divide its rounding errors by themselves.
transformer("char_transformer_positions", "none", lambda: net(("learned1", Learned())), "{type: sgd, lr: 0.1, momentum: 0.9}",
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), learned="\n- learned",
            top='blocks:\n  learned():\n    params: {weight: {shape: in.shape, init: {normal: 0.3}}}\n    y: x + weight')


def check_count():
    """specs/char_transformer.yaml expects the number of parameters of the same network here."""
    text = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "specs", "char_transformer.yaml"), encoding="utf-8").read()
    expected = int(re.search(r"parameters: (\d+)", text).group(1))
    network = nn.Sequential(nn.Embedding(65, 128), *(Block(128, 4, causal=True, rotary=True) for _ in range(4)), nn.LayerNorm(128), nn.Linear(128, 65))
    found = sum(p.numel() for p in network.parameters())
    if found != expected:
        raise SystemExit(f"char_transformer: {expected} parameters in the spec, {found} in PyTorch")


check_count()
