"""The language model: what comes next, given all that came before."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core import Tree
from ..layers import Stack
from ..layers.linear import Linear
from .cross_entropy import linear_cross_entropies, linear_cross_entropy
from .dropout import Dropout, VariationalDropout
from .tied import TiedLinear


class LanguageModel(nn.Module):
    """Tokens in, logits of the next token out: o(t) = V h(t) + c, with h(t) from layers of any cell.

    Args:
        vocabulary_size: number of tokens V.
        cell: a factory ``(input_size) -> cell``.
        embedding_size: features of a token's vector.
        num_layers: recurrent layers.
        dropout: probability of zeroing a feature of the embedding, between layers, and before the output.
        residual: add a layer's input to its output where the sizes allow it.
        backend: as in :func:`unrolled.unroll`.
        tie_weights: V is the embedding's weight, one parameter for both: o(t) = E h(t) + c. Where the layers' outputs
            have another size than the embedding, o(t) = E P h(t) + c with a learned P.
        variational_dropout: in each sequence that is given one mask of dropout for all its steps, at the places named
            above. For that of h(t-1) too, give a cell with its ``recurrent_dropout``.

    Shape:
        tokens (T, B) of whole numbers below V, logits (T, B, V); the state is that of :class:`unrolled.Stack`.

    Reference:
        Mikolov et al. 2010, Recurrent neural network based language model; dropout: Zaremba et al. 2014,
        arXiv:1409.2329; tied weights: Press and Wolf 2017, arXiv:1608.05859; one mask for all steps: Gal and
        Ghahramani 2016, arXiv:1512.05287.

    Example:
        >>> import torch
        >>> from unrolled.cells import LSTM
        >>> model = LanguageModel(50, lambda size: LSTM(size, 16), embedding_size=8, num_layers=2)
        >>> logits, state = model(torch.randint(50, (20, 4)))
        >>> logits.shape
        torch.Size([20, 4, 50])
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Callable[[int], nn.Module],
        embedding_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        residual: bool = False,
        backend: str = "auto",
        *,
        tie_weights: bool = False,
        variational_dropout: bool = False,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.dropout = VariationalDropout(dropout) if variational_dropout else Dropout(dropout)
        self.layers = Stack(cell, embedding_size, num_layers, dropout=dropout, residual=residual, backend=backend)
        assert self.layers.output_size is not None  # known of a stack that a factory made
        if variational_dropout:
            self.layers.dropout = self.dropout
        self.projection: Linear | None = None  # from the layers' features to the embedding's
        self.output: Linear | TiedLinear
        if tie_weights:
            nn.init.uniform_(self.embedding.weight, -(embedding_size**-0.5), embedding_size**-0.5)  # an output's way
            if self.layers.output_size != embedding_size:
                self.projection = Linear(self.layers.output_size, embedding_size, bias=False)
            self.output = TiedLinear(self.embedding)
        else:
            self.output = Linear(self.layers.output_size, vocabulary_size)

    def initial_state(self, batch_size: int) -> Tree:
        """The state before the first token of every row."""
        return self.layers.initial_state(batch_size)

    def forward(self, tokens: Tensor, state: Tree | None = None, *, mask: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits of the token after each of these, and the state after the last.

        Args:
            tokens: (T, B).
            state: by default the initial state.
            mask: (T, B), True = valid; elsewhere the state is held and the logits mean nothing.
        """
        hidden, state = self.features(tokens, state, mask=mask)
        return self.output(hidden), state

    def features(self, tokens: Tensor, state: Tree | None = None, *, mask: Tensor | None = None) -> tuple[Tensor, Tree]:
        """What the output layer reads, h(t) after dropout (T, B, H), and the state; arguments as in :meth:`forward`.

        With tied weights and another size of the embedding it is P h(t), (T, B, E).
        """
        hidden, state = self.layers(self.dropout(self.embedding(tokens)), state, mask=mask)
        hidden = self.dropout(hidden)
        return hidden if self.projection is None else self.projection(hidden), state

    def loss(self, tokens: Tensor, targets: Tensor, state: Tree | None = None) -> tuple[Tensor, Tree]:
        """The mean cross-entropy in nats of the targets (T, B), and the state.

        The same as ``F.cross_entropy`` of the logits, in less time and memory; it can be differentiated once.
        """
        hidden, state = self.features(tokens, state)
        output = self.output
        return linear_cross_entropy(hidden.flatten(0, 1), output.weight, output.bias, targets.flatten()), state

    @torch.no_grad()
    def losses(
        self, tokens: Tensor, targets: Tensor, state: Tree | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tree]:
        """The cross-entropy in nats of each target (T, B), and the state, without gradients."""
        hidden, state = self.features(tokens, state, mask=mask)
        output = self.output
        found = linear_cross_entropies(hidden.flatten(0, 1), output.weight, output.bias, targets.flatten())
        return found.view_as(targets), state
