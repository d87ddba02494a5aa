#!/usr/bin/env python3
"""Runs the fuzz targets: run.py --build build/fuzz [--seconds 10] [--corpus FOLDER] [TARGET...].

Each fuzz_NAME starts from seeds/NAME and from specs, tables and fixtures of the repository. With --corpus what it finds of new coverage is
kept in FOLDER/NAME from run to run. A finding fails; its input is printed and left in the current folder. The same seed each time.
"""
import argparse, glob, os, re, subprocess, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--build", required=True)
parser.add_argument("--seconds", type=int, default=10)
parser.add_argument("--corpus")
parser.add_argument("target", nargs="*")
options = parser.parse_args()


def read(*patterns, most=4096):
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            with open(path, "rb") as file:
                yield file.read(most)


def formulas():
    """The texts behind a colon in the standard library and the specs."""
    for text in read("kernels/std/*.yaml", "specs/*.yaml", most=1 << 20):
        for line in text.decode("utf-8", "replace").splitlines():
            if found := re.match(r"\s*(?:- )?[\w()=, \"]+: *(.+)", line):
                yield found[1].strip("'\"").encode()


SEEDS = {
    "yaml": lambda: read("specs/*.yaml", "tests/errors/cases/*.yaml", "tests/fusion/specs/*.yaml"),
    "formula": formulas,
    "safetensors": lambda: read("tests/parity/fixtures/adam*.safetensors", "tests/errors/cases/*.safetensors", most=1 << 16),
    "npy": lambda: (),
    "idx": lambda: read("tests/errors/cases/*.idx"),
    "csv": lambda: (bytes([pick]) + text for text in read("specs/data/*.csv", "tests/errors/cases/*.csv", most=1500) for pick in (12, 28, 60, 124)),
}
failed = 0
names = options.target or sorted(SEEDS)
for name in names:
    with tempfile.TemporaryDirectory() as folder:
        seeds = os.path.join(folder, "seeds")
        os.mkdir(seeds)
        for i, text in enumerate(SEEDS[name]()):
            with open(os.path.join(seeds, str(i)), "wb") as file:
                file.write(text)
        corpus = os.path.join(options.corpus or folder, name)
        os.makedirs(corpus, exist_ok=True)
        command = [os.path.join(options.build, "fuzz_" + name), corpus, os.path.join(here, "seeds", name), seeds, f"-max_total_time={options.seconds}", "-seed=1",
                   "-timeout=120", "-rss_limit_mb=2048", "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
        if os.path.exists(dictionary := os.path.join(here, name + ".dict")):
            command.append("-dict=" + dictionary)
        done = subprocess.run([c for c in command if not c.startswith(os.path.join(here, "seeds")) or os.path.isdir(c)], capture_output=True,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=1"})
        text = done.stderr.decode("utf-8", "replace")
        runs = re.search(r"number_of_executed_units: (\d+)", text)
        print(f"{name}: {runs[1] if runs else '?'} inputs{'' if done.returncode == 0 else ', FINDING'}", flush=True)
        if done.returncode:
            failed += 1
            print(text[-6000:])
print(f"{len(names) - failed} passed, {failed} failed")
sys.exit(failed > 0)
