"""From sentences to numbers, one by one, so that a data set need not fit in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...core import DataError
from ..storage import Sequences, store
from .sentences import Sentence
from .spans import OUTSIDE, Scheme, normal
from .vocabulary import Vocabulary

Int = NDArray[np.integer]
_AT_ONCE = 2**22  # tokens that are counted together


@dataclass(frozen=True)
class Part:
    """Sentences as numbers: of their tokens, of their tags, and of their labels, -1 for none."""

    tokens: Sequences
    tags: Sequences
    labels: Int  # (N,)
    rows: Int  # those of the N that belong to this part

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Int:
        """Tokens of each sentence."""
        found: Int = self.tokens.lengths[self.rows]
        return found

    def chosen(self, rows: Int) -> "Part":
        """Some of the sentences."""
        return replace(self, rows=self.rows[rows])

    def of(self, places: Iterable[int]) -> tuple[list[Int], list[Int], Int]:
        """Tokens, tags and labels of some sentences."""
        rows = [int(self.rows[place]) for place in places]
        return [self.tokens[row] for row in rows], [self.tags[row] for row in rows], self.labels[rows]


@dataclass
class Reader:
    """Takes in sentences one by one; names are numbered in the order in which they first come."""

    forms: dict[str, int] = field(default_factory=dict)  # words
    tags: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)  # the place of a tag that came first

    def take(self, sentences: Iterable[Sentence]) -> Part:
        """The sentences as numbers; all must have tags."""
        labels: list[int] = []

        def pairs() -> Iterable[Int]:
            for sentence in sentences:
                label = sentence.label
                labels.append(-1 if label is None else self.labels.setdefault(label, len(self.labels)))
                for tag in sentence.tags or []:
                    if tag not in self.where:
                        self.where[tag] = sentence.where
                numbered = number(sentence.tokens, self.forms), number(sentence.tags or [], self.tags)
                yield np.stack(numbered, 1)

        both = store(pairs())
        tokens, tags = (Sequences(both.values[:, column], both.lengths) for column in (0, 1))
        return Part(tokens, tags, np.array(labels, dtype=np.int64), np.arange(len(both)))

    def in_scheme(self, parts: Sequence[Part], scheme: Scheme) -> list[Part]:
        """The same spans in a scheme; tags are numbered anew."""
        names = list(self.tags)
        self.tags = {}

        def converted(part: Part) -> Iterable[Int]:
            for sentence in part.tags:
                yield number(normal([names[tag] for tag in sentence], scheme), self.tags)

        return [replace(part, tags=store(converted(part))) for part in parts]

    def renamed(self, part: Part, tags: list[str], labels: list[str]) -> Part:
        """The same, with the places of tags and labels in these lists as their numbers."""
        to_tag = _table(self.tags, tags)
        to_label = np.append(_table(self.labels, labels), -1)
        return replace(part, tags=store(to_tag[sentence] for sentence in part.tags), labels=to_label[part.labels])


def learn_vocabulary(reader: Reader, part: Part, scheme: Scheme, written: Scheme) -> Vocabulary:
    """The words, tags and labels that occur in a part.

    Raises:
        DataError: there is nothing to learn: one tag only, and no labels.
    """
    forms, tags, labels = list(reader.forms), list(reader.tags), list(reader.labels)
    of_pairs = _count_pairs(part, len(tags))
    of_tags: Counter[int] = Counter()
    best: dict[int, tuple[int, int]] = {}  # of each form the greatest count, and its tag
    for pair in sorted(of_pairs):
        form, tag = divmod(pair, len(tags))
        of_tags[tag] += of_pairs[pair]
        if of_pairs[pair] > best.get(form, (0, 0))[0]:
            best[form] = of_pairs[pair], tag
    ordered = sorted((tags[tag] for tag in of_tags), key=lambda tag: (tag != OUTSIDE, tag[2:], tag))
    place = {tag: number for number, tag in enumerate(ordered)}
    known = Counter(label for label in part.labels[part.rows].tolist() if label >= 0)
    names = sorted(labels[label] for label in known)
    if len(ordered) < 2 and len(names) < 2:
        raise DataError(f"expected tags that differ, got only {', '.join(ordered)}; is it the right --tag-column?")
    return Vocabulary(
        [forms[form] for form in sorted(best)],
        ordered,
        names,
        scheme,
        written,
        [place[tags[best[form][1]]] for form in sorted(best)],
        place[tags[_most(of_tags)]],
        names.index(labels[_most(known)]) if known else 0,
    )


def _count_pairs(part: Part, tags: int) -> "Counter[int]":
    """How often which word has which tag; a pair is the number word * tags + tag."""
    chosen = np.zeros(len(part.tokens), dtype=bool)
    chosen[part.rows] = True
    inside = np.repeat(chosen, part.tokens.lengths)
    counts: Counter[int] = Counter()
    for begin in range(0, len(inside), _AT_ONCE):
        block = slice(begin, begin + _AT_ONCE)
        pairs = part.tokens.values[block].astype(np.int64) * tags + part.tags.values[block]
        found, times = np.unique(pairs[inside[block]], return_counts=True)
        counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    return counts


def name_in_order(first: Sequence[str], more: Iterable[str]) -> list[str]:
    """Names, each once, some of them first."""
    return list(dict.fromkeys([*first, *more]))


def number(names: Iterable[str], places: dict[str, int]) -> Int:
    """The number of each name; a name that has none gets the next one."""
    return np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int32)


def _table(numbered: dict[str, int], names: list[str]) -> Int:
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[name] for name in numbered], dtype=np.int32)


def _most(counts: "Counter[int]") -> int:
    return min(counts, key=lambda key: (-counts[key], key))
