"""The text task as Python sees it: ``train``, ``resume``, and ``load`` for a run to write with or to measure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...core import DataError, InputError
from ...models import LanguageModel
from ...models.initialization import uniform_
from ...training.problem import Observer
from ...training.run_folder import RunFolder, sha256_of
from .. import running
from ..cells import cell_factory, first_step
from ..running import Training, changed_since
from .corpus import Corpus, read_corpus
from .options import ModelOptions, SamplingOptions, TextOptions
from .problem import TextProblem, Windows, mean_loss
from .recorded import recorded_corpus, recorded_tokenizer
from .sampling import write
from .split import Split, Texts, divide, figures, perplexity, split, tokenizer_for, tokens_per_character
from .tokenizers import Tokenizer, check_alphabet, dump_tokenizer
from .words import WordTokenizer

STANDARD_NAME = "Python's standard library"


@dataclass(frozen=True)
class TextData:
    """A corpus, what of it is learnt from and what is held out, and their tokens."""

    corpus: Corpus
    paths: Sequence[str | Path]
    texts: Texts
    tokenizer: Tokenizer
    tokens: Split
    validation_sha256: str | None
    files: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", {"tokenizer.json": dump_tokenizer(self.tokenizer, _alphabet(self.texts))})

    @property
    def record(self) -> dict[str, Any]:
        """The corpus and its hashes."""
        return {
            "corpus": {
                "paths": [str(Path(path).resolve()) for path in self.paths],
                "files": len(self.corpus.files),
                "skipped": len(self.corpus.skipped),
                "characters": len(self.corpus.text),
                "sha256": self.corpus.sha256,
                "validation_sha256": self.validation_sha256,
            }
        }


class TextTask(running.Task[TextOptions, TextData]):
    """A language model of any text."""

    name = "text"
    options = TextOptions

    def read(
        self, source: Sequence[str | Path] | None, options: TextOptions, saved: RunFolder | None = None
    ) -> TextData:
        """See :class:`unrolled.tasks.running.Task`; the source is files and folders, none for the standard library."""
        resumed = saved if source is None else None
        paths, sha256 = recorded_corpus(resumed) if resumed else (source or [], None)
        corpus = read_corpus(paths)
        if resumed and corpus.sha256 != sha256:
            raise changed_since(resumed, f"{', '.join(map(str, paths)) or STANDARD_NAME} has")
        texts = divide(corpus, options.data)
        held_out = None if options.data.validation is None else sha256_of(texts.held_out)  # else the corpus has it
        if resumed and held_out != resumed.config["corpus"].get("validation_sha256"):
            raise changed_since(resumed, f"the validation text {options.data.validation} has")
        tokenizer = tokenizer_for(texts, options.data) if saved is None else recorded_tokenizer(saved)[0]
        return TextData(corpus, paths, texts, tokenizer, split(texts, tokenizer), held_out)

    def problem(self, data: TextData, options: TextOptions) -> TextProblem:
        """The model, and the text cut into windows."""
        windows = Windows.cut(data.tokens.training, options.data, options.training.seed)
        model = _model(options.model, data.tokenizer.size)
        return TextProblem(model, windows, data.tokens.validation, data.tokens.tokens_per_character, data.tokenizer)


TASK = TextTask()


def train(
    paths: Sequence[str | Path],
    output: str | Path,
    options: TextOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[TextData]:
    """Train a language model on files and folders of text, into a new run folder.

    Args:
        paths: files and folders; none for the source of Python's standard library.
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.
        begin_from: a run whose best weights and tokenizer are those that this one begins with.

    Raises:
        DataError: the corpus or the output folder cannot be used.
        InputError: an option cannot be used.
        NonFiniteError: training left the finite numbers.

    Example:
        >>> from unrolled.tasks import text
        >>> from unrolled.tasks.text.options import TextOptions
        >>> options = TextOptions.model_validate(
        ...     {"model": {"hidden_size": 8}, "data": {"window": 8, "batch_size": 2}, "training": {"steps": 3}}
        ... )
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     corpus = pathlib.Path(folder, "rhyme.txt")
        ...     _ = corpus.write_text("one two three four five, once I caught a fish alive. " * 9)
        ...     run = text.train([corpus], pathlib.Path(folder, "run"), options)
        ...     written = "".join(text.load(run.folder).write("one ", length=20))
        >>> run.outcome.finished, len(written)
        (True, 20)
    """
    return running.train(TASK, paths, output, options or TextOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[TextData]:
    """Go on with a run of text; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)


class TextRun:
    """A trained language model: it writes, and it can be measured on other text.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of text, or a file in it is damaged.
    """

    def __init__(self, run: str | Path, *, cell: str | None = None, weights: str = "best"):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.tokenizer, self.alphabet = recorded_tokenizer(trained.folder)
        self.model = _model(trained.options.model, self.tokenizer.size)
        trained.give_weights(self.model)

    def write(self, prompt: str = "", **sampling: Any) -> Iterator[str]:
        """Go on from a prompt, piece by piece; the options are those of ``SamplingOptions``.

        Raises:
            DataError: the prompt has characters that the model has never seen (a word that it has not is <unk>).
            InputError: an option is out of range.
        """
        try:
            options = SamplingOptions(**sampling)
        except ValidationError as error:
            raise InputError(str(error)) from error
        if self.tokenizer.kind != "words":  # whose unknown words are <unk>
            check_alphabet(prompt, self.alphabet, "the prompt")
        return write(self.model, self.tokenizer, prompt, **options.model_dump())

    def evaluate(self, paths: Sequence[str | Path]) -> dict[str, float]:
        """Loss in nats a token, perplexity, and bits a character or how many words there are, on files and folders.

        The text is read as one stream, from its first token to its last, with the state carried all along.

        Raises:
            DataError: the text cannot be read, is too short, or has characters without a token.
        """
        corpus = read_corpus(paths)
        tokens = self.tokenizer.encode(corpus.text)
        if len(tokens) < 2:
            raise DataError(f"expected text of at least 2 tokens to evaluate, got {len(tokens)}.")
        loss = mean_loss(self.model, tokens, pieces=1)
        found = {"loss": loss, "perplexity": perplexity(loss)}
        if isinstance(self.tokenizer, WordTokenizer):
            return {**found, "words": len(tokens), "unknown": int((tokens == self.tokenizer.unknown).sum())}
        per_character = tokens_per_character(self.tokenizer, corpus.text, tokens)
        return {**found, **figures(self.tokenizer, loss, per_character), "characters": len(corpus.text)}


load = TextRun


def known_words(written: str, corpus: str) -> float:
    """The share of the words of a written text that occur in the corpus (the last, perhaps cut, is left out)."""
    words = re.findall(r"\w+", written)[:-1]
    known = set(re.findall(r"\w+", corpus))
    return sum(word in known for word in words) / len(words) if words else 0.0


def _alphabet(texts: Texts) -> str:
    return "".join(sorted(set(texts.training) | set(texts.held_out)))


def _model(options: ModelOptions, vocabulary_size: int) -> LanguageModel:
    factory = cell_factory(options.cell, options.hidden_size)
    with first_step(options.cell):
        model = LanguageModel(
            vocabulary_size,
            factory,
            options.embedding_size,
            options.layers,
            options.dropout,
            options.residual,
            tie_weights=options.tie_weights,
            variational_dropout=options.variational_dropout,
        )
    if options.initialization == "uniform":
        uniform_(model, options.initialization_range)
    return model
