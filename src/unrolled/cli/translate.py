"""The translate task's commands: call it, and print what came out."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from itertools import islice, tee
from pathlib import Path

from ..core import DataError, InputError
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..tasks.translate.data import TranslateData
from ..tasks.translate.options import EvaluateOptions, PredictOptions
from ..tasks.translate.pairs import Columns, Pair, lines_as_sources, read_sources
from ..tasks.translate.task import TASK, TranslateRun
from ..training.progress import printable
from .errors import UsageProblem
from .tables import scores_table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "tok"
SAMPLES = 4  # pairs after training


def report(training: Training[TranslateData], cell: str | None) -> None:
    """Print what came out of training: figures on held-out pairs beside the baseline, and some of them."""
    folder, outcome, data = training.folder, training.outcome, training.data
    if outcome.best is None:
        raise InputError("expected an evaluation in the run, got none.")
    run = TranslateRun(folder, cell=cell if own_cell(cell) else None)
    print(
        f"\nThe best weights are those after step {outcome.best['step']} of {outcome.steps}. On held-out pairs:\n"
    )
    _show(run.measure(data.held_out))
    if data.skipped:
        print(f"Left out: {data.skipped:,} pairs that are too long.")
    print()
    shown = list({pair.source: pair for pair in data.held_out}.values())[:SAMPLES]
    for pair, found in zip(shown, run.translate([pair.source for pair in shown]), strict=True):
        _sample(pair, found[0].text)
    quoted = shlex.quote(str(folder))
    print(f"Run folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Measure it  unrolled evaluate {quoted} FILES{own_cell(cell)}")
    print(f"Use it      unrolled translate {quoted}{own_cell(cell)} --text {shlex.quote(shown[0].source)}")


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
    for found in opened.translate_all((text for text, _ in _sources(opened, inputs, options)), options, options.n_best):
        print(found[0].text, flush=True)
    return 0


def _sources(run: TranslateRun, inputs: list[Path], options: PredictOptions) -> Iterator[tuple[str, str]]:
    known = run.options.data
    columns = Columns(options.source_column or known.source_column, None, known.header)
    if inputs:
        for path in inputs:
            yield from read_sources(path, options.format, columns)
    elif options.text is not None:
        yield options.text.strip(), "--text"
    else:
        yield from lines_as_sources(_standard_input(), "standard input")


def _standard_input() -> Iterator[str]:
    if sys.stdin is None:
        raise DataError("standard input: expected text, but it is closed; name files, or give --text.")
    if sys.stdin.isatty():
        print("Type a sentence and press Enter; Ctrl-D ends.", file=sys.stderr)
    for row, data in enumerate(sys.stdin.buffer, 1):
        try:
            yield data.decode("utf-8-sig" if row == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input:{row}: expected UTF-8 text, got the byte 0x{data[error.start]:02x}; convert it."
            ) from error


def _show(scores: Scores) -> None:
    print(scores_table(scores))
    for name, signature in scores.details["signatures"].items():
        print(f"{name}: sacrebleu {signature}")
    if scores.details["metric"] == "errors":
        print(
            "line: any error in it (of words as lines: the word error rate); "
            "token: edits (of phonemes: the phoneme error rate)"
        )


def _sample(pair: Pair, found: str) -> None:
    print(f"  {printable(pair.source)}\n  = {printable(pair.target)}\n  > {printable(found)}\n")
