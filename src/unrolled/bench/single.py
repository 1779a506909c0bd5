"""One step at a time, as when a sequence comes bit by bit: batch 1, no gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import Recurrent
from .agree import check
from .options import Shape
from .ours import NAME, as_state, gated_cell
from .problem import gated
from .races import Found
from .results import Row
from .sides import Side
from .timing import Times, race

STEPS = 100  # in one timed run: a clock's own time would count otherwise


def single_step(hidden_size: int, seconds: float) -> Found:
    """``Recurrent.step`` of an LSTM against torch.nn.LSTMCell, the state handed from step to step."""
    given = gated("lstm", Shape(1, 1, hidden_size))
    cell = gated_cell("lstm", given)
    layer = Recurrent(cell, backend="compiled")
    theirs = nn.LSTMCell(hidden_size, hidden_size)
    theirs.load_state_dict(given.weights)
    x, first = given.x[0], tuple(given.state.values())

    def run_theirs() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            h, c = first
            for _ in range(STEPS):
                h, c = theirs(x, (h, c))
        return h, c

    def run_ours() -> Any:
        with torch.no_grad():
            state = as_state(cell, given.state)
            for _ in range(STEPS):
                _, state = layer.step(x, state)
        return state

    sides = [_side(NAME, run_ours), _side("torch.nn.LSTMCell", run_theirs)]
    mine, its = (side.named(side.run()) for side in sides)
    check(mine, its, max(STEPS, given.reduced), peer="torch.nn.LSTMCell")
    ours_times, their_times = (Times.of(samples, STEPS) for samples in race(sides, seconds))
    yield Row("step", "LSTM", "step", given.shape, "torch.nn.LSTMCell", ours_times, their_times)


def _side(name: str, run: Callable[[], Any]) -> Side:
    return Side(name, run, lambda state: {"last h": state[0], "last c": state[1]})
