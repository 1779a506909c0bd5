"""Utterances as people have them: recordings in a manifest or a folder, or features that are prepared."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError
from ..audio import AUDIO_SUFFIXES, is_audio
from ..reading import Row, check_characters, files_in, inside, lines_of, open_binary, read_rows
from .options import AUDIO_COLUMN, TEXT_COLUMN

MANIFESTS = frozenset({".csv", ".tsv", ".tab", ".jsonl", ".ndjson"})
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Samples:
    """A recording in memory.

    Args:
        values: (N,).
        rate: samples a second.
    """

    values: NDArray[np.float32]
    rate: int


@dataclass(frozen=True)
class Utterance:
    """What was said, where it is known, and the recording or its features.

    Args:
        source: a recording, in a file or in memory, or features (T, F), likewise (.npy).
        place: of the row of a manifest, or the name of what is in memory; None: the path says all.
        text: what is said; None where it is to be found.
        group: such as the speaker.
    """

    source: Path | Samples | Features
    place: str | None
    text: str | None = None
    group: str | None = None

    @property
    def name(self) -> str:
        """For a message."""
        return self.place or str(self.source)

    @property
    def title(self) -> str:
        """For the output: the path as it is, or the place of features in memory."""
        return str(self.source) if isinstance(self.source, Path) else str(self.place)


@dataclass(frozen=True)
class Columns:
    """Of a manifest."""

    audio: str = AUDIO_COLUMN
    text: str = TEXT_COLUMN
    group: str | None = None


def read_utterances(path: Path, columns: Columns, texts: bool = True) -> Iterator[Utterance]:
    """The utterances of a manifest, of a folder, of a file with features, or of one recording.

    Args:
        path: where they are.
        columns: of a manifest.
        texts: whether each must have a text.

    Raises:
        DataError: something is not as it should be; it is named, with the row.
    """
    suffix = path.suffix.lower()
    found = False
    if path.is_dir():
        read = _of_folder(path, texts)
    elif suffix in MANIFESTS:
        read = _of_manifest(path, columns, texts)
    elif suffix == ".npz":
        read = _of_npz(path, texts)
    elif suffix == ".npy" or is_audio(path):
        read = iter([_alone(path, texts)])
    else:
        open_binary(path).close()
        raise DataError(
            f"{path}: expected a manifest ({', '.join(sorted(MANIFESTS))}), a folder, features (.npz, .npy) or a "
            f"recording ({', '.join(sorted(AUDIO_SUFFIXES))}); rename or convert it."
        )
    for utterance in read:
        found = True
        yield utterance
    if not found:
        raise DataError(f"{path}: expected utterances, got none: it is empty.")


def _of_manifest(path: Path, columns: Columns, texts: bool) -> Iterator[Utterance]:
    required = [columns.audio, *([columns.text] if texts else []), *([columns.group] if columns.group else [])]
    for row in read_rows(path, required):
        name = _text(row, columns.audio)
        if "\0" in name:
            raise DataError(f"{row.place}: expected a path in the column {columns.audio!r}, got one with a NUL byte.")
        file = inside(path.parent, name, row.place)
        if not file.is_file():
            raise DataError(f"{row.place}: {file}: there is no such file; correct the path, or leave the row out.")
        if file.suffix.lower() != ".npy" and not is_audio(file):
            raise DataError(
                f"{row.place}: {file}: expected a recording ({', '.join(sorted(AUDIO_SUFFIXES))}) or features (.npy); "
                "convert it, or leave the row out."
            )
        text = _text(row, columns.text) if texts else None
        yield Utterance(file, row.place, text, _text(row, columns.group) if columns.group else None)


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise DataError(f"{row.place}: expected text in the column {column!r}, got {type(value).__name__}.")
    if not value.strip():
        raise DataError(f"{row.place}: the column {column!r} is empty; fill it, or leave the row out.")
    return value


def _of_folder(folder: Path, texts: bool) -> Iterator[Utterance]:
    files = files_in(folder, AUDIO_SUFFIXES)
    if not files:
        raise DataError(f"{folder}: expected recordings ({', '.join(sorted(AUDIO_SUFFIXES))}), got none.")
    for file in files:
        yield _alone(file, texts)


def _alone(path: Path, texts: bool) -> Utterance:
    if not texts:
        open_binary(path).close()
        return Utterance(path, None)
    said = path.with_suffix(".txt")
    if not said.is_file():
        raise DataError(
            f"{path}: expected a file {said.name} beside it that says what is said in it; "
            "write it, or give a manifest, or leave the recording out."
        )
    text = " ".join(" ".join(lines_of(said)).split())
    if not text:
        raise DataError(f"{said}: expected what is said in {path.name}, got an empty file; fill it, or leave both out.")
    return Utterance(path, None, text)


def _of_npz(path: Path, texts: bool) -> Iterator[Utterance]:
    arrays = _arrays(path)
    required = ("features", "lengths", *(("texts",) if texts else ()))
    missing = [name for name in required if name not in arrays]
    if missing:
        raise DataError(
            f"{path}: expected the arrays {', '.join(required)}, got {', '.join(arrays) or 'none'}; "
            f"save {missing[0]} too, with numpy.savez."
        )
    features, lengths = arrays["features"], arrays["lengths"]
    if features.ndim != 2 or features.dtype.kind != "f" or not features.shape[1]:
        raise DataError(
            f"{path}: features: expected numbers (sum of lengths, F), got {features.dtype} {features.shape}."
        )
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any():
        raise DataError(f"{path}: lengths: expected whole numbers (N,), got {lengths.dtype} {lengths.shape}.")
    if int(lengths.sum()) != len(features):
        raise DataError(
            f"{path}: expected as many rows of features as the lengths sum up to, {int(lengths.sum())}, "
            f"got {len(features)}."
        )
    for name in ("texts", "groups"):
        if name in arrays and (arrays[name].dtype.kind != "U" or arrays[name].shape != lengths.shape):
            raise DataError(
                f"{path}: {name}: expected {len(lengths)} strings, got {arrays[name].dtype} {arrays[name].shape}."
            )
    said = arrays.get("texts") if texts else None
    groups = arrays.get("groups")
    begins = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
    for row in range(len(lengths)):
        text = None if said is None else str(said[row])
        if text is not None and not text.strip():
            raise DataError(f"{path}[{row}]: the text is empty; fill it, or leave the utterance out.")
        _check_strings(f"{path}[{row}]", text, None if groups is None else str(groups[row]))
        part = as_float32(features[begins[row] : begins[row + 1]])
        yield Utterance(part, f"{path}[{row}]", text, None if groups is None else str(groups[row]))


def _check_strings(name: str, *strings: str | None) -> None:
    for string in filter(None, strings):
        check_characters(string, name)
        if "\0" in string:
            raise DataError(f"{name}: expected text, got a NUL character in it; leave it out.")


def as_float32(values: NDArray[Any]) -> Features:
    """Numbers that are too large become infinite, which is found later, with their place."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Those of an .npz file; no object in it is ever run.

    Raises:
        DataError: it is none.
    """
    try:
        with open_binary(path) as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except DataError:
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds
        raise DataError(
            f"{path}: expected arrays of numbers and strings as numpy.savez writes them, got what cannot be read "
            f"({_reason(error)}); save them again, texts as numpy.array(list_of_strings)."
        ) from error


def read_npy(path: Path, name: str) -> Features:
    """Features (T, F) of a file.

    Raises:
        DataError: it holds something else; the name says where.
    """
    try:
        with open_binary(path) as file:
            found = np.load(file, allow_pickle=False)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{name}: expected an array of numbers as numpy.save writes it, got what cannot be read ({_reason(error)})."
        ) from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f" or not found.shape[1]:
        kind = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else "several arrays"
        raise DataError(f"{name}: expected features (T, F) of floating-point numbers, got {kind}.")
    return as_float32(found)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it holds Python objects" if "allow_pickle" in text or "pickle" in text else text.rstrip(".")
