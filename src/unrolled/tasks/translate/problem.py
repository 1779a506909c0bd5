"""Learning to translate: mini-batches of pairs, the loss, and the figures on held-out pairs."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...core import Tree
from ...models import EncoderDecoder
from ...models.cross_entropy import linear_cross_entropies, linear_cross_entropy
from ...training.problem import Evaluation, Loss
from ..batches import Batches, by_length, pad, valid_steps
from .data import Part, TranslateData
from .measuring import Measure
from .options import LearningOptions, TranslateOptions
from .pairs import Pair
from .tokens import BEGIN
from .translating import Decoder

AT_ONCE = 64  # pairs of a batch in which no gradient is wanted
SHOWN = 3  # pairs of a sample


class TranslateProblem:
    """An encoder-decoder and the pairs that it learns from, as the training loop wants it."""

    def __init__(self, model: EncoderDecoder, data: TranslateData, options: TranslateOptions):
        self.model: nn.Module = model
        self.network = model
        self.data = data
        self.options = options.training
        lengths = data.training.sources.lengths + data.training.targets.lengths
        self.batches = Batches(lengths, options.data.batch_size, options.training.seed)
        self.measure = Measure.of_options(options.data, data.vocabulary)
        self.pairs = spread(data.held_out, options.data.evaluation_sources)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.batches.per_epoch

    def start(self) -> Tree:
        """Nothing is carried from one batch to the next."""
        return ()

    def loss(self, step: int, carry: Tree) -> Loss:
        """The mean loss of a token of the targets."""
        features, targets = self._features(self.data.training, self.batches(step), forcing(self.options, step))
        output = self.network.output
        value = linear_cross_entropy(
            features, output.weight, output.bias, targets, label_smoothing=self.options.label_smoothing
        )
        return Loss(value, carry, len(targets))

    def figures(self, loss: float) -> dict[str, float]:
        """The loss of training is smoothed: it has no other unit."""
        return {}

    def evaluate(self) -> Evaluation:
        """BLEU, or errors, of the likeliest tokens one after another; the best weights are the best by these."""
        part, output = self.data.validation, self.network.output
        total = count = 0.0
        for places in by_length(part.sources.lengths, AT_ONCE):
            features, targets = self._features(part, places)
            total += float(linear_cross_entropies(features, output.weight, output.bias, targets).sum())
            count += len(targets)
        loss = total / max(count, 1)
        figures = self.measure(self.pairs, self._translate)
        return Evaluation(loss, {**figures.values, "perplexity": math.exp(min(loss, 700))}, figures.criterion)

    def sample(self) -> str | None:
        """Some held-out sources with their translations."""
        sources = list(dict.fromkeys(pair.source for pair in self.pairs))[:SHOWN]
        found = self._translate(sources)
        return "\n".join(f"{source} -> {made}" for source, made in zip(sources, found, strict=True))

    def _translate(self, sources: list[str]) -> list[str]:
        decoder = Decoder(self.network, self.data.vocabulary)
        return [found[0].text for found in decoder.translate(sources, AT_ONCE, method="greedy")]

    def _features(self, part: Part, places: NDArray[Any], forcing: float = 1.0) -> tuple[Tensor, Tensor]:
        """What the output layer reads of each token of these pairs, and the tokens."""
        device = next(self.model.parameters()).device
        (sources, lengths), (targets, target_lengths) = map(pad, part.of(places))
        targets = targets.long()
        begin = torch.full_like(targets[:1], BEGIN)
        features = self.network.features(
            sources.long().to(device),
            torch.cat([begin, targets[:-1]]).to(device),
            lengths.to(device),
            target_lengths=target_lengths.to(device),
            teacher_forcing_ratio=forcing,
        )
        valid = valid_steps(targets, target_lengths)
        return features[valid.to(device)], targets[valid].to(device)


def spread(pairs: list[Pair], most: int) -> list[Pair]:
    """Pairs of at most so many sources, spread evenly over all of them.

    Example:
        >>> [pair.target for pair in spread([Pair("to", "T UW"), Pair("to", "T AH"), Pair("in", "IH N")], 1)]
        ['T UW', 'T AH']
    """
    sources = list(dict.fromkeys(pair.source for pair in pairs))
    places = np.linspace(0, len(sources), min(most, len(sources)), endpoint=False).astype(int)
    chosen = {sources[place] for place in places.tolist()}
    return [pair for pair in pairs if pair.source in chosen]


def forcing(options: LearningOptions, step: int) -> float:
    """The probability, at a step, that the decoder is given the true token before.

    From the first value a to the last one b by b + (a - b) s(p), where p goes from 0 to 1 in the course of training:
    s(p) = 1 - p, or by the inverse sigmoid s(p) = (f(p) - f(1)) / (f(0) - f(1)), f(p) = 1 / (1 + exp(10 p - 5)).

    Reference:
        Bengio et al. 2015, arXiv:1506.03099.

    Example:
        >>> from unrolled.tasks.translate.options import LearningOptions
        >>> options = LearningOptions(steps=101, teacher_forcing=1.0, teacher_forcing_end=0.5)
        >>> forcing(options, 0), forcing(options, 50), forcing(options, 100)
        (1.0, 0.75, 0.5)
    """
    first = options.teacher_forcing
    last = first if options.teacher_forcing_end is None else options.teacher_forcing_end
    if first == last:
        return first
    # where steps are timed, to find how many fit, they are to be like those in the middle
    progress = 0.5 if options.steps is None else min(1.0, step / max(1, options.steps - 1))
    if options.teacher_forcing_schedule == "linear":
        share = 1 - progress
    else:
        at = 1 / (1 + np.exp(10 * np.array([progress, 0.0, 1.0]) - 5))
        share = float((at[0] - at[2]) / (at[1] - at[2]))
    return min(1.0, max(0.0, last + (first - last) * share))
