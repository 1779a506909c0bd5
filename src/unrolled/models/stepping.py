"""Layers over a sequence whose inputs come one by one, since they depend on the outputs, in training."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..core import Tree, map_tree
from ..layers import Stack
from ..layers.regularization import draw
from ..layers.unroll import unroll


def stepping(layers: Stack, like: Tensor, state: tuple[Tree, ...]) -> Callable[[int, Tensor, Any], tuple[Tensor, Any]]:
    """A function ``(t, x(t), state) -> (output, state)`` for one sequence, which gives what the whole would.

    :meth:`Stack.step` draws what is random in a cell, as the mask of its recurrent dropout, anew at each call; here it
    is drawn once for the sequence.

    Args:
        layers: which run forward in time.
        like: a tensor (T, B, ...) of as many steps and rows as the sequence.
        state: of the layers, before the first step.
    """
    drawn = [draw(layer.cell, like, part, None) for layer, part in zip(layers.layers, state, strict=True)]

    def step(t: int, x: Tensor, state: tuple[Tree, ...]) -> tuple[Tensor, tuple[Tree, ...]]:
        ends = []
        for depth, (layer, ready, before) in enumerate(zip(layers.layers, drawn, state, strict=True)):
            if depth:
                x = layers.dropout(x)
            given: Any = x.unsqueeze(0)
            if isinstance(ready.x, tuple):  # with what was drawn
                given = given, map_tree(lambda part: part[t : t + 1], ready.x[1])
            outputs, end = unroll(ready.step, given, before, backend=layer.backend)  # type: ignore[arg-type]
            output = outputs.squeeze(0)
            x = output + x if layers.residual and output.shape == x.shape else output
            ends.append(end)
        return x, tuple(ends)

    return step
