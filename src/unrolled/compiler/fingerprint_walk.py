"""The walk of a fingerprint over all that a step can reach, writing tokens of what it meets."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import resolve_name
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy
import torch
from torch import Tensor, nn

from ..core import UnsupportedStep
from .fingerprint_code import CONSTRUCTION, IMPLICIT, mentions
from .fingerprint_digest import Is, has_name, is_library
from .fingerprint_values import PLAIN, Handler, partial_call, value_handler

# The attributes of every nn.Module; members are reached as if they were attributes
INTERNALS = dict.fromkeys(nn.Module().__dict__.keys() - {"training"}, "skip")
INTERNALS |= {name: "hooks" for name in INTERNALS if "_hooks" in name and "state_dict" not in name}
INTERNALS |= {"_parameters": "members", "_buffers": "members", "_modules": "members", "_compiled_call_impl": "skip"}
INTERNALS["_unrolled_cells"] = "skip"  # what a module of unrolled.nn runs, which has the module's own weights
PARAMETRIZED = "torch.nn.utils.parametrize"  # the module of classes made anew for each parametrized module


@dataclass(slots=True)
class _Owner:
    """A namespace in which only the names that code mentions are looked up."""

    space: Mapping[str, Any]
    where: str
    done: int = 0  # how many of the names were looked up


class Walk:
    """One walk: what it has written and what it has met."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.tensors: list[Tensor] = []
        self.paths: list[str] = []
        self.seen: dict[int, int] = {}  # id: place in the order of first sight
        self.things: list[Any] = []  # what was seen, in this order
        self.names: dict[str, None] = {}  # all that the code reached so far mentions
        self.owners: list[_Owner] = []
        self.classes: dict[int, bool] = {}  # id: whether code could make instances of it
        self.again: set[int] = set()  # places of the things that were reached once more
        self.met: dict[int, type] = {}  # by id: the classes of what was seen, and those that stand for themselves
        self.loose: list[Any] = []  # what has no place of first sight, and yet may change
        self.refused: list[tuple[str, str]] = []

    def value(self, value: Any, where: str) -> None:
        """Write a value of any kind; ``where`` is how the step reaches it."""
        kind = type(value)
        if kind in PLAIN:
            self.tokens += (kind, value)
        else:
            (HANDLERS.get(kind) or handler_of(kind))(self, value, where)

    def first_sight(self, thing: Any) -> bool:
        """Whether a thing is new; of one seen before only its place is written."""
        count = len(self.seen)
        place = self.seen.setdefault(id(thing), count)
        if place != count:
            self.tokens += ("seen", place)
            self.again.add(place)
            return False
        self.things.append(thing)
        return True

    def attributes(self, attributes: dict[str, Any], where: str) -> None:
        """The attributes of an object, ended by None."""
        for name, value in attributes.items():
            self.attribute(name, value, where)
        self.tokens.append(None)

    def attribute(self, name: str, value: Any, where: str) -> None:
        """An attribute and its name; of most a path is never made."""
        kind = type(value)
        if kind in PLAIN:
            self.tokens += (name, kind, value)
        else:
            self.tokens.append(name)
            self.value(value, f"{where}.{name}")

    def module_object(self, module: nn.Module, where: str) -> None:
        """An nn.Module: an object whose bookkeeping is skipped or empty most of the time."""
        if not self.first_sight(module):
            return
        tokens = self.tokens
        self.class_of(type(module), where)
        for name, value in module.__dict__.items():
            internal = INTERNALS.get(name)
            if internal is None:
                self.attribute(name, value, where)
            elif not value or internal == "skip":
                continue
            elif internal == "hooks":  # by numbers that count all hooks of the process
                tokens.append(name)
                self.value(tuple(value.values()), f"{where}.{name}")
            else:
                tokens += (name, len(value))
                for key, member in value.items():
                    tokens.append(key)
                    self.value(member, f"{where}.{key}")
        tokens.append(None)

    def tensor(self, tensor: Tensor, where: str) -> None:
        """A tensor: its metadata."""
        if not self.first_sight(tensor):
            return
        self.tensors.append(tensor)
        self.paths.append(where)
        kind = type(tensor)
        self.tokens.append("tensor")
        if kind is Tensor or kind is nn.Parameter:
            self.tokens.append(kind is Tensor)
            self._metadata(tensor)
        else:
            self.class_of(kind, where)
            with torch._C.DisableTorchFunctionSubclass():
                self._metadata(tensor)
        if tensor.__dict__:
            self.owners.append(_Owner(tensor.__dict__, where))

    def _metadata(self, tensor: Tensor) -> None:
        layout = tensor.layout
        try:
            shape, stride = tensor.shape, tensor.stride() if layout is torch.strided else layout
        except RuntimeError:  # nested
            shape, stride = None, layout
        self.tokens += (shape, stride, tensor.dtype, tensor.device, tensor.requires_grad)

    def function(self, function: FunctionType, where: str) -> None:
        """A function: its code, what it holds, and the globals that it names."""
        library = is_library(function.__globals__.get("__name__"))
        if library and (function.__closure__ is None or has_name(function)):
            self.tokens.append(function)
            return
        if not self.first_sight(function):
            return
        tokens, code = self.tokens, function.__code__
        mentioned = mentions(code)
        defaults, keyword_defaults = function.__defaults__ or (), function.__kwdefaults__ or {}
        tokens += ("function", mentioned.digest, len(defaults), len(keyword_defaults))
        prefix = f"{where}." if where else ""
        if defaults:
            first = code.co_argcount - len(defaults)
            for name, value in zip(code.co_varnames[first:], defaults, strict=False):
                self.value(value, f"{prefix}defaults.{name}")
        for name, value in keyword_defaults.items():
            tokens.append(name)
            self.value(value, f"{prefix}defaults.{name}")
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                tokens.append("empty")
                continue
            if name == "__class__":  # for super(), not to make one
                tokens.append("class")
                self.class_of(value, where)
            else:
                self.value(value, f"{prefix}closure.{name}")
        if library:  # a decorator of a library: what it wraps is in its closure
            return
        self.names.update(mentioned.names)
        if function.__dict__:
            self.owners.append(_Owner(function.__dict__, where))
        for level, name in mentioned.imports:
            package = function.__globals__.get("__package__") or ""
            full = resolve_name("." * level + name, package) if not level or package else name
            if full in sys.modules:
                self.value(sys.modules[full], f"{prefix}globals.{full}")
        for name in mentioned.globals:
            if name not in function.__globals__:
                tokens.append("builtin")
                continue
            value = function.__globals__[name]
            self.value(value, f"{prefix}globals.{name}")
            if name in mentioned.draws and value is numpy:
                self.refuse(numpy.random, f"{prefix}globals.{name}.random", "random numbers of Python")

    def method(self, method: MethodType, where: str) -> None:
        """A bound method: its function and the object that it is bound to."""
        self.tokens.append("method")
        self.value(method.__func__, where)
        self.value(method.__self__, where or "self")

    def builtin(self, function: BuiltinFunctionType, where: str) -> None:
        """A function written in C, by identity, or by what it is bound to."""
        owner = function.__self__
        if owner is None or isinstance(owner, ModuleType):
            self.tokens.append(function)
        else:
            self.tokens += ("bound", function.__name__)
            self.value(owner, where or "self")

    def module(self, module: ModuleType, where: str) -> None:
        """A module; of a user's own, the names that code mentions."""
        name = module.__name__
        self.tokens += ("module", name)
        if name in ("random", "numpy.random"):
            self.refuse(module, where, "random numbers of Python")
        elif not is_library(name) and self.first_sight(module):
            self.owners.append(_Owner(module.__dict__, where))

    def class_value(self, cls: type, where: str) -> None:
        """A class as a value, which the step could call."""
        self.tokens.append("class")
        self.class_of(cls, where, makes=True)

    def class_of(self, cls: type, where: str, makes: bool = False) -> None:
        """A class by identity, and of the user's code in it whatever is called without a name."""
        while cls.__module__ == PARAMETRIZED:
            self.tokens += ("parametrized", *(n for n, v in vars(cls).items() if isinstance(v, property)))
            self.met[id(cls)] = cls
            cls = cls.__base__ or object
        self.tokens.append(cls if type(cls) is type else Is(cls))
        self.met[id(cls)] = cls
        if self.classes.get(id(cls), -1) >= makes:
            return
        for base in cls.__mro__:
            known = self.classes.get(id(base))
            if known is not None and known >= makes:
                continue
            self.classes[id(base)] = makes
            if is_library(base.__module__):
                continue
            if known is None:
                self.owners.append(_Owner(vars(base), where))
            for name, value in vars(base).items():
                if (name in IMPLICIT and known is None) or (makes and name in CONSTRUCTION):
                    self.tokens += ("has", name)
                    self.value(value, f"{where}.{name}")

    def look_up_names(self) -> None:
        """Look up every name mentioned in every class and module met, until neither grows."""
        looked_up = -1
        while looked_up < len(self.names):
            names = tuple(self.names)
            looked_up = len(names)
            for place, owner in enumerate(self.owners):  # which grows
                if owner.done == looked_up:
                    continue
                for name in names[owner.done :]:
                    if name in owner.space:
                        self.tokens += ("found", place, name)
                        self.value(owner.space[name], f"{owner.where}.{name}")
                owner.done = looked_up

    def refuse(self, thing: Any, where: str, what: str) -> None:
        """Note a thing that gives every step another value."""
        self.tokens.append(Is(thing))
        self.refused.append((where, what))

    def raise_for_refused(self) -> None:
        """Raise for a thing refused that the code names; of other attributes of an object it takes no notice."""
        for where, what in self.refused:
            before, _, name = re.sub(r"(\[[^\[\]]*\])+$", "", where).rpartition(".")
            held = before.endswith(("closure", "globals", "defaults"))
            if not before or held or name in self.names:
                raise UnsupportedStep(
                    f"step reads {where}, {what}: each step would read another value, but a step is traced once. "
                    "Put the values into x, draw with torch, or use backend='reference'."
                )


def handler_of(kind: type) -> Handler:
    """How to write values of a type not met before."""
    bases: tuple[tuple[type, Handler], ...] = (
        (Tensor, Walk.tensor),
        (nn.Module, Walk.module_object),
        (ModuleType, Walk.module),
        (type, Walk.class_value),
        (partial, partial_call),
    )
    known = USERS.get(kind)
    if known is not None:
        return known
    handler = next((handler for base, handler in bases if issubclass(kind, base)), None) or value_handler(kind)
    return (HANDLERS if is_library(kind.__module__) else USERS).setdefault(kind, handler)


USERS: WeakKeyDictionary[type, Handler] = WeakKeyDictionary()  # of classes that may go, with all that they hold
HANDLERS: dict[type, Handler] = {
    FunctionType: Walk.function,
    MethodType: Walk.method,
    BuiltinFunctionType: Walk.builtin,
    MethodWrapperType: Walk.builtin,
}
