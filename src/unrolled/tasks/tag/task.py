"""The tag task as Python sees it: ``train``, ``resume``, and ``load`` for a run to tag with or to measure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from ...core import DataError
from ...training.problem import Observer
from ...training.run_folder import RunFolder
from .. import running
from ..batches import by_length, pad
from ..cells import cell_factory, first_step
from ..running import Training
from ..scores import MODEL, Scores
from .data import TagData, read_data, recorded_vocabulary
from .figures import measure
from .model import TaggingModel
from .numbers import number
from .options import ModelOptions, TagOptions
from .problem import AT_ONCE, TagProblem
from .sentences import Columns, Format, Sentence, read_sentences, split_text
from .spans import OUTSIDE, normal, split_tag
from .vocabulary import Vocabulary
from .words import TokenEmbedding, Words

BASELINE = "most frequent tag of each word"


class TagTask(running.Task[TagOptions, TagData]):
    """Tags of tokens, and labels of sentences."""

    name = "tag"
    options = TagOptions

    def read(self, source: Any, options: TagOptions, saved: RunFolder | None = None) -> TagData:
        """See :func:`unrolled.tasks.tag.data.read_data`."""
        return read_data(source, options, saved)

    def problem(self, data: TagData, options: TagOptions) -> TagProblem:
        """The model, and the sentences in mini-batches."""
        words = Words(data.forms, data.vocabulary, options.model.subwords)
        return TagProblem(make_model(options.model, data.vocabulary), data, words, options)


TASK = TagTask()


def make_model(options: ModelOptions, vocabulary: Vocabulary) -> TaggingModel:
    """A model with weights drawn anew."""
    embedding = TokenEmbedding(len(vocabulary.words), options.embedding_size, options.subwords, options.word_dropout)
    with first_step(options.cell):
        return TaggingModel(
            embedding,
            options.embedding_size,
            cell_factory(options.cell, options.hidden_size),
            torch.tensor(vocabulary.allowed),
            len(vocabulary.labels),
            crf=options.crf,
            num_layers=options.layers,
            bidirectional=options.bidirectional,
            dropout=options.dropout,
            residual=options.residual,
        )


def train(
    source: Sequence[str | Path] | tuple[Sequence[Sentence], None],
    output: str | Path,
    options: TagOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[TagData]:
    """Train a tagger, into a new run folder.

    Args:
        source: files and folders, none for a built-in example; or sentences in memory, as a tuple (sentences, None).
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
        >>> from unrolled.tasks.tag.options import TagOptions
        >>> from unrolled.tasks.tag.task import load, train
        >>> options = TagOptions.model_validate({"model": {"hidden_size": 8}, "training": {"steps": 3}})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = train([], Path(folder, "run"), options)
        ...     (tagged,) = load(run.folder).tag([["fly", "to", "wilton"]])
        >>> len(tagged.tags), tagged.label in ("fare", "flight", "weather", "music", "alarm", "restaurant")
        (3, True)
    """
    return running.train(TASK, source, output, options or TagOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[TagData]:
    """Go on with a run of tags; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)


@dataclass(frozen=True)
class Unseen:
    """Tags and labels of a data set that the model has never seen, and so cannot give."""

    tags: list[str]  # the types of spans, where tags are of spans
    labels: list[str]


