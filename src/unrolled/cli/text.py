"""The text task's commands: call it, and print what came out."""

import json
import shlex
import sys
from pathlib import Path

from ..core import InputError
from ..tasks.running import Training
from ..tasks.text.options import SamplingOptions, TextOptions
from ..tasks.text.task import TextData, TextRun, known_words
from ..tasks.text.task import resume as resume_training
from ..tasks.text.task import train as run_training
from ..training.problem import Observer
from ..training.progress import make_display, printable
from ..training.randomness import seed_everything
from .errors import UsageProblem

FINAL_SAMPLE = 600  # characters


def train(paths: list[Path], output: Path, options: TextOptions, tensorboard: bool) -> int:
    """Train, showing how it goes."""
    lengths = [f"--{name}" for name in ("steps", "minutes", "epochs") if name in options.training.model_fields_set]
    if len(lengths) > 1:
        raise UsageProblem(f"{', '.join(lengths)}: expected one of them, got {len(lengths)}.")
    if {"validation", "validation_share"} <= options.data.model_fields_set:
        raise UsageProblem("--validation, --validation-share: expected one of the two, got both.")
    return _report(run_training(paths, output, options, _observers(tensorboard)), options.model.cell)


def resume(run: Path, cell: str | None, steps: int | None, tensorboard: bool) -> int:
    """Go on, showing how it goes."""
    return _report(resume_training(run, cell=cell, steps=steps, observers=_observers(tensorboard)), cell)


def generate(run: Path, prompt: str, weights: str, cell: str | None, options: SamplingOptions) -> int:
    """Print the prompt and what the model writes after it, as it is written."""
    model = TextRun(run, cell=cell, weights=weights)
    if options.seed is not None:
        seed_everything(options.seed)  # for a cell of one's own that draws by itself
    pieces = model.write(prompt, **options.model_dump())
    clean = printable if sys.stdout is not None and sys.stdout.isatty() else str
    print(clean(prompt), end="", flush=True)
    for piece in pieces:
        print(clean(piece), end="", flush=True)
    print(flush=True)
    return 0


def evaluate(run: Path, files: list[Path], weights: str, cell: str | None, as_json: bool) -> int:
    """Print the figures."""
    figures = TextRun(run, cell=cell, weights=weights).evaluate(files)
    if as_json:
        print(json.dumps(figures))
        return 0
    print(f"loss                {figures['loss']:.4f} nats a token")
    if "words" in figures:
        print(f"perplexity          {figures['perplexity']:.4f} a word")
        print(f"words               {figures['words']:,.0f}, line ends among them")
        print(f"unknown words       {figures['unknown']:,.0f}")
        return 0
    print(f"perplexity          {figures['perplexity']:.4f} a token")
    print(f"bits per character  {figures['bits_per_character']:.4f}")
    print(f"characters          {figures['characters']:,.0f}")
    return 0


def _observers(tensorboard: bool) -> list[Observer]:
    display = make_display()
    if not tensorboard:
        return [display]
    from ..training.tensorboard import TensorBoard

    return [display, TensorBoard()]


def _report(training: Training[TextData], cell: str | None) -> int:
    folder, outcome = training.folder, training.outcome
    own = f" --cell {shlex.quote(cell)}" if cell and ":" in cell else ""
    quoted = shlex.quote(str(folder))
    if training.data.corpus.skipped:
        first, count = training.data.corpus.skipped[0], len(training.data.corpus.skipped)
        print(f"Binary files that were left out: {count}, such as {first}.", file=sys.stderr)
    if not outcome.finished:
        print(
            f"Stopped after step {outcome.step} of {outcome.steps}, and saved. Go on with:\n"
            f"unrolled train text --resume {quoted}{own}"
        )
        return 128 + 2
    best = outcome.best
    if best is None:
        raise InputError("expected an evaluation in the run, got none.")
    if "perplexity" in best:
        meaning = f"perplexity {best['perplexity']:.3f} a word"
    else:
        meaning = f"{best['bits_per_character']:.4f} bits per character"
    print(
        f"\nBest validation loss {best['validation_loss']:.4f} nats a token, {meaning}, "
        f"at step {best['step']} of {outcome.steps}."
    )
    if outcome.tokens_per_second is not None:
        print(f"Training read {outcome.tokens_per_second:,.0f} tokens a second.")
    sample = "".join(TextRun(folder, cell=cell if own else None).write(length=FINAL_SAMPLE, seed=0))
    share = known_words(sample, training.data.corpus.text)
    print(f"A sample ({share:.0%} of its words occur in the corpus):\n\n{printable(sample)}\n")
    print(f"Run folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Write more  unrolled generate {quoted}{own}")
    return 0
