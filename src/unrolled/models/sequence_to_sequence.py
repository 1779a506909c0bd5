"""The sequence-to-sequence model: an answer at every step, as tags of words or the next values of a series."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..core import Tree, at_least_1, map_tree
from ..layers import Stack
from ..layers.linear import Linear
from .dropout import Dropout
from .inputs import embedded


class SequenceToSequence(nn.Module):
    """One output for each input: o(t) = V h(t) + c, with h(t) from layers of any cell in one direction or both.

    Args:
        input_size: features I of what the first layer reads: of x, or of the embedding's result.
        cell: a factory ``(input_size) -> cell``.
        output_size: features O of an output, such as the number of tags.
        num_layers: recurrent layers.
        bidirectional: run each layer in both directions; h(t) then knows all of x, not only what came before.
        dropout: probability of zeroing a feature of the embedded input, between layers, and before the output.
        residual: add a layer's input to its output where the sizes allow it.
        embedding: a module that is applied to x first, such as ``nn.Embedding``; None: x is features.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        x (T, B, I), or what the embedding takes, as tokens (T, B); outputs (T, B, O); the state is that of
        :class:`unrolled.Stack`. ``feature_size`` is the number of features of h(t).

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Elman 1990, doi:10.1207/s15516709cog1402_1; both directions: Graves and Schmidhuber 2005,
        doi:10.1016/j.neunet.2005.06.042.

    Example:
        >>> import torch
        >>> from unrolled.cells import GRU
        >>> tagger = SequenceToSequence(8, lambda size: GRU(size, 16), 5, bidirectional=True,
        ...                             embedding=torch.nn.Embedding(100, 8))
        >>> scores, state = tagger(torch.randint(100, (20, 4)), lengths=[20, 7, 3, 0])
        >>> scores.shape, tagger.feature_size
        (torch.Size([20, 4, 5]), 32)
    """

    def __init__(
        self,
        input_size: int,
        cell: Callable[[int], nn.Module],
        output_size: int,
        *,
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
        self.output = Linear(self.feature_size, output_size)

    def initial_state(self, batch_size: int) -> Tree:
        """The state before the first step of every row."""
        return self.layers.initial_state(batch_size)

    def forward(
        self,
        x: Tree,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """The outputs (T, B, O) and the state after each row's last step; in the padding an output is c.

        Args:
            x: the sequence; what stands in its padding changes nothing.
            state: by default the initial state.
            lengths: valid steps of each row (B,), 0 allowed.
            mask: (T, B), True = valid.
            reset: (T, B), True = an episode begins here, from the initial state.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        hidden, state = self.features(x, state, lengths=lengths, mask=mask, reset=reset)
        return self.output(hidden), state

    def features(
        self,
        x: Tree,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """What the output layer reads, h(t) after dropout (T, B, F), and the state; arguments as in :meth:`forward`."""
        read, valid = embedded(self.embedding, x, lengths=lengths, mask=mask)
        hidden, state = self.layers(self.dropout(read), state, mask=valid, reset=reset)
        return self.dropout(hidden), state

    def step(self, x: Tree, state: Tree | None = None) -> tuple[Tensor, Tree]:
        """One time step, for sequences that come bit by bit: x (B, ...), the output (B, O), and the state after it.

        Raises:
            InputError: the layers run in both directions; and as :meth:`forward`.
        """
        read, _ = embedded(self.embedding, map_tree(lambda leaf: leaf.unsqueeze(0), x))
        hidden, state = self.layers.step(self.dropout(read).squeeze(0), state)
        return self.output(self.dropout(hidden)), state
