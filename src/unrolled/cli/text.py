"""The text task's commands: call it, and print what came out."""

import json
import shlex
import sys
from pathlib import Path

from ..core import InputError
from ..tasks.running import Training
from ..tasks.text.corpus import read_corpus
from ..tasks.text.options import SamplingOptions
from ..tasks.text.task import TASK, TextData, TextRun, known_words
from ..training.options import Options
from ..training.progress import printable
from ..training.randomness import seed_everything
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "generate", "predict", "report"]

UNIT = "tok"
FINAL_SAMPLE = 600  # characters


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


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: SamplingOptions) -> int:
    """Print each file and what the model writes after it; with no file, what it writes by itself."""
    for prompt in [read_corpus([path]).text.rstrip("\n") for path in inputs] or [""]:
        generate(run, prompt, weights, cell, options)
    return 0


def evaluate(run: Path, files: list[Path], weights: str, cell: str | None, as_json: bool, _: Options) -> int:
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


def report(training: Training[TextData], cell: str | None) -> None:
    """Print what came out of training, with a text that the model wrote."""
    folder, outcome = training.folder, training.outcome
    if training.data.corpus.skipped:
        first, count = training.data.corpus.skipped[0], len(training.data.corpus.skipped)
        print(f"Binary files that were left out: {count}, such as {first}.", file=sys.stderr)
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
    sample = "".join(TextRun(folder, cell=cell if own_cell(cell) else None).write(length=FINAL_SAMPLE, seed=0))
    share = known_words(sample, training.data.corpus.text)
    print(f"A sample ({share:.0%} of its words occur in the corpus):\n\n{printable(sample)}\n")
    print(f"Run folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Write more  unrolled generate {shlex.quote(str(folder))}{own_cell(cell)}")
