"""The echo state network: a reservoir that is not trained, and a readout that ridge regression solves for."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..cells import EchoState
from ..core import InputError, Tree, at_least_1, valid_steps
from ..layers import Recurrent, unroll
from .ridge import RidgeReadout


class Reached(NamedTuple):
    """How far a sequence was read, window by window."""

    state: Tree  # (B, ...), of the cell
    seen: Tensor  # (B,), steps since each row's episode began


class EchoStateNetwork(nn.Module):
    """A fixed reservoir and a linear readout: y(t) = W_out [h(t); x(t)] + c.

    :meth:`fit` finds W_out and c by ridge regression in one pass over the data, without gradients: of one sequence, or
    of windows of one that need not fit into memory. :meth:`forward` runs the network, :meth:`generate` lets it go on by
    itself from its own outputs.

    Args:
        input_size: features I of x.
        hidden_size: units H of the reservoir.
        output_size: features O of y.
        ridge: weight of the penalty on W_out, as in :class:`RidgeReadout`.
        washout: the first steps of each row, and of each episode, from which nothing is learned, since the state
            still shows where it began.
        read_input: whether the readout reads x(t) too.
        bias: whether there is a c.
        cell: the reservoir itself, any cell whose output is one tensor (B, H); None for an
            :class:`unrolled.cells.EchoState` with the options in ``reservoir``.
        backend: as in :func:`unrolled.unroll`.
        **reservoir: options of :class:`unrolled.cells.EchoState`, such as ``spectral_radius`` and ``leak_rate``.

    Shape:
        x (T, B, I), y (T, B, O); state (B, H), or that of the cell; lengths (B,); mask and reset (T, B), bool.

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Jaeger 2001, The "echo state" approach to analysing and training recurrent neural networks, GMD report 148;
        Jaeger and Haas 2004, doi:10.1126/science.1091277; Lukoševičius 2012, doi:10.1007/978-3-642-35289-8_36.

    Example:
        >>> time = torch.arange(600, dtype=torch.float64)
        >>> wave = torch.sin(0.2 * time)[:, None, None]
        >>> model = EchoStateNetwork(1, 50, 1, washout=100, leak_rate=0.5).double()
        >>> model.fit(wave[:-1], wave[1:])
        >>> ahead, _ = model.generate(100, wave[:500])
        >>> bool((ahead - wave[500:]).abs().max() < 1e-2)
        True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        ridge: float = 1e-6,
        washout: int = 0,
        read_input: bool = True,
        bias: bool = True,
        cell: nn.Module | None = None,
        backend: str = "auto",
        **reservoir: Any,
    ):
        super().__init__()
        if cell is not None and reservoir:
            raise InputError(f"{', '.join(reservoir)}: expected no option of a reservoir beside a cell, got it too.")
        if washout:
            at_least_1(washout, "washout")
        self.washout, self.read_input = washout, read_input
        self.input_size, self.output_size = input_size, output_size
        self.reservoir = Recurrent(
            EchoState(input_size, hidden_size, **reservoir) if cell is None else cell, backend=backend
        )
        size = hidden_size + (input_size if read_input else 0)
        self.readout = RidgeReadout(size, output_size, ridge=ridge, bias=bias)

    def initial_state(self, batch_size: int) -> Tree:
        """The state before the first step."""
        return self.reservoir.initial_state(batch_size)

    def forward(
        self,
        x: Tensor,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """The outputs (T, B, O), 0 where a step is masked, and the state of the reservoir after the last step.

        Args:
            x: input.
            state: state before the first step.
            lengths: valid steps of each row.
            mask: True = valid.
            reset: True = an episode begins here.
        """
        valid = valid_steps(*x.shape[:2], lengths=lengths, mask=mask, device=x.device)
        features, state = self._features(x, state, valid, reset)
        outputs: Tensor = self.readout(features)
        return (outputs if valid is None else torch.where(valid[..., None], outputs, 0)), state

    def fit(
        self,
        x: Tensor | Iterable[Any],
        y: Tensor | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        window: int = 1000,
    ) -> None:
        """Solve for the readout that gives y of x; what was fitted before is forgotten.

        Args:
            x: one sequence (T, B, I); or windows of one, an iterable of pairs (x, y), each (T, B, ...), whose state is
                carried from one to the next and of which one at a time is held.
            y: targets (T, B, O) of the one sequence.
            lengths: steps of each row of the one sequence.
            mask: True = a step of it to read and to learn from.
            reset: True = an episode begins here; of one sequence.
            window: steps of one sequence whose states are held at a time.

        Raises:
            InputError: shapes that do not fit, no step to learn from, or an argument of one sequence beside windows.
        """
        if not isinstance(x, Tensor):
            beside = {"y": y, "lengths": lengths, "mask": mask, "reset": reset}  # never left out in silence
            for name, value in beside.items():
                if value is not None:
                    raise InputError(
                        f"{name}: expected None beside windows, got {type(value).__name__}. Targets belong into the "
                        "pairs; for windows with flags call partial_fit, then readout.solve."
                    )
        self.readout.forget()
        windows = x if not isinstance(x, Tensor) else self._windows(x, y, lengths, mask, reset, window)
        reached = None
        for given in windows:
            part = tuple(given)
            if len(part) not in (2, 4):
                raise InputError(f"x: expected windows that are pairs (x, y), got {len(part)} things.")
            read, target, *flags = part
            valid, restart = flags or (None, None)
            reached = self.partial_fit(read, target, reached, mask=valid, reset=restart)
        if not self.readout.rows:
            raise InputError(f"x: expected steps to learn from after washout = {self.washout} of each row, got none.")
        self.readout.solve()

    @torch.no_grad()
    def partial_fit(
        self,
        x: Tensor,
        y: Tensor,
        reached: Reached | None = None,
        *,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> Reached:
        """Read one window; ``model.readout.solve()`` after the last.

        Args:
            x: input (T, B, I) of this window.
            y: targets (T, B, O).
            reached: what the call for the window before returned; None: a sequence begins.
            mask: True = a step to read and to learn from.
            reset: True = an episode begins here.

        Returns:
            What to give with the next window.

        Raises:
            InputError: shapes that do not fit, or numbers that are not finite.
        """
        if not isinstance(y, Tensor) or y.shape[:2] != x.shape[:2]:
            got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise InputError(f"y: expected targets (T, B, O) with T, B = {tuple(x.shape[:2])} as in x, got {got}.")
        before = None if reached is None else reached.state
        features, state = self._features(x, before, mask, reset)
        valid = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask.to(x.device)
        seen = valid.new_zeros(x.shape[1], dtype=torch.long) if reached is None else reached.seen
        number, seen = _number_of_step(valid, reset, seen)
        self.readout.partial_fit(features, y, mask=valid & (number >= self.washout))
        return Reached(state, seen)

    @torch.no_grad()
    def generate(self, steps: int, x: Tensor, state: Tree | None = None) -> tuple[Tensor, Tree]:
        """Read x, and go on from there: each output is the next input.

        Args:
            steps: number of outputs to return; the first is the one at the last step of x.
            x: input (T, B, I), T at least 1.
            state: state before x.

        Returns:
            Outputs (steps, B, O), and the state that made the last of them; to go on, call again with
            ``outputs[-1:]`` and that state.

        Raises:
            InputError: output_size is not input_size.
        """
        if self.input_size != self.output_size:
            raise InputError(
                f"generate: expected output_size = input_size = {self.input_size}, since outputs become inputs, got "
                f"{self.output_size}."
            )
        steps = at_least_1(steps, "steps")
        read, state = self(x, state)
        first = read[-1]
        if steps == 1:
            return first[None], state
        outputs, (_, state) = unroll(
            self._closed, None, (first, state), steps=steps - 1, backend=self.reservoir.backend
        )
        return torch.cat([first[None], outputs]), state

    def _closed(self, _: None, before: tuple[Tensor, Tree]) -> tuple[Tensor, tuple[Tensor, Tree]]:
        """One step whose input is the output before: an autonomous system."""
        x, state = before
        h, state = self.reservoir.cell.step(x, state)
        features = torch.cat([h, x], -1) if self.read_input else h
        y = nn.functional.linear(features, self.readout.weight, self.readout.bias)
        return y, (y, state)

    def _features(
        self, x: Tensor, state: Tree | None, valid: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, Tree]:
        """What the readout reads at each step, and the state after the last."""
        hidden, state = self.reservoir(x, state, mask=valid, reset=reset)
        if not self.read_input:
            return hidden, state
        read = x if valid is None else torch.where(valid[..., None], x, 0)  # NaN in the padding reaches no gradient
        return torch.cat([hidden, read], -1), state

    def _windows(
        self, x: Tensor, y: Any, lengths: Any, mask: Tensor | None, reset: Tensor | None, window: int
    ) -> Iterable[Any]:
        """One sequence, cut in time."""
        if not isinstance(y, Tensor):
            raise InputError(f"y: expected targets (T, B, O) of the sequence x, got {type(y).__name__}.")
        if x.dim() != 3 or y.shape[:2] != x.shape[:2]:
            raise InputError(f"x, y: expected (T, B, I) and (T, B, O), got {tuple(x.shape)} and {tuple(y.shape)}.")
        window = at_least_1(window, "window")
        valid = valid_steps(*x.shape[:2], lengths=lengths, mask=mask, device=x.device)
        for start in range(0, len(x), window):
            times = slice(start, start + window)
            flags = (None if flag is None else flag[times] for flag in (valid, reset))
            yield x[times], y[times], *flags


def _number_of_step(valid: Tensor, reset: Tensor | None, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The number of each step in its episode (T, B), from 0, and that of the next (B,); masked steps do not count."""
    after = valid.long().cumsum(0)
    begin = -seen.expand_as(after)  # the number of its first step, counted from this window's
    if reset is not None:
        begin = torch.where(reset.to(valid.device) & valid, after - 1, begin).cummax(0).values
    return after - 1 - begin, after[-1] - begin[-1]
