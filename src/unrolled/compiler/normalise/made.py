"""What is made of numbers alone, and random draws."""

import torch

from ..graph import Ref
from .site import Site, handles


@handles(
    "zeros.default", "zeros_like.default", "new_zeros.default", "empty.memory_format", "empty_like.default",
    "new_empty.default", "empty_strided.default", "new_empty_strided.default", "empty_permuted.default",
)  # fmt: skip
def _zeros(here: Site) -> Ref:
    return _filled(here, 0)


@handles("ones.default", "ones_like.default", "new_ones.default")
def _ones(here: Site) -> Ref:
    return _filled(here, 1)


@handles("full.default", "full_like.default")
def _full(here: Site) -> Ref:
    return _filled(here, here.args[1])


@handles("new_full.default")
def _new_full(here: Site) -> Ref:
    return _filled(here, here.args[2])


@handles("scalar_tensor.default")
def _scalar(here: Site) -> Ref:
    return _filled(here, here.args[0])


def _filled(here: Site, value: float) -> Ref:
    return here.add("full", bool(value) if here.dtype == torch.bool else value)


@handles("arange.default")
def _arange(here: Site) -> Ref:
    return _counted(here, 0, 1)


@handles("arange.start", "arange.start_step")
def _arange_from(here: Site) -> Ref:
    start, _, step = here.padded(None, None, 1)
    return _counted(here, start, step)


@handles("prims.iota.default")
def _iota(here: Site) -> Ref:
    return _counted(here, here.kwargs["start"], here.kwargs["step"])


def _counted(here: Site, start: float, step: float) -> Ref:
    """Numbers start, start + step, ..."""
    value: Ref = here.cast(here.add("iota", dtype=torch.int64), here.dtype)
    if step != 1:
        value = here.add("mul", value, step)
    return value if start == 0 else here.add("add", value, start)


@handles("rand.default", "rand_like.default")
def _rand(here: Site) -> Ref:
    return here.add("rand")


@handles("randn.default", "randn_like.default")
def _randn(here: Site) -> Ref:
    return here.add("randn")


@handles("bernoulli.p")
def _bernoulli(here: Site) -> Ref:
    drawn = here.add("rand", dtype=here.dtype if here.dtype.is_floating_point else torch.float32)
    return Ref(here.cast(here.add("lt", drawn, here.args[1], dtype=torch.bool), here.dtype).index)
