"""The text task as Python sees it: ``train``, ``resume``, and ``load`` for a run to write with or to measure."""

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ... import __version__
from ...core import CheckpointError, DataError, InputError
from ...models import LanguageModel
from ...models.initialization import uniform_
from ...training.checkpoint import load_checkpoint
from ...training.loop import measure_steps
from ...training.loop import train as run_training
from ...training.options import TrainingOptions
from ...training.problem import Observer, Outcome
from ...training.randomness import seed_everything
from ...training.run_folder import RunFolder
from ..cells import cell_factory, first_step, is_own
from .corpus import Corpus, read_corpus, sha256_of
from .options import DataOptions, ModelOptions, SamplingOptions, TextOptions
from .problem import TextProblem, Windows, mean_loss
from .recorded import open_run, recorded_corpus, recorded_options, recorded_tokenizer, with_cell
from .sampling import write
from .split import Split, Texts, divide, figures, perplexity, split, tokenizer_for, tokens_per_character
from .tokenizers import Tokenizer, check_alphabet, dump_tokenizer
from .words import WordTokenizer


@dataclass(frozen=True)
class Training:
    """A training run that has ended, or was interrupted."""

    folder: Path
    outcome: Outcome
    corpus: Corpus


def train(
    paths: Sequence[str | Path],
    output: str | Path,
    options: TextOptions | None = None,
    observers: Sequence[Observer] = (),
) -> Training:
    """Train a language model on files and folders of text, into a new run folder.

    Args:
        paths: files and folders; none for the source of Python's standard library.
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.

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
    options = options or TextOptions()
    RunFolder.check_free(output)
    corpus = read_corpus(paths)
    settled = _settle(options)
    texts = divide(corpus, settled.data)
    tokenizer = tokenizer_for(texts, settled.data)
    torch.set_num_threads(settled.training.threads or torch.get_num_threads())
    # with a problem of its own, for it is spoilt by it: what cannot run at all fails before there is a folder
    tokens = split(texts, tokenizer)
    trial = _problem(settled, tokens, tokenizer)
    trial.loss(0, trial.start())
    if settled.training.steps is None:
        steps = _count_steps(trial, settled.training, observers)
        settled = settled.model_copy(update={"training": settled.training.model_copy(update={"steps": steps})})
    problem = _problem(settled, tokens, tokenizer)
    saved_tokenizer = dump_tokenizer(tokenizer, _alphabet(texts))
    config = {
        "task": "text",
        "made_with": {
            "unrolled": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "corpus": {
            "paths": [str(Path(path).resolve()) for path in paths],
            "files": len(corpus.files),
            "skipped": len(corpus.skipped),
            "characters": len(corpus.text),
            "sha256": corpus.sha256,
            "validation_sha256": _validation_hash(texts, settled.data),
        },
        "tokenizer_sha256": sha256_of(saved_tokenizer),
        "options": settled.model_dump(),
    }
    folder = RunFolder.create(output, config, {"tokenizer.json": saved_tokenizer})
    return Training(folder.path, run_training(problem, settled.training, folder, observers), corpus)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training:
    """Go on with a run that was interrupted, or killed: it ends as if it had never stopped, bit for bit.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        steps: a new number of steps for the whole run, to train longer (the schedule stretches with it).
        observers: are told of every step and evaluation.

    Raises:
        CheckpointError: the folder is not a run of text, or its checkpoint is damaged.
        DataError: the corpus is not what it was.
        InputError: the cell is not named again, or the new number of steps is done already.
    """
    folder = open_run(run)
    options = recorded_options(folder)
    if steps is not None and steps != options.training.steps:
        options = options.model_copy(update={"training": options.training.model_copy(update={"steps": steps})})
    options = with_cell(options, cell, folder)
    paths, sha256 = recorded_corpus(folder)
    corpus = read_corpus(paths)
    if corpus.sha256 != sha256:
        where = ", ".join(paths) or "Python's standard library"
        raise DataError(
            f"{folder.path}: expected the corpus that the run began with, but {where} has changed since "
            "(its hash differs); restore it, or start a new run."
        )
    texts = divide(corpus, options.data)
    if _validation_hash(texts, options.data) != folder.config["corpus"].get("validation_sha256"):
        raise DataError(
            f"{folder.path}: expected the validation text that the run began with, but {options.data.validation} has "
            "changed since (its hash differs); restore it, or start a new run."
        )
    tokenizer, _ = recorded_tokenizer(folder)
    torch.set_num_threads(options.training.threads or torch.get_num_threads())
    problem = _problem(options, split(texts, tokenizer), tokenizer)
    return Training(folder.path, run_training(problem, options.training, folder, observers), corpus)


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
        folder = open_run(run)
        options = with_cell(recorded_options(folder), cell, folder)
        self.tokenizer, self.alphabet = recorded_tokenizer(folder)
        self.model = _model(options.model, self.tokenizer.size)
        if weights not in ("best", "last"):
            raise InputError(f"--weights: expected best or last, got {weights!r}.")
        if weights == "best" and not folder.best.exists() and folder.last.exists():
            raise CheckpointError(
                f"{folder.path}: has no best weights yet, it stopped before its first evaluation; "
                "go on with --resume, or use --weights last."
            )
        file = folder.best if weights == "best" else folder.last
        tensors = load_checkpoint(file).tensors
        if weights == "last":
            tensors = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        try:
            self.model.load_state_dict(tensors)
        except RuntimeError as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(f"{file}: does not fit the model in config.json ({reason}).") from error
        self.model.eval()

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


def _validation_hash(texts: Texts, data: DataOptions) -> str | None:
    """Of a file for validation: the end of the corpus has the corpus's."""
    return None if data.validation is None else sha256_of(texts.held_out)


