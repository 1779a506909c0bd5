"""The translator as scikit-learn knows models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...core import InputError, InputTypeError
from ..estimator import Estimator
from .pairs import Pair
from .task import TASK, TranslateRun
from .translating import Translation


class Translator(Estimator):
    """Texts into other texts: a language into another, letters into phonemes.

    Args:
        options: those of ``unrolled train translate``, each by its name, such as ``cell``, ``hidden_size``,
            ``tokens``, ``minutes``, ``epochs``, ``seed``.
        output: a run folder to make, and to keep; by default there is none after ``fit``.
        progress: show how training goes; by default where there is a terminal or a notebook.

    Example:
        >>> from unrolled.tasks import Translator
        >>> X = [f"{word} {other}" for word in "abcdef" for other in "uvwxyz"]
        >>> y = [" ".join(reversed(text.upper().split())) for text in X]
        >>> small = {"hidden_size": 16, "embedding_size": 16, "batch_size": 8, "dropout": 0.0}
        >>> translator = Translator(epochs=40, learning_rate=0.02, averaging=0, **small).fit(X, y)
        >>> translator.predict(["a u", "c z"])
        ['U A', 'Z C']
        >>> translator.score(X, y)
        1.0
    """

    task = TASK
    run_: TranslateRun

    _unit = "tok"

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Train.

        Args:
            X: sources, each a line of text.
            y: of each source a target.

        Raises:
            InputError, InputTypeError: X, y or a parameter is not as above.
        """
        return super().fit(_pairs(X, y), None)

    def predict(self, X: Any) -> list[str]:  # noqa: N803
        """The translation of each text, by beam search."""
        return [found[0].text for found in self.translate(X)]

    def translate(self, X: Any, **options: Any) -> list[list[Translation]]:  # noqa: N803
        """Translations of each text, best first, with scores and attention.

        Args:
            X: texts.
            options: of :meth:`unrolled.tasks.translate.TranslateRun.translate`: ``options`` and ``n_best``.
        """
        found: list[list[Translation]] = self._fitted().translate(_texts(X, "X"), **options)
        return found

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """BLEU, from 0 to 100; where errors are measured the share of sources without any, from 0 to 1."""
        scores = self._fitted().measure(_pairs(X, y))
        errors = scores.model.get("line_error_rate")
        return float(scores.model["bleu"]) if errors is None else 1 - float(errors)

    def _open(self, folder: Path) -> TranslateRun:
        return TranslateRun(folder, cell=self.cell)


def _texts(texts: Any, name: str) -> list[str]:
    """Lines of text.

    Raises:
        InputTypeError: they are something else.
    """
    if isinstance(texts, str) or not hasattr(texts, "__iter__"):
        raise InputTypeError(f"{name}: expected a list of texts, got {type(texts).__name__}.")
    found = [str(text) if isinstance(text, np.str_) else text for text in texts]
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise InputTypeError(f"{name}[{place}]: expected a text, got {type(text).__name__}.")
    return [" ".join(text.splitlines()).strip() for text in found]


def _pairs(X: Any, y: Any) -> Sequence[Pair]:  # noqa: N803
    if y is None:
        raise InputError("y: expected a target for each source, got None.")
    sources, targets = _texts(X, "X"), _texts(y, "y")
    if not sources or len(sources) != len(targets):
        raise InputError(f"X, y: expected as many texts in both, at least one, got {len(sources)} and {len(targets)}.")
    for name, texts in (("X", sources), ("y", targets)):
        empty = next((place for place, text in enumerate(texts) if not text), None)
        if empty is not None:
            raise InputError(f"{name}[{empty}]: expected a text, got an empty one; leave this pair out.")
    return [Pair(*pair, f"X[{place}]") for place, pair in enumerate(zip(sources, targets, strict=True))]
