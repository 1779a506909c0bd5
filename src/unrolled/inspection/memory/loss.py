"""The loss at the last step, where the user names none: a fixed projection of the model's output there."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...core import InputError, select
from .watch import Trajectory


def last_and_first(result: Any, found: Sequence[Trajectory], *, batch_first: bool) -> tuple[Tensor, Tensor]:
    """The loss at each row's last step, and that at its first, where a layer ends that runs from the last to the first.

    Of an output for a whole sequence both are the same.

    Args:
        result: what the model returned; its first tensor is the output.
        found: the sequences that ran in it.
        batch_first: what to take for the batch, where the sizes do not tell.
    """
    output = _first_tensor(result)
    if output is None or not output.is_floating_point():
        raise InputError(
            f"loss: expected a model whose output begins with a tensor of numbers, got {type(result).__name__}; "
            "give loss, a function from what the model returns to a scalar."
        )
    if output.dim() == 0:
        return output, output
    for seen in reversed(found):
        laid = _time_first(output, seen, batch_first)
        if laid is not None:
            assert seen.valid is not None
            valid = (seen.valid.flip(0) if seen.reverse else seen.valid).to(output.device)
            last = (valid.long() * torch.arange(1, len(valid) + 1, device=valid.device).unsqueeze(1)).argmax(0)
            return _projected(laid, last, valid), _projected(laid, valid.long().argmax(0), valid)
        if output.shape[0] == seen.rows:
            value = _sum(output)
            return value, value
    shapes = ", ".join(f"({seen.steps}, {seen.rows})" for seen in found[:4])
    raise InputError(
        f"loss: expected an output (T, B, ...), (B, T, ...) or (B, ...), with (T, B) that of a layer ({shapes}), got "
        f"{tuple(output.shape)}; give loss, a function from what the model returns to a scalar."
    )


def _time_first(output: Tensor, seen: Trajectory, batch_first: bool) -> Tensor | None:
    """An output of each step as (T, B, ...); None of any other."""
    steps, rows, shape = seen.steps, seen.rows, tuple(output.shape[:2])
    if output.dim() == 2 and shape[0] == rows and rows != 1:
        return None
    ways = [output] if shape == (steps, rows) else []
    ways += [output.transpose(0, 1)] if shape == (rows, steps) else []
    if ways:
        return ways[-1] if batch_first else ways[0]
    return output.unsqueeze(1) if rows == 1 and shape[0] == steps else None  # of input without a batch


def _projected(output: Tensor, time: Tensor, valid: Tensor) -> Tensor:
    """The sum over the rows that have steps of a projection of one output each."""
    chosen = output[time, torch.arange(output.shape[1], device=output.device)]
    return _sum(select(valid.any(0), chosen, torch.zeros_like(chosen)))


def _sum(rows: Tensor) -> Tensor:
    """A fixed random projection of rows (B, ...), summed. A plain sum would be blind to what a softmax gives."""
    if rows.dim() == 1:
        return rows.sum()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(rows.shape[1:], generator=generator, dtype=torch.float64).to(rows)
    return (rows * direction).sum()


def _first_tensor(result: Any) -> Tensor | None:
    if isinstance(result, Tensor):
        return result
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, tuple | list) else ()
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)
