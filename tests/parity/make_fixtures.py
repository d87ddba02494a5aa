"""Writes the parity fixtures: per case a spec and one file of tensors, from PyTorch in f64.

    make_fixtures.py [--out FOLDER] [CASE...]

CASE.yaml trains on CASE.safetensors, which holds `x`, `y` (and `y_val`, `x_predict`), the starting weights under their parameter paths, and what PyTorch
made of them: `expected.PATH`, `expected.predict.NAME`, `expected.epoch_losses`. Its metadata holds the tolerances `rtol` and `atol`, which
say how far f32 may be from f64: |found - expected| <= atol + rtol * |expected|. Cases `zoo_*` ask the program of build/release (or $MLC) for names.
"""
import argparse
import array
import os
import sys
import zlib

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import tensors
import corners  # noqa: F401 adds its cases
import images  # noqa: F401 adds its cases
import texts  # noqa: F401 adds its cases
import transforms  # noqa: F401 adds its cases
from cases import CASES
from initializers import write_initializers
from programs import PROGRAMS, write_program
from zoo import ZOO, write_known

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {torch.float32: "F32", torch.float64: "F32", torch.int32: "I32", torch.int64: "I64"}


def stored(tensor):
    dtype = DTYPES[tensor.dtype]
    values = array.array(tensors.CODES[dtype], tensor.detach().reshape(-1).tolist())
    return tensors.Tensor(dtype, tuple(tensor.shape), values)


def state(net):
    return {name: value.detach().clone() for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}


def steps_of(case, rows):
    """(epoch, row ranges of its batches) of each step. No batch and no step crosses the border of two epochs."""
    epoch = steps = 0
    while (epoch < case.epochs) if case.epochs else (steps < case.steps):
        ranges = [(begin, min(begin + case.batch, rows)) for begin in range(0, rows, case.batch)]
        if case.drop_last:
            ranges = [r for r in ranges if r[1] - r[0] == case.batch]
        for first in range(0, len(ranges), case.accumulate):
            if case.epochs or steps < case.steps:
                steps += 1
                yield epoch, ranges[first : first + case.accumulate]
        epoch += 1


def freeze(case, net, frozen):
    """Frozen parameters have no gradient; norms among them use their running statistics."""
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and case.frozen(name + ".running_mean"):
            module.train(not frozen)
    for name, parameter in net.named_parameters():
        if case.frozen(name):
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None


def train(case, net, x, y, y_val):
    """Returns the mean loss of each epoch, batches weighted by their rows, and the averaged weights."""
    optimizer = case.make(net.parameters())
    scheduler = case.rate(optimizer) if case.rate else None
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(case.ema)) if case.ema else None
    sums = {}
    last = 0

    def end_of_epoch():
        if scheduler and case.rate_each == "epoch":
            scheduler.step()
        if scheduler and case.rate_each == "validation":
            with torch.no_grad():
                scheduler.step(case.watched(net, x, y_val) if case.watched else case.criterion(net(x), y_val).item())

    net.train()
    for step, (epoch, ranges) in enumerate(steps_of(case, len(x))):
        if epoch != last:
            end_of_epoch()
            last = epoch
        if case.frozen:
            freeze(case, net, step < case.thaw)
        optimizer.zero_grad()
        all_rows = sum(end - begin for begin, end in ranges)
        for begin, end in ranges:
            value = case.criterion(net(x[begin:end]), y[begin:end])
            (value * ((end - begin) / all_rows)).backward()
            total, rows = sums.get(epoch, (0.0, 0))
            sums[epoch] = (total + value.item() * (end - begin), rows + end - begin)
        if case.clip:
            case.clip(net.parameters())
        optimizer.step()
        if averaged:
            averaged.update_parameters(net)
        if scheduler and case.rate_each == "step":
            scheduler.step()
    return [total / rows for total, rows in sums.values()], averaged


