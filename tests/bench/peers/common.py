"""What both peers share: the clock, the data, the line of results."""
import csv
import gzip
import json
import os
import resource
import struct
import time

import numpy as np


def process_start():
    """When this process began, imports included, in time.time()'s clock."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/uptime") as file:
        up = float(file.read().split()[0])
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


START = process_start()
REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
# widths, dropout, batch, epochs, learning rate, loss
WORKLOADS = {
    "iris": dict(widths=[4, 16, 8, 3], dropout=0.2, batch=16, epochs=100, rate=0.01, loss="cross_entropy"),
    "breast_cancer": dict(widths=[30, 64, 32, 1], dropout=0.0, batch=32, epochs=100, rate=1e-3, loss="bce"),
    "mnist": dict(widths=[784, 500, 10], dropout=0.0, batch=64, epochs=5, rate=1e-3, loss="cross_entropy"),
}


def read_idx(name):
    folder = os.environ.get("MLC_DATA") or os.path.join(REPOSITORY, "data")
    with gzip.open(os.path.join(folder, "mnist", name + ".gz")) as file:
        raw = file.read()
    rank = raw[3]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank]))


def read_table(name):
    """Rows of numbers, the label last; 80 % to train on, features standardized by those."""
    with open(os.path.join(REPOSITORY, "specs", "data", name + ".csv"), newline="") as file:
        rows = list(csv.reader(file))
    rows = [r for r in rows if len(r) == len(rows[-1]) and is_number(r[0])]
    labels = sorted({r[-1] for r in rows})
    x = np.array([r[:-1] for r in rows], np.float32)
    y = np.array([labels.index(r[-1]) for r in rows], np.int64)
    order = np.random.RandomState(42).permutation(len(x))
    train, test = np.split(order, [int(0.8 * len(x))])
    x = (x - x[train].mean(0)) / x[train].std(0)
    return x[train], y[train], x[test], y[test]


def is_number(text):
    try:
        return float(text) is not None
    except ValueError:
        return False


def images(part):
    return ((read_idx(part + "-images-idx3-ubyte").reshape(-1, 784).astype(np.float32) / 255) - 0.5) / 0.5


def load(workload):
    if workload != "mnist":
        return read_table(workload)
    labels = [read_idx(part + "-labels-idx1-ubyte").astype(np.int64) for part in ("train", "t10k")]
    return images("train"), labels[0], images("t10k"), labels[1]


def report(**values):
    values["process_s"] = time.time() - START
    values["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(values))
