"""Which layers have a function that runs one more time step of a stream, and when one is made.

It is made where two steps in a row were alike, of a layer that has gone the usual way. What is known of a layer is kept
beside it, not in it: a layer that is copied, pickled or compared is the same with it and without.
"""

import os
import weakref
from dataclasses import dataclass
from typing import Any

from ..core import Tree, leaves, map_tree, settle
from .unroll import check_backend

_MOST = 4  # functions of a layer, one for each shape of the arguments
_RAREST = 256  # usual steps from an attempt that gave no function to the next


@dataclass(eq=False, slots=True)
class _Stream:
    """What is known of a layer that has gone the usual way."""

    owner: "weakref.ref[Any]"
    last: Any = None  # shapes and dtypes of its last usual step
    source: Any = None  # of what the functions were made
    failed: int = 0  # attempts in a row that gave none
    waits: int = 0  # usual steps to come before the next


AGAIN: dict[int, tuple[Any, ...]] = {}
"""By the number of a layer: functions of (its attributes, x, state), the newest first; None of one: the usual way."""

_STREAMS: dict[int, _Stream] = {}


def note_usual_step(layer: Any, x: Tree | None, state: Tree) -> None:
    """Remember that a layer has run one time step without gradients in the usual way; maybe make it a function."""
    place = id(layer)
    stream = _STREAMS.get(place)
    if stream is None or stream.owner() is not layer:
        AGAIN.pop(place, None)
        stream = _STREAMS[place] = _Stream(weakref.ref(layer, lambda _: _forget(place)))
    given = [*([] if x is None else leaves(x)), *leaves(state)]
    now = [(leaf.shape, leaf.dtype) for leaf in given]
    alike, stream.last = now == stream.last, now
    if alike and stream.waits:
        stream.waits -= 1
    elif alike and check_backend(layer.backend) in ("auto", "compiled"):
        _try_to_make(layer, stream, x, state)


def _try_to_make(layer: Any, stream: _Stream, x: Tree | None, state: Tree) -> None:
    from ..compiler.stepper import make_again  # there already: the usual way has led through it

    run = settle(map_tree(_with_time, x), state) if x is not None else settle(None, state, steps=1)
    source, made = make_again(layer.cell.step, run, layer.backend)
    if made is None or made(layer.__dict__, x, state) is None:
        stream.failed, stream.waits = stream.failed + 1, min(2 << stream.failed, _RAREST)
        return
    others = AGAIN.get(id(layer), ()) if source is stream.source else ()
    stream.source, stream.failed, stream.waits = source, 0, 1
    AGAIN[id(layer)] = (made, *others)[:_MOST]


def _with_time(leaf: Any) -> Any:
    return leaf.unsqueeze(0)


def _forget(place: int) -> None:
    AGAIN.pop(place, None)
    _STREAMS.pop(place, None)


if hasattr(os, "register_at_fork"):  # the functions call threads that a forked process does not have
    os.register_at_fork(after_in_child=AGAIN.clear)
