#!/usr/bin/env python3
"""Commands as a user types them: run.py --mlc PROGRAM. Streams, exit statuses, terminals, init, diff, doc, completion, paths."""
import argparse, csv, fcntl, glob, json, os, pty, random, re, resource, shutil, signal, struct, subprocess, sys, tempfile, termios, time

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--mlc", required=True)
parser.add_argument("test", nargs="*")
options = parser.parse_args()
MLC = os.path.abspath(options.mlc)
IRIS = os.path.join(root, "specs", "iris.yaml")


def mlc(*words, wanted=0, cwd=None, **environment):
    done = subprocess.run([MLC, *words], capture_output=True, text=True, timeout=120, cwd=cwd, env={**os.environ, **environment})
    assert done.returncode == wanted, f"{' '.join(words)} ends with {done.returncode}, not {wanted}\n{done.stdout}{done.stderr}"
    return done


def terminal(*words, columns=80, **environment):
    """Exit status, and standard output and error, of a command on a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([MLC, *words], stdin=follower, stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm", **environment})
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(leader)
    return child.wait(), text.decode()


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


SPEC = "data: {reader: synthetic, train: {rows: 32, x: [4], y: 3}}\nmodel: [{linear: 3}]\ntrain: {steps: 2, batch_size: 8, loss: cross_entropy, optimizer: sgd}\n"


def test_usage(folder):
    for words, said in [((), "usage: mlc COMMAND"), (("rnu",), "did you mean 'run'?"), (("run",), "SPEC is missing"), (("run", IRIS, "--treads", "1"), "did you mean '--threads'?"),
                        (("run", IRIS, "--set", "seed"), "--set takes PATH=VALUE"), (("check", IRIS, "--lanes", "3"), "--lanes is 4, 8 or 16"),
                        (("check", IRIS, "--disable-pass", "assign_layouts"), "the pass 'assign_layouts' cannot be left out"),
                        (("opt", IRIS, "--disable-pass", "fusion"), "there is no pass 'fusion'"), (("completion", "csh"), "shells are bash")]:
        assert said in mlc(*words, wanted=2).stderr, words


def test_help(folder):
    listed = re.findall(r"^  ([a-z-]+)  +[a-zA-Z]", mlc("--help").stdout, re.M)
    assert {"run", "check", "show", "diff", "init", "doc", "schema", "completion"} <= set(listed), listed
    for name in listed:
        assert mlc(name, "--help").stdout.startswith("usage: mlc " + name), name


def test_show_reads_back(folder):
    """What is shown is a spec, shows as itself, says the arguments that are not written, and makes the same step."""
    specs = shutil.copytree(os.path.join(root, "specs"), os.path.join(folder, "specs"))
    for path in glob.glob(os.path.join(specs, "*.yaml")):
        shown = mlc("show", path).stdout
        again = mlc("show", write(specs, "again.yaml", shown)).stdout
        strip = lambda text: [re.sub(r" +# .*", "", line) for line in text.splitlines()]
        assert strip(shown) == strip(again), path
        step = subprocess.run([MLC, "dump-ir", path, "--stage", "grad"], capture_output=True, text=True)
        assert step.returncode == 0 or "no such" in step.stderr, step.stderr
        if step.returncode == 0:
            assert mlc("dump-ir", os.path.join(specs, "again.yaml"), "--stage", "grad").stdout == step.stdout, path
    shown = mlc("show", IRIS).stdout
    assert re.search(r"betas: \[0\.9, 0\.999\] +# default", shown) and re.search(r"dim: -1 +# default", shown)
    assert re.search(r"- linear: {out: 16, bias: true} +# .*iris.yaml:\d+; default: bias\n", shown), shown


def test_streams(folder):
    done = mlc("show", IRIS)
    assert done.stderr == "" and "# " + IRIS in done.stdout and "# default" in done.stdout
    again = write(folder, "again.yaml", done.stdout)
    assert mlc("show", again).stdout.split("#")[0] == done.stdout.split("#")[0]
    assert "# --set" in mlc("show", IRIS, "--set", "train.optimizer.lr=0.5").stdout
    faulty = write(folder, "faulty.yaml", SPEC.replace("linear", "liner"))
    done = mlc("check", faulty, wanted=1)
    assert done.stdout == "" and done.stderr.splitlines()[0] == f"{faulty}:2:10: error: unknown op 'liner'; did you mean 'linear'?"


def test_pipe_has_no_escapes(folder):
    path = write(folder, "s.yaml", SPEC)
    done = mlc("run", path, "--out", os.path.join(folder, "r"), "--device", "reference")
    text = done.stdout + done.stderr
    assert "\r" not in text and "\x1b" not in text, text
    done = mlc("run", path, "--out", os.path.join(folder, "q"), "--device", "reference", "--quiet")
    assert done.stdout == os.path.join(folder, "q") + "\n" and done.stderr == "", done


def test_colour_on_a_terminal_only(folder):
    faulty = write(folder, "faulty.yaml", SPEC.replace("linear", "liner"))
    environment = {k: "" for k in ("NO_COLOR",)}
    assert "\x1b[" in terminal("check", faulty, **environment)[1]
    for off in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b[" not in terminal("check", faulty, **{**environment, **off})[1], off
    long = write(folder, "long.yaml", SPEC.replace("{linear: 3}", "{linear: 3}, " * 30 + "{liner: 3}"))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal("check", long, COLUMNS="80")[1]).splitlines()
    caret = next(i for i, line in enumerate(lines) if line.strip().startswith("^"))
    assert len(lines[caret - 1]) <= 82 and lines[caret - 1][lines[caret].index("^"):].startswith("liner"), lines


# A step of some milliseconds, so that there are several redraws.
SLOW = ("data: {reader: synthetic, train: {rows: 4096, x: [512], y: 3}, val: {rows: 64, x: [512], y: 3}}\nmodel: [{linear: 512}, relu, {linear: 512, as: second}, relu, {linear: 3}]\n"
        "train: {epochs: 2, batch_size: 64, loss: cross_entropy, optimizer: sgd}\n")


def test_progress_fits_the_terminal(folder):
    path = write(folder, "s.yaml", SLOW)
    for columns, has, lacks in [(120, ["rows/s", "it/s", "[", "ETA"], []), (80, ["rows/s", "[", "ETA"], []), (40, ["loss", "ETA"], ["[", "/s"]), (20, ["%"], ["loss"])]:
        text = terminal("run", path, "--out", os.path.join(folder, "r"), columns=columns)[1]
        drawn = [line for line in re.findall(r"\r([^\r\n]*)\x1b\[K", text) if line.startswith("epoch")]
        assert drawn and max(map(len, drawn)) < columns, (columns, drawn)
        for word in has:
            assert word in drawn[-1], (columns, word, drawn[-1])
        for word in lacks:
            assert word not in drawn[-1], (columns, word, drawn[-1])
        # Columns stay where they are.
        assert len({line.index("%") for line in drawn}) == 1, drawn
    assert "\r" not in terminal("run", path, "--out", os.path.join(folder, "r"), "--progress", "never")[1].replace("\r\n", "\n")


def test_lines_in_a_file(folder):
    run = lambda text, *words: mlc("run", write(folder, "s.yaml", text), "--out", os.path.join(folder, "r"), *words).stderr
    log = run(SLOW.replace("epochs: 2", "steps: 40"))
    steps = re.findall(r"^step +(\d+)/40 +(\d+)%  .*loss", log, re.M)
    # As many as there are calls of 0.1 s, one for each 5 % at the most: one on a fast machine.
    places = [int(step) for step, _ in steps]
    assert 1 <= len(steps) <= 20 and places == sorted(set(places)) and steps[-1] == ("40", "100"), log
    # Of 200 epochs some have a line: the first, the last, and each that is the best of those around it.
    path = os.path.join(folder, "r", "metrics.jsonl")
    epochs = [int(e) for e in re.findall(r"^epoch (\d+) ", run(SLOW.replace("epochs: 2", "epochs: 200").replace("512", "4").replace("4096", "64")), re.M)]
    events = [json.loads(line) for line in open(path, encoding="utf-8")]
    best = min((e for e in events if e["event"] == "epoch"), key=lambda e: e["val_loss"])["epoch"]
    assert len(epochs) <= 22 and epochs == sorted(epochs) and {1, best, 200} <= set(epochs), (best, epochs)


def test_run_tells(folder):
    """Header, results of all parts, time split; -v adds layers; neither -v, --quiet nor --json changes a bit."""
    path = write(folder, "s.yaml", SLOW.replace("epochs: 2", "epochs: 3, early_stopping: {monitor: val_loss, patience: 9}") + "eval: {metrics: [accuracy]}\n")
    weights = set()
    for words in ([], ["-v"], ["--quiet"], ["--json"]):
        done = mlc("run", path, "--out", os.path.join(folder, "r"), *words)
        with open(os.path.join(folder, "r", "checkpoints", "last.safetensors"), "rb") as file:
            weights.add(file.read())
        if words in ([], ["-v"]):
            lines = done.stderr.splitlines()
            assert [line.split()[0] for line in lines[:6]] == ["run", "device", "data", "model", "memory", "folder"], lines
            for said in [r"^best was epoch \d with val_loss ", r"^ +loss +accuracy$", r"^train +\d", r"^val +\d.*\d$", r"^3 epochs, 192 steps, .*; data .*, compile .*, train .*, eval .*, total "]:
                assert re.search(said, done.stderr, re.M), (said, done.stderr)
            assert bool(re.search(r"^second +linear\(512\) +\d", done.stderr, re.M)) == (words == ["-v"]), done.stderr
    assert len(weights) == 1


def test_loss_that_is_no_number(folder):
    path = write(folder, "s.yaml", SPEC.replace("loss: cross_entropy", "loss: log(0 - mean(output**2))"))
    said = mlc("run", path, "--out", os.path.join(folder, "r"), wanted=3).stderr
    assert re.search(rf"stopped: the loss \({re.escape(path)}:3\) is not a number \(.*\) at step \d+; .*; no weights were kept", said), said


def test_first_value_that_is_not_finite(folder):
    for items, loss, wanted in (
            ("[{linear: 3, as: body}, {expr: log(body - body)}]", "mean(output**2)", r"'expr1' \(log\) gives -inf \(.*:2\), of finite operands"),
            ("[{linear: 3, as: body}]", "mean(exp(1000 * body)) + 0 * sum(output)", r"'loss' \(exp\) gives inf \(.*:3\), of finite operands")):
        path = write(folder, "s.yaml", "data: {reader: synthetic, train: {rows: 32, x: [4], y: [3]}}\nmodel: %s\ntrain: {steps: 50, batch_size: 8, loss: \"%s\", optimizer: sgd}\n" % (items, loss))
        said = mlc("run", path, "--out", os.path.join(folder, "r"), wanted=3).stderr
        assert re.search("the first value that is not finite: " + wanted, said), said
    # Weights that an update has made infinite; the steps of the call before it are run again.
    path = write(folder, "s.yaml", SPEC.replace("steps: 2,", "steps: 500,").replace("optimizer: sgd", "optimizer: {type: sgd, lr: 1e3}").replace("cross_entropy", "mean(output**2)"))
    said = mlc("run", path, "--out", os.path.join(folder, "r"), wanted=3).stderr
    assert re.search(r"first value that is not finite: 'linear1\.\w+' holds (inf|-inf|nan) \(.*:2\): the step before made it so|gives (inf|-inf|nan) \(", said), said
    quiet = mlc("run", path, "--out", os.path.join(folder, "r"), "--quiet", wanted=3).stderr
    assert re.search(r"error: step \d+: the loss is not a number; the first value", quiet), quiet
    # More state than is kept in every call, in the first step.
    path = write(folder, "s.yaml", "data: {reader: synthetic, train: {rows: 8, x: [1500], y: [3]}}\nmodel: [{linear: 1500}, {linear: 3, as: body}, {expr: log(body - body)}]\ntrain: {steps: 5, batch_size: 8, loss: mean(output**2), optimizer: sgd}\n")
    assert "the first value that is not finite: 'expr1' (log) gives -inf" in mlc("run", path, "--out", os.path.join(folder, "r"), wanted=3).stderr


def test_disk_full(folder):
    """A file that may not grow stands for a full disk: the last checkpoint stays whole, and nothing half written is left."""
    path = write(folder, "s.yaml", SPEC.replace("steps: 2,", "epochs: 1000000, checkpoint: {every: 1 epoch},"))
    out, last = os.path.join(folder, "r"), os.path.join(folder, "r", "checkpoints", "last.safetensors")
    child = subprocess.Popen([MLC, "run", path, "--out", out, "--quiet"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    end = time.time() + 60
    while not os.path.exists(last) and time.time() < end:
        time.sleep(0.01)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (100, 100))
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 1 and re.search(r"error: \S*(last\.safetensors|metrics\.jsonl): cannot write", said), (child.returncode, said)
    assert os.listdir(os.path.dirname(last)) == ["last.safetensors"], os.listdir(os.path.dirname(last))
    rows = mlc("eval", out, "--part", "train").stdout
    assert "loss" in rows, rows


def test_closed_pipe(folder):
    for words in ("show " + IRIS, "doc all", "run " + write(folder, "s.yaml", SPEC) + " --json --out " + os.path.join(folder, "r")):
        done = subprocess.run(["bash", "-c", f"{MLC} {words} | head -1"], capture_output=True, text=True)
        assert "rror" not in done.stderr and "terminate" not in done.stderr, done.stderr


def test_synonyms(folder):
    """Each name of synonyms.txt, at its place, is answered with the name here. Layers and transforms of a list have their faults in one run."""
    here = os.path.dirname(os.path.abspath(__file__))
    rows = [line.split() for line in open(os.path.join(here, "synonyms.txt"), encoding="utf-8") if line.strip() and line[0] != "#"]
    lists = {"layer": ("model: [{linear: 3}]", "model: [%s, {linear: 3}]"), "transform": ("y: 3}}", "y: 3}, transforms: [%s]}"), "metric": ("optimizer: sgd}", "optimizer: sgd}\neval: {metrics: [%s]}")}
    single = {"loss": "loss: cross_entropy", "optimizer": "optimizer: sgd", "schedule": "optimizer: sgd"}
    wrong = []
    for kind in sorted({row[0] for row in rows}):
        words = {name: here for k, name, here in rows if k == kind}
        if kind in single:
            texts = [[name] for name in words]
        else:
            texts = [list(words)]
        for names in texts:
            if kind in lists:
                text = SPEC.replace(lists[kind][0], lists[kind][1] % ", ".join(names))
            else:
                text = SPEC.replace(single[kind], f"{kind}: {names[0]}" if kind != "schedule" else f"optimizer: sgd, schedule: {names[0]}")
            events = [json.loads(line) for line in mlc("run", write(folder, "s.yaml", text), "--device", "reference", "--json", wanted=1).stdout.splitlines()]
            answers = {e["text"].split("'")[1]: e["fix"] for e in events if e["text"].startswith("unknown ")}
            wrong += [f"{kind} {name}: '{answers.get(name, 'no fault')}', not '{words[name]}'" for name in names if answers.get(name, "?") != words[name].replace("-", "")]
    assert not wrong, "\n" + "\n".join(wrong)


def test_lints_are_silenced_and_counted(folder):
    """Each lint on the spec of an error test that shows it."""
    cases = os.path.join(root, "tests", "errors", "cases")
    names = re.findall(r"^  ([a-z-]+)(?=  )", mlc("doc", "lints").stdout, re.M)
    assert len(names) >= 9, names
    for name in names:
        found = [p for p in sorted(glob.glob(os.path.join(cases, "lint_*.expected"))) if f"[{name}]" in open(p, encoding="utf-8").read() and ": error:" not in open(p, encoding="utf-8").read()]
        assert found, f"no error test shows {name}"
        spec = os.path.basename(found[0])[:-9] + ".yaml"
        run = lambda *words, wanted: mlc("run", spec, "--device", "reference", "--quiet", "--out", os.path.join(folder, "r"), *words, wanted=wanted, cwd=cases).stderr
        assert f"[{name}]" in run(wanted=0) and f"[{name}]" in run("--werror", wanted=1), name
        assert f"[{name}]" not in run("--set", f"lints={{{name}: off}}", wanted=0), name


def test_shipped_specs_have_no_warnings(folder):
    data = os.path.join(root, "..", "shared", "data")
    for path in sorted(glob.glob(os.path.join(root, "specs", "*.yaml"))):
        # A text's vocabulary is read from it, so that spec needs the file.
        if os.path.basename(path) == "char_transformer.yaml" and not os.environ.get("MLC_DATA") and not os.path.isdir(data):
            continue
        mlc("check", "--werror", path, MLC_DATA=os.environ.get("MLC_DATA") or data)


def test_json(folder):
    path = write(folder, "s.yaml", SPEC)
    events = [json.loads(line) for line in mlc("run", path, "--out", os.path.join(folder, "r"), "--device", "reference", "--json").stdout.splitlines()]
    assert events[0]["event"] == "header" and events[-1]["event"] == "summary", events


def test_yaml_rules(folder):
    text = ("name: ${kind}-${env:MLC_KIND}\r\nvars: {kind: a, no: 3, n: 010, o: 0o10}\r\nseed: n\r\n" + SPEC.replace("linear: 3", "linear: no").replace("\n", "\r\n").replace("steps: 2", "steps: o"))
    path = os.path.join(folder, "crlf.yaml")
    with open(path, "wb") as file:
        file.write(b"\xef\xbb\xbf" + text.encode())
    shown = mlc("show", path, MLC_KIND="b").stdout
    assert "name: a-b" in shown, shown
    events = [json.loads(line) for line in mlc("run", path, "--out", os.path.join(folder, "r"), "--device", "reference", "--json", MLC_KIND="b").stdout.splitlines()]
    assert events[-1]["steps"] == 8 and events[-1]["parameters"] == 15, events[-1]


def test_expressions_everywhere(folder):
    text = ("vars: {n: 2, b: 4 * n}\ndata: {reader: synthetic, train: {rows: 8 * n, x: [2 * n], y: n + 1}}\nmodel: [{linear: n + 1}]\n"
            "train: {epochs: 'max(1, n // 2)', batch_size: b, loss: cross_entropy, optimizer: {type: sgd, lr: 1/1000}, schedule: {type: step, step_size: n * 2 steps, gamma: 1 / n}, validate: {every: n epochs}}\n")
    path = write(folder, "s.yaml", text)
    shown = mlc("show", path).stdout
    assert "every: 2 epochs" in shown and "step_size: 4 steps" in shown, shown
    summary = json.loads(mlc("run", path, "--out", os.path.join(folder, "r"), "--device", "reference", "--json").stdout.splitlines()[-1])
    assert summary["steps"] == 2 and summary["parameters"] == 15, summary


def test_include(folder):
    write(folder, "base.yaml", SPEC + "eval: {metrics: [accuracy]}\nseed: 1\n")
    path = write(folder, "top.yaml", "include: base.yaml\nseed: 2\nmodel: [{linear: 8}, relu, {linear: 3}]\ntrain: {optimizer: {type: adam}}\n")
    shown = mlc("show", path).stdout
    assert "base.yaml:3" in shown and re.search(r"seed: 2 +# .*top.yaml:2", shown) and "type: adam" in shown and shown.count("linear") == 2, shown
    # A fault in an included file is that file's.
    write(folder, "base.yaml", SPEC.replace("steps", "stepz"))
    assert "base.yaml:3:9: error: unknown key 'stepz'" in mlc("check", path, wanted=1).stderr


def test_paths(folder):
    write(folder, "data.csv", "a,b\n1,2\n2,3\n3,4\n4,5\n")
    write(folder, "in/data.csv", "a,b\n1,2\n2,3\n3,4\n4,5\n")
    spec = "data: {reader: csv, path: PATH, target: b}\nmodel: [{linear: 1}]\ntrain: {steps: 1, batch_size: 4, loss: mse, optimizer: sgd}\n"
    for number, (path, inside) in enumerate([("data.csv", True), ("./x/../data.csv", True), ("../data.csv", False), ("../in/data.csv", True), (os.path.join(folder, "data.csv"), False), ("link.csv", False)]):
        os.makedirs(os.path.join(folder, "in", "x"), exist_ok=True)
        if path == "link.csv":
            os.symlink("../data.csv", os.path.join(folder, "in", "link.csv"))
        name = write(folder, f"in/s{number}.yaml", spec.replace("PATH", path))
        done = mlc("check", name, wanted=0 if inside else 1)
        assert inside or "lies outside of the spec's folder; --allow-outside" in done.stderr, path
        mlc("check", name, "--allow-outside")
        mlc("check", name, "--set", "data.path=" + path)
    outer = write(folder, "outer.yaml", "seed: 3\n")
    name = write(folder, "in/inc.yaml", "include: ../outer.yaml\n" + spec.replace("PATH", "data.csv"))
    assert "lies outside" in mlc("check", name, wanted=1).stderr
    mlc("check", name, "--allow-outside")
    assert os.path.exists(outer)


def test_bounds_of_size(folder):
    """Those that are too large for a file among the error tests."""
    large = write(folder, "large.yaml", SPEC + "# " + "x" * (16 << 20) + "\n")
    said = mlc("check", large, wanted=1).stderr
    assert "large.yaml has more than 16 MB: too large for a spec" in said, said
    said = mlc("check", write(folder, "a.yaml", "include: large.yaml\n"), wanted=1).stderr
    assert re.match(r"\S*a\.yaml:1:10: error: \S*large\.yaml has more than 16 MB", said), said
    said = mlc("check", write(folder, "b.yaml", "vars: {n: 1 %s}\n%s" % ("+ 1 " * 25_000, SPEC)), wanted=1).stderr
    assert "b.yaml:1:11: error: a formula has at most 100,000 characters; name its parts" in said, said[:300]
    assert all(len(line) < 300 for line in mlc("check", os.path.join(folder, "b.yaml"), wanted=1).stderr.splitlines() if not line.startswith("  ")), "long lines"


def test_run_folder_stays_inside(folder):
    path = write(folder, "s.yaml", "name: ../../escape\n" + SPEC)
    mlc("run", path, "--device", "reference", "--quiet", cwd=folder)
    assert os.listdir(os.path.join(folder, "runs")) != [] and not os.path.exists(os.path.join(folder, "..", "escape"))


def table(folder, name, header, rows, delimiter=","):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header] * bool(header) + rows)
    return path


def test_init(folder):
    random.seed(1)
    people = []
    for i in range(300):
        age, sex, city = random.randint(18, 90), random.choice(["f", "m"]), random.choice(["Bonn", "Köln", "New York"])
        people.append([i, f"name {i}", age if i % 17 else "", sex, city, 1, "yes, often" if age + 20 * (sex == "f") > 60 else "no"])
    cases = {
        "classes.csv": (["id", "name", "age", "sex", "city: now", "one", "buys"], people, ",", "buys", ["accuracy"]),
        "number.csv": (["x1", "x 2", "y"], [[f"{i * 0.1:.2f}", (i * 7) % 13 + 0.5, f"{1000 + 3 * i - 20 * ((i * 7) % 13):.1f}"] for i in range(250)], ";", "y", ["r2"]),
        "bare.csv": (None, [[i % 7 + 0.5, (i * i) % 5 + 0.5, (i % 7 > 3) * 1] for i in range(120)], "\t", "c2", ["accuracy"]),
    }
    for name, (header, rows, delimiter, target, metrics) in cases.items():
        path = table(folder, name, header, rows, delimiter)
        done = mlc("init", name, cwd=folder)
        spec = path[:-4] + ".yaml"
        assert f"'{target}'" in done.stdout and "next: mlc run " + os.path.basename(spec) in done.stdout, done.stdout
        mlc("check", "--werror", spec)
        summary = json.loads(mlc("run", spec, "--device", "reference" if name != "classes.csv" else "auto", "--set", "train.epochs=3", "--out", spec + ".run", "--json").stdout.splitlines()[-1])
        for metric in metrics:
            assert "test_" + metric in summary, summary
        assert "exists" in mlc("init", name, cwd=folder, wanted=1).stderr
    # Tables that a spreadsheet or pandas writes, and those too small to hold rows back: the spec runs.
    for name, text, wanted in (("index.csv", ",a,y\n" + "".join(f"{i},{i % 5},{'uv'[i % 2]}\n" for i in range(12)), "Left out: a column without a name"),
                               ("tiny.csv", "a,y\n1,u\n2,v\n3,u\n4,v\n", "All rows are trained on"),
                               ("broken.csv", 'a,b,"two\nlines"\n' + "".join(f"{i},{i * i % 7},{i}.5\n" for i in range(9)), "deviation of two lines")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        mlc("init", name, cwd=folder)
        spec = os.path.join(folder, name[:-4] + ".yaml")
        assert wanted in open(spec, encoding="utf-8").read(), open(spec, encoding="utf-8").read()
        mlc("run", spec, "--device", "reference", "--set", "train.epochs=1", "--out", spec + ".run")
    # Dates name rows: they are no default target, and no target at all.
    table(folder, "dated.csv", ["x", "y", "day"], [[i % 7, i * i % 11, f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}"] for i in range(90)], ",")
    dated = mlc("init", "dated.csv", "--out", "-", cwd=folder).stdout
    assert "target: y" in dated and "Left out: day (text with 90 values)" in dated, dated
    assert "the target 'day' is text with 90 values in 90 rows; choose another with --target" in mlc("init", "dated.csv", "--target", "day", cwd=folder, wanted=1).stderr
    with open(os.path.join(folder, "twice.csv"), "w", encoding="utf-8") as file:
        file.write("a,a,b\n1,2,3\n4,5,6\n")
    assert "twice.csv:1: column 'a' stands twice" in mlc("init", "twice.csv", cwd=folder, wanted=1).stderr
    text = open(os.path.join(folder, "classes.yaml"), encoding="utf-8").read()
    assert "one_hot: {columns: [sex, \"city: now\"]}" in text and "fill: median" in text and "id (numbers the rows)" in text and "name (text with 300 values)" in text and "one (one value only)" in text, text
    assert "target: age" in mlc("init", "classes.csv", "--target", "age", "--out", "-", cwd=folder).stdout
    assert "did you mean 'age'?" in mlc("init", "classes.csv", "--target", "agee", "--out", "-", cwd=folder, wanted=1).stderr


def test_diff(folder):
    one = write(folder, "one.yaml", SPEC)
    two = write(folder, "two.yaml", SPEC.replace("[{linear: 3}]", "[{linear: 8}, relu, {linear: 3}]").replace("optimizer: sgd", "optimizer: {type: adam, lr: 0.01}"))
    text = mlc("diff", one, one).stdout
    assert text.count("no difference") == 6 and len(text.splitlines()) == 6, text
    text = mlc("diff", one, two).stdout
    for line in ["    + {linear: 8}", "  train.optimizer: sgd -> {type: adam, lr: 0.01}", "  trained: 15 -> 67  (+346.7 %)", "  optimizer: 0 B -> 536 B", "  + relu1  relu  [8]"]:
        assert line in text.splitlines() or any(l.startswith(line) for l in text.splitlines()), line + "\n" + text
    for name in ("one", "two"):
        mlc("run", os.path.join(folder, name + ".yaml"), "--device", "reference", "--quiet", "--out", os.path.join(folder, name))
    assert re.search(r"^results\n(.*\n)*  train_loss: ", mlc("diff", os.path.join(folder, "one"), os.path.join(folder, "two")).stdout, re.M)
    assert "is no run folder" in mlc("diff", folder, two, wanted=1).stderr


def test_doc(folder):
    listing = mlc("doc").stdout
    assert "  lints " in listing and "  cross_entropy " in listing and "  train " in listing
    assert "linear(out" in mlc("doc", "linear").stdout and "early_stopping.patience" not in mlc("doc", "train.epochs").stdout
    assert "unused-value" in mlc("doc", "lints").stdout
    found = mlc("doc", "nesterov").stdout
    assert "  sgd " in found and "  adam " not in found, found
    assert "did you mean 'linear'?" in mlc("doc", "liner", wanted=1).stderr


def test_completion(folder):
    os.symlink(MLC, os.path.join(folder, "mlc"))
    environment = {"PATH": folder + ":" + os.environ["PATH"]}
    script = mlc("completion", "bash").stdout
    ask = lambda *words: subprocess.run(["bash", "-c", script + f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _mlc; echo \"${{COMPREPLY[@]}}\""],
                                        capture_output=True, text=True, env={**os.environ, **environment}).stdout.split()
    assert ask("mlc", "sh") == ["show"], ask("mlc", "sh")
    assert "--werror" in ask("mlc", "check", "--we") and "linear" in ask("mlc", "doc", "line")
    for shell in ("zsh", "fish"):
        assert "completion" in mlc("completion", shell).stdout
    asked = {("mlc", "sh"): "show", ("mlc", "check", "--we"): "--werror", ("mlc", "doc", "line"): "linear"}
    run = lambda *words: subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment, "HOME": folder}, timeout=60)
    # Both shells are optional here: what each makes of its script is asked of the shell itself, where it is installed.
    if shutil.which("fish"):
        write(folder, "mlc.fish", mlc("completion", "fish").stdout)
        for words, wanted in asked.items():
            done = run("fish", "--no-config", "-c", f"source {folder}/mlc.fish; complete -C '{' '.join(words)}'")
            assert wanted in [line.split("\t")[0] for line in done.stdout.splitlines()] and not done.stderr, (words, done)
    if shutil.which("zsh"):
        write(folder, "mlc.zsh", mlc("completion", "zsh").stdout)
        for words, wanted in asked.items():
            # The completion system's own verbs print what they are given.
            verbs = "compdef() { :; }; compadd() { shift; print -l -- $@; }; _describe() { print -l -- ${${(P)2}%%:*}; }; _files() { :; }"
            done = run("zsh", "-f", "-c", f"{verbs}; source {folder}/mlc.zsh; words=({' '.join(words)}); CURRENT={len(words)}; _mlc")
            assert wanted in done.stdout.split() and not done.stderr, (words, done)
            compiled = run("zsh", "-f", "-c", f"autoload -U compinit && compinit -u -D && source {folder}/mlc.zsh && print $_comps[mlc]")
            assert compiled.stdout.strip() == "_mlc", compiled


passed = failed = 0
for name, test in [(n, f) for n, f in list(globals().items()) if n.startswith("test_")]:
    if options.test and name not in options.test:
        continue
    folder = os.path.realpath(tempfile.mkdtemp())
    try:
        test(folder)
        passed += 1
    except Exception as fault:
        failed += 1
        print(f"FAIL {name}: {type(fault).__name__}: {fault}")
    finally:
        shutil.rmtree(folder)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
