"""The general recurrent network: any nonlinearity, any output function."""

from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, uniform_, weight


class GeneralRNN(Cell):
    """A driven dynamical system with a read-out, which has no bias.

    x(n) = σ(W x(n-1) + W_in u(n) + b)
    y(n) = f(W_out x(n))

    In this notation u is the input and x the state; W is ``weight_hh``, W_in ``weight_ih``, b ``bias`` and
    W_out ``weight_ho``.

    Args:
        input_size: entries K of u.
        hidden_size: entries L of the state x.
        output_size: entries M of y, by default L.
        nonlinearity: σ, a name or any function of a tensor.
        output_nonlinearity: f, a name or any function of a tensor.
        bias: whether there is b.

    Shape:
        u (B, K), state x (B, L), output y (B, M); W (L, L), W_in (L, K), W_out (M, L), b (L,).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Jaeger 2002, Tutorial on training recurrent neural networks, GMD report 159.

    Example:
        >>> import torch
        >>> cell = GeneralRNN(3, 8, 2, nonlinearity=torch.sin, output_nonlinearity="softmax")
        >>> y, x = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> y.shape, x.shape
        (torch.Size([4, 2]), torch.Size([4, 8]))
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
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.sigma = named(nonlinearity)
        self.f = named(output_nonlinearity, "output_nonlinearity")
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_hh = weight(hidden_size, hidden_size)
        self.bias = weight(hidden_size) if bias else None
        self.weight_ho = weight(output_size, hidden_size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(L), 1/sqrt(L)), as torch.nn.RNN."""
        uniform_(self, self.hidden_size)

    def step(self, u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """One step: y(n), x(n)."""
        x = self.sigma(F.linear(x, self.weight_hh) + F.linear(u, self.weight_ih, self.bias))
        return self.f(F.linear(x, self.weight_ho)), x
