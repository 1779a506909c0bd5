"""Elements at places that are known numbers: slices side by side."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from ..graph import Ref
from ..interpret import compute
from ..operations import MADE, POINTWISE, VIEWS
from .shapes import joined, placed, resized
from .site import Site, handles

MOST = 1024  # places: more stay one operation of torch's


@handles("index_select.default")
def _index_select(here: Site) -> Ref | None:
    a, axis, index = here.args
    places = _numbers(here, index)
    return None if places is None else _looked_up(here, a, axis % len(here.shape_of(a)), places)


@handles("index.Tensor", "_unsafe_index.Tensor")
def _index(here: Site) -> Ref | None:
    a, indices = here.args
    axis, places = _one_list(here, indices)
    if places is None:
        return None
    result = _looked_up(here, a, axis, places)
    return result if here.shape_of(result) == here.shape else None


@handles("index_put.default", "_unsafe_index_put.default")
def _index_put(here: Site) -> Ref | None:
    a, indices, source, add = here.padded(None, None, None, False)
    axis, places = _one_list(here, indices)
    size = here.shape[axis] if places is not None else 0
    if places is None or here.shape_of(source) != resized(here.shape, axis, len(places)):
        return None
    if not add and len({place % size for place in places}) < len(places):
        return None
    return _spread(here, a, axis, places, source, add=add)


@handles("diagonal.default")
def _diagonal(here: Site) -> Ref:
    a, offset, first, second = here.padded(None, 0, 0, 1)
    flat, where = _flat_diagonal(here, here.shape_of(a), a, offset, first, second)
    return here.reshape(here.slice(flat, -1, where.start, where.stop, where.step), here.shape)


@handles("diagonal_scatter.default")
def _diagonal_scatter(here: Site) -> Ref:
    a, source, offset, first, second = here.padded(None, None, 0, 0, 1)
    flat, where = _flat_diagonal(here, here.shape, a, offset, first, second)
    result = placed(here, source, flat, len(here.shape_of(flat)) - 1, where)
    axes = _last(len(here.shape), first, second)
    turned = here.reshape(result, [here.shape[axis] for axis in axes])
    return here.permute(turned, tuple(axes.index(axis) for axis in range(len(axes))))


def _last(rank: int, first: int, second: int) -> list[int]:
    """The axes, these two behind all others."""
    first, second = first % rank, second % rank
    return [*(axis for axis in range(rank) if axis not in (first, second)), first, second]


def _flat_diagonal(here: Site, shape: Sequence[int], a: Ref, offset: int, first: int, second: int) -> tuple[Ref, slice]:
    """The matrices of two axes, each as one row, and where their diagonals lie in these."""
    axes = _last(len(shape), first, second)
    rows, columns = shape[axes[-2]], shape[axes[-1]]
    start = offset if offset >= 0 else -offset * columns
    length = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    turned = here.permute(a, tuple(axes))
    flat = here.reshape(turned, [*(shape[axis] for axis in axes[:-2]), rows * columns])
    return flat, slice(start, start + max(length - 1, 0) * (columns + 1) + bool(length), columns + 1)


def _one_list(here: Site, indices: Any) -> tuple[int, list[int] | None]:
    """The axis and the numbers of an index that has one list of known numbers and nothing else."""
    given = [axis for axis, index in enumerate(indices) if index is not None]
    if len(given) != 1:
        return 0, None
    return given[0], _numbers(here, indices[given[0]])


def _numbers(here: Site, index: Ref) -> list[int] | None:
    """The numbers of a list that is made of numbers alone."""
    node = here.node(index)
    if len(node.shape) != 1 or node.dtype == torch.bool:
        return None
    value = _known(here, index) if node.shape[0] <= MOST else None
    return None if value is None else [int(number) for number in value.tolist()]


def _known(here: Site, ref: Ref) -> Any:
    """The value of a node that is made of numbers alone; None if it depends on more."""
    node = here.node(ref)
    if node.op not in {*MADE, *POINTWISE, *VIEWS}:
        return None
    values = {operand: _known(here, Ref(operand)) for operand in node.operands()}
    if any(value is None for value in values.values()):
        return None
    return compute(node, values, node.shape, torch.device("cpu"))


def _looked_up(here: Site, a: Ref, axis: int, places: list[int]) -> Ref:
    """The slices of ``a`` at these places, runs of neighbours together."""
    size = here.shape_of(a)[axis]
    places = [place % size for place in places]
    borders = [0, *(k for k in range(1, len(places)) if places[k] != places[k - 1] + 1), len(places)]
    runs = [places[start:stop] for start, stop in pairwise(borders) if start < stop]
    parts = [here.slice(a, axis, run[0], run[-1] + 1) for run in runs]
    return joined(here, parts or [here.slice(a, axis, 0, 0)], axis)


def _spread(here: Site, a: Ref, axis: int, places: list[int], source: Ref, *, add: bool) -> Ref | None:
    """``a`` with ``source`` put to these places, or added there."""
    size = here.shape[axis]
    if size > MOST:
        return None
    waiting = [(place % size, k) for k, place in enumerate(places)]
    while waiting:
        layer: dict[int, int] = {}  # at most one source for each place
        for place, k in waiting:
            layer.setdefault(place, k)
        waiting = [(place, k) for place, k in waiting if layer[place] != k]
        parts = []
        for place in range(size):
            if place in layer:
                parts.append(here.slice(source, axis, layer[place], layer[place] + 1))
            elif add:
                parts.append(here.add("full", 0, shape=resized(here.shape, axis, 1)))
            else:
                parts.append(here.slice(a, axis, place, place + 1))
        whole = joined(here, parts, axis)
        a = here.add("add", a, whole) if add else whole
    return a
