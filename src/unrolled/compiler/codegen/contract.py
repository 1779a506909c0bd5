"""What a kernel computes, and what it is called with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """What one function of a kernel computes and reads; every list ascending, as the nodes can be computed."""

    nodes: tuple[int, ...]
    reads: tuple[int, ...]  # values with rows that it is given
    constants: tuple[int, ...]  # values without rows that it is given
    writes: tuple[int, ...]  # what it hands over, a sequence each


@dataclass(frozen=True)
class Parts:
    """One direction, cut for a kernel."""

    first: tuple[int, ...]
    before: Part
    loop: Part
    after: Part
    totals: tuple[int, ...]  # sums over all rows, which the kernel makes of sequences when all steps are done
    last: tuple[int, ...]
    outside: tuple[int, ...]  # what somebody else reads: torch's part, the backward half, the caller

    @property
    def of_kernel(self) -> tuple[Part, Part, Part]:
        """The parts that have a function, in the order in which they run."""
        return self.before, self.loop, self.after


@dataclass(frozen=True)
class Kernel:
    """One direction's function, and what it is called with: these values' tensors, in this order."""

    name: str
    parts: Parts
    constants: tuple[int, ...]
    reads: tuple[int, ...]
    makes: tuple[int, ...]  # sequences that it fills
    totals: tuple[int, ...]  # values without rows that it fills
    passed: tuple[int, ...]  # values that one part hands to another a few steps at a time, and nobody else reads
    carried: tuple[int, ...]  # places of the state's tensors that are carried
    packed: tuple[int, ...]  # the constants that it packs, in the order of the packs


@dataclass(frozen=True)
class Source:
    """The C text of a plan and the calls of its functions."""

    text: str
    forward: Kernel
    backward: Kernel | None