def _count_steps(trial: TextProblem, options: TrainingOptions, observers: Sequence[Observer]) -> int:
    """The steps of so many epochs, or as many as fit into the minutes."""
    if options.epochs is not None:
        return options.epochs * trial.steps_per_epoch
    minutes = options.minutes or 1
    for observer in observers:
        observer.measuring(minutes)
    return measure_steps(trial, options, minutes)


def _settle(options: TextOptions) -> TextOptions:
    """Options with the threads recorded and paths made absolute, so that a run can be resumed."""
    by_time = options.training.steps is None and options.training.epochs is None
    training = options.training.model_copy(
        update={
            "threads": options.training.threads or torch.get_num_threads(),
            "minutes": options.training.minutes if by_time else None,
        }
    )
    data = options.data
    if data.validation is not None:
        data = data.model_copy(update={"validation": str(Path(data.validation).resolve())})
    model = options.model
    if is_own(model.cell):
        path, _, name = model.cell.rpartition(":")
        model = model.model_copy(update={"cell": f"{Path(path).resolve()}:{name}"})
    return options.model_copy(update={"data": data, "training": training, "model": model})


def _problem(options: TextOptions, tokens: Split, tokenizer: Tokenizer) -> TextProblem:
    """Seed everything, make the model, cut the text: the same, each time that it is called."""
    device = _device(options.training.device)
    windows = Windows.cut(tokens.training, options.data, options.training.seed)
    seed_everything(options.training.seed)
    model = _model(options.model, tokenizer.size).to(device)
    return TextProblem(model, windows, tokens.validation, tokens.tokens_per_character, tokenizer)


def _model(options: ModelOptions, vocabulary_size: int) -> LanguageModel:
    factory = cell_factory(options.cell, options.hidden_size)
    with first_step(options.cell):
        model = LanguageModel(
            vocabulary_size, factory, options.embedding_size, options.layers, options.dropout, options.residual
        )
    if options.initialization == "uniform":
        uniform_(model, options.initialization_range)
    return model


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which fails on "meta" too
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device: expected a device of this machine, got {name!r} ({reason}).") from error
    return device
