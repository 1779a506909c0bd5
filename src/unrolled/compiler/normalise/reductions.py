"""Sums, products, extremes and their places: always with the reduced axes kept at size 1, then reshaped."""

import torch

from ..graph import Ref
from .site import Site, handles


@handles("sum.dim_IntList", "sum.default", "prod.dim_int", "amax.default", "amin.default")
def _reduce(here: Site) -> Ref:
    a, axes = here.cast(here.args[0], here.dtype), _axes(here)
    sizes = here.shape_of(a)
    if all(sizes[axis] == 1 for axis in axes):
        return here.reshape(a, here.shape)
    return here.reshape(_reduced(here, here.operation, a, axes), here.shape)


@handles("any.default", "any.dim", "any.dims")
def _any(here: Site) -> Ref:
    source = here.args[0]
    a = here.add("ne", source, 0, shape=here.shape_of(source))
    axes = _axes(here)
    if all(here.shape_of(a)[axis] == 1 for axis in axes):
        return here.reshape(a, here.shape)
    return here.reshape(_reduced(here, "amax", a, axes), here.shape)


@handles("argmax.default", "argmin.default")
def _place(here: Site) -> Ref | None:
    if here.padded(None, None)[1] is None:
        return None  # of all elements, in one row
    return here.reshape(_reduced(here, here.operation, here.args[0], _axes(here)), here.shape)


@handles("max.dim", "min.dim")
def _extreme_and_place(here: Site) -> list[Ref]:
    a, axes = here.args[0], _axes(here)
    values, places = here.value
    extreme = _reduced(here, f"a{here.operation}", a, axes, here.dtype_of(a))
    place = _reduced(here, f"arg{here.operation}", a, axes, torch.int64)
    return [here.reshape(extreme, values.shape), here.reshape(place, places.shape)]


def _axes(here: Site) -> tuple[int, ...]:
    a, dims = here.padded(None, None)[:2]
    rank = len(here.shape_of(a))
    if dims is None or dims == ():
        return tuple(range(rank))
    return tuple(sorted(dim % rank for dim in (dims if isinstance(dims, tuple) else (dims,)))) if rank else ()


def _reduced(here: Site, op: str, a: Ref, axes: tuple[int, ...], dtype: torch.dtype | None = None) -> Ref:
    if not axes:  # of one number
        return here.add("full", 0, shape=(), dtype=dtype) if op.startswith("arg") else a
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(here.shape_of(a)))
    return here.add(op, a, axes, shape=kept, dtype=dtype)
