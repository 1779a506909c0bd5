"""From a source to what is made of it: a model with ``encode``, ``start`` and ``step``, decoded."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..core import InputError, Tree
from .decoding import Hypothesis, beam_search, drawing, greedy, likeliest, sample, walk
from .encoded import Encoded

METHODS = ("beam", "greedy", "sample")
_OF_DRAWS = ("temperature", "top_k", "top_p", "seed")


@torch.no_grad()
def translate(model: Any, encoded: Encoded, begin: int, method: str, options: dict[str, Any]) -> list[list[Hypothesis]]:
    """Of each row what is found, best first; the arguments are those of :meth:`EncoderDecoder.translate`."""
    if method not in METHODS:
        raise InputError(f"method: expected one of {', '.join(METHODS)}, got {method!r}.")
    reading = _Reading(model, encoded)
    first = torch.full_like(reading.rows, begin)
    if method == "beam":
        return beam_search(reading, reading.start(), first, **options)
    found = (greedy if method == "greedy" else sample)(reading, reading.start(), first, **options)
    return [[hypothesis] for hypothesis in found]


@torch.no_grad()
def stream(model: Any, encoded: Encoded, begin: int, method: str, options: dict[str, Any]) -> Iterator[int]:
    """The tokens of one row as they come; the arguments are those of :meth:`EncoderDecoder.stream`."""
    drawn = {name: options.pop(name) for name in _OF_DRAWS if name in options}
    choose = drawing(encoded.mask.device, **drawn) if method == "sample" else likeliest
    reading = _Reading(model, encoded)
    for _, tokens, _, _ in walk(reading, reading.start(), torch.full_like(reading.rows, begin), choose, **options):
        if int(tokens) != options["end"]:
            yield int(tokens)


class _Reading:
    """The step that decoding calls. Its state holds, beside the model's, the place of each row's source.

    Rows that are over have left; the others stand in their order, the beams of a source side by side.
    """

    def __init__(self, model: Any, encoded: Encoded):
        self.model = model
        self.whole = self.encoded = encoded
        self.rows = torch.arange(encoded.batch_size, device=encoded.mask.device)  # of self.encoded, in the whole

    def start(self) -> Tree:
        return self.model.start(self.encoded), self.rows

    def __call__(self, tokens: Tensor, state: Tree) -> tuple[Any, ...]:
        state, places = state
        rows = places.unique_consecutive()
        if len(rows) < len(self.rows):
            self.rows, self.encoded = rows, self.whole.select(rows)
        scores, state, attention = self.model.step(tokens, state, self.encoded)
        found = scores.log_softmax(-1), (state, places)
        return found if attention is None else (*found, attention)
