"""The tagger: words, layers of any cell, a tag at every step, and one label for the whole sentence."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core import Tree
from ...models import SequenceToSequence
from ...models.pooling import Pooling
from ..batches import valid_steps
from .crf import CRF, FORBIDDEN, viterbi


class TaggingModel(nn.Module):
    """Scores of a tag for each token, and of a label for each sentence.

        e(t) = V h(t) + c                       scores of the tags of token t
        p    = sum over t of a(t) h(t)          what the sentence is, by attention
        u    = U p + d                          scores of its labels

    Args:
        embedding: from words to features (T, B, I).
        input_size: features I.
        cell: a factory ``(input_size) -> cell``.
        allowed: which tag may follow which, (K + 1, K + 1); row and column K are the sentence's border.
        labels: of sentences; 0 for none.
        crf: whether tags are scored as whole sequences.
        num_layers, bidirectional, dropout, residual: as in :class:`unrolled.models.SequenceToSequence`.

    Reference:
        Huang, Xu and Yu 2015, arXiv:1508.01991; tags and labels together: Liu and Lane 2016, arXiv:1609.01454.
    """

    def __init__(
        self,
        embedding: nn.Module,
        input_size: int,
        cell: Callable[[int], nn.Module],
        allowed: Tensor,
        labels: int = 0,
        *,
        crf: bool = False,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        residual: bool = False,
    ):
        super().__init__()
        number = len(allowed) - 1
        self.tagger = SequenceToSequence(
            input_size,
            cell,
            number,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            embedding=embedding,
        )
        size = self.tagger.feature_size
        self.pooling = Pooling("attention", size, bidirectional=bidirectional) if labels else None
        self.label = nn.Linear(size, labels) if labels else None
        self.crf = CRF(number, allowed) if crf else None
        self.register_buffer("allowed", allowed, persistent=False)
        self.allowed: Tensor

    def forward(self, words: Tree, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores of tags (T, B, K), and of labels (B, L), None without any.

        Args:
            words: what the embedding reads.
            lengths: tokens of each sentence (B,).
        """
        hidden, _ = self.tagger.features(words, lengths=lengths)
        scores = self.tagger.output(hidden)
        if self.pooling is None or self.label is None:
            return scores, None
        return scores, self.label(self.pooling(hidden, valid_steps(hidden, lengths)))

    def loss(self, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """The mean loss of a token, in nats; tags that are no number of a tag do not count (not with a CRF)."""
        if self.crf is not None:
            return self.crf.loss(scores, tags, lengths).sum() / lengths.sum().clamp(min=1)
        counts = valid_steps(scores, lengths) & (tags < scores.shape[2])
        losses = F.cross_entropy(scores[counts], tags[counts], reduction="sum")
        return losses / counts.sum().clamp(min=1)

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """The best sequence of tags in which each may follow the one before it, (T, B)."""
        if self.crf is not None:
            return self.crf.decode(scores, lengths)
        penalty = torch.zeros_like(self.allowed, dtype=scores.dtype).masked_fill(~self.allowed, FORBIDDEN)
        return viterbi(scores, lengths, penalty[:-1, :-1], penalty[-1, :-1], penalty[:-1, -1])
