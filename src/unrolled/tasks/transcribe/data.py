"""The data of a run: where they come from, how they are divided, and what the run folder says of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError, InputError
from ...models import needed_frames
from ...training.run_folder import RunFolder
from ..division import division_draw, draw_held_out
from ..origin import Origin, paths_to_go_on_with
from ..scaling import FeatureScaler
from ..storage import Sequences, store
from .decoding import count_ngrams
from .example import messages
from .front import FrontEnd
from .options import TranscribeOptions
from .speech import FILE, NGRAM_FILE, WORDS_FILE, Speech
from .units import learn_units, normal
from .utterances import Columns, Features, Utterance, read_utterances

EXAMPLE = 1000  # messages of the built-in example


@dataclass(frozen=True)
class Part:
    """Some of the utterances that were read."""

    features: Sequences
    texts: list[str]
    places: list[str]
    rows: NDArray[np.int64]  # of this part
    units: list[list[int]] = field(default_factory=list)  # of each text, once they are known

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Frames of each."""
        found: NDArray[np.int64] = self.features.lengths[self.rows]
        return found

    def __len__(self) -> int:
        return len(self.rows)

    def said(self) -> list[str]:
        """The text of each."""
        return [self.texts[row] for row in self.rows]

    def spelled(self, places: Iterable[int]) -> list[list[int]]:
        """The units of some."""
        return [self.units[int(self.rows[place])] for place in places]

    def heard(self, places: Iterable[int]) -> list[Features]:
        """The features of some."""
        return [self.features[int(self.rows[place])] for place in places]


@dataclass(frozen=True)
class TranscribeData:
    """What is learnt from, what is held out, and what the run folder keeps of it."""

    training: Part
    validation: Part
    speech: Speech
    origin: Origin
    files: dict[str, str]

    @property
    def record(self) -> dict[str, Any]:
        """Where the data came from, and their hashes."""
        return self.origin.record()


def read_data(source: Any, options: TranscribeOptions, saved: RunFolder | None) -> TranscribeData:
    """The data of a run; see :class:`unrolled.tasks.running.Task`.

    Args:
        source: paths (none for the built-in example), a tuple that begins with utterances in memory, or None for what
            ``saved`` was made with.
        options: settled ones.
        saved: the run that is gone on with, or begun from.

    Raises:
        DataError: the data cannot be used; the file is named, with the row.
        InputError: two options cannot stand together.
    """
    if options.model.streaming and options.model.normalisation == "utterance":
        raise InputError(
            "--normalisation utterance: expected global with --streaming, where the whole utterance is not known."
        )
    validation = options.data.validation
    held_out = None if validation is None else Path(validation)
    columns = Columns(options.data.audio_column, options.data.text_column, options.data.group_column)
    if isinstance(source, tuple):
        return _gathered(source[0], _read([held_out], columns), Origin(in_memory=True), options, saved)
    resumed = saved if source is None else None
    paths = [Path(path) for path in (paths_to_go_on_with(resumed) if resumed else source)]
    learnt = list(_read(paths, columns)) if paths else list(messages(EXAMPLE))
    others = list(_read([held_out], replace(columns, group=None)))
    named = sorted({u.source for u in [*learnt, *others] if isinstance(u.source, Path)} - set(paths))
    origin = Origin.of_files(paths, held_out, named if paths else ())
    if resumed:
        origin.check_unchanged(resumed)
    return _gathered(learnt, others, origin, options, saved)


def recorded_speech(folder: RunFolder) -> Speech:
    """What a run knows.

    Raises:
        CheckpointError: it is damaged.
    """
    return Speech.load(folder.read_checked(FILE), str(folder.path / FILE))


def _read(paths: Iterable[Path | None], columns: Columns) -> Iterator[Utterance]:
    for path in paths:
        if path is not None:
            yield from read_utterances(path, columns)


