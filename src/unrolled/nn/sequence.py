"""Layers of cells run over time in both directions, as torch composes them."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Tree, valid_steps
from ..layers import Recurrent
from .arguments import Given
from .packed import Unpacked, pack_data, unpack


class Results(NamedTuple):
    """Outputs (T, B, D O); of each layer and direction the state at the end, and where asked for after every step."""

    outputs: Tensor
    ends: list[Tree]
    states: list[Tree]


def run_layers(layers: list[list[Recurrent]], given: Given, dropout: float) -> Results:
    """Every layer in every direction.

    Args:
        layers: for each layer one a direction.
        given: the arguments.
        dropout: probability of zeroing an output between two layers.
    """
    x, valid = given.x, None
    if given.lengths is not None or given.mask is not None:
        valid = valid_steps(*x.shape[:2], lengths=given.lengths, mask=given.mask, device=x.device)
    ends: list[Tree] = []
    states: list[Tree] = []
    for depth, directions in enumerate(layers):
        if depth and dropout:
            x = _drop(x, dropout, given.unpacked)
        taken = x if given.dt is None else (x, given.dt)
        outputs = []
        for layer in directions:
            start = None if given.states is None else given.states[len(ends)]
            results = layer(taken, start, mask=valid, reset=given.reset)
            outputs.append(results[0])
            ends.append(results[1])
            states.extend(results[2:])
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return Results(x, ends, states)


def _drop(x: Tensor, dropout: float, unpacked: Unpacked | None) -> Tensor:
    """Dropout between two layers, which draws as many numbers as torch does: of a packed sequence none for padding."""
    if unpacked is None or unpacked.lengths is None:
        return F.dropout(x, dropout, training=True)
    data = F.dropout(pack_data(x, unpacked.lengths), dropout, training=True)
    return unpack(unpacked.packed._replace(data=data)).x