class TagRun:
    """A trained tagger.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of tags, or a file in it is damaged.
    """

    def __init__(self, run: str | Path, *, cell: str | None = None, weights: str = "best"):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.options = trained.options
        self.vocabulary = recorded_vocabulary(trained.folder)
        self.model = make_model(self.options.model, self.vocabulary)
        trained.give_weights(self.model)

    def split(self, text: str) -> list[str]:
        """The tokens of a line of text; words that the model knows stay whole."""
        return split_text(text, self.vocabulary.word_places.__contains__)

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[Sentence]:
        """The tags of each sentence, and its label where the model has learnt labels.

        Args:
            sentences: lists of tokens; an empty one gets no tags.
        """
        found = [Sentence(list(tokens), [], None) for tokens in sentences]
        filled = [place for place, tokens in enumerate(sentences) if len(tokens)]
        forms: dict[str, int] = {}
        numbers = [number(sentences[place], forms) for place in filled]
        words = Words(list(forms), self.vocabulary, self.options.model.subwords)
        lengths = torch.tensor([len(tokens) for tokens in numbers]).numpy()
        for places in by_length(lengths, AT_ONCE):
            for place, made in zip(places.tolist(), self._tag([numbers[p] for p in places], words), strict=True):
                tokens = found[filled[place]].tokens
                found[filled[place]] = Sentence(tokens, *made)
        return found

    @torch.no_grad()
    def _tag(self, numbers: list[Any], words: Words) -> list[tuple[list[str], str | None]]:
        tokens, lengths = pad(numbers)
        scores, of_labels = self.model(words(tokens), lengths)
        decoded = self.model.decode(scores, lengths)
        known = self.vocabulary
        labels = [None] * len(numbers) if of_labels is None else [known.labels[i] for i in of_labels.argmax(1).tolist()]
        tags = [
            normal([known.tags[tag] for tag in decoded[:length, row].tolist()], known.written)
            for row, length in enumerate(lengths.tolist())
        ]
        return list(zip(tags, labels, strict=True))

    def read(
        self,
        path: str | Path,
        form: Format = "auto",
        *,
        token_column: int = 1,
        split: Callable[[str], list[str]] | None = None,
    ) -> Iterator[Sentence]:
        """The sentences of a file without tags (those that it has are not read), or of plain text.

        Args:
            path: the file, or a folder with ``seq.in``.
            form: its format; auto: by the name, else text.
            token_column: of CoNLL rows.
            split: from a line of text to tokens; by default :meth:`split`.

        Raises:
            DataError: the file cannot be used; it is named, with the row.
        """
        return read_sentences(path, form, Columns(token_column), tagged=False, split=split or self.split)

    def tag_all(self, sentences: Iterable[Sentence], at_once: int = 4096) -> Iterator[Sentence]:
        """Tag sentences as they come, so many at once."""
        sentences = iter(sentences)
        while some := list(islice(sentences, at_once)):
            yield from self.tag([sentence.tokens for sentence in some])

    def evaluate(
        self,
        paths: Sequence[str | Path],
        form: Format | None = None,
        *,
        token_column: int | None = None,
        tag_column: int | None = None,
    ) -> tuple[Scores, Unseen]:
        """F1 of spans, accuracy of tokens and of labels, beside the most frequent tag of each word.

        Args:
            paths: files and folders with tags.
            form: their format, by default as in training; so are the columns.
            token_column: of CoNLL rows.
            tag_column: of CoNLL rows.

        Raises:
            DataError: the data cannot be used, or have none of the model's tags.
        """
        data = self.options.data
        columns = Columns(token_column or data.token_column, tag_column or data.tag_column)
        read = [sentence for path in paths for sentence in read_sentences(path, form or data.format, columns)]
        if not read:
            raise DataError(f"{', '.join(map(str, paths))}: expected sentences with tags, got none.")
        return self.measure(read)

    def measure(self, sentences: Sequence[Sentence]) -> tuple[Scores, Unseen]:
        """As :meth:`evaluate`, of sentences in memory."""
        known = self.vocabulary
        unseen = _unseen(sentences, known)
        true = [normal(sentence.tags or [], known.written) for sentence in sentences]
        tagged = self.tag([sentence.tokens for sentence in sentences])
        guesses = [normal(known.baseline.predict(sentence.tokens), known.written) for sentence in sentences]
        labels = [sentence.label if known.labels else None for sentence in sentences]
        predicted = zip(labels, [sentence.label for sentence in tagged], strict=True)
        mine = measure(true, [sentence.tags or [] for sentence in tagged], known.written, predicted)
        naive = measure(true, guesses, known.written, [(label, known.baseline.label) for label in labels])
        figures = {MODEL: mine.as_dict(), BASELINE: naive.as_dict()}
        return Scores(figures, mine.sentences, "sentence", {"tokens": mine.tokens, "types": mine.table()}), unseen


load = TagRun


def _unseen(sentences: Sequence[Sentence], known: Vocabulary) -> Unseen:
    """What the model cannot give.

    Raises:
        DataError: a tag is of no span where the model's are, or none of the tags is known.
    """
    tags: dict[str, str] = {}
    for sentence in sentences:
        for tag in sentence.tags or []:
            tags.setdefault(tag, sentence.where)
    if known.scheme != "none":
        for tag, where in tags.items():
            if tag != OUTSIDE and split_tag(tag)[0] == OUTSIDE:
                raise DataError(
                    f"{where}: the tag {tag!r}: expected O or a tag of a span such as {known.tags[-1]}, as the model "
                    "has; correct it, or choose the right --tag-column."
                )
    kinds = {_kind(tag, known) for tag in known.tags}
    new = sorted({_kind(tag, known) for tag in tags} - kinds)
    if new and not (kinds & {_kind(tag, known) for tag in tags}) - {OUTSIDE}:
        raise DataError(
            f"{next(iter(tags.values()))}: expected tags that the model knows, such as {', '.join(known.tags[:4])}, "
            f"got {', '.join(list(tags)[:4])}; is this another data set, or another --tag-column?"
        )
    labels = {sentence.label for sentence in sentences if sentence.label is not None}
    return Unseen(new, sorted(labels - set(known.labels)) if known.labels else [])


def _kind(tag: str, known: Vocabulary) -> str:
    """A tag of a span by its type, any other as it stands."""
    return tag if known.scheme == "none" or tag == OUTSIDE else split_tag(tag)[1]
