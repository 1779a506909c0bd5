"""The liquid time-constant network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell, InputError, InputTypeError, Tree
from ._shared import check_sizes, weight

RANGES = {  # of the first values
    "gleak": (0.001, 1.0),
    "vleak": (-0.2, 0.2),
    "cm": (0.4, 0.6),
    "w": (0.001, 1.0),
    "mu": (0.3, 0.8),
    "sigma": (3.0, 8.0),
}
POSITIVE = ("gleak", "cm", "w")


class LTC(Cell):
    """Leaky neurons in continuous time, whose time constants change with what they see.

    cm dv/dt = gleak (vleak - v) + Σ_j a_j (erev_j - v)
    a_j = w_j σ(sigma_j (u_j - mu_j)),  the u_j being all v and all inputs input_w x + input_b
    y(t) = output_w v(t) + output_b

    Each synapse, from j to a neuron, is a conductance a_j that pulls v to erev_j; together they set the time constant
    cm / (gleak + Σ a_j). One step of the cell goes Δt ahead in ``ode_unfolds`` steps of d = Δt / ode_unfolds, each of
    them Euler's with the new v where it stands linearly ("fused"), which is stable for any d:

    v ← (cm v + d (gleak vleak + Σ_j a_j erev_j)) / (cm + d (gleak + Σ_j a_j))

    There are H (H + I) synapses, and training keeps all of them of every solver's step: H is usually below 100.
    Parameters have the names and shapes of the cell of ``ncps.torch`` with a fully connected wiring.

    Args:
        input_size: features I of x.
        hidden_size: neurons H.
        output_size: O <= H: the first O neurons are put out; by default all.
        ode_unfolds: steps of the solver in one step of the cell.
        affine: False: without input_w, input_b, output_w and output_b.
        implicit_constraints: gleak, cm, w and sensory_w, which must not be below 0, are softplus of the parameter of
            that name. False: they are the parameter itself, and to keep it above 0 is the user's.

    Shape:
        x (B, I), or the pair (x, Δt) with Δt (B,) or (B, 1); x alone means Δt = 1. State v (B, H), output (B, O);
        gleak, vleak, cm (H,); w, mu, sigma, erev (H, H) and sensory_w, ... (I, H), from row j to column; input_w,
        input_b (I,), output_w, output_b (O,).

    Units:
        Δt is the time since the row's previous step, in any unit, which is then that of cm / gleak.

    Raises:
        InputError: a size below 1, or more outputs than neurons.
        InputTypeError: x is a tuple, but no pair.

    Reference:
        Hasani et al. 2021, Liquid time-constant networks, arXiv:2006.04439, with the neurons and synapses of its
        solver's code (Lechner et al. 2020, doi:10.1038/s42256-020-00237-3).

    Example:
        >>> cell = LTC(3, 5)
        >>> x, dt = torch.randn(4, 3), torch.tensor([0.5, 1.0, 0.2, 3.0])
        >>> y, v = cell.step((x, dt), cell.initial_state(4))
        >>> v.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        *,
        ode_unfolds: int = 6,
        affine: bool = True,
        implicit_constraints: bool = True,
    ):
        super().__init__()
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size, ode_unfolds=ode_unfolds)
        if output_size > hidden_size:
            raise InputError(f"output_size: expected at most hidden_size = {hidden_size}, got {output_size}.")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.ode_unfolds, self.implicit_constraints = ode_unfolds, implicit_constraints
        self.gleak, self.vleak, self.cm = weight(hidden_size), weight(hidden_size), weight(hidden_size)
        self.w, self.mu, self.sigma, self.erev = (weight(hidden_size, hidden_size) for _ in range(4))
        sensory = (weight(input_size, hidden_size) for _ in range(4))
        self.sensory_w, self.sensory_mu, self.sensory_sigma, self.sensory_erev = sensory
        self.input_w = weight(input_size) if affine else None
        self.input_b = weight(input_size) if affine else None
        self.output_w = weight(output_size) if affine else None
        self.output_b = weight(output_size) if affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform: gleak and w in [0.001, 1], cm [0.4, 0.6], vleak [-0.2, 0.2], mu [0.3, 0.8], sigma [3, 8]; erev is
        -1 with probability 1/3, else 1; the affine maps begin as 1 and 0.
        """
        for name, parameter in self.named_parameters(recurse=False):
            kind = name.removeprefix("sensory_")
            if kind == "erev":
                with torch.no_grad():
                    parameter.copy_(1 - 2 * torch.rand_like(parameter).lt(1 / 3).to(parameter.dtype))
            elif kind in RANGES:
                nn.init.uniform_(parameter, *RANGES[kind])
                if kind in POSITIVE and self.implicit_constraints:
                    with torch.no_grad():
                        parameter.add_(torch.log(-torch.expm1(-parameter)))  # softplus of it is what was drawn
            else:
                nn.init.constant_(parameter, float(name.endswith("_w")))

    def step(self, x: Tree, v: Tensor) -> tuple[Tensor, Tensor]:
        """One step: y(t), v(t)."""
        x, d = _with_time(x)
        d = d / self.ode_unfolds
        if self.input_w is not None and self.input_b is not None:
            x = x * self.input_w + self.input_b
        positive = F.softplus if self.implicit_constraints else _as_it_is
        gleak, cm, w, sensory_w = (positive(part) for part in (self.gleak, self.cm, self.w, self.sensory_w))
        from_x = sensory_w * _open(x, self.sensory_mu, self.sensory_sigma)
        pull, leak = gleak * self.vleak + (from_x * self.sensory_erev).sum(1), gleak + from_x.sum(1)
        for _ in range(self.ode_unfolds):
            a = w * _open(v, self.mu, self.sigma)
            v = (cm * v + d * (pull + (a * self.erev).sum(1))) / (cm + d * (leak + a.sum(1)))
        y = v[:, : self.output_size]
        if self.output_w is not None and self.output_b is not None:
            y = y * self.output_w + self.output_b
        return y, v


def _open(before: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """How open each synapse is, (B, from, to)."""
    return torch.sigmoid(sigma * (before.unsqueeze(-1) - mu))


def _as_it_is(parameter: Tensor) -> Tensor:
    return parameter


def _with_time(x: Tree) -> tuple[Tensor, Tensor | float]:
    """Of the pair (x, Δt): x and Δt (B, 1); of x alone: x and 1."""
    if not isinstance(x, tuple):
        return x, 1.0
    if len(x) != 2:
        raise InputTypeError(f"x: expected x, or the pair (x, dt), got a tuple of {len(x)}.")
    return x[0], x[1].to(x[0].dtype).reshape(-1, 1)
