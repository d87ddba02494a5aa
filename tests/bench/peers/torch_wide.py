"""Regression on random data in PyTorch, one JSON line of timings at its end.

    torch_wide.py mlp8|block [--mode memory|compile] [--threads N] [--steps N]

mlp8     eight linear layers of width 1024 with ReLU, batch 256, Adam
block    one pre-norm transformer block (384 features, 6 heads, 256 tokens, causal, GELU), batch 8, AdamW
compile  torch.compile of forward, loss and backward, and the fused optimizer
"""
import argparse
import os
import statistics
import time

import common

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("workload", choices=["mlp8", "block"])
parser.add_argument("--mode", choices=["memory", "compile"], default="memory")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=20)
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(arguments.threads)
torch.manual_seed(42)


class Block(nn.Module):
    def __init__(self, d=384, heads=6):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out, self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


if arguments.workload == "mlp8":
    layers = [layer for _ in range(7) for layer in (nn.Linear(1024, 1024), nn.ReLU())]
    model, batch, shape, kind = nn.Sequential(*layers, nn.Linear(1024, 1024)), 256, (1024,), torch.optim.Adam
else:
    model, batch, shape, kind = Block(), 8, (256, 384), torch.optim.AdamW
optimizer = kind(model.parameters(), lr=1e-3, **({"fused": True} if arguments.mode == "compile" else {}))
x, y = torch.randn(10 * batch, *shape), torch.randn(10 * batch, *shape)


def objective(x, y):
    return F.mse_loss(model(x), y)


if arguments.mode == "compile":
    objective = torch.compile(objective)
first, steps = None, []
for step in range(arguments.steps + 3):
    rows = torch.randperm(len(x))[:batch]
    begin = time.perf_counter()
    loss = objective(x[rows], y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    steps.append(time.perf_counter() - begin)
    first = first or time.time() - common.START
common.report(peer="torch " + torch.__version__, mode=arguments.mode, step_ms=1e3 * statistics.median(steps[3:]), epoch_s=sum(steps[3:]), first_step_s=first,
              accuracy=0.0)
