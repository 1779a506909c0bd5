"""The classifier after scikit-learn's conventions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from ...core import InputError
from ..estimator import Estimator
from .task import TASK, ClassifyRun, Predictions

_TYPES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda name: name == "True"}


class Classifier(ClassifierMixin, Estimator):
    """A recurrent classifier of texts or numeric sequences.

    Args:
        options: those of ``unrolled train classify``, each by its name, such as ``cell``, ``hidden_size``,
            ``epochs``; see docs/classify.md.
        output: a run folder to make, and to keep; by default there is none after ``fit``.
        progress: show how training goes; by default where there is a terminal or a notebook.

    Attributes:
        classes_: the labels, sorted.
        run_: the trained run.

    Shape:
        X: a list of texts, a list of arrays (T_i, F), or an array (N, T, F) or (N, T); y (N,).

    Example:
        >>> import numpy as np
        >>> from unrolled.tasks import Classifier
        >>> draw = np.random.default_rng(0)
        >>> y = np.array([0, 1] * 40)
        >>> X = draw.normal(size=(80, 12, 1)) + y[:, None, None]
        >>> model = Classifier(cell="gru", hidden_size=8, steps=60, learning_rate=0.01).fit(X, y)
        >>> float(model.score(X, y)) > 0.9, model.predict_proba(X).shape
        (True, (80, 2))
    """

    task = TASK

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Train on labelled sequences.

        Raises:
            DataError, InputError: the data or a parameter cannot be used.
        """
        if y is None:
            raise InputError("y: expected a label for each example, got None.")
        labels = np.asarray(y)
        if labels.ndim != 1 or (labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels))):
            raise InputError(f"y: expected labels (N,), whole numbers or names, got {labels.dtype} {labels.shape}.")
        for row, label in enumerate(labels.tolist()):
            if label is None or str(label).strip() in ("", "nan", "<NA>"):
                raise InputError(f"y[{row}]: expected a label, got {label!r}; fill it in, or leave the example out.")
        super().fit(X, labels.tolist())
        return self

    def _take(self, folder: Path) -> None:
        super()._take(folder)
        read = _TYPES.get(self.run_.label_type, str)
        names = np.array([read(name) for name in self.run_.classes])
        self._order = np.argsort(names, kind="stable")  # as scikit-learn sorts, which reads "10" before "9"
        self.classes_ = names[self._order]

    def _open(self, folder: Path) -> ClassifyRun:
        return ClassifyRun(folder, cell=self.cell if ":" in self.cell else None)

    def _said(self, X: Any) -> Predictions:  # noqa: N803
        said: Predictions = self._fitted().predict(X)
        return said

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The class of each example (N,)."""
        best = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The probability of each class (N, C), in the order of ``classes_``."""
        return self._said(X).probabilities[:, self._order]
