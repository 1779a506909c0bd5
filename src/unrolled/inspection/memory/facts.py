"""What is said of a model's memory, as data."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decay:
    """How the gradient of the loss falls or grows with the lag, the steps before a row's own last one, from 0."""

    name: str  # "state", "state.h", "input"
    mean: tuple[float, ...]  # by lag: its norm, as the geometric mean over the rows where there is any
    lower: tuple[float, ...]  # the lower quartile of the rows, and
    upper: tuple[float, ...]  # the upper one
    rows: tuple[int, ...]  # so long that they have this lag, and their gradient finite
    rate: float | None  # the factor of one step back, fitted to all lags; None where nothing can be fitted
    memory: int | None  # steps after which at most 1 % of the first norm is left; None: more than there are
    memory_e: int | None  # likewise 1/e of it
    not_finite: int | None  # the first lag at which it is NaN or infinite in some row

    @property
    def half_life(self) -> float | None:
        """Steps in which the gradient falls to half; None where it does not fall."""
        return None if not self.rate or self.rate >= 1 else math.log(0.5) / math.log(self.rate)

    @property
    def doubling(self) -> float | None:
        """Steps in which the gradient doubles; None where it does not grow."""
        return None if self.rate is None or self.rate <= 1 else math.log(2) / math.log(self.rate)

    @property
    def change(self) -> float | None:
        """What the rate comes to over all lags: above 1 the gradient grows on its way back."""
        return None if self.rate is None else math.exp(min(700.0, (len(self.mean) - 1) * math.log(self.rate or 1e-300)))

    @property
    def nothing(self) -> bool:
        """Whether no gradient at all was found."""
        return self.not_finite is None and not any(self.mean)


@dataclass(frozen=True)
class Gate:
    """The values of one squashing function in a step, over all steps, rows and units."""

    name: str  # of the user's variable, or the expression
    function: str  # "sigmoid", "tanh", "relu", ...
    line: str  # file:line
    low: float  # share of the values at the lower end: below 0.1 (sigmoid), below -0.9 (tanh), 0 (relu)
    high: float  # share at the upper end: above 0.9; 0 of a relu, which has none
    mean: float
    dead: float | None  # of a relu the share of units that are 0 in every row at every step

    @property
    def stuck(self) -> float:
        """The share of values at an end, where the function is flat and hardly passes any gradient on."""
        return self.low + self.high


@dataclass(frozen=True)
class LayerMemory:
    """One layer, in one run over the sequence."""

    name: str  # where it is in the model; "" of a model that is one layer
    cell: str  # the class of its cell
    steps: int  # T
    rows: int  # B
    reverse: bool
    state: Decay  # of the whole state
    parts: tuple[Decay, ...]  # of the tensors that it consists of, if there are several
    input: Decay | None  # of what the layer reads; None of a layer without input
    exponents: tuple[float, ...]  # of Lyapunov, the largest first, in nats a step; means over the rows (finite ones)
    spread: tuple[float, ...]  # their standard deviations over the rows
    gates: tuple[Gate, ...]


def plain(facts: Any) -> Any:
    """Facts as dicts, lists, strings and numbers; a number that JSON has not, as infinity, is None."""
    if isinstance(facts, tuple):
        return [plain(item) for item in facts]
    if isinstance(facts, float):
        return facts if math.isfinite(facts) else None
    if not hasattr(facts, "__dataclass_fields__"):
        return facts
    found = {name: plain(getattr(facts, name)) for name in facts.__dataclass_fields__}
    return found | {"half_life": plain(facts.half_life)} if isinstance(facts, Decay) else found
