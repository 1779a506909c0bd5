"""How right transcripts are: word and character error rate, and which words are taken for which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jiwer

from ..scores import MODEL, Scores

BASELINE = "most frequent text"
SILENCE = "nothing at all"


@dataclass(frozen=True)
class Errors:
    """What stands between transcripts and what was said.

    Args:
        wer: word error rate, (substitutions + insertions + deletions) / words.
        cer: the same of characters, spaces included.
        words: that were said.
        characters: likewise.
        substitutions, insertions, deletions: of words.
        confused: pairs (said, written) and how often; the empty string stands for no word.
    """

    wer: float
    cer: float
    words: int
    characters: int
    substitutions: int
    insertions: int
    deletions: int
    confused: Counter[tuple[str, str]]


def measure(said: Sequence[str], written: Sequence[str]) -> Errors:
    """Compare texts, none of those that were said empty.

    Reference:
        Word error rate over the alignment of Levenshtein 1966, as jiwer computes it.

    Example:
        >>> found = measure(["one two three"], ["one too"])
        >>> round(found.wer, 2), found.substitutions, found.deletions
        (0.67, 1, 1)
        >>> found.confused.most_common(2)
        [(('two', 'too'), 1), (('three', ''), 1)]
    """
    words = jiwer.process_words(list(said), list(written))
    characters = jiwer.process_characters(list(said), list(written))
    return Errors(
        float(words.wer),
        float(characters.cer),
        words.hits + words.substitutions + words.deletions,
        characters.hits + characters.substitutions + characters.deletions,
        words.substitutions,
        words.insertions,
        words.deletions,
        _confused(words),
    )


def _confused(words: Any) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for said, written, chunks in zip(words.references, words.hypotheses, words.alignments, strict=True):
        for chunk in chunks:
            true = said[chunk.ref_start_idx : chunk.ref_end_idx]
            guess = written[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type == "substitute":
                found.update(zip(true, guess, strict=True))
            elif chunk.type == "delete":
                found.update((word, "") for word in true)
            elif chunk.type == "insert":
                found.update(("", word) for word in guess)
    return found


def scores(said: Sequence[str], written: Sequence[str], usual: str) -> Scores:
    """The figures of a model beside those of the most frequent text, and of an empty one."""
    mine = measure(said, written)
    others = {BASELINE: measure(said, [usual] * len(said)), SILENCE: measure(said, [""] * len(said))}
    right = sum(a == b for a, b in zip(said, written, strict=True)) / len(said)
    figures = {MODEL: {"wer": mine.wer, "cer": mine.cer, "texts_right": right}}
    for name, errors in others.items():
        figures[name] = {"wer": errors.wer, "cer": errors.cer}
    details = {
        "words": mine.words,
        "characters": mine.characters,
        "substitutions": mine.substitutions,
        "insertions": mine.insertions,
        "deletions": mine.deletions,
        "confused": [[true, guess, count] for (true, guess), count in mine.confused.most_common(50)],
    }
    return Scores(figures, len(said), "utterance", details)
