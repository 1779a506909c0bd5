"""Texts of recordings, with the times of their words."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word, and when it begins and ends, in seconds from the beginning of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording.

    Args:
        title: of the recording.
        text: what is said.
        words: the same, with times.
        seconds: of the recording.
    """

    title: str
    text: str
    words: list[Word]
    seconds: float


def words_of(
    pieces: Sequence[str], frames: Sequence[tuple[int, int]], seconds: float, longest: float = float("inf")
) -> list[Word]:
    """Pieces of text, each with its steps (first, end), as words with times.

    Args:
        pieces: as ``units.pieces`` gives them: spaces stand between words.
        frames: of each piece.
        seconds: of a step.
        longest: seconds of the recording, which no word goes beyond.

    Example:
        >>> words = words_of(["n", "o", " ", "y"], [(2, 3), (4, 5), (6, 7), (9, 11)], 0.5)
        >>> [(word.text, word.start, word.end) for word in words]
        [('no', 1.0, 2.5), ('y', 4.5, 5.5)]
    """
    words: list[Word] = []
    letters, begin, end = "", 0, 0
    for piece, (first, last) in zip([*pieces, " "], [*frames, (0, 0)], strict=True):
        for character in piece:
            if not character.isspace():
                begin = begin if letters else first
                letters, end = letters + character, last
            elif letters:
                words.append(Word(letters, min(begin * seconds, longest), min(end * seconds, longest)))
                letters = ""
    return words
