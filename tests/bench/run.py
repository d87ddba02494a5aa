#!/usr/bin/env python3
"""mlc beside the programs that users would write instead, on this machine, in the same minutes.

    run.py --mlc PROGRAM --peers PYTHON [--rounds N] [--only PART]... [--json FILE]

Parts: iris, tiny, step, wide, epoch (one, and five as a whole process), evaluation, check, compile, first.

PYTHON is an interpreter with torch, torchvision and jax; without --peers only mlc's own limits are measured. Both sides alternate, A B A B; a
ratio is the median over the rounds of peer's time / mlc's time in the same round. MNIST is read from $MLC_DATA (rows skipped where it is not).
Beside the table: what a loop of multiply-adds and a copy reach, measured before, after, and for as many threads. Exit status 1 where a
target is missed. Standard library only.
"""
import argparse
import collections
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.join(HERE, "..", "..")
median = statistics.median
Ended = collections.namedtuple("Ended", "seconds cpu peak text")   # wall and CPU seconds, peak MB, standard output of a process


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder, self.rows, self.number = arguments, folder, [], 0
        self.cache = os.path.join(folder, "cache")
        self.mnist = os.path.isdir(os.path.join(os.environ.get("MLC_DATA", ""), "mnist"))

    def process(self, *command, **environment):
        out = os.path.join(self.folder, "stdout")
        with open(out, "w", encoding="utf-8") as file:
            begin = time.perf_counter()
            child = subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, env={**os.environ, "MLC_CACHE": self.cache, **environment})
            fault = child.stderr.read().decode()
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - begin
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"{' '.join(command)} ends with {child.returncode}:\n{fault}")
        with open(out, encoding="utf-8") as file:
            return Ended(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file.read())

    def mlc(self, spec, *flags, **environment):
        """A training run; its summary, with `process_s`, `peak_mb` and the seconds of its last epoch added."""
        self.number += 1
        out = os.path.join(self.folder, f"run{self.number}")
        command = [self.arguments.mlc, "run", os.path.join(REPOSITORY, "specs", spec), "--out", out, "--json", *flags]
        ended = self.process(*command, **environment)
        events = [json.loads(line) for line in ended.text.splitlines()]
        summary = next(e for e in events if e["event"] == "summary")
        ends = [0.0] + [e["seconds"] for e in events if e["event"] == "epoch"]
        shutil.rmtree(out)
        return {**summary, "process_s": ended.seconds, "peak_mb": ended.peak, "epoch_s": ends[-1] - ends[-2],
                "eval_us": 1e6 * summary.get("test_seconds", 0) / summary.get("test_rows", 1)}

    def peer(self, program, *flags):
        ended = self.process(self.arguments.peers, os.path.join(HERE, "peers", program + ".py"), *flags)
        return {**json.loads(ended.text.splitlines()[-1]), "process_s": ended.seconds, "peak_mb": ended.peak}

    def against(self, what, key, unit, target, own, peers):
        """Interleaves own() and each of `peers`; the row takes the fastest peer. Target: the least ratio."""
        if not self.arguments.peers:
            return
        times = {name: [] for name in ["mlc", *peers]}
        for _ in range(self.arguments.rounds):
            times["mlc"].append(own()[key])
            for name, peer in peers.items():
                times[name].append(peer()[key])
        best = min(peers, key=lambda name: median(times[name]))
        ratio = median(p / m for p, m in zip(times[best], times["mlc"]))
        self.row(what, median(times["mlc"]), unit, f"{best} {median(times[best]):.4g} {unit}", ratio, ratio >= target, f">= {target:g} x")

    def limit(self, what, values, unit, most):
        self.row(what, median(values), unit, "", None, median(values) <= most, f"<= {most:g} {unit}")

    def check(self, name, text):
        """Checks a spec of this text: the least CPU time of several runs (one thread: the wall time of a quiet machine), in ms, and its ops."""
        path = os.path.join(self.folder, name + ".yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        ended = [self.process(self.arguments.mlc, "check", path) for _ in range(3 * self.arguments.rounds)]
        return 1e3 * min(e.cpu for e in ended), int(re.search(r"(\d+) ops", ended[0].text).group(1))

    def row(self, what, value, unit, peer, ratio, met, target):
        self.rows.append({"what": what, "mlc": value, "unit": unit, "peer": peer, "ratio": ratio, "target": target, "met": met})
        print(f"{what:36} {value:9.4g} {unit:3} {peer:28} {f'{ratio:.2f} x' if ratio else '':>9}  {target:14} {'met' if met else 'MISSED'}", flush=True)


def iris(b):
    b.mlc("iris.yaml")  # fills the cache
    b.limit("iris, whole process, warm cache", [b.mlc("iris.yaml")["process_s"] for _ in range(b.arguments.rounds)], "s", 0.15)
    b.against("iris, whole process", "process_s", "s", 15, lambda: b.mlc("iris.yaml"),
              {"torch": lambda: b.peer("torch_mlp", "iris"), "jax scan": lambda: b.peer("jax_mlp", "iris")})


def step(b):
    for threads in ("2", "1"):
        flags = ("mnist", "--threads", threads, "--epochs", "1")
        b.against(f"mnist step, {threads} threads", "step_ms", "ms", 1.6 if threads == "2" else 1.15,
                  lambda: b.mlc("mnist.yaml", "--threads", threads, "--set", "train.epochs=1"),
                  {"torch": lambda: b.peer("torch_mlp", *flags), "torch.compile": lambda: b.peer("torch_mlp", *flags, "--mode", "compile"),
                   "jax scan": lambda: b.peer("jax_mlp", *flags)})


def epoch(b):
    b.against("mnist epoch, data path included", "epoch_s", "s", 8, lambda: b.mlc("mnist.yaml", "--threads", "2", "--set", "train.epochs=2"),
              {"torch course": lambda: b.peer("torch_mlp", "mnist", "--mode", "course", "--epochs", "1")})
    b.against("mnist, 5 epochs, whole process", "process_s", "s", 12, lambda: b.mlc("mnist.yaml", "--threads", "2"),
              {"torch course": lambda: b.peer("torch_mlp", "mnist", "--mode", "course", "--epochs", "5")})


def evaluation(b):
    """A row of the test part: outputs and metrics. The peers have their data prepared and one evaluation behind them."""
    flags = ("mnist", "--threads", "2", "--epochs", "1")
    b.against("mnist evaluation, per row", "eval_us", "us", 1, lambda: b.mlc("mnist.yaml", "--threads", "2", "--set", "train.epochs=1"),
              {"torch": lambda: b.peer("torch_mlp", *flags), "jax": lambda: b.peer("jax_mlp", *flags)})


def wide(b):
    """Contractions that fill the machine: weights and activations no longer fit the second-level cache."""
    for name, spec, target in (("mlp8", os.path.join(HERE, "mlp8.yaml"), 1.0), ("block", "transformer_block.yaml", 1.0)):
        for threads in ("2", "1"):
            flags = (name, "--threads", threads)
            b.against(f"{name} step, {threads} threads", "step_ms", "ms", target,
                      lambda: b.mlc(spec, "--threads", threads, "--set", "train.epochs=2"),
                      {"torch": lambda: b.peer("torch_wide", *flags), "torch.compile": lambda: b.peer("torch_wide", *flags, "--mode", "compile"),
                       "jax scan": lambda: b.peer("jax_wide", *flags)})


def tiny(b):
    """Steps of networks so small that calls cost more than arithmetic: the fastest peer is a scan in one call."""
    for spec, name, target in (("iris.yaml", "iris", 15), ("breast_cancer.yaml", "breast_cancer", 10)):
        b.against(f"{name} step, 1 thread", "step_ms", "ms", target, lambda: b.mlc(spec, "--threads", "1"),
                  {"torch": lambda: b.peer("torch_mlp", name, "--threads", "1"), "jax scan": lambda: b.peer("jax_mlp", name, "--threads", "1")})


def layers(model, inputs="[64]"):
    return (f"data: {{reader: synthetic, train: {{rows: 64, x: {inputs}, y: 10}}}}\nmodel:\n{model}"
            "  - linear: 10\ntrain: {steps: 1, batch_size: 32, loss: cross_entropy, optimizer: adam}\n")


def chain(links):
    """A graph's text: squares, reshapes and sums in turn, bad for any pass that walks a chain again and again."""
    lines = ['graph "chain" batch=2', 'tensor @0 input "x" f32[6]', 'tensor @1 output "y" f32[2, 6]', "%0 = input tensor=@0 : f32[2, 6] sample"]
    shapes = ("f32[2, 6] sample", "f32[2, 2, 3] sample")
    for i in range(links):
        n, now, then = 5 * i, shapes[i % 2], shapes[(i + 1) % 2]
        lines += [f"%{n + 1} = mul %{n} %{n} : {now}", f"%{n + 2} = reshape %{n + 1} : {then}", f"%{n + 3} = constant values=[{i}] : f32[]",
                  f"%{n + 4} = broadcast %{n + 3} dims=[] : {then}", f"%{n + 5} = add %{n + 2} %{n + 4} : {then}"]
    return "\n".join(lines + [f"store @1 %{5 * links}"]) + "\n"


def check(b):
    # Two sizes, one cost an op: reading, simplifying and printing walk a graph a fixed number of times.
    cost = {}
    for links in (600, 20000):
        path = os.path.join(b.folder, "chain.mlc")
        with open(path, "w", encoding="utf-8") as file:
            file.write(chain(links))
        cost[links] = min(b.process(b.arguments.mlc, "opt", "--pass", "simplify", path).cpu for _ in range(3 * b.arguments.rounds)) / links * 1e6 / 5
        b.row(f"simplify a chain of {5 * links} ops", cost[links], "us", "each", None, cost[links] <= 2 * cost[600], "linear: <= 2 x")
    spec = os.path.join(REPOSITORY, "specs", "mnist.yaml")
    b.limit("mlc check specs/mnist.yaml", [1e3 * b.process(b.arguments.mlc, "check", spec).seconds for _ in range(3 * b.arguments.rounds)], "ms", 50)
    # 200 layers with parameters and an activation behind each, or behind each second: with their own lines, and by `repeat`.
    kinds = {"linear, relu": 200 * "  - linear: 64\n  - relu\n", "by repeat": "  - layers: [{linear: 64}, relu]\n    repeat: 200\n",
             "with layer_norm": 100 * "  - linear: 64\n  - layer_norm\n  - relu\n"}
    for what, model in kinds.items():
        b.limit(f"check, 200 layers: {what}", [b.check("deep", layers(model))[0]], "ms", 100)


def compile_time(b):
    """What compiling takes: an MLP with its machine code, that code from the cache, and blocks by their number (all passes, no machine code)."""
    short, cold = ("mnist.yaml", "--threads", "2", "--set", "train.epochs=1"), os.path.join(b.folder, "compile")
    made = []
    for i in range(b.arguments.rounds):
        made.append(b.mlc(*short, MLC_CACHE=f"{cold}{i}"))
    b.limit("mnist.yaml compiled, empty cache", [m["compile_ms"] for m in made], "ms", 250)
    warm = [b.mlc(*short, MLC_CACHE=f"{cold}0") for _ in range(b.arguments.rounds)]
    b.limit("mnist.yaml, a program from the cache", [w["load_ms"] / w["programs"] for w in warm], "ms", 3)
    cost = {}
    for n in (25, 50, 100, 200):
        ms, ops = b.check("blocks", layers(f"  - transformer_block: {{heads: 4}}\n    repeat: {n}\n  - mean: {{dim: 0}}\n", "[16, 64]"))
        cost[n] = 1e3 * ms / ops
        # Asked of 100 blocks; buffers are placed in quadratic time, which 200 begin to show.
        most = 1.5 if n <= 100 else 2
        b.row(f"check, {n} transformer blocks", ms, "ms", f"{ops} ops, {cost[n]:.1f} us each", None, cost[n] <= most * cost[25], f"linear: <= {most:g} x")


def first(b):
    short = ("mnist.yaml", "--threads", "2", "--set", "train.epochs=1")
    cold = []
    for i in range(b.arguments.rounds):
        cold.append(b.mlc(*short, MLC_CACHE=os.path.join(b.folder, f"cold{i}"))["first_step_ms"])
    b.limit("mnist first step, empty cache", cold, "ms", 400)
    warm = [b.mlc(*short) for _ in range(b.arguments.rounds + 1)][1:]
    b.limit("mnist first step, warm cache", [w["first_step_ms"] for w in warm], "ms", 150)
    b.limit("mnist peak memory", [w["peak_mb"] for w in warm], "MB", 350)


def calibrate(folder):
    program = os.path.join(folder, "calibrate")
    if not os.path.exists(program):
        compiler = os.environ.get("CXX", "c++")
        subprocess.run([compiler, "-std=c++20", "-O3", "-march=native", "-pthread", os.path.join(HERE, "calibrate.cpp"), "-o", program], check=True)
    for line in subprocess.run([program, "1", "2"], capture_output=True, text=True, check=True).stdout.splitlines():
        found = json.loads(line)
        print(f"calibration, {found['threads']} threads: {found['gflops']:.0f} GFLOP/s of multiply-adds, copies at {found['copy_gbs']:.1f} GB/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"iris": iris, "tiny": tiny, "step": step, "wide": wide, "epoch": epoch, "evaluation": evaluation, "check": check, "compile": compile_time,
             "first": first}
    parser.add_argument("--mlc", required=True)
    parser.add_argument("--peers", help="Python interpreter of the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=parts, action="append")
    parser.add_argument("--json", help="also write the rows to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlc-bench-") as folder:
        b = Bench(arguments, folder)
        calibrate(folder)
        print(f"{'':36} {'mlc':>13} {'fastest peer':28} {'ratio':>9}  target")
        for name, part in parts.items():
            if arguments.only and name not in arguments.only:
                continue
            if name in ("step", "epoch", "evaluation", "first") and not b.mnist:
                print(f"{name:36} SKIPPED: no mnist folder in $MLC_DATA")
                continue
            part(b)
        calibrate(folder)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(b.rows, file, indent=1)
    sys.exit(any(not row["met"] for row in b.rows))


if __name__ == "__main__":
    main()
