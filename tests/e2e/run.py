#!/usr/bin/env python3
"""The program from outside: the shipped specs to their accuracy, equal bits, streams, exit statuses, interruption.

    run.py --mlc PROGRAM [--device cpu|reference] [TEST...]

Each argument TEST is a glob over test names. A line per test, `N passed, N failed, N skipped` at the end; exit status 1 where a test failed.
Needs nothing but Python's standard library. $MLC_DATA names the folder that holds `mnist/`; ../shared/data beside the repository is tried too.
"""
import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import tests
import borders  # noqa: F401 (registers its tests)
import files  # noqa: F401 (the same)
import draws  # noqa: F401 (the same)
import language  # noqa: F401 (the same)
import library  # noqa: F401 (the same)
import networks  # noqa: F401 (the same)
from tests import Failure, Skip

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


class Outcome:
    """What a process left: status, stdout, stderr, and the events of --json."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def text(self):
        return self.out + self.err

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self):
        return next(e for e in self.events if e["event"] == "summary")


class Context:
    """A test's own folder, and the program."""

    def __init__(self, arguments, folder):
        self.program, self.folder = os.path.abspath(arguments.mlc), folder
        self.device = ["--device", arguments.device] if arguments.device else []
        self.reference = arguments.device == "reference"
        places = [os.environ.get("MLC_DATA"), os.path.join(REPOSITORY, "..", "shared", "data")]
        self.data = next((os.path.abspath(p) for p in places if p and os.path.isdir(os.path.join(p, "mnist"))), None)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def spec(self, name):
        return os.path.join(REPOSITORY, "specs", name + ".yaml")

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def environment(self, data, cache=None):
        """No data but `data`: the user's folders are the test's own. The object cache stays, where no other is named."""
        kept = {k: v for k, v in os.environ.items() if k not in ("MLC_DATA", "XDG_CACHE_HOME", "HOME")}
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", self.folder), ".cache")
        kept.update(HOME=self.folder, MLC_CACHE=cache or os.environ.get("MLC_CACHE", os.path.join(home, "mlc")))
        return {**kept, "MLC_DATA": data} if data else kept

    def start(self, *arguments, data=None, cache=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([self.program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.folder, env=self.environment(data, cache), **options)

    def mlc(self, *arguments, status=0, data=None, cache=None, stdin=None):
        """`stdin`: the text on standard input; none is there without it."""
        with self.start(*arguments, data=data, cache=cache, **({"stdin": subprocess.PIPE} if stdin is not None else {})) as child:
            out, err = child.communicate(stdin, timeout=600)
        if status is not None and child.returncode != status:
            raise Failure(f"mlc {' '.join(arguments)} ends with {child.returncode} instead of {status}:\n{err[-1500:]}")
        return Outcome(child.returncode, out, err)

    def run(self, spec, *flags, out="run", status=0, data=None, cache=None):
        return self.mlc("run", spec, "--out", self.path(out), *self.device, *flags, status=status, data=data, cache=cache)

    def checkpoint(self, out="run", name="last"):
        with open(self.path(out, "checkpoints", name + ".safetensors"), "rb") as file:
            return file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlc", required=True, help="the program")
    parser.add_argument("--device", help="cpu or reference; as the specs say without it")
    parser.add_argument("tests", nargs="*", help="globs over test names; all without one")
    arguments = parser.parse_args()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, test in tests.TESTS.items():
        if arguments.tests and not any(fnmatch.fnmatch(name, pattern) for pattern in arguments.tests):
            continue
        folder = tempfile.mkdtemp(prefix="mlc-e2e-")
        begin = time.monotonic()
        try:
            note = test(Context(arguments, folder))
            result, text = "passed", note or ""
        except Skip as skip:
            result, text = "skipped", str(skip)
        except Failure as failure:
            result, text = "failed", str(failure)
        except Exception:  # a missing file or key is a failure of the program, and the trace says which
            result, text = "failed", traceback.format_exc()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        counts[result] += 1
        word = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}[result]
        print(f"{word} {name} ({time.monotonic() - begin:.1f} s){': ' + text if text else ''}", flush=True)
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    sys.exit(counts["failed"] > 0 or not sum(counts.values()))


if __name__ == "__main__":
    main()
