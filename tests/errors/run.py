#!/usr/bin/env python3
"""Faulty specs and data with the exact message: run.py --mlc PROGRAM [--update] [CASE...].

cases/NAME.yaml is the spec; its first line may be `# args: ...` (options for `mlc run`, {dir} is the folder of cases), or
`# sweep` (the command is `mlc sweep`).
cases/NAME.expected holds standard error and, last, the exit status. --update writes them anew: read the difference.
"""
import argparse, glob, os, subprocess, sys

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--mlc", required=True)
parser.add_argument("--update", action="store_true")
parser.add_argument("case", nargs="*")
options = parser.parse_args()
environment = {k: v for k, v in os.environ.items() if not k.startswith("MLC_") or k in ("MLC_TABLES", "MLC_JIT", "MLC_CACHE")}
environment.update(HOME="/home/nobody", XDG_CACHE_HOME="")      # messages name the folders that are looked through
passed = failed = 0
for spec in sorted(glob.glob(os.path.join(here, "*.yaml"))):
    name = os.path.basename(spec)[:-5]
    if name.startswith("_") or (options.case and name not in options.case):
        continue
    first = open(spec, encoding="utf-8", errors="replace").readline()
    extra = first.split(":", 1)[1].split() if first.startswith("# args:") else []
    command = "sweep" if first.startswith("# sweep") else "run"
    done = subprocess.run([os.path.abspath(options.mlc), command, name + ".yaml", "--out", os.path.join("/tmp", f"mlc-errors-{os.getpid()}"), "--device", "reference", "--quiet", *extra],
                          cwd=here, capture_output=True, env=environment, timeout=60)
    text = done.stderr.decode("utf-8", "replace") + f"exit {done.returncode}\n"
    expected = os.path.join(here, name + ".expected")
    if options.update:
        open(expected, "w", encoding="utf-8").write(text)
    if os.path.exists(expected) and open(expected, encoding="utf-8").read() == text:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {name}:\n{text}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
