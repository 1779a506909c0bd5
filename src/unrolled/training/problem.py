"""What the loop trains, what watches it, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from ..core import Tree


@dataclass(frozen=True)
class Loss:
    """What one step learnt from."""

    value: Tensor  # scalar, to be differentiated
    carry: Tree  # the state for the next step's window; the loop detaches and saves it
    count: int  # tokens (or samples) that the step has read, for the speed


@dataclass(frozen=True)
class Evaluation:
    """How well a model does on the validation data."""

    loss: float
    figures: Mapping[str, float] = field(default_factory=dict)  # further ones, the most telling first
    criterion: float | None = None  # what the best weights have least of, in place of the loss


class Problem(Protocol):
    """What is learnt: a model, its loss at each step, and how well it does. A pure function of the step."""

    model: nn.Module

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the training data are read once."""

    def start(self) -> Tree:
        """The state before the first window."""

    def loss(self, step: int, carry: Tree) -> Loss:
        """The loss of training step ``step`` (from 0), given the state carried from the step before."""

    def figures(self, loss: float) -> dict[str, float]:
        """What a loss means in other units, such as bits per character."""

    def evaluate(self) -> Evaluation:
        """The loss on the validation data, and whatever else tells how good the model is."""

    def sample(self) -> str | None:
        """Something to look at, such as a generated text."""


class Observer:
    """Watches a run; every method may be overridden, none needs to be."""

    def measuring(self, minutes: float) -> None:
        """Some steps are run, to measure how many fit into so many minutes."""

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Training goes on from this step of so many, in this run folder."""

    def stepped(self, record: dict[str, Any]) -> None:
        """A step is done; the record is as in metrics.jsonl."""

    def evaluating(self, step: int) -> None:
        """An evaluation begins."""

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """An evaluation is done."""

    def stopped(self) -> None:
        """Training has ended, for whatever reason."""


@dataclass(frozen=True)
class Outcome:
    """How a call of :func:`train` ended."""

    step: int  # steps done
    steps: int  # steps of the whole run
    best: dict[str, float] | None  # figures of the best evaluation, with its step
    tokens_per_second: float | None = None  # read in the training steps of this call, if there were any
    stopped_early: bool = False  # as many evaluations as --patience allows brought nothing better

    @property
    def finished(self) -> bool:
        """Whether the whole run is done (otherwise it was interrupted, and can be resumed)."""
        return self.step >= self.steps or self.stopped_early