def _gathered(
    learnt: Iterable[Utterance],
    others: Iterable[Utterance],
    origin: Origin,
    options: TranscribeOptions,
    saved: RunFolder | None,
) -> TranscribeData:
    known = recorded_speech(saved) if saved else None
    learnt, others = list(learnt), list(others)
    both = [*learnt, *others]
    front = known.front if known else FrontEnd.of_first(both[0], options.data)
    lower = known.lower if known else options.data.lower
    texts = [normal(utterance.text or "", lower) for utterance in both]
    features = store(front(utterance) for utterance in both)
    places = [utterance.name for utterance in both]
    chosen, held_out = _divided(learnt, len(others), options)
    training, validation = (Part(features, texts, places, rows) for rows in (chosen, held_out))
    speech = known or _learn(training, front, lower, options)
    units = [speech.units.encode(text) for text in texts]
    training, validation = (replace(part, units=units) for part in (training, validation))
    for part in (training, validation):
        _check_aligns(part, speech, options.model.subsampling)
    if saved:
        ngrams = {name: saved.read_checked(name) for name in (NGRAM_FILE, WORDS_FILE)}
    else:
        ngrams = count_ngrams(training.said(), speech.units, options.data.ngram_order, options.data.word_ngram_order)
    return TranscribeData(training, validation, speech, origin, {FILE: speech.dump(), **ngrams})


def _learn(training: Part, front: FrontEnd, lower: bool, options: TranscribeOptions) -> Speech:
    """Units, scale and baseline, of the training part alone."""
    texts = training.said()
    units = learn_units(options.data.units, texts, options.data.units_size)
    if options.model.streaming or options.model.normalisation == "global":
        front = replace(front, scaler=FeatureScaler.learn(training.heard(range(len(training)))))
    return Speech(units, front, lower, Counter(texts).most_common(1)[0][0])


def _check_aligns(part: Part, speech: Speech, subsampling: int) -> None:
    """That each text fits into its frames."""
    for row in part.rows:
        units = part.units[row]
        needed = int(needed_frames(units)) if units else 0
        there = -(-int(part.features.lengths[row]) // subsampling)
        if needed > there:
            raise DataError(
                f"{part.places[row]}: expected at least {needed} steps for a text of {len(units)} "
                f"{speech.units.kind}, got {there} ({int(part.features.lengths[row])} frames, subsampling "
                f"{subsampling}); is the text that of another recording? If not, use --subsampling 1, a smaller --hop, "
                "or leave it out."
            )


def _divided(
    learnt: list[Utterance], others: int, options: TranscribeOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from, and rows that are held out."""
    count = len(learnt)
    if others:
        return np.arange(count), np.arange(count, count + others)
    share = options.data.validation_share
    groups = [utterance.group for utterance in learnt]
    if options.data.group_column is None and None in groups:
        held_out = draw_held_out(count, share, options.training.seed, "utterances")
    else:
        held_out = _of_some_groups(_checked(groups, learnt), share, division_draw(options.training.seed))
    return np.setdiff1d(np.arange(count), held_out), np.sort(held_out)


def _checked(groups: list[str | None], learnt: list[Utterance]) -> list[str]:
    found = [group for group in groups if group is not None]
    if len(found) < len(groups):
        raise DataError(
            f"{learnt[groups.index(None)].name}: expected a group, got none; give a manifest with a column of groups, "
            "an array of groups, or leave out --group-column."
        )
    if len(set(found)) < 2:
        raise DataError(f"expected at least 2 groups, got {len(set(found))}; leave out --group-column.")
    return found


def _of_some_groups(groups: list[str], share: float, draw: np.random.Generator) -> NDArray[np.int64]:
    """The rows of as many whole groups as make the share, at least one, and not all."""
    names = draw.permutation(sorted(set(groups)))
    held_out: list[int] = []
    for name in names[:-1]:
        if held_out and len(held_out) >= share * len(groups):
            break
        held_out += [row for row, group in enumerate(groups) if group == name]
    return np.array(held_out, dtype=np.int64)
