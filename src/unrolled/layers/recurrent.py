"""``Recurrent``: a cell run over a sequence, as a module."""

from typing import Any

from torch import Tensor, is_grad_enabled, nn
from torch.compiler import is_compiling
from torch.nn.utils.rnn import PackedSequence

from ..core import (
    InputError,
    InputTypeError,
    Tree,
    at_least_1,
    batch_of,
    batch_size_of,
    first_floating,
    leaves,
    map_tree,
    named_leaves,
    valid_steps,
)
from .all_states import hold, with_states
from .regularization import draw
from .streaming import SEQUENCES, STEPS, note_usual
from .unroll import check_backend, unroll


class Recurrent(nn.Module):
    """A layer: s(t), y(t) = cell.step(x(t), s(t-1)) for every step of a sequence.

    Args:
        cell: a :class:`unrolled.Cell`, or any module with ``step`` and ``initial_state``.
        reverse: from the last step to the first; outputs stay in the order of the input.
        batch_first: x, outputs, mask and reset are (B, T, ...) instead of (T, B, ...). States never change.
        return_all_states: a call returns a third thing, the state after every step. An option of the layer, not
            of a call, so that what a layer returns is always the same; to look into a layer that exists, set
            the attribute or make ``Recurrent(layer.cell, return_all_states=True)``, which shares the weights.
        checkpoint_every, backend: as in :func:`unrolled.unroll`.

    Shape:
        x (T, B, I), or a tree of (T, B, ...); state (B, H), or the cell's tree; lengths (B,); mask and
        reset (T, B), bool. Outputs (T, B, O). All states: the cell's tree of (T, B, ...), in the order of
        time; with ``batch_first``, as they have a time, (B, T, ...).

    Example:
        >>> import torch
        >>> from unrolled.cells import GRU
        >>> layer = Recurrent(GRU(3, 5), batch_first=True)
        >>> outputs, state = layer(torch.randn(2, 7, 3), lengths=torch.tensor([7, 4]))
        >>> outputs.shape, state.shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        cell: nn.Module,
        *,
        reverse: bool = False,
        batch_first: bool = False,
        return_all_states: bool = False,
        checkpoint_every: int | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        has_both = callable(getattr(cell, "step", None)) and callable(getattr(cell, "initial_state", None))
        if not (isinstance(cell, nn.Module) and has_both):
            raise InputTypeError(
                f"cell: expected a Cell, with step and initial_state, got {type(cell).__name__}. "
                "For a plain function use unrolled.unroll."
            )
        check_backend(backend)
        if checkpoint_every is not None:
            checkpoint_every = at_least_1(checkpoint_every, "checkpoint_every")
        self.cell: Any = cell
        self.reverse = reverse
        self.batch_first = batch_first
        self.return_all_states = return_all_states
        self.checkpoint_every = checkpoint_every
        self.backend = backend

    def initial_state(self, batch_size: int) -> Tree:
        """The state before the first step: the cell's own."""
        return self.cell.initial_state(batch_size)

    def forward(
        self,
        x: Tree | None,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        steps: int | None = None,
        broadcast_state: bool = False,
    ) -> tuple[Tree, ...]:
        """Run the sequence; the arguments' meaning and the errors are those of :func:`unrolled.unroll`.

        Args:
            x: input, or None for a cell without input (then give ``steps`` and ``state``).
            state: state before the first step, by default ``cell.initial_state(B)``.
            lengths: valid steps of each row.
            mask: True = valid.
            reset: True = an episode begins here, from ``cell.initial_state(B)``.
            steps: number of steps, for a cell without input.
            broadcast_state: start every row from the one row of ``state``.

        Returns:
            Outputs, and each row's state after its own last valid step; with ``return_all_states`` also the
            states after every step, where a step is masked the state that is held.
        """
        plain = lengths is None and mask is None and reset is None and isinstance(x, Tensor)
        made = None  # of the initial state
        plain = plain and not (is_compiling() or self.return_all_states or self.checkpoint_every)
        if plain and id(self) in SEQUENCES and steps is None:
            found, made = self._again(x, state)
            if found is not None:
                return found
        if isinstance(x, PackedSequence):
            raise InputTypeError(
                "x: expected a padded tensor, got a PackedSequence. "
                "Use torch.nn.utils.rnn.pad_packed_sequence, which gives x and lengths."
            )
        if self.batch_first:
            x, mask, reset = time_first(x, mask, reset)
        if x is not None:
            self._check_features(x)
        start, reset_state = state, None
        if state is None or reset is not None:
            reset_state = self._initial_state(x, state) if made is None else made
            if plain:  # as it is given to who runs it again
                reset_state = map_tree(Tensor.contiguous, reset_state)
            start = reset_state if state is None else state
        if state is not None:
            start = of_every_row(start, x, broadcast=broadcast_state)
        drawn = draw(self.cell, x, start, steps)
        outputs, end = unroll(
            with_states(self, drawn.step) if self.return_all_states else drawn.step,
            drawn.x,
            start,
            steps=drawn.steps,
            lengths=lengths,
            mask=mask,
            reset=reset,
            reset_state=reset_state,
            reverse=self.reverse,
            checkpoint_every=self.checkpoint_every,
            backend=self.backend,
        )
        if plain and not drawn.at_random:
            note_usual(self, x, start, single=False)
        if not self.return_all_states:
            return (swap_time_and_batch(outputs) if self.batch_first else outputs), end
        outputs, states = outputs
        first = leaves(states)[0]
        valid = valid_steps(*first.shape[:2], lengths=lengths, mask=mask, device=first.device)
        states = hold(states, start, valid, self.reverse)
        if self.batch_first:
            outputs, states = swap_time_and_batch(outputs), swap_time_and_batch(states)
        return outputs, end, states

    def step(self, x: Tree | None, state: Tree | None = None) -> tuple[Tree, Tree]:
        """One time step, for sequences that come bit by bit: the same as :meth:`forward` with T = 1.

        Args:
            x: input of this step, (B, I) or a tree of (B, ...) whatever ``batch_first`` says; or None.
            state: state before the step, by default ``cell.initial_state(B)``.

        Returns:
            The output (B, O) of this step and the state after it, to be passed to the next.

        Raises:
            InputError: the layer runs from the last step to the first; and as :meth:`forward`.

        Example:
            >>> import torch
            >>> from unrolled.cells import GRU
            >>> layer, x = Recurrent(GRU(3, 5)), torch.randn(7, 2, 3)
            >>> state = None
            >>> for t in range(7):
            ...     output, state = layer.step(x[t], state)
            >>> torch.allclose(output, layer(x)[0][-1])
            True
        """
        if is_grad_enabled() or state is None or is_compiling():
            return self._usual_step(x, state)
        for again in STEPS.get(id(self), ()):
            found: tuple[Tree, Tree] | None = again(self.__dict__, x, state)
            if found is not None:
                return found
        return self._usual_step(x, state, note=True)

    def _again(self, x: Any, state: Tree | None) -> tuple[tuple[Tree, Tree] | None, Tree | None]:
        """A whole sequence by a function that was made for just such; None: go the usual way. The initial state, if
        it was made: it may draw random numbers, and so is asked for once.
        """
        made = None
        if x.dim() < 2:
            return None, made
        if self.batch_first:
            x = x.transpose(0, 1).contiguous()
        if state is None:
            state = made = map_tree(Tensor.contiguous, initial_state_beside(self.cell, x.shape[1], x))
        for again in SEQUENCES[id(self)]:
            found: tuple[Tree, Tree] | None = again(self.__dict__, x, state)
            if found is not None:
                return ((swap_time_and_batch(found[0]), found[1]) if self.batch_first else found), made
        return None, made

    def _usual_step(self, x: Tree | None, state: Tree | None, *, note: bool = False) -> tuple[Tree, Tree]:
        """One time step as a sequence of one; ``note``: so that calls like it go a shorter way."""
        if self.reverse:
            raise InputError("step: expected a layer that runs forward in time, got reverse=True; it needs all of x.")
        whole = None
        if x is not None:
            for name, leaf in named_leaves(x, "x"):
                if leaf.dim() == 0:
                    raise InputError(f"{name}: expected the batch first, (B, ...), got a scalar.")
            whole = map_tree(lambda leaf: leaf.unsqueeze(0), x)
            self._check_features(whole, "(B, I)")
        start = self._initial_state(whole, None) if state is None else state
        drawn = draw(self.cell, whole, start, 1 if x is None else None)
        outputs, end = unroll(drawn.step, drawn.x, start, steps=drawn.steps, backend=self.backend)
        if note and not drawn.at_random:
            note_usual(self, x, start, single=True)
        return map_tree(lambda leaf: leaf.squeeze(0), outputs), end

    def _initial_state(self, x: Tree | None, given: Tree | None) -> Tree:
        """The cell's initial state, of as many rows as the input (or the state that was given) has."""
        if x is None and given is None:
            raise InputError("state: expected a state, since there is no input x to tell the batch size, got None.")
        if is_compiling() and isinstance(x, Tensor) and x.dim() > 1:
            return initial_state_beside(self.cell, x.shape[1], x)  # a size that is no number yet stays open
        batch_size, followed = (batch_of(given)[0], given) if x is None else (batch_size_of(x), x)
        return initial_state_beside(self.cell, batch_size, followed)

    def _check_features(self, x: Tree, order: str = "") -> None:
        """Require (T, B, I) of a cell that says its ``input_size``; without the batch, x would broadcast."""
        size = getattr(self.cell, "input_size", None)
        is_features = isinstance(x, Tensor) and x.dim() in (2, 3) and x.is_floating_point()
        if isinstance(size, int) and is_features and (x.dim() == 2 or x.shape[-1] != size):
            shape = tuple(x.shape[1:] if order else x.transpose(0, 1).shape if self.batch_first else x.shape)
            order = order or ("(B, T, I)" if self.batch_first else "(T, B, I)")
            raise InputError(f"x: expected {order} with I = input_size = {size}, got {shape}.")

    def extra_repr(self) -> str:
        """The options that differ from the defaults."""
        names = ("reverse", "batch_first", "return_all_states", "checkpoint_every")
        options = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        return ", ".join([*options, f"backend={self.backend!r}"])


