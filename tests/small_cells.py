"""A small instance of every cell, and of options that change an equation: what every test of "all cells" goes through.

``from small_cells import SMALL``. A new cell adds a line here, and is then held to everything that holds for all:
gradients (tests/cells/test_every_cell.py), kernels, and its equation printed back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from unrolled import Cell
from unrolled.cells import GRU, LSTM, RNN, EchoState, Elman, GeneralRNN, Jordan, OutputFeedback
from unrolled.cells.wrappers import InputNorm, Residual, VariationalDropout, WeightDrop, Zoneout

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
    "EchoState": Small(lambda: EchoState(I, 3, sparsity=0.4, leak_rate=0.3, bias_scaling=0.5)),
    "Elman": Small(lambda: Elman(I, 3, 2, output_nonlinearity="softmax")),
    "GeneralRNN": Small(lambda: GeneralRNN(I, 3, 2, nonlinearity="sin", output_nonlinearity="sigmoid")),
    "GRU": Small(lambda: GRU(I, 3)),
    "GRU, reset before": Small(lambda: GRU(I, 3, reset_after=False)),
    "Jordan": Small(lambda: Jordan(I, 3, 2)),
    "InputNorm, of RNN": Small(lambda: InputNorm(RNN(I, 3))),
    "LSTM": Small(lambda: LSTM(I, 3)),
    "OutputFeedback": Small(lambda: OutputFeedback(I, 3)),
    "RNN": Small(lambda: RNN(I, 3)),
    "Residual, of Zoneout of GRU": Small(lambda: Residual(Zoneout(GRU(I, I), 0.3)).eval()),
    "VariationalDropout, of LSTM": Small(lambda: VariationalDropout(LSTM(I, 3), input=0.5, output=0.5).eval()),
    "WeightDrop, of Elman": Small(lambda: WeightDrop(Elman(I, 3, 2), 0.5).eval()),
    "Zoneout, of LSTM": Small(lambda: Zoneout(LSTM(I, 3), (0.2, 0.6)).eval()),
}
"""By the name of the class, with what is optional after a comma."""
