"""Every cell of the library at one shape: its size, and its training time beside its own loop and beside our LSTM."""

import torch
from torch import nn

from ..cells import LSTM
from ..cells._registry import made_of_two_sizes
from ..core import UnsupportedStep
from .code_lines import lines_of
from .options import Shape
from .ours import own
from .races import Found, OwnCell, agreeing, own_race
from .results import CellFigures
from .sides import Side
from .timing import Times, race


def names() -> list[str]:
    """The cells that two sizes are enough to make, in the order of the alphabet."""
    return sorted(made_of_two_sizes(), key=str.casefold)


def measure(name: str, shape: Shape, seconds: float) -> Found:
    """One cell with its default options: checked against its own loop, then raced with that and with an LSTM.

    A cell that has no kernel is run as ``backend="auto"`` runs it, by the reference, and the reason is told.
    """
    kind = made_of_two_sizes()[name]
    cell = OwnCell(name, lambda size: kind(size, size))
    given, fallback = own_race(cell, shape), None
    mine = given.ours()
    try:
        computed = mine.named(mine.run())
    except UnsupportedStep as error:
        fallback = " ".join(str(error).split())
        mine = own_race(cell, shape, backend="reference").ours()
        computed = mine.named(mine.run())
    loop, lstm = agreeing(given, computed, given.peers["loop"]), _lstm(shape)
    lstm.run()
    ours, its, of_lstm = (Times.of(samples) for samples in race([mine, loop, lstm], seconds))
    trained, fixed = _sizes(cell.make(shape.H))
    yield CellFigures(name, shape, trained, fixed, lines_of(kind), ours, its, of_lstm, fallback)


def _lstm(shape: Shape) -> Side:
    chance = torch.Generator().manual_seed(0)
    x, d_outputs = (torch.randn(shape.T, shape.B, shape.H, generator=chance) for _ in range(2))
    return own(LSTM(shape.H, shape.H), x, [d_outputs])


def _sizes(cell: nn.Module) -> tuple[int, int]:
    """Numbers that are trained, and numbers that are fixed from the start."""
    trained = sum(p.numel() for p in cell.parameters() if p.requires_grad)
    held = [*(p for p in cell.parameters() if not p.requires_grad), *cell.buffers()]
    return trained, sum(tensor.numel() for tensor in held)
