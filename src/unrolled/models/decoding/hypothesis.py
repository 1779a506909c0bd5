"""What decoding finds, and what it asks for."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ...core import InputError, InputTypeError, at_least_1

Step: TypeAlias = Callable[[Tensor, Any], tuple[Any, ...]]
"""``step(tokens (N,), state) -> (log-scores (N, V), state)``, or with a third, the attention (N, S) of this step."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that was found.

    Attributes:
        tokens: what was found, without the token that began it and the one that ended it.
        score: the sum of the log-scores of its tokens, and of the end if it came; of a beam search divided by the
            length penalty.
        attention: where each token looked (len(tokens), S); None where the step gives no attention.
        ended: whether the end came; else the sequence was cut at the greatest length.
    """

    tokens: tuple[int, ...]
    score: float
    attention: Tensor | None = None
    ended: bool = True


@dataclass(frozen=True)
class Limits:
    """What may be found: when a row is over, and which tokens may come next."""

    end: int
    lengths: Tensor  # (B,): the most steps of each row
    forbidden: Tensor  # tokens that never come
    named: tuple[tuple[str, int], ...]  # those and the end, with their options' names
    no_repeat_ngram: int

    def allowed(self, scores: Tensor, history: Tensor) -> Tensor:
        """The log-scores (N, V), minus infinity where a token may not follow its row's history (N, t).

        Raises:
            InputError: the log-scores are not of so many rows, or one of the tokens of the options is none of theirs.
        """
        if scores.dim() != 2 or len(scores) != len(history):
            raise InputError(f"step: expected log-scores (N, V) with N = {len(history)}, got {tuple(scores.shape)}.")
        for name, number in self.named:
            if not 0 <= number < scores.shape[1]:
                raise InputError(f"{name}: expected a token from 0 to {scores.shape[1] - 1}, got {number}.")
        if len(self.forbidden):
            scores = scores.index_fill(1, self.forbidden, -torch.inf)
        n = self.no_repeat_ngram
        if n and history.shape[1] >= n:
            windows = history.unfold(1, n, 1)  # (N, t - n + 1, n)
            again = (windows[..., :-1] == history[:, history.shape[1] - n + 1 :].unsqueeze(1)).all(-1)
            banned = torch.zeros_like(scores).scatter_add_(1, windows[..., -1], again.to(scores.dtype)) > 0
            scores = scores.masked_fill(banned, -torch.inf)
        return scores


def limits(
    begin: Tensor, *, end: int, max_length: int | Tensor, forbidden: Iterable[int] = (), no_repeat_ngram: int = 0
) -> Limits:
    """The options that all ways of decoding share, checked.

    Raises:
        InputError, InputTypeError: one of them is not as it should be.
    """
    if not isinstance(begin, Tensor) or begin.dim() != 1 or begin.is_floating_point():
        got = tuple(begin.shape) if isinstance(begin, Tensor) else type(begin).__name__
        raise InputTypeError(f"begin: expected a tensor of tokens (B,), got {got}.")
    if isinstance(max_length, Tensor):
        if max_length.shape != begin.shape or max_length.is_floating_point():
            raise InputError(
                f"max_length: expected whole numbers (B,) = ({len(begin)},), got {tuple(max_length.shape)} "
                f"of {max_length.dtype}."
            )
        if len(begin) and int(max_length.min()) < 1:
            raise InputError(f"max_length: expected at least 1, got {int(max_length.min())}.")
        lengths = max_length.to(begin.device)
    else:
        lengths = torch.full_like(begin, at_least_1(max_length, "max_length"))
    if not isinstance(no_repeat_ngram, int) or no_repeat_ngram < 0:
        raise InputError(f"no_repeat_ngram: expected a whole number of at least 0, got {no_repeat_ngram!r}.")
    end = whole_token(end, "end")
    if not isinstance(forbidden, Iterable):
        raise InputTypeError(f"forbidden: expected several tokens, got {forbidden!r}.")
    never = [whole_token(each, "forbidden") for each in forbidden]
    if end in never:
        raise InputError(f"forbidden: expected tokens other than the end, got {end} among them.")
    named = ("end", end), *(("forbidden", each) for each in never)
    return Limits(end, lengths, torch.tensor(never, dtype=torch.int64, device=begin.device), named, no_repeat_ngram)


def whole_token(value: Any, name: str) -> int:
    """A token as a whole number.

    Raises:
        InputTypeError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise InputTypeError(f"{name}: expected a token, a whole number, got {value!r}.") from None