def of_every_row(state: Tree, x: Tree | None, *, broadcast: bool) -> Tree:
    """The state before the first step, one row of it expanded to those of the input (T, B, ...), where it is wanted.

    Raises:
        InputError: it has one row, the input has others, and it is not wanted; or there is no input.
    """
    if x is None and broadcast:
        raise InputError("broadcast_state: expected an input x, which tells the number of rows, got None.")
    named, parts = ([], []) if x is None else (named_leaves(x, "x"), named_leaves(state, "state"))
    is_one_row = bool(parts) and all(part.dim() and part.shape[0] == 1 for _, part in parts)
    if not (named and is_one_row) or named[0][1].dim() < 2 or named[0][1].shape[1] == 1:
        return state
    name, first = named[0]
    if not broadcast:
        raise InputError(
            f"{name}: expected (T, B, ...) with B = 1 as in state, got {tuple(first.shape)} as (T, B, ...). "
            "Use broadcast_state=True to start every row from that one state."
        )
    return map_tree(lambda part: part.expand(first.shape[1], *part.shape[1:]), state)


def initial_state_beside(cell: Any, batch_size: int, followed: Tree) -> Tree:
    """The initial state of a cell; where it has no floating tensor of its own, in the dtype of the tree it follows."""
    state = cell.initial_state(batch_size)
    if first_floating(cell) is not None:
        return state
    tensors = leaves(followed)
    like = next((leaf for leaf in tensors if leaf.is_floating_point()), tensors[0])

    def follow(s: Tensor) -> Tensor:
        both_float = s.is_floating_point() and like.is_floating_point()
        return s.to(like.device, like.dtype if both_float else s.dtype)

    return map_tree(follow, state)


