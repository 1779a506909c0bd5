"""Put back what a step changes in Python while it is traced: a trace must leave nothing behind."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from .fingerprint_code import mentions

_MEMBERS = ("_parameters", "_buffers", "_modules")


@contextmanager
def preserved(things: Iterable[Any]) -> Iterator[None]:
    """Attributes, members of modules, items of containers, closures and globals of these things as they were."""
    restorers = [restorer for thing in things for restorer in _restorers(thing)]
    try:
        yield
    finally:
        for restore in restorers:
            restore()


def _restorers(thing: Any) -> list[Callable[[], None]]:
    if isinstance(thing, FunctionType):
        return _function(thing)
    if isinstance(thing, dict):
        return [_mapping(thing)]
    if isinstance(thing, list | deque | set):
        return [_items(thing)]
    if isinstance(thing, type | Tensor) or not isinstance(getattr(thing, "__dict__", None), dict):
        return []
    found = [_mapping(thing.__dict__)]
    if isinstance(thing, nn.Module):
        found += [_mapping(thing.__dict__[name]) for name in _MEMBERS]
    return found


def _mapping(mapping: dict[Any, Any]) -> Callable[[], None]:
    before = dict(mapping)

    def restore() -> None:
        if list(map(id, mapping.values())) != list(map(id, before.values())) or list(mapping) != list(before):
            mapping.clear()
            mapping.update(before)

    return restore


def _items(items: Any) -> Callable[[], None]:
    before = list(items)

    def restore() -> None:
        if list(map(id, items)) != list(map(id, before)):
            items.clear()
            (items.update if isinstance(items, set) else items.extend)(before)

    return restore


def _function(function: FunctionType) -> list[Callable[[], None]]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(_closure(cell, cell.cell_contents))
        except ValueError:  # empty
            continue
    space = function.__globals__
    names = [name for name in mentions(function.__code__).globals if name in space]
    before = {name: space[name] for name in names}

    def restore() -> None:
        for name, value in before.items():
            if space.get(name) is not value:
                space[name] = value

    return [*found, restore]


def _closure(cell: Any, value: Any) -> Callable[[], None]:
    def restore() -> None:
        if cell.cell_contents is not value:
            cell.cell_contents = value

    return restore
