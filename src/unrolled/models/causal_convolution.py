"""A convolution over time that sees no later step, as a recurrent cell whose state is the last few inputs."""

import torch
from torch import Tensor, nn

from ..core import Cell, at_least_1


class CausalConvolution(Cell):
    """Each feature convolved with a kernel of its own over this step and the ones before it.

    y(t) = b + w_1 x(t-κ+1) + ... + w_κ x(t)        element by element

    where x(t) is 0 before the first step. As a cell it has lengths, masks, resets and single steps as any other.

    Args:
        size: features F of x and y.
        kernel_size: κ.

    Shape:
        x and y (B, F), state (B, κ-1, F), the oldest input first; weight (κ, F), bias (F,).

    Example:
        >>> from unrolled import Recurrent
        >>> layer = Recurrent(CausalConvolution(5, 4))
        >>> y, last = layer(torch.randn(7, 2, 5))
        >>> y.shape, last.shape
        (torch.Size([7, 2, 5]), torch.Size([2, 3, 5]))
    """

    def __init__(self, size: int, kernel_size: int = 4):
        super().__init__()
        self.input_size = at_least_1(size, "size")
        self.kernel_size = at_least_1(kernel_size, "kernel_size")
        self.state_size = torch.Size([self.kernel_size - 1, size])
        self.weight = nn.Parameter(torch.empty(self.kernel_size, size))
        self.bias = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """U(-1/sqrt(κ), 1/sqrt(κ)), as torch.nn.Conv1d."""
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(self.kernel_size**-0.5), self.kernel_size**-0.5)

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """One step: y(t), and the last κ-1 inputs."""
        window = torch.cat([before, x.unsqueeze(1)], 1)
        return (window * self.weight).sum(1) + self.bias, window[:, 1:]
