"""Large products outside a step, as an output layer's are: one front door, differentiable as often as is wanted.

Inside a step products are its kernel's own. Here the same C computes them: packed, on PyTorch's threads, and summed in
one order whatever the number of rows or threads, so that a row's result does not depend on what else is in the batch.
Where there is no kernel (another device or dtype, no C compiler, a transform of torch.func) they are PyTorch's.
"""

import ctypes
import weakref
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling
from torch.nn import functional as F

from ..core import UnsupportedStep
from .codegen.prelude import gemm as source
from .context import is_plain_context
from .runtime import MEMORY, load, pool, settings, thread_count


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b of every row, as :func:`torch.nn.functional.linear`.

    Without gradients and with few rows the weight stays packed from call to call, until it changes.

    Args:
        x: rows.
        weight: W.
        bias: b.

    Shape:
        x (..., K), weight (N, K), bias (N,); the result is (..., N).
    """
    if not (_has_kernel(x, weight, bias) and x.dim() and weight.dim() == 2 and _fits(x.shape[-1], weight.t(), bias)):
        return F.linear(x, weight, bias)
    rows = x.flatten(0, -2) if x.dim() > 1 else x.unsqueeze(0)
    return _differentiable(rows, weight.t(), bias).view(*x.shape[:-1], len(weight))


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """The rows of a b + bias, as :func:`torch.addmm`; fastest where the numbers of a row of a lie side by side.

    Shape:
        a (R, K), b (K, N), bias (N,); the result is (R, N).
    """
    if not (_has_kernel(a, b, bias) and a.dim() == 2 and _fits(a.shape[1], b, bias)):
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    return _differentiable(a, b, bias)


def total(a: Tensor, b: Tensor) -> Tensor:
    """The sum over rows of their outer products, a^T b, as the gradient of a weight is.

    Shape:
        a (R, M), b (R, N); the result is (M, N).
    """
    if not (_has_kernel(a, b, None) and a.dim() == b.dim() == 2 and len(a) == len(b)):
        return torch.mm(a.t(), b)
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
        made: Tensor = _Total.apply(a, b)
        return made
    return _total(a, b)


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """A b as :func:`torch.mm`, by what is fastest for the order in which a lies in memory."""
    if len(a) * b.numel() < _LARGE:
        return torch.mm(a, b)
    return total(a.t(), b) if a.stride(0) == 1 else product(a, b)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return _product(a, b, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (a, b), wanted = grads, ctx.saved_tensors, ctx.needs_input_grad
        return (
            product(grad, b.t()) if wanted[0] else None,
            total(a, grad) if wanted[1] else None,
            grad.sum(0) if wanted[2] else None,
        )


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _total(a, b)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (a, b), wanted = grads, ctx.saved_tensors, ctx.needs_input_grad
        return product(b, grad.t()) if wanted[0] else None, product(a, grad) if wanted[1] else None


def _differentiable(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in (a, b, bias)):
        made: Tensor = _Product.apply(a, b, bias)
        return made
    return _product(a, b, bias)


def _product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    kernel, dtype = _kernels()[a.dtype], a.dtype
    a, b, bias = _side_by_side(_wide(a)), _wide(b), None if bias is None else _wide(bias).contiguous()
    (rows, inner), columns = a.shape, b.shape[1]
    made = torch.empty(rows, columns, dtype=a.dtype, device=a.device)
    if made.numel():
        threads = thread_count()
        keeps = rows <= _FEW and kernel.keeps and not torch.is_grad_enabled() and not b.is_inference()
        kept = kernel.kept(b) if keeps else None
        memory, packed, marks = kept, kept, _marks(b) if keeps else None  # before it is read: it may change meanwhile
        if kept is None and rows >= _MANY * threads:
            memory = MEMORY.take(threads * kernel.local_size(inner, columns))
        elif kept is None:
            memory = packed = MEMORY.take(kernel.size(inner, columns))
        numbers = _NUMBERS(rows, inner, columns, a.stride(0), *b.stride(), threads, kept is not None)
        places = (None if part is None else part.data_ptr() for part in (a, b, bias, packed, memory, made))
        kernel.product(numbers, *places, pool())
        if keeps and kept is None and packed is not None:
            kernel.keep(b, marks, packed)
    return made.to(dtype)


def _total(a: Tensor, b: Tensor) -> Tensor:
    kernel, dtype, threads = _kernels()[a.dtype], a.dtype, thread_count()
    a, b = _side_by_side(_wide(a)), _side_by_side(_wide(b))
    (rows, height), width = a.shape, b.shape[1]
    made = torch.empty(height, width, dtype=a.dtype, device=a.device)
    if not rows:
        made.zero_()
    elif made.numel():
        memory = MEMORY.take(threads * kernel.workspace(width))
        numbers = _NUMBERS(rows, height, width, a.stride(0), b.stride(0), threads)
        kernel.total(numbers, a.data_ptr(), b.data_ptr(), made.data_ptr(), memory.data_ptr(), pool())
    return made.to(dtype)


def _wide(tensor: Tensor) -> Tensor:
    """Numbers of 16 bits in 32: they are rounded to 16 again when they are packed."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _side_by_side(rows: Tensor) -> Tensor:
    """The same rows, the numbers of each side by side."""
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


