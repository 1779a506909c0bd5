"""A search for good options, as the command line shows it."""

import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ..tasks.command import Command
from ..tasks.tuning import STOPPED, Trial, tune
from ..training.problem import Observer
from .options import flag
from .training import page_of

SHOWN = 10  # of the best trials


def show(command: Command, paths: list[Path], output: Path, given: dict[str, Any], trials: int) -> int:
    """Search, with a line for each trial, and print the best ones and how to use the winner."""
    page = page_of(command.name)
    console = Console(stderr=True)

    def begins(number: int, options: dict[str, Any]) -> list[Observer]:
        console.print(f"trial {number}: {_words(options)}", markup=False, highlight=False, soft_wrap=True)
        return []

    def ended(trial: Trial) -> None:
        result = f"{trial.value:.4f}" if trial.value is not None else trial.state
        console.print(f"trial {trial.number}: {result}", markup=False, highlight=False, soft_wrap=True)

    found = tune(page.TASK, paths, output, given, trials, begins, ended)
    complete = [trial for trial in found if trial.value is not None]
    if not complete:
        stopped = any(trial.state == STOPPED for trial in found)
        remedy = "the same command goes on" if stopped else "give more --minutes or --steps"
        print(f"No trial was finished, of {len(found)}; {remedy}.", file=sys.stderr)
        return 128 + 2 if stopped else 1
    print(f"{len(complete)} of {len(found)} trials were finished; the best by validation, the least first:")
    for trial in complete[:SHOWN]:
        print(f"{trial.value:10.4f}  trial {trial.number:<4} {_words(trial.options)}")
    best = complete[0]
    where = " ".join(shlex.quote(str(path)) for path in paths)
    fixed = _words({name: value for name, value in given.items() if name not in ("steps", "minutes", "epochs")})
    options = " ".join(part for part in (where, fixed, _words(best.options)) if part)
    print(f"\nBest run    {best.folder}\nLonger      unrolled train {command.name} {options} --minutes 10")
    return 0


def _words(options: dict[str, Any]) -> str:
    """Options as they stand on a command line."""
    return " ".join(_word(name, value) for name, value in options.items())


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag(name) if value else f"--no-{flag(name)[2:]}"
    return f"{flag(name)} {shlex.quote(f'{value:.4g}' if isinstance(value, float) else str(value))}"
