"""A cheap check that a walk would meet again just what it met: a function written for one step.

A walk's tokens follow from which things it meets and what it reads of them. So where every place that it read,
in the order in which it read them, still holds *the very same* thing, and every tensor has the same metadata, a
new walk would write the same tokens. The check compares identities only, never values: it asks no ``__eq__``, and
an equal but other object fails it, as does anything strange. What cannot be compared so gets no check at all.
"""

import operator
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import cached_property, lru_cache, partial
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor, nn

from .fingerprint_code import CONSTRUCTION, IMPLICIT, mentions
from .fingerprint_digest import is_library
from .fingerprint_values import HASHED_FROM, may_change, slots_of
from .fingerprint_walk import INTERNALS, PARAMETRIZED, Walk

Check: TypeAlias = Callable[[Any], bool]  # of the step's owner: whether nothing has changed

_MOST = 4000  # things to compare; more would take long to compile


class _Unsure(Exception):
    """Something that cannot be watched cheaply and surely."""


def watch(walk: Walk, owner: Any) -> Check | None:
    """The check of a walk that has just been made; None if there can be none.

    It holds all that it compares, but not the ``owner``, the object (or the function) whose step was walked.
    """
    try:
        facts = _Facts(walk, owner)
        for thing in walk.things:
            facts.thing(thing)
        for cls in walk.met.values():
            facts.class_(cls)
        for thing in walk.loose:
            facts.loose(thing)
        facts.metadata(walk.tensors)
    except _Unsure:
        return None
    return _make(tuple(facts.lines), len(facts.held))(*facts.held)


@lru_cache(64)
def _make(lines: tuple[str, ...], count: int) -> Callable[..., Check]:
    """What makes the check from the things held; compiled once for all steps that are alike."""
    body = "\n".join(f"            if {line}: return False" for line in lines)
    source = (
        f"def make({', '.join(f'c{k}' for k in range(count))}):\n"
        "    def holds(owner):\n"
        f"        try:\n{body}\n"
        "        except Exception: return False\n"
        "        return True\n"
        "    return holds\n"
    )
    space: dict[str, Any] = {"is_": operator.is_}
    exec(compile(source, "<what a step reads>", "exec"), space)
    made: Callable[..., Check] = space["make"]
    return made


