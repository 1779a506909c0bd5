"""Where the threads of a team wait for each other.

A team computes one slice of the batch together, each thread a share of the columns. A thread waits where it is going to
read what another has written, or to write what another may still read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Share: TypeAlias = tuple[int | str, ...] | None
"""How the elements of an array are shared: by these extents, of which the first is cut; None: in some other way. What
is shared in the same way twice is written and read by the same thread."""


@dataclass(frozen=True)
class Task:
    """Statements between which nobody waits."""

    lines: tuple[str, ...]
    reads: Mapping[str, Share]  # arrays that others may write
    writes: Mapping[str, Share]


def synchronised(tasks: list[Task], *, again: bool = True) -> list[str]:
    """The statements of all tasks, with waits between them; ``again``: they are repeated, step by step."""
    waits: set[int] = set()
    rounds = 2 if again else 1
    while True:
        found = _next_wait(tasks * rounds, waits, len(tasks))
        if found is None:
            break
        waits.add(found % len(tasks))
    lines: list[str] = []
    for place, task in enumerate(tasks):
        lines += [*(["u_wait(s);"] if place in waits else []), *task.lines]
    return lines


def _next_wait(tasks: list[Task], waits: set[int], period: int) -> int | None:
    """The first task before which there must be one more wait."""
    written: dict[str, Share] = {}
    read: dict[str, list[Share]] = {}
    for place, task in enumerate(tasks):
        if place % period in waits:
            written, read = {}, {}
        for name, share in task.reads.items():
            if name in written and _differ(written[name], share):
                return place
        for name, share in task.writes.items():
            before = [*read.get(name, ()), *([written[name]] if name in written else [])]
            if any(_differ(other, share) for other in before):
                return place
        for name, share in task.reads.items():
            read.setdefault(name, []).append(share)
        written.update(task.writes)
    return None


def _differ(a: Share, b: Share) -> bool:
    return a is None or a != b
