"""The network: one or several recurrent networks from a sequence to the scores of its classes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...models import SequenceToVector, WordEmbedding
from ..cells import cell_factory, first_step
from .encoder import Encoder
from .mixup import Mix
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
        self.embeddings = nn.ModuleList()  # of text, one a member
        self.members = nn.ModuleList()
        for _ in range(options.ensemble):
            size = encoder.features
            if encoder.vocabulary is not None:
                size = options.embedding_size
                words = WordEmbedding(
                    len(encoder.vocabulary), size, options.subwords, unknown=encoder.vocabulary.unknown
                )
                self.embeddings.append(words)
            with first_step(options.cell):
                member = SequenceToVector(
                    size,
                    cell,
                    len(encoder.classes),
                    pooling=options.pooling,
                    num_layers=options.layers,
                    bidirectional=options.bidirectional,
                    dropout=options.dropout,
                    residual=options.residual,
                )
            self.members.append(member)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Logits (M, B, C) of every member."""
        return self.judge(self.read(x), lengths)

    def read(self, x: Tensor) -> list[Tensor]:
        """What the layers of each member read (T, B, F): vectors of words, or the numbers themselves."""
        if self.embeddings:
            return [embedding(x) for embedding in self.embeddings]
        return [x] * len(self.members)

    def judge(self, read: Sequence[Tensor], lengths: Tensor, mix: Mix | None = None) -> Tensor:
        """Logits (M, B, C) of what each member reads, of rows that are mixed just before the last layer."""
        logits = []
        for member, features in zip(self.members, read, strict=True):
            assert isinstance(member, SequenceToVector)
            pooled = member.features(features, lengths=lengths)
            logits.append(member.output(pooled if mix is None else mix(pooled)))
        return torch.stack(logits)

    def log_probabilities(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The logarithm of the mean of the members' probabilities (B, C)."""
        return mean_log_probabilities(self(x, lengths))


def mean_log_probabilities(logits: Tensor) -> Tensor:
    """Of logits (M, B, C) the logarithm of the mean over M of their softmax (B, C)."""
    return torch.logsumexp(logits.log_softmax(2), 0) - torch.log(torch.tensor(float(len(logits))))