def spec(case):
    data = f"{case.name}.safetensors"
    length = f"epochs: {case.epochs}" if case.epochs else f"steps: {case.steps}"
    lines = [f"name: {case.name}", "data:", "  reader: safetensors", f"  train: {{path: {data}, x: x, y: y}}"]
    if case.y_val:
        lines.append(f"  val: {{path: {data}, x: x, y: y_val}}")
    if case.transforms:
        lines.append(f"  transforms: {case.transforms}")
    lines.append(f'init:\n  - {{match: "*", load: {data}}}')
    if case.top:
        lines.append(case.top.rstrip())
    lines.append("model:\n" + "\n".join("  " + line for line in case.model.split("\n")))
    lines += ["train:", f"  {length}", f"  batch_size: {case.batch}", "  shuffle: false"]
    if case.drop_last:
        lines.append("  drop_last: true")
    lines += [f"  loss: {case.loss}", f"  optimizer: {case.optimizer}"]
    if case.schedule:
        lines.append(f"  schedule: {case.schedule}")
    if case.train:
        lines.append(case.train.rstrip())
    return "\n".join(lines) + "\n"


def check_motion(case, start, end):
    """A parameter that the case does not move would agree with anything."""
    for name in start:
        least = 100 * (case.atol + case.rtol * end[name].abs().max().item())
        moved = (end[name] - start[name]).abs().max().item()
        if (name in case.still) == (moved >= least):
            sys.exit(f"{case.name}: {name} moves by {moved:.3g}, tolerance {least / 100:.3g}; wrong in `still`")


def make(case, folder):
    torch.manual_seed(zlib.crc32(case.name.encode()))
    net, x, y = case.net(), case.x(), case.y()
    y_val = case.y_val() if case.y_val else None
    with torch.no_grad():
        for name, value in case.start.items():
            net.get_parameter(name).copy_(torch.tensor(value))
    result = {"x": stored(x), "y": stored(y)}
    if y_val is not None:
        result["y_val"] = stored(y_val)
    start = state(net)
    result |= {name: stored(value) for name, value in start.items()}
    net.double()
    wide = [t.double() if t is not None and t.is_floating_point() else t for t in (x, y, y_val)]
    losses, averaged = train(case, net, *wide)
    end = state(net)
    check_motion(case, start, end)
    result |= {"expected." + name: stored(value) for name, value in end.items()}
    if case.epochs:
        result["expected.epoch_losses"] = stored(torch.tensor(losses))
    if averaged:
        net = averaged.module
        result |= {"expected.ema." + name: stored(value) for name, value in net.named_parameters()}
    if case.predict:
        net.eval()
        asked = case.x_predict() if case.x_predict else x
        if case.x_predict:
            result["x_predict"] = stored(asked)
        with torch.no_grad():
            output = net(asked.double() if asked.is_floating_point() else asked)
        for name, value in {"output": output, **case.outputs(output)}.items():
            result["expected.predict." + name] = stored(value)
    tensors.write(os.path.join(folder, case.name + ".safetensors"), result, {"rtol": str(case.rtol), "atol": str(case.atol)})
    with open(os.path.join(folder, case.name + ".yaml"), "w", encoding="utf-8") as file:
        file.write(spec(case))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(HERE, "fixtures"), help="folder of the fixtures")
    parser.add_argument("cases", nargs="*", help="only these")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    chosen = [c for c in CASES if not arguments.cases or c.name in arguments.cases]
    for case in chosen:
        make(case, arguments.out)
    for case in PROGRAMS:
        if not arguments.cases or case.name in arguments.cases:
            write_program(case, arguments.out, stored)
    for case in ZOO:
        if not arguments.cases or "zoo_" + case.name in arguments.cases:
            write_known(case, arguments.out, stored)
    if not arguments.cases:
        write_initializers(arguments.out)
    print(f"{len(chosen)} cases in {os.path.relpath(arguments.out)}")


if __name__ == "__main__":
    main()