class _Facts:
    """Conditions, as Python source, any one of which shows a change; ``c0``, ``c1``, ... are things held."""

    def __init__(self, walk: Walk, owner: Any):
        self.owner, self.names = owner, walk.names
        self.held: list[Any] = []
        self.places: dict[int, int] = {}
        self.lines: list[str] = []
        self.bases: set[int] = set()
        if any(walk.things[place] is owner for place in walk.again):
            raise _Unsure  # what is held would hold the owner

    def differs(self, *conditions: str) -> None:
        """Any of these shows a change."""
        if conditions:
            self.lines.append(" or ".join(conditions))

    def hold(self, thing: Any) -> str:
        """The name of a thing in the check."""
        if thing is None or thing is True or thing is False:
            return repr(thing)
        if thing is self.owner:
            return "owner"
        place = self.places.setdefault(id(thing), len(self.held))
        if place == len(self.held):
            if place == _MOST:
                raise _Unsure
            self.held.append(thing)
        return f"c{place}"

    def other(self, expression: str, thing: Any) -> str:
        return f"{expression} is not {self.hold(thing)}"

    def keys(self, space: str, keys: Iterable[Any]) -> str:
        """Whether a namespace has other names than these, or in another order."""
        names = list(keys)
        if any(type(name) is not str for name in names):
            raise _Unsure
        return f"[*{space}] != {self.hold(names)}" if names else space

    def items(self, container: str, items: Iterable[Any]) -> str:
        """Whether a container, or a view of it, has other items."""
        found = tuple(items)
        return f"len({container}) != {len(found)} or not all(map(is_, {container}, {self.hold(found)}))"

    def thing(self, thing: Any) -> None:
        """What was read of a thing that was met."""
        kind = type(thing)
        if kind is FunctionType:
            self.function(thing)
        elif issubclass(kind, Tensor):
            self.attributes_by_name(f"{self.hold(thing)}.__dict__", thing.__dict__)
        elif issubclass(kind, nn.Module):
            self.module_object(thing)
        elif issubclass(kind, ModuleType):
            self.module(thing)
        elif kind in (list, set, deque):
            self.differs(self.items(self.hold(thing), thing))
        elif kind in (dict, OrderedDict):
            name = self.hold(thing)
            self.differs(self.items(name, thing), self.items(f"{name}.values()", thing.values()))
        elif kind is numpy.ndarray:
            self.array(thing)
        elif may_change(kind):
            raise _Unsure
        else:
            self.object(thing)

    def object(self, thing: Any) -> None:
        """An object by its class, its __dict__ and its __slots__."""
        name, kind = self._instance(thing)
        if kind.__dictoffset__ != 0:
            space = thing.__dict__
            values = [self.other(f"d[{key!r}]", value) for key, value in space.items()]
            self.differs(self.keys(f"(d := {name}.__dict__)", space), *values)
        for _, slot in slots_of(kind):
            try:
                self.differs(self.other(f"{self.hold(slot)}.__get__({name})", slot.__get__(thing)))
            except AttributeError as error:
                raise _Unsure from error

    def module_object(self, module: nn.Module) -> None:
        """An nn.Module: of its own attributes the members, and that there are still no hooks."""
        name, _ = self._instance(module)
        space = module.__dict__
        conditions, empty = [self.keys(f"(d := {name}.__dict__)", space)], []
        for key, value in space.items():
            internal = INTERNALS.get(key)
            if internal == "skip":
                continue
            if internal is None:
                conditions.append(self.other(f"d[{key!r}]", value))
            elif not value:
                empty.append(f"d[{key!r}]")
            elif type(value) not in (dict, OrderedDict):
                raise _Unsure
            elif internal == "hooks":
                conditions += [self.other(f"(e := d[{key!r}])", value), self.items("e.values()", value.values())]
            else:
                conditions += [self.other(f"(e := d[{key!r}])", value), self.keys("e", value)]
                conditions += [self.other(f"e[{k!r}]", member) for k, member in value.items()]
        self.differs(*conditions, *empty)

    def _instance(self, thing: Any) -> tuple[str, type]:
        kind, name = type(thing), self.hold(thing)
        if isinstance(kind.__getattribute__, FunctionType):
            raise _Unsure
        self.differs(self.other(f"type({name})", kind))
        return name, kind

    def array(self, array: "numpy.ndarray[Any, Any]") -> None:
        """A small array by its bytes."""
        if array.dtype.hasobject or array.dtype.names or array.nbytes >= HASHED_FROM:
            raise _Unsure
        name = self.hold(array)
        self.differs(
            self.other(f"{name}.dtype", array.dtype),
            f"{name}.shape != {array.shape} or {name}.strides != {array.strides}",
            f"{name}.tobytes() != {self.hold(array.tobytes())}",
        )

    def function(self, function: FunctionType) -> None:
        """A function: its code, its defaults, its cells, and the globals that it names."""
        name, mentioned = self.hold(function), mentions(function.__code__)
        self.differs(
            self.other(f"{name}.__code__", function.__code__),
            self.other(f"{name}.__defaults__", function.__defaults__),
            self.other(f"{name}.__kwdefaults__", function.__kwdefaults__),
        )
        if function.__kwdefaults__:
            self.thing(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.differs(self.other(f"{self.hold(cell)}.cell_contents", cell.cell_contents))
            except ValueError as error:  # empty
                raise _Unsure from error
        space = function.__globals__
        if is_library(space.get("__name__")):
            return
        if mentioned.imports:
            raise _Unsure
        self.attributes_by_name(f"{name}.__dict__", function.__dict__)
        for place, key in enumerate(mentioned.globals):
            where = "g" if place else f"(g := {name}.__globals__)"
            self.differs(self.other(f"{where}[{key!r}]", space[key]) if key in space else f"{key!r} in {where}")

    def attributes_by_name(self, expression: str, space: dict[str, Any]) -> None:
        """A namespace, mostly empty, in which the names that code mentions are looked up."""
        if not space:
            self.differs(expression)
            return
        found = [self.other(f"d[{key!r}]", value) for key, value in space.items() if key in self.names]
        self.differs(self.keys(f"(d := {expression})", space), *found)

    def module(self, module: ModuleType) -> None:
        """A user's module: the names that code mentions, those that are there and those that are not."""
        space = module.__dict__
        name = self.hold(space)
        found = self.names.keys() & space.keys()
        absent = frozenset(self.names.keys() - found)
        few = len(space) < 2 * len(absent)
        others = self.keys(name, space) if few else f"not {name}.keys().isdisjoint({self.hold(absent)})"
        self.differs(others, *(self.other(f"{name}[{key!r}]", space[key]) for key in sorted(found)))

    def class_(self, cls: type) -> None:
        """A class: its bases, and of the user's among them the names that code mentions or Python looks up."""
        users = [base for base in cls.__mro__ if base.__module__ == PARAMETRIZED or not is_library(base.__module__)]
        if users:
            self.differs(self.other(f"{self.hold(cls)}.__mro__", cls.__mro__))
        for base in users:
            if id(base) in self.bases:
                continue
            self.bases.add(id(base))
            space, every = vars(base), base.__module__ == PARAMETRIZED
            name = self.hold(space)
            looked_up = [key for key in space if every or key in _LOOKED_UP or key in self.names]
            self.differs(self.keys(name, space), *(self.other(f"{name}[{key!r}]", space[key]) for key in looked_up))

    def loose(self, thing: Any) -> None:
        """What may change without being a thing, where it is only a few attributes."""
        read = next((names for kind, names in _LOOSE if isinstance(thing, kind)), None)
        if read is None:
            raise _Unsure
        name = self.hold(thing)
        self.differs(*(self.other(f"{name}.{key}", getattr(thing, key)) for key in read))

    def metadata(self, tensors: list[Tensor]) -> None:
        """Shape, strides, dtype, device and whether a gradient is wanted, of all tensors at once."""
        if any(type(t) not in (Tensor, nn.Parameter) or t.layout is not torch.strided for t in tensors):
            raise _Unsure
        if tensors:
            same, names = metadata_check(tensors), ", ".join(map(self.hold, tensors))
            self.differs(f"not {self.hold(same)}({names})")


_LOOKED_UP = IMPLICIT | CONSTRUCTION
_LOOSE: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Enum, ("_name_", "_value_")),
    (partial, ("func", "args", "keywords")),
    (cached_property, ("func",)),
    (type(lru_cache(len)), ("__wrapped__",)),
)


def metadata_check(tensors: list[Tensor]) -> Callable[..., bool]:
    """Whether tensors have the classes and the metadata that these have; torch.compile's own test where there is."""
    try:
        from torch._C._dynamo.guards import TensorGuards

        guards = TensorGuards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None)
        check: Callable[..., bool] = guards.check
        if check(*tensors):
            return check
    except (ImportError, TypeError, RuntimeError):
        pass  # another PyTorch than those known
    return _by_attributes(tensors)


def _by_attributes(tensors: list[Tensor]) -> Callable[..., bool]:
    def marks(tensor: Tensor) -> tuple[Any, ...]:
        device = str(tensor.device)
        return type(tensor), tensor.shape, tensor.stride(), tensor.dtype, device, tensor.requires_grad

    before = [marks(tensor) for tensor in tensors]
    return lambda *now: [marks(tensor) for tensor in now] == before
