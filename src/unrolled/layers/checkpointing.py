"""Activation checkpointing over time: memory for the states between chunks, time for one more way forward."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from ..core import Tree, Unrolling, chunks, join


def run_checkpointed(
    backend: Callable[[Unrolling], tuple[Tree, Tree]], run: Unrolling, every: int
) -> tuple[Tree, Tree]:
    """A run in chunks of ``every`` steps, of which only the states in between are kept for the way back."""
    if not torch.is_grad_enabled():
        return backend(run)
    state = run.state

    def outputs() -> Iterator[Tree]:
        nonlocal state
        for part in chunks(run, every):
            output, state = backend(replace(part, state=state, passing=True, recompute=True))
            yield output

    return join(outputs(), run), state
