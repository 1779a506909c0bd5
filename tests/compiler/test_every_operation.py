"""Each operation in the loop by itself: derivatives by gradcheck, values by the reference, special values too.

An operation acts on a state of its own and feeds the next one; a group of them, side by side, is one kernel.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unrolled import UnsupportedStep, unroll

Operation = Callable[[Tensor], Tensor]
W = torch.linspace(-0.9, 0.8, 16, dtype=torch.float64).reshape(4, 4).roll(1, 0)
B3 = torch.linspace(-0.7, 0.9, 24, dtype=torch.float64).reshape(2, 2, 6)[:, :, :3]


def assigned(h: Tensor) -> Tensor:
    h = h.clone()
    h[:, 1:3] *= 2
    h[:, 0] = 0.3
    h[:, 3] += h[:, 1]
    return h


SMOOTH: dict[str, Operation] = {
    "add sub": lambda h: (h + 0.3) - (2 - h) + (h - 1) * 2,
    "mul div": lambda h: h * h / (h * h + 1) + 1 / (h * h + 2),
    "neg": lambda h: -h,
    "square": lambda h: h**2 + h.square(),
    "cube": lambda h: h**3,
    "pow": lambda h: (h * h + 0.5) ** 1.3,
    "pow of two": lambda h: (h * h + 0.5) ** (h + 1),
    "pow of a number": lambda h: 1.7**h,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": lambda h: torch.log(h * h + 0.3),
    "log1p": lambda h: torch.log1p(h * h),
    "log2": lambda h: torch.log2(h * h + 0.3),
    "sqrt": lambda h: torch.sqrt(h * h + 0.3),
    "rsqrt": lambda h: torch.rsqrt(h * h + 0.3),
    "reciprocal": lambda h: torch.reciprocal(h * h + 0.3),
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": lambda h: torch.tan(0.5 * h),
    "asin": lambda h: torch.asin(0.5 * torch.sin(h)),
    "acos": lambda h: torch.acos(0.5 * torch.sin(h)),
    "atan": torch.atan,
    "atan2": lambda h: torch.atan2(h, h * h + 0.5),
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "gelu tanh": lambda h: F.gelu(h, approximate="tanh"),
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "logaddexp": lambda h: torch.logaddexp(h, 2 * h),
    "lerp addcmul": lambda h: torch.lerp(h, h * h, 0.3) + torch.addcmul(h, h, h),
    "detach": lambda h: h.detach() * h,
}  # fmt: skip
KINKED: dict[str, Operation] = {
    "abs": torch.abs,
    "sign": lambda h: torch.sign(h) * h,
    "floor ceil": lambda h: torch.floor(3 * h) * h + torch.ceil(3 * h),
    "round trunc": lambda h: torch.round(3 * h) * h + torch.trunc(3 * h),
    "remainder": lambda h: torch.remainder(h, 0.7) + torch.remainder(h, h * h + 0.5),
    "fmod": lambda h: torch.fmod(h, 0.7),
    "floored division": lambda h: h * torch.div(h, 0.3, rounding_mode="floor"),
    "truncated division": lambda h: h * torch.div(h, 0.4, rounding_mode="trunc"),
    "relu": torch.relu,
    "leaky_relu": lambda h: F.leaky_relu(h, 0.2),
    "elu": lambda h: F.elu(h, 0.7) + F.selu(h) + F.celu(h, 0.8),
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": lambda h: F.hardtanh(h, -0.4, 0.5) + F.relu6(3 * h) + F.hardswish(2 * h),
    "shrink": lambda h: F.softshrink(h, 0.2) + F.hardshrink(h, 0.2) + F.threshold(h, 0.1, 0.3) + F.tanhshrink(h),
    "softsign": F.softsign,
    "clamp": lambda h: h.clamp(-0.4, 0.5) + h.clamp(min=0.1) + h.clamp(max=0.1),
    "minimum maximum": lambda h: torch.minimum(h, 0.5 - h) + torch.maximum(h, 0.3 - 2 * h),
    "lt gt": lambda h: h * ((h > 0.1).to(h.dtype) + 2 * (h < 0.2)),
    "le ge ne eq": lambda h: h * ((h <= 0.5).to(h.dtype) + 3 * (h >= -0.3) + (h != 0) + (h == 0)),
    "logical": lambda h: torch.where((h > 0) & ~(h > 0.5) | (h < -0.5) ^ (h < -0.7), h, 0.3 * h),
    "logical functions": lambda h: h * torch.logical_or(torch.logical_not(h > 0), torch.logical_and(h, h > 0.4)),
    "where": lambda h: torch.where(h > 0.1, h * h, 0.5) + torch.where(h > 0.2, 0.1, -h),
    "masked_fill": lambda h: h.masked_fill(h > 0.3, 0.7),
    "to integers": lambda h: h * (5 * h).long() + (3 * h).long() // 2,
}  # fmt: skip
REDUCTIONS: dict[str, Operation] = {
    "sum": lambda h: h * h.sum(-1, keepdim=True) + h.sum(1)[:, None],
    "sum of two axes": lambda h: h * h.view(-1, 2, 2).sum((1, 2))[:, None],
    "mean": lambda h: h * h.mean(1, keepdim=True) + h.view(-1, 2, 2).mean((-1, -2)).unsqueeze(-1),
    "amax": lambda h: h * h.amax(-1, keepdim=True),
    "amin": lambda h: h * h.view(-1, 2, 2).amin((1, 2))[:, None],
    "max": lambda h: h * h.max(-1, keepdim=True)[0] + h.min(1)[0][:, None],
    "argmax": lambda h: h * h.argmax(-1, keepdim=True) + h.argmin(-1)[:, None],
    "var": lambda h: h * h.var(-1, keepdim=True) + h.var(1, unbiased=False)[:, None],
    "std": lambda h: h * h.std(-1, keepdim=True),
    "logsumexp": lambda h: h * h.logsumexp(-1, keepdim=True) + h.view(-1, 2, 2).logsumexp((1, 2))[:, None],
    "softmax": lambda h: h * h.softmax(-1) + h.view(-1, 2, 2).softmax(1).flatten(1),
    "log_softmax": lambda h: h.log_softmax(-1),
    "layer_norm": lambda h: F.layer_norm(h, (4,), W[0], W[1]) + F.layer_norm(h.view(-1, 2, 2), (2, 2)).flatten(1),
    "rms_norm": lambda h: F.rms_norm(h, (4,), W[0]) + F.rms_norm(h, (4,)),
    "norm": lambda h: h / (h.norm(dim=-1, keepdim=True) + 0.1),
}
PRODUCTS: dict[str, Operation] = {
    "linear": lambda h: F.linear(h, W, W[0]),
    "matmul": lambda h: h @ W + (h @ W[0])[:, None],
    "matmul from the left": lambda h: (W[:2, :2] @ h.view(-1, 2, 2)).flatten(1),
    "einsum": lambda h: torch.einsum("bi,ij->bj", h, W),
    "cat to linear": lambda h: F.linear(torch.cat([h[:, :1], h], -1), W.flatten()[:10].view(2, 5)).sum(-1, True) * h,
    "heads": lambda h: torch.einsum("bhd,hde->bhe", h.view(-1, 2, 2), B3).sum((1, 2))[:, None] * h,
    "outer product": lambda h: (torch.einsum("bi,bj->bij", h, h) * W).sum(-1),
    "memory times vector": lambda h: torch.einsum("bij,bj->bi", h.view(-1, 2, 2), h[:, :2]).sum(1, True) * h,
    "addressing": lambda h: ((h[:, None, :2] @ h.view(-1, 2, 2)).softmax(-1) @ h.view(-1, 2, 2).mT).sum(2) * h,
    "matrix times matrix": lambda h: (h.view(-1, 2, 2) @ h.view(-1, 2, 2)).flatten(1),
    "baddbmm": lambda h: torch.baddbmm(h[:, :, None], (h[:, :, None] * h[:, None]), h[:, :, None]).squeeze(2),
}  # fmt: skip
SHAPES: dict[str, Operation] = {
    "view": lambda h: h.view(-1, 2, 2).sin().reshape(-1, 4),
    "flatten unflatten": lambda h: h.unflatten(1, (2, 2)).cos().flatten(1),
    "permute": lambda h: h.view(-1, 2, 2).permute(0, 2, 1).reshape(-1, 4),
    "transpose": lambda h: h.view(-1, 2, 2).transpose(1, 2).reshape(-1, 4) + h.view(-1, 2, 2).mT.flatten(1),
    "movedim": lambda h: h.view(-1, 2, 1, 2).movedim(3, 1).flatten(1),
    "expand": lambda h: (h[:, None].expand(-1, 3, 4) * W[:3]).sum(1),
    "expand_as": lambda h: h[:, :1].expand_as(h) * h,
    "unsqueeze squeeze": lambda h: h.unsqueeze(1).unsqueeze(-1).squeeze(1).squeeze(-1) * 0.9,
    "chunk": lambda h: torch.cat([part.sin() for part in h.chunk(3, -1)], 1),
    "split": lambda h: torch.cat(h.split([1, 3], 1)[::-1], 1),
    "slice": lambda h: F.linear(h[:, 1:], W[:, :3]) + h[:, -2:].sum(1, True),
    "select": lambda h: h * h.select(1, 2)[:, None] + h[:, -1:] + h[:, 0].unsqueeze(1),
    "narrow": lambda h: h * h.narrow(1, 1, 2).sum(1, keepdim=True),
    "unbind": lambda h: torch.stack(h.unbind(1)[::-1], 1) + h.view(-1, 2, 2).unbind(-1)[0].sum(1, True),
    "cat": lambda h: torch.cat([h[:, 2:].sin(), h[:, :2]], -1),
    "stack": lambda h: torch.stack([h, h * h, h.sin()], 1).sum(1) + torch.stack([h, h.cos()], -1).sum(-1),
    "flip": lambda h: h.flip(1) + h.view(-1, 2, 2).flip((1, 2)).flatten(1).sin(),
    "assignment to a slice": lambda h: assigned(h),
    "in-place operations": lambda h: h.clone().mul_(2).add_(1).sin_(),
    "new_zeros": lambda h: torch.cat([h[:, :3], h.new_zeros(h.shape[0], 1)], 1),
    "zeros_like ones_like": lambda h: h * torch.zeros_like(h) + torch.ones_like(h) - h,
    "arange": lambda h: h * torch.arange(4, dtype=h.dtype) + h * torch.arange(1, 5),
}  # fmt: skip
MORE: dict[str, Operation] = {
    "silu": F.silu,
    "mish": F.mish,
    "exp2": torch.exp2,
    "pad": lambda h: F.pad(h, (1, 2))[:, 1:5] + F.pad(h, (-1, 1)),
    "roll": lambda h: h.roll(1, -1),
    "a list of places": lambda h: h[:, [1, 0, 3, 2]] * h[:, [2, 2, 0, -1]],
    "slice with a step": lambda h: torch.cat([h[:, ::2], h[:, 1::2]], 1) + h[:, ::3].sum(1, True),
    "repeat": lambda h: h[:, :2].repeat(1, 2),
    "diagonal": lambda h: (h[:, :, None] * h[:, None]).diagonal(dim1=1, dim2=2),
    "diag_embed": lambda h: torch.diag_embed(h).sum(1) * h,
    "any all": lambda h: h * (h > 0).any(-1, keepdim=True) + (h > 0).all(-1, keepdim=True),
    "constant tensor": lambda h: h * torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=h.dtype),
    "addcdiv": lambda h: torch.addcdiv(h, h, h * h + 1),
    "amax of a product": lambda h: h * (W[:2, :2] @ h.view(-1, 2, 2)).amax(1).repeat_interleave(2, 1),
    "to int32": lambda h: h * (3 * h).int(),
    "one_hot": lambda h: h * F.one_hot(h.argmax(-1), 4),
}
UNSUPPORTED: dict[str, Operation] = {
    "prod": lambda h: h * h.prod(-1, keepdim=True),
    "cumsum": lambda h: h.cumsum(-1),
    "sort": lambda h: h.sort(-1)[0],
    "a place that is computed": lambda h: h.gather(1, h.argmax(-1, keepdim=True)) * h,
}
TABLE = {**SMOOTH, **KINKED, **REDUCTIONS, **PRODUCTS, **SHAPES, **MORE}
GROUPS = [dict(list(TABLE.items())[first : first + 11]) for first in range(0, len(TABLE), 11)]


def step_of(operations: list[Operation]) -> Callable[..., tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Each operation on its own state, bounded, with the input added."""

    def step(x: Tensor, state: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        state = tuple(torch.sin(operation(h)) + x for operation, h in zip(operations, state, strict=True))
        return tuple(h * 2 for h in state), state

    return step


def numbers(count: int, rows: int, steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """An input and the first states: no number is round, none equals another."""
    generator = torch.Generator().manual_seed(3)
    x = 0.4 * torch.randn(steps, rows, 4, generator=generator, dtype=torch.float64)
    states = tuple(0.6 * torch.randn(rows, 4, generator=generator, dtype=torch.float64) for _ in range(count))
    return x.requires_grad_(), tuple(state.requires_grad_() for state in states)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{next(iter(group))} to {list(group)[-1]}")
def test_derivatives_by_gradcheck(group):
    operations = [operation for name, operation in group.items() if name != "detach"]  # it hides a derivative
    step = step_of(operations)
    x, state = numbers(len(operations), 2, 2)

    def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, last = unroll(step, x, state, backend="compiled")
        return (*outputs, *last)

    assert torch.autograd.gradcheck(run, (x, *state))


def agree(operations: dict[str, Operation], tolerance: float) -> None:
    """Outputs and gradients of the compiled steps are the reference's, operation by operation."""
    step = step_of(list(operations.values()))
    x, state = numbers(len(operations), 3, 4)
    both = []
    for backend in ("reference", "compiled"):
        outputs, last = unroll(step, x, state, backend=backend)
        loss = sum((leaf * leaf.detach().cos()).sum() for leaf in (*outputs, *last))
        both.append([*zip(outputs, torch.autograd.grad(loss, state), strict=True)])
    for name, expected, found in zip(operations, *both, strict=True):
        for a, b, what in zip(expected, found, ("value", "gradient"), strict=True):
            error = float((a - b).detach().abs().max() / (a.detach().abs().max() + 0.01))
            assert error < tolerance, f"{name}: its {what} is off by {error:.2g}"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{next(iter(group))} to {list(group)[-1]}")
def test_values_and_gradients_are_the_references(group):
    inexact = {"hardsigmoid"}  # torch's own derivative multiplies by a sixth that is rounded to float32
    agree({name: operation for name, operation in group.items() if name not in inexact}, 1e-11)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_has_no_kernel_is_refused(name):
    x, state = numbers(1, 3, 4)
    with pytest.raises(UnsupportedStep, match=r"test_every_operation\.py:\d+"):
        unroll(step_of([UNSUPPORTED[name]]), x, state, backend="compiled")


SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-310, 1e-30, 3e38,
           -3e38, 1e300, -1e300, 89.0, -104.0, 710.0, -746.0, 20.0, -40.0]  # fmt: skip
UNARY: dict[str, Operation] = {
    **{name: getattr(torch, name) for name in (
        "neg", "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "reciprocal", "abs", "sign", "floor", "ceil",
        "trunc", "round", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "erf", "tanh", "sigmoid", "relu",
        "square", "isnan", "isinf", "isfinite",
    )},
    **{name: getattr(F, name) for name in (
        "leaky_relu", "elu", "selu", "softplus", "logsigmoid", "hardsigmoid", "hardtanh", "relu6", "softsign",
    )},
    "clamp": lambda h: h.clamp(-0.5, 1),
    "cube": lambda h: h**3,
    "pow": lambda h: h**0.7,
    "pow of a number": lambda h: 2.0**h,
    "where": lambda h: torch.where(h > 0, h, -0.0),
    "remainder": lambda h: torch.remainder(h.clamp(-1e30, 1e30), 0.7),  # torch's own of 3e38 is NaN
    "rounded division": lambda h: torch.div(h, 0.7, rounding_mode="floor"),
    "to bool": lambda h: h.bool(),
    "nan_to_num": torch.nan_to_num,
}  # fmt: skip
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    name: getattr(torch, name) for name in (
        "add", "sub", "mul", "div", "pow", "atan2", "maximum", "minimum", "remainder", "fmod", "eq", "ne", "lt", "le",
        "gt", "ge", "logical_and", "logical_or", "logical_xor",
    )
}  # fmt: skip


