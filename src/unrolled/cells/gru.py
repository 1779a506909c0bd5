"""The gated recurrent unit."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, Tree
from ._options import decay_over, draw_masks, expanded, fill, masks_of, probability, product, zoned
from ._shared import Nonlinearity, check_sizes, named, weight


class GRUState(NamedTuple):
    """The two tensors that a GRU with a projection carries from step to step."""

    h: Tensor  # (B, P), the output: the projected memory
    memory: Tensor  # (B, H), what the gates update


class GRU(Cell):
    """A state that one gate updates and another resets, after the product (as torch.nn.GRU).

    r = σ(W_ir x(t) + b_ir + W_hr h(t-1) + b_hr)
    z = σ(W_iz x(t) + b_iz + W_hz h(t-1) + b_hz)
    n = φ(W_in x(t) + b_in + r (W_hn h(t-1) + b_hn))
    h(t) = (1 - z) n + z h(t-1)

    Parameters, their names and the order of the gates are those of torch.nn.GRUCell, whose ``state_dict``
    loads here. The options add to the equation; each is as it stands in the paper named below.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        bias: whether there are biases.
        reset_after: False: n = φ(W_in x(t) + b_in + W_hn (r h(t-1)) + b_hn), reset before the product, as in the
            first paper, and in ONNX with linear_before_reset = 0.
        proj_size: P > 0: the gates update a memory m(t) = (1 - z) n + z m(t-1), (B, H), carried beside
            h(t) = ``weight_hr`` m(t), (B, P), which stands in all products and is put out. With ``reset_after=False``
            n has W_hn (weight_hr (r m(t-1))).
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        layer_norm: each product is normed before its bias is added, those of r and z together (2 H rows), that of n
            apart (H rows), with gains ``norm_ih`` and ``norm_hh``.
        time_decay: x is the pair (x, Δt); before the step h(t-1) (with a projection m(t-1), which is then projected)
            is multiplied by exp(-max(0, w Δt + b)), with w ``decay_weight`` and b ``decay_bias``, one for each unit.
        learn_initial_state: h(0), or m(0), is a parameter, ``initial_h``, at first 0.
        recurrent_dropout: probability of a mask on h(t-1) where it enters a product, one for all t.
        zoneout: probability of a unit keeping h(t-1), or m(t-1), drawn for each t; in evaluation the expectation.
        weight_drop: probability of dropping an element of weight_hh, drawn once a sequence by
            :class:`unrolled.Recurrent`.

    Shape:
        x (B, I), Δt (B,) or (B, 1); state and output h (B, H), or state (h, memory), (B, P) and (B, H), and output
        (B, P); weight_ih (3 H, I), weight_hh (3 H, H or P), weight_hr (P, H).

    Units:
        Δt is the time since the row's previous step, in any unit, which is then that of 1/w.

    Raises:
        InputError: a size below 1, an unknown nonlinearity, a probability outside [0, 1).

    Reference:
        Cho et al. 2014, arXiv:1406.1078; reset after the product: arXiv:1412.3555 and cuDNN; decay: GRU-D, Che et al.
        2018, doi:10.1038/s41598-018-24271-9; projection: after Sak et al. 2014, arXiv:1402.1128; layer norm: Ba et
        al. 2016, arXiv:1607.06450; dropout: Gal and Ghahramani 2016, arXiv:1512.05287; zoneout: Krueger et al. 2017,
        arXiv:1606.01305; weight drop: Merity et al. 2018, arXiv:1708.02182.

    Example:
        >>> cell = GRU(3, 5)
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        proj_size: int = 0,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
    ):
        super().__init__()
        size = check_sizes(input_size=input_size, hidden_size=hidden_size, proj_size=proj_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_size: Any = GRUState(size, hidden_size) if proj_size else hidden_size  # type: ignore[arg-type]
        self.reset_after = reset_after
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        self.recurrent_dropout = probability(recurrent_dropout, "recurrent_dropout")
        self.zoneout = probability(zoneout, "zoneout")
        self.weight_drop = probability(weight_drop, "weight_drop")
        self.weight_ih = weight(3 * hidden_size, input_size)
        self.weight_hh = weight(3 * hidden_size, size)
        self.bias_ih = weight(3 * hidden_size) if bias else None
        self.bias_hh = weight(3 * hidden_size) if bias else None
        self.weight_hr = weight(proj_size, hidden_size) if proj_size else None
        self.norm_ih = weight(3 * hidden_size) if layer_norm else None
        self.norm_hh = weight(3 * hidden_size) if layer_norm else None
        self.decay_weight = weight(hidden_size) if time_decay else None
        self.decay_bias = weight(hidden_size) if time_decay else None
        self.initial_h = weight(hidden_size) if learn_initial_state else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.GRU; gains 1, decay_weight U(0, 1/sqrt(H)), the other options' 0."""
        fill(self, self.hidden_size)

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tensor | GRUState:
        """Zeros, or the state that is learned."""
        if self.initial_h is None:
            zeros: Tensor | GRUState = super().initial_state(batch_size, device=device, dtype=dtype)
            return zeros
        memory = expanded(self.initial_h, batch_size, device, dtype)
        if self.weight_hr is None:
            return memory
        return GRUState(F.linear(memory, self.weight_hr.to(memory.device, memory.dtype)), memory)

    def draw(self, steps: int, batch_size: int) -> tuple[Tensor, ...] | None:
        """The masks of the recurrent dropout (T, B, H or P) and of the zoneout (T, B, H)."""
        dropout = self.recurrent_dropout, self.weight_hh.shape[1]
        return draw_masks(self, steps, batch_size, dropout, (self.zoneout, self.hidden_size))

    def step(self, x: Tree, state: Any, noise: tuple[Tensor, ...] | None = None) -> tuple[Tensor, Any]:
        """One step: h(t), which is also the state (with a projection: one part of it)."""
        h, memory = (state, state) if self.weight_hr is None else state
        dropout, kept = masks_of(noise, (self.recurrent_dropout, self.zoneout))
        if self.decay_weight is not None and self.decay_bias is not None:
            x, decay = decay_over(x, self.decay_weight, self.decay_bias)
            memory = decay * memory
            h = self._projected(memory)
        fed = h if dropout is None else dropout * h
        of_x = _product(x, self.weight_ih, self.bias_ih, self.norm_ih)
        of_h = self._of_h(fed) if self.reset_after else self._of_h(fed, slice(0, 2 * self.hidden_size))
        r_x, z_x, n_x = of_x.chunk(3, -1)
        r_h, z_h, *n_h = of_h.chunk(3 if self.reset_after else 2, -1)
        r = self.sigma(r_x + r_h)
        z = self.sigma(z_x + z_h)
        n = self.phi(n_x + (r * n_h[0] if self.reset_after else self._of_reset(r * memory, dropout)))
        memory = zoned((1 - z) * n + z * memory, memory, self.zoneout, kept)
        h = self._projected(memory)
        return h, (h if self.weight_hr is None else GRUState(h, memory))

    def _projected(self, memory: Tensor) -> Tensor:
        return memory if self.weight_hr is None else F.linear(memory, self.weight_hr)

    def _of_h(self, h: Tensor, rows: slice | None = None) -> Tensor:
        """W_hh h + b_hh, or some rows of it."""
        of = self.weight_hh, self.bias_hh, self.norm_hh
        return _product(h, *of) if rows is None else _rows(rows, h, *of)

    def _of_reset(self, memory: Tensor, dropout: Tensor | None) -> Tensor:
        """W_hn h + b_hn of the state that was reset before the product."""
        h = self._projected(memory)
        return self._of_h(h if dropout is None else dropout * h, slice(2 * self.hidden_size, None))


def _product(v: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """Of r, z and n; with a gain the rows of r and z are normed together, those of n apart."""
    if gain is None:
        return F.linear(v, weight, bias)
    size = 2 * (len(gain) // 3)
    return torch.cat([_rows(rows, v, weight, bias, gain) for rows in (slice(size), slice(size, None))], -1)


def _rows(rows: slice, v: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """Some rows of a product, normed by themselves."""
    return product(v, weight[rows], None if bias is None else bias[rows], None if gain is None else gain[rows])
