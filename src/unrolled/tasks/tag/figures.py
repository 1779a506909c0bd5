"""How good tags are: of tokens, of spans as conlleval counts them, of labels, and type by type."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .spans import Scheme, spans


@dataclass(frozen=True)
class Counts:
    """Of one type: spans (or tokens) that are right, that were found, and that there are.

    Example:
        >>> Counts(right=2, found=4, true=3).f1
        0.5714285714285714
    """

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Of what was found, the share that is right; 0 where nothing was found."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Of what there is, the share that was found; 0 where there is nothing."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of the two, 2 right / (found + true); 0 where there is nothing at all."""
        both = self.found + self.true
        return 2 * self.right / both if both else 0.0


@dataclass(frozen=True)
class Figures:
    """How good the tags of a data set are, and the labels of its sentences."""

    sentences: int
    tokens: int
    right_tokens: int
    spans: Counts | None  # of all types together; None where tags are no spans
    types: dict[str, Counts]  # of each type of span, or of each tag
    labels: Counts | None  # of the sentences that have one

    @property
    def token_accuracy(self) -> float:
        """The share of tokens with the right tag."""
        return self.right_tokens / self.tokens if self.tokens else 0.0

    @property
    def score(self) -> float:
        """F1 of the spans, or the accuracy of the tokens where tags are no spans."""
        return self.spans.f1 if self.spans else self.token_accuracy

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        found: dict[str, float] = {}
        if self.spans:
            found |= {"span_f1": self.spans.f1, "span_precision": self.spans.precision}
            found |= {"span_recall": self.spans.recall}
        found["token_accuracy"] = self.token_accuracy
        if self.labels:
            found["intent_accuracy"] = self.labels.recall
        return found

    def table(self) -> dict[str, dict[str, float]]:
        """Of each type its precision, its recall, F1, and how many there are."""
        return {
            kind: {"precision": one.precision, "recall": one.recall, "f1": one.f1, "count": one.true}
            for kind, one in self.types.items()
        }


def measure(
    true: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    scheme: Scheme,
    labels: Iterable[tuple[str | None, str | None]] = (),
) -> Figures:
    """Compare predicted tags with true ones, sentence by sentence.

    A span is right where its first token, its last token and its type all are. Both sides are read as
    :func:`~unrolled.tasks.tag.spans.spans` does, so their schemes need not agree; the accuracy of tokens compares the
    tags as they stand.

    Args:
        true: the tags of each sentence.
        predicted: the same, predicted.
        scheme: of the tags; only whether they are spans matters.
        labels: pairs of true and predicted labels of sentences; those whose true label is None do not count.

    Example:
        >>> figures = measure([["B-city", "I-city", "O"]], [["B-city", "O", "O"]], "iob2")
        >>> figures.spans.f1, round(figures.token_accuracy, 3)
        (0.0, 0.667)
    """
    right, found, there = Counter[str](), Counter[str](), Counter[str]()
    sentences = tokens = right_tokens = 0
    for truth, guess in zip(true, predicted, strict=True):
        if len(truth) != len(guess):
            raise ValueError(f"predicted: expected {len(truth)} tags for a sentence, got {len(guess)}.")
        sentences, tokens = sentences + 1, tokens + len(truth)
        right_tokens += sum(one == other for one, other in zip(truth, guess, strict=True))
        marks, guesses = _units(truth, scheme), _units(guess, scheme)
        for counter, units in ((right, marks & guesses), (found, guesses), (there, marks)):
            counter.update(kind for _, _, kind in units)
    types = {kind: Counts(right[kind], found[kind], there[kind]) for kind in sorted(there | found)}
    whole = Counts(right.total(), found.total(), there.total()) if scheme != "none" else None
    pairs = [pair for pair in labels if pair[0] is not None]
    hits = sum(one == other for one, other in pairs)
    return Figures(
        sentences, tokens, right_tokens, whole, types, Counts(hits, len(pairs), len(pairs)) if pairs else None
    )


def _units(tags: Sequence[str], scheme: Scheme) -> set[tuple[int, int, str]]:
    if scheme == "none":
        return {(place, place + 1, tag) for place, tag in enumerate(tags)}
    return set(spans(tags))
