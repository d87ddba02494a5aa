#!/usr/bin/env python3
"""The machine code of contraction micro-kernels: tests/asm/run.py --mlc PROGRAM [SPEC...]

`mlc dump-ir --stage asm --cpu NAME` prints what the code generator puts into objects, for CPUs of every width, wherever this
runs. An inner loop that does multiply-adds on full vectors must not spill (a sum, vector or address on the stack), gather,
divide or call. Each multiply-add has at most one instruction beside it, a load as a rule; the loop's own counting is not held
against it. A broken layout, a lost hoist or a tile too large for the register file fails here without a timing.
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPECS = ["specs/iris.yaml", "specs/breast_cancer.yaml", "specs/mnist.yaml", "specs/transformer_block.yaml", "tests/bench/mlp8.yaml"]
CPUS = [("aarch64:neoverse-n1", 4), ("x86_64:haswell", 8), ("x86_64:znver2", 8), ("x86_64:skylake-avx512", 16), ("x86_64:znver4", 16)]
MIN_TILE = 4  # multiply-adds of one turn that make a loop a micro-kernel and not a reduction's tail


class X86:
    vector = {8: "ymm", 16: "zmm"}
    jump = re.compile(r"j\w+\s+(\.L[\w$]+)$")
    comment = "#"
    stack = re.compile(r"\(%[re]sp\)")  # with an index it is scratch
    forbidden = ("vgather", "vpgather", "vdivps", "vsqrt", "call")
    math = ("vaddps", "vsubps", "vmulps", "vmaxps", "vminps", "vrndscaleps", "vroundps", "vscalefps")
    counting = re.compile(r"(add|sub|inc|dec|cmp|lea|mov|test)[lq]?\s+(?!.*mm)|j")

    def is_add(self, line, lanes):
        return line.startswith("vfmadd") and "ps" in line.split()[0] and self.vector[lanes] in line


class Arm:
    jump = re.compile(r"(?:b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s*(\.L[\w$]+)$")
    comment = "//"
    stack = re.compile(r"\bw?sp\b")
    forbidden = ("fdiv", "fsqrt", "bl")
    math = ("fadd", "fsub", "fmul", "fmax", "fmin", "frint")
    counting = re.compile(r"(add|sub|subs|cmp|mov|tst)\s+[xw]|b\.|cb|tb")

    def is_add(self, line, lanes):
        return line.startswith("fmla") and ".4s" in line


def inner_loops(assembly, machine):
    """(function, instructions) of each loop without a loop inside: from a label to the jump back to it."""
    function, label, body = "", None, []
    for line in assembly.splitlines():
        text = line.split(machine.comment)[0].strip()
        if not text or text.startswith("."):
            if match := re.match(r"(\.L[\w$]+):", text):
                label, body = match.group(1), []
            continue
        if match := re.match(r"([\w.$]+):$", text):
            function, label, body = match.group(1), None, []
            continue
        body.append(text)
        if match := machine.jump.match(text):
            if match.group(1) == label:
                yield function, body
            label = None  # what follows is another block


def faults(body, machine, lanes):
    """What is wrong with a micro-kernel's loop; None when it is not one."""
    adds = sum(machine.is_add(line, lanes) for line in body)
    if adds < MIN_TILE or any(line.startswith(machine.math) for line in body):
        return None  # no tile, or a polynomial of exp or erf
    found = [f"the stack is touched: {line}" for line in body if machine.stack.search(line)]
    found += [f"not for an inner loop: {line}" for line in body if line.startswith(machine.forbidden)]
    beside = sum(not machine.counting.match(line) for line in body) - adds
    if beside > adds:
        found.append(f"{beside} instructions beside {adds} multiply-adds")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mlc", required=True)
    parser.add_argument("specs", nargs="*", default=SPECS)
    options = parser.parse_args()
    passed = failed = 0
    for spec in options.specs:
        for cpu, lanes in CPUS:
            out = subprocess.run([options.mlc, "dump-ir", spec, "--stage", "asm", "--cpu", cpu, "--lanes", str(lanes)],
                                 capture_output=True, text=True, cwd=ROOT)
            machine = Arm() if cpu.startswith("aarch64") else X86()
            kernels, bad = 0, []
            if out.returncode != 0:
                bad.append(out.stderr.strip())
            for function, body in inner_loops(out.stdout, machine):
                found = faults(body, machine, lanes)
                if found is None:
                    continue
                kernels += 1
                bad += [f"{function}: {text}" for text in found]
            if not bad and kernels == 0:
                bad.append("no loop of multiply-adds was found")
            print(f"{spec} for {cpu}, {lanes} lanes: {kernels} inner loops of multiply-adds{', ' + str(len(bad)) + ' faults' if bad else ''}")
            for text in bad[:20]:
                print("   ", text)
            passed, failed = (passed + 1, failed) if not bad else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
