"""What is looked at: a cell's step, or a step function, with an example sequence."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Step, Tree, Unrolling, batch_size_of, settle
from ..layers import Recurrent
from ..layers.recurrent import initial_state_beside


def settled(cell: Any, x: Tree | None, state: Tree | None) -> tuple[str, Step, Unrolling]:
    """The step, its name, and the example sequence."""
    inner: Any = cell.cell if isinstance(cell, Recurrent) else cell
    has_both = all(callable(getattr(inner, name, None)) for name in ("step", "initial_state"))
    if not (isinstance(cell, nn.Module) and has_both):
        return _settled_step(cell, x, state)
    if x is None and state is None:
        x = _example_input(inner)
    if state is None:
        state = initial_state_beside(inner, batch_size_of(x), x)
    sizes = [f"{key}={getattr(inner, key)}" for key in ("input_size", "hidden_size") if hasattr(inner, key)]
    step: Step = inner.step
    return f"{type(inner).__name__}({', '.join(sizes)})", step, settle(x, state, steps=1 if x is None else None)


def _example_input(cell: Any) -> Tensor:
    size = getattr(cell, "input_size", None)
    if not isinstance(size, int):
        raise InputError(
            f"x: expected an example input (T, B, ...), since {type(cell).__name__} has no input_size, got None. "
            "(A cell without input needs an example state instead.)"
        )
    own = [*cell.parameters(), *cell.buffers()]
    like = next((tensor for tensor in own if tensor.is_floating_point()), torch.empty(0))
    return torch.zeros(1, 1, size, dtype=like.dtype, device=like.device, requires_grad=True)


def _settled_step(step: Any, x: Tree | None, state: Tree | None) -> tuple[str, Step, Unrolling]:
    if isinstance(step, type) or not callable(step) or isinstance(step, nn.Module):
        kind = f"the class {step.__name__}" if isinstance(step, type) else type(step).__name__
        raise InputTypeError(f"cell: expected a cell, or a step function (x, state) -> (output, state), got {kind}.")
    if state is None:
        raise InputError("state: expected an example state (B, ...) with a step function, got None.")
    function: Step = step
    return getattr(step, "__name__", type(step).__name__), function, settle(x, state, steps=1 if x is None else None)
