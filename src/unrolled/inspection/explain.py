"""``explain``: what the compiler makes of a step."""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch

from ..compiler.build import build
from ..compiler.fallback import raise_own_error
from ..compiler.fingerprint import Reading, read
from ..compiler.stored import Known
from ..core import (
    InputError,
    Step,
    Tree,
    UnrolledError,
    Unrolling,
    at_least_1,
)
from .facts import Facts, GraphFacts, PlanFacts, plain
from .gather import Gatherer
from .pages import graph_page, plan_page, source_page
from .settled import settled

STAGES = ("graph", "plan", "source")


@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` found; ``str`` of it is a page of at most 80 columns."""

    stage: str
    facts: Facts  # see unrolled.inspection.facts

    def __str__(self) -> str:
        if isinstance(self.facts, GraphFacts):
            return graph_page(self.facts)
        return plan_page(self.facts) if isinstance(self.facts, PlanFacts) else source_page(self.facts)

    def to_dict(self) -> dict[str, Any]:
        """The facts as dicts, lists, strings and numbers, as JSON has them."""
        return {"stage": self.stage, **plain(self.facts)}


def explain(
    cell: Any,
    x: Tree | None = None,
    state: Tree | None = None,
    *,
    stage: str = "plan",
    backward: bool = True,
    steps: int = 100,
    batch_size: int = 16,
    whole: bool = False,
) -> Explanation:
    """Say what the compiler makes of a step: nothing is run but one step on stand-ins.

    Args:
        cell: a cell, a ``Recurrent``, or a step function ``(x, state) -> (output, state)``.
        x: an example input of a whole sequence, as :func:`unrolled.unroll` takes it; of its sizes only the
            features matter. It counts as needing a gradient where ``requires_grad`` says so. Default: zeros of
            the cell's ``input_size``, with a gradient, as for a layer that has another one below.
        state: an example state, by default ``cell.initial_state(B)``; a step function needs one.
        stage: ``"graph"``, the operations of the step and of its derivative; ``"plan"``, what runs before, in and
            after the loop over time in each direction, what is kept, moved and computed; ``"source"``, the C.
        backward: whether gradients are wanted at all.
        steps: T and
        batch_size: B of the sequence for which the plan gives totals.
        whole: the C with the hand-written part that every kernel begins with.

    Shape:
        x (T, B, ...), state (B, ...), or (nested) tuples of such tensors.

    Returns:
        An object to print; its ``facts`` hold the same as data.

    Raises:
        UnsupportedStep: the step cannot be compiled; ``backend="auto"`` runs it by the reference. ("graph" shows
            also a step that has no C, if it can be traced and planned.)
        InputError: an unknown stage, an example that is missing or of the wrong shape.
        InputTypeError: ``cell`` is none.

    Example:
        >>> from unrolled.cells import Elman
        >>> page = explain(Elman(3, 5))
        >>> page.facts.forward.loop.takes
        (Value(name='%9', shape=('B', 5), dtype='float32', elements=5, bytes=20),)
        >>> print(str(page).splitlines()[0])
        Elman(input_size=3, hidden_size=5): how a sequence is run
    """
    if stage not in STAGES:
        raise InputError(f"stage: expected one of {', '.join(STAGES)}, got {stage!r}.")
    steps, batch_size = at_least_1(steps, "steps"), at_least_1(batch_size, "batch_size")
    name, step, run = settled(cell, x, state)
    with contextlib.nullcontext() if backward else torch.no_grad():
        known, reading = _build(step, run, compiled=stage != "graph")
    gatherer = Gatherer(name, known, run.x, run.state, reading.names)
    if stage == "graph":
        return Explanation(stage, gatherer.graph_facts())
    assert known.source is not None
    if stage == "plan":
        return Explanation(stage, gatherer.plan_facts(known.source, steps, batch_size))
    return Explanation(stage, gatherer.source_facts(known.source, whole=whole))


def _build(step: Step, run: Unrolling, *, compiled: bool) -> tuple[Known, Reading]:
    """What the compiler knows of a step; a step that fails by itself raises its own error."""
    try:
        reading = read(step)
        known = build(step, run, reading, compiled=compiled)
    except UnrolledError as refusal:
        raise_own_error(step, run, refusal)
        raise
    return known, reading
