"""When a sequence is run by scans rather than by the loop: where that is faster, and where it is the same sequence."""

import os
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from ..core import Unrolling
from .graph import Graph, ancestors
from .operations import POINTWISE, PRODUCTS, RANDOM
from .plan import Plan

if TYPE_CHECKING:
    from .kernel import Compiled
    from .scan import Scanned

LEAST_STEPS = 64
"""A shorter sequence is never cut into pieces."""

THREADS = 2
"""So many threads a row there must be, or they have enough to do with rows: a scan does more in all than the loop."""

WORK = 40_000_000
"""Additions and multiply-adds of a sequence, forward, from which on a scan is faster: it is several calls. So many for
each tensor of the state that its elements need: a block of k tensors has k times as many coefficients."""

DENSE = 64
"""So many of them there must be for each number of the state: a scan writes and reads sequences of these, where the
loop keeps one in the cache."""

LARGEST = 1 << 24
"""Numbers of such a sequence: a matrix memory at all times would fill the machine's."""


@dataclass(eq=False)
class Scans:
    """The scans of one plan, made when somebody first asks.

    Args:
        plan: the step.
        otherwise: what runs it else.
    """

    plan: Plan
    otherwise: "Compiled"
    engine: "Scanned | None" = None
    asked: bool = False
    coupled: int = 1  # tensors of the state whose elements need each other
    work: int = 0  # of a row in one step
    lock: RLock = field(default_factory=RLock)  # PyTorch's threads may ask at the same time

    def engine_for(self, run: Unrolling, threads: int) -> "Scanned | None":
        """What runs this sequence by scans on so many threads; None: the loop does."""
        if run.steps < LEAST_STEPS or (self.asked and self.engine is None):
            return None
        if run.valid is not None or run.restart is not None or run.truncated_bptt_steps is not None:
            return None
        setting, rows = os.environ.get("UNROLLED_SCAN", ""), run.steps * run.batch_size
        if setting == "0" or not rows:
            return None
        forced = setting == "1"
        if not forced and (run.batch_size * THREADS > threads or not self._pays(rows)):
            return None
        with self.lock:
            if not self.asked:
                self.engine = _made(self.plan, self.otherwise)
                self.coupled = self.engine.coupled if self.engine is not None else 1
                self.asked = True
        return self.engine if forced or self._pays(rows) else None

    def _pays(self, rows: int) -> bool:
        graph = self.plan.graph
        self.work = self.work or _work(graph)
        size = sum(graph.row_size(index) for index in graph.state)
        return rows * self.work >= WORK * self.coupled and self.work >= DENSE * size and rows * size <= LARGEST


def _made(plan: Plan, otherwise: "Compiled") -> "Scanned | None":
    if any(node.op in RANDOM for node in plan.graph.nodes):
        return None
    try:
        from .scan_plan import cut

        parts = cut(plan)
        if parts is None:
            return None
        from .scan import Scanned  # which imports what writes C

        return Scanned(plan, parts, otherwise)
    except Exception:  # noqa: BLE001  # of any kind: the loop can run it
        return None


def _work(graph: Graph) -> int:
    """Additions and multiply-adds of a row in one step."""
    work = 1
    for index in ancestors(graph, [*graph.output, *graph.new_state]):
        node = graph.nodes[index]
        if node.op in PRODUCTS and graph.is_rows(index):
            work += graph.row_size(index) * graph.row_shape(node.args[0].index)[-1]
        elif node.op in POINTWISE and graph.is_rows(index):
            work += graph.row_size(index) * POINTWISE[node.op].cost
    return work
