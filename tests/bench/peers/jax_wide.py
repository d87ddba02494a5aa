"""Regression on random data in JAX, a lax.scan over whole steps under one jit; one JSON line of timings at its end.

    jax_wide.py mlp8|block [--threads N] [--steps N]

The networks are those of torch_wide.py. The first call compiles and is left out.
"""
import argparse
import os
import statistics
import time

import common

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("workload", choices=["mlp8", "block"])
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=20)
arguments = parser.parse_args()
if arguments.threads == 1:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import optax

keys = iter(jax.random.split(jax.random.PRNGKey(42), 16))


def dense(i, o):
    return {"w": jax.random.uniform(next(keys), (i, o), minval=-1, maxval=1) / np.sqrt(i), "b": jnp.zeros(o)}


def linear(p, x):
    return x @ p["w"] + p["b"]


def mlp8(p, x):
    for layer in p[:-1]:
        x = jax.nn.relu(linear(layer, x))
    return linear(p[-1], x)


def norm(p, x):
    c = x - x.mean(-1, keepdims=True)
    return c * jax.lax.rsqrt((c * c).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]


def block(p, x, heads=6):
    b, t, d = x.shape
    q, k, v = jnp.moveaxis(linear(p["qkv"], norm(p["norm1"], x)).reshape(b, t, 3, heads, d // heads), 2, 0)
    x = x + linear(p["out"], jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, t, d))
    return x + linear(p["down"], jax.nn.gelu(linear(p["up"], norm(p["norm2"], x)), approximate=False))


if arguments.workload == "mlp8":
    network, params, batch, shape, optimizer = mlp8, [dense(1024, 1024) for _ in range(8)], 256, (1024,), optax.adam(1e-3)
else:
    unit = {"w": jnp.ones(384), "b": jnp.zeros(384)}
    params = {"qkv": dense(384, 1152), "out": dense(384, 384), "up": dense(384, 1536), "down": dense(1536, 384), "norm1": unit, "norm2": dict(unit)}
    network, batch, shape, optimizer = block, 8, (256, 384), optax.adamw(1e-3)
x, y = (jnp.asarray(np.random.RandomState(i).randn(10 * batch, *shape).astype(np.float32)) for i in range(2))


def step(carry, rows):
    params, state = carry
    grads = jax.grad(lambda p: jnp.mean((network(p, x[rows]) - y[rows]) ** 2))(params)
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), None


run = jax.jit(lambda carry, order: jax.lax.scan(step, carry, order)[0], donate_argnums=0)
carry, first, times = (jax.tree.map(jnp.copy, params), optimizer.init(params)), None, []
for call in range(3):
    order = np.random.RandomState(call).randint(0, len(x), (arguments.steps, batch)).astype(np.int32)
    begin = time.perf_counter()
    carry = jax.block_until_ready(run(carry, order))
    times.append((time.perf_counter() - begin) / arguments.steps)
    first = first or time.time() - common.START
common.report(peer="jax " + jax.__version__, mode="scan", step_ms=1e3 * statistics.median(times[1:]), epoch_s=times[-1] * arguments.steps, first_step_s=first,
              accuracy=0.0)
