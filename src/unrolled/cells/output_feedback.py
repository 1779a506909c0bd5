"""The recurrent neuron, and a layer of them, whose own output is fed back."""

from torch import Tensor

from ..core import Cell
from ._shared import Nonlinearity, check_sizes, named, uniform_, weight


class OutputFeedback(Cell):
    """The output ŷ(t-1) is fed back to the layer that made it.

    One neuron (``output_size=1``): ŷ(t) = φ(w_x · x(t) + w_y ŷ(t-1) + b)
    A layer, rows are the samples:  Y(t) = φ(X(t) W_x + Y(t-1) W_y + b)

    Weights stand as in the row-vector equation: W_x is (I, O) and W_y (O, O), the transpose of what torch
    stores in ``weight_ih`` and ``weight_hh``.

    Args:
        input_size: features I of x.
        output_size: number of neurons O, whose outputs are the state.
        nonlinearity: φ, a name or any function of a tensor.
        bias: whether there is b.

    Shape:
        x (B, I), state and output (B, O).

    Raises:
        InputError: a size below 1, or an unknown nonlinearity.

    Reference:
        Géron 2022, Hands-On Machine Learning, 3rd edition, chapter 15, equations 15-1 and 15-2.

    Example:
        >>> import torch
        >>> neuron = OutputFeedback(3)
        >>> y, state = neuron.step(torch.randn(4, 3), neuron.initial_state(4))
        >>> y.shape
        torch.Size([4, 1])
    """

    def __init__(self, input_size: int, output_size: int = 1, nonlinearity: Nonlinearity = "tanh", bias: bool = True):
        super().__init__()
        check_sizes(input_size=input_size, output_size=output_size)
        self.input_size, self.output_size = input_size, output_size
        self.state_size = output_size  # the state is the output
        self.phi = named(nonlinearity)
        self.w_x = weight(input_size, output_size)
        self.w_y = weight(output_size, output_size)
        self.bias = weight(output_size) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(O), 1/sqrt(O)), as torch.nn.RNN."""
        uniform_(self, self.output_size)

    def step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """One step: ŷ(t), which is also the state."""
        a = x @ self.w_x + y @ self.w_y
        y = self.phi(a if self.bias is None else a + self.bias)
        return y, y
