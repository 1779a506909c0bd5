"""The sequence-to-vector model: one answer for a whole sequence, as its class."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..core import Tree, at_least_1
from ..layers import Stack
from ..layers.linear import Linear
from .dropout import Dropout
from .inputs import embedded
from .pooling import Pooling


class SequenceToVector(nn.Module):
    """One output for a whole sequence: o = V p + c, where p is h(1) ... h(T) of layers of any cell, pooled.

    Args:
        input_size: features I of what the first layer reads: of x, or of the embedding's result.
        cell: a factory ``(input_size) -> cell``.
        output_size: features O of the output, such as the number of classes.
        pooling: over the valid steps: ``"last"``, each direction's h after its own last step; ``"mean"``; ``"max"``,
            feature by feature; ``"attention"``, the mean with learned weights
            a = softmax_t(v' tanh(W h(t) + b)).
        num_layers: recurrent layers.
        bidirectional: run each layer in both directions.
        dropout: probability of zeroing a feature of the embedded input, between layers, and of p.
        residual: add a layer's input to its output where the sizes allow it.
        embedding: a module that is applied to x first, such as ``nn.Embedding``; None: x is features.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        x (T, B, I), or what the embedding takes, as tokens (T, B); the output (B, O). ``feature_size`` is the
        number of features of p.

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Attention over a sequence: Yang et al. 2016, doi:10.18653/v1/N16-1174; maximum: Collobert and Weston
        2008, doi:10.1145/1390156.1390177.

    Example:
        >>> import torch
        >>> from unrolled.cells import LSTM
        >>> model = SequenceToVector(3, lambda size: LSTM(size, 16), 10, pooling="attention")
        >>> model(torch.randn(20, 4, 3), lengths=[20, 7, 3, 0]).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        input_size: int,
        cell: Callable[[int], nn.Module],
        output_size: int,
        *,
        pooling: str = "last",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        embedding: nn.Module | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        output_size = at_least_1(output_size, "output_size")
        self.layers = Stack(
            cell,
            input_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        assert self.layers.output_size is not None  # known of a stack that a factory made
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        self.feature_size = self.layers.output_size
        self.pooling = Pooling(pooling, self.feature_size, bidirectional=bidirectional)
        self.output = Linear(self.feature_size, output_size)

    def forward(self, x: Tree, *, lengths: Any = None, mask: Tensor | None = None) -> Tensor:
        """The output (B, O) of each row.

        Args:
            x: the sequence; what stands in its padding changes nothing.
            lengths: valid steps of each row (B,); a row of none has p = 0.
            mask: (T, B), True = valid.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        made: Tensor = self.output(self.features(x, lengths=lengths, mask=mask))
        return made

    def features(self, x: Tree, *, lengths: Any = None, mask: Tensor | None = None) -> Tensor:
        """What the output layer reads, p after dropout (B, F); arguments as in :meth:`forward`."""
        read, valid = embedded(self.embedding, x, lengths=lengths, mask=mask)
        hidden, _ = self.layers(self.dropout(read), mask=valid)
        pooled: Tensor = self.dropout(self.pooling(hidden, valid))
        return pooled
