"""The network whose parts run at different clocks."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import Nonlinearity, check_sizes, named, weight


class ClockworkState(NamedTuple):
    """What a clockwork carries from step to step."""

    h: Tensor  # (B, H), the output
    t: Tensor  # (B, 1), the number of the row's next step, counted from 0


class ClockworkRNN(Cell):
    """Groups of units, each computed in every P-th step only, and else kept as it is.

    h_k(t) = φ(W_ih x(t) + Σ over j with P_j ≥ P_k of W_hh,kj h_j(t-1) + b)    where t mod P_k = 0
    h_k(t) = h_k(t-1)                                                         elsewhere

    A group is fed by itself and by the slower ones. Step t = 0, at which all groups are computed, is the first one, and
    the first after a reset: each row has its own count, which is part of the state. It begins anew after a
    common multiple of all periods, so it is exact however long a sequence is.

    Args:
        input_size: features I of x.
        hidden_size: features H of h, shared out among the groups in the order of ``periods``, the first ones having
            one more where H is no multiple.
        periods: P of each group; by default 1, 2, 4 ..., up to 128 or as many as there are units.
        nonlinearity: φ, a name or any function of a tensor.
        bias: whether there is b.

    Shape:
        x (B, I), state h (B, H) and t (B, 1), output h (B, H); weight_ih (H, I), weight_hh (H, H), of which the blocks
        from faster to slower groups are not used and have no gradient.

    Units:
        Periods are in steps.

    Raises:
        InputError: a size or a period below 1, more groups than units, or an unknown nonlinearity.

    Reference:
        Koutník et al. 2014, A clockwork RNN, arXiv:1402.3511.

    Example:
        >>> cell = ClockworkRNN(3, 4, periods=(1, 3))
        >>> state = cell.initial_state(1)
        >>> for t in range(4):
        ...     before, (h, state) = state.h, cell.step(torch.randn(1, 3), state)
        ...     print((h != before).int().tolist())
        [[1, 1, 1, 1]]
        [[1, 1, 0, 0]]
        [[1, 1, 0, 0]]
        [[1, 1, 1, 1]]
    """

    periods: Tensor
    connected: Tensor
    cycle: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: Sequence[int] | None = None,
        nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        periods = tuple(2**k for k in range(min(8, hidden_size))) if periods is None else tuple(periods)
        for period in periods:
            check_sizes(period=period)
        if not 1 <= len(periods) <= hidden_size:
            raise InputError(f"periods: expected 1 to hidden_size = {hidden_size} of them, got {len(periods)}.")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_size = ClockworkState(h=hidden_size, t=1)  # type: ignore[arg-type]
        self.clocks = periods
        self.phi = named(nonlinearity)
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size, hidden_size)
        self.bias = weight(hidden_size) if bias else None
        self.register_buffer("periods", torch.empty(hidden_size))
        self.register_buffer("connected", torch.empty(hidden_size, hidden_size))
        self.register_buffer("cycle", torch.empty(1))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As in the paper: all normal with standard deviation 0.1. The clocks, which are buffers, are set too."""
        self.cycle.fill_(math.lcm(*self.clocks))
        each, longer = divmod(self.hidden_size, len(self.clocks))  # the first groups have one more
        of_unit = [p for k, p in enumerate(self.clocks) for _ in range(each + (k < longer))]
        self.periods.copy_(torch.tensor(of_unit, device="cpu"))
        self.connected.copy_(self.periods[:, None] <= self.periods)
        for parameter in self.parameters(recurse=False):
            nn.init.normal_(parameter, std=0.1)

    def step(self, x: Tensor, state: ClockworkState) -> tuple[Tensor, ClockworkState]:
        """One step: h(t), (h(t), t + 1)."""
        h, t = state
        t = torch.floor(t)  # a whole number already; floor says that there is nothing to differentiate
        new = self.phi(F.linear(x, self.weight_ih, self.bias) + F.linear(h, self.connected * self.weight_hh))
        h = torch.where(torch.remainder(t, self.periods) == 0, new, h)
        return h, ClockworkState(h, torch.remainder(t + 1, self.cycle))
