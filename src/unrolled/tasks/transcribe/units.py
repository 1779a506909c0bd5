"""What a recogniser writes: characters, words, or pieces of words, each with its number; number 0 is CTC's blank."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ..text.tokenizers import BPETokenizer
from .options import Units as Kind


class Units(Protocol):
    """The units of a recogniser, numbered from 1."""

    kind: Kind
    size: int  # with the blank

    def encode(self, text: str) -> list[int]:
        """The units of a text; what none of them can write is left out."""

    def pieces(self, units: Sequence[int]) -> list[str]:
        """The text of each unit, with the space before or after it that belongs to it."""

    def stream(self) -> Callable[[int], str]:
        """A function that is given one unit after the other, and gives the text that each completes."""

    def save(self) -> object:
        """What :func:`load_units` makes it again from, as JSON takes it."""


class Listed:
    """Characters, or words between spaces, by a list of all that the training texts have.

    Raises:
        ValueError: a name is no unit, or occurs twice.

    Example:
        >>> units = Listed.learn("characters", ["a cab"])
        >>> units.encode("a bad cab"), units.pieces([2, 3])
        ([2, 1, 3, 2, 1, 4, 2, 3], ['a', 'b'])
    """

    def __init__(self, kind: Kind, names: Sequence[str]):
        self.kind = kind
        self.names = list(names)
        self.size = len(self.names) + 1
        self.numbers = {name: number for number, name in enumerate(self.names, 1)}
        if not all(isinstance(name, str) and self._split(name) == [name] for name in names):
            raise ValueError(f"expected {kind}")
        if len(self.numbers) != len(self.names):
            raise ValueError(f"expected {kind} that differ")

    @classmethod
    def learn(cls, kind: Kind, texts: Iterable[str]) -> "Listed":
        """All that occur, in the order of the alphabet; among characters always the space between words."""
        if kind == "words":
            return cls(kind, sorted({word for text in texts for word in text.split()}))
        return cls(kind, sorted({" ", *(character for text in texts for character in text)}))

    def encode(self, text: str) -> list[int]:
        """The number of each that is known."""
        return [self.numbers[name] for name in self._split(text) if name in self.numbers]

    def pieces(self, units: Sequence[int]) -> list[str]:
        """The characters, or the words with a space after each."""
        space = " " if self.kind == "words" else ""
        return [self.names[unit - 1] + space for unit in units]

    def stream(self) -> Callable[[int], str]:
        """Each unit is complete."""
        return lambda unit: self.pieces([unit])[0]

    def save(self) -> object:
        """The names."""
        return self.names

    def _split(self, text: str) -> list[str]:
        return text.split() if self.kind == "words" else list(text)


class Pieces:
    """Byte-pair encoding over bytes, learnt from the training texts: any text can be written.

    Reference:
        Sennrich et al. 2016, arXiv:1508.07909.
    """

    kind: Kind = "bpe"

    def __init__(self, saved: str):
        self._bpe = BPETokenizer(saved)
        self.size = self._bpe.size + 1

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> "Pieces":
        """So many units, the blank included."""
        return cls(str(BPETokenizer.learn("".join(f" {text}\n" for text in texts), size - 1).save()))

    def encode(self, text: str) -> list[int]:
        """At most as many as there are bytes."""
        return [unit + 1 for unit in self._bpe.encode(f" {text}").tolist()]

    def pieces(self, units: Sequence[int]) -> list[str]:
        """The text that each completes."""
        complete = self.stream()
        return [complete(unit) for unit in units]

    def stream(self) -> Callable[[int], str]:
        """A character may need several units; its text comes with the last of them."""
        complete = self._bpe.stream()
        return lambda unit: complete(unit - 1)

    def save(self) -> object:
        """The merges."""
        return self._bpe.save()


def learn_units(kind: Kind, texts: Sequence[str], size: int) -> Units:
    """The units of training texts."""
    return Pieces.learn(texts, size) if kind == "bpe" else Listed.learn(kind, texts)


def load_units(kind: Any, saved: Any) -> Units:
    """From what ``save`` gave.

    Raises:
        Exception: of any kind, where it is something else.
    """
    if kind == "bpe":
        return Pieces(str(saved))
    if kind not in ("characters", "words") or not isinstance(saved, list):
        raise ValueError(f"expected a list of characters or words, got {type(saved).__name__} of {kind!r}")
    return Listed(kind, saved)


def text_of(pieces: Iterable[str]) -> str:
    """The text of pieces, with one space between words.

    Example:
        >>> text_of([" two", " ", " ", "fi", "ve"])
        'two five'
    """
    return " ".join("".join(pieces).split())


def normal(text: str, lower: bool) -> str:
    """A text as the model sees it: one space between words, perhaps in small letters."""
    text = " ".join(text.split())
    return text.lower() if lower else text
