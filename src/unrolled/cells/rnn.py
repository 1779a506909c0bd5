"""The plain recurrent network, as torch.nn.RNN has it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import Cell, Tree
from ._options import decay_over, draw_masks, expanded, fill, masks_of, probability, product, zoned
from ._shared import Nonlinearity, check_sizes, named, weight


class RNN(Cell):
    """The hidden state is fed back.

    h(t) = σ(W_ih x(t) + b_ih + W_hh h(t-1) + b_hh)

    Parameters and their names are those of torch.nn.RNNCell, whose ``state_dict`` loads here. The options add to the
    equation; each is as it stands in the paper named below.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        bias: whether there are b_ih and b_hh.
        nonlinearity: σ, a name or any function of a tensor.
        proj_size: P > 0: h(t) = W_hr σ(...), (B, P), is what is fed back and put out.
        layer_norm: norm(W_ih x) and norm(W_hh h) in place of the products, each over its H rows with a gain,
            ``norm_ih`` and ``norm_hh``; the biases are added after it.
        time_decay: x is the pair (x, Δt); h(t-1) exp(-max(0, w Δt + b)) stands in place of h(t-1), with w
            ``decay_weight`` and b ``decay_bias``, one for each unit.
        learn_initial_state: h(0) is a parameter, ``initial_h``, at first 0.
        recurrent_dropout: probability of a mask on h(t-1) in W_hh h(t-1), one for all t.
        zoneout: probability of a unit keeping h(t-1), drawn for each t; in evaluation the expectation.
        weight_drop: probability of dropping an element of W_hh, drawn once a sequence by :class:`unrolled.Recurrent`.

    Shape:
        x (B, I), Δt (B,) or (B, 1); state and output h (B, H), or (B, P); weight_ih (H, I), weight_hh (H, H or P),
        weight_hr (P, H).

    Units:
        Δt is the time since the row's previous step, in any unit, which is then that of 1/w.

    Raises:
        InputError: a size below 1, an unknown nonlinearity, a probability outside [0, 1).

    Reference:
        Elman 1990, doi:10.1207/s15516709cog1402_1; layer norm: Ba et al. 2016, arXiv:1607.06450; decay: Che et al.
        2018, doi:10.1038/s41598-018-24271-9; projection: Sak et al. 2014, arXiv:1402.1128; dropout: Gal and
        Ghahramani 2016, arXiv:1512.05287; zoneout: Krueger et al. 2017, arXiv:1606.01305; weight drop: Merity et al.
        2018, arXiv:1708.02182.

    Example:
        >>> cell = RNN(3, 5, nonlinearity="relu")
        >>> output, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> h.shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Nonlinearity = "tanh",
        *,
        proj_size: int = 0,
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
    ):
        super().__init__()
        size = check_sizes(input_size=input_size, hidden_size=hidden_size, proj_size=proj_size)
        self.input_size, self.hidden_size, self.state_size = input_size, hidden_size, size
        self.sigma = named(nonlinearity)
        self.recurrent_dropout = probability(recurrent_dropout, "recurrent_dropout")
        self.zoneout = probability(zoneout, "zoneout")
        self.weight_drop = probability(weight_drop, "weight_drop")
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size, size)
        self.bias_ih = weight(hidden_size) if bias else None
        self.bias_hh = weight(hidden_size) if bias else None
        self.weight_hr = weight(size, hidden_size) if proj_size else None
        self.norm_ih = weight(hidden_size) if layer_norm else None
        self.norm_hh = weight(hidden_size) if layer_norm else None
        self.decay_weight = weight(size) if time_decay else None
        self.decay_bias = weight(size) if time_decay else None
        self.initial_h = weight(size) if learn_initial_state else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.RNN; gains 1, decay_weight U(0, 1/sqrt(H)), the other options' 0."""
        fill(self, self.hidden_size)

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Zeros, or the state that is learned."""
        if self.initial_h is not None:
            return expanded(self.initial_h, batch_size, device, dtype)
        zeros: Tensor = super().initial_state(batch_size, device=device, dtype=dtype)
        return zeros

    def draw(self, steps: int, batch_size: int) -> tuple[Tensor, ...] | None:
        """The masks of the recurrent dropout (T, B, H or P) and of the zoneout (T, B, H or P)."""
        size = self.state_size
        return draw_masks(self, steps, batch_size, (self.recurrent_dropout, size), (self.zoneout, size))

    def step(self, x: Tree, h: Tensor, noise: tuple[Tensor, ...] | None = None) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        dropout, kept = masks_of(noise, (self.recurrent_dropout, self.zoneout))
        if self.decay_weight is not None and self.decay_bias is not None:
            x, decay = decay_over(x, self.decay_weight, self.decay_bias)
            h = decay * h
        fed = h if dropout is None else dropout * h
        of_x = product(x, self.weight_ih, self.bias_ih, self.norm_ih)
        new = self.sigma(of_x + product(fed, self.weight_hh, self.bias_hh, self.norm_hh))
        if self.weight_hr is not None:
            new = F.linear(new, self.weight_hr)
        h = zoned(new, h, self.zoneout, kept)
        return h, h
