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
    from torch.utils.checkpoint import checkpoint

    state = run.state

    def outputs() -> Iterator[Tree]:
        nonlocal state
        for part in chunks(run, every):

            def again(x: Tree | None, state: Tree, part: Unrolling = part) -> tuple[Tree, Tree]:
                return backend(replace(part, x=x, state=state, passing=True))

            # x and state are arguments because from them it learns whose random state to put back
            output, state = checkpoint(again, part.x, state, use_reentrant=False)
            yield output

    return join(outputs(), run), state
