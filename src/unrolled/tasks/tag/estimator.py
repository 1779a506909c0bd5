"""The tagger as scikit-learn knows models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...core import InputError, InputTypeError
from ..estimator import Estimator
from .sentences import Sentence, made
from .task import TASK, TagRun


class Tagger(Estimator):
    """A tag for each token of a sentence, and a label for the sentence where it is told any.

    Args:
        options: those of ``unrolled train tag``, each by its name, such as ``cell``, ``hidden_size``, ``crf``,
            ``minutes``, ``epochs``, ``seed``.
        output: a run folder to make, and to keep; by default there is none after ``fit``.
        progress: show how training goes; by default where there is a terminal or a notebook.

    Attributes:
        tags_: the tags that it knows.
        intents_: the labels of sentences that it knows.

    Example:
        >>> from unrolled.tasks import Tagger
        >>> X = [["fly", "to", "Oslo"], ["from", "New", "York"], ["to", "Rome"], ["to", "York"]] * 5
        >>> y = [["O", "O", "B-city"], ["O", "B-city", "I-city"], ["O", "B-city"], ["O", "B-city"]] * 5
        >>> tagger = Tagger(hidden_size=16, epochs=20, learning_rate=0.02, averaging=0, subwords=100).fit(X, y)
        >>> tagger.predict([["fly", "from", "New", "York"]])
        [['O', 'O', 'B-city', 'I-city']]
        >>> tagger.score(X, y)
        1.0
    """

    task = TASK
    _unit = "tok"
    run_: TagRun

    def fit(self, X: Any, y: Any = None, intents: Sequence[str | None] | None = None) -> Self:  # noqa: N803
        """Train.

        Args:
            X: sentences, each a list of tokens.
            y: of each sentence a list of as many tags.
            intents: of each sentence a label, if there are any.

        Raises:
            InputError, InputTypeError: X, y or a parameter is not as above.
        """
        return super().fit(_sentences(X, y, intents), None)

    def predict(self, X: Any) -> list[list[str]]:  # noqa: N803
        """The tags of each sentence; no tag stands where it may not follow the one before."""
        return [sentence.tags or [] for sentence in self._fitted().tag(_tokens(X))]

    def predict_intents(self, X: Any) -> list[str | None]:  # noqa: N803
        """The label of each sentence; None of an empty one, or where there were no labels."""
        return [sentence.label for sentence in self._fitted().tag(_tokens(X))]

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """F1 of the spans as conlleval counts them, or the accuracy of tokens where tags are no spans."""
        run = self._fitted()
        scores, _ = run.measure(_sentences(X, y, None))
        return float(next(iter(scores.model.values())))

    def _take(self, folder: Path) -> None:
        super()._take(folder)
        self.tags_ = np.array(self.run_.vocabulary.tags)
        self.intents_ = np.array(self.run_.vocabulary.labels)

    def _open(self, folder: Path) -> TagRun:
        return TagRun(folder, cell=self.cell)


def _tokens(sentences: Any) -> list[list[str]]:
    """Lists of tokens.

    Raises:
        InputTypeError: they are something else.
    """
    if isinstance(sentences, str) or not hasattr(sentences, "__iter__"):
        raise InputTypeError(f"X: expected a list of sentences, each a list of tokens, got {type(sentences).__name__}.")
    found = []
    for place, sentence in enumerate(sentences):
        if isinstance(sentence, str) or not hasattr(sentence, "__iter__"):
            raise InputTypeError(
                f"X[{place}]: expected a list of tokens, got {type(sentence).__name__}; split it: text.split()."
            )
        tokens = [str(token) if isinstance(token, np.str_) else token for token in sentence]
        wrong = next((token for token in tokens if not isinstance(token, str)), None)
        if wrong is not None:
            raise InputTypeError(f"X[{place}]: expected tokens of type str, got {type(wrong).__name__}.")
        found.append(tokens)
    return found


def _sentences(X: Any, y: Any, intents: Any) -> list[Sentence]:  # noqa: N803
    tokens = _tokens(X)
    if y is None:
        raise InputError("y: expected a list of tags for each sentence, got None.")
    tags = [[str(tag) for tag in sentence] for sentence in y]
    if not tokens or len(tags) != len(tokens):
        raise InputError(f"X, y: expected as many sentences in both, at least one, got {len(tokens)} and {len(tags)}.")
    labels = [None] * len(tokens) if intents is None else list(intents)
    if len(labels) != len(tokens):
        raise InputError(f"intents: expected {len(tokens)}, one a sentence, got {len(labels)}.")
    labels = [str(label) if isinstance(label, np.str_) else label for label in labels]
    for place, label in enumerate(labels):
        if label is not None and not (isinstance(label, str) and label.strip()):
            raise InputError(f"intents[{place}]: expected a text, or None where there is none, got {label!r}.")
    for place, (sentence, marks) in enumerate(zip(tokens, tags, strict=True)):
        if not sentence or len(sentence) != len(marks):
            raise InputError(
                f"X[{place}], y[{place}]: expected a tag for each token, at least one, got {len(sentence)} tokens and "
                f"{len(marks)} tags."
            )
    rows = zip(tokens, tags, labels, strict=True)
    return [made(*row, where=f"X[{place}]") for place, row in enumerate(rows)]
