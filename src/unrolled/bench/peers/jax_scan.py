"""An LSTM as jax users write it: ``lax.scan`` over a step, compiled by ``jax.jit``, with its gradient."""

import os
from pathlib import Path
from typing import Any

import torch

from ..problem import Problem
from ..sides import Named, Side
from .installed import imported


def jax_scan(problem: Problem) -> Side:
    """The loss Σ outputs · d_outputs, and its gradient with respect to the weights, the input and the first state."""
    jax = imported("jax")
    jax.config.update("jax_platforms", "cpu")
    jnp = jax.numpy

    def step(weights: Any, state: Any, x: Any) -> Any:
        h, c = state
        gates = x @ weights["weight_ih"].T + weights["bias_ih"] + h @ weights["weight_hh"].T + weights["bias_hh"]
        i, f, g, o = jnp.split(gates, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def loss(given: Any, weighing: Any) -> Any:
        def one(state: Any, x: Any) -> Any:
            return step(given, state, x)

        last, outputs = jax.lax.scan(one, (given["h"], given["c"]), given["x"])
        return (outputs * weighing).sum(), (outputs, last)

    training = jax.jit(jax.value_and_grad(loss, has_aux=True))
    tensors = {"x": problem.x, **problem.state, **problem.weights}
    given = {name: jnp.asarray(value.numpy()) for name, value in tensors.items()}
    weighing = jnp.asarray(problem.d_outputs.numpy())

    def run() -> Any:
        return jax.block_until_ready(training(given, weighing))

    def named(result: Any) -> Named:
        (_, (outputs, (h, c))), gradients = result
        found = {"outputs": outputs, "last h": h, "last c": c}
        found |= {f"gradient of {name}": gradient for name, gradient in gradients.items()}
        return {name: torch.tensor(jax.device_get(value)) for name, value in found.items()}

    return Side("jax lax.scan", run, named, pool="jax")


def threads_used() -> int | None:
    """How many threads its pool has, once it has run; None where the system does not tell."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return None
    return sum(_name(tasks / number).startswith("tf_XLAEigen") for number in os.listdir(tasks)) or None


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # gone meanwhile
        return ""
