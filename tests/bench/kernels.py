#!/usr/bin/env python3
"""Contraction micro-kernels against this machine's multiply-adds, operands in the caches: kernels.py --mlc PROGRAM [--lanes N]

Each row is one linear layer trained on one thread: its forward product, weight gradient and input gradient. FLOP/s are those
of the fastest of many steps, the limit is the greatest that `mlc profile`'s loop of multiply-adds reached in any run: on a
shared machine both are what quiet moments give. Exit status 1 where a kernel stays below the target. Standard library only.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

TARGET = 0.85
SHAPES = [(64, 128, 128), (64, 256, 256), (128, 256, 256), (64, 512, 256), (64, 784, 500)]  # batch, in, out: up to 1.6 MB of weights
SPEC = """name: kernels
data: {{reader: synthetic, train: {{rows: {batch}, x: [{inputs}], y: 4}}}}
model: [linear: {inputs}, relu, linear: {outputs}, relu, linear: 4]
train: {{steps: 1, batch_size: {batch}, loss: cross_entropy, optimizer: {{type: sgd, lr: 0.01}}}}
"""


def profile(options, folder, batch, inputs, outputs):
    spec = os.path.join(folder, "spec.yaml")
    with open(spec, "w", encoding="utf-8") as file:
        file.write(SPEC.format(batch=batch, inputs=inputs, outputs=outputs))
    command = [options.mlc, "profile", spec, "--threads", "1", "--steps", str(options.steps), "--json"]
    if options.lanes:
        command += ["--lanes", str(options.lanes)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlc", required=True)
    parser.add_argument("--lanes", type=int, default=0, help="width to force (default: the machine's)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    best, limit, lanes = {}, 0, 0  # (shape, launch) -> part, GFLOP/s
    with tempfile.TemporaryDirectory(prefix="mlc-kernels-") as folder:
        for shape in SHAPES * options.rounds:
            run = profile(options, folder, *shape)
            limit, lanes = max(limit, run["limit_gflops"]), run["lanes"]
            for kernel in run["kernels"]:
                if kernel["form"] == "contract" and kernel["kernel"].startswith("linear2.contract"):
                    key, gflops = (shape, kernel["launch"]), kernel["flops"] / kernel["least_us"] * 1e-3
                    best[key] = kernel["part"], max(gflops, best.get(key, ("", 0))[1])
    print(f"{lanes} lanes; limit {limit:.0f} GFLOP/s")
    missed = 0
    for ((batch, inputs, outputs), _), (part, gflops) in sorted(best.items()):
        missed += gflops < TARGET * limit
        print(f"batch {batch:3}, {inputs} to {outputs}, {part:8}  {gflops:6.1f} GFLOP/s  {gflops / limit:.2f} of the limit")
    print(f"{missed} of {len(best)} kernels below {TARGET} of the limit")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
