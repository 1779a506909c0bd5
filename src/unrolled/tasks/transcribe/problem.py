"""Learning to transcribe: mini-batches of utterances, changed at random, the loss, and the figures on held-out ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ...core import Tree
from ...models import CTC, ctc_greedy, ctc_loss, needed_frames
from ...training.problem import Evaluation, Loss
from ..augment import mask_bands, mask_time, stretch, warp_bands
from ..batches import Batches, by_length, valid_steps
from .data import Part, TranscribeData
from .figures import measure
from .options import LearningOptions, TranscribeOptions
from .units import text_of

AT_ONCE = 32  # utterances of a batch in which no gradient is wanted
SHOWN = 3  # utterances of a sample
WARP = 0.1  # of recordings


class TranscribeProblem:
    """A recogniser and the utterances that it learns from, as the training loop wants it."""

    def __init__(self, model: CTC, data: TranscribeData, options: TranscribeOptions):
        self.model: nn.Module = model
        self.recogniser = model
        self.data = data
        self.options = options.training
        self.batches = Batches(data.training.lengths, options.data.batch_size, options.training.seed)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.batches.per_epoch

    def start(self) -> Tree:
        """Nothing is carried from one batch to the next."""
        return ()

    def loss(self, step: int, carry: Tree) -> Loss:
        """The mean nats of a unit."""
        features, lengths, targets, counts = self.batch(self.data.training, self.batches(step))
        read = int(lengths.sum())
        features, lengths = self._changed(features, lengths, targets, counts)
        value = self.recogniser.loss(features.to(self._device), lengths, targets, counts)
        return Loss(value, carry, read)

    def figures(self, loss: float) -> dict[str, float]:
        """A loss has no other unit here."""
        return {}

    def evaluate(self) -> Evaluation:
        """Word and character error rate of the likeliest paths; the best weights are those with the fewest wrong."""
        part = self.data.validation
        nats = units = 0.0
        written = [""] * len(part)
        for places in by_length(part.lengths, AT_ONCE):
            features, lengths, targets, counts = self.batch(part, places)
            made, steps = self.recogniser(features.to(self._device), lengths)
            count = max(int(counts.sum()), 1)
            nats += float(ctc_loss(made, steps, targets, counts)) * count
            units += count
            for place, text in zip(places.tolist(), self._texts(made, steps), strict=True):
                written[place] = text
        found = measure(part.said(), written)
        # where no word is right yet, characters tell which weights are better
        return Evaluation(nats / units, {"wer": found.wer, "cer": found.cer}, found.wer + 1e-3 * found.cer)

    def sample(self) -> str | None:
        """Some held-out utterances: what was said, and what is written."""
        part = self.data.validation
        places = np.arange(min(SHOWN, len(part)))
        features, lengths, _, _ = self.batch(part, places)
        written = self._texts(*self.recogniser(features.to(self._device), lengths))
        said = part.said()
        lines = [f"said     {said[place]}\nwritten  {text}" for place, text in zip(places, written, strict=True)]
        return "\n".join(lines)

    def batch(self, part: Part, places: Sequence[int] | np.ndarray[Any, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (T, B, F) on one scale, frames (B,), units (B, U), how many (B,)."""
        features, lengths = self.data.speech.front.batch(part.heard(places))
        units = [torch.tensor(row, dtype=torch.long) for row in part.spelled(places)]
        return features, lengths, pad_sequence(units, batch_first=True), torch.tensor([len(row) for row in units])

    def _changed(self, features: Tensor, lengths: Tensor, targets: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """A batch with other speeds and frequencies, with masks and with noise."""
        options, front = self.options, self.data.speech.front
        if options.stretch:
            faster, shorter = stretch(features, options.stretch, lengths=lengths)
            # a text must still fit into its frames
            if bool((self.recogniser.output_lengths(shorter) >= needed_frames(targets, counts)).all()):
                features, lengths = faster, shorter
        share = (WARP if front.kind == "audio" else 0.0) if options.warp is None else options.warp
        features = warped(features, front.deltas + 1, share) if share else features
        return masked(features, lengths, front.deltas + 1, options), lengths

    def _texts(self, made: Tensor, steps: Tensor) -> list[str]:
        pieces = self.data.speech.units.pieces
        return [text_of(pieces(best.tokens)) for best in ctc_greedy(made, steps)]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def warped(features: Tensor, orders: int, share: float) -> Tensor:
    """Features with their bands moved; a band's changes move with it."""
    steps, rows, size = features.shape
    parts = features.view(steps, rows, orders, size // orders).transpose(1, 2).reshape(-1, rows, size // orders)
    moved = warp_bands(parts, share).view(steps, orders, rows, size // orders)
    return moved.transpose(1, 2).reshape(steps, rows, size)


def masked(features: Tensor, lengths: Tensor, orders: int, options: LearningOptions) -> Tensor:
    """Features with masks over frames and over bands (a band's changes are hidden with it), and with noise.

    Reference:
        Park et al. 2019, arXiv:1904.08779.
    """
    if options.noise:
        features = features + options.noise * torch.randn_like(features)
    for _ in range(options.mask_count):
        if options.mask_time:
            features = mask_time(features, options.mask_time, lengths=lengths)
        if options.mask_features:
            rows, size = features.shape[1], features.shape[2] // orders
            kept = mask_bands(features.new_ones(1, rows, size), options.mask_features)
            features = features * kept.repeat(1, 1, orders)
    return features * valid_steps(features, lengths)[..., None]
