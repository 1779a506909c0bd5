"""The comparisons that are timed: who runs what, checked against each other and then raced."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core import leaves
from . import invented
from .agree import check
from .invented import BenchCell
from .options import Shape
from .ours import gated_cell, ours, own, with_weights
from .peers import python_loop
from .peers.jax_scan import jax_scan
from .peers.onnx_runtime import onnx_runtime
from .peers.torch_nn import torch_nn
from .problem import Problem, gated, in_float64, problem
from .results import Failure, Row
from .sides import Named, Side
from .timing import Times, race

TITLES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
CELLS: dict[str, dict[str, tuple[type[BenchCell], python_loop.Step]]] = {
    "layernorm": {"layer-norm LSTM": (invented.LayerNormLSTM, python_loop.layer_norm_lstm)},
    "invented": {
        "mixture": (invented.Mixture, python_loop.mixture),
        "rotor": (invented.Rotor, python_loop.rotor),
        "spring": (invented.Spring, python_loop.spring),
    },
}

Found = Iterator[Any]


@dataclass(frozen=True)
class OwnCell:
    """A cell of the user's: its name, and what makes one for an input and a state of H features."""

    name: str
    make: Callable[[int], nn.Module]


@dataclass(frozen=True)
class Race:
    """Our side and the peers' of one problem; a side is made only when it is its turn to be checked."""

    group: str
    name: str
    mode: str
    shape: Shape
    reduced: int
    ours: Callable[[], Side]
    peers: dict[str, Callable[[], Side]]
    truth: Callable[[], Named] | None = None

    @property
    def title(self) -> str:
        """For people: what is being measured."""
        return f"{self.name} {self.mode} {self.shape}"


def gated_race(kind: str, shape: Shape, *, training: bool, missing: Sequence[str]) -> Race:
    """An LSTM, GRU or RNN against the libraries that have it and are not missing."""
    given = gated(kind, shape)
    peers: dict[str, Callable[[], Side]] = {"torch.nn": lambda: torch_nn(kind, given, training=training)}
    if not training and "onnxruntime" not in missing:
        peers["onnxruntime"] = lambda: onnx_runtime(kind, given)
    if training and kind == "lstm" and "jax" not in missing:
        peers["jax lax.scan"] = lambda: jax_scan(given)
    mode = "training" if training else "inference"
    mine = lambda: ours(gated_cell(kind, given), given, training=training)  # noqa: E731
    return Race(kind, TITLES[kind], mode, shape, given.reduced, mine, peers)


def loop_race(group: str, name: str, shape: Shape) -> Race:
    """A cell that has no kernel anywhere against a Python loop, training."""
    kind, step = CELLS[group][name]
    given = _of_cell(kind, shape)
    mine = lambda: ours(with_weights(kind(shape.H), given.weights), given, training=True)  # noqa: E731
    peers = {"loop": lambda: python_loop.python_loop(step, given)}

    def truth() -> Named:
        side = python_loop.python_loop(step, in_float64(given))
        return side.named(side.run())

    return Race(group, name, "training", shape, given.reduced, mine, peers, truth)


def _of_cell(kind: type[BenchCell], shape: Shape) -> Problem:
    given = problem(shape, kind.state_names, kind.sizes(shape.H))
    for name, value in given.weights.items():
        if name.startswith("gain"):
            value.add_(1)  # about 1, as a layer norm's is
    return given


def own_race(cell: OwnCell, shape: Shape, *, backend: str = "compiled") -> Race:
    """The user's cell against the loop over its own step, training."""
    torch.manual_seed(0)
    made = cell.make(shape.H)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(shape.T, shape.B, shape.H, generator=chance)
    outputs, _ = python_loop.run_loop(made, x[:1].requires_grad_())
    d_outputs = [
        torch.randn(shape.T, *leaf.shape[1:], generator=chance) for leaf in leaves(outputs) if leaf.requires_grad
    ]

    def truth() -> Named:
        exact = cell.make(shape.H).double()
        exact.load_state_dict(made.state_dict())
        side = python_loop.loop_over(exact, x.double(), [d.double() for d in d_outputs])
        return side.named(side.run())

    peers = {"loop": lambda: python_loop.loop_over(made, x, d_outputs)}
    reduced = max(shape.T * shape.B, 2 * shape.H)
    mine = lambda: own(made, x, d_outputs, backend)  # noqa: E731
    return Race("cell", cell.name, "training", shape, reduced, mine, peers, truth)


def run_race(entry: Race, seconds: float) -> Found:
    """Check every peer against us, and time those that agree: a row for each, a failure for the others."""
    mine = entry.ours()
    computed = mine.named(mine.run())
    racing = [mine]
    for name, make in entry.peers.items():
        try:
            side = agreeing(entry, computed, make)
        except Exception as error:  # noqa: BLE001 (a peer fails in its own ways; the others are measured)
            yield failure(entry.group, entry.title, name, error)
            continue
        racing.append(side)
    if len(racing) == 1:
        return
    first, *others = (Times.of(samples) for samples in race(racing, seconds))
    for side, times in zip(racing[1:], others, strict=True):
        yield Row(entry.group, entry.name, entry.mode, entry.shape, side.name, first, times)


def agreeing(entry: Race, computed: Named, make: Callable[[], Side]) -> Side:
    """A peer of this race that computes what we did.

    Raises:
        Disagreement: it does not.
    """
    side = make()
    theirs = side.named(side.run())
    try:
        check(computed, theirs, entry.reduced, peer=side.name)
    except ArithmeticError:
        if entry.truth is None:
            raise
        check(computed, theirs, entry.reduced, peer=side.name, truth=entry.truth())
    return side


def failure(group: str, title: str, peer: str, error: Exception) -> Failure:
    """What went wrong, in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return Failure(group, title, peer, reason)
