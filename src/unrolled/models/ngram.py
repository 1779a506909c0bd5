"""An n-gram model of our own counting: how likely a token is after the few before it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..core import DataError, InputError, InputTypeError, at_least_1

Token: TypeAlias = str | int
Gram: TypeAlias = tuple[int, ...]

BEGIN, END, UNKNOWN, FIRST = 0, 1, 2, 3  # numbers that no token has, and the first that one has
FORMAT = "unrolled n-gram 1"
NUMBERS_KEPT = 2**21  # that were computed, of each kind


class NGram:
    """Interpolated Kneser-Ney of order n: p(w | c) is that of the longest context c, mixed with that of shorter ones.

    p(w | c) = max(a(c w) - D, 0) / a(c) + D N(c) / a(c) p(w | c without its first token), where a(c) = sum_w a(c w),
    N(c) counts the different w after c, and D = n1 / (n1 + 2 n2) is of each length of c, n1 and n2 being how many c w
    have a = 1 and 2. For the longest c, a(c w) is how often c w was seen; for shorter ones after how many different
    tokens. Below the empty context stands 1 / (tokens + 2): every token, the end, and all tokens that were never seen
    as one. So for every context the probabilities sum to 1, and none is 0.

    A sequence begins with a mark that is only ever context, and ends with one that is predicted.

    Made by :meth:`count` or :meth:`from_text`.

    Args:
        order: n, tokens that are looked at, the predicted one included.
        vocabulary: the tokens, all strings or all whole numbers.
        counts: how often each n-gram of numbers was seen, with all n tokens, or from the begin mark on.

    Units:
        Scores are natural logarithms.

    Reference:
        Kneser and Ney 1995, doi:10.1109/ICASSP.1995.479394; interpolated: Chen and Goodman 1999,
        doi:10.1006/csla.1999.0128.

    Example:
        >>> model = NGram.count([["a", "cat", "sleeps"], ["a", "dog", "sleeps"], ["a", "cat", "eats"]], order=2)
        >>> model.score(["a"], "cat") > model.score(["a"], "dog") > model.score(["a"], "eats")
        True
        >>> model == NGram.from_text(model.to_text())
        True
    """

    def __init__(self, order: int, vocabulary: Sequence[Token], counts: Mapping[Gram, int]):
        self.order = at_least_1(order, "order")
        self.vocabulary = tuple(vocabulary)
        self.counts = dict(counts)
        self.numbers = {token: number for number, token in enumerate(self.vocabulary, FIRST)}
        self._after = _continuations(self.counts)
        self._totals = {context: sum(after.values()) for context, after in self._after.items()}
        self._discounts = _discounts(self._after)
        self._known: dict[tuple[Gram, int], float] = {}
        self._rows: dict[Gram, np.ndarray] = {}
        self._most_rows = NUMBERS_KEPT // (len(self.vocabulary) + 2)

    @classmethod
    def count(
        cls, sequences: Iterable[Sequence[Token]], order: int = 3, *, vocabulary: Iterable[Token] = ()
    ) -> "NGram":
        """Count sequences of tokens, strings or whole numbers.

        Args:
            sequences: the tokens; a string is the sequence of its characters.
            order: n.
            vocabulary: tokens that exist whether they are seen or not.

        Raises:
            InputTypeError: a token is neither, or there are both.
            InputError: order is less than 1.
        """
        order = at_least_1(order, "order")
        numbers: dict[Token, int] = {}
        for token in _tokens(vocabulary):
            numbers.setdefault(token, FIRST + len(numbers))
        counts: dict[Gram, int] = {}
        for sequence in sequences:
            history = [BEGIN, *(numbers.setdefault(token, FIRST + len(numbers)) for token in _tokens(sequence)), END]
            for place in range(1, len(history)):
                gram = tuple(history[max(0, place - order + 1) : place + 1])
                counts[gram] = counts.get(gram, 0) + 1
        _tokens(numbers)  # all of the same kind
        return cls(order, list(numbers), counts)

    def score(self, context: Sequence[Token], token: Token | None) -> float:
        """The logarithm of p(token | context).

        Args:
            context: all tokens before it in its sequence; of a long one the last n - 1 are looked at.
            token: what comes next; None: the sequence ends.
        """
        return self.log_probability(self.state(context), END if token is None else self.number(token))

    def perplexity(self, sequences: Iterable[Sequence[Token]]) -> float:
        """Exp of the mean of -log p over all tokens and ends of sequences.

        Raises:
            InputError: there is no sequence.
        """
        nats, count = 0.0, 0
        for sequence in sequences:
            state = self.start
            for number in (*map(self.number, sequence), END):
                nats -= self.log_probability(state, number)
                state, count = self.next(state, number), count + 1
        if not count:
            raise InputError("sequences: expected at least one, got none.")
        return math.exp(nats / count)

    def number(self, token: Token) -> int:
        """What stands for a token in a state; one number for all that were never seen."""
        if not isinstance(token, str | int | np.integer):
            raise InputTypeError(f"token: expected a string or a whole number, got {type(token).__name__}.")
        return self.numbers.get(token, UNKNOWN)

    @property
    def start(self) -> Gram:
        """The state before the first token of a sequence: numbers of the last n - 1 tokens."""
        return self._cut((BEGIN,))

    def state(self, context: Sequence[Token]) -> Gram:
        """The state after the tokens of a sequence so far."""
        return self._cut((BEGIN, *map(self.number, context[-(self.order - 1) :])))

    def next(self, state: Gram, number: int) -> Gram:
        """The state after one more token."""
        return self._cut((*state, number))

    def _cut(self, history: Gram) -> Gram:
        return history[max(0, len(history) - self.order + 1) :]

    def log_probability(self, state: Gram, number: int) -> float:
        """The logarithm of p(number | state)."""
        key = state, number
        if key not in self._known:
            make_room(self._known, NUMBERS_KEPT)
            self._known[key] = math.log(self._probability(state, number))
        return self._known[key]

    def log_probabilities(self, state: Gram) -> np.ndarray:
        """The logarithms of p(number | state) of the end, of what was never seen, and of every token, in that order.

        That of number n is at n - 1.
        """
        if state not in self._rows:
            make_room(self._rows, self._most_rows)
            self._rows[state] = np.log(self._probabilities(state))
        return self._rows[state]

    def _probability(self, context: Gram, number: int) -> float:
        shorter = self._probability(context[1:], number) if context else 1 / (len(self.vocabulary) + 2)
        after = self._after.get(context)
        if not after:
            return shorter
        discount, total = self._discounts[len(context)], self._totals[context]
        return max(after.get(number, 0) - discount, 0) / total + discount * len(after) / total * shorter

    def _probabilities(self, context: Gram) -> np.ndarray:
        """:meth:`_probability` of every number at once."""
        outcomes = len(self.vocabulary) + 2
        shorter = self._probabilities(context[1:]) if context else np.full(outcomes, 1 / outcomes)
        after = self._after.get(context)
        if not after:
            return shorter
        discount, total = self._discounts[len(context)], self._totals[context]
        mixed = discount * len(after) / total * shorter
        numbers, counts = np.array(list(after.items())).T
        mixed[numbers - 1] += (counts - discount) / total
        return mixed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NGram):
            return NotImplemented
        return (self.order, self.vocabulary, self.counts) == (other.order, other.vocabulary, other.counts)

    __hash__ = None  # type: ignore[assignment]

    def to_text(self) -> str:
        """All of it as lines of text, for a file: numbers of the vocabulary, which is a line of JSON."""
        tokens = json.dumps(self.vocabulary, ensure_ascii=False)
        tokens = tokens.encode(errors="backslashreplace").decode()  # halves of surrogate pairs: as JSON has them
        lines = [FORMAT, f"order {self.order}", tokens]
        lines += [" ".join(map(str, (count, *gram))) for gram, count in self.counts.items()]
        return "\n".join([*lines, f"end {len(self.counts)}", ""])

    @classmethod
    def from_text(cls, text: str) -> "NGram":
        """The model of which :meth:`to_text` made this.

        Raises:
            DataError: it is no such text, or it is damaged; the line is named.
        """
        head, *lines = text.split("\n")
        _expect(head == FORMAT, 1, repr(FORMAT), head)
        rows = lines[2:-2]
        ending = [f"end {len(rows)}", ""]
        _expect(lines[-2:] == ending, len(lines) + 1, f"'end {len(rows)}' and nothing after it", lines[-2:])
        word, _, digits = lines[0].partition(" ")
        order = _whole(digits)
        _expect(word == "order" and order > 0, 2, "'order' and a whole number of at least 1", lines[0])
        vocabulary = _vocabulary(lines[1])
        counts: dict[Gram, int] = {}
        for line, row in enumerate(rows, 4):
            count, *numbers = map(_whole, row.split(" "))
            gram = tuple(numbers)
            right = count > 0 and gram not in counts and _is_gram(gram, order, len(vocabulary))
            _expect(right, line, "a count and the numbers of an n-gram that was not there before", row)
            counts[gram] = count
        return cls(order, vocabulary, counts)


def _continuations(counts: Mapping[Gram, int]) -> dict[Gram, dict[int, int]]:
    """a(c w) by c and w: counts of the longest, and of all others how many different tokens were before them."""
    after: dict[Gram, dict[int, int]] = {}
    seen: set[Gram] = set()
    for gram, count in counts.items():
        after.setdefault(gram[:-1], {})[gram[-1]] = count
        while len(gram) > 1 and gram not in seen:
            seen.add(gram)
            gram = gram[1:]
            before = after.setdefault(gram[:-1], {})
            before[gram[-1]] = before.get(gram[-1], 0) + 1
    return after


def make_room(kept: dict[Any, Any], most: int) -> None:
    """Forget what was computed, if it is so much: a program that decodes for days must not grow."""
    if len(kept) >= most:
        kept.clear()


def _discounts(after: Mapping[Gram, Mapping[int, int]]) -> list[float]:
    """D by the length of the context; a half where it cannot be told."""
    lengths = 1 + max(map(len, after), default=0)
    once, twice = [0] * lengths, [0] * lengths
    for context, counts in after.items():
        once[len(context)] += sum(count == 1 for count in counts.values())
        twice[len(context)] += sum(count == 2 for count in counts.values())
    return [a / (a + 2 * b) if a and b else 0.5 for a, b in zip(once, twice, strict=True)]


def _tokens(sequence: Iterable[Token]) -> list[Token]:
    if not isinstance(sequence, Iterable):
        raise InputTypeError(f"sequences: expected sequences of tokens, got {type(sequence).__name__}.")
    tokens = list(sequence)
    kinds = {type(token) for token in tokens}
    if kinds not in (set(), {str}, {int}):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InputTypeError(f"sequences: expected tokens that are all str or all int, got {names}.")
    return tokens


def _vocabulary(line: str) -> list[Token]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # the latter of brackets in brackets
        found = None
    kinds = {type(token) for token in found} if isinstance(found, list) else {object}
    right = kinds in (set(), {str}, {int}) and len(set(found)) == len(found)
    _expect(right, 3, "a list in JSON of different strings or of different whole numbers", line)
    return list(found)


def _is_gram(gram: Gram, order: int, tokens: int) -> bool:
    """Whether these can be the numbers of a longest n-gram: with all its tokens, or from the begin mark on."""
    if not gram or len(gram) > order or (len(gram) < order and gram[0] != BEGIN) or gram[-1] == BEGIN:
        return False
    inner = gram[:-1] if gram[0] != BEGIN else gram[1:-1]
    return all(FIRST <= n < FIRST + tokens for n in inner) and (gram[-1] == END or FIRST <= gram[-1] < FIRST + tokens)


def _whole(digits: str) -> int:
    """The number that these digits are; -1 where they are none."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else -1


def _expect(right: bool, line: int, expected: str, got: object) -> None:
    if not right:
        shown = repr(got)
        shown = shown if len(shown) <= 80 else shown[:80] + " ..."
        raise DataError(
            f"n-gram model, line {line}: expected {expected}, got {shown}. It is damaged, or of another kind: "
            "count the model again."
        )
