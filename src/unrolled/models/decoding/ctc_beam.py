"""Prefix beam search: the likeliest symbols by the sum over all their paths."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ...core import InputError, InputTypeError, at_least_1
from ..ctc_loss import BLANK
from ..ngram import NGram
from .ctc import CTCHypothesis, align, rows_of
from .ctc_scorers import Scorer, TokenScorer, WordScorer


def ctc_beam(
    log_probabilities: Tensor,
    lengths: Any = None,
    *,
    beam_size: int = 16,
    n_best: int = 1,
    ngram: NGram | None = None,
    ngram_weight: float = 0.5,
    token_bonus: float = 0.0,
    words: WordScorer | None = None,
    least: float = 1e-4,
) -> list[list[CTCHypothesis]]:
    """The likeliest sequences of symbols: score = log p(symbols | features) + what the n-gram models add.

    A greedy path is one path; here all paths of a prefix are summed as they grow, and after each step the best
    prefixes are kept.

    Args:
        log_probabilities: (T, B, V), the blank is number 0.
        lengths: valid steps of each row (B,); by default all.
        beam_size: prefixes that are kept.
        n_best: sequences of each row, at most ``beam_size``; fewer come where no more have a path in the beam.
        ngram: a model of sequences of symbols' numbers; adds ``ngram_weight`` * log p, the end included.
        ngram_weight: as above.
        token_bonus: added for each symbol, against the short answers that an n-gram model prefers.
        words: scores of words, for symbols that are letters.
        least: a symbol less probable than that at a step does not begin there. 0: all are tried.

    Returns:
        Of each row the best first, with the times of the likeliest path (:func:`ctc_align`). Where ``words`` allows
        no sequence of the beam, those that are left have the score minus infinity.

    Raises:
        InputError, InputTypeError: an argument is not as above.

    Reference:
        Graves and Jaitly 2014, proceedings.mlr.press/v32/graves14; with a language model: Hannun et al. 2014,
        arXiv:1408.2873.

    Example:
        >>> import torch
        >>> y = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log().unsqueeze(1)
        >>> [[best, other]] = ctc_beam(y, n_best=2)
        >>> best.tokens, round(best.score, 4), other.tokens, round(other.score, 4)  # log 0.64 and log 0.36
        ([1], -0.4463, [], -1.0217)
    """
    beam_size, n_best = at_least_1(beam_size, "beam_size"), at_least_1(n_best, "n_best")
    if n_best > beam_size:
        raise InputError(f"n_best: expected at most beam_size = {beam_size}, got {n_best}.")
    if not 0 <= least < 1:
        raise InputError(f"least: expected a probability below 1, got {least!r}.")
    read = rows_of(log_probabilities, lengths)
    symbols = log_probabilities.shape[-1]
    if not isinstance(words, WordScorer | None):
        raise InputTypeError(f"words: expected a WordScorer, got {type(words).__name__}.")
    if words is not None and len(words.symbols) != symbols:
        raise InputError(f"words: expected a scorer of V = {symbols} symbols, got one of {len(words.symbols)}.")
    scorers: list[Scorer] = [] if words is None else [words]
    if ngram is not None or token_bonus:
        scorers.append(TokenScorer(ngram, symbols, weight=ngram_weight, bonus=token_bonus))
    with np.errstate(divide="ignore"):
        floor = float(np.log(least))
    found = []
    for row in read:
        best = _search(row, beam_size, floor, scorers)[:n_best]
        found.append([CTCHypothesis(tokens, align(row, tokens).frames, score) for tokens, score in best])
    return found


class _Prefix:
    """Symbols, as one more than those of another prefix, and what the scorers say of them."""

    __slots__ = ("added", "children", "parent", "row", "states", "symbol")

    def __init__(
        self, parent: "_Prefix | None", symbol: int, states: list[Hashable], added: float, scorers: Sequence[Scorer]
    ):
        self.parent, self.symbol, self.states, self.added = parent, symbol, states, added
        self.row: Any = sum(scorer.row(state) for scorer, state in zip(scorers, states, strict=True))
        self.children: dict[int, _Prefix] = {}

    def grown(self, symbol: int, scorers: Sequence[Scorer]) -> "_Prefix":
        """The prefix with one more symbol, the same one each time: two ways to it must meet."""
        if symbol not in self.children:
            states = [scorer.next(state, symbol) for scorer, state in zip(scorers, self.states, strict=True)]
            added = self.added + (float(self.row[symbol]) if scorers else 0.0)
            self.children[symbol] = _Prefix(self, symbol, states, added, scorers)
        return self.children[symbol]

    def tokens(self) -> list[int]:
        """All its symbols."""
        symbols, at = [], self
        while at.parent is not None:
            symbols.append(at.symbol)
            at = at.parent
        return symbols[::-1]


def _search(row: np.ndarray, size: int, floor: float, scorers: Sequence[Scorer]) -> list[tuple[list[int], float]]:
    """The symbols of the prefixes in the beam after the last step, and their scores, the best first."""
    beam = [_Prefix(None, BLANK, [scorer.start() for scorer in scorers], 0.0, scorers)]
    blank, other = np.zeros(1), np.full(1, -np.inf)  # log of all paths that end in a blank, and in the last symbol
    for now in row:
        beam, blank, other = _step(now, beam, blank, other, size, floor, scorers)
    ends = [sum(s.end(state) for s, state in zip(scorers, prefix.states, strict=True)) for prefix in beam]
    so_far = np.logaddexp(blank, other) + [prefix.added for prefix in beam]
    totals = so_far + np.array(ends)
    return [(beam[k].tokens(), float(totals[k])) for k in np.lexsort((-so_far, -totals))]


def _step(
    now: np.ndarray,
    beam: list[_Prefix],
    blank: np.ndarray,
    other: np.ndarray,
    size: int,
    floor: float,
    scorers: Sequence[Scorer],
) -> tuple[list[_Prefix], np.ndarray, np.ndarray]:
    """The beam after one more step, whose log-probabilities are (V,)."""
    last = np.array([prefix.symbol for prefix in beam])
    added = np.array([prefix.added for prefix in beam])
    total = np.logaddexp(blank, other)
    stay_blank, stay_other = total + now[BLANK], other + now[last]
    begun = np.flatnonzero(now >= floor)
    begun = begun[begun != BLANK]
    # a symbol again is a new one only after a blank
    grown = np.where(last[:, None] == begun, blank[:, None], total[:, None]) + now[begun]
    _meet(beam, last, begun, stay_other, grown)
    scores = np.logaddexp(stay_blank, stay_other) + added
    further = grown + added[:, None]
    if scorers:
        further += np.stack([prefix.row for prefix in beam])[:, begun]
    scores = np.concatenate([scores, further.ravel()])
    best = np.argpartition(-scores, size - 1)[:size] if len(scores) > size else np.arange(len(scores))
    best = best[scores[best] > -np.inf]
    kept, new = best[best < len(beam)], best[best >= len(beam)] - len(beam)
    whose, which = np.divmod(new, max(len(begun), 1))
    after = [beam[k] for k in kept] + [
        beam[k].grown(symbol, scorers) for k, symbol in zip(whose.tolist(), begun[which].tolist(), strict=True)
    ]
    after_blank = np.concatenate([stay_blank[kept], np.full(len(new), -np.inf)])
    return after, after_blank, np.concatenate([stay_other[kept], grown.ravel()[new]])


def _meet(beam: list[_Prefix], last: np.ndarray, begun: np.ndarray, stay: np.ndarray, grown: np.ndarray) -> None:
    """Paths that make a prefix of the beam from a shorter one of it are added to those that stay with it."""
    places = {prefix: k for k, prefix in enumerate(beam)}
    parents = np.array([places.get(prefix.parent, -1) for prefix in beam])  # type: ignore[arg-type]
    columns = np.searchsorted(begun, last)
    columns[columns == len(begun)] = -1
    meeting = np.flatnonzero((parents >= 0) & (begun[columns] == last)) if len(begun) else np.zeros(0, np.int64)
    rows, columns = parents[meeting], columns[meeting]
    stay[meeting] = np.logaddexp(stay[meeting], grown[rows, columns])
    grown[rows, columns] = -np.inf
