"""From a source to what is made of it: a model with ``encode``, ``start`` and ``step``, decoded."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..core import InputError, InputTypeError, Tree
from .decoding import Hypothesis, beam_search, drawing, greedy, likeliest, sample, walk, whole_token
from .encoded import Encoded

_OF_ALL = ("end", "max_length", "forbidden", "no_repeat_ngram")
_OF_DRAWS = ("temperature", "top_k", "top_p", "seed")
METHODS = {  # with their options
    "beam": (*_OF_ALL, "beam_size", "n_best", "length_penalty"),
    "greedy": _OF_ALL,
    "sample": (*_OF_ALL, *_OF_DRAWS),
}


def check_method(method: str, options: Iterable[str], methods: Iterable[str] = METHODS) -> None:
    """That there is such a method, with such options.

    Raises:
        InputError: there is no such method.
        InputTypeError: it has no such option.
    """
    if method not in (known := tuple(methods)):
        raise InputError(f"method: expected one of {', '.join(known)}, got {method!r}.")
    for name in options:
        if name not in METHODS[method]:
            raise InputTypeError(
                f"{name}: expected an option of method={method!r}, which are {', '.join(METHODS[method])}."
            )


@torch.no_grad()
def translate(model: Any, encoded: Encoded, begin: int, method: str, options: dict[str, Any]) -> list[list[Hypothesis]]:
    """Of each row what is found, best first; the arguments are those of :meth:`EncoderDecoder.translate`."""
    check_method(method, options)
    reading = _Reading(model, encoded)
    first = torch.full_like(reading.rows, whole_token(begin, "begin"))
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
    first = torch.full_like(reading.rows, whole_token(begin, "begin"))
    for _, tokens, _, _ in walk(reading, reading.start(), first, choose, **options):
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
        exact = torch.promote_types(scores.dtype, torch.float32)  # sums of rounded log-scores would be ties
        found = scores.log_softmax(-1, dtype=exact), (state, places)
        return found if attention is None else (*found, attention)
