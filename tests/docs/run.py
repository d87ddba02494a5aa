#!/usr/bin/env python3
"""What the documentation shows is run: run.py --mlc PROGRAM. Every ```yaml block of docs/language.md that has a `model:` or `models:` is checked as
a spec, the commands of README.md that start with `mlc` are in the command list, the runs of docs/runs.md are checked, and the program of docs/embedding.md is run."""
import argparse, os, re, shlex, subprocess, sys, tempfile

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--mlc", required=True)
mlc = os.path.abspath(parser.parse_args().mlc)
passed = failed = 0


def test(name, command, wanted=0, **options):
    global passed, failed
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    ok = done.returncode == wanted
    passed, failed = passed + ok, failed + (not ok)
    if not ok:
        print(f"FAIL {name}: {' '.join(command)} ends with {done.returncode}\n{done.stdout}{done.stderr}")


with tempfile.TemporaryDirectory() as folder:
    text = open(os.path.join(root, "docs", "language.md"), encoding="utf-8").read()
    for i, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)):
        if not re.search(r"^models?:", block, re.M):
            continue
        path = os.path.join(folder, f"example{i}.yaml")
        open(path, "w", encoding="utf-8").write(block)
        test(f"docs/language.md example {i}", [mlc, "check", path])
    readme = open(os.path.join(root, "README.md"), encoding="utf-8").read()
    for command in sorted(set(re.findall(r"`mlc ([a-z-]+)", readme))):
        test(f"README: mlc {command}", [mlc, command, "--help"])
    runs = open(os.path.join(root, "docs", "runs.md"), encoding="utf-8").read()
    named = set(re.findall(r"(specs/\w+\.yaml)", runs))
    missing = [name for name in sorted(os.listdir(os.path.join(root, "specs"))) if name.endswith(".yaml") and "specs/" + name not in named]
    test("docs/runs.md names every spec" + "".join(f"; not {name}" for name in missing), ["false" if missing else "true"])
    for command in re.findall(r"^ {4}mlc run (.*)$|`mlc run (specs/[^`]*)`", runs, re.M):
        words = shlex.split(command[0] or command[1])
        given = ["--set", "data.classes=65"] if words[0] == "specs/char_transformer.yaml" else []   # its text is not everywhere
        test(f"docs/runs.md: {words[0]}", [mlc, "check", *words, *given], cwd=root)
    embedding = os.path.join(os.path.dirname(mlc), "embedding")
    test("docs/embedding.md", [embedding, os.path.join(root, "specs", "iris.yaml")])
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
