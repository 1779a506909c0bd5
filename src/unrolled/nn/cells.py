"""``RNNCell``, ``LSTMCell`` and ``GRUCell``: torch's classes, a time step of which is one generated kernel.

With gradients a single step is left to torch, operation by operation: a kernel keeps what the way back needs for whole
sequences, and a loop over a cell gives it one step at a time.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import cells
from ..core import Tree, leaves, unflatten
from .arguments import sizes_of
from .bound import bound_of, is_tracing


class Cells(nn.RNNCellBase):
    """The part of a cell that torch does not have; it stands before torch's class among the bases."""

    _cell: ClassVar[Any]
    return_all_states: ClassVar[bool] = False

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002
        """One time step: torch's arguments and results.

        Args:
            input: (B, I) or (I,).
            hx: the state before it, (B, H) or (H,); of an LSTM a pair of them; by default zeros.

        Returns:
            The state after it, in torch's form.

        Raises:
            Exception: what torch raises.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or not _is_plain(input):
            return super().forward(input, hx)
        bound = bound_of(self)
        weights = bound.weights(self)
        rows = input.shape[:-1]
        state = None if hx is None else _state(hx, sizes_of(bound.cells[0]), (*rows, self.hidden_size), input.dtype)
        if input.shape[-1] != self.input_size or state == () or input.dtype != weights[0].dtype:
            return super().forward(input, hx)  # which says in its own words what is wrong
        ((layer,),) = bound.layers_with(weights, self.training)
        x = input if rows else input.unsqueeze(0)
        if not rows:
            state = state if state is None else unflatten(state, [leaf.unsqueeze(0) for leaf in leaves(state)])
        _, after = layer.step(x, layer.initial_state(len(x)) if state is None else state)
        made = leaves(after) if rows else [leaf.squeeze(0) for leaf in leaves(after)]
        return made[0] if len(made) == 1 else tuple(made)

    def make_cells(self) -> list[list[nn.Module]]:
        """The cell with parameters of its own."""
        return [[self._cell(self.input_size, self.hidden_size, self.bias, **self._cell_options())]]

    def _cell_options(self) -> dict[str, Any]:
        return {}

    def name_of(self, name: str, layer: int, direction: int) -> str:
        """In this module the name of the cell's parameter."""
        return name


def _is_plain(x: Any) -> bool:
    """Whether the input is on the CPU, of a form that torch takes, and nobody is tracing or casting."""
    is_here = type(x) is Tensor and x.device.type == "cpu" and x.dim() in (1, 2) and len(x) > 0
    return is_here and not torch._C._is_any_autocast_enabled() and not is_tracing()


def _state(hx: Any, sizes: Tree, shape: tuple[int, ...], dtype: torch.dtype) -> Tree:
    """A state in the form of the cell's; an empty tuple where it is not as torch wants it."""
    kinds = len(leaves(sizes))
    tensors = [hx] if kinds == 1 else hx
    if not isinstance(tensors, tuple | list) or len(tensors) != kinds:
        return ()
    for leaf in tensors:
        if type(leaf) is not Tensor or leaf.shape != shape or leaf.dtype != dtype or leaf.device.type != "cpu":
            return ()
    return unflatten(sizes, tensors)


class RNNCell(Cells, nn.RNNCell):
    """torch.nn.RNNCell: h' = σ(W_ih x + b_ih + W_hh h + b_hh), σ tanh or relu.

    Arguments, parameters, shapes and errors are torch's.

    Example:
        >>> import torch
        >>> RNNCell(3, 5)(torch.randn(4, 3)).shape
        torch.Size([4, 5])
    """

    _cell: ClassVar[Any] = cells.RNN

    def _cell_options(self) -> dict[str, Any]:
        return {"nonlinearity": self.nonlinearity}


class LSTMCell(Cells, nn.LSTMCell):
    """torch.nn.LSTMCell: one step of :class:`unrolled.cells.LSTM`.

    Arguments, parameters, shapes and errors are torch's.

    Example:
        >>> import torch
        >>> h, c = LSTMCell(3, 5)(torch.randn(4, 3))
        >>> h.shape, c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    _cell: ClassVar[Any] = cells.LSTM


class GRUCell(Cells, nn.GRUCell):
    """torch.nn.GRUCell: one step of :class:`unrolled.cells.GRU`.

    Arguments, parameters, shapes and errors are torch's.

    Example:
        >>> import torch
        >>> GRUCell(3, 5)(torch.randn(3)).shape
        torch.Size([5])
    """

    _cell: ClassVar[Any] = cells.GRU
