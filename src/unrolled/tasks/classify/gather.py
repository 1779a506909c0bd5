"""All examples of files, or of data in memory: the words counted, the recordings turned into features, stored."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...core import DataError, InputError
from ..audio import LogMel, read_audio, sample_rate_of, with_deltas
from ..reading import check_characters
from ..storage import store
from ..words import split_words
from .examples import Examples
from .options import DataOptions
from .series_files import finite
from .sources import Raw, find

HIGHEST_RATE = 16_000  # Hz, where none is named: speech has little above half of it


@dataclass
class _Gathering:
    """What is kept of the examples that went by."""

    data: DataOptions
    kind: str = ""
    features: int = 0
    cut: int = 0
    columns: tuple[str, ...] = ()  # names of the features, where they have some

    def __post_init__(self) -> None:
        self.labels: list[str | None] = []
        self.places: list[str] = []
        self.positions: dict[str, int] = {}
        self.files: list[Path] = []  # each of one example: those of a folder or a manifest

    def take(self, raw: Raw) -> Raw:
        """Note an example's label and place; all must be of one kind."""
        self.kind = self.kind or raw.kind
        if raw.kind != self.kind:
            raise DataError(f"{raw.place}: expected {self.kind} like the examples before it, got {raw.kind}.")
        check_characters(raw.label or "", raw.place)
        self.labels.append(raw.label)
        self.places.append(raw.place)
        if raw.file is not None:
            self.files.append(raw.file)
        return raw

    def limited(self, values: Any) -> Any:
        """At most the first so many steps."""
        self.cut += len(values) > self.data.longest
        return values[: self.data.longest]

    def words(self, raws: Iterable[Raw]) -> Iterator[NDArray[np.int32]]:
        """Of each text the numbers of its words, in the order in which they first occurred."""
        positions = self.positions
        for raw in map(self.take, raws):
            check_characters(str(raw.content), raw.place)
            words = split_words(str(raw.content), lower=not self.data.case, limit=self.data.longest + 1)
            if not words:
                raise DataError(
                    f"{raw.place}: expected a text of at least one word, got {str(raw.content)[:40]!r}; "
                    "fill it in, or leave it out."
                )
            yield np.array([positions.setdefault(w, len(positions)) for w in self.limited(words)], dtype=np.int32)

    def numbers(self, raws: Iterable[Raw]) -> Iterator[NDArray[np.float32]]:
        """The values of each sequence (T, F)."""
        for raw in map(self.take, raws):
            yield self.of_width(self.limited(self.in_order(raw)), raw.place)

    def in_order(self, raw: Raw) -> Any:
        """The values, with the columns in the order of those before, whose names they must have."""
        self.columns = self.columns or raw.columns
        if raw.columns in ((), self.columns):
            return raw.content
        if sorted(raw.columns) != sorted(self.columns):
            raise DataError(
                f"{raw.place}: expected the columns of numbers {', '.join(map(repr, self.columns))}, "
                f"got {', '.join(map(repr, raw.columns))}; give the same ones."
            )
        assert isinstance(raw.content, np.ndarray)
        return raw.content[:, [raw.columns.index(name) for name in self.columns]]

    def sounds(self, raws: Iterable[Raw], log_mel: LogMel) -> Iterator[NDArray[np.float32]]:
        """The features of each recording."""
        for raw in map(self.take, raws):
            assert isinstance(raw.content, Path)
            features = log_mel(read_audio(raw.content, log_mel.sample_rate))
            if not len(features):
                raise DataError(
                    f"{raw.place}: expected a recording of at least {log_mel.window:g} ms, got a shorter one; "
                    "leave this file out."
                )
            yield self.of_width(self.limited(with_deltas(features, self.data.deltas).numpy()), raw.place)

    def of_width(self, values: NDArray[np.float32], place: str) -> NDArray[np.float32]:
        """The values, if they have as many features as those before."""
        self.features = self.features or values.shape[1]
        if values.shape[1] != self.features:
            raise DataError(
                f"{place}: expected {self.features} features at each step, as in {self.places[0]}, "
                f"got {values.shape[1]}; give every sequence the same features."
            )
        return values


