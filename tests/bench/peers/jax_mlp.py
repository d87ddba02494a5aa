"""A training program in JAX, the whole step under one jit; one JSON line of timings at its end.

    jax_mlp.py iris|breast_cancer|mnist [--mode step|scan] [--threads N] [--epochs E]

step  a call per step
scan  a call per epoch: lax.scan over its steps, the strongest form for small networks
The first epoch compiles; medians leave it out.
"""
import argparse
import os
import statistics
import time

import common

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("workload", choices=common.WORKLOADS)
parser.add_argument("--mode", choices=["step", "scan"], default="scan")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--epochs", type=int)
arguments = parser.parse_args()
if arguments.threads == 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import optax

W = common.WORKLOADS[arguments.workload]
batch, epochs = W["batch"], arguments.epochs or W["epochs"]
x, y, xe, ye = common.load(arguments.workload)
x, y = jnp.asarray(x), jnp.asarray(y.astype(np.int32))
key = jax.random.PRNGKey(42)


def start(widths):
    keys = jax.random.split(key, len(widths) - 1)
    return [(jax.random.uniform(k, (a, b), minval=-1, maxval=1) / np.sqrt(a), jnp.zeros(b)) for k, a, b in zip(keys, widths, widths[1:])]


def network(params, x, key, dropout):
    for i, (weight, bias) in enumerate(params):
        x = x @ weight + bias
        if i + 1 < len(params):
            x = jax.nn.relu(x)
            if dropout:
                key, used = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(used, 1 - dropout, x.shape), x / (1 - dropout), 0)
    return x


def objective(params, x, y, key):
    out = network(params, x, key, W["dropout"])
    if W["loss"] == "bce":
        return optax.sigmoid_binary_cross_entropy(out[:, 0], y).mean()
    return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()


params = start(W["widths"])
optimizer = optax.adam(W["rate"])
state = optimizer.init(params)
steps = len(x) // batch


def step(params, state, x, y, rows, key):
    grads = jax.grad(objective)(params, x[rows], y[rows], key)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def epoch(params, state, x, y, order, keys):
    def body(carry, item):
        return step(*carry, x, y, *item), None

    return jax.lax.scan(body, (params, state), (order, keys))[0]


run_step, run_epoch = jax.jit(step, donate_argnums=(0, 1)), jax.jit(epoch, donate_argnums=(0, 1))
random = np.random.RandomState(0)
first, times, epoch_seconds = None, [], []
for e in range(epochs + 1):
    order = random.permutation(len(x))[: steps * batch].reshape(steps, batch).astype(np.int32)
    keys = jax.random.split(jax.random.fold_in(key, e), steps)
    begin = time.perf_counter()
    if arguments.mode == "scan":
        params, state = jax.block_until_ready(run_epoch(params, state, x, y, order, keys))
        times = [(time.perf_counter() - begin) / steps]
        first = first or time.time() - common.START
    else:
        times = []
        for i in range(steps):
            last = time.perf_counter()
            params, state = jax.block_until_ready(run_step(params, state, x, y, order[i], keys[i]))
            times.append(time.perf_counter() - last)
            first = first or time.time() - common.START
    if e:
        epoch_seconds.append(time.perf_counter() - begin)
run_network, rows = jax.jit(lambda params, x: network(params, x, key, 0)), jnp.asarray(xe)
jax.block_until_ready(run_network(params, rows))
begin = time.perf_counter()
out = np.asarray(run_network(params, rows))
eval_seconds = time.perf_counter() - begin
guess = (out[:, 0] > 0) if out.shape[1] == 1 else out.argmax(1)
common.report(peer="jax " + jax.__version__, mode=arguments.mode, step_ms=1e3 * statistics.median(times), epoch_s=statistics.median(epoch_seconds),
              eval_us=1e6 * eval_seconds / len(xe), first_step_s=first, accuracy=float((guess == ye).mean()))
