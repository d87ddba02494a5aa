#!/usr/bin/env python3
"""Faulty specs and data with the exact message: run.py --mlc PROGRAM [--update] [CASE...].

cases/NAME.yaml is the spec; its first lines may be `# args: ...` (options for `mlc run`), `# sweep` (the command is `mlc sweep`), `# env: NAME=VALUE ...`, and
`# command: ...`: the words of another command, run in the folder of cases.
cases/NAME.expected holds standard error and, last, the exit status. --update writes them anew: read the difference.
"""
import argparse, glob, os, re, shlex, subprocess, sys

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
    head = {}
    with open(spec, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not (found := re.match(r"# (args|env|command|sweep)(?:: (.*))?$", line)):
                break
            head[found[1]] = shlex.split(found[2] or "")
    command = ["sweep" if "sweep" in head else "run", name + ".yaml", "--out", os.path.join("/tmp", f"mlc-errors-{os.getpid()}"), "--device", "reference", "--quiet", *head.get("args", [])]
    try:
        done = subprocess.run([os.path.abspath(options.mlc), *head.get("command", command)], cwd=here, capture_output=True,
                              env={**environment, **dict(pair.split("=", 1) for pair in head.get("env", []))}, timeout=60)
    except subprocess.TimeoutExpired:
        failed += 1
        print(f"FAIL {name}: no answer within a minute")
        continue
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
