"""What the Python side of a step is just now: its attributes, constants, globals, methods and tensors.

A compiled step stands for the step as it was when traced. Before each use the step is read again, or a cheap check
that belongs to its last reading says that nothing has changed, and only an equal reading is served by the same
compiled code. A reading is a walk over all that the step can reach, which
appends *tokens* (primitives, classes, digests of code) to one flat list, so that where a thing ends follows from
its own tokens. Tensors give their metadata and the order in which they are met, never their values.

PyTorch, numpy, the standard library and this library's own machinery are taken at their names. In the user's
classes and modules only the names that the reached code mentions are looked up.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import Tensor

from ..core import UnsupportedStep
from .fingerprint_digest import tokens_digest
from .fingerprint_walk import Walk
from .fingerprint_watch import Check, watch


class Key:
    """Tokens that know their hash."""

    __slots__ = ("hash", "tokens")

    def __init__(self, tokens: tuple[Hashable, ...]):
        self.tokens = tokens
        self.hash = hash(tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.hash == other.hash and self.tokens == other.tokens

    def __hash__(self) -> int:
        return self.hash


@dataclass(frozen=True, eq=False)  # comparing two readings would compare their tensors
class Reading:
    """The Python side of a step, and every tensor that it reaches."""

    key: Key  # equal for two readings iff nothing that the step could read differs
    tensors: tuple[Tensor, ...]  # each once, in order of first sight
    names: tuple[str, ...]  # how each is reached: "self.weight_ih", "closure.W", "globals.table"
    things: tuple[Any, ...]  # the functions, objects and containers that it reaches, each once


def read(step: Callable[..., Any]) -> Reading:
    """The step as it is now.

    Raises:
        UnsupportedStep: the step reads an iterator or random numbers of Python, new ones at every step.
    """
    return _reading(_walked(step))


def read_and_watch(step: Callable[..., Any], owner: Any) -> tuple[Reading, Check | None]:
    """The step as it is now, and a cheap check, of its ``owner``, that it still is; None where there can be none.

    The check holds what the step reads but not the owner: the object of a bound method, else the step itself.

    Raises:
        UnsupportedStep: as :func:`read`.
    """
    walk = _walked(step)
    check, reading = watch(walk, owner), _reading(walk)
    if check is not None and not same(read(step), reading):  # another thread has changed something meanwhile
        check = None
    return reading, check


def _reading(walk: Walk) -> Reading:
    return Reading(Key(tuple(walk.tokens)), tuple(walk.tensors), tuple(walk.paths), tuple(walk.things))


def same(a: Reading, b: Reading) -> bool:
    """Whether nothing on the Python side changed between two readings."""
    return a.key == b.key


def digest(step: Callable[..., Any]) -> str | None:
    """The sha256 of the step's Python side, alike in every process; None if part of it has no name there.

    Raises:
        UnsupportedStep: as :func:`read`.
    """
    return digest_of(read(step))


def digest_of(reading: Reading) -> str | None:
    """The digest of a step that has been read."""
    return tokens_digest(reading.key.tokens)


def _walked(step: Callable[..., Any]) -> Walk:
    walk = Walk()
    try:
        walk.value(step, "" if isinstance(step, FunctionType | MethodType | partial) else "self")
        walk.look_up_names()
    except RecursionError as error:
        raise UnsupportedStep("step reads Python objects nested too deeply to be followed.") from error
    if walk.refused:
        walk.raise_for_refused()
    return walk
