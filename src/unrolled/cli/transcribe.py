"""The transcribe task's commands: call it, and print what came out."""

import json
import shlex
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import torch

from ..core import DataError, InputError
from ..tasks.audio import pcm_blocks
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..tasks.transcribe.data import TranscribeData
from ..tasks.transcribe.figures import scores as compare
from ..tasks.transcribe.options import EvaluateOptions, PredictOptions, Style
from ..tasks.transcribe.task import TASK, TranscribeRun
from ..tasks.transcribe.utterances import Samples, Utterance
from ..tasks.transcribe.writing import BY_SUFFIX, Writer
from ..training.progress import printable
from .errors import UsageProblem
from .output import output_to
from .tables import scores_table, table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "frames"
SHOWN = 12  # rows of a table
BLOCK = 0.1  # seconds of standard input that are heard at once
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
    trained = TranscribeRun(run, cell=cell, weights=weights, decoding=options, longest=options.longest)
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
    trained = TranscribeRun(run, cell=cell, weights=weights, decoding=options, longest=options.longest)
    output = None if options.output is None else Path(options.output)
    suffix = "" if output is None else output.suffix.lower()
    style: Style = BY_SUFFIX.get(suffix, "text") if options.style == "auto" else options.style
    with output_to(output) as file:
        _write(trained, inputs, options, file, style)
    return 0


def _write(trained: TranscribeRun, inputs: list[Path], options: PredictOptions, file: TextIO, style: Style) -> None:
    """One text after the other; word by word where the model hears a stream."""
    utterances = _utterances(trained, inputs, options)
    first = list(islice(utterances, 2)) if inputs else []
    several = len(first) > 1
    if several and style in ("srt", "vtt"):
        raise UsageProblem(
            f"--style {style}: expected one recording, whose times subtitles have, got several; "
            "write each to a file of its own, or all as jsonl or ctm."
        )
    writer = Writer(file, style, several, options.times)
    by_word = trained.options.model.streaming and style == "text" and options.decoding == "greedy"
    if options.raw_rate is not None and by_word:
        writer.write_words("standard input", trained.words(_raw(trained, options.raw_rate)))
        return
    for utterance in chain(first, utterances):
        if by_word:
            writer.write_words(utterance.title, trained.words(trained.blocks(utterance)))
        else:
            writer.write(next(trained.transcribe([utterance])))


def _utterances(trained: TranscribeRun, inputs: list[Path], options: PredictOptions) -> Iterator[Utterance]:
    if options.raw_rate is not None:
        samples = torch.cat(list(_raw(trained, options.raw_rate))).numpy()
        yield Utterance(Samples(samples, trained.speech.front.sample_rate), "standard input")
    for path in inputs:
        yield from trained.read(path, audio_column=options.audio_column)


def _raw(trained: TranscribeRun, rate: int) -> Iterator[torch.Tensor]:
    """Blocks of samples from standard input."""
    front = trained.speech.front
    if front.kind != "audio":
        raise UsageProblem("--raw-rate: expected a model that hears recordings, got one of prepared features.")
    if sys.stdin is None:
        raise DataError("standard input: expected samples, but it is closed; name recordings instead.")
    return pcm_blocks(sys.stdin.buffer, rate, front.sample_rate, BLOCK)


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
