"""How a model's parameters begin, where the layers' own ways are not wanted."""

import torch
from torch import nn


@torch.no_grad()
def uniform_(model: nn.Module, bound: float) -> None:
    """Draw every parameter of a model anew from U(-bound, bound), in the order of ``model.parameters()``.

    Reference:
        Zaremba et al. 2014, arXiv:1409.2329, with a bound of 0.1.
    """
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -bound, bound)
