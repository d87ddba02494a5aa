#!/usr/bin/env python3
"""Trains every fixture with mlc and compares the numbers with PyTorch's.

    run.py --mlc PROGRAM [--device cpu|reference] [--lanes 4|8|16] [--threads N] [--jobs N] [CASE...]

Each argument CASE is a glob over case names. A line per case, `N passed, N failed` at the end; exit status 1 where a case failed.
Needs nothing but Python's standard library.
"""
import argparse
import fnmatch
import glob
import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import tensors

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


class Mismatch(Exception):
    pass


def compare(name, found, expected, rtol, atol):
    """Raises Mismatch at the element that is furthest off; returns its distance in units of the tolerance."""
    if len(found) != len(expected):
        raise Mismatch(f"{name}: {len(found)} elements instead of {len(expected)}")
    worst, at = 0.0, 0
    for i, (f, e) in enumerate(zip(found, expected)):
        distance = abs(f - e) / (atol + rtol * abs(e)) if math.isfinite(f) and math.isfinite(e) else 0.0 if f == e or (f != f and e != e) else math.inf
        if distance > worst:
            worst, at = distance, i
    if worst > 1:
        raise Mismatch(f"{name}[{at}] is {found[at]:.9g} instead of {expected[at]:.9g}, {worst:.3g} times the tolerance")
    return worst


def mlc(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Mismatch(f"mlc {arguments[0]} ends with {done.returncode}: " + (done.stderr.strip() or "no message")[:600])
    return done.stdout


def checkpoint(folder):
    return tensors.read(os.path.join(folder, "checkpoints", "last.safetensors"))[0]


def epoch_losses(folder):
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    return [e["train_loss"] for e in events if e["event"] == "epoch"]


def predictions(case, folder, arguments, inputs):
    given, found = os.path.join(folder, "x.safetensors"), os.path.join(folder, "y.safetensors")
    tensors.write(given, inputs)
    mlc(arguments.mlc, "predict", folder, "--input", given, "--output", found, *arguments.flags)
    return tensors.read(found)[0]


def inputs_of(stored, metadata):
    inputs = {name: stored[name] for name in metadata.get("inputs", "x").split(",")}
    return {**inputs, "x": stored["x_predict"]} if "x_predict" in stored else inputs


def check_training(case, folder, arguments):
    stored, metadata = tensors.read(os.path.join(FIXTURES, case + ".safetensors"))
    rtol, atol = float(metadata["rtol"]), float(metadata["atol"])
    result = {"": checkpoint(folder)}
    worst = 0.0
    for name, expected in stored.items():
        if not name.startswith("expected."):
            continue
        name = name.removeprefix("expected.")
        if name == "epoch_losses":
            worst = max(worst, compare(name, epoch_losses(folder), expected.values, 3 * rtol, atol))
            continue
        source = ""
        if name.startswith("predict."):
            source, name = "predict", name.removeprefix("predict.")
            if source not in result:
                result[source] = predictions(case, folder, arguments, inputs_of(stored, metadata))
        if name not in result[source]:
            raise Mismatch(f"no tensor '{name}' in " + (source or "the checkpoint") + "; there are " + ", ".join(sorted(result[source])))
        found = result[source][name]
        if not source and found.shape != expected.shape:
            raise Mismatch(f"{name} has shape {found.shape} instead of {expected.shape}")
        worst = max(worst, compare(name, found.values, expected.values, rtol, atol))
    return f"{worst:.2f} of the tolerance"


def check_start(case, folder, arguments):
    """Moments of random starting values, to five standard errors."""
    with open(os.path.join(FIXTURES, case + ".json"), encoding="utf-8") as file:
        wanted = json.load(file)
    weights = checkpoint(folder)
    for name, want in wanted.items():
        values = weights[name].values
        n = len(values)
        mean = sum(values) / n
        std = math.sqrt(sum((v - mean) ** 2 for v in values) / n)
        bound = want.get("bound", math.inf)
        if max(abs(v) for v in values) > bound * (1 + 1e-6):
            raise Mismatch(f"{name} leaves its bound of {bound:.6g}")
        if want["std"] and max(abs(v) for v in values) < 0.9 * min(bound, 3 * want["std"]):
            raise Mismatch(f"{name} does not fill its range: {max(abs(v) for v in values):.6g} at most")
        if abs(mean - want["mean"]) > 5 * want["std"] / math.sqrt(n) + 1e-7:
            raise Mismatch(f"{name} has mean {mean:.6g} instead of {want['mean']:.6g}")
        if abs(std - want["std"]) > 5 * want["std"] / math.sqrt(n) + 1e-7:
            raise Mismatch(f"{name} has standard deviation {std:.6g} instead of {want['std']:.6g}")
        if want["std"] and len(set(values)) < 0.98 * n:
            raise Mismatch(f"{name} repeats values")
    return "moments"


def run(case, arguments):
    with tempfile.TemporaryDirectory(prefix="mlc-parity-") as folder:
        try:
            outside = ["--allow-outside"] if case.startswith("zoo_") else []      # these include shipped specs
            mlc(arguments.mlc, "run", os.path.join(FIXTURES, case + ".yaml"), "--out", folder, "--quiet", *outside, *arguments.flags)
            check = check_start if os.path.exists(os.path.join(FIXTURES, case + ".json")) else check_training
            return True, check(case, folder, arguments)
        except (Mismatch, OSError, KeyError, subprocess.TimeoutExpired) as fault:
            return False, str(fault)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlc", required=True, help="the program")
    parser.add_argument("--device", help="cpu or reference; as the spec says without it")
    parser.add_argument("--lanes", help="vector width of generated code")
    parser.add_argument("--threads", help="threads of each run")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time (2)")
    parser.add_argument("cases", nargs="*", help="globs over case names; all without one")
    arguments = parser.parse_args()
    arguments.flags = [word for key in ("device", "lanes", "threads") if getattr(arguments, key) for word in ("--" + key, getattr(arguments, key))]
    cases = sorted(os.path.splitext(os.path.basename(p))[0] for p in glob.glob(os.path.join(FIXTURES, "*.yaml")))
    if arguments.cases:
        cases = [c for c in cases if any(fnmatch.fnmatch(c, pattern) for pattern in arguments.cases)]
    passed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for case, (ok, text) in zip(cases, pool.map(lambda c: run(c, arguments), cases)):
            passed += ok
            print(f"{'PASS' if ok else 'FAIL'} {case}: {text}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    sys.exit(passed != len(cases) or not cases)


if __name__ == "__main__":
    main()
