"""What was last read of each step, for as long as a cheap check says that nothing has changed.

A step is known by its *owner*, the object of a bound method or else the step itself, which is not kept alive: with
it goes what is remembered. A check costs more than a reading to make, so it is made when a step has been read
twice without a change, and ever more rarely where checks fail although nothing has changed.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

from torch import Tensor

from .fingerprint import Key, Reading, read, read_and_watch
from .fingerprint_watch import Check

_MOST = 256  # steps remembered
_RAREST = 256  # readings from a check that failed for nothing to the next that is made


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """A step as it was read, and what to ask whether it still is so."""

    owner: "weakref.ref[Any]"
    function: Any  # of a bound method
    key: Key
    tensors: tuple[Tensor, ...] = ()  # those of the reading, where there is a check, which holds them anyway
    check: Check | None = None
    failed: int = 0  # checks that failed for nothing
    waits: int = 0  # readings to come before the next check is made
    notes: dict[Any, Any] = field(default_factory=dict)  # what its user knows of the step as it is


_KNOWN: dict[tuple[int, int], Recalled] = {}  # changed by single operations only: the garbage collector drops from it


def recall(step: Callable[..., Any]) -> Recalled | None:
    """What is remembered of a step, if it still is as it was."""
    if type(step) is MethodType:
        owner, function = step.__self__, step.__func__
        known = _KNOWN.get((id(owner), id(function)))
    else:
        owner, function = step, None
        known = _KNOWN.get((id(owner), 0))
    if known is None or known.check is None or known.owner() is not owner or known.function is not function:
        return None
    return known if known.check(owner) else None


def read_again(step: Callable[..., Any]) -> tuple[Reading, Recalled | None]:
    """Read a step that could not be recalled, and remember it, if it can be known again.

    Raises:
        UnsupportedStep: as :func:`~unrolled.compiler.fingerprint.read`.
    """
    owner, function = (step.__self__, step.__func__) if type(step) is MethodType else (step, None)
    place = (id(owner), 0 if function is None else id(function))
    known = _KNOWN.get(place)
    if known is not None and (known.owner() is not owner or known.function is not function):
        known = None
    reading, check = read(step), None
    failed, waits = (0, 0) if known is None else (known.failed, known.waits)
    if known is not None and known.key == reading.key:
        if known.check is not None:
            failed, waits = failed + 1, min(2 << failed, _RAREST)
        elif waits:
            waits -= 1
        else:
            reading, check = read_and_watch(step, owner)
            waits = _RAREST if check is None else 0
    try:
        reference = weakref.ref(owner, lambda _, place=place: _KNOWN.pop(place, None))  # type: ignore[misc]
    except TypeError:
        return reading, None
    if isinstance(owner, type):  # what is read of a class is the class
        return reading, None
    tensors = () if check is None else reading.tensors
    recalled = Recalled(reference, function, reading.key, tensors, check, failed, waits)
    if len(_KNOWN) >= _MOST and place not in _KNOWN:
        _KNOWN.clear()
    _KNOWN[place] = recalled
    return reading, None if check is None else recalled