def time_first(x: Tree, mask: Any, reset: Any) -> tuple[Tree, Any, Any]:
    """The arguments of a ``batch_first`` layer, (B, T, ...), with time first.

    Raises:
        InputError: they differ in B or T, told in the order in which they were given.
        InputTypeError: x is not a tensor or a (nested) tuple of tensors.
    """
    named = [] if x is None else named_leaves(x, "x")
    named += [(name, v) for name, v in (("mask", mask), ("reset", reset)) if isinstance(v, Tensor)]
    for name, leaf in named:
        if leaf.dim() < 2:
            raise InputError(f"{name}: expected (B, T, ...) with batch_first=True, got {tuple(leaf.shape)}.")
        if leaf.shape[:2] != named[0][1].shape[:2]:
            raise InputError(
                f"{name}: expected (B, T) = {tuple(named[0][1].shape[:2])} with batch_first=True, "
                f"as in {named[0][0]}, got {tuple(leaf.shape[:2])}."
            )
    x = None if x is None else swap_time_and_batch(x)
    mask, reset = (v.transpose(0, 1) if isinstance(v, Tensor) else v for v in (mask, reset))
    return x, mask, reset


def swap_time_and_batch(tree: Tree) -> Tree:
    """(B, T, ...) to (T, B, ...) and back, for every tensor of a tree."""
    return map_tree(lambda leaf: leaf.transpose(0, 1), tree)
