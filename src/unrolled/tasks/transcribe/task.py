"""The transcribe task as Python sees it: ``train``, ``resume``, and ``load`` for a run to transcribe with."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models import CTC
from ...training.problem import Observer
from ...training.run_folder import RunFolder
from .. import running
from ..audio import audio_blocks
from ..batches import by_length
from ..cells import cell_factory, first_step
from ..running import Training
from ..scores import Scores
from .data import TranscribeData, read_data, recorded_speech
from .decoding import Decoder
from .figures import scores
from .options import DecodingOptions, ModelOptions, TranscribeOptions
from .problem import AT_ONCE, TranscribeProblem
from .speech import Speech
from .stream import Stream
from .transcripts import Transcript, Word, words_of
from .units import normal, text_of
from .utterances import Columns, Features, Utterance, read_utterances


class TranscribeTask(running.Task[TranscribeOptions, TranscribeData]):
    """Texts of recordings."""

    name = "transcribe"
    options = TranscribeOptions

    def read(self, source: Any, options: TranscribeOptions, saved: RunFolder | None = None) -> TranscribeData:
        """See :func:`unrolled.tasks.transcribe.data.read_data`."""
        return read_data(source, options, saved)

    def problem(self, data: TranscribeData, options: TranscribeOptions) -> TranscribeProblem:
        """The model, and the utterances in mini-batches."""
        return TranscribeProblem(make_model(options.model, data.speech), data, options)


TASK = TranscribeTask()


def make_model(options: ModelOptions, speech: Speech) -> CTC:
    """A model with weights drawn anew."""
    with first_step(options.cell):
        return CTC(
            speech.front.size,
            cell_factory(options.cell, options.hidden_size),
            speech.units.size,
            num_layers=options.layers,
            bidirectional=not options.streaming,
            subsampling=options.subsampling,
            dropout=options.dropout,
            residual=options.residual,
        )


def train(
    source: Sequence[str | Path] | tuple[Sequence[Utterance], None],
    output: str | Path,
    options: TranscribeOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[TranscribeData]:
    """Train a recogniser, into a new run folder.

    Args:
        source: manifests, folders and files with features, none for a built-in example; or utterances in memory, as a
            tuple (utterances, None).
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.
        begin_from: a run whose best weights, units and scale are those that this one begins with.

    Raises:
        DataError: the data or the output folder cannot be used; the file and the row are named.
        InputError: an option cannot be used.
        NonFiniteError: training left the finite numbers.
    """
    return running.train(TASK, source, output, options or TranscribeOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[TranscribeData]:
    """Go on with a run of transcripts; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)


