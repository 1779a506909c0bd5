"""How a fingerprint writes each kind of value that holds no code: numbers, containers, arrays, plain objects."""

import hashlib
import io
import logging
import random
import weakref
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import cached_property, lru_cache, partial
from types import MappingProxyType, MemberDescriptorType, SimpleNamespace
from typing import Any, TypeAlias

import numpy
import torch

from .fingerprint_digest import Is

Handler: TypeAlias = Callable[[Any, Any, str], None]  # of the walk, the value, and how it is reached

# Types whose values are tokens themselves
PLAIN = frozenset(
    {type(None), type(...), bool, int, str, bytes, torch.Size}
    | {torch.dtype, torch.device, torch.layout, torch.memory_format}
)
_ADDRESS_ORDER = Is(object())  # has no name, so the digest is None
HASHED_FROM = 4096  # bytes of an array
_HEAP_TYPE = 1 << 9  # a flag of classes made by Python code
# By identity although they have attributes: what these hold is no business of a step
_OPAQUE = (
    io.IOBase,
    logging.Logger,
    logging.Handler,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)


def _draws(kind: type) -> bool:
    """Whether it is a source of random numbers; numpy's module of them need not be imported for this."""
    return issubclass(kind, random.Random) or any(base.__module__.startswith("numpy.random") for base in kind.__mro__)


def value_handler(kind: type) -> Handler:
    """How to write values of a type."""
    if kind in _WRITERS:
        return _exact(kind, _WRITERS[kind])
    if kind in _UNWRAPPED:
        return _unwrapped(_UNWRAPPED[kind], kind in _FIXED)
    if issubclass(kind, _OPAQUE):
        return _opaque
    if _draws(kind):
        return _refused("random numbers of Python")
    if hasattr(kind, "__next__"):
        return _refused("an iterator")
    if issubclass(kind, numpy.generic):
        return _numpy_scalar
    if issubclass(kind, Enum):
        return _enum
    if issubclass(kind, numpy.dtype) or kind.__module__ == "torch._ops":
        return _by_str
    return _object(kind)


def partial_call(walk: Any, call: "partial[Any]", where: str) -> None:
    """A function with some of its arguments."""
    prefix = f"{where}." if where else ""
    walk.tokens.append("partial")
    walk.loose.append(call)
    walk.value(call.func, where)
    walk.value(call.args, f"{prefix}args")
    walk.value(call.keywords, f"{prefix}keywords")


# Writers of what a builtin value holds; they ask only the builtin type, for the value may be of a subclass.


def _number(walk: Any, value: int, where: str) -> None:
    walk.tokens.append(int.__int__(value))


def _float(walk: Any, value: float, where: str) -> None:
    walk.tokens.append(float.hex(value))  # NaN equals itself, and -0.0 is not 0.0


def _complex(walk: Any, value: complex, where: str) -> None:
    number = complex.__complex__(value)
    walk.tokens += (number.real.hex(), number.imag.hex())


def _str(walk: Any, value: str, where: str) -> None:
    walk.tokens.append(str.__str__(value))


def _bytes(walk: Any, value: bytes | bytearray, where: str) -> None:
    walk.tokens.append(b"".join((value, b"")))


def _sequence(walk: Any, items: Iterable[Any], where: str) -> None:
    values = tuple(items)
    walk.tokens.append(len(values))
    for place, value in enumerate(values):
        walk.value(value, f"{where}[{place}]")


def _tuple(walk: Any, value: tuple[Any, ...], where: str) -> None:
    _sequence(walk, tuple.__iter__(value), where)


def _list(walk: Any, value: list[Any], where: str) -> None:
    _sequence(walk, list.__iter__(value), where)


def _deque(walk: Any, value: "deque[Any]", where: str) -> None:
    walk.tokens.append(value.maxlen)
    _sequence(walk, deque.__iter__(value), where)


def _pairs(walk: Any, items: Iterable[tuple[Any, Any]], where: str) -> None:
    pairs = tuple(items)
    walk.tokens.append(len(pairs))
    for key, value in pairs:
        walk.value(key, f"{where}.keys()")
        walk.value(value, f"{where}[{key!r}]" if type(key) in (str, int) else f"{where}[...]")


def _dict(walk: Any, value: dict[Any, Any], where: str) -> None:
    if isinstance(value, defaultdict):
        walk.value(value.default_factory, f"{where}.default_factory")
    _pairs(walk, OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value), where)


def _frozenset(walk: Any, value: frozenset[Any], where: str) -> None:
    _unordered(walk, frozenset.__iter__(value), where)


def _set(walk: Any, value: set[Any], where: str) -> None:
    _unordered(walk, set.__iter__(value), where)


def _unordered(walk: Any, items: Iterable[Any], where: str) -> None:
    tokens, before, elements = walk.tokens, len(walk.seen), []
    for value in items:
        walk.tokens = []
        walk.value(value, f"{where}[...]")
        elements.append(tuple(walk.tokens))
    walk.tokens = tokens
    if len(walk.seen) == before:
        tokens.append(frozenset(elements))
    else:  # things whose place in the order of first sight depends on where they lie in memory
        tokens += (_ADDRESS_ORDER, tuple(elements))


