"""The network: it reads the history, then its decoder goes on over the steps ahead, beside a linear path."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core import InputError
from ...layers import Stack


@dataclass(frozen=True)
class Window:
    """A batch of histories, each in units of its own scale, and what is known of the steps ahead."""

    history: Tensor  # (C, B) the target, 0 where there is none
    past: Tensor  # (C, B, P) what is known of the past besides
    ahead: Tensor  # (N, B, F) what is known of the steps ahead
    valid: Tensor | None  # (C, B) False before a series begins; None where all are valid

    def to(self, device: torch.device) -> "Window":
        """The same on a device."""
        valid = None if self.valid is None else self.valid.to(device)
        return Window(self.history.to(device), self.past.to(device), self.ahead.to(device), valid)


_PACE = 0.1  # of the linear path, whose beginning is good already, in the optimizer's steps


class ForecastNetwork(nn.Module):
    """An encoder over the history, a decoder over the steps ahead from its state, and a linear path beside them.

    base(h) = sum_c W[h, c] y(c) + b[h]; s = encoder(y, past); raw(h) = V decoder([base(h), lags(h), ahead(h)], s) + c.
    What a step ahead is said to be is ``base`` with ``raw``, read by an output of ``outputs``.

    Args:
        cell: a factory ``(input_size) -> cell``, of encoder and decoder.
        context: steps C of history.
        horizon: steps H of the linear path. Beyond them it reads its own forecasts, and the decoder just goes on.
        past_size: features P of the past besides the target.
        ahead_size: features F of the steps ahead.
        output_size: numbers O said of each step ahead.
        lags: seasonal periods s, each at most C: the value s steps before (or 2 s, ... : the last that is known).
        num_layers, dropout, residual, backend: as of :class:`unrolled.Stack`.
        linear: whether there is the linear path; otherwise base is 0, the level of the window.

    Shape:
        As of :class:`Window`; the result is raw (N, B, O) and base (N, B), N any number.

    Reference:
        Encoder and decoder: Cho et al. 2014, arXiv:1406.1078; the linear path: Lai et al. 2018, arXiv:1703.07015.

    Example:
        >>> import torch
        >>> from unrolled.cells import GRU
        >>> network = ForecastNetwork(lambda size: GRU(size, 8), 12, 6, past_size=1, ahead_size=1, output_size=2)
        >>> window = Window(torch.randn(12, 3), torch.randn(12, 3, 1), torch.randn(20, 3, 1), None)
        >>> raw, base = network(window)
        >>> raw.shape, base.shape
        (torch.Size([20, 3, 2]), torch.Size([20, 3]))
    """

    def __init__(
        self,
        cell: Callable[[int], nn.Module],
        context: int,
        horizon: int,
        *,
        past_size: int,
        ahead_size: int,
        output_size: int,
        lags: tuple[int, ...] | list[int] = (),
        num_layers: int = 1,
        dropout: float = 0.0,
        residual: bool = False,
        linear: bool = True,
        backend: str = "auto",
    ):
        super().__init__()
        self.ridge_weight: Tensor
        self.ridge_bias: Tensor
        if any(not 1 <= lag <= context for lag in lags):
            raise InputError(f"lags: expected each from 1 to the context of {context}, got {list(lags)}.")
        self.context, self.horizon, self.lags = context, horizon, tuple(lags)
        options = {"dropout": dropout, "residual": residual, "backend": backend}
        self.encoder = Stack(cell, 1 + past_size, num_layers, **options)  # type: ignore[arg-type]
        self.decoder = Stack(cell, 1 + len(lags) + ahead_size, num_layers, **options)  # type: ignore[arg-type]
        assert self.decoder.output_size is not None  # known of a stack that a factory made
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.decoder.output_size, output_size)
        nn.init.zeros_(self.output.weight)  # training begins with what the linear path says
        nn.init.zeros_(self.output.bias)
        self.register_buffer("ridge_weight", torch.zeros(horizon, context))
        self.register_buffer("ridge_bias", torch.zeros(horizon))
        self.linear_weight = nn.Parameter(torch.zeros(horizon, context)) if linear else None
        self.linear_bias = nn.Parameter(torch.zeros(horizon)) if linear else None

    def forward(self, window: Window) -> tuple[Tensor, Tensor]:
        """What is said of each step ahead."""
        steps = len(window.ahead)
        read = torch.cat([window.history.unsqueeze(-1), window.past], -1)
        _, state = self.encoder(read, mask=window.valid)
        base = self.base(window.history, steps)
        given = [base.unsqueeze(-1), self._lagged(window.history, steps), window.ahead]
        hidden, _ = self.decoder(torch.cat(given, -1), state)
        return self.output(self.dropout(hidden)), base

    def begin_with(self, weight: Tensor, bias: Tensor) -> None:
        """Let the linear path begin as this linear model: weight (H, C), bias (H,)."""
        self.ridge_weight.copy_(weight)
        self.ridge_bias.copy_(bias)

    def base(self, history: Tensor, steps: int) -> Tensor:
        """The linear path (N, B) of histories (C, B)."""
        if self.linear_weight is None or self.linear_bias is None:
            return history.new_zeros(steps, history.shape[1])
        weight = self.ridge_weight + _PACE * self.linear_weight
        return go_on(history, weight, self.ridge_bias + _PACE * self.linear_bias, steps)

    def linear_model(self, history: Tensor, steps: int) -> Tensor:
        """What the linear model that the path began with says of the steps ahead (N, B)."""
        return go_on(history, self.ridge_weight, self.ridge_bias, steps)

    def _lagged(self, history: Tensor, steps: int) -> Tensor:
        """The last known value a whole number of seasons before each step ahead: (N, B, lags)."""
        ahead = torch.arange(steps, device=history.device)
        return (
            torch.stack([history[len(history) - lag + ahead % lag] for lag in self.lags], -1)
            if self.lags
            else (history.new_zeros(steps, history.shape[1], 0))
        )


def go_on(history: Tensor, weight: Tensor, bias: Tensor, steps: int) -> Tensor:
    """A linear model of windows (C, B), for any number of steps: beyond its own it reads its own forecasts."""
    parts: list[Tensor] = []
    while sum(map(len, parts)) < steps:
        parts.append(F.linear(history.t(), weight, bias).t())
        history = torch.cat([history, parts[-1]])[-weight.shape[1] :]
    return torch.cat(parts)[:steps]
