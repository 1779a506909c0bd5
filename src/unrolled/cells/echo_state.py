"""The leaky-integrator echo state network's reservoir: recurrent weights that are drawn once and never learned."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, InputError
from ._shared import Nonlinearity, check_sizes, named


class EchoState(Cell):
    """A fixed random reservoir that remembers what it read for a while; only a readout on top of it is learned.

    h(t) = (1 - a) h(t-1) + a σ(W_in x(t) + W h(t-1) + b)

    W_in (``weight_ih``), W (``weight_hh``) and b (``bias_h``) are buffers: drawn with torch's generator, moved and
    saved with the module, never trained. Gradients of x and of h(0) pass through as always.
    :class:`unrolled.models.EchoStateNetwork` puts a readout on top, by ridge regression.

    W has the same number of entries that are not 0 in each row, round((1 - ``sparsity``) H) and at least one, at
    random places. At least one a row makes a cycle, so W is not nilpotent and can have any spectral radius. Entries
    of W, W_in and b are drawn from U(-1, 1), and then scaled.

    Args:
        input_size: features I of x.
        hidden_size: units H.
        spectral_radius: largest absolute eigenvalue of W; how long the reservoir remembers. Below 1 an input is
            forgotten in practice, though neither above nor below is a proof.
        sparsity: part of the entries of W that are 0, at least 0 and below 1.
        leak_rate: a, above 0 and at most 1; the smaller, the slower.
        input_scaling: entries of W_in are from -input_scaling to input_scaling.
        bias_scaling: entries of b, likewise; 0 for none.
        nonlinearity: σ, a name or any function of a tensor.

    Shape:
        x (B, I); state and output h (B, H); weight_ih (H, I), weight_hh (H, H), bias_h (H,).

    Raises:
        InputError: a size below 1, an unknown nonlinearity, an option outside its range, a W that is 0.

    Reference:
        Jaeger 2001, The "echo state" approach to analysing and training recurrent neural networks, GMD report 148;
        leaky integration in this form: Jaeger et al. 2007, doi:10.1016/j.neunet.2007.04.016; how to choose the
        options: Lukoševičius 2012, A practical guide to applying echo state networks,
        doi:10.1007/978-3-642-35289-8_36.

    Example:
        >>> cell = EchoState(1, 100, spectral_radius=0.8, leak_rate=0.3)
        >>> round(float(torch.linalg.eigvals(cell.weight_hh).abs().max()), 4)
        0.8
        >>> output, h = cell.step(torch.randn(4, 1), cell.initial_state(4))
        >>> output.shape, list(cell.parameters())
        (torch.Size([4, 100]), [])
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_h: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        spectral_radius: float = 0.9,
        sparsity: float = 0.9,
        leak_rate: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 0.0,
        nonlinearity: Nonlinearity = "tanh",
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.sigma = named(nonlinearity)
        self.spectral_radius = _number(spectral_radius, "spectral_radius", lambda v: v >= 0, "0 or more")
        self.sparsity = _number(sparsity, "sparsity", lambda v: 0 <= v < 1, "at least 0 and below 1")
        self.leak_rate = _number(leak_rate, "leak_rate", lambda v: 0 < v <= 1, "above 0 and at most 1")
        self.input_scaling = _number(input_scaling, "input_scaling", lambda v: v >= 0, "0 or more")
        self.bias_scaling = _number(bias_scaling, "bias_scaling", lambda v: v >= 0, "0 or more")
        self.register_buffer("weight_ih", torch.empty(hidden_size, input_size))
        self.register_buffer("weight_hh", torch.empty(hidden_size, hidden_size))
        self.register_buffer("bias_h", torch.empty(hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw another reservoir."""
        self.weight_ih.uniform_(-1, 1).mul_(self.input_scaling)
        self.weight_hh.copy_(_recurrent(self.hidden_size, self.sparsity, self.spectral_radius))
        self.bias_h.uniform_(-1, 1).mul_(self.bias_scaling)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the state."""
        a = self.leak_rate
        h = (1 - a) * h + a * self.sigma(F.linear(x, self.weight_ih, self.bias_h) + F.linear(h, self.weight_hh))
        return h, h


def _recurrent(size: int, sparsity: float, spectral_radius: float) -> Tensor:
    """W in float64, of that sparsity and spectral radius."""
    entries = max(1, round((1 - sparsity) * size))
    places = torch.rand(size, size, device="cpu").argsort(-1)[:, :entries]
    values = 2 * torch.rand(size, entries, dtype=torch.float64, device="cpu") - 1
    drawn = torch.zeros(size, size, dtype=torch.float64, device="cpu").scatter(-1, places, values)
    radius = float(torch.linalg.eigvals(drawn).abs().max())
    if not radius:  # every cycle has an entry that was drawn as exactly 0
        raise InputError(
            "spectral_radius: the W that was drawn is nilpotent, all eigenvalues are 0. Draw again, with another seed."
        )
    return drawn * (spectral_radius / radius)


def _number(value: float, name: str, fits: Callable[[float], bool], expected: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not fits(value):
        raise InputError(f"{name}: expected a number, {expected}, got {value!r}.")
    return float(value)
