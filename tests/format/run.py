#!/usr/bin/env python3
"""The sources are written as .clang-format says: tests/format/run.py [--fix]

A check of text alone; --mlc is taken as by the other suites and not used. clang-format-19, since versions differ.
"""

import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mlc", help="not used")
    parser.add_argument("--fix", action="store_true", help="write the files anew")
    options = parser.parse_args()
    files = sorted(str(p) for folder in ("compiler", "runtime", "tools", "tests") for p in (ROOT / folder).rglob("*") if p.suffix in (".cpp", ".h"))
    if options.fix:
        return subprocess.run(["clang-format-19", "-i", *files], check=False).returncode
    out = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], capture_output=True, text=True, check=False)
    faulty = {line.split(":")[0] for line in out.stderr.splitlines() if "[-Wclang-format-violations]" in line}
    for name in sorted(faulty):
        print(pathlib.Path(name).relative_to(ROOT), "is not as .clang-format says; tests/format/run.py --fix writes it so")
    if not faulty:
        print(out.stderr, end="")
    return out.returncode


if __name__ == "__main__":
    sys.exit(main())
