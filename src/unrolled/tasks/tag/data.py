"""The data of a run: where they come from, how they are divided, and what the run folder says of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core import DataError
from ...training.run_folder import RunFolder
from ..division import draw_held_out
from ..origin import Origin, paths_to_go_on_with
from .example import requests
from .numbers import Part, Reader, learn_vocabulary, name_in_order
from .options import DataOptions, TagOptions
from .sentences import Columns, Sentence, read_sentences
from .spans import Scheme, find_scheme
from .vocabulary import FILE, Vocabulary

EXAMPLE = 1500  # requests of the built-in example
VALIDATION_NAMES = ("valid", "validation", "dev")


@dataclass(frozen=True)
class TagData:
    """What is learnt from, what is held out, and the vocabulary."""

    training: Part
    validation: Part
    forms: list[str]  # every word that occurs, in the validation data too
    tags: list[str]  # the vocabulary's, and behind them those that only the validation data have
    labels: list[str]  # likewise
    vocabulary: Vocabulary
    origin: Origin

    @property
    def record(self) -> dict[str, Any]:
        """Where the data came from, and their hashes."""
        return self.origin.record()

    @property
    def files(self) -> dict[str, str]:
        """The vocabulary."""
        return {FILE: self.vocabulary.dump()}

    def sentences(self, part: Part) -> list[Sentence]:
        """A part as sentences once more, with tags in the vocabulary's scheme."""
        made = []
        for tokens, tags, label in zip(*part.of(range(len(part))), strict=True):
            words = [self.forms[token] for token in tokens]
            made.append(Sentence(words, [self.tags[tag] for tag in tags], self.labels[label] if label >= 0 else None))
        return made


def read_data(source: Any, options: TagOptions, saved: RunFolder | None) -> TagData:
    """The data of a run; see :class:`unrolled.tasks.running.Task`.

    Args:
        source: paths (none for the built-in example), a tuple that begins with sentences in memory, or None for what
            ``saved`` was made with.
        options: settled ones.
        saved: the run that is gone on with, or begun from.

    Raises:
        DataError: a file cannot be used; it is named, with the row.
    """
    if isinstance(source, tuple):
        validation = options.data.validation
        held_out = None if validation is None else _read([Path(validation)], options.data)
        return _numbers(source[0], held_out, Origin(in_memory=True), options, saved)
    resumed = saved if source is None else None
    given = [Path(path) for path in (paths_to_go_on_with(resumed) if resumed else source)]
    paths, part = _divide(given, options.data.validation)
    origin = replace(Origin.of_files(paths, part), paths=tuple(path.resolve() for path in given))
    if resumed:
        origin.check_unchanged(resumed)
    training = _read(paths, options.data) if paths else requests(EXAMPLE)
    held_out = None if part is None else _read([part], options.data)
    return _numbers(training, held_out, origin, options, saved)


def recorded_vocabulary(folder: RunFolder) -> Vocabulary:
    """The vocabulary of a run.

    Raises:
        CheckpointError: it is damaged.
    """
    return Vocabulary.load(folder.read_checked(FILE), str(folder.path / FILE))


def _divide(paths: list[Path], validation: str | None) -> tuple[list[Path], Path | None]:
    """A folder with parts named train and valid (or dev) stands for both."""
    named = None if validation is None else Path(validation)
    if len(paths) != 1 or not paths[0].is_dir() or (paths[0] / "seq.in").exists():
        return paths, named
    parts = {entry.stem.lower(): entry for entry in sorted(paths[0].iterdir()) if not entry.name.startswith(".")}
    if "train" not in parts:
        raise DataError(
            f"{paths[0]}: expected a folder with seq.in and seq.out, or with parts that are named train and valid, "
            f"got {', '.join(sorted(parts)[:5]) or 'an empty folder'}."
        )
    return [parts["train"]], named or next((parts[name] for name in VALIDATION_NAMES if name in parts), None)


def _read(paths: list[Path], data: DataOptions) -> Iterator[Sentence]:
    for path in paths:
        empty = True
        for sentence in read_sentences(path, data.format, Columns(data.token_column, data.tag_column)):
            empty = False
            yield sentence
        if empty:
            raise DataError(f"{path}: expected sentences with a tag for every token, got none: it is empty.")


def _numbers(
    training: Iterable[Sentence],
    validation: Iterable[Sentence] | None,
    origin: Origin,
    options: TagOptions,
    saved: RunFolder | None,
) -> TagData:
    reader = Reader()
    parts = [reader.take(training)] + ([] if validation is None else [reader.take(validation)])
    written = find_scheme(reader.tags, reader.where) if options.data.scheme != "none" else "none"
    known = recorded_vocabulary(saved) if saved else None
    scheme: Scheme = written if written == "none" or options.data.scheme == "auto" else options.data.scheme
    parts = reader.in_scheme(parts, known.scheme if known else scheme)
    learnt, held_out = parts if len(parts) == 2 else _share(parts[0], options)
    vocabulary = known or learn_vocabulary(reader, learnt, scheme, written)
    if known is None and not options.model.intent:
        vocabulary = replace(vocabulary, labels=[])
    tags = name_in_order(vocabulary.tags, reader.tags)
    labels = name_in_order(vocabulary.labels, reader.labels)
    learnt, held_out = (reader.renamed(part, tags, labels) for part in (learnt, held_out))
    if saved is not None:
        _check_known(learnt, tags, labels, vocabulary, saved)
    return TagData(learnt, held_out, list(reader.forms), tags, labels, vocabulary, origin)


def _check_known(part: Part, tags: list[str], labels: list[str], known: Vocabulary, saved: RunFolder) -> None:
    """A run that begins from another can learn the tags and labels of that one only."""
    new = [tags[tag] for tag in np.unique(part.tags.values) if tag >= len(known.tags)]
    if known.labels:
        new += [labels[label] for label in np.unique(part.labels[part.rows]) if label >= len(known.labels)]
    if new:
        raise DataError(
            f"{saved.path}: expected training data with the tags and intents of this run only, got {', '.join(new[:5])}"
            f"{' and more' if len(new) > 5 else ''}; leave those out, or train without --from."
        )


def _share(part: Part, options: TagOptions) -> tuple[Part, Part]:
    """Some sentences, by chance, are held out."""
    drawn = draw_held_out(len(part), options.data.validation_share, options.training.seed, "sentences")
    return part.chosen(np.setdiff1d(np.arange(len(part)), drawn)), part.chosen(np.sort(drawn))
