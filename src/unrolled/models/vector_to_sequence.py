"""The vector-to-sequence model: a sequence made from one vector, as a name of a given language."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, Tree, at_least_1, leaves, map_tree
from ..layers import Stack
from ..layers.linear import Linear
from .dropout import Dropout
from .inputs import embedded
from .starting import start_sizes, started

MODES = ("start", "condition", "both")


class VectorToSequence(nn.Module):
    """A generator that a vector v starts or conditions: o(t) = V h(t) + c, h from layers of any cell over x.

    In training x(t) is what should have come out at t - 1 (teacher forcing), in :meth:`generate` what did come out.
    ``mode="start"``: every tensor of the state begins at its own s + W v + b, where s is the cell's initial state
    (zeros, for most). ``"condition"``: the first layer reads (x(t), v) at every step. ``"both"``: both.

    Args:
        vector_size: features of v.
        cell: a factory ``(input_size) -> cell``.
        output_size: features O of an output, such as the number of tokens.
        mode: as above.
        input_size: features of an embedded input x(t); by default the ``embedding_dim`` of the embedding, and
            without an embedding ``output_size``, since what comes out goes in.
        num_layers: recurrent layers.
        dropout: probability of zeroing a feature of the embedded input, between layers, and before the output.
        residual: add a layer's input to its output where the sizes allow it.
        embedding: a module that is applied to x first, such as ``nn.Embedding``; None: x is features.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        vector (B, vector_size); inputs (T, B, I), or what the embedding takes, as tokens (T, B); outputs (T, B, O);
        the state is that of :class:`unrolled.Stack`. ``feature_size`` is the number of features of h(t).

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Vinyals et al. 2015, arXiv:1411.4555; at every step: Mikolov and Zweig 2012, doi:10.1109/SLT.2012.6424228.

    Example:
        >>> import torch
        >>> from unrolled.cells import GRU
        >>> model = VectorToSequence(6, lambda size: GRU(size, 16), 30, embedding=torch.nn.Embedding(30, 8))
        >>> vector, tokens = torch.randn(4, 6), torch.randint(30, (11, 4))
        >>> scores, state = model(vector, tokens[:-1])  # of what tokens[1:] are
        >>> scores.shape
        torch.Size([10, 4, 30])
        >>> made, lengths = model.generate(vector, tokens[0], 20, end=0)
    """

    def __init__(
        self,
        vector_size: int,
        cell: Callable[[int], nn.Module],
        output_size: int,
        *,
        mode: str = "start",
        input_size: int | None = None,
        num_layers: int = 1,
        dropout: float = 0.0,
        residual: bool = False,
        embedding: nn.Module | None = None,
        backend: str = "auto",
    ):
        super().__init__()
        vector_size, output_size = at_least_1(vector_size, "vector_size"), at_least_1(output_size, "output_size")
        if mode not in MODES:
            raise InputError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}.")
        if input_size is None:
            input_size = output_size if embedding is None else getattr(embedding, "embedding_dim", None)
        if input_size is None:
            raise InputError(
                "input_size: expected the features of the embedding's result, which has no embedding_dim, got None."
            )
        self.vector_size = vector_size
        self.mode = mode
        joined = input_size if mode == "start" else input_size + vector_size
        self.layers = Stack(cell, joined, num_layers, dropout=dropout, residual=residual, backend=backend)
        assert self.layers.output_size is not None  # known of a stack that a factory made
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        self.feature_size = self.layers.output_size
        self.output = Linear(self.feature_size, output_size)
        if mode != "condition":
            self.start = Linear(vector_size, sum(start_sizes(self.layers)))

    def initial_state(self, vector: Tensor) -> Tree:
        """The state before the first step of each row, of its vector (B, vector_size)."""
        self._check(vector, len(vector) if vector.dim() else 0)
        if self.mode == "condition":
            return self.layers.initial_state(len(vector))
        return started(self.layers, self.start(vector))

    def forward(
        self,
        vector: Tensor,
        inputs: Tree,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """The outputs (T, B, O) under teacher forcing, and the state after each row's last step.

        Args:
            vector: v of each row (B, vector_size).
            inputs: x, what came before each output that is wanted; what stands in its padding changes nothing.
            state: by default the one that the vector starts; a later part of a sequence gives that of the part before.
            lengths: valid steps of each row (B,), 0 allowed.
            mask: (T, B), True = valid.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        hidden, state = self.features(vector, inputs, state, lengths=lengths, mask=mask)
        return self.output(hidden), state

    def features(
        self,
        vector: Tensor,
        inputs: Tree,
        state: Tree | None = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """What the output layer reads, h(t) after dropout (T, B, F), and the state; arguments as in :meth:`forward`."""
        read, valid = embedded(self.embedding, inputs, lengths=lengths, mask=mask)
        joined = self._joined(vector, read)
        state = self.initial_state(vector) if state is None else state
        hidden, state = self.layers(joined, state, mask=valid)
        return self.dropout(hidden), state

    def step(self, vector: Tensor, inputs: Tree, state: Tree | None = None) -> tuple[Tensor, Tree]:
        """One time step: inputs (B, ...), the output (B, O), and the state after it, to be passed to the next."""
        read, _ = embedded(self.embedding, map_tree(lambda leaf: leaf.unsqueeze(0), inputs))
        joined = self._joined(vector, read).squeeze(0)
        state = self.initial_state(vector) if state is None else state
        hidden, state = self.layers.step(joined, state)
        return self.output(self.dropout(hidden)), state

    @torch.no_grad()
    def generate(
        self,
        vector: Tensor,
        first: Tree,
        steps: int,
        *,
        pick: Callable[[Tensor], Tensor] | None = None,
        end: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sequences made step by step: what comes out of a step goes into the next. Call ``eval()`` first.

        Args:
            vector: v of each row (B, vector_size).
            first: the input of the first step, (B,) tokens or (B, I) features.
            steps: the most steps to make, at least 1.
            pick: a function from an output (B, O) to the next input; by default the most probable token where the
                first input is tokens, else the output itself. To draw:
                ``lambda scores: torch.multinomial(scores.softmax(-1), 1).squeeze(1)``.
            end: a token after which a row is over; it is filled with this token, and no step is made once all are over.

        Returns:
            What was picked (T, B) or (T, B, I), without the first input; and the lengths (B,) without the end token.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        steps = at_least_1(steps, "steps")
        if pick is None:
            pick = _likeliest if not leaves(first)[0].is_floating_point() else _itself
        state, made = self.initial_state(vector), []
        lengths = torch.zeros(len(vector), dtype=torch.int64, device=vector.device)
        going = torch.ones_like(lengths, dtype=torch.bool)
        for _ in range(steps):
            scores, state = self.step(vector, first, state)
            first = pick(scores)
            if end is not None:
                first = first.masked_fill(~going, end)
                going = going & (first != end)
            made.append(first)
            lengths += going
            if not going.any():
                break
        return torch.stack(made), lengths

    def _joined(self, vector: Tensor, read: Tensor) -> Tensor:
        """What the first layer reads (T, B, I), of the inputs' features."""
        self._check(vector, read.shape[1])
        read = self.dropout(read)
        return read if self.mode == "start" else torch.cat([read, vector.expand(len(read), *vector.shape)], -1)

    def _check(self, vector: Tensor, batch_size: int) -> None:
        if vector.shape != (batch_size, self.vector_size):
            raise InputError(
                f"vector: expected (B, vector_size) = ({batch_size}, {self.vector_size}), got {tuple(vector.shape)}."
            )

    def extra_repr(self) -> str:
        """The options that the layers do not show."""
        return f"vector_size={self.vector_size}, mode={self.mode!r}"


def _likeliest(scores: Tensor) -> Tensor:
    return scores.argmax(-1)


def _itself(output: Tensor) -> Tensor:
    return output
