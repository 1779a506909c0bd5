"""How a vector starts layers of any cell: it moves every tensor of their first state."""

import math

import torch
from torch import Tensor

from ..core import Tree, leaves, map_tree
from ..layers import Stack


def start_sizes(layers: Stack) -> list[int]:
    """Of each tensor of the state that a vector can move, those of floating point, the numbers in a row."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # an initial state may be drawn
        begun = leaves(layers.initial_state(1))
    return [part.numel() for part in begun if part.is_floating_point()]


def started(layers: Stack, moves: Tensor) -> Tree:
    """The layers' initial state, moved by what a row of ``moves`` (B, sum of :func:`start_sizes`) says."""
    used = 0

    def moved(part: Tensor) -> Tensor:
        nonlocal used
        if not part.is_floating_point():
            return part
        move = moves[:, used : used + math.prod(part.shape[1:])]
        used += move.shape[1]
        return part + move.reshape(part.shape).to(part.dtype)

    return map_tree(moved, layers.initial_state(len(moves)))
