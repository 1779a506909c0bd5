"""What is said of a step, as data: what a page shows, and what ``--json`` prints."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Value:
    """A tensor."""

    name: str  # "x", "state.h", "weight_hh", "%12", "%20[:, 0:128]"
    shape: tuple[int | str, ...]  # "B" counts rows, "4B" four for each row
    dtype: str
    elements: int  # for each row, or altogether if it has no rows
    bytes: int  # likewise


@dataclass(frozen=True)
class Operation:
    """One operation of the step or of its derivative."""

    value: Value
    text: str  # "%9 + %11"
    line: str  # file:line of the user's code; "" where it is not known
    gives: tuple[str, ...]  # the results of the step or its derivative that are this value or a view of it


@dataclass(frozen=True)
class Result:
    """What a step returns, by the name of a value that holds it."""

    name: str  # "output", "new_state.h", "grad_weight_hh"
    value: str


@dataclass(frozen=True)
class Half:
    """A step, or its derivative."""

    given: tuple[Value, ...]
    operations: tuple[Operation, ...]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class GraphFacts:
    """The operations of a step and of its derivative."""

    name: str
    inputs: tuple[Value, ...]
    state: tuple[Value, ...]
    parameters: tuple[Value, ...]
    step: Half
    derivative: Half | None


@dataclass(frozen=True)
class Cost:
    """What is moved and computed."""

    read: int = 0  # bytes of sequences from memory, for each row and step
    written: int = 0  # likewise, to memory
    multiply_adds: int = 0  # of products, for each row and step
    on_elements: int = 0  # operations on elements, for each row and step
    call_bytes: int = 0  # once a call: weights and whatever else has no rows
    call_flop: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        pairs = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return Cost(*(a + b for a, b in pairs))


@dataclass(frozen=True)
class Weight:
    """A tensor without rows that the kernel reads."""

    value: Value
    packed: bool  # laid out once a call as a product wants it


@dataclass(frozen=True)
class PartFacts:
    """One part of a kernel."""

    operations: tuple[Operation, ...]
    reads: tuple[Value, ...]  # from memory, as often as it stands here
    takes: tuple[Value, ...]  # from the cache: an earlier part has just read or made it
    weights: tuple[Weight, ...]
    writes: tuple[Value, ...]  # to memory
    passes: tuple[Value, ...]  # to a later part, which takes it; it never is in memory
    cost: Cost


@dataclass(frozen=True)
class DirectionFacts:
    """One direction of time."""

    first: tuple[Operation, ...]  # by torch
    before: PartFacts  # by the kernel, as the next three; the first three some steps at a time, in turn
    loop: PartFacts
    after: PartFacts
    totals: PartFacts  # sums over all rows, when all steps are done
    last: tuple[Operation, ...]  # by torch
    carried: tuple[Value, ...]  # handed from step to step
    torch: Cost


@dataclass(frozen=True)
class Kept:
    """A value of the way forward that the way back reads."""

    value: Value
    text: str  # the operation that makes it; "" of what is given
    anyway: bool  # it takes no memory of its own: the input or the output


@dataclass(frozen=True)
class Total:
    """One direction over a whole sequence."""

    flop: int
    bytes: int

    @property
    def intensity(self) -> float:
        """Operations for each byte that is moved."""
        return self.flop / self.bytes if self.bytes else 0.0


@dataclass(frozen=True)
class Example:
    """What a sequence of some length costs."""

    steps: int
    batch_size: int
    forward: Total
    backward: Total | None
    kept: int  # bytes


@dataclass(frozen=True)
class Linearity:
    """Whether the next value of some tensors of the state is linear in their last one: s(t) = A(t) s(t-1) + b(t)."""

    state: tuple[str, ...]
    kind: str  # "elements": A is diagonal; "blocks", "dense"; "known": A is zero; "nonlinear"
    block: int  # elements in the largest block of A
    given: tuple[str, ...]  # other tensors of the state, on whose values A and b may depend
    cause: str  # what is not linear: "tanh at cell.py:12"; "" where all is


@dataclass(frozen=True)
class PlanFacts:
    """How a sequence is run."""

    name: str
    linearity: tuple[Linearity, ...]
    forward: DirectionFacts
    backward: DirectionFacts | None
    kept: tuple[Kept, ...]
    again: tuple[Operation, ...]  # of the way forward, computed once more on the way back
    example: Example


@dataclass(frozen=True)
class SourceFacts:
    """The C of a step."""

    name: str
    prelude_lines: int  # of the hand-written C that every kernel begins with
    whole: bool  # whether the text holds the prelude too
    text: str


Facts = GraphFacts | PlanFacts | SourceFacts


def plain(facts: Any) -> Any:
    """Facts as dicts, lists, strings and numbers."""
    if isinstance(facts, tuple):
        return [plain(item) for item in facts]
    if not hasattr(facts, "__dataclass_fields__"):
        return facts
    found = {name: plain(getattr(facts, name)) for name in facts.__dataclass_fields__}
    return found | {"intensity": facts.intensity} if isinstance(facts, Total) else found
