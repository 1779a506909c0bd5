"""The translate task as Python sees it: ``train``, ``resume``, and ``load`` for a run that translates."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ...core import DataError, InputError
from ...models import EncoderDecoder
from ...training.problem import Observer
from ...training.run_folder import RunFolder
from .. import running
from ..cells import cell_factory, first_step
from ..running import Training
from ..scores import MODEL, Scores
from .data import TranslateData, columns_of_options, in_case, read_data, recorded_vocabulary
from .measuring import Measure, copy_of
from .options import DecodingOptions, ModelOptions, TranslateOptions
from .pairs import Columns, Format, Pair, read_pairs
from .problem import TranslateProblem
from .tokens import UNKNOWN, Listed
from .translating import Decoder, Translation
from .vocabulary import Vocabulary

BASELINE = "copying the source"
AT_ONCE = 32  # lines that are searched for together


class TranslateTask(running.Task[TranslateOptions, TranslateData]):
    """Pairs of a source and a target."""

    name = "translate"
    options = TranslateOptions

    def read(self, source: Any, options: TranslateOptions, saved: RunFolder | None = None) -> TranslateData:
        """See :func:`unrolled.tasks.translate.data.read_data`."""
        return read_data(source, options, saved)

    def problem(self, data: TranslateData, options: TranslateOptions) -> TranslateProblem:
        """The model, and the pairs in mini-batches."""
        return TranslateProblem(make_model(options.model, data.vocabulary), data, options)


TASK = TranslateTask()


def make_model(options: ModelOptions, vocabulary: Vocabulary) -> EncoderDecoder:
    """A model with weights drawn anew."""
    with first_step(options.cell):
        return EncoderDecoder(
            vocabulary.source.size,
            cell_factory(options.cell, options.hidden_size),
            vocabulary.target.size,
            embedding_size=options.embedding_size,
            attention=options.attention,
            input_feeding=options.input_feeding,
            num_layers=options.layers,
            bidirectional=options.bidirectional,
            dropout=options.dropout,
            residual=options.residual,
            tie=options.tie,
        )


def train(
    source: Sequence[str | Path] | tuple[Sequence[Pair], None],
    output: str | Path,
    options: TranslateOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[TranslateData]:
    """Train a translator, into a new run folder.

    Args:
        source: two line-aligned files, or tables of pairs, none for a built-in example; or pairs in memory, as a
            tuple (pairs, None).
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.
        begin_from: a run whose best weights and vocabulary are those that this one begins with.

    Raises:
        DataError: the data or the output folder cannot be used; the file and the row are named.
        InputError: an option cannot be used.
        NonFiniteError: training left the finite numbers.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from unrolled.tasks.translate.options import TranslateOptions
        >>> from unrolled.tasks.translate.task import load, train
        >>> options = TranslateOptions.model_validate({"model": {"hidden_size": 8}, "training": {"steps": 3}})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train([], Path(folder, "run"), options)
        ...     ((best,),) = load(run.folder).translate(["may the third nineteen ninety"])
        >>> len(best.pieces) == len(best.attention)
        True
    """
    return running.train(TASK, source, output, options or TranslateOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[TranslateData]:
    """Go on with a run of translations; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)