_SUFFIXES = {torch.float32: "f", torch.float64: "d", torch.bfloat16: "h"}
_NUMBERS = ctypes.c_long * 8
_FEW = 16  # rows: to pack a weight takes longer than their product
_MANY = 96  # rows of each thread: to pack a weight takes so little of the time that each may do it for itself
_MOST_PACKS = 8
_LARGE = 2**18  # multiply-adds: smaller products take no longer than to start a kernel


@dataclass(eq=False)
class _Pack:
    """A weight that is packed, and what it was then."""

    of: "weakref.ref[Tensor]"
    marks: Hashable
    memory: Tensor


class _Kernels:
    """The functions for one dtype, and the weights that are packed."""

    def __init__(self, library: ctypes.CDLL, suffix: str):
        pointer, size = ctypes.c_void_p, ctypes.c_long
        types: dict[str, tuple[list[Any], Any]] = {
            "packed": ([size] * 2, size),
            "workspace": ([size], size),
            "local_size": ([size] * 2, size),
            "holds": ([size, size, pointer, size, size, pointer], ctypes.c_int),
            "product": ([pointer] * 8, None),
            "total": ([pointer] * 6, None),
        }
        functions = {name: getattr(library, f"u_gemm_{name}_{suffix}") for name in types}
        for name, (arguments, result) in types.items():
            functions[name].argtypes, functions[name].restype = arguments, result
        self.size, self.workspace, self.local_size, self.holds, self.product, self.total = functions.values()
        self.keeps = suffix != "h"  # those are converted: another tensor each time
        self.packs: dict[int, _Pack] = {}

    def kept(self, b: Tensor) -> Tensor | None:
        """The matrix packed, if it is as it was then."""
        pack = self.packs.get(id(_base(b)))
        if pack is None or pack.of() is not _base(b) or pack.marks != _marks(b):
            return None
        # a write through .data, or by a fused optimizer, does not raise the version
        holds = self.holds(*b.shape, b.data_ptr(), *b.stride(), pack.memory.data_ptr())
        return pack.memory if holds else None

    def keep(self, b: Tensor, marks: Hashable, memory: Tensor) -> None:
        """Remember it; the oldest is forgotten."""
        place, packs = id(_base(b)), self.packs
        packs.pop(place, None)
        packs[place] = _Pack(weakref.ref(_base(b), lambda _: packs.pop(place, None)), marks, memory)
        for old in list(packs)[:-_MOST_PACKS]:
            packs.pop(old, None)


def _base(b: Tensor) -> Tensor:
    return b if b._base is None else b._base


def _marks(b: Tensor) -> Hashable:
    return b.data_ptr(), b._version, b.shape, b.stride()


_MADE: dict[Hashable, dict[torch.dtype, _Kernels]] = {}
"""By the settings of the machine: nothing where nothing can be compiled."""


def _kernels() -> dict[torch.dtype, _Kernels]:
    now = settings()
    found = _MADE.get(now)
    if found is None:
        try:
            library = load(source())
        except UnsupportedStep:
            found = {}
        else:
            found = {dtype: _Kernels(library, suffix) for dtype, suffix in _SUFFIXES.items()}
        _MADE[now] = found
    return found


def _has_kernel(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Whether a kernel can compute with such tensors; asked first, for who traces must not see sizes compared."""
    tracing = is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if tracing or a.dtype not in _SUFFIXES or torch._C._len_torch_dispatch_stack() or not is_plain_context():
        return False
    for tensor in (a, b) if bias is None else (a, b, bias):
        plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided and not tensor.is_neg()
        if not plain or tensor.dtype != a.dtype or tensor.device.type != "cpu":
            return False
    return bool(_kernels())


def _fits(inner: int, b: Tensor, bias: Tensor | None) -> bool:
    """Whether rows of so many numbers go with a matrix (K, N) and a bias; PyTorch says best what is wrong."""
    return b.dim() == 2 and inner == len(b) and (bias is None or bias.shape == b.shape[1:])
