"""The half of an encoder-decoder that makes a sequence: layers over what came before, and attention to the source."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, Tree, valid_steps
from ..layers import Stack
from ..layers.linear import Linear
from .attention import Attention
from .dropout import Dropout
from .encoded import Encoded
from .inputs import embedded, looked_up
from .starting import start_sizes, started
from .stepping import stepping


class Decoder(nn.Module):
    """Tokens y(t-1) and what an encoder read, to u(t), what an output layer reads: the equations of EncoderDecoder.

    Args:
        embedding: of the tokens y.
        cell: a factory ``(input_size) -> cell``.
        memory_size: features M of the encoder's outputs.
        attention: ``"multiplicative"``, ``"additive"`` or ``"none"``.
        input_feeding: whether u(t-1) is read too.
        shrink: whether u has as many features as the embedding, not as the layers' outputs.
        num_layers, dropout, residual, backend: as of EncoderDecoder.

    Shape:
        inputs (T, B), u (T, B, F) with F the ``feature_size``.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        cell: Callable[[int], nn.Module],
        memory_size: int,
        *,
        attention: str,
        input_feeding: bool,
        shrink: bool,
        num_layers: int,
        dropout: float,
        residual: bool,
        backend: str,
    ):
        super().__init__()
        size = embedding.embedding_dim
        self.input_feeding = input_feeding
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        joined = 2 * size if input_feeding else size
        self.layers = Stack(cell, joined, num_layers, dropout=dropout, residual=residual, backend=backend)
        assert self.layers.output_size is not None  # known of a stack that a factory made
        hidden_size = self.layers.output_size
        self.feature_size = size if input_feeding or shrink else hidden_size
        self.bridge = Linear(memory_size, sum(start_sizes(self.layers)))
        self.attend: Attention | None = None
        self.combine: nn.Module | None = None
        if attention != "none":
            self.attend = Attention(attention, hidden_size, memory_size)
            self.combine = nn.Sequential(Linear(hidden_size + memory_size, self.feature_size), nn.Tanh())
        elif self.feature_size != hidden_size:
            self.combine = Linear(hidden_size, self.feature_size, bias=False)

    def reads(self, memory: Tensor, mask: Tensor, vector: Tensor) -> Encoded:
        """What the encoder's outputs (S, B, M) and its last ones (B, M) are to these layers."""
        state = started(self.layers, self.bridge(vector))
        return Encoded(memory, mask, state, None if self.attend is None else self.attend.keys(memory))

    def start(self, encoded: Encoded) -> Tree:
        """The state before the first step: the layers', with input feeding u too, which is zeros."""
        if not self.input_feeding:
            return encoded.state
        return encoded.state, encoded.memory.new_zeros(encoded.batch_size, self.feature_size)

    def step(
        self,
        inputs: Tensor,
        state: Tree,
        encoded: Encoded,
        layers: Callable[[Tensor, Any], tuple[Tensor, Tree]] | None = None,
    ) -> tuple[Tensor, Tree, Tensor | None]:
        """One step: tokens (N,) to u (N, F), the state after it, and the attention (N, S).

        N is B or a multiple of it, where the rows that look at the same source stand side by side; ``layers`` is by
        default the step of the layers.
        """
        rows, batch_size = len(inputs), encoded.batch_size
        if inputs.dim() != 1 or (rows % batch_size if batch_size else rows):
            raise InputError(
                f"inputs: expected tokens (N,), N a multiple of the {batch_size} sources, got {tuple(inputs.shape)}."
            )
        read = self.dropout(looked_up(self.embedding, inputs, "inputs"))
        if self.input_feeding:
            state, fed = state
            read = torch.cat([read, fed], -1)
        hidden, state = (layers or self.layers.step)(read, state)
        copies = rows // batch_size if batch_size else 1
        beams = hidden.view(batch_size, copies, hidden.shape[-1]).transpose(0, 1)  # as if they were time steps
        features, attention = self._look(beams, encoded)
        features = features.transpose(0, 1).flatten(0, 1)
        if attention is not None:
            attention = attention.transpose(0, 1).flatten(0, 1)
        return features, (state, features) if self.input_feeding else state, attention

    def forward(
        self,
        encoded: Encoded,
        inputs: Tensor,
        lengths: Any = None,
        guess: Callable[[Tensor], Tensor] | None = None,
        ratio: float = 1.0,
    ) -> tuple[Tensor, Tensor | None]:
        """All steps: u (T, B, F) and the attention (T, B, S), zeros in the padding.

        Args:
            encoded: what the encoder read.
            inputs: y(t-1) (T, B).
            lengths: valid steps of each row (B,).
            guess: a function from u (B, F) to tokens (B,).
            ratio: the probability of an input; otherwise the guess at the step before is read.
        """
        if not isinstance(inputs, Tensor):
            raise InputTypeError(f"inputs: expected a tensor of tokens (T, B), got {type(inputs).__name__}.")
        if inputs.dim() != 2 or not len(inputs) or inputs.shape[1] != encoded.batch_size:
            raise InputError(
                "inputs: expected tokens (T, B) with at least one step and as many rows as the source has, "
                f"{encoded.batch_size}, got {tuple(inputs.shape)}."
            )
        if ratio == 1 and not self.input_feeding:
            read, valid = embedded(self.embedding, inputs, lengths=lengths, name="inputs")
            hidden, _ = self.layers(self.dropout(read), encoded.state, mask=valid)
            features, attention = self._look(hidden, encoded)
        else:
            valid = valid_steps(*inputs.shape, lengths=lengths, device=inputs.device)
            if valid is not None:
                inputs = inputs.masked_fill(~valid, 0)  # it may be no token
            features, attention = self._step_by_step(encoded, inputs, guess, ratio)
        if valid is not None:
            padding = ~valid.unsqueeze(-1)
            features = features.masked_fill(padding, 0)
            attention = None if attention is None else attention.masked_fill(padding, 0)
        return features, attention

    def _step_by_step(
        self, encoded: Encoded, inputs: Tensor, guess: Callable[[Tensor], Tensor] | None, ratio: float
    ) -> tuple[Tensor, Tensor | None]:
        """What :meth:`forward` gives, where an input depends on the step before."""
        layers = stepping(self.layers, inputs, encoded.state)
        forced = torch.rand(inputs.shape, device=inputs.device) < ratio if ratio < 1 else None
        state, made, looks = self.start(encoded), list[Tensor](), list[Tensor]()
        for t, tokens in enumerate(inputs):
            if t and forced is not None and guess is not None:
                with torch.no_grad():
                    tokens = torch.where(forced[t], tokens, guess(made[-1]))
            features, state, attention = self.step(tokens, state, encoded, partial(layers, t))
            made.append(features)
            if attention is not None:
                looks.append(attention)
        return torch.stack(made), torch.stack(looks) if looks else None

    def _look(self, hidden: Tensor, encoded: Encoded) -> tuple[Tensor, Tensor | None]:
        """Of the layers' outputs (T, B, H) u, after dropout, and the attention."""
        weights = None
        if self.attend is not None and encoded.keys is not None:
            context, weights = self.attend(hidden, encoded.keys, encoded.memory, encoded.mask)
            hidden = torch.cat([hidden, context], -1)
        if self.combine is not None:
            hidden = self.combine(hidden)
        return self.dropout(hidden), weights
