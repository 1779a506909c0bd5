"""A small instance of every cell, and of options that change an equation: what every test of "all cells" goes through.

``from small_cells import SMALL``. A new cell adds a line here, and is then held to everything that holds for all:
gradients (tests/cells/test_every_cell.py), kernels, and its equation printed back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from unrolled import Cell
from unrolled.cells import (
    GRU,
    IRNN,
    JANET,
    LMU,
    LRU,
    LSTM,
    LTC,
    MGU,
    MLSTM,
    QRNN,
    RNN,
    SLSTM,
    SRU,
    UGRNN,
    AntisymmetricRNN,
    ClockworkRNN,
    EchoState,
    Elman,
    GeneralRNN,
    IndRNN,
    Jordan,
    LiGRU,
    MinGRU,
    MinLSTM,
    OutputFeedback,
)
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
    "AntisymmetricRNN": Small(lambda: AntisymmetricRNN(I, 3)),
    "AntisymmetricRNN, gated": Small(lambda: AntisymmetricRNN(I, 3, gated=True)),
    "ClockworkRNN": Small(lambda: ClockworkRNN(I, 5, periods=(1, 2, 3))),
    "EchoState": Small(lambda: EchoState(I, 3, sparsity=0.4, leak_rate=0.3, bias_scaling=0.5)),
    "Elman": Small(lambda: Elman(I, 3, 2, output_nonlinearity="softmax")),
    "GeneralRNN": Small(lambda: GeneralRNN(I, 3, 2, nonlinearity="sin", output_nonlinearity="sigmoid")),
    "GRU": Small(lambda: GRU(I, 3)),
    "GRU, reset before": Small(lambda: GRU(I, 3, reset_after=False)),
    "IndRNN": Small(lambda: IndRNN(I, 3, steps=4)),
    "InputNorm, of RNN": Small(lambda: InputNorm(RNN(I, 3))),
    "IRNN": Small(lambda: IRNN(I, 3)),
    "JANET": Small(lambda: JANET(I, 3)),
    "Jordan": Small(lambda: Jordan(I, 3, 2)),
    "LiGRU": Small(lambda: LiGRU(I, 3)),
    "LiGRU, layer norm": Small(lambda: LiGRU(I, 3, layer_norm=True)),
    "LMU": Small(lambda: LMU(I, 3, 4, 5.5)),
    "LMU, memory learned": Small(lambda: LMU(I, 3, 4, 5.5, nonlinearity="sin", learn_memory=True)),
    "LRU": Small(lambda: LRU(I, 3, 4, r_min=0.4, r_max=0.9)),
    "LSTM": Small(lambda: LSTM(I, 3)),
    "LSTM, coupled": Small(lambda: LSTM(I, 3, coupled=True)),
    "LSTM, layer norm": Small(lambda: LSTM(I, 3, layer_norm=True)),
    "LSTM, no forget gate": Small(lambda: LSTM(I, 3, forget_gate=False)),
    "LSTM, peephole": Small(lambda: LSTM(I, 3, peephole=True)),
    "LSTM, projection": Small(lambda: LSTM(I, 4, proj_size=3)),
    "LTC": Small(lambda: LTC(I, 3, 2, ode_unfolds=2), with_dt),
    "LTC, no dt": Small(lambda: LTC(I, 3, ode_unfolds=3, affine=False, implicit_constraints=False)),
    "MGU": Small(lambda: MGU(I, 3)),
    "MGU, gate of a bias": Small(lambda: MGU(I, 3, gate="b")),
    "MGU, gate without x": Small(lambda: MGU(I, 3, gate="hb")),
    "MGU, reset after": Small(lambda: MGU(I, 3, reset_after=True)),
    "MinGRU": Small(lambda: MinGRU(I, 3)),
    "MinGRU, positive": Small(lambda: MinGRU(I, 3, bias=False, positive=True)),
    "MinLSTM": Small(lambda: MinLSTM(I, 3)),
    "MinLSTM, as it is": Small(lambda: MinLSTM(I, 3, bias=False, normalized=False, positive=True)),
    "MLSTM": Small(lambda: MLSTM(I, 3)),
    "MLSTM, two heads, exp": Small(lambda: MLSTM(I, 4, 2, forget_gate="exp")),
    "OutputFeedback": Small(lambda: OutputFeedback(I, 3)),
    "QRNN": Small(lambda: QRNN(I, 3)),
    "QRNN, f of 1 input": Small(lambda: QRNN(I, 3, 1, "f", bias=False)),
    "QRNN, ifo of 3 inputs": Small(lambda: QRNN(I, 3, 3, "ifo")),
    "Residual, of Zoneout of GRU": Small(lambda: Residual(Zoneout(GRU(I, I), 0.3)).eval()),
    "RNN": Small(lambda: RNN(I, 3)),
    "SLSTM": Small(lambda: SLSTM(I, 3)),
    "SLSTM, two heads, exp": Small(lambda: SLSTM(I, 4, 2, forget_gate="exp")),
    "SRU": Small(lambda: SRU(I, 3, highway_bias=-1.0)),
    "SRU, peephole": Small(lambda: SRU(I, I, peephole=True, nonlinearity="tanh")),
    "UGRNN": Small(lambda: UGRNN(I, 3)),
    "VariationalDropout, of LSTM": Small(lambda: VariationalDropout(LSTM(I, 3), input=0.5, output=0.5).eval()),
    "WeightDrop, of Elman": Small(lambda: WeightDrop(Elman(I, 3, 2), 0.5).eval()),
    "Zoneout, of LSTM": Small(lambda: Zoneout(LSTM(I, 3), (0.2, 0.6)).eval()),
}
"""By the name of the class, with what is optional after a comma."""