class TranslateRun:
    """A trained translator.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of translations, or a file in it is damaged.
    """

    def __init__(self, run: str | Path, *, cell: str | None = None, weights: str = "best"):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.options = trained.options
        self.vocabulary = recorded_vocabulary(trained.folder)
        self.model = make_model(self.options.model, self.vocabulary)
        trained.give_weights(self.model)

    def translate(
        self, texts: Sequence[str], options: DecodingOptions | None = None, *, n_best: int = 1
    ) -> list[list[Translation]]:
        """The translations of each text, best first.

        Args:
            texts: lines; an empty one has an empty translation.
            options: how a translation is searched for.
            n_best: of each line, of method beam.

        Raises:
            InputError: options that do not fit each other.
        """
        options = options or DecodingOptions()
        decoder = Decoder(self.model, self.vocabulary, options.replace_unknown)
        found = _search(options, n_best)
        return decoder.translate(self._in_case(texts), AT_ONCE, max_output=options.max_output, **found)

    def stream(self, text: str, options: DecodingOptions) -> Iterator[str]:
        """The translation of a line piece by piece, as it is made; of method greedy or sample."""
        decoder = Decoder(self.model, self.vocabulary, options.replace_unknown)
        (line,) = self._in_case([text])
        return decoder.stream(line, max_output=options.max_output, **_search(options, 1))

    def translate_all(
        self, texts: Iterable[str], options: DecodingOptions, n_best: int = 1, at_once: int = 4 * AT_ONCE
    ) -> Iterator[list[Translation]]:
        """Translate lines as they come: the first by itself, then twice as many together each time, up to so many."""
        texts = iter(texts)
        size = 1
        while some := list(islice(texts, size)):
            yield from self.translate(some, options, n_best=n_best)
            size = min(2 * size, at_once)

    def unseen(self, text: str) -> list[str]:
        """The pieces of a text that were never seen in training (or too rarely), each once."""
        source = self.vocabulary.source
        if not isinstance(source, Listed):
            return []
        (line,) = self._in_case([text])
        return list(dict.fromkeys(piece for piece in source.split(line) if piece not in source.places))

    def known_part(self, text: str) -> str:
        """A text without the pieces that are not known."""
        source = self.vocabulary.source
        if not isinstance(source, Listed):
            return text
        (line,) = self._in_case([text])
        return ("" if source.kind == "characters" else " ").join(p for p in source.split(line) if p in source.places)

    def check(self, options: DecodingOptions, n_best: int = 1) -> None:
        """Raises InputError where options do not fit each other."""
        _search(options, n_best)

    def evaluate(
        self,
        paths: Sequence[str | Path],
        options: DecodingOptions | None = None,
        *,
        form: Format = "auto",
        columns: Columns | None = None,
        metric: str | None = None,
        tokenize: str | None = None,
    ) -> Scores:
        """BLEU and chrF, or errors, beside copying the source.

        Args:
            paths: two line-aligned files, or tables of pairs.
            options: how a translation is searched for.
            form: of the files.
            columns: of tables, by default as in training.
            metric: ``"bleu"`` or ``"errors"``, by default as in training.
            tokenize: how sacrebleu splits text, by default as in training.

        Raises:
            DataError: the data cannot be used.
        """
        read = read_pairs([Path(path) for path in paths], form, columns or columns_of_options(self.options.data))
        pairs = list(read)
        if not pairs:
            raise DataError(f"{', '.join(map(str, paths))}: expected pairs, got none.")
        return self.measure(pairs, options, metric=metric, tokenize=tokenize)

    def measure(
        self,
        pairs: Sequence[Pair],
        options: DecodingOptions | None = None,
        *,
        metric: str | None = None,
        tokenize: str | None = None,
    ) -> Scores:
        """As :meth:`evaluate`, of pairs in memory."""
        pairs = list(in_case(pairs, self.options.data.lowercase))
        measure = Measure.of_options(self.options.data, self.vocabulary, metric, tokenize)
        mine = measure(pairs, lambda sources: [found[0].text for found in self.translate(sources, options)])
        naive = measure(pairs, copy_of(self.vocabulary))
        pieces = [piece for source in measure.sources(pairs) for piece in self.vocabulary.source.encode(source)]
        details = {
            "metric": measure.metric,
            "signatures": mine.signatures,
            "source_tokens": len(pieces),
            "unknown_tokens": pieces.count(UNKNOWN),
        }
        unit = "pair" if measure.metric == "bleu" else "source"
        return Scores({MODEL: mine.values, BASELINE: naive.values}, len(measure.sources(pairs)), unit, details)

    def _in_case(self, texts: Iterable[str]) -> list[str]:
        return [text.lower() if self.options.data.lowercase else text for text in texts]


load = TranslateRun


def _search(options: DecodingOptions, n_best: int) -> dict[str, Any]:
    """What the model's search is called with.

    Raises:
        InputError: options that do not fit each other.
    """
    if options.method == "beam":
        if n_best > options.beam_size:
            raise InputError(f"--n-best: expected at most the --beam-size, {options.beam_size}, got {n_best}.")
        found = {"beam_size": options.beam_size, "n_best": n_best, "length_penalty": options.length_penalty}
        return {"method": "beam", "no_repeat_ngram": options.no_repeat_ngram, **found}
    if n_best > 1:
        raise InputError(f"--n-best: expected --method beam, got {options.method}, which finds one.")
    drawn = {}
    if options.method == "sample" and options.temperature > 0:
        drawn = {"temperature": options.temperature, "seed": options.seed}
    method = "sample" if drawn else "greedy"
    return {"method": method, "no_repeat_ngram": options.no_repeat_ngram, **drawn}
