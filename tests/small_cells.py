"""A small instance of every cell, and of options that change an equation: what every test of "all cells" goes through.

``from small_cells import SMALL``. A new cell adds a line here, and is then held to everything that holds for all:
gradients (tests/cells/test_every_cell.py), kernels, and its equation printed back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from unrolled import Cell
from unrolled.cells import GRU, LSTM, MLSTM, RNN, SLSTM, Elman, GeneralRNN, Jordan, OutputFeedback

I = 2  # features of x, unequal to the others  # noqa: E741


@dataclass(frozen=True)
class Small:
    """What makes a cell, and what makes its input (T, B, ...) in float64 where that is not one tensor (T, B, I)."""

    make: Callable[[], Cell]
    x: Callable[[int, int], object] = lambda steps, rows: torch.randn(steps, rows, I, dtype=torch.float64)


def with_dt(steps: int, rows: int) -> object:
    """x and the time since the last step."""
    return torch.randn(steps, rows, I, dtype=torch.float64), torch.rand(steps, rows, 1, dtype=torch.float64) + 0.1


SMALL: dict[str, Small] = {
    "Elman": Small(lambda: Elman(I, 3, 2, output_nonlinearity="softmax")),
    "GeneralRNN": Small(lambda: GeneralRNN(I, 3, 2, nonlinearity="sin", output_nonlinearity="sigmoid")),
    "GRU": Small(lambda: GRU(I, 3)),
    "GRU, reset before": Small(lambda: GRU(I, 3, reset_after=False)),
    "Jordan": Small(lambda: Jordan(I, 3, 2)),
    "LSTM": Small(lambda: LSTM(I, 3)),
    "MLSTM": Small(lambda: MLSTM(I, 3)),
    "MLSTM, two heads, exp": Small(lambda: MLSTM(I, 4, 2, forget_gate="exp")),
    "OutputFeedback": Small(lambda: OutputFeedback(I, 3)),
    "RNN": Small(lambda: RNN(I, 3)),
    "SLSTM": Small(lambda: SLSTM(I, 3)),
    "SLSTM, two heads, exp": Small(lambda: SLSTM(I, 4, 2, forget_gate="exp")),
}
"""By the name of the class, with what is optional after a comma."""
