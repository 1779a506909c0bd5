"""Bytes that name a fingerprint's tokens alike in every process: no address, no hash, no file, no line."""

import hashlib
import sys
from collections.abc import Iterable
from functools import cache, cached_property
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

import numpy
import torch

from ..core import UnrolledError

# Code that a fingerprint takes at its name: PyTorch, numpy, Python, and this library but for its cells.
LIBRARIES = frozenset(
    {"torch", "functorch", "numpy", "einops", "opt_einsum", "pytest", "_pytest", "pluggy", *sys.stdlib_module_names}
)
OWN = ("unrolled.core", "unrolled.compiler", "unrolled.nn")
IN_CLASSES = (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
BY_STR = (torch.dtype, torch.device, torch.layout, torch.memory_format, numpy.dtype)


class Unnameable(UnrolledError):
    """A thing that means something in this process only."""


class Is:
    """A thing by its identity, kept alive; its own ``__eq__`` and ``__hash__`` are never asked."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Is) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


@cache
def is_library(module: Any) -> bool:
    """Whether the code of the module of this name is never descended into."""
    if not isinstance(module, str):
        return False
    return module.partition(".")[0] in LIBRARIES or any(module == own or module.startswith(own + ".") for own in OWN)


def encode(token: Any) -> bytes:
    """A token or a constant of a code object as bytes, no two alike.

    Raises:
        Unnameable: the token holds something that has no name outside this process.
    """
    if isinstance(token, Is):
        token = token.thing
    kind = type(token)
    if token is None or token is ... or kind in (bool, int):
        body = repr(token).encode()
    elif kind is str:
        body = token.encode("utf-8", "surrogatepass")
    elif kind is bytes:
        body = token
    elif kind is float:
        body = token.hex().encode()
    elif kind is complex:
        body = f"{token.real.hex()} {token.imag.hex()}".encode()
    elif kind in (tuple, torch.Size):
        body = b"".join(map(encode, token))
    elif kind is frozenset:
        body = b"".join(sorted(map(encode, token)))
    elif kind is slice:
        body = encode((token.start, token.stop, token.step))
    elif kind is CodeType:
        body = code_digest(token)
    elif isinstance(token, BY_STR):
        body = str(token).encode()
    elif isinstance(token, type) and not is_library(token.__module__):
        body = _class(token)
    else:
        body = _name(token).encode()
    return f"{kind.__name__} {len(body)}:".encode() + body


def code_digest(code: CodeType) -> bytes:
    """What the code does and the names that it uses, wherever it stands."""
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    content = (code.co_code, code.co_consts, code.co_exceptiontable, names, signature)
    return hashlib.sha256(encode(content)).digest()


def tokens_digest(tokens: Iterable[Any]) -> str | None:
    """The sha256 of a fingerprint under this Python and this PyTorch; None if part of it cannot be named."""
    try:
        whole = (sys.version.split()[0], sys.implementation.name, str(torch.__version__), *tokens)
        return hashlib.sha256(encode(whole)).hexdigest()
    except Unnameable:
        return None


def has_name(thing: Any) -> bool:
    """Whether a library's function, class or object can be found again by its name."""
    try:
        return bool(_name(thing))
    except Unnameable:
        return False


def _class(cls: type) -> bytes:
    """A user's class: the code of every function of it and of its bases."""
    parts: list[Any] = []
    for base in cls.__mro__:
        if is_library(base.__module__):
            parts.append(encode(base))
            continue
        parts.append(base.__name__)
        for name, value in sorted(vars(base).items()):
            parts.extend((name, code_digest(f.__code__)) for f in _functions(value))
    return encode(tuple(parts))


def _functions(value: Any) -> list[FunctionType]:
    """The functions in an entry of a class's namespace."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, property):
        candidates = [value.fget, value.fset, value.fdel]
    else:
        candidates = [value.func if isinstance(value, cached_property) else value]
    return [f for f in candidates if isinstance(f, FunctionType)]


def _name(thing: Any) -> str:
    """The name by which a library's thing is found in its module, or in the class that it belongs to."""
    if isinstance(thing, torch.Generator):
        return f"generator {thing.device}"
    if isinstance(thing, IN_CLASSES):
        owner = getattr(thing, "__objclass__", None) or getattr(thing, "__self__", None)
        if isinstance(owner, type):  # a user's class is in the digest already
            return f"{encode(owner).hex()} {thing.__name__}"
    if isinstance(thing, type) and thing.__module__ == "builtins":
        return thing.__qualname__  # NoneType too, which is in no module
    module = getattr(thing, "__module__", None) or ("numpy" if isinstance(thing, numpy.ufunc) else None)
    for name in (getattr(thing, "__qualname__", None), getattr(thing, "__name__", None)):
        if isinstance(name, str) and is_library(module):
            found: Any = sys.modules.get(str(module))
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is thing:
                return f"{module}.{name}"
    raise Unnameable(f"{type(thing).__name__}: no name outside this process.")
