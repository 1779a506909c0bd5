"""The transcribe task's commands: call it, and print what came out."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from ..core import InputError
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..tasks.tag.writing import writing_to
from ..tasks.transcribe.data import TranscribeData
from ..tasks.transcribe.figures import scores as compare
from ..tasks.transcribe.options import EvaluateOptions, PredictOptions, Style
from ..tasks.transcribe.task import TASK, TranscribeRun
from ..tasks.transcribe.transcripts import Transcript, Word
from ..tasks.transcribe.utterances import Utterance
from ..tasks.transcribe.writing import BY_SUFFIX, Writer
from ..training.progress import printable
from .errors import UsageProblem
from .tables import scores_table, table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "frames"
SHOWN = 12  # rows of a table
SAMPLES = 4  # utterances after training


def report(training: Training[TranscribeData], cell: str | None) -> None:
    """Print what came out of training: figures on held-out utterances beside the baseline, and some of them."""
    folder, outcome, data = training.folder, training.outcome, training.data
    if outcome.best is None:
        raise InputError("expected an evaluation in the run, got none.")
    run = TranscribeRun(folder, cell=cell if own_cell(cell) else None)
    part = data.validation
    said = part.said()
    written = [transcript.text for transcript in run.written(part.heard(range(len(part))), said)]
    scores = compare(said, written, run.speech.usual)
    print(
        f"\nThe best weights are those after step {outcome.best['step']} of {outcome.steps}. On held-out utterances:\n"
    )
    print(scores_table(scores))
    _say_unseen(run.unseen(said), sys.stdout)
    for true, text in list(zip(said, written, strict=True))[:SAMPLES]:
        print(f"\nsaid     {printable(true)}\nwritten  {printable(text)}")
    quoted = shlex.quote(str(folder))
    print(f"\nRun folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Measure it  unrolled evaluate {quoted} FILE{own_cell(cell)}")
    print(f"Use it      unrolled transcribe {quoted} FILE{own_cell(cell)}")


def evaluate(
    run: Path, data: list[Path], weights: str, cell: str | None, as_json: bool, options: EvaluateOptions
) -> int:
    """Print the error rates, what they are made of, and the words that are confused most often."""
    trained = TranscribeRun(run, cell=cell, weights=weights, decoding=options)
    scores, unseen = trained.evaluate(data, audio_column=options.audio_column, text_column=options.text_column)
    _say_unseen(unseen, sys.stderr)
    if as_json:
        print(json.dumps({**scores.to_dict(), "unseen": unseen}))
        return 0
    print(scores_table(scores))
    print(f"\n{_made_of(scores)}")
    rows = [[printable(true) or "-", printable(guess) or "-", str(n)] for true, guess, n in scores.details["confused"]]
    if rows:
        print("\n" + table(["said", "written", "times"], rows[:SHOWN]))
    return 0


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: PredictOptions) -> int:
    """Transcribe recordings, or standard input, and write each text when it is known."""
    if options.raw_rate is None and not inputs:
        raise UsageProblem("INPUT: expected recordings, manifests or features, got none; or give --raw-rate.")
    if options.raw_rate is not None and inputs:
        raise UsageProblem("--raw-rate: expected no files beside it.")
    trained = TranscribeRun(run, cell=cell, weights=weights, decoding=options)
    if options.output is None:
        style: Style = "text" if options.style == "auto" else options.style
        return _write(trained, inputs, options, sys.stdout, style)
    output = Path(options.output)
    style = BY_SUFFIX.get(output.suffix.lower(), "text") if options.style == "auto" else options.style
    with writing_to(output) as file:
        _write(trained, inputs, options, file, style)
    print(f"Written to  {output}", file=sys.stderr)
    return 0


def _write(trained: TranscribeRun, inputs: list[Path], options: PredictOptions, file: TextIO, style: Style) -> int:
    utterances = (u for path in inputs for u in trained.read(path, audio_column=options.audio_column))
    writer = Writer(file, style, len(inputs) > 1, options.times)
    for transcript in trained.transcribe(utterances, 1):
        writer.write(transcript)
    return 0


def _made_of(scores: Scores) -> str:
    found = scores.details
    return (
        f"Of {found['words']:,} words {found['substitutions']:,} were taken for others, {found['deletions']:,} left "
        f"out, and {found['insertions']:,} put in.\nThere are {found['characters']:,} characters."
    )


def _say_unseen(unseen: list[str], file: TextIO) -> None:
    if unseen:
        shown = " ".join(map(printable, unseen[:10])) + (" ..." if len(unseen) > 10 else "")
        print(f"Never seen in training, and so never right: {len(unseen)} ({shown}).", file=file)
