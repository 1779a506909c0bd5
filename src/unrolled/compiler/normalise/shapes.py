"""The same elements in another order, fewer of them, or side by side."""

from typing import Any

import torch

from ..graph import Ref
from .site import Site, handles


@handles(
    "view.default", "_unsafe_view.default", "view_copy.default", "reshape.default", "flatten.using_ints",
    "unflatten.int", "unsqueeze.default", "squeeze.default", "squeeze.dim", "squeeze.dims",
)  # fmt: skip
def _reshape(here: Site) -> Ref:
    return here.reshape(here.args[0], here.shape)


@handles("permute.default")
def _permute(here: Site) -> Ref:
    return here.permute(here.args[0], here.args[1])


@handles("t.default")
def _t(here: Site) -> Ref:
    return here.permute(here.args[0], tuple(reversed(range(len(here.shape)))))


@handles("transpose.int")
def _transpose(here: Site) -> Ref:
    a, first, second = here.args
    axes = list(range(len(here.shape)))
    axes[first], axes[second] = axes[second], axes[first]
    return here.permute(a, tuple(axes))


@handles("expand.default")
def _expand(here: Site) -> Ref:
    a = here.args[0]
    return a if here.shape_of(a) == here.shape else here.add("expand", a)


@handles("copy.default")
def _copy(here: Site) -> Any:
    source = here.cast(here.args[1], here.dtype)
    return source if here.shape_of(source) == here.shape else here.add("expand", source)


@handles("flip.default")
def _flip(here: Site) -> Ref:
    a, axes = here.args
    return here.add("flip", a, tuple(axis % len(here.shape) for axis in axes))


@handles("slice.Tensor")
def _slice(here: Site) -> Ref:
    return here.slice(*here.padded(None, 0, None, None, 1))


@handles("select.int")
def _select(here: Site) -> Ref:
    a, axis, index = here.args
    index %= here.shape_of(a)[axis]
    return here.reshape(here.slice(a, axis, index, index + 1), here.shape)


@handles("split_with_sizes.default", "split.Tensor", "chunk.default")
def _split(here: Site) -> list[Ref]:
    a, _, axis = here.padded(None, None, here.kwargs.get("dim", 0))
    return _parts(here, a, axis, [part.shape[axis] for part in here.value])


@handles("unbind.int")
def _unbind(here: Site) -> list[Ref]:
    a, axis = here.padded(None, here.kwargs.get("dim", 0))
    return _parts(here, a, axis, [1] * len(here.value))


def _parts(here: Site, a: Ref, axis: int, widths: list[int]) -> list[Ref]:
    found, start = [], 0
    for part, width in zip(here.value, widths, strict=True):
        found.append(here.reshape(here.slice(a, axis, start, start + width), part.shape))
        start += width
    return found


@handles("cat.default")
def _cat(here: Site) -> Ref:
    parts, axis = here.padded(None, 0)
    rank = len(here.shape)
    parts = [here.cast(part, here.dtype) for part in parts if len(here.shape_of(part)) == rank]
    return joined(here, parts, axis % rank)


@handles("stack.default")
def _stack(here: Site) -> Ref:
    parts, axis = here.padded(None, 0)
    axis %= len(here.shape)
    one = resized(here.shape, axis, 1)
    return joined(here, [here.reshape(here.cast(part, here.dtype), one) for part in parts], axis)


@handles("repeat.default")
def _repeat(here: Site) -> Ref:
    a, times = here.args
    shape = (1,) * (len(times) - len(here.shape_of(a))) + here.shape_of(a)
    apart = [size for pair in zip(times, shape, strict=True) for size in pair]
    source = here.reshape(a, [1 if place % 2 == 0 else size for place, size in enumerate(apart)])
    return here.reshape(here.add("expand", source, shape=apart), here.shape)


@handles("constant_pad_nd.default")
def _pad(here: Site) -> Ref:
    a, pads, value = here.padded(None, None, here.kwargs.get("value", 0))
    for back, widths in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        shape = here.shape_of(a)
        axis = len(shape) - 1 - back
        low, high = (max(-width, 0) for width in widths)  # a negative width cuts off
        a = here.slice(a, axis, low, shape[axis] - high)
        sides = (_filled(here, resized(shape, axis, width), value) if width > 0 else [] for width in widths)
        a = joined(here, [*next(sides), a, *next(sides)], axis)
    return Ref(a.index)


