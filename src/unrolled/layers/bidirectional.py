"""``Bidirectional``: two cells over the same sequence, one from each end."""

from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, describe
from .recurrent import Recurrent

MERGES = ("concat", "sum")


class Bidirectional(nn.Module):
    """A forward and a backward layer, their outputs concatenated or summed.

    Args:
        forward_cell: the cell that runs from the first step to the last.
        backward_cell: the cell that runs from the last to the first.
        merge: ``"concat"``, outputs (T, B, 2 O), or ``"sum"``, outputs (T, B, O).
        batch_first, return_all_states, checkpoint_every, backend: as in :class:`Recurrent`.

    Shape:
        As :class:`Recurrent`; the state is a pair (forward, backward), each at its row's own end: for the
        backward cell that is the state after the row's first step. All states are a pair too.

    Reference:
        Schuster and Paliwal 1997, doi:10.1109/78.650093.
    """

    def __init__(
        self,
        forward_cell: nn.Module,
        backward_cell: nn.Module,
        *,
        merge: str = "concat",
        batch_first: bool = False,
        return_all_states: bool = False,
        checkpoint_every: int | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        if merge not in MERGES:
            raise InputError(f"merge: expected one of {', '.join(MERGES)}, got {merge!r}.")
        if forward_cell is backward_cell:
            raise InputError("backward_cell: expected a cell of its own, got the forward cell once more.")
        options: Any = {
            "batch_first": batch_first,
            "return_all_states": return_all_states,
            "checkpoint_every": checkpoint_every,
            "backend": backend,
        }
        self.ahead = Recurrent(forward_cell, **options)
        self.back = Recurrent(backward_cell, reverse=True, **options)
        self.merge = merge

    def initial_state(self, batch_size: int) -> tuple[Tree, Tree]:
        """The states before the first step of each direction."""
        return self.ahead.initial_state(batch_size), self.back.initial_state(batch_size)

    def forward(
        self,
        x: Tree,
        state: tuple[Tree, Tree] | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        broadcast_state: bool = False,
    ) -> tuple[Any, ...]:
        """Run both directions; the arguments mean what they mean in :class:`Recurrent`.

        Returns:
            Outputs, and the states of both directions; with ``return_all_states`` also those after every step.
        """
        if state is not None and not (isinstance(state, tuple) and len(state) == 2):
            raise InputError(f"state: expected a pair (forward, backward), or None, got {describe(state)}.")
        start_ahead, start_back = (None, None) if state is None else state
        options: Any = {"lengths": lengths, "mask": mask, "reset": reset, "broadcast_state": broadcast_state}
        ahead, *states_ahead = self.ahead(x, start_ahead, **options)
        back, *states_back = self.back(x, start_back, **options)
        if not isinstance(ahead, Tensor):
            raise InputTypeError(
                f"forward_cell: expected a cell whose output is one tensor, to {self.merge} it with the "
                f"backward cell's, got a {type(ahead).__name__}."
            )
        if self.merge == "sum" and ahead.shape != back.shape:
            raise InputError(
                f"merge: expected outputs of one shape to sum, got {tuple(ahead.shape)} forward and "
                f"{tuple(back.shape)} backward. Use merge='concat'."
            )
        merged = torch.cat([ahead, back], -1) if self.merge == "concat" else ahead + back
        return merged, *zip(states_ahead, states_back, strict=True)
