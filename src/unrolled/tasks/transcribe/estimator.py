"""The recogniser as scikit-learn knows models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...core import InputError, InputTypeError
from ..estimator import Estimator
from ..reading import check_characters
from .task import TASK, TranscribeRun
from .transcripts import Transcript
from .utterances import Samples, Utterance, as_float32


class Transcriber(Estimator):
    """Texts of recordings, or of features of them.

    Args:
        options: those of ``unrolled train transcribe``, each by its name, such as ``units``, ``streaming``,
            ``subsampling``, ``hidden_size``, ``minutes``, ``epochs``, ``seed``.
        output: a run folder to make, and to keep; by default there is none after ``fit``.
        progress: show how training goes; by default where there is a terminal or a notebook.

    Example:
        >>> import numpy as np
        >>> from unrolled.tasks import Transcriber
        >>> texts = ["ab", "ba", "aab", "b"] * 10
        >>> X = [np.repeat([[c == "a", c == "b"] for c in "_".join(text)], 3, 0) * 1.0 for text in texts]
        >>> options = dict(hidden_size=16, layers=1, subsampling=1, steps=120, learning_rate=0.03, threads=1)
        >>> Transcriber(**options).fit(X, texts).predict(X[:3])
        ['ab', 'ba', 'aab']
    """

    task = TASK
    _unit = "frames"
    run_: TranscribeRun

    def fit(self, X: Any, y: Any = None, sample_rate: int | None = None) -> Self:  # noqa: N803
        """Train.

        Args:
            X: recordings, each an array of samples (N,) between -1 and 1; or features, each (T, F).
            y: of each a text.
            sample_rate: samples a second of the recordings; None: X are features.

        Raises:
            InputError, InputTypeError: X, y or a parameter is not as above.
            DataError: a recording or a text cannot be used.
        """
        super().fit(_utterances(X, _texts(y), sample_rate), None)
        self.sample_rate_ = sample_rate
        return self

    def predict(self, X: Any, sample_rate: int | None = None) -> list[str]:  # noqa: N803
        """The text of each recording; the rate is by default that of ``fit``."""
        return [transcript.text for transcript in self.transcribe(X, sample_rate)]

    def transcribe(self, X: Any, sample_rate: int | None = None) -> list[Transcript]:  # noqa: N803
        """As :meth:`predict`, with the times of words."""
        run = self._fitted()
        return list(run.transcribe(_utterances(X, None, self._rate(sample_rate)), 512))

    def score(self, X: Any, y: Any, sample_rate: int | None = None) -> float:  # noqa: N803
        """1 - word error rate: 1 where all is right, and below 0 where more is wrong than there are words."""
        run = self._fitted()
        scores, _ = run.measure(_utterances(X, _texts(y), self._rate(sample_rate)))
        return 1 - float(scores.model["wer"])

    def _rate(self, given: int | None) -> int | None:
        return self.sample_rate_ if given is None else given

    def _take(self, folder: Path) -> None:
        super()._take(folder)
        self.sample_rate_ = self.run_.speech.front.sample_rate or None

    def _open(self, folder: Path) -> TranscribeRun:
        return TranscribeRun(folder, cell=self.cell)


def _texts(y: Any) -> list[str]:
    if y is None or isinstance(y, str) or not hasattr(y, "__iter__"):
        raise InputTypeError(f"y: expected a list of texts, got {type(y).__name__}.")
    texts = [str(text) if isinstance(text, np.str_) else text for text in y]
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputTypeError(f"y[{place}]: expected a text, got {type(text).__name__}.")
        if not text.strip():
            raise InputError(f"y[{place}]: expected what is said, got an empty text; leave it out.")
        check_characters(text, f"y[{place}]")
    return texts


def _utterances(X: Any, texts: Sequence[str] | None, sample_rate: int | None) -> list[Utterance]:  # noqa: N803
    if isinstance(X, str | bytes) or not hasattr(X, "__iter__"):
        raise InputTypeError(f"X: expected a list of arrays, got {type(X).__name__}.")
    arrays = list(X)
    if not arrays or (texts is not None and len(texts) != len(arrays)):
        got = f"{len(arrays)} and {len(texts)}" if texts is not None else str(len(arrays))
        raise InputError(f"X, y: expected as many arrays as texts, at least one, got {got}.")
    if sample_rate is not None and not isinstance(sample_rate, int | np.integer):
        raise InputTypeError(f"sample_rate: expected a whole number, got {type(sample_rate).__name__}.")
    if sample_rate is not None and sample_rate < 1:
        raise InputError(f"sample_rate: expected samples a second, got {sample_rate}.")
    return [
        Utterance(_source(array, place, sample_rate), f"X[{place}]", None if texts is None else texts[place])
        for place, array in enumerate(arrays)
    ]


def _source(array: Any, place: int, sample_rate: int | None) -> Any:
    try:
        found = np.asarray(array)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"X[{place}]: expected an array, got what is none ({error}).") from error
    wanted = "features (T, F)" if sample_rate is None else "samples (N,)"
    if found.ndim != (2 if sample_rate is None else 1) or found.dtype.kind != "f":
        hint = "; give sample_rate for recordings" if sample_rate is None and found.ndim == 1 else ""
        raise InputError(
            f"X[{place}]: expected {wanted} of floating-point numbers, got {found.dtype} {found.shape}{hint}."
        )
    values = as_float32(found)
    return values if sample_rate is None else Samples(values, int(sample_rate))
