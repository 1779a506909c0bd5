"""``Stack``: layers of any cell, one above the other."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, describe, run_reference, select, settle, valid_steps
from .bidirectional import Bidirectional
from .recurrent import Recurrent, swap_time_and_batch, time_first


class Stack(nn.Module):
    """Layers of recurrent cells: the outputs of each are the inputs of the next.

    Args:
        cells: a factory ``(input_size) -> cell`` (give ``input_size`` and ``num_layers`` too), or a list of
            cells, one a layer; for both directions a list of pairs (forward cell, backward cell).
        input_size: features I of the input, for a factory.
        num_layers: number of layers, for a factory.
        bidirectional: run each layer in both directions.
        merge: of the two directions' outputs, ``"concat"`` or ``"sum"``.
        dropout: probability of zeroing an output between two layers, in training.
        residual: add a layer's input to its output, wherever both have the same size.
        batch_first, return_all_states, checkpoint_every, backend: as in :class:`Recurrent`.

    Shape:
        x (T, B, I), outputs (T, B, O); the state is a tuple with one entry a layer, each the cell's own
        state, for both directions a pair of them. All states likewise.

    Raises:
        InputError: a size or an option is not as above.

    Example:
        >>> from unrolled.cells import LSTM
        >>> stack = Stack(lambda size: LSTM(size, 16), 8, 2, bidirectional=True, dropout=0.1)
        >>> outputs, state = stack(torch.randn(20, 4, 8))
        >>> outputs.shape, len(state)
        (torch.Size([20, 4, 32]), 2)
    """

    def __init__(
        self,
        cells: Callable[[int], nn.Module] | Sequence[Any],
        input_size: int | None = None,
        num_layers: int | None = None,
        *,
        bidirectional: bool = False,
        merge: str = "concat",
        dropout: float = 0.0,
        residual: bool = False,
        batch_first: bool = False,
        return_all_states: bool = False,
        checkpoint_every: int | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise InputError(f"dropout: expected a probability from 0 to 1, got {dropout!r}.")
        self.batch_first = batch_first
        self.bidirectional = bidirectional
        self.residual = residual
        self.dropout = nn.Dropout(dropout)
        self._last_input_size: int | None = None  # of the last layer

        options: Any = {
            "return_all_states": return_all_states,
            "checkpoint_every": checkpoint_every,
            "backend": backend,
        }

        def layer(made: Any) -> nn.Module:
            if not bidirectional:
                return Recurrent(made, **options)
            if not (isinstance(made, tuple | list) and len(made) == 2):
                raise InputError(
                    "cells: expected pairs (forward cell, backward cell) with bidirectional=True, "
                    f"got {type(made).__name__}."
                )
            return Bidirectional(*made, merge=merge, **options)

        if isinstance(cells, Sequence | nn.ModuleList):
            if not len(cells):
                raise InputError("cells: expected at least one cell, got an empty list.")
            if num_layers not in (None, len(cells)):
                raise InputError(f"num_layers: expected {len(cells)}, one a cell of the list, got {num_layers}.")
            self.layers = nn.ModuleList(layer(made) for made in cells)
            return
        if not callable(cells) or isinstance(cells, nn.Module):
            raise InputTypeError(
                f"cells: expected a factory (input_size) -> cell or a list, got {type(cells).__name__}."
            )
        if not (isinstance(input_size, int) and isinstance(num_layers, int) and min(input_size, num_layers) > 0):
            raise InputError(
                "input_size, num_layers: expected whole numbers of at least 1 with a factory of cells, "
                f"got {input_size!r} and {num_layers!r}."
            )
        self.layers = nn.ModuleList()
        for depth in range(num_layers):
            if depth:
                input_size = _output_size(self.layers[-1], input_size)
            self.layers.append(layer((cells(input_size), cells(input_size)) if bidirectional else cells(input_size)))
        self._last_input_size = input_size

    @property
    def output_size(self) -> int | None:
        """Features of the outputs; None for a stack of a list of cells, whose input size is not known."""
        return _output_size(self.layers[-1], self._last_input_size) if self._last_input_size else None

    def initial_state(self, batch_size: int) -> tuple[Tree, ...]:
        """The state before the first step: every layer's own."""
        return tuple(layer.initial_state(batch_size) for layer in self.layers)  # type: ignore[operator]

    def forward(
        self,
        x: Tensor,
        state: tuple[Tree, ...] | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        broadcast_state: bool = False,
    ) -> tuple[Any, ...]:
        """Run every layer; the arguments mean what they mean in :class:`Recurrent`.

        Returns:
            The last layer's outputs, and every layer's state; with ``return_all_states`` also every layer's states
            after every step.
        """
        if not isinstance(x, Tensor):
            raise InputTypeError(f"x: expected a tensor, got {type(x).__name__}.")
        if x.dim() < 2:
            order = "(B, T, ...)" if self.batch_first else "(T, B, ...)"
            raise InputError(f"x: expected {order}, got {tuple(x.shape)}.")
        state = self._states(state)
        if self.batch_first:
            x, mask, reset = time_first(x, mask, reset)
        valid = valid_steps(*x.shape[:2], lengths=lengths, mask=mask, device=x.device)
        of_layers = []  # of each: its state, and maybe its states
        for depth, layer in enumerate(self.layers):
            if depth:
                x = self.dropout(x)
            outputs, *states = layer(x, state[depth], mask=valid, reset=reset, broadcast_state=broadcast_state)
            if self.residual and outputs.shape == x.shape:
                outputs = outputs + x
                if valid is not None:  # what stands in the padding of x must not come back in
                    outputs = select(valid, outputs, torch.zeros_like(outputs))
            x = outputs
            of_layers.append(states)
        ends, *every = zip(*of_layers, strict=True)
        if not self.batch_first:
            return x, ends, *every
        return x.transpose(0, 1), ends, *map(swap_time_and_batch, every)

    def step(self, x: Tensor, state: tuple[Tree, ...] | None = None) -> tuple[Tensor, tuple[Tree, ...]]:
        """One time step through every layer, as :meth:`Recurrent.step`: x (B, I), output (B, O).

        Raises:
            InputError: there are layers that run from the last step to the first; and as :meth:`forward`.
        """
        if self.bidirectional:
            raise InputError(
                "step: expected layers that run forward in time, got bidirectional=True; those need all of x."
            )
        if not isinstance(x, Tensor):
            raise InputTypeError(f"x: expected a tensor, got {type(x).__name__}.")
        ends = []
        for depth, (layer, before) in enumerate(zip(self.layers, self._states(state), strict=True)):
            if depth:
                x = self.dropout(x)
            output, end = layer.step(x, before)  # type: ignore[operator]
            x = output + x if self.residual and output.shape == x.shape else output
            ends.append(end)
        return x, tuple(ends)

    def _states(self, state: tuple[Tree, ...] | None) -> tuple[Tree, ...]:
        """One state a layer; None of a layer that starts from its initial state."""
        return state_of_each(state, len(self.layers), "layers")

    def extra_repr(self) -> str:
        """The options that the layers themselves do not show."""
        return f"bidirectional={self.bidirectional}, residual={self.residual}, batch_first={self.batch_first}"


