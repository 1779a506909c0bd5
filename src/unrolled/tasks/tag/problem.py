"""Learning to tag: mini-batches of sentences, the loss, and the figures on held-out sentences."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core import Tree
from ...training.problem import Evaluation, Loss
from ..batches import Batches, by_length, pad
from .data import TagData
from .figures import measure
from .model import TaggingModel
from .numbers import Part
from .options import TagOptions
from .words import Words

AT_ONCE = 128  # sentences of a batch in which no gradient is wanted
SHOWN = 2  # sentences of a sample


class TagProblem:
    """A tagger and the sentences that it learns from, as the training loop wants it."""

    def __init__(self, model: TaggingModel, data: TagData, words: Words, options: TagOptions):
        self.model: nn.Module = model
        self.tagger = model
        self.data = data
        self.words = words
        self.options = options.model
        self.batches = Batches(data.training.lengths, options.data.batch_size, options.training.seed)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.batches.per_epoch

    def start(self) -> Tree:
        """Nothing is carried from one batch to the next."""
        return ()

    def loss(self, step: int, carry: Tree) -> Loss:
        """The mean loss of a token, and with its weight that of a sentence's label."""
        batch = _Batch(self.data.training, self.batches(step), self._device)
        scores, of_labels = self._scores(batch)
        value = self.tagger.loss(scores, batch.tags, batch.lengths)
        if of_labels is not None:
            value = value + self.options.intent_weight * _label_loss(of_labels, batch.labels)
        return Loss(value, carry, int(batch.lengths.sum()))

    def figures(self, loss: float) -> dict[str, float]:
        """A loss has no other unit here."""
        return {}

    def evaluate(self) -> Evaluation:
        """F1 of spans, or the accuracy of tokens; the best weights are those with the most of it."""
        part = self.data.validation
        losses = tokens = 0.0
        found: list[list[str]] = [[]] * len(part)
        labels: list[str | None] = [None] * len(part)
        for places in by_length(part.lengths, AT_ONCE):
            batch = _Batch(part, places, self._device)
            scores, of_labels = self._scores(batch)
            count = int(batch.lengths.sum())
            losses += float(self._known_loss(scores, batch)) * count
            tokens += count
            tags, best = self.tagger.decode(scores, batch.lengths), None
            if of_labels is not None:
                losses += self.options.intent_weight * float(_label_loss(of_labels, batch.labels)) * count
                best = of_labels.argmax(1).tolist()
            for column, place in enumerate(places.tolist()):
                found[place] = self._names(tags[: int(batch.lengths[column]), column].tolist())
                labels[place] = None if best is None else self.data.labels[best[column]]
        _, true, of_sentences = part.of(range(len(part)))
        names = [self.data.labels[label] if label >= 0 else None for label in of_sentences.tolist()]
        pairs = zip(names, labels, strict=True) if self.data.vocabulary.labels else ()
        result = measure(map(self._names, true), found, self.data.vocabulary.scheme, pairs)
        return Evaluation(losses / max(tokens, 1), result.as_dict(), 1 - result.score)

    def sample(self) -> str | None:
        """Some held-out sentences, with the tags that the model gives them."""
        part = self.data.validation
        places = np.arange(min(SHOWN, len(part)))
        batch = _Batch(part, places, self._device)
        scores, of_labels = self._scores(batch)
        tags = self.tagger.decode(scores, batch.lengths)
        lines = []
        for column, tokens in enumerate(part.of(places)[0]):
            words = [self.data.forms[token] for token in tokens.tolist()]
            marks = self._names(tags[: len(words), column].tolist())
            line = " ".join(word if mark == "O" else f"{word}/{mark}" for word, mark in zip(words, marks, strict=True))
            label = None if of_labels is None else self.data.labels[int(of_labels[column].argmax())]
            lines.append(line if label is None else f"{label}: {line}")
        return "\n".join(lines)

    def _scores(self, batch: "_Batch") -> tuple[Tensor, Tensor | None]:
        scores: tuple[Tensor, Tensor | None] = self.tagger(self.words(batch.tokens).to(self._device), batch.lengths)
        return scores

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _names(self, tags: Iterable[int]) -> list[str]:
        return [self.data.tags[tag] for tag in tags]

    def _known_loss(self, scores: Tensor, batch: "_Batch") -> Tensor:
        """The loss of tags, where held-out sentences may have tags that are not learnt."""
        known = (batch.tags < scores.shape[2]).all(0)
        if self.tagger.crf is None or known.all():
            return self.tagger.loss(scores, batch.tags, batch.lengths)
        if not known.any():
            return scores.new_zeros(())
        return self.tagger.loss(scores[:, known], batch.tags[:, known], batch.lengths[known])


class _Batch:
    """Some sentences as tensors."""

    def __init__(self, part: Part, places: Sequence[int] | np.ndarray[Any, Any], device: torch.device):
        tokens, tags, labels = part.of(places)
        self.tokens, self.lengths = pad(tokens)  # (T, B), on the CPU, where words are looked up
        self.lengths = self.lengths.to(device)
        self.tags = pad(tags)[0].long().to(device)
        self.labels = torch.as_tensor(labels).to(device)


def _label_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of the labels that are known; 0 where none is."""
    known = (labels >= 0) & (labels < scores.shape[1])
    return F.cross_entropy(scores[known], labels[known], reduction="sum") / known.sum().clamp(min=1)
