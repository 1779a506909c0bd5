"""A cell with one mask of dropout for all steps of a sequence."""

from typing import Any

import torch
from torch import Tensor, nn

from ...core import InputError, Tree, leaves, unflatten
from .._options import masks_of, probability
from ._wrapper import Drawing, Probabilities, features, of_state, on_first, once


class VariationalDropout(Drawing):
    """Dropout whose masks are drawn once a sequence, and so are the same for all its steps.

    y(t) = m_y ỹ(t), with (ỹ(t), s(t)) the output and the state that the cell makes of m_x x(t) and m_s s(t-1)

    Entries of m are 0 with probability p and 1/(1-p) otherwise, one for each feature and row. In evaluation, and
    where p is 0, there is no m.

    Args:
        cell: any cell.
        input: probability of m_x.
        output: probability of m_y.
        state: probability of m_s, a number or a tuple of the state's structure, for an LSTM (of h, of c). It is
            meant for what enters products only, such as h of an LSTM or of a plain network. Where a cell passes its
            state on as it is, such as c of an LSTM or h of a GRU, the factor 1/(1-p) is applied anew at each step,
            and the state grows; such a cell has its own ``recurrent_dropout``.
        input_size: features of x, where the cell does not name them; of a tuple such as (x, Δt), of the first, which
            alone is masked.
        output_size: features of the output, where a step of the cell over zeros does not tell them.

    Shape:
        Those of the cell; a masked input is (B, I), a masked output one tensor (B, O).

    Raises:
        InputTypeError: ``cell`` is no cell.
        InputError: a probability outside [0, 1), a tuple of another structure, or sizes that are not known.

    Reference:
        Gal and Ghahramani 2016, arXiv:1512.05287.

    Example:
        >>> from unrolled import Recurrent
        >>> from unrolled.cells import LSTM
        >>> layer = Recurrent(VariationalDropout(LSTM(3, 5), input=0.2, output=0.2, state=(0.3, 0.0)))
        >>> outputs, _ = layer(torch.randn(20, 4, 3))
        >>> bool(((outputs == 0).all(0) == (outputs == 0).any(0)).all())  # a unit is dropped for all steps or for none
        True
    """

    def __init__(
        self,
        cell: nn.Module,
        *,
        input: float = 0.0,  # noqa: A002
        output: float = 0.0,
        state: Probabilities = 0.0,
        input_size: int | None = None,
        output_size: int | None = None,
    ):
        super().__init__(cell)
        self.of_input, self.of_output = probability(input, "input"), probability(output, "output")
        self.of_state, self.sizes = of_state(self.cell, state, "state")
        if self.of_input or (self.of_output and output_size is None):
            self.input_size = features(self.cell, input_size)
        self.output_size = output_size
        if self.of_output and output_size is None:
            self.output_size = _features_out(self.cell, self.input_size)

    def masks(self, steps: int, batch_size: int, like: Tensor) -> tuple[Tensor, ...]:
        """Those of a probability above 0: m_x (T, B, I), m_s (T, B, ...) of each tensor of the state, m_y (T, B, O)."""
        of_states = zip(self.of_state, self.sizes, strict=True)
        parts: Any = [(self.of_input, (self.input_size,)), *of_states, (self.of_output, (self.output_size,))]
        return tuple(once(p, steps, (batch_size, *size), like) for p, size in parts if p)

    def step(self, x: Tree, state: Tree, noise: Tree | None = None) -> tuple[Tree, Tree]:
        """One step: the cell's, of what is not dropped."""
        own, inside = ((), ()) if noise is None else noise
        of_x, *of_s, of_y = masks_of(own, (self.of_input, *self.of_state, self.of_output))
        if of_x is not None:
            x = on_first(lambda leaf: _masked(leaf, of_x), x)
        fed = unflatten(state, map(_masked, leaves(state), of_s))
        output, after = self.inside(x, fed, inside)
        return (output if of_y is None else _masked(output, of_y)), after


def _masked(v: Tensor, mask: Tensor | None) -> Tensor:
    return v if mask is None else v * mask.to(v.dtype)


def _features_out(cell: Any, input_size: Any) -> int:
    """Features of a cell's output, found by a step over zeros, of which nothing is left."""
    modes = {module: module.training for module in cell.modules()}
    cell.eval()
    like = next((t for t in (*cell.parameters(), *cell.buffers()) if t.is_floating_point()), torch.empty(0))
    output = None
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            output, _ = cell.step(like.new_zeros(1, input_size), cell.initial_state(1))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"output_size: expected a size, since a step over zeros does not tell it: {error}") from error
    finally:
        for module, training in modes.items():
            module.training = training
    if not isinstance(output, Tensor) or output.dim() != 2:
        raise InputError("output: expected a cell whose output is one tensor (B, O), to be masked. Use output=0.")
    return int(output.shape[-1])
