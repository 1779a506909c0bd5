"""The simple recurrent network of Elman."""

from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, uniform_, weight


class Elman(Cell):
    """The hidden state is fed back; an output layer is optional.

    h(t) = σ(W_ih x(t) + W_hh h(t-1) + b_h)
    y(t) = f(W_ho h(t) + b_o), or h(t) where no ``output_size`` is given

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        output_size: features O of y; None for a cell that returns h(t) itself.
        nonlinearity: σ, a name or any function of a tensor.
        output_nonlinearity: f; ``"identity"`` gives the logits o(t), ``"softmax"`` the probabilities ŷ(t).
        bias: whether there are b_h and b_o.

    Shape:
        x (B, I), state h (B, H), output (B, O) or (B, H).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Elman 1990, Finding structure in time, doi:10.1207/s15516709cog1402_1.

    Example:
        >>> import torch
        >>> cell = Elman(3, 5, output_size=2, output_nonlinearity="softmax")
        >>> y, h = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> y.shape, h.shape
        (torch.Size([4, 2]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        nonlinearity: Nonlinearity = "tanh",
        output_nonlinearity: Nonlinearity = "identity",
        bias: bool = True,
    ):
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        if output_size is not None:
            check_sizes(output_size=output_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.sigma = named(nonlinearity)
        self.f = named(output_nonlinearity, "output_nonlinearity")
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size, hidden_size)
        self.bias_h = weight(hidden_size) if bias else None
        self.weight_ho = weight(output_size, hidden_size) if output_size else None
        self.bias_o = weight(output_size) if output_size and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.RNN."""
        uniform_(self, self.hidden_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: y(t), h(t)."""
        h = self.sigma(F.linear(x, self.weight_ih, self.bias_h) + F.linear(h, self.weight_hh))
        if self.weight_ho is None:
            return h, h
        return self.f(F.linear(h, self.weight_ho, self.bias_o)), h
