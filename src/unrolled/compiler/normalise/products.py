"""Products of matrices."""

from ...core import UnsupportedStep
from ..graph import Ref, at
from .site import Site, handles


def _check(here: Site, *operands: Ref) -> None:
    """A trace does not ask for one dtype, as PyTorch itself does."""
    found = [str(here.dtype_of(operand)) for operand in operands]
    if len(set(found)) > 1:
        cause = TypeError(f"expected operands of one dtype, got {' and '.join(found)}")
        raise UnsupportedStep(f"step multiplies matrices of {' and '.join(found)}{at(here.where)}.") from cause


@handles("mm.default")
def _mm(here: Site) -> Ref:
    _check(here, *here.args)
    return here.add("mm", *here.args)


@handles("bmm.default")
def _bmm(here: Site) -> Ref:
    a, b = here.args
    _check(here, a, b)
    if here.shape[0] != 1:
        return here.add("bmm", a, b)
    a, b = here.reshape(a, here.shape_of(a)[1:]), here.reshape(b, here.shape_of(b)[1:])
    return here.reshape(here.add("mm", a, b, shape=here.shape[1:]), here.shape)


@handles("addmm.default", "baddbmm.default")
def _addmm(here: Site) -> Ref:
    bias, a, b = here.args
    _check(here, bias, a, b)
    alpha, beta = here.kwargs.get("alpha", 1), here.kwargs.get("beta", 1)
    product = here.add("mm" if len(here.shape) == 2 else "bmm", a, b)
    if alpha != 1:
        product = here.add("mul", product, alpha)
    if beta != 1:
        bias = here.add("mul", bias, beta, shape=here.shape_of(bias))
    return here.add("add", bias, product)


@handles("mv.default")
def _mv(here: Site) -> Ref:
    a, b = here.args
    _check(here, a, b)
    column = here.reshape(b, (*here.shape_of(b), 1))
    return here.reshape(here.add("mm", a, column, shape=(*here.shape, 1)), here.shape)
