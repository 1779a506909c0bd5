"""What a run of classification learns from: examples, divided and checked, the encoder, the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core import DataError
from ...training.run_folder import RunFolder
from ..origin import Origin, paths_to_go_on_with
from .baselines import Baselines
from .built_in import digits
from .encoder import FILE as ENCODER
from .encoder import Encoder
from .examples import Examples, classes_of, divide
from .gather import Gathered, gather, gather_memory
from .options import DataOptions

BUILT_IN = "scikit-learn's digits"
BASELINES = "baselines.json"


@dataclass(frozen=True)
class Part:
    """Examples that are learnt from, or measured on, and the numbers of their classes."""

    examples: Examples
    rows: Sequence[int]  # those of the examples that belong to it
    targets: Sequence[int]  # of these rows

    @classmethod
    def all_of(cls, examples: Examples, classes: Sequence[str]) -> "Part":
        """Every example, with its label among these classes."""
        return cls(examples, range(len(examples)), examples.class_numbers(classes))


@dataclass(frozen=True)
class ClassifyData:
    """Everything that a run is made of."""

    training: Part
    validation: Part
    encoder: Encoder
    baselines: Baselines
    origin: Origin
    how: dict[str, Any]  # the data came, besides: what a prediction wants to know

    @property
    def record(self) -> dict[str, Any]:
        """Where the data are from, their hashes and sizes."""
        classes = self.encoder.classes
        counts = np.bincount(self.training.targets, minlength=len(classes)).tolist()
        return self.origin.record(
            **self.how,
            kind=self.encoder.kind,
            training=len(self.training.rows),
            validation=len(self.validation.rows),
            training_of_class=dict(zip(classes, counts, strict=True)),
        )

    @property
    def files(self) -> dict[str, str]:
        """The encoder and the baselines, as JSON."""
        return {ENCODER: self.encoder.to_json(), BASELINES: self.baselines.to_json()}


def read(source: Any, data: DataOptions, saved: RunFolder | None) -> ClassifyData:
    """Read, check and divide; arguments as in :meth:`unrolled.tasks.running.Task.read`.

    Raises:
        DataError, InputError: the data cannot be used; the file and the row are named.
        CheckpointError: the saved run is damaged.
    """
    resumed = saved if source is None else None
    encoder = None if saved is None else read_encoder(saved)
    if resumed is not None:
        source = list(paths_to_go_on_with(resumed))
    gathered, origin, how = _gather(source, data, encoder)
    examples = gathered.examples
    held_out = None if data.validation is None else _validation(data, gathered)
    if resumed is not None:
        origin.check_unchanged(resumed)
    name = origin.name if origin.paths or origin.in_memory else BUILT_IN
    classes = encoder.classes if encoder is not None else classes_of(examples.known_labels(), name)
    whole = Part.all_of(examples, classes)
    if held_out is None:
        rows, others = divide(whole.targets, data.validation_share, classes)
        training = Part(examples, rows, [whole.targets[row] for row in rows])
        validation = Part(examples, others, [whole.targets[row] for row in others])
    else:
        training, validation = whole, Part.all_of(held_out, classes)
    if encoder is None:
        encoder = Encoder.learn(
            examples, training.rows, classes, data.vocabulary_size, gathered.sample_rate, gathered.columns
        )
    encoder.check(examples)
    encoder.check(validation.examples)
    baselines = (
        read_baselines(resumed)
        if resumed is not None
        else Baselines.fit(training.examples, training.rows, training.targets, len(classes))
    )
    return ClassifyData(training, validation, encoder, baselines, origin, how)


def _gather(source: Any, data: DataOptions, encoder: Encoder | None) -> tuple[Gathered, Origin, dict[str, Any]]:
    """The examples, where they are from, and how they came."""
    if isinstance(source, tuple):
        gathered = gather_memory(source[0], source[1], data)
        kinds = {type(label).__name__ for label in source[1]}
        return gathered, Origin(in_memory=True), {"label_type": kinds.pop() if len(kinds) == 1 else "str"}
    if not source:
        gathered = gather_memory(*digits(), data)
        return gathered, Origin.of_files((), data.validation), {"built_in": BUILT_IN}
    paths = [Path(path) for path in source]
    known: dict[str, Any] = {} if encoder is None else {"sample_rate": encoder.sample_rate, "columns": encoder.columns}
    gathered = gather(paths, data, **known)
    others = [file for file in gathered.files if not any(path.is_dir() or file == path for path in paths)]
    return gathered, Origin.of_files(paths, data.validation, others), {"alone": bool(gathered.files)}


def _validation(data: DataOptions, training: Gathered) -> Examples:
    assert data.validation is not None
    path, kind = Path(data.validation), training.examples.kind
    examples = gather([path], data, sample_rate=training.sample_rate, columns=training.columns).examples
    if examples.kind != kind:
        raise DataError(
            f"--validation: {data.validation}: expected {kind} as in the training data, got {examples.kind}."
        )
    return examples


def read_encoder(folder: RunFolder) -> Encoder:
    """The encoder of a run.

    Raises:
        CheckpointError: its file is missing or damaged.
    """
    return Encoder.from_json(folder.read_checked(ENCODER), str(folder.path / ENCODER))


def read_baselines(folder: RunFolder) -> Baselines:
    """The baselines of a run.

    Raises:
        CheckpointError: their file is missing or damaged.
    """
    return Baselines.from_json(folder.read_checked(BASELINES), str(folder.path / BASELINES))
