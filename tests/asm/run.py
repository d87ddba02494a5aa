#!/usr/bin/env python3
"""The machine code of contraction micro-kernels: tests/asm/run.py --mlc PROGRAM [SPEC...]

The inner loops are read from `mlc dump-ir --stage asm`. A loop that does multiply-adds on full vectors must keep its
accumulators in registers (no vector is stored or reloaded through the stack), must not gather, divide or call, and must do at
least one multiply-add in two instructions: a broken layout, a lost hoist or a tile too large for the register file fails here
without a timing.
"""

import argparse
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPECS = ["specs/mnist.yaml", "specs/transformer_block.yaml", "tests/bench/mlp8.yaml"]
VECTOR = {4: "xmm", 8: "ymm", 16: "zmm"}
MIN_TILE = 4  # multiply-adds of one turn that make a loop a micro-kernel and not a reduction's tail


def inner_loops(assembly):
    """(function, instructions) of each loop without a loop inside: from a label to the jump back to it."""
    function, label, body = "", None, []
    for line in assembly.splitlines():
        text = line.split("#")[0].strip()
        if not text or text.startswith("."):
            if match := re.match(r"(\.L[\w$]+):", text):
                label, body = match.group(1), []
            continue
        if match := re.match(r"([\w.$]+):$", text):
            function, label, body = match.group(1), None, []
            continue
        body.append(text)
        if match := re.match(r"j\w+\s+(\.L[\w$]+)$", text):
            if match.group(1) == label:
                yield function, body
            label = None  # what follows is another block


def faults(body, register):
    """What is wrong with a micro-kernel's loop; None when it is not one."""
    adds = [line for line in body if line.startswith("vfmadd") and "ps" in line.split()[0] and register in line]
    if len(adds) < MIN_TILE:
        return None
    if any(re.match(r"v(add|sub|mul|max|min|rndscale|round|scalef)ps", line) for line in body):
        return None  # a polynomial of exp or erf
    found = []
    for line in body:
        name = line.split()[0]
        if "%rsp" in line and "mm" in line:
            found.append(f"a vector goes through the stack: {line}")
        if name.startswith(("vgather", "vdiv", "vsqrt", "call")):
            found.append(f"not for an inner loop: {line}")
    if 2 * len(adds) < len(body):
        found.append(f"{len(adds)} multiply-adds in {len(body)} instructions")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mlc", required=True)
    parser.add_argument("specs", nargs="*", default=SPECS)
    options = parser.parse_args()
    target = subprocess.run([options.mlc, "doctor"], capture_output=True, text=True).stdout
    match = re.search(r"(\d+) lanes", target)
    if not match or "x86" not in platform.machine():
        print("no x86 target here: the loops are not read")
        return 77
    # A width beyond the machine's own is emulated with several registers and may well spill.
    widths = [4, 8, 16] if int(match.group(1)) == 16 else [int(match.group(1))]
    passed = failed = 0
    for spec in options.specs:
        for width in widths:
            out = subprocess.run([options.mlc, "dump-ir", spec, "--stage", "asm", "--lanes", str(width)],
                                 capture_output=True, text=True, cwd=ROOT)
            kernels, bad = 0, []
            if out.returncode != 0:
                bad.append(out.stderr.strip())
            for function, body in inner_loops(out.stdout):
                found = faults(body, VECTOR[width])
                if found is None:
                    continue
                kernels += 1
                bad += [f"{function}: {text}" for text in found]
            if not bad and kernels == 0:
                bad.append("no loop of multiply-adds was found")
            print(f"{spec} at {width} lanes: {kernels} inner loops of multiply-adds{', ' + str(len(bad)) + ' faults' if bad else ''}")
            for text in bad[:20]:
                print("   ", text)
            passed, failed = (passed + 1, failed) if not bad else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
