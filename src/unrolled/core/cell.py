"""``Cell``: one time step of a recurrent network, written as its equation."""

from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError, InputTypeError
from .tree import Tree, leaves, map_tree, rebuild


class Cell(nn.Module):
    """One time step, ``(output, state) = step(x, state)``; ``Recurrent`` runs it over a sequence.

    A cell of one's own writes ``step`` in ordinary PyTorch. Its state starts at zeros whose sizes are its
    attribute ``state_size``, or else ``hidden_size``: an int n for a tensor (B, n), a ``torch.Size`` for
    more dimensions, or a (nested, named) tuple of these. For any other start, a learnable one too, override
    ``initial_state``. For random numbers override ``draw``; where a cell, or a module in it, has a probability
    ``weight_drop`` and a parameter ``weight_hh``, ``Recurrent`` drops elements of it in training, anew for each
    sequence.

    Shape:
        In ``step`` every tensor has the batch first: x (B, I), state (B, H), output (B, O), or
        (nested) tuples of such tensors. ``step`` keeps the state's structure, shapes and dtypes.

    Example:
        >>> class Leaky(Cell):
        ...     def __init__(self, input_size, hidden_size):
        ...         super().__init__()
        ...         self.hidden_size = hidden_size
        ...         self.inner = nn.Linear(input_size + hidden_size, hidden_size)
        ...     def step(self, x, h):
        ...         h = 0.9 * h + 0.1 * torch.tanh(self.inner(torch.cat([x, h], -1)))
        ...         return h, h
        >>> cell = Leaky(3, 4)
        >>> output, state = cell.step(torch.randn(2, 3), cell.initial_state(2))
        >>> state.shape
        torch.Size([2, 4])
    """

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tree:
        """The state before the first step, and after a reset: zeros, unless a cell overrides it.

        Args:
            batch_size: number of rows B.
            device: where to make it; by default where the cell's parameters are.
            dtype: by default that of the cell's parameters.

        Returns:
            A tensor (B, ...) or a tree of them.
        """
        like = first_floating(self)
        if like is not None:
            device, dtype = device or like.device, dtype or like.dtype

        size = getattr(self, "state_size", getattr(self, "hidden_size", None))
        if size is None:
            raise InputError(
                f"{type(self).__name__}: the size of its state is unknown. "
                "Set self.hidden_size or self.state_size, or override initial_state."
            )
        return _zeros(size, batch_size, type(self).__name__, device, dtype)

    def step(self, x: Tree, state: Tree, /) -> tuple[Tree, Tree]:
        """One time step: the equation of the cell.

        Args:
            x: input of this step, (B, I) or a tree; ``None`` for a cell without input.
            state: state before the step.

        Returns:
            The output of this step and the state after it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(x, state) -> (output, state).")

    def draw(self, steps: int, batch_size: int) -> Tree | None:
        """The random numbers of one sequence, drawn before it runs: none, unless a cell overrides it.

        A cell that draws defines ``step(x, state, noise=None)``: ``Recurrent`` calls ``draw`` once a sequence and
        gives each step its part, so that every backend has the same numbers of the same seed, and so has a step that
        is computed again for the way back. What it draws may depend on the cell's attributes only.

        Args:
            steps: number of steps T.
            batch_size: number of rows B.

        Returns:
            A tensor (T, B, ...) or a tree of them; None where nothing is to be drawn, as always in evaluation. A step
            whose ``noise`` is None computes as in evaluation.
        """
        return None

    def forward(self, x: Tree, state: Tree | None = None) -> tuple[Tree, Tree]:
        """``step``, from the initial state if none is given: the cell called as a module."""
        if state is None:
            if not isinstance(x, Tensor):
                raise InputError("state: expected a state, got None (it can be left out only where x is a tensor).")
            state = self.initial_state(x.shape[0])
        noise = self.draw(1, leaves(state)[0].shape[0])
        if noise is None:
            return self.step(x, state)
        step: Any = self.step  # of a cell that draws
        results: tuple[Tree, Tree] = step(x, state, map_tree(lambda leaf: leaf[0], noise))
        return results


def _zeros(size: Any, batch_size: int, name: str, device: torch.device | str | None, dtype: torch.dtype | None) -> Tree:
    if isinstance(size, torch.Size):
        return torch.zeros(batch_size, *size, device=device, dtype=dtype)
    if isinstance(size, tuple):
        return rebuild(size, [_zeros(part, batch_size, name, device, dtype) for part in size])
    if not isinstance(size, int):
        raise InputTypeError(
            f"{name}.state_size: expected an int, a torch.Size or a tuple of these, got {type(size).__name__}."
        )
    return torch.zeros(batch_size, size, device=device, dtype=dtype)


def first_floating(module: nn.Module) -> Tensor | None:
    """The first floating tensor among a module's parameters, or else its buffers; None if there is none.

    Found without ``parameters()``, whose walk over all modules takes longer than a short sequence.
    """
    for name in ("_parameters", "_buffers"):
        for part in module.modules():
            for tensor in getattr(part, name).values():
                if isinstance(tensor, Tensor) and tensor.is_floating_point():
                    return tensor
    return None
