"""What a recurrent network has to beat: the most frequent class, and a logistic regression that knows no order.

Baselines are fitted on the training examples, kept as JSON, and applied with numpy alone.
"""

import json
import warnings
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import CheckpointError
from .examples import Examples

Floats = NDArray[np.float64]
MOST_EXAMPLES = 50_000  # that a regression is fitted on
MOST_PHRASES = 20_000  # of a bag of words, the most frequent
SUMMARIES = ("mean", "standard deviation", "least", "greatest", "last")


@dataclass(frozen=True)
class Linear:
    """A logistic regression: scores = features @ weights + bias, the class with the highest score wins.

    Args:
        weights: (features, classes).
        bias: (classes,).
        phrases: of a bag of words, the words and pairs of words whose counts are the features; else None.
        mean: of a summary, what is taken off each feature; else None.
        scale: what it is divided by.
    """

    weights: Floats
    bias: Floats
    phrases: tuple[str, ...] | None = None
    mean: Floats | None = None
    scale: Floats | None = None

    @property
    def name(self) -> str:
        """What it is called in a table."""
        return "bag of words" if self.phrases is not None else "summary statistics"

    def of_words(self, texts: Iterable[Sequence[str]]) -> NDArray[np.int64]:
        """The class of each text, given as words."""
        assert self.phrases is not None
        positions = {phrase: position for position, phrase in enumerate(self.phrases)}
        found = []
        for words in texts:
            counts = Counter(positions[phrase] for phrase in phrases_of(words) if phrase in positions)
            at = np.fromiter(counts, dtype=np.int64, count=len(counts))
            often = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))
            found.append(int((often @ self.weights[at] + self.bias).argmax()))
        return np.array(found, dtype=np.int64)

    def of_series(self, series: Iterable[NDArray[np.floating[Any]]]) -> NDArray[np.int64]:
        """The class of each series (T, F)."""
        features = (summaries(series) - self.mean) / self.scale  # type: ignore[operator]
        return np.asarray((features @ self.weights + self.bias).argmax(1), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it, numbers with seven digits."""
        arrays = {"weights": self.weights, "bias": self.bias, "mean": self.mean, "scale": self.scale}
        found: dict[str, Any] = {name: _rounded(array) for name, array in arrays.items() if array is not None}
        return found if self.phrases is None else {**found, "phrases": list(self.phrases)}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Linear":
        """What :meth:`to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is not of that form.
        """
        weights = np.asarray(found["weights"], dtype=np.float64)
        bias = np.asarray(found["bias"], dtype=np.float64)
        phrases = tuple(found["phrases"]) if "phrases" in found else None
        mean, scale = (np.asarray(found[n], dtype=np.float64) if n in found else None for n in ("mean", "scale"))
        if phrases is None and (mean is None or scale is None or mean.shape != scale.shape):
            raise ValueError("a baseline without the mean and scale of its features")
        features = len(mean) if mean is not None else len(phrases or ())
        if weights.shape != (features, len(bias)):
            raise ValueError(f"a baseline of {features} features with weights of shape {weights.shape}")
        return cls(weights, bias, phrases, mean, scale)


def _rounded(array: Floats) -> Any:
    return np.vectorize(lambda value: float(f"{value:.7g}"), otypes=[float])(array).tolist()


def phrases_of(words: Sequence[str]) -> list[str]:
    """The words, and each two that stand side by side.

    Example:
        >>> phrases_of(["not", "so", "bad"])
        ['not', 'so', 'bad', 'not so', 'so bad']
    """
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def summaries(series: Iterable[NDArray[np.floating[Any]]]) -> Floats:
    """Mean, standard deviation, least, greatest and last value of each feature: (N, 5 F) of series (T, F)."""
    rows = []
    for one in series:
        values = np.asarray(one, dtype=np.float64)
        parts = [values.mean(0), values.std(0), values.min(0), values.max(0), values[-1]]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def fit_words(texts: Iterable[Sequence[str]], labels: Sequence[int], classes: int) -> Linear:
    """A logistic regression on how often each word, and each pair of neighbours, occurs; reads the texts twice."""
    from scipy.sparse import csr_matrix

    kept = most_frequent_phrases(texts)
    positions = {phrase: position for position, phrase in enumerate(kept)}
    columns, values, ends = array("i"), array("i"), [0]
    for words in texts:
        row = Counter(positions[phrase] for phrase in phrases_of(words) if phrase in positions)
        columns.extend(row)
        values.extend(row.values())
        ends.append(len(columns))
    features = csr_matrix((np.array(values, dtype=np.float64), columns, ends), shape=(len(ends) - 1, len(kept)))
    weights, bias = _regress(features, labels, classes)
    return Linear(weights, bias, phrases=tuple(kept))


def most_frequent_phrases(
    texts: Iterable[Sequence[str]], most: int = MOST_PHRASES, counted: int = 2_000_000
) -> list[str]:
    """The phrases that occur most often, the first in the alphabet of those that occur alike.

    Args:
        texts: as words.
        most: so many phrases.
        counted: so many counts are held at once; when there are more, the rarest are forgotten, as word2vec does.
    """
    counts: Counter[str] = Counter()
    for words in texts:
        counts.update(phrases_of(words))
        rare = 1
        while len(counts) > counted:
            counts = Counter({phrase: count for phrase, count in counts.items() if count > rare})
            rare += 1
    return sorted(counts, key=lambda phrase: (-counts[phrase], phrase))[:most]


def fit_series(series: Sequence[NDArray[np.floating[Any]]], labels: Sequence[int], classes: int) -> Linear:
    """A logistic regression on summary statistics of each feature."""
    features = summaries(series)
    mean, scale = features.mean(0), features.std(0)
    scale[scale < 1e-12 * np.maximum(1.0, np.abs(mean))] = 1.0
    weights, bias = _regress((features - mean) / scale, labels, classes)
    return Linear(weights, bias, mean=mean, scale=scale)


def _regress(features: Any, labels: Sequence[int], classes: int) -> tuple[Floats, Floats]:
    """Weights (features, classes) and bias (classes,); of a class without an example the bias is far below."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is good enough of a baseline
        warnings.simplefilter("ignore", DeprecationWarning)  # of an older scikit-learn beside a newer scipy
        fitted = LogisticRegression(max_iter=1000).fit(features, np.asarray(labels))
    found, bias = fitted.coef_.T, fitted.intercept_
    if found.shape[1] == 1:  # of two classes only the second one's
        found, bias = np.concatenate([-found, found], 1) / 2, np.concatenate([-bias, bias]) / 2
    weights, biases = np.zeros((found.shape[0], classes)), np.full(classes, -1e9)
    weights[:, fitted.classes_], biases[fitted.classes_] = found, bias
    return weights, biases


def most_frequent(labels: Sequence[int], classes: int) -> int:
    """The class with the most examples, the first of several."""
    return int(np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes).argmax())


@dataclass(frozen=True)
class _Texts:
    """Rows of text, made anew from the stored numbers of their words each time that they are read."""

    examples: Examples
    rows: Sequence[int]

    def __iter__(self) -> Iterator[Sequence[str]]:
        return self.examples.texts(self.rows)


@dataclass(frozen=True)
class Baselines:
    """Both baselines of a run."""

    frequent: int
    linear: Linear

    @classmethod
    def fit(cls, examples: Examples, rows: Sequence[int], targets: Sequence[int], classes: int) -> "Baselines":
        """On the examples that the network learns from; the regression on at most so many, drawn with a fixed seed."""
        chosen = list(range(len(rows)))
        if len(rows) > MOST_EXAMPLES:
            chosen = sorted(np.random.default_rng(0).permutation(len(rows))[:MOST_EXAMPLES].tolist())
        picked, labels = [rows[at] for at in chosen], [targets[at] for at in chosen]
        if examples.kind == "text":
            linear = fit_words(_Texts(examples, picked), labels, classes)
        else:
            linear = fit_series([examples.rows[row] for row in picked], labels, classes)
        return cls(most_frequent(targets, classes), linear)

    def predict(self, examples: Examples, rows: Sequence[int]) -> dict[str, NDArray[np.int64]]:
        """What each says of these rows, by its name."""
        if examples.kind == "text":
            linear = self.linear.of_words(examples.texts(rows))
        else:
            linear = self.linear.of_series(examples.rows[row] for row in rows)
        return {self.linear.name: linear, "most frequent class": np.full(len(rows), self.frequent)}

    def to_json(self) -> str:
        """The text of the file in the run folder."""
        return json.dumps({"frequent": self.frequent, "linear": self.linear.to_json()}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Baselines":
        """What :meth:`to_json` gave.

        Raises:
            CheckpointError: it is not of that form; the file is named.
        """
        try:
            found = json.loads(text)
            return cls(int(found["frequent"]), Linear.from_json(found["linear"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{name}: damaged ({error}); restore the file from a copy.") from error