class TranscribeRun:
    """A trained recogniser.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.
        decoding: how a text is found.
        longest: seconds that a recording may have; by default as in training.

    Raises:
        CheckpointError: the folder is not a run of transcripts, or a file in it is damaged.
        InputError: the decoding does not suit the run.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        cell: str | None = None,
        weights: str = "best",
        decoding: DecodingOptions | None = None,
        longest: float | None = None,
    ):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.options = trained.options
        speech = recorded_speech(trained.folder)
        self.speech = speech if longest is None else replace(speech, front=replace(speech.front, longest=longest))
        self.decoder = Decoder(decoding or DecodingOptions(), self.speech, trained.folder)
        self.model = make_model(self.options.model, self.speech)
        trained.give_weights(self.model)

    @property
    def seconds(self) -> float:
        """Of a step."""
        return self.speech.front.hop / 1000 * self.options.model.subsampling

    def read(self, path: str | Path, *, audio_column: str | None = None, texts: bool = False) -> Iterator[Utterance]:
        """The utterances of a manifest, a folder, a recording or a file with features.

        Raises:
            DataError: something is not as it should be; it is named, with the row.
        """
        return read_utterances(Path(path), self._columns(audio_column), texts)

    def transcribe(self, utterances: Iterable[Utterance], at_once: int = AT_ONCE) -> Iterator[Transcript]:
        """The text of each utterance, in their order, with the times of its words.

        Args:
            utterances: recordings or features.
            at_once: how many are taken before the first text is given; those of similar lengths go side by side.

        Raises:
            DataError: a recording or features cannot be used.
        """
        utterances = iter(utterances)
        while some := list(islice(utterances, at_once)):
            heard = [self.speech.front(utterance) for utterance in some]
            yield from self.written(heard, [utterance.title for utterance in some])

    @torch.no_grad()
    def written(self, heard: Sequence[Features], titles: Sequence[str]) -> list[Transcript]:
        """The transcripts of what the front end has made of utterances."""
        found: dict[int, Transcript] = {}
        for places in by_length(torch.tensor([len(row) for row in heard]).numpy(), AT_ONCE):
            made, steps = self.model(*self.speech.front.batch(heard[place] for place in places))
            for place, best in zip(places.tolist(), self.decoder(made, steps), strict=True):
                pieces = self.speech.units.pieces(best.tokens)
                length = len(heard[place]) * self.speech.front.hop / 1000
                words = words_of(pieces, best.frames, self.seconds, length)
                found[place] = Transcript(titles[place], text_of(pieces), words, length)
        return [found[place] for place in range(len(heard))]

    def stream(self) -> Stream:
        """Words as they come, of samples or features as they come.

        Raises:
            InputError: the model was not trained with ``--streaming``.
        """
        return Stream(self.model, self.speech, self.seconds)

    def words(self, blocks: Iterable[Tensor]) -> Iterator[Word]:
        """Words as they come, of blocks of samples or of features; see :meth:`stream`."""
        stream = self.stream()
        for block in blocks:
            yield from stream.feed(block)
        yield from stream.finish()

    def blocks(self, utterance: Utterance, seconds: float = 0.2) -> Iterator[Tensor]:
        """What a stream is fed with: a recording in blocks of so many seconds, or features.

        Raises:
            DataError: the recording or the features cannot be used, when the fault is reached.
        """
        front = self.speech.front
        front.check_kind(utterance)
        if front.kind == "features":
            yield from front.prepared(utterance).split(max(1, round(seconds * 1000 / front.hop)))
        elif isinstance(utterance.source, Path):
            rate, place = front.sample_rate, utterance.place
            yield from audio_blocks(utterance.source, rate, seconds, longest=front.longest, place=place)
        else:
            yield from front.samples(utterance).split(round(seconds * front.sample_rate))

    def evaluate(
        self, paths: Sequence[str | Path], *, audio_column: str | None = None, text_column: str | None = None
    ) -> tuple[Scores, list[str]]:
        """Word and character error rate, beside those of the most frequent text; and characters never seen.

        Args:
            paths: manifests, folders and files with features and texts.
            audio_column: of a manifest, by default as in training; so is the next.
            text_column: likewise.

        Raises:
            DataError: the data cannot be used; the file and the row are named.
        """
        columns = self._columns(audio_column, text_column)
        return self.measure([u for path in paths for u in read_utterances(Path(path), columns)])

    def measure(self, utterances: Sequence[Utterance]) -> tuple[Scores, list[str]]:
        """As :meth:`evaluate`, of utterances in memory."""
        said = [normal(utterance.text or "", self.speech.lower) for utterance in utterances]
        written = [transcript.text for transcript in self.transcribe(utterances, 16 * AT_ONCE)]
        return scores(said, written, self.speech.usual), self.unseen(said)

    def unseen(self, texts: Iterable[str]) -> list[str]:
        """Characters, or words, that the model can never write."""
        known = self.speech.units
        if known.kind == "bpe":
            return []
        names = {name for text in texts for name in (text.split() if known.kind == "words" else text)}
        return sorted(name for name in names if not known.encode(name))

    def _columns(self, audio: str | None = None, text: str | None = None) -> Columns:
        data = self.options.data
        return Columns(audio or data.audio_column, text or data.text_column)


load = TranscribeRun