@dataclass(frozen=True)
class Gathered:
    """Examples, the rate at which recordings among them were read, the files of these, and the names of features."""

    examples: Examples
    sample_rate: int | None = None
    files: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()


def gather(
    paths: Sequence[Path],
    data: DataOptions,
    *,
    part: str = "train",
    labelled: bool = True,
    sample_rate: int | None = None,
    columns: tuple[str, ...] = (),
) -> Gathered:
    """The examples of files and folders.

    Args:
        paths: files and folders, all with examples of one kind.
        data: what they look like.
        part: ``"train"`` or ``"test"``, of a file that has both.
        labelled: every example must have a label; otherwise it may.
        sample_rate: of recordings; by default what the options say, or the lowest of the files, at most 16 kHz.
        columns: of a table of steps, the names of the features, in their order; by default those of its header.

    Raises:
        DataError: the data cannot be used; the file and the row are named.
    """
    return _gather(chain.from_iterable(find(path, data, part=part, labelled=labelled) for path in paths), data,
                   ", ".join(map(str, paths)), sample_rate, columns)  # fmt: skip


def gather_memory(x: Any, y: Any, data: DataOptions) -> Gathered:
    """The examples of data in memory: a list of texts, arrays (T, F), or one array (N, T, F) or (N, T).

    Raises:
        InputError, DataError: they are not of these forms, or there are not as many labels as examples.
    """
    if isinstance(x, str | bytes) or not hasattr(x, "__len__"):
        raise InputError(
            f"X: expected a list of texts or of arrays (T, F), or an array (N, T, F), got {type(x).__name__}."
        )
    if hasattr(x, "columns"):
        raise InputError(
            f"X: expected a list of texts or of arrays, got a table ({type(x).__name__}); give its column."
        )
    if y is not None and len(y) != len(x):
        raise InputError(f"y: expected a label for each of the {len(x)} examples, got {len(y)}.")
    labels = [None] * len(x) if y is None else [str(label) for label in y]

    def raws() -> Iterator[Raw]:
        for row, (one, label) in enumerate(zip(x, labels, strict=True)):
            place = f"X[{row}]"
            if isinstance(one, str):
                yield Raw(one, label, place)
                continue
            values = np.asarray(one)
            if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
                raise InputError(
                    f"{place}: expected a text or numbers (T, F) or (T,), got {values.dtype} {values.shape}."
                )
            yield Raw(finite(values[:, None] if values.ndim == 1 else values, place), label, place)

    return _gather(raws(), data, "X", None)


def _gather(
    raws: Iterator[Raw], data: DataOptions, source: str, sample_rate: int | None, columns: tuple[str, ...] = ()
) -> Gathered:
    first = next(raws, None)
    if first is None:
        raise DataError(f"{source}: expected examples, got none.")
    raws = chain([first], raws)
    gathering = _Gathering(data, columns=columns)
    if first.kind == "text":
        rows = store(gathering.words(raws))
    elif first.kind == "series":
        rows = store(gathering.numbers(raws))
    else:
        found = list(raws)  # their paths: small
        sample_rate = sample_rate or data.sample_rate or _lowest_rate(found)
        with _one_thread():
            rows = store(gathering.sounds(found, LogMel(sample_rate, data.bands)))
    if gathering.cut:
        warnings.warn(
            f"{gathering.cut} of {len(rows)} examples are longer than {data.longest} "
            f"{'words' if first.kind == 'text' else 'steps'} and were cut; --longest reads more.",
            stacklevel=2,
        )
    examples = Examples(first.kind, rows, gathering.labels, gathering.places, tuple(gathering.positions))
    rate = sample_rate if first.kind == "audio" else None
    return Gathered(examples, rate, tuple(gathering.files), gathering.columns)


def _lowest_rate(raws: Sequence[Raw]) -> int:
    return min(HIGHEST_RATE, *(sample_rate_of(raw.content) for raw in raws if isinstance(raw.content, Path)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Short recordings are transformed faster by one thread than by several that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
