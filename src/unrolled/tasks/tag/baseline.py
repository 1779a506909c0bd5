"""The baseline that needs no network: of every word its most frequent tag."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .sentences import Sentence
from .spans import OUTSIDE


@dataclass(frozen=True)
class MostFrequent:
    """The most frequent tag of each word, and of all; the most frequent label of a sentence.

    Args:
        of_word: the tag of each word of the training data.
        tag: of every other word.
        label: of every sentence; None where there are no labels.
    """

    of_word: dict[str, str]
    tag: str
    label: str | None

    @classmethod
    def learn(cls, sentences: Iterable[Sentence]) -> "MostFrequent":
        """Count; among equals the tag that comes first in the data.

        Example:
            >>> found = MostFrequent.learn([Sentence(["to", "Oslo"], ["O", "B-city"], "flight")])
            >>> found.predict(["Oslo", "to", "Rome"]), found.label
            (['B-city', 'O', 'O'], 'flight')
        """
        words: defaultdict[str, Counter[str]] = defaultdict(Counter)
        total: Counter[str] = Counter()
        labels: Counter[str] = Counter()
        for sentence in sentences:
            tags = sentence.tags or []
            total.update(tags)
            for word, tag in zip(sentence.tokens, tags, strict=True):
                words[word][tag] += 1
            if sentence.label is not None:
                labels[sentence.label] += 1
        of_word = {word: _first(found) or OUTSIDE for word, found in words.items()}
        return cls(of_word, _first(total) or OUTSIDE, _first(labels))

    def predict(self, tokens: Sequence[str]) -> list[str]:
        """A tag of each token."""
        return [self.of_word.get(token, self.tag) for token in tokens]


def _first(counts: Counter[str]) -> str | None:
    return counts.most_common(1)[0][0] if counts else None
