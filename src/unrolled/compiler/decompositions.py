"""Which of PyTorch's own decompositions a trace applies, so that few operations are left."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """Core aten's, and those that reduce the rest to arithmetic, products and sums."""
    from torch._decomp import core_aten_decompositions, get_decompositions

    aten = torch.ops.aten
    table: dict[Any, Callable[..., Any]] = dict(core_aten_decompositions())
    more = [getattr(aten, name) for name in MORE if hasattr(aten, name)]
    table.update(get_decompositions(more))
    table.update({getattr(getattr(aten, packet), overload): rule for (packet, overload), rule in OWN.items()})
    return table


MORE = (
    "gelu", "gelu_backward", "silu", "silu_backward", "elu", "elu_backward", "leaky_relu", "leaky_relu_backward",
    "hardtanh", "hardtanh_backward", "hardsigmoid", "hardsigmoid_backward", "hardswish", "hardswish_backward",
    "softplus", "softplus_backward", "mish", "mish_backward", "log_sigmoid_forward", "log_sigmoid_backward",
    "threshold", "threshold_backward", "softshrink", "hardshrink", "prelu", "_prelu_kernel", "celu", "selu", "relu6",
    "tanh_backward", "sigmoid_backward", "logit", "logit_backward", "sigmoid_", "sinc", "addcmul", "addcdiv", "lerp",
    "_softmax", "_softmax_backward_data", "_log_softmax", "_log_softmax_backward_data", "logsumexp", "softmax",
    "native_layer_norm", "native_layer_norm_backward", "_fused_rms_norm", "_fused_rms_norm_backward", "rms_norm",
    "native_group_norm", "native_group_norm_backward", "glu", "glu_backward",
    "native_dropout", "native_dropout_backward", "bernoulli",
    "mse_loss", "mse_loss_backward", "norm", "linalg_vector_norm", "dot", "trace", "diagonal_backward", "rot90",
    "t", "transpose", "split", "unbind", "rsub", "xlogy", "masked_fill", "masked_fill_", "isposinf", "isneginf",
    "std", "cosine_similarity", "linear", "hypot", "log10", "exp2", "frac", "deg2rad", "heaviside", "cumsum_backward",
    "value_selecting_reduction_backward", "triu", "tril", "roll", "special_expm1", "nan_to_num", "aminmax",
    "native_batch_norm_backward", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "im2col",
    "diag_embed", "fill", "zero", "copysign", "logaddexp", "logaddexp2",
)  # fmt: skip


def _axes(a: Tensor, dim: list[int] | None) -> list[int]:
    return [d % a.dim() for d in dim] if dim and a.dim() else list(range(a.dim()))


def _count(a: Tensor, axes: list[int]) -> int:
    return math.prod(a.shape[axis] for axis in axes)


def _mean(a: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    axes = _axes(a, dim)
    return torch.sum(a, axes, keepdim=keepdim, dtype=dtype) / _count(a, axes)


def _mean_of_all(a: Tensor, *, dtype: Any = None) -> Tensor:
    return _mean(a, dtype=dtype)


def _var(a: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    axes = _axes(a, dim)
    centred = a - _mean(a, axes, True)
    freedom = max(_count(a, axes) - (1 if correction is None else correction), 0)
    return torch.sum(centred * centred, axes, keepdim=keepdim) / freedom


def _var_mean(a: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    return _var(a, dim, correction=correction, keepdim=keepdim), _mean(a, dim, keepdim)


OWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("mean", "dim"): _mean,
    ("mean", "default"): _mean_of_all,
    ("var", "correction"): _var,
    ("var_mean", "correction"): _var_mean,
}
