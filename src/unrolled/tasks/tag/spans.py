"""Spans of tags: read as conlleval reads them, written as IOB2 or IOBES, and which tag may follow which."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ...core import DataError

Span = tuple[int, int, str]  # of tokens begin (counted) to end (not counted), and their type
Scheme = Literal["iob2", "iobes", "none"]

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
_BARE = frozenset("BIESLU")  # of spans that all have one type, without a name
_SAME = {"L": "E", "U": "S"}  # BILOU's letters in IOBES


def find_scheme(tags: Iterable[str], where: Mapping[str, str] | None = None) -> Scheme:
    """How the tags of a data set are made: spans in IOB1 or IOB2, spans in IOBES (or BILOU), or plain labels.

    Args:
        tags: the tags that occur, in the order in which they first do.
        where: the file and row of each tag, for the error.

    Raises:
        DataError: some tags are of spans and others are not; the first that is not is named.

    Example:
        >>> find_scheme(["O", "B-city", "I-city"]), find_scheme(["S-city", "O"]), find_scheme(["NOUN", "X", "O"])
        ('iob2', 'iobes', 'none')
    """
    found = [tag for tag in dict.fromkeys(tags) if tag != OUTSIDE]
    rows = {tag: f"{place}: " for tag, place in (where or {}).items()}
    fits = [tag for tag in found if _TAG.fullmatch(tag)]
    if not fits:
        if not found or not _BARE.issuperset(found):
            for tag in found:
                if tag[1:] == "-" and tag[0] in _BARE:
                    raise DataError(
                        f"{rows.get(tag, '')}the tag {tag!r}: expected a type after {tag}, as in {tag}place, got none."
                    )
            return "none" if found else "iob2"
        fits = found
    if len(fits) < len(found):
        wrong = next(tag for tag in found if tag not in fits)
        raise DataError(
            f"{rows.get(wrong, '')}the tag {wrong!r}: expected O, or B- or I- (in IOBES also E- or S-) and a type, "
            f"as {fits[0]!r} is; correct it, or say with --scheme none that tags are labels and no spans."
        )
    return "iobes" if any(tag[0] in "ESLU" for tag in fits) else "iob2"


def split_tag(tag: str) -> tuple[str, str]:
    """The letter of a tag of spans, in IOBES, and its type: ``("B", "city")``; of ``O``, or another tag, an ``O``."""
    match = _TAG.fullmatch(tag)
    letter, kind = match.groups() if match else (tag if tag in _BARE else OUTSIDE, "")
    return _SAME.get(letter, letter), kind


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, with the meaning of conlleval, which reads invalid sequences too.

    A span begins at B and S, at I and E after an O, an E or an S, and wherever the type changes. So IOB1, IOB2 and
    IOBES are all read aright.

    Reference:
        Tjong Kim Sang and Buchholz 2000, Introduction to the CoNLL-2000 shared task: chunking.

    Example:
        >>> spans(["B-city", "I-city", "O", "I-day", "I-city"])
        [(0, 2, 'city'), (3, 4, 'day'), (4, 5, 'city')]
    """
    found: list[Span] = []
    begin, letter, kind = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        before, kind_before = letter, kind
        letter, kind = split_tag(tag)
        inside = before != OUTSIDE
        new = letter in "BS" or letter == OUTSIDE or before in "ESO" or kind != kind_before
        if inside and new:
            found.append((begin, place, kind_before))
        if new:
            begin = place
    return found


def write_spans(found: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """The tags of a sentence of so many tokens with these spans.

    Example:
        >>> write_spans([(0, 2, "city"), (3, 4, "day")], 5, "iobes")
        ['B-city', 'E-city', 'O', 'S-day', 'O']
    """
    tags = [OUTSIDE] * length
    for begin, end, kind in found:
        letters = ["B"] + ["I"] * (end - begin - 1)
        if scheme == "iobes":
            letters = ["S"] if end - begin == 1 else [*letters[:-1], "E"]
        tags[begin:end] = [f"{letter}-{kind}" if kind else letter for letter in letters]
    return tags


def normal(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same spans in a scheme; labels that are no spans stay as they are."""
    return list(tags) if scheme == "none" else write_spans(spans(tags), len(tags), scheme)


def may_follow(before: str | None, tag: str | None, scheme: Scheme) -> bool:
    """Whether a tag may stand after another; None is the sentence's border.

    Example:
        >>> may_follow("B-city", "I-city", "iob2"), may_follow("O", "I-city", "iob2"), may_follow(None, "O", "iob2")
        (True, False, True)
    """
    if scheme == "none":
        return True
    letter, kind = (OUTSIDE, "") if tag is None else split_tag(tag)
    last, last_kind = (OUTSIDE, "") if before is None else split_tag(before)
    goes_on = letter in "IE"
    if scheme == "iobes":
        return goes_on == (last in "BI") and (not goes_on or kind == last_kind)
    return not goes_on or (last in "BI" and kind == last_kind)
