"""Words of a recording that is still being heard."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...core import InputError
from ...models import CTC, CTCGreedyStream
from ...models.ctc_loss import BLANK
from ..audio import DeltaStream
from .speech import Speech
from .transcripts import Word, words_of


class Stream:
    """Feed it samples, or prepared features, in blocks of any size; it gives words when they are complete.

    The words are those of the whole at once, by greedy decoding.

    Args:
        model: one that reads forward in time only.
        speech: what it knows.
        seconds: of a step.

    Raises:
        InputError: the model reads backward too.
    """

    def __init__(self, model: CTC, speech: Speech, seconds: float):
        if model.bidirectional:
            raise InputError("expected a model for streams, got one that reads backward too; train with --streaming.")
        self.model, self.speech, self.seconds = model, speech, seconds
        self.heard: Callable[[Tensor], Tensor] = (
            speech.front.log_mel.stream() if speech.front.kind == "audio" else lambda features: features
        )
        self.deltas = DeltaStream(speech.front.deltas)
        self.state = model.start(1)
        self.greedy = CTCGreedyStream(1)
        self.piece = speech.units.stream()
        self.pieces: list[str] = []  # of the word that is not complete
        self.frames: list[tuple[int, int]] = []
        self.any = False
        self.count = 0  # frames
        self.longest = float("inf")  # seconds of the recording, which are known at its end

    @torch.no_grad()
    def feed(self, block: Tensor) -> list[Word]:
        """The words that samples (N,), or features (K, F), complete."""
        features = self.heard(block)
        if not len(features):
            return []
        self.any = True
        return self._new(self.deltas(features))

    @torch.no_grad()
    def finish(self) -> list[Word]:
        """The last words."""
        words: list[Word] = []
        if self.any:
            features = self.deltas.finish()
            self.longest = (self.count + len(features)) * self.speech.front.hop / 1000
            words += self._new(features)
            words += self._written(self.model.finish(self.state))
        rest = words_of(self.pieces, self.frames, self.seconds, self.longest)
        self.pieces, self.frames = [], []
        return words + rest

    def _new(self, features: Tensor) -> list[Word]:
        self.count += len(features)
        made, self.state = self.model.chunk(self.speech.front.scaled(features)[:, None], self.state)
        return self._written(made)

    @property
    def _goes_on(self) -> bool:
        """Whether the next step may be of the last unit too."""
        return self.greedy.last[0] != BLANK

    def _written(self, log_probabilities: Tensor) -> list[Word]:
        """The words that the next steps complete."""
        for step in log_probabilities.split(1):
            [symbols] = self.greedy.feed(step)
            self.pieces += [self.piece(unit) for unit, _ in symbols]
            self.frames += [(first, first + 1) for _, first in symbols]
            if self._goes_on and not symbols:
                self.frames[-1] = (self.frames[-1][0], self.greedy.done)
        last = complete(self.pieces[:-1] if self._goes_on else self.pieces)  # the end of a unit is not yet known
        words = words_of(self.pieces[:last], self.frames[:last], self.seconds, self.longest)
        self.pieces, self.frames = self.pieces[last:], self.frames[last:]
        return words


def complete(pieces: Sequence[str]) -> int:
    """How many pieces, from the first, are of words that nothing can be added to.

    Example:
        >>> complete(["n", "o", " ", "y"]), complete([" n", "o", " y"]), complete(["no ", "yes "]), complete(["n"])
        (3, 2, 2, 0)
    """
    for place in reversed(range(len(pieces))):
        if pieces[place][-1:].isspace():
            return place + 1
        if pieces[place][:1].isspace():
            return place
    return 0
