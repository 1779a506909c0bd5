"""From examples to what the network reads; learnt from the training examples and kept in the run folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...core import CheckpointError, DataError
from ..scaling import FeatureScaler
from ..words import Vocabulary
from .examples import Examples

FILE = "encoder.json"


@dataclass(frozen=True)
class Encoder:
    """What the model knows of its input and of its classes.

    Args:
        kind: ``"text"``, ``"series"`` or ``"audio"``.
        classes: their names, in the order of the network's outputs.
        vocabulary: of text, the words that have a vector of their own.
        mean, deviation: of the other kinds, of each feature over all training steps.
        sample_rate: of recordings.
        columns: the names of the features, in their order, where they have some.
    """

    kind: str
    classes: tuple[str, ...]
    vocabulary: Vocabulary | None = None
    mean: NDArray[np.float32] | None = None
    deviation: NDArray[np.float32] | None = None
    sample_rate: int | None = None
    columns: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        examples: Examples,
        rows: Sequence[int],
        classes: tuple[str, ...],
        vocabulary_size: int | None,
        sample_rate: int | None,
        columns: tuple[str, ...] = (),
    ) -> "Encoder":
        """From the examples that are learnt from."""
        if examples.kind == "text":
            return cls("text", classes, Vocabulary.learn(examples.texts(rows), size=vocabulary_size))
        scaler = FeatureScaler.learn([examples.rows[row] for row in rows])
        return cls(examples.kind, classes, None, scaler.mean, scaler.deviation, sample_rate, columns)

    @property
    def features(self) -> int:
        """Numbers of a step, 0 of text."""
        return 0 if self.mean is None else len(self.mean)

    def check(self, examples: Examples) -> None:
        """That the examples are of the kind that was learnt.

        Raises:
            DataError: they are of another kind, or have another number of features.
        """
        if examples.kind != self.kind:
            raise DataError(
                f"{examples.places[0]}: expected {self.kind}, of which the run was trained, got {examples.kind}."
            )
        for row, place in zip(examples.rows, examples.places, strict=True):
            if self.mean is not None and row.shape[1] != self.features:
                raise DataError(
                    f"{place}: expected {self.features} features at each step, as in the training data, "
                    f"got {row.shape[1]}; give the same columns in the same order."
                )

    def series(self, rows: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Standardised numbers (T, B, F), zero after a row's end, and the lengths (B,)."""
        assert self.mean is not None
        assert self.deviation is not None
        return FeatureScaler(self.mean, self.deviation).padded(rows)

    def to_json(self) -> str:
        """The text of the file in the run folder."""
        found: dict[str, Any] = {"kind": self.kind, "classes": self.classes, "sample_rate": self.sample_rate}
        if self.vocabulary is not None:
            found["words"] = self.vocabulary.words
        if self.mean is not None and self.deviation is not None:
            found |= {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        if self.columns:
            found["columns"] = self.columns
        return json.dumps(found, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Encoder":
        """What :meth:`to_json` gave.

        Raises:
            CheckpointError: it is not of that form; the file is named.
        """
        try:
            found = json.loads(text)
            words = found.get("words")
            moments = [np.asarray(found[n], dtype=np.float32) if n in found else None for n in ("mean", "deviation")]
            if (found["kind"] == "text") != (words is not None) or (words is None and moments[0] is None):
                raise ValueError("it does not say what the input is")
            vocabulary = None if words is None else Vocabulary(tuple(map(str, words)))
            classes = tuple(map(str, found["classes"]))
            columns = tuple(map(str, found.get("columns", ())))
            return cls(found["kind"], classes, vocabulary, moments[0], moments[1], found["sample_rate"], columns)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{name}: damaged ({error}); restore the file from a copy.") from error
