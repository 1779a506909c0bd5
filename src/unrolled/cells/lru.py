"""The linear recurrent unit."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import check_sizes, weight


class LRUState(NamedTuple):
    """The complex state of an LRU as two real tensors."""

    re: Tensor  # (B, H)
    im: Tensor  # (B, H)


class LRU(Cell):
    """A complex state that is turned and shrunk, each entry by a number of its own: linear, of long memory.

    λ = exp(-exp(ν_log) + i exp(θ_log)),  γ = exp(γ_log)
    s(t) = λ s(t-1) + γ (B x(t))
    y(t) = Re(C s(t)) + D x(t)

    All of it is written with real numbers: s = re + i im, B = B_re + i B_im, C = C_re + i C_im. With exp(ν_log) > 0,
    |λ| < 1 whatever is learned, so that the state never explodes.

    Args:
        input_size: features I of x.
        hidden_size: complex entries H of s.
        output_size: features O of y; by default H.
        r_min: smallest |λ| at first.
        r_max: largest |λ| at first; near 1 for a long memory.
        max_phase: largest angle of λ at first, in radians; small for a long memory.

    Shape:
        x (B, I); state (re, im), each (B, H); output (B, O); nu_log, theta_log, gamma_log (H,); B_re, B_im (H, I);
        C_re, C_im (O, H); D (O, I).

    Raises:
        InputError: a size below 1; not 0 <= r_min < r_max <= 1; max_phase not above 0.

    Reference:
        Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences, arXiv:2303.06349.

    Example:
        >>> cell = LRU(3, 5, output_size=2)
        >>> y, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> y.shape, state.im.shape
        (torch.Size([4, 2]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
    ):
        super().__init__()
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size)
        if not 0 <= r_min < r_max <= 1:
            raise InputError(f"r_min, r_max: expected 0 <= r_min < r_max <= 1, got {r_min!r} and {r_max!r}.")
        if not max_phase > 0:
            raise InputError(f"max_phase: expected an angle above 0, in radians, got {max_phase!r}.")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.state_size = LRUState(hidden_size, hidden_size)  # type: ignore[arg-type]
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.nu_log, self.theta_log, self.gamma_log = weight(hidden_size), weight(hidden_size), weight(hidden_size)
        self.B_re, self.B_im = weight(hidden_size, input_size), weight(hidden_size, input_size)
        self.C_re, self.C_im = weight(output_size, hidden_size), weight(output_size, hidden_size)
        self.D = weight(output_size, input_size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """λ uniform on the ring between r_min and r_max, angles in [0, max_phase]; γ = sqrt(1 - |λ|²), with which s has
        about the variance of B x; normal B, C, D of variance 1 / (2 I), 1 / H, 1 / I.
        """
        tiny = torch.finfo(self.nu_log.dtype).tiny  # 0 has no logarithm
        with torch.no_grad():
            square = torch.empty_like(self.nu_log).uniform_(self.r_min**2, self.r_max**2)
            self.nu_log.copy_((-0.5 * square.clamp(min=tiny).log()).clamp(min=tiny).log())
            self.theta_log.uniform_(0, self.max_phase).clamp_(min=tiny).log_()
            self.gamma_log.copy_(0.5 * torch.log(-torch.expm1(-2 * torch.exp(self.nu_log))))
        for part, variance in ((self.B_re, 0.5), (self.B_im, 0.5), (self.C_re, 1), (self.C_im, 1), (self.D, 1)):
            nn.init.normal_(part, std=math.sqrt(variance / part.shape[1]))

    def step(self, x: Tensor, state: LRUState) -> tuple[Tensor, LRUState]:
        """One step: y(t), s(t)."""
        size, angle, gamma = torch.exp(-torch.exp(self.nu_log)), torch.exp(self.theta_log), torch.exp(self.gamma_log)
        of_re, of_im = size * torch.cos(angle), size * torch.sin(angle)
        re = of_re * state.re - of_im * state.im + gamma * F.linear(x, self.B_re)
        im = of_im * state.re + of_re * state.im + gamma * F.linear(x, self.B_im)
        y = F.linear(re, self.C_re) - F.linear(im, self.C_im) + F.linear(x, self.D)
        return y, LRUState(re, im)
