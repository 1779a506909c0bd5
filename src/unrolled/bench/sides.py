"""One side of a comparison: what is timed, and what it computed, by names that all sides share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Named = dict[str, Tensor]
Forward = Callable[[Tensor, dict[str, Tensor], dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Side:
    """A library with one problem, ready to run.

    Args:
        name: as the table shows it.
        run: computes everything once; this is what is timed.
        named: what a run returned, as tensors: ``outputs``, ``last h``, ``gradient of weight_ih``.
        pool: whose threads it runs on; another's may still be spinning when it is this side's turn.
    """

    name: str
    run: Callable[[], Any]
    named: Callable[[Any], Named]
    pool: str = "torch"


def torch_side(name: str, forward: Callable[[], tuple[Tensor, Named]], wanted: Named, d_outputs: Tensor | None) -> Side:
    """A side that computes with PyTorch: ``forward`` gives the outputs and the last state.

    Args:
        name: see :class:`Side`.
        forward: one way forward, from tensors that it holds.
        wanted: the tensors whose gradients are wanted, which require gradients.
        d_outputs: the gradient of the loss with respect to the outputs; None: inference.
    """
    if d_outputs is None:

        def run() -> Any:
            with torch.no_grad():
                return (*forward(), ())
    else:

        def run() -> Any:
            outputs, last = forward()
            return outputs, last, torch.autograd.grad(outputs, list(wanted.values()), d_outputs, allow_unused=True)

    def named(result: Any) -> Named:
        outputs, last, gradients = result
        found = {"outputs": outputs, **{f"last {key}": value for key, value in last.items()}}
        for (key, value), gradient in zip(wanted.items(), gradients, strict=bool(gradients)) if gradients else ():
            found[f"gradient of {key}"] = torch.zeros_like(value) if gradient is None else gradient
        return {key: value.detach() for key, value in found.items()}

    return Side(name, run, named)


def copied(tensors: Mapping[str, Tensor], training: bool) -> Named:
    """Tensors of one's own, which require gradients for training."""
    return {key: value.detach().clone().requires_grad_(training) for key, value in tensors.items()}
