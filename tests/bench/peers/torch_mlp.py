"""A training program in PyTorch, one JSON line of timings at its end.

    torch_mlp.py iris|breast_cancer|mnist [--mode course|memory|compile] [--threads N] [--epochs E]

course   as tutorials write it: Dataset and DataLoader, a transform per sample, .item() in each step
memory   tensors prepared once, batches by index
compile  memory, with torch.compile of forward, loss and backward and the fused optimizer
"""
import argparse
import os
import statistics
import time

import common

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("workload", choices=common.WORKLOADS)
parser.add_argument("--mode", choices=["course", "memory", "compile"], default="memory")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--epochs", type=int)
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

torch.set_num_threads(arguments.threads)
torch.manual_seed(42)
W = common.WORKLOADS[arguments.workload]
epochs = arguments.epochs or W["epochs"]


class Digits(Dataset):
    """The images as files hold them, through torchvision's transforms one at a time."""

    def __init__(self, part):
        from PIL import Image
        from torchvision import transforms

        self.image = Image
        self.x, self.y = common.read_idx(part + "-images-idx3-ubyte"), common.read_idx(part + "-labels-idx1-ubyte")
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.transform(self.image.fromarray(self.x[i])), int(self.y[i])


def network(widths, dropout):
    layers = [nn.Flatten()]
    for a, b in zip(widths[:-2], widths[1:-1]):
        layers += [nn.Linear(a, b), nn.ReLU()] + ([nn.Dropout(dropout)] if dropout else [])
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def tensors():
    x, y, xe, ye = (torch.from_numpy(np.ascontiguousarray(a)) for a in common.load(arguments.workload))
    if W["loss"] == "bce":
        y, ye = y.float()[:, None], ye.float()[:, None]
    return x, y, xe, ye


course = arguments.mode == "course"
if course and arguments.workload == "mnist":
    train, test = Digits("train"), Digits("t10k")
else:
    x, y, xe, ye = tensors()
    train, test = TensorDataset(x, y), TensorDataset(xe, ye)
model = network(W["widths"], W["dropout"])
criterion = nn.CrossEntropyLoss() if W["loss"] == "cross_entropy" else nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=W["rate"], **({"fused": True} if arguments.mode == "compile" else {}))


def batches():
    if course:
        yield from DataLoader(train, W["batch"], shuffle=True)
        return
    order = torch.randperm(len(x))
    whole = len(order) - (len(order) % W["batch"] if arguments.mode == "compile" else 0)
    for i in range(0, whole, W["batch"]):
        rows = order[i : i + W["batch"]]
        yield x[rows], y[rows]


def objective(x, y):
    return criterion(model(x), y)


if arguments.mode == "compile":
    objective = torch.compile(objective)
first, epoch_seconds = None, []
for epoch in range(epochs):
    model.train()
    steps, total = [], 0.0
    begin = last = time.perf_counter()
    for xb, yb in batches():
        loss = objective(xb, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if course:
            total += loss.item()
        now = time.perf_counter()
        first = first or time.time() - common.START
        steps.append(now - last)
        last = now
    epoch_seconds.append(time.perf_counter() - begin)

def parts_of_test():
    if course:
        yield from DataLoader(test, 256)
        return
    for i in range(0, len(xe), 1024):
        yield xe[i : i + 1024], ye[i : i + 1024]


def evaluate():
    right = 0
    for xb, yb in parts_of_test():
        out = model(xb)
        guess = (out > 0).float() if out.shape[1] == 1 else out.argmax(1)
        right += (guess == yb).sum().item()
    return right


model.eval()
with torch.no_grad():
    if not course:
        evaluate()  # the first is slower
    begin = time.perf_counter()
    right = evaluate()
    eval_seconds = time.perf_counter() - begin
common.report(peer="torch " + torch.__version__, mode=arguments.mode, step_ms=1e3 * statistics.median(steps), epoch_s=statistics.median(epoch_seconds),
              eval_us=1e6 * eval_seconds / len(test), first_step_s=first, accuracy=right / len(test))
