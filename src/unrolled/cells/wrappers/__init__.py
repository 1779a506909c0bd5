"""Cells that change another cell, whichever it is; they go into one another, and run as one compiled step.

A wrapper is a cell itself: ``Recurrent(Residual(Zoneout(LSTM(8, 8), 0.1)))``. Its parameters are those of the cell that
it wraps, under ``cell.``.
"""

from .input_norm import InputNorm
from .residual import Residual
from .variational_dropout import VariationalDropout
from .weight_drop import WeightDrop
from .zoneout import Zoneout

__all__ = ["InputNorm", "Residual", "VariationalDropout", "WeightDrop", "Zoneout"]
