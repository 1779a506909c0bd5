"""Which layers have a function that makes a call like the last ones, of a step or a sequence, and when one is made.

It is made where two calls in a row were alike, of a layer that has gone the usual way. What is known of a layer is kept
beside it, not in it: a layer that is copied, pickled or compared is the same with it and without.
"""

import os
import weakref
from dataclasses import dataclass
from typing import Any

from torch import Tensor, is_grad_enabled

from ..core import Tree, leaves, map_tree, settle
from .unroll import check_backend

_MOST = 4  # functions of a layer, one for each shape of the arguments
_RAREST = 256  # usual calls from an attempt that gave no function to the next


@dataclass(eq=False, slots=True)
class _Stream:
    """What is known of a layer that has gone the usual way."""

    owner: "weakref.ref[Any]"
    last: Any = None  # what its last usual call was given
    source: Any = None  # of what the functions were made
    failed: int = 0  # attempts in a row that gave none
    waits: int = 0  # usual calls to come before the next
    tried: tuple[tuple[Any, Any], ...] = ()  # calls with gradients and the functions made for them, of that source


STEPS: dict[int, tuple[Any, ...]] = {}
"""By the number of a layer: functions of (its attributes, x, state), the newest first; None of one: the usual way."""

SEQUENCES: dict[int, tuple[Any, ...]] = {}
"""The same for whole sequences."""

_STREAMS: dict[tuple[int, bool], _Stream] = {}


def note_usual(layer: Any, x: Tree | None, state: Tree, *, single: bool) -> None:
    """Remember a call of a layer that went the usual way; maybe make it a function.

    Args:
        layer: a :class:`~unrolled.Recurrent`.
        x: what it was called with, time first.
        state: likewise.
        single: whether it was one time step, without an axis for time.
    """
    place, known = id(layer), STEPS if single else SEQUENCES
    stream = _STREAMS.get((place, single))
    if stream is None or stream.owner() is not layer:
        known.pop(place, None)
        stream = _STREAMS[place, single] = _Stream(weakref.ref(layer, lambda _: _forget(place)))
    given = [*([] if x is None else leaves(x)), *leaves(state)]
    now = is_grad_enabled(), [(leaf.shape, leaf.dtype, leaf.requires_grad) for leaf in given]
    alike, stream.last = now == stream.last, now
    if alike and stream.waits:
        stream.waits -= 1
    elif alike and check_backend(layer.backend) in ("auto", "compiled"):
        _try_to_make(layer, stream, known, x, state, single=single)


def _try_to_make(
    layer: Any, stream: _Stream, known: dict[int, tuple[Any, ...]], x: Tree | None, state: Tree, *, single: bool
) -> None:
    from ..compiler.stepper import make_again  # there already: the usual way has led through it

    if not single and layer.batch_first:
        x = map_tree(Tensor.contiguous, x)  # as it will be given
    sequence = map_tree(_with_time, x) if single and x is not None else x
    run = settle(sequence, state, steps=1 if x is None else None, reverse=layer.reverse)
    source, made = make_again(layer.cell.step, run, layer.backend, single=single)
    if source is not stream.source:
        stream.tried = ()
    learning = is_grad_enabled()
    others = known.get(id(layer), ()) if source is stream.source else ()
    # with gradients it is not tried out, for whoever watches the graph would see it; what comes again although its
    # function is still there was not served
    tried = [(call, function) for call, function in stream.tried if function in others]
    known_call = learning and any(call == stream.last for call, _ in tried)
    if made is None or known_call or not (learning or made(layer.__dict__, x, state)):
        stream.failed, stream.waits = stream.failed + 1, min(2 << stream.failed, _RAREST)
        return
    stream.source, stream.failed, stream.waits = source, 0, 1
    stream.tried = (*tried, (stream.last, made)) if learning else tuple(tried)
    known[id(layer)] = (made, *others)[:_MOST]


def _with_time(leaf: Any) -> Any:
    return leaf.unsqueeze(0)


def _forget(place: int) -> None:
    for known, single in ((STEPS, True), (SEQUENCES, False)):
        known.pop(place, None)
        _STREAMS.pop((place, single), None)


def _forget_all() -> None:
    for known in (STEPS, SEQUENCES, _STREAMS):
        known.clear()


if hasattr(os, "register_at_fork"):  # the functions call threads that a forked process does not have
    os.register_at_fork(after_in_child=_forget_all)
