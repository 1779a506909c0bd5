"""The translate task's commands: call it, and print what came out."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path

from ..core import DataError, InputError
from ..tasks.pictures import check_picture
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..tasks.translate.data import TranslateData
from ..tasks.translate.options import EvaluateOptions, PredictOptions
from ..tasks.translate.pairs import Columns, Pair, lines_as_sources, read_sources
from ..tasks.translate.plot import plot_attention
from ..tasks.translate.problem import spread
from ..tasks.translate.task import TASK, TranslateRun
from ..tasks.translate.translating import Translation
from ..tasks.translate.writing import Writer, flat
from ..training.progress import printable
from .errors import UsageProblem
from .output import output_to
from .standard_input import lines_of_standard_input
from .tables import scores_table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "tok"
SAMPLES = 4  # pairs after training
REPORTED = 2000  # held-out sources that are translated after training, at most


def report(training: Training[TranslateData], cell: str | None) -> None:
    """Print what came out of training: figures on held-out pairs beside the baseline, and some of them."""
    folder, outcome, data = training.folder, training.outcome, training.data
    if outcome.best is None:
        raise InputError("expected an evaluation in the run, got none.")
    run = TranslateRun(folder, cell=cell if own_cell(cell) else None)
    print(f"\nThe best weights are those after step {outcome.best['step']} of {outcome.steps}. On held-out pairs:\n")
    _show(run.measure(spread(data.held_out, REPORTED)))
    if data.skipped:
        what = "pair that is" if data.skipped == 1 else "pairs that are"
        print(f"Left out: {data.skipped:,} {what} too long.")
    print()
    shown = list({pair.source: pair for pair in data.held_out}.values())[:SAMPLES]
    sources = [pair.source for pair in shown]
    for pair, found in zip(shown, run.translate(sources), strict=True):
        _sample(pair, found[0].text)
    quoted = shlex.quote(str(folder))
    print(f"Run folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Measure it  unrolled evaluate {quoted} FILES{own_cell(cell)}")
    print(f"Use it      unrolled translate {quoted}{own_cell(cell)} --text {shlex.quote(min(sources, key=len))}")


def evaluate(
    run: Path, data: list[Path], weights: str, cell: str | None, as_json: bool, options: EvaluateOptions
) -> int:
    """Print the figures, and how they were counted."""
    opened = TranslateRun(run, cell=cell, weights=weights)
    known = opened.options.data
    columns = Columns(
        options.source_column or known.source_column, options.target_column or known.target_column, known.header
    )
    scores = opened.evaluate(
        data,
        options,
        form=options.format or "auto",
        columns=columns,
        metric=options.metric,
        tokenize=options.bleu_tokenize,
    )
    if as_json:
        print(json.dumps(scores.to_dict()))
    else:
        _show(scores)
    return 0


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: PredictOptions) -> int:
    """Translate files, a text, or standard input, and write what came out."""
    if options.text is not None and inputs:
        raise UsageProblem("--text: expected no files beside it.")
    opened = TranslateRun(run, cell=cell, weights=weights)
    opened.check(options, options.n_best)
    if options.style == "attention":
        check_attention(opened, "--style attention")
    pictures = None if options.attention is None else Pictures(options.attention, opened)
    sources = Sources(opened, options)
    if _word_by_word(options):
        for text, _ in sources.read(inputs):
            _stream(opened.stream(text, options))
    elif pictures is not None:  # which are drawn when all is well
        made = list(_translated(opened, sources, inputs, options))
        filled = pictures.filled(made)
        _write(made, options)
        pictures.draw(filled)
    else:
        _write(_translated(opened, sources, inputs, options), options)
    sources.say_unseen()
    return 0


def _translated(
    run: TranslateRun, sources: "Sources", inputs: list[Path], options: PredictOptions
) -> Iterator[tuple[str, list[Translation]]]:
    """Each source with its translations, in order, as soon as they are there."""
    one_by_one = not inputs and options.text is None and sys.stdin is not None and sys.stdin.isatty()
    texts, again = tee(text for text, _ in sources.read(inputs))
    found = run.translate_all(texts, options, options.n_best, *([1] if one_by_one else []))
    for made in found:
        yield next(again), made


def _write(made: Iterable[tuple[str, list[Translation]]], options: PredictOptions) -> None:
    output = None if options.output is None else Path(options.output)
    style = options.style
    if style == "auto":
        style = "jsonl" if output is not None and output.suffix.lower() in (".jsonl", ".ndjson", ".json") else "text"
    with output_to(output) as file:
        writer = Writer(file, style, options.n_best)
        for source, found in made:
            writer.write(source, found)


def _word_by_word(options: PredictOptions) -> bool:
    """Whether words are shown as they come: where somebody looks on, and they do not change any more."""
    plain = options.style in ("auto", "text") and options.output is None and options.attention is None
    return plain and options.method != "beam" and sys.stdout is not None and sys.stdout.isatty()


def _stream(pieces: Iterator[str]) -> None:
    for piece in pieces:
        print(flat(piece) if piece.strip() else piece, end="", flush=True)
    print()


class Sources:
    """What is to be translated, and what of it the model has never seen.

    Args:
        run: the translator.
        options: where the texts are, and what to do with characters that were never seen.
    """

    def __init__(self, run: TranslateRun, options: PredictOptions):
        self.run, self.options = run, options
        known = run.options.data
        self.columns = Columns(options.source_column or known.source_column, None, known.header)
        self.unseen: dict[str, int] = {}  # how often each comes

    def read(self, inputs: list[Path]) -> Iterator[tuple[str, str]]:
        """The texts, and where they stand; without characters that the model does not know.

        Raises:
            DataError: a file cannot be used, or has such a character; it is named, with the row.
        """
        for text, where in self._given(inputs):
            unseen = self.run.unseen(text)
            for piece in unseen:
                self.unseen[piece] = self.unseen.get(piece, 0) + 1
            if unseen and self.run.vocabulary.source.kind == "characters":
                if self.options.unseen == "refuse":
                    raise DataError(
                        f"{where}: expected only characters that the model has learnt, got "
                        f"{' '.join(map(repr, unseen[:8]))}; leave them out here, or by --unseen skip."
                    )
                text = self.run.known_part(text)
            yield text, where

    def _given(self, inputs: list[Path]) -> Iterator[tuple[str, str]]:
        if inputs:
            for path in inputs:
                yield from read_sources(path, self.options.format, self.columns)
        elif self.options.text is not None:
            yield " ".join(self.options.text.splitlines()).strip(), "--text"
        else:
            yield from lines_as_sources(lines_of_standard_input(), "standard input")

    def say_unseen(self) -> None:
        """Once, at the end."""
        if not self.unseen:
            return
        kind = self.run.vocabulary.source.kind
        most = sorted(self.unseen, key=lambda piece: -self.unseen[piece])
        shown = ", ".join(map(printable, most[:5])) + (", ..." if len(most) > 5 else "")
        done = "read as <unk>" if kind == "words" else "left out"
        several = f"{len(most):,} {kind} that the model has not learnt were"
        said = several if len(most) > 1 else f"1 {kind.rstrip('s')} that the model has not learnt was"
        print(f"unrolled: {said} {done} ({shown}).", file=sys.stderr)


def check_attention(run: TranslateRun, option: str) -> None:
    """That a translator has attention to show.

    Raises:
        InputError: it has none; the option is named.
    """
    if run.options.model.attention == "none":
        raise InputError(f"{option}: expected a model with attention, got one that was trained without.")


class Pictures:
    """Where the pictures of attention go: a file for one line, a folder for several.

    Args:
        path: of the picture, or of a folder that is made.
        run: the translator.

    Raises:
        InputError: the model has no attention, or there can be no such file or folder.
    """

    def __init__(self, path: str, run: TranslateRun):
        check_attention(run, "--attention")
        self.single = bool(Path(path).suffix)
        self.path = check_picture(path, "--attention") if self.single else Path(path)
        if not self.single and self.path.exists() and not self.path.is_dir():
            raise InputError(f"--attention: {path}: expected a folder or a name such as where.svg, got a file.")

    def filled(self, made: list[tuple[str, list[Translation]]]) -> list[tuple[int, Translation]]:
        """The best translation of each line that is not empty, with its row.

        Raises:
            InputError: there is more than one for a single picture, or none.
        """
        filled = [(row, found[0]) for row, (_, found) in enumerate(made, 1) if found[0].pieces]
        if self.single and len(filled) != 1:
            raise InputError(
                f"--attention {self.path}: expected one line to draw, got {len(filled)}; name a folder for several."
            )
        return filled

    def draw(self, filled: list[tuple[int, Translation]]) -> None:
        """A picture of each."""
        if not self.single:
            self.path.mkdir(parents=True, exist_ok=True)
        for row, found in filled:
            plot_attention(self.path if self.single else self.path / f"{row}.svg", found)
        print(f"Drawn to    {self.path}", file=sys.stderr)


def _show(scores: Scores) -> None:
    print(scores_table(scores))
    for name, signature in scores.details["signatures"].items():
        print(f"{name}: sacrebleu {signature}")
    unknown, tokens = scores.details["unknown_tokens"], scores.details["source_tokens"]
    if unknown:
        print(f"Not known from training: {unknown:,} of {tokens:,} tokens of the sources.")
    if scores.details["metric"] == "errors":
        print(
            "line: any error in it (of words as lines: the word error rate); "
            "token: edits (of phonemes: the phoneme error rate)"
        )


def _sample(pair: Pair, found: str) -> None:
    print(f"  {printable(pair.source)}\n  = {printable(pair.target)}\n  > {printable(found)}\n")
