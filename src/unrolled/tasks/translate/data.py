"""The data of a run: where they come from, how they are divided, and what the run folder says of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError, InputError
from ...training.run_folder import RunFolder
from ..division import draw_held_out
from ..origin import Origin, paths_to_go_on_with
from ..reading import hash_of
from ..storage import Sequences, store
from .example import dates
from .options import DataOptions, TranslateOptions
from .pairs import Columns, Pair, read_pairs
from .tokens import END
from .vocabulary import FILE, Vocabulary, learn_vocabulary

SMALLEST_BPE, LARGEST_BPE = 260, 65536
EXAMPLE = 4000  # dates of the built-in example


@dataclass(frozen=True)
class Part:
    """Pairs as numbers: the tokens of the sources, and those of the targets with the end."""

    sources: Sequences
    targets: Sequences

    def __len__(self) -> int:
        return len(self.sources)

    def of(self, places: Iterable[int]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """The tokens of some pairs."""
        rows = [int(place) for place in places]
        return [self.sources[row] for row in rows], [self.targets[row] for row in rows]


@dataclass(frozen=True)
class TranslateData:
    """What is learnt from, what is held out, and the tokens."""

    training: Part
    validation: Part
    held_out: list[Pair]  # the validation data as text
    vocabulary: Vocabulary
    origin: Origin
    skipped: int  # pairs that were too long

    @property
    def record(self) -> dict[str, Any]:
        """Where the data came from, and their hashes."""
        return self.origin.record(pairs=len(self.training), held_out_pairs=len(self.validation), skipped=self.skipped)

    @property
    def files(self) -> dict[str, str]:
        """The vocabulary."""
        return {FILE: self.vocabulary.dump()}


def read_data(source: Any, options: TranslateOptions, saved: RunFolder | None) -> TranslateData:
    """The data of a run; see :class:`unrolled.tasks.running.Task`.

    Args:
        source: paths (none for the built-in example), a tuple (sources, targets) in memory, or None for what
            ``saved`` was made with.
        options: settled ones.
        saved: the run that is gone on with, or begun from.

    Raises:
        DataError: a file cannot be used; it is named, with the row.
        InputError: options that do not fit each other.
    """
    data = options.data
    _check(options)
    apart = None
    if data.validation is not None:
        apart = [Path(path) for path in (data.validation, data.validation_target) if path is not None]
    if isinstance(source, tuple):
        origin = Origin(in_memory=True)
        pairs: list[Pair] = source[0]
    else:
        resumed = saved if source is None else None
        paths = [Path(path) for path in (paths_to_go_on_with(resumed) if resumed else source)]
        origin = Origin.of_files(paths)
        if apart is not None:
            origin = replace(origin, validation=apart[0].resolve(), validation_sha256=hash_of(apart))
        if resumed:
            origin.check_unchanged(resumed)
        pairs = _read(paths, data) if paths else dates(EXAMPLE)
    held_out = None if apart is None else _read(apart, data)
    return _numbers(pairs, held_out, origin, options, saved)


def recorded_vocabulary(folder: RunFolder) -> Vocabulary:
    """The vocabulary of a run.

    Raises:
        CheckpointError: it is damaged.
    """
    return Vocabulary.load(folder.read_checked(FILE), str(folder.path / FILE))


def columns_of_options(data: DataOptions) -> Columns:
    """The columns of tables."""
    return Columns(data.source_column, data.target_column, data.header)


def in_case(pairs: Iterable[Pair], lowercase: bool) -> Iterator[Pair]:
    """Pairs in small letters, or as they are."""
    for pair in pairs:
        yield replace(pair, source=pair.source.lower(), target=pair.target.lower()) if lowercase else pair


def _check(options: TranslateOptions) -> None:
    data = options.data
    if data.validation is None and data.validation_target is not None:
        raise InputError("--validation-target: expected the source's file beside it; give that as --validation.")
    kinds = set(data.kinds)
    if "bpe" in kinds and data.vocabulary_size is not None and not SMALLEST_BPE <= data.vocabulary_size <= LARGEST_BPE:
        raise InputError(
            f"--vocabulary-size: expected {SMALLEST_BPE} to {LARGEST_BPE} with bpe, which begins with 256 bytes, got "
            f"{data.vocabulary_size}."
        )
    if data.shared_vocabulary and len(kinds) > 1:
        raise InputError("--shared-vocabulary: expected the same --tokens on both sides.")
    if options.model.tie == "all" and not data.shared_vocabulary:
        raise InputError("--tie all: expected --shared-vocabulary beside it, for one embedding of both sides.")
    if options.model.input_feeding and options.model.attention == "none":
        raise InputError("--input-feeding: expected an --attention whose result is fed.")


def _read(paths: Sequence[Path], data: DataOptions) -> list[Pair]:
    return list(in_case(read_pairs(paths, data.format, columns_of_options(data)), data.lowercase))


def _numbers(
    pairs: list[Pair],
    held_out: list[Pair] | None,
    origin: Origin,
    options: TranslateOptions,
    saved: RunFolder | None,
) -> TranslateData:
    learnt, held_out = (pairs, held_out) if held_out is not None else _share(pairs, options)
    known = learn_vocabulary(learnt, options.data) if saved is None else recorded_vocabulary(saved)
    if saved is not None:
        _check_kinds(known, options.data, saved)
    training, kept = _encode(learnt, known, options.data)
    validation, kept_out = _encode(held_out, known, options.data)
    skipped = len(learnt) + len(held_out) - len(kept) - len(kept_out)
    return TranslateData(training, validation, kept_out, known, origin, skipped)


def _check_kinds(known: Vocabulary, data: DataOptions, saved: RunFolder) -> None:
    """That the vocabulary of a run is of the kinds that the options name.

    Raises:
        InputError: it is not.
    """
    wanted, found = data.kinds, (known.source.kind, known.target.kind)
    if wanted != found:
        raise InputError(
            f"--tokens: expected {found[0]} to {found[1]}, of which the vocabulary of {saved.path} is, "
            f"got {wanted[0]} to {wanted[1]}; leave the option out, or begin anew."
        )


def _encode(pairs: list[Pair], known: Vocabulary, data: DataOptions) -> tuple[Part, list[Pair]]:
    """Pairs as numbers, and those of them that are not too long.

    Raises:
        DataError: one is too long, or all are.
    """
    kept: list[Pair] = []

    def both() -> Iterator[NDArray[Any]]:
        for pair in pairs:
            sides = known.source.encode(pair.source), known.target.encode(pair.target)
            longest = max(map(len, sides))
            if longest <= data.max_length:
                kept.append(pair)
                yield np.array([len(sides[0]), *sides[0], *sides[1], END], dtype=np.int32)
            elif not data.skip_long:
                side = "source" if len(sides[0]) == longest else "target"
                raise DataError(
                    f"{pair.where}: expected at most --max-length {data.max_length} tokens on each side, got "
                    f"{longest:,} in the {side}; raise it, or leave such pairs out with --skip-long."
                )

    stored = list(both())
    if not stored:
        raise DataError(
            f"{pairs[0].where}: expected a pair of at most --max-length {data.max_length} tokens, got none."
        )
    sources = store(row[1 : 1 + row[0]] for row in stored)
    return Part(sources, store(row[1 + row[0] :] for row in stored)), kept


def _share(pairs: list[Pair], options: TranslateOptions) -> tuple[list[Pair], list[Pair]]:
    """Some sources, by chance, are held out, each with all its targets."""
    sources = list(dict.fromkeys(pair.source for pair in pairs))
    share, seed = options.data.validation_share, options.training.seed
    drawn = draw_held_out(len(sources), share, seed, "sources", "different ones")
    chosen = {sources[place] for place in drawn.tolist()}
    return [p for p in pairs if p.source not in chosen], [p for p in pairs if p.source in chosen]