def state_of_each(state: tuple[Tree, ...] | None, count: int, name: str) -> tuple[Tree, ...]:
    """One state for each of so many parts; None of a part that starts from its initial state.

    Raises:
        InputError: there are more or fewer.
    """
    if state is None:
        return (None,) * count
    if not isinstance(state, tuple) or len(state) != count:
        raise InputError(
            f"state: expected a tuple with one state for each of the {count} {name}, got {describe(state)}."
        )
    return state


def _output_size(layer: Any, input_size: int) -> int:
    """Features of a layer's outputs, found by running one step of its cells (which leaves no trace: the random
    state is put back, and nothing learns from this step as a batch norm would in training).
    """
    if isinstance(layer, Bidirectional):
        sizes = [_output_size(direction, input_size) for direction in (layer.ahead, layer.back)]
        return sum(sizes) if layer.merge == "concat" else sizes[0]
    like = next(layer.parameters(), torch.empty(0))
    modes = {module: module.training for module in layer.modules()}
    layer.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        x = torch.zeros(1, 1, input_size, device=like.device, dtype=like.dtype)
        outputs, _ = run_reference(layer.cell.step, settle(x, layer.initial_state(1)))
    for module, training in modes.items():
        module.training = training
    if not isinstance(outputs, Tensor):
        raise InputTypeError("cells: expected cells whose output is one tensor, to feed the next layer, got a tuple.")
    return int(outputs.shape[-1])
