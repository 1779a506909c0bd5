"""Long short-term memory."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, InputError, Tree
from ._options import decay_over, draw_masks, expanded, fill, masks_of, normed, probability, product, zoned
from ._shared import Nonlinearity, check_sizes, named, weight


class LSTMState(NamedTuple):
    """The two tensors that an LSTM carries from step to step."""

    h: Tensor  # (B, H), the output; (B, P) with a projection
    c: Tensor  # (B, H), the memory


class LSTM(Cell):
    """A memory c that gates write, keep and read.

    i, f, g, o = W_ih x(t) + b_ih + W_hh h(t-1) + b_hh
    c(t) = σ(f) c(t-1) + σ(i) φ(g)
    h(t) = σ(o) φ(c(t))

    Parameters, their names and the order of the gates are those of torch.nn.LSTMCell (with a projection, of
    torch.nn.LSTM), whose ``state_dict`` loads here. The options add to the equation; each is as it stands in the
    paper named below.

    Args:
        input_size: features I of x.
        hidden_size: features H of c, and of h.
        bias: whether there are b_ih and b_hh.
        proj_size: P > 0: h(t) = ``weight_hr`` (σ(o) φ(c(t))), (B, P), is what is fed back and put out.
        nonlinearity: φ, a name or any function of a tensor.
        gate_nonlinearity: σ, likewise.
        peephole: the gates see the memory: i + p_i c(t-1), f + p_f c(t-1), o + p_o c(t); the rows of ``weight_ch``
            are p_i, p_f, p_o.
        coupled: 1 - σ(i) in place of σ(f): what is written is what is forgotten. The rows of all weights are then
            those of i, g, o (of ``weight_ch``: p_i, p_o). This is ONNX's input_forget, which keeps the input gate.
        forget_gate: False: 1 in place of σ(f), the equation of 1997, c(t) = c(t-1) + σ(i) φ(g). The rows of all
            weights are then those of i, g, o (of ``weight_ch``: p_i, p_o).
        forget_bias: what the bias of f, the sum of the two, begins with: 1 keeps more than it forgets. None: as the
            others.
        layer_norm: norm(W_ih x) and norm(W_hh h) in place of the products, each over its 4 H rows, with gains
            ``norm_ih`` and ``norm_hh``, the biases being added after it; and h = σ(o) φ(norm(c)), with gain ``norm_c``
            and, where there are biases, ``norm_c_bias``. What is carried on is c itself.
        time_decay: x is the pair (x, Δt); c(t-1) exp(-max(0, w Δt + b)) stands in place of c(t-1), with w
            ``decay_weight`` and b ``decay_bias``, one for each unit.
        learn_initial_state: h(0) and c(0) are parameters, ``initial_h`` and ``initial_c``, at first 0.
        recurrent_dropout: probability of a mask on h(t-1) in W_hh h(t-1), one for all t.
        zoneout: probability of a unit of h and of c keeping its value, drawn for each t; in evaluation the
            expectation. One number for both, or a pair (h, c). What is put out is the h that is carried on.
        weight_drop: probability of dropping an element of W_hh, drawn once a sequence by :class:`unrolled.Recurrent`.

    Shape:
        x (B, I), Δt (B,) or (B, 1); state (h, c) each (B, H), output h (B, H); h (B, P) with a projection;
        weight_ih (4 H, I), weight_hh (4 H, H or P), weight_hr (P, H), weight_ch (3, H); coupled or without forget
        gate 3 H rows, and (2, H).

    Units:
        Δt is the time since the row's previous step, in any unit, which is then that of 1/w.

    Raises:
        InputError: a size below 1, an unknown nonlinearity, a probability outside [0, 1), or options that contradict
            each other.

    Reference:
        Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget gate and its bias: Gers et al. 2000,
        doi:10.1162/089976600300015015, Jozefowicz et al. 2015, PMLR 37:2342; peepholes: Gers et al. 2002, Learning
        precise timing with LSTM recurrent networks, JMLR 3; coupled gates: Greff et al. 2017, arXiv:1503.04069;
        projection: Sak et al. 2014, arXiv:1402.1128; layer norm: Ba et al. 2016, arXiv:1607.06450; decay: as in
        GRU-D, Che et al. 2018, doi:10.1038/s41598-018-24271-9 (compare Mei and Eisner 2017, arXiv:1612.09328);
        dropout: Gal and Ghahramani 2016, arXiv:1512.05287; zoneout: Krueger et al. 2017, arXiv:1606.01305; weight
        drop: Merity et al. 2018, arXiv:1708.02182.

    Example:
        >>> cell = LSTM(3, 5)
        >>> output, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> output.shape, state.c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        peephole: bool = False,
        coupled: bool = False,
        forget_gate: bool = True,
        forget_bias: float | None = None,
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        weight_drop: float = 0.0,
    ):
        super().__init__()
        size = check_sizes(input_size=input_size, hidden_size=hidden_size, proj_size=proj_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_size = LSTMState(h=size, c=hidden_size)  # type: ignore[arg-type]
        self.coupled, self.forget_bias = coupled, forget_bias
        _check_forgetting(bias, coupled, forget_gate, forget_bias)
        self.gates = 3 if coupled or not forget_gate else 4
        self.phi, self.sigma = named(nonlinearity), named(gate_nonlinearity, "gate_nonlinearity")
        self.recurrent_dropout = probability(recurrent_dropout, "recurrent_dropout")
        self.zoneout = _pair(zoneout)
        self.weight_drop = probability(weight_drop, "weight_drop")
        rows = self.gates * hidden_size
        self.weight_ih = weight(rows, input_size)
        self.weight_hh = weight(rows, size)
        self.bias_ih = weight(rows) if bias else None
        self.bias_hh = weight(rows) if bias else None
        self.weight_hr = weight(size, hidden_size) if proj_size else None
        self.weight_ch = weight(self.gates - 1, hidden_size) if peephole else None
        self.norm_ih = weight(rows) if layer_norm else None
        self.norm_hh = weight(rows) if layer_norm else None
        self.norm_c = weight(hidden_size) if layer_norm else None
        self.norm_c_bias = weight(hidden_size) if layer_norm and bias else None
        self.decay_weight = weight(hidden_size) if time_decay else None
        self.decay_bias = weight(hidden_size) if time_decay else None
        self.initial_h = weight(size) if learn_initial_state else None
        self.initial_c = weight(hidden_size) if learn_initial_state else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.LSTM; gains 1, decay_weight U(0, 1/sqrt(H)), what is added there and
        the initial state 0. The forget gate's bias_ih is ``forget_bias`` and its bias_hh 0, where one is given.
        """
        fill(self, self.hidden_size)
        if self.forget_bias is not None and self.bias_ih is not None and self.bias_hh is not None:
            forget = slice(self.hidden_size, 2 * self.hidden_size)
            with torch.no_grad():
                self.bias_ih[forget] = self.forget_bias
                self.bias_hh[forget] = 0

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> LSTMState:
        """Zeros, or the state that is learned."""
        if self.initial_h is not None and self.initial_c is not None:
            return LSTMState(
                *(expanded(start, batch_size, device, dtype) for start in (self.initial_h, self.initial_c))
            )
        zeros: LSTMState = super().initial_state(batch_size, device=device, dtype=dtype)
        return zeros

    def draw(self, steps: int, batch_size: int) -> tuple[Tensor, ...] | None:
        """The masks of the recurrent dropout (T, B, H or P) and of the zoneouts of h (T, B, H or P) and c (T, B, H)."""
        of_h, of_c = self.zoneout
        size = self.weight_hh.shape[1]
        dropout = self.recurrent_dropout, size
        return draw_masks(self, steps, batch_size, dropout, (of_h, size), (of_c, self.hidden_size))

    def step(self, x: Tree, state: LSTMState, noise: tuple[Tensor, ...] | None = None) -> tuple[Tensor, LSTMState]:
        """One step: h(t), (h(t), c(t))."""
        h_before, c_before = state
        dropout, kept_h, kept_c = masks_of(noise, (self.recurrent_dropout, *self.zoneout))
        if self.decay_weight is not None and self.decay_bias is not None:
            x, decay = decay_over(x, self.decay_weight, self.decay_bias)
            c_before = decay * c_before
        fed = h_before if dropout is None else dropout * h_before
        of_x = product(x, self.weight_ih, self.bias_ih, self.norm_ih)
        gates = of_x + product(fed, self.weight_hh, self.bias_hh, self.norm_hh)
        i, *f, g, o = gates.chunk(self.gates, -1)
        if self.weight_ch is not None:
            p_i, *p_f, p_o = self.weight_ch.unbind(0)
            i, f = i + p_i * c_before, [a + p * c_before for a, p in zip(f, p_f, strict=True)]
        c = self._kept(i, f, c_before) + self.sigma(i) * self.phi(g)
        if self.weight_ch is not None:
            o = o + p_o * c
        h = self.sigma(o) * self.phi(normed(c, self.norm_c, self.norm_c_bias))
        if self.weight_hr is not None:
            h = F.linear(h, self.weight_hr)
        h = zoned(h, h_before, self.zoneout[0], kept_h)
        c = zoned(c, c_before, self.zoneout[1], kept_c)
        return h, LSTMState(h, c)

    def _kept(self, i: Tensor, f: list[Tensor], c: Tensor) -> Tensor:
        """What is not forgotten of the memory."""
        if self.coupled:
            return (1 - self.sigma(i)) * c
        return self.sigma(*f) * c if f else c


def _check_forgetting(bias: bool, coupled: bool, forget_gate: bool, forget_bias: float | None) -> None:
    if coupled and not forget_gate:
        raise InputError("coupled: expected False with forget_gate=False, got True: there is nothing to couple.")
    if forget_bias is not None and (coupled or not forget_gate or not bias):
        raise InputError(
            f"forget_bias: expected None where the forget gate has no bias of its own (bias=False, coupled=True or "
            f"forget_gate=False), got {forget_bias!r}."
        )


def _pair(zoneout: float | tuple[float, float]) -> tuple[float, float]:
    of_h, of_c = zoneout if isinstance(zoneout, tuple) and len(zoneout) == 2 else (zoneout, zoneout)
    return probability(of_h, "zoneout"), probability(of_c, "zoneout")