if torch.__version__ < "2.9":  # whose own log1p(3e38) is infinite, and elu(-0.0) is 0.0
    UNARY = {name: operation for name, operation in UNARY.items() if name not in ("log1p", "elu", "selu")}


def check_special(names: list[str], run: Callable[[str], tuple[Tensor, ...]], inputs: list[Tensor]) -> None:
    wrongs: dict[str, list[tuple[float, ...]]] = {}
    for name, expected, found in zip(names, run("reference"), run("compiled"), strict=True):
        expected, found = expected.flatten(), found.flatten()
        rtol = 2e-6 if found.dtype == torch.float32 else 1e-14
        tiny = torch.finfo(found.dtype).tiny
        near = torch.isclose(expected, found, rtol=rtol, atol=tiny, equal_nan=True)
        signs = torch.signbit(expected) == torch.signbit(found)
        free = name in ("maximum", "minimum", "relu6")  # which of two zeros they take, nobody promises
        wrong = ~(near & (signs | expected.isnan() | free))
        cases = list(zip(*(part[wrong].tolist() for part in (*inputs, expected, found)), strict=True))
        if cases:
            wrongs[name] = cases[:6]
    assert not wrongs, f"operands, expected, found: {wrongs}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_special_values_of_one_operand(dtype):
    special = torch.tensor(SPECIAL, dtype=dtype)

    def step(_: None, state: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        state = tuple(operation(h).to(h.dtype) for operation, h in zip(UNARY.values(), state, strict=True))
        return state, state

    def run(backend: str) -> tuple[Tensor, ...]:
        return unroll(step, None, tuple(special[None] for _ in UNARY), steps=1, backend=backend)[1]

    check_special(list(UNARY), run, [special])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_special_values_of_two_operands(dtype):
    special = torch.tensor(SPECIAL, dtype=dtype)
    pairs = torch.cartesian_prod(special, special)

    def step(_: None, state: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        state = tuple(
            torch.stack([operation(h[:, 0], h[:, 1]).to(h.dtype), h[:, 1]], 1)
            for operation, h in zip(BINARY.values(), state, strict=True)
        )
        return state, state

    def run(backend: str) -> tuple[Tensor, ...]:
        last = unroll(step, None, tuple(pairs.mT[None] for _ in BINARY), steps=1, backend=backend)[1]
        return tuple(leaf[0, 0] for leaf in last)

    check_special(list(BINARY), run, list(pairs.mT))
