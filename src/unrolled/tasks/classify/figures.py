"""How good predicted classes are: accuracy, F1, and the confusion matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> Counts:
    """How often each true class (row) was taken for each class (column).

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    return counts


def f1_scores(counts: Counts) -> NDArray[np.float64]:
    """F1 of each class, the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN), 0 where that is 0 / 0."""
    hits = counts.diagonal().astype(np.float64)
    total = counts.sum(0) + counts.sum(1)
    scores: NDArray[np.float64] = 2 * hits / np.maximum(total, 1)
    return scores


def figures(counts: Counts, classes: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro F1, and with two classes the F1 of each.

    Macro F1 is the plain mean over the classes that occur, in the truth or among the predictions.

    Example:
        >>> figures(confusion([0, 0, 1, 1], [0, 1, 1, 1], 2), ["no", "yes"])
        {'accuracy': 0.75, 'f1': 0.7333333333333334, 'f1 of no': 0.6666666666666666, 'f1 of yes': 0.8}
    """
    scores = f1_scores(counts)
    occurring = counts.sum(0) + counts.sum(1) > 0
    found = {
        "accuracy": float(counts.trace() / max(1, counts.sum())),
        "f1": float(scores[occurring].mean()) if occurring.any() else 0.0,
    }
    if len(classes) == 2:
        found |= {f"f1 of {name}": float(score) for name, score in zip(classes, scores, strict=True)}
    return found