def _array(walk: Any, value: "array[Any]", where: str) -> None:
    walk.tokens += (value.typecode, value.tobytes())


def _ndarray(walk: Any, value: "numpy.ndarray[Any, Any]", where: str) -> None:
    plain = numpy.asarray(value)
    walk.tokens += (str(plain.dtype), plain.shape, plain.strides)
    if plain.dtype.hasobject:
        walk.value(tuple(plain.ravel().tolist()), where)
    elif plain.nbytes < HASHED_FROM:
        walk.tokens.append(plain.tobytes())
    else:
        walk.tokens.append(hashlib.sha256(numpy.ascontiguousarray(plain).data).digest())


_WRITERS: dict[type, Handler] = {
    int: _number,
    float: _float,
    complex: _complex,
    str: _str,
    bytes: _bytes,
    bytearray: _bytes,
    tuple: _tuple,
    list: _list,
    deque: _deque,
    dict: _dict,
    OrderedDict: _dict,
    defaultdict: _dict,
    frozenset: _frozenset,
    set: _set,
    array: _array,
    numpy.ndarray: _ndarray,
}
_IMMUTABLE = (int, float, complex, str, bytes, tuple, frozenset)


def _exact(kind: type, write: Handler) -> Handler:
    def handle(walk: Any, value: Any, where: str) -> None:
        if kind in _IMMUTABLE or walk.first_sight(value):
            walk.tokens.append(kind)
            write(walk, value, where)

    return handle


# Things that stand for others: their parts, written as if they stood there in a row.
_UNWRAPPED: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    slice: lambda s: (s.start, s.stop, s.step),
    range: lambda r: (r.start, r.stop, r.step),
    property: lambda p: (p.fget, p.fset, p.fdel),
    cached_property: lambda p: (p.func,),
    staticmethod: lambda f: (f.__func__,),
    classmethod: lambda f: (f.__func__,),
    MappingProxyType: lambda m: (tuple(m.items()),),
    type(lru_cache(len)): lambda f: (f.__wrapped__,),
}
_FIXED = (slice, range, property, staticmethod, classmethod)  # those whose parts stay the same


def _unwrapped(parts: Callable[[Any], tuple[Any, ...]], fixed: bool) -> Handler:
    def handle(walk: Any, value: Any, where: str) -> None:
        walk.tokens.append(type(value).__name__)
        if not fixed:
            walk.loose.append(value)
        for part in parts(value):
            walk.value(part, where)

    return handle


def _opaque(walk: Any, thing: Any, where: str) -> None:
    walk.tokens.append(Is(thing))


def _refused(what: str) -> Handler:
    return lambda walk, thing, where: walk.refuse(thing, where, what)


def _by_str(walk: Any, thing: Any, where: str) -> None:
    walk.tokens += (type(thing).__name__, str(thing))
    if isinstance(thing, numpy.dtype) and thing.names:  # they can be set
        walk.loose.append(thing)


def _numpy_scalar(walk: Any, value: numpy.generic, where: str) -> None:
    walk.tokens += (type(value), str(value.dtype), value.tobytes())
    if isinstance(value, numpy.void):  # its fields can be set
        walk.loose.append(value)


def _enum(walk: Any, member: Enum, where: str) -> None:
    walk.class_of(type(member), where)
    walk.loose.append(member)
    walk.value(member._name_, where)
    walk.value(member._value_, where)


def slots_of(kind: type) -> list[tuple[str, MemberDescriptorType]]:
    """The ``__slots__`` of a class and of its bases."""
    return [
        (name, slot)
        for base in kind.__mro__
        if "__slots__" in vars(base)
        for name, slot in vars(base).items()
        if isinstance(slot, MemberDescriptorType)
    ]


def may_change(kind: type) -> bool:
    """Whether what a type holds as the builtin type that it is or extends can change."""
    return any(base in _WRITERS and base not in _IMMUTABLE for base in kind.__mro__)


def _object(kind: type) -> Handler:
    """An object by what a builtin type that it extends holds, its __dict__ and its __slots__."""
    write = next((_WRITERS[base] for base in kind.__mro__ if base in _WRITERS), None)
    has_dict = kind.__dictoffset__ != 0
    slots = bool(slots_of(kind))
    layout = kind
    while layout.__flags__ & _HEAP_TYPE and layout.__base__ is not None:
        layout = layout.__base__
    # what a type written in C holds cannot be read
    hidden = write is None and layout not in (object, SimpleNamespace)
    declared = all("__slots__" in vars(base) for base in kind.__mro__ if base is not object)
    if write is None and not has_dict and not slots and not declared:
        return _opaque
    if kind is object:
        return _opaque

    def handle(walk: Any, thing: Any, where: str) -> None:
        if not walk.first_sight(thing):
            return
        kind = type(thing)  # which the handler must not keep alive
        walk.class_of(kind, where)
        if hidden:
            walk.tokens.append(Is(thing))
        if write is not None:
            write(walk, thing, where)
        if has_dict:
            walk.attributes(thing.__dict__, where)
        for name, slot in slots_of(kind) if slots else ():
            try:
                value = slot.__get__(thing)
            except AttributeError:
                walk.tokens.append("missing")
                continue
            walk.value(value, f"{where}.{name}")

    return handle
