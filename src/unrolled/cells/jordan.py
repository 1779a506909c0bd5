"""The network of Jordan: the output of an output layer is fed back."""

from torch import Tensor
from torch.nn import functional as F

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, uniform_, weight


class Jordan(Cell):
    """The output, not the hidden layer, is what the next step remembers.

    h(t) = σ(W x(t) + U y(t-1) + b)
    y(t) = φ(V h(t) + c)

    W is ``weight_ih``, U ``weight_oh``, b ``bias_h``, V ``weight_ho`` and c ``bias_o``.

    Args:
        input_size: features I of x.
        hidden_size: features H of h.
        output_size: features O of y, by default H.
        nonlinearity: σ, a name or any function of a tensor.
        output_nonlinearity: φ, a name or any function of a tensor.
        bias: whether there are b and c.

    Shape:
        x (B, I), state and output y (B, O).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Jordan 1986, Serial order: a parallel distributed processing approach, ICS report 8604.

    Example:
        >>> import torch
        >>> cell = Jordan(3, 8, 2)
        >>> y, state = cell.step(torch.randn(4, 3), cell.initial_state(4))
        >>> y.shape, state.shape
        (torch.Size([4, 2]), torch.Size([4, 2]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        nonlinearity: Nonlinearity = "tanh",
        output_nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
    ):
        super().__init__()
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.sigma = named(nonlinearity)
        self.phi = named(output_nonlinearity, "output_nonlinearity")
        self.state_size = output_size  # the state is the output
        self.weight_ih = weight(hidden_size, input_size)
        self.weight_oh = weight(hidden_size, output_size)
        self.bias_h = weight(hidden_size) if bias else None
        self.weight_ho = weight(output_size, hidden_size)
        self.bias_o = weight(output_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(H), 1/sqrt(H)), as torch.nn.RNN."""
        uniform_(self, self.hidden_size)

    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """One step: y(t), which is also the state."""
        h = self.sigma(F.linear(x, self.weight_ih, self.bias_h) + F.linear(y, self.weight_oh))
        y = self.phi(F.linear(h, self.weight_ho, self.bias_o))
        return y, y
