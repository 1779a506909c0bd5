"""What a tagger knows by name: words, tags, labels; and how often what was what, for the baseline."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property

from ..records import recorded
from .baseline import MostFrequent
from .spans import Scheme, may_follow

_FORMAT = 1
FILE = "vocabulary.json"


@dataclass(frozen=True)
class Vocabulary:
    """The words, tags and labels of the training data, in order.

    Args:
        words: those that have a vector of their own.
        tags: in the model's scheme, by the alphabet, ``O`` first.
        labels: of sentences; empty where the data have none.
        scheme: of the tags.
        written: the scheme that predictions are written in, that of the data.
        word_tags: of each word the place of its most frequent tag.
        usual_tag: the place of the most frequent tag.
        usual_label: the place of the most frequent label.
    """

    words: list[str]
    tags: list[str]
    labels: list[str]
    scheme: Scheme
    written: Scheme
    word_tags: list[int] = field(repr=False)
    usual_tag: int = 0
    usual_label: int = 0

    @cached_property
    def word_places(self) -> dict[str, int]:
        """The place of each word."""
        return {word: place for place, word in enumerate(self.words)}

    @property
    def allowed(self) -> list[list[bool]]:
        """Which tag (column) may follow which (row); the last of both is the sentence's border."""
        tags = [*self.tags, None]
        return [[may_follow(before, tag, self.scheme) for tag in tags] for before in tags]

    @cached_property
    def baseline(self) -> MostFrequent:
        """Of every word its most frequent tag."""
        of_word = {word: self.tags[tag] for word, tag in zip(self.words, self.word_tags, strict=True)}
        label = self.labels[self.usual_label] if self.labels else None
        return MostFrequent(of_word, self.tags[self.usual_tag], label)

    def dump(self) -> str:
        """The text of a run's vocabulary.json."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str, name: str) -> "Vocabulary":
        """From what :meth:`dump` wrote.

        Raises:
            CheckpointError: the text is something else; the file is named.
        """
        with recorded(text, name, _FORMAT) as record:
            made = cls(**record)
            _check(made)
            return made


def _check(made: Vocabulary) -> None:
    for names in (made.words, made.tags, made.labels):
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise ValueError("expected names that differ")
    if not {made.scheme, made.written} <= {"iob2", "iobes", "none"}:
        raise ValueError(f"unknown scheme {made.scheme!r} or {made.written!r}")
    places = [*made.word_tags, made.usual_tag]
    if len(made.word_tags) != len(made.words) or not all(0 <= place < len(made.tags) for place in places):
        raise ValueError("expected a tag for each word")
    if made.labels and not 0 <= made.usual_label < len(made.labels):
        raise ValueError("expected the most frequent label to be one")
