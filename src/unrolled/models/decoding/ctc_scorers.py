"""What a beam search adds to the score of a prefix: by its symbols, and by its words."""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np

from ...core import InputError, InputTypeError
from ..ngram import END, NUMBERS_KEPT, UNKNOWN, NGram, make_room


class Scorer(Protocol):
    """The score of a sequence of symbols as a sum: one part a symbol, given those before it, and one at the end."""

    def start(self) -> Hashable:
        """The state before the first symbol."""

    def row(self, state: Any) -> np.ndarray:
        """What each symbol (V,) adds after this state, minus infinity if it may not come; the blank's is not read."""

    def next(self, state: Any, symbol: int) -> Hashable:
        """The state after one more symbol."""

    def end(self, state: Any) -> float:
        """What it adds that nothing more comes."""


class TokenScorer:
    """weight * log p(symbol | those before it) + bonus for each symbol, weight * log p(end | all) at the end.

    Args:
        ngram: counted from sequences of numbers of symbols; None: only the bonus.
        symbols: V.
        weight: as above.
        bonus: likewise.

    Raises:
        InputError, InputTypeError: it is no n-gram model, or one of strings.
    """

    def __init__(self, ngram: NGram | None, symbols: int, *, weight: float = 1.0, bonus: float = 0.0):
        if not isinstance(ngram, NGram | None):
            raise InputTypeError(f"ngram: expected an NGram, got {type(ngram).__name__}.")
        if ngram is not None and any(isinstance(token, str) for token in ngram.vocabulary):
            raise InputError("ngram: expected an n-gram model of numbers of symbols, got one of strings.")
        self.ngram = NGram(1, (), {}) if ngram is None else ngram
        self.weight = 0.0 if ngram is None else weight
        self.bonus = bonus
        self._places = np.array([self.ngram.number(symbol) for symbol in range(symbols)]) - END

    def start(self) -> tuple[int, ...]:
        """The n-gram model's own."""
        return self.ngram.start

    def row(self, state: tuple[int, ...]) -> np.ndarray:
        """As :class:`Scorer`."""
        row: np.ndarray = self.weight * self.ngram.log_probabilities(state)[self._places] + self.bonus
        return row

    def next(self, state: tuple[int, ...], symbol: int) -> tuple[int, ...]:
        """As :class:`Scorer`."""
        return self.ngram.next(state, self.ngram.number(symbol))

    def end(self, state: tuple[int, ...]) -> float:
        """As :class:`Scorer`."""
        return self.weight * self.ngram.log_probability(state, END)


class WordScorer:
    """weight * log p(word | words before it) + bonus for each word, weight * log p(end | all) at the end.

    For a word that was never counted p is that of all such words together, and ``unknown`` is added.

    A word is scored when its separator comes, or the end. So that a search does not find out too late, its letters
    are given ahead what the likeliest word that begins with them would get by itself, which is taken back when the
    word is known: the sum is as above. Two separators in a row, and one at the beginning, are no text.

    Args:
        ngram: counted from sequences of words.
        symbols: the string that each number of a symbol stands for, V of them; that of the blank is not looked at.
        weight: as above.
        bonus: likewise.
        separator: the symbol between words.
        unknown: as above. It should be far below 0: there are so many such words that one fits whatever is heard.
        lexicon: allow only words of the n-gram model's vocabulary, as if ``unknown`` were minus infinity.

    Raises:
        InputError: the separator is no symbol, or the n-gram model is not one of strings.

    Example:
        >>> words = NGram.count([["a", "cat"], ["a", "cab"]], order=2)
        >>> scorer = WordScorer(words, ["", " ", "a", "b", "c", "t"], lexicon=True)
        >>> state = scorer.start()
        >>> for symbol in (2, 1, 4, 2):  # "a ca"
        ...     state = scorer.next(state, symbol)
        >>> np.isfinite(scorer.row(state)[1:]).tolist()  # what makes it "cab" or "cat"
        [False, False, True, False, True]
    """

    def __init__(
        self,
        ngram: NGram,
        symbols: Sequence[str],
        *,
        weight: float = 1.0,
        bonus: float = 0.0,
        separator: str = " ",
        unknown: float = -10.0,
        lexicon: bool = False,
    ):
        if separator not in symbols[1:]:
            raise InputError(f"separator: expected one of the symbols, got {separator!r}.")
        if any(not isinstance(word, str) for word in ngram.vocabulary):
            raise InputError("ngram: expected an n-gram model of words, got one of numbers.")
        self.ngram, self.symbols = ngram, list(symbols)
        self.weight, self.bonus = weight, bonus
        self.separator = self.symbols.index(separator, 1)
        self.unknown = -np.inf if lexicon else unknown
        self._ahead = self._likeliest()
        self._rows: dict[tuple[tuple[int, ...], str], np.ndarray] = {}

    def start(self) -> tuple[tuple[int, ...], str]:
        """The n-gram model's own, and the letters of a word that is not complete."""
        return self.ngram.start, ""

    def row(self, state: tuple[tuple[int, ...], str]) -> np.ndarray:
        """As :class:`Scorer`."""
        if state not in self._rows:
            make_room(self._rows, NUMBERS_KEPT // len(self.symbols))
            _, letters = state
            row = np.array([self._given_ahead(letters + symbol) for symbol in self.symbols])
            row -= self._given_ahead(letters)
            row[self.separator] = self._word(state) if letters else -np.inf
            self._rows[state] = row
        return self._rows[state]

    def next(self, state: tuple[tuple[int, ...], str], symbol: int) -> tuple[tuple[int, ...], str]:
        """As :class:`Scorer`."""
        words, letters = state
        if symbol != self.separator:
            return words, letters + self.symbols[symbol]
        return self.ngram.next(words, self.ngram.number(letters)), ""

    def end(self, state: tuple[tuple[int, ...], str]) -> float:
        """As :class:`Scorer`."""
        before, letters = state
        after = self.ngram.next(before, self.ngram.number(letters)) if letters else before
        last = self._word(state) if letters else 0.0
        return last + self.weight * self.ngram.log_probability(after, END)

    def _word(self, state: tuple[tuple[int, ...], str]) -> float:
        """What a complete word adds to what its letters were given ahead."""
        words, letters = state
        number = self.ngram.number(letters)
        unknown = self.unknown if number == UNKNOWN else 0.0
        return (
            self.weight * self.ngram.log_probability(words, number) + unknown + self.bonus - self._given_ahead(letters)
        )

    def _given_ahead(self, letters: str) -> float:
        unknown = self.weight * self.ngram.log_probability((), UNKNOWN) + self.unknown
        return self._ahead.get(letters, unknown)

    def _likeliest(self) -> dict[str, float]:
        """What is given ahead to the beginnings of all words; to none yet, nothing."""
        best: dict[str, float] = {}
        for word, number in self.ngram.numbers.items():
            score = self.weight * self.ngram.log_probability((), number)
            for end in range(1, len(str(word)) + 1):
                best[str(word)[:end]] = max(best.get(str(word)[:end], -np.inf), score)
        return {**best, "": 0.0}
