"""The network: one or several recurrent networks from a sequence to the scores of its classes."""

from typing import Any

import torch
from torch import Tensor, nn

from ...models import SequenceToVector, WordEmbedding
from ..cells import cell_factory, first_step
from .encoder import Encoder
from .options import ModelOptions


class Network(nn.Module):
    """Members that read the same sequence, each with weights of its own; their probabilities are averaged.

    Args:
        encoder: says what a sequence is, and how many classes there are.
        options: of the model.

    Shape:
        x (T, B, F), or what the word embedding takes; logits (M, B, C) of M members and C classes.
    """

    def __init__(self, encoder: Encoder, options: ModelOptions):
        super().__init__()
        cell = cell_factory(options.cell, options.hidden_size)

        def member() -> SequenceToVector:
            embedding = None
            size = encoder.features
            if encoder.vocabulary is not None:
                size = options.embedding_size
                embedding = WordEmbedding(len(encoder.vocabulary), size, options.subwords, unknown=1)
            return SequenceToVector(
                size,
                cell,
                len(encoder.classes),
                pooling=options.pooling,
                num_layers=options.layers,
                bidirectional=options.bidirectional,
                dropout=options.dropout,
                residual=options.residual,
                embedding=embedding,
            )

        with first_step(options.cell):
            self.members = nn.ModuleList(member() for _ in range(options.ensemble))

    def forward(self, x: Any, lengths: Tensor) -> Tensor:
        """Logits (M, B, C) of every member."""
        return torch.stack([member(x, lengths=lengths) for member in self.members])

    def log_probabilities(self, x: Any, lengths: Tensor) -> Tensor:
        """The logarithm of the mean of the members' probabilities (B, C)."""
        return mean_log_probabilities(self(x, lengths))


def mean_log_probabilities(logits: Tensor) -> Tensor:
    """Of logits (M, B, C) the logarithm of the mean over M of their softmax (B, C)."""
    return torch.logsumexp(logits.log_softmax(2), 0) - torch.log(torch.tensor(float(len(logits))))
