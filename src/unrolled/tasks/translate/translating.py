"""From text to its translations, by a trained network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...models import EncoderDecoder, Hypothesis
from ..batches import by_length, pad
from .tokens import BEGIN, END, UNKNOWN
from .vocabulary import Vocabulary

SLACK = 5  # tokens beyond what the expansion of the training data allows


@dataclass(frozen=True)
class Translation:
    """What was made of a source.

    Attributes:
        text: the translation.
        score: the sum of the log-scores of its tokens, of method beam divided by the length penalty.
        pieces: the text of each token.
        source: the text of each token of the source.
        attention: where each token looked, (tokens, tokens of the source); None without attention.
    """

    text: str
    score: float
    pieces: list[str]
    source: list[str]
    attention: Tensor | None = None


class Decoder:
    """A network with the tokens of its two sides.

    Args:
        network: in evaluation mode.
        vocabulary: that of the network.
        replace_unknown: write the source's word that was attended to most in place of ``<unk>``.
    """

    def __init__(self, network: EncoderDecoder, vocabulary: Vocabulary, replace_unknown: bool = True):
        self.network = network
        self.known = vocabulary
        self.replace_unknown = replace_unknown and vocabulary.source.kind == vocabulary.target.kind == "words"

    def translate(
        self, texts: Sequence[str], at_once: int = 32, *, max_output: int | None = None, **options: Any
    ) -> list[list[Translation]]:
        """The translations of each text, best first; an empty text has an empty one.

        Args:
            texts: lines.
            at_once: of a batch; lines of similar lengths go together.
            max_output: tokens of a translation at most; by default as the training data have it.
            options: of :meth:`unrolled.models.EncoderDecoder.translate`.
        """
        tokens = [np.array(self.known.source.encode(text), dtype=np.int64) for text in texts]
        found = [[Translation("", 0.0, [], [])] for _ in texts]
        filled = np.array([place for place, row in enumerate(tokens) if len(row)], dtype=np.int64)
        lengths = np.array([len(tokens[place]) for place in filled], dtype=np.int64)
        for chosen in by_length(lengths, at_once):
            places = filled[chosen].tolist()
            source, sizes = pad([tokens[place] for place in places])
            device = next(self.network.parameters()).device
            most = torch.tensor([self.most(int(size), max_output) for size in sizes])
            made = self.network.translate(
                source.to(device),
                sizes.to(device),
                begin=BEGIN,
                end=END,
                max_length=most.to(device),
                forbidden=self.forbidden,
                **options,
            )
            for place, steps, hypotheses in zip(places, most.tolist(), made, strict=True):
                found[place] = [self._translation(texts[place], hypothesis, steps - 1) for hypothesis in hypotheses]
        return found

    def stream(self, text: str, *, max_output: int | None = None, **options: Any) -> Iterator[str]:
        """The translation of a text, piece by piece as it is made.

        Args:
            text: a line.
            max_output: as of :meth:`translate`.
            options: of :meth:`unrolled.models.EncoderDecoder.stream`.
        """
        tokens = self.known.source.encode(text)
        if not tokens:
            return
        source = torch.tensor(tokens, device=next(self.network.parameters()).device)
        most = self.most(len(tokens), max_output)
        found: list[int] = []
        shown = ""
        made = self.network.stream(source, begin=BEGIN, end=END, max_length=most, forbidden=self.forbidden, **options)
        for token in islice(made, most - 1):
            found.append(token)
            whole = self.known.target.decode(found)
            if not whole.endswith("\N{REPLACEMENT CHARACTER}"):  # the rest of a character is to come
                yield whole[len(shown) :]
                shown = whole

    def most(self, length: int, wanted: int | None) -> int:
        """The steps of a translation of a source of this length, at most: those of its tokens, and of its end."""
        return (wanted or math.ceil(self.known.expansion * (length + 1)) + SLACK) + 1

    @property
    def forbidden(self) -> list[int]:
        """Tokens that no translation has."""
        return [BEGIN, UNKNOWN] if self.known.target.kind != "words" else [BEGIN]

    def _translation(self, text: str, found: Hypothesis, most: int) -> Translation:
        tokens = found.tokens[:most]  # where no end came, the last step has a token too
        target = self.known.target
        source = self.known.source.split(text)
        instead: list[str] = []
        if self.replace_unknown and found.attention is not None and len(tokens):
            instead = [source[place] for place in found.attention[: len(tokens), : len(source)].argmax(1).tolist()]
        pieces = [target.decode([token], instead[n : n + 1]) for n, token in enumerate(tokens)]
        attention = None if found.attention is None else found.attention[: len(tokens), : len(source)]
        return Translation(target.decode(tokens, instead), found.score, pieces, source, attention)