@handles("slice_scatter.default")
def _slice_scatter(here: Site) -> Ref:
    around, source, axis, start, stop, step = here.padded(None, None, 0, None, None, 1)
    return placed(here, source, around, axis, slice(start, stop, step))


@handles("slice_backward.default")
def _slice_backward(here: Site) -> Ref:
    source, _, axis, start, stop, step = here.args
    return placed(here, source, None, axis, slice(start, stop, step))


@handles("select_scatter.default")
def _select_scatter(here: Site) -> Ref:
    around, source, axis, index = here.args
    return _placed_one(here, source, around, axis, index)


@handles("select_backward.default")
def _select_backward(here: Site) -> Ref:
    source, _, axis, index = here.args
    return _placed_one(here, source, None, axis, index)


def _placed_one(here: Site, source: Ref, around: Ref | None, axis: int, index: int) -> Ref:
    axis %= len(here.shape)
    index %= here.shape[axis]
    source = here.reshape(source, resized(here.shape, axis, 1))
    return placed(here, source, around, axis, slice(index, index + 1))


def placed(here: Site, source: Ref, around: Ref | None, axis: int, where: slice) -> Ref:
    """``source`` in place of a slice of ``around`` (of zeros, in a derivative): what lies around it beside it."""
    shape = here.shape if around is None else here.shape_of(around)
    axis %= len(shape)
    start, stop, step = where.indices(shape[axis])
    stop = max(start, stop)

    def rest(first: int, last: int) -> list[Ref]:
        if first == last:
            return []
        if around is None:
            return _filled(here, resized(shape, axis, last - first), 0)
        return [here.slice(around, axis, first, last)]

    if step > 1 and stop > start:
        source = _interleaved(here, source, rest(start, stop)[0], axis, step)
    return joined(here, [*rest(0, start), source, *rest(stop, shape[axis])], axis)


def _interleaved(here: Site, source: Ref, between: Ref, axis: int, step: int) -> Ref:
    """``between``, of whose every ``step``-th element the first is one of ``source``."""
    shape = here.shape_of(between)
    size, count = shape[axis], here.shape_of(source)[axis]
    lacking = count * step - size
    if lacking:
        between = joined(here, [between, *_filled(here, resized(shape, axis, lacking), 0)], axis)
    groups = (*shape[:axis], count, step, *shape[axis + 1 :])
    others = here.slice(here.reshape(between, groups), axis + 1, 1, step)
    first = here.reshape(source, resized(groups, axis + 1, 1))
    whole = here.reshape(joined(here, [first, others], axis + 1), resized(shape, axis, count * step))
    return here.slice(whole, axis, 0, size)


def _filled(here: Site, shape: tuple[int, ...], value: float) -> list[Ref]:
    return [here.add("full", value, shape=shape)]


def joined(here: Site, parts: list[Ref], axis: int) -> Ref:
    """Parts side by side, without those that hold nothing."""
    sizes = [here.shape_of(part)[axis] for part in parts]
    kept = tuple(part for part, size in zip(parts, sizes, strict=True) if size)
    if len(kept) <= 1:
        return (*kept, parts[0])[0]
    return here.add("cat", kept, axis, shape=resized(here.shape_of(kept[0]), axis, sum(sizes)))


def resized(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """A shape with another size of one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


@handles("scatter.src", "scatter.value")
def _scatter(here: Site) -> Ref | None:
    """One element along an axis: where the index says so."""
    a, axis, index, source = here.args
    if not here.shape:
        return None
    axis %= len(here.shape)
    one = resized(here.shape, axis, 1)
    if here.shape_of(index) != one:
        return None
    if isinstance(source, Ref):
        for other, size in enumerate(one):
            source = here.slice(source, other, 0, size)
    along = tuple(size if other == axis else 1 for other, size in enumerate(here.shape))
    counter = here.reshape(here.add("iota", shape=(here.shape[axis],), dtype=torch.int64), along)
    hit = here.add("eq", counter, index, dtype=torch.bool)
    return here.add("where", hit, here.cast(source, here.dtype), a)
