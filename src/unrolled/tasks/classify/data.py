"""What a run of classification learns from: examples, divided and checked, the encoder, the baselines."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core import CheckpointError, DataError
from ...training.run_folder import RunFolder
from ..reading import hash_of
from ..running import changed_since
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
    source: dict[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """Where the data are from, their hashes and sizes."""
        classes = self.encoder.classes
        counts = np.bincount(self.training.targets, minlength=len(classes)).tolist()
        return {
            "data": {
                **self.source,
                "kind": self.encoder.kind,
                "training": len(self.training.rows),
                "validation": len(self.validation.rows),
                "training_of_class": dict(zip(classes, counts, strict=True)),
            },
            "sha256_of_files": {name: _hash_of_text(text) for name, text in self.files.items()},
        }

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
        source = _recorded_paths(resumed)
    gathered, origin = _gather(source, data, None if encoder is None else encoder.sample_rate)
    examples = gathered.examples
    held_out = None if data.validation is None else _validation(data, examples.kind, gathered.sample_rate)
    origin["validation_sha256"] = None if data.validation is None else hash_of([Path(data.validation)])
    if resumed is not None:
        _check_unchanged(resumed, origin, data)
    name = ", ".join(origin["paths"]) or BUILT_IN
    classes = encoder.classes if encoder is not None else classes_of(examples.known_labels(), name)
    whole = Part.all_of(examples, classes)
    if held_out is None:
        rows, others = divide(whole.targets, data.validation_share, classes)
        training = Part(examples, rows, [whole.targets[row] for row in rows])
        validation = Part(examples, others, [whole.targets[row] for row in others])
    else:
        training, validation = whole, Part.all_of(held_out, classes)
    if encoder is None:
        encoder = Encoder.learn(examples, training.rows, classes, data.vocabulary_size, gathered.sample_rate)
    encoder.check(examples)
    encoder.check(validation.examples)
    baselines = (
        read_baselines(resumed)
        if resumed is not None
        else Baselines.fit(training.examples, training.rows, training.targets, len(classes))
    )
    return ClassifyData(training, validation, encoder, baselines, origin)


def _gather(source: Any, data: DataOptions, sample_rate: int | None) -> tuple[Gathered, dict[str, Any]]:
    """The examples, and what is recorded of where they are from."""
    if isinstance(source, tuple):
        gathered = gather_memory(source[0], source[1], data)
        kinds = {type(label).__name__ for label in source[1]}
        of_labels = kinds.pop() if len(kinds) == 1 else "str"
        digest = _hash_of_memory(gathered.examples)
        return gathered, {"paths": [], "memory": True, "label_type": of_labels, "sha256": digest}
    if not source:
        gathered = gather_memory(*digits(), data)
        return gathered, {"paths": [], "built_in": BUILT_IN, "sha256": _hash_of_memory(gathered.examples)}
    paths = [Path(path) for path in source]
    gathered = gather(paths, data, sample_rate=sample_rate)
    files = [file for file in gathered.files if not any(path.is_dir() or file == path for path in paths)]
    origin = {"paths": [str(path.resolve()) for path in paths], "alone": bool(gathered.files)}
    return gathered, {**origin, "sha256": hash_of([*paths, *files])}


def _validation(data: DataOptions, kind: str, sample_rate: int | None) -> Examples:
    assert data.validation is not None
    examples = gather([Path(data.validation)], data, sample_rate=sample_rate).examples
    if examples.kind != kind:
        raise DataError(
            f"--validation: {data.validation}: expected {kind} as in the training data, got {examples.kind}."
        )
    return examples


def _hash_of_memory(examples: Examples) -> str:
    digest = hashlib.sha256(json.dumps([list(examples.labels), examples.words]).encode())
    for row in examples.rows:
        digest.update(np.ascontiguousarray(row).tobytes())
    return digest.hexdigest()


def _hash_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def recorded(folder: RunFolder) -> dict[str, Any]:
    """What the config says of the data.

    Raises:
        CheckpointError: it says nothing.
    """
    found = folder.config.get("data")
    if not isinstance(found, dict) or not isinstance(found.get("paths"), list):
        raise CheckpointError(f"{folder.path / 'config.json'}: damaged (it states no data); restore it from a copy.")
    return found


def _recorded_paths(folder: RunFolder) -> list[str]:
    found = recorded(folder)
    if found.get("memory"):
        raise DataError(
            f"{folder.path}: was made from data in memory, which it does not hold; call fit again, or begin a run "
            "from its weights with --from."
        )
    return [str(path) for path in found["paths"]]


def _check_unchanged(folder: RunFolder, now: dict[str, Any], data: DataOptions) -> None:
    before = recorded(folder)
    if now["sha256"] != before.get("sha256"):
        raise changed_since(folder, f"{', '.join(now['paths']) or BUILT_IN} has")
    if now["validation_sha256"] != before.get("validation_sha256"):
        raise changed_since(folder, f"the validation data {data.validation} have")


def read_encoder(folder: RunFolder) -> Encoder:
    """The encoder of a run.

    Raises:
        CheckpointError: its file is missing or damaged.
    """
    return Encoder.from_json(_checked(folder, ENCODER), str(folder.path / ENCODER))


def read_baselines(folder: RunFolder) -> Baselines:
    """The baselines of a run.

    Raises:
        CheckpointError: their file is missing or damaged.
    """
    return Baselines.from_json(_checked(folder, BASELINES), str(folder.path / BASELINES))


def _checked(folder: RunFolder, name: str) -> str:
    text = folder.read_text(name)
    hashes = folder.config.get("sha256_of_files")
    if not isinstance(hashes, dict) or hashes.get(name) != _hash_of_text(text):
        raise CheckpointError(
            f"{folder.path / name}: damaged (its hash is not that in config.json); restore the file from a copy."
        )
    return text
