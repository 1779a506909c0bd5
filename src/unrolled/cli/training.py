"""Training of any task, as the command line shows it."""

import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ..tasks import running
from ..tasks.command import Command
from ..tasks.options import TaskOptions
from ..tasks.running import Training
from ..training.problem import Observer
from ..training.progress import make_display
from .options import build_from


def page_of(name: str) -> Any:
    """The module here with what is a task's own: ``TASK``, ``UNIT``, ``report``, ``evaluate``, ``predict``."""
    return import_module(f".{name}", __package__)


def train(
    command: Command,
    paths: list[Path],
    output: Path,
    options: TaskOptions,
    tensorboard: bool,
    begin_from: Path | None = None,
) -> int:
    """Train, showing how it goes."""
    page = page_of(command.name)
    done = running.train(page.TASK, paths, output, options, _observers(page.UNIT, tensorboard), begin_from)
    return _end(page, command, done, options.model.cell)


def resume(command: Command, run: Path, cell: str | None, steps: int | None, tensorboard: bool) -> int:
    """Go on, showing how it goes."""
    page = page_of(command.name)
    observers = _observers(page.UNIT, tensorboard)
    done = running.resume(page.TASK, run, cell=cell, steps=steps, observers=observers)
    return _end(page, command, done, cell)


def options_from(command: Command, run: Path, given: dict[str, Any]) -> TaskOptions:
    """The options of a run, but for those that are given now."""
    task = page_of(command.name).TASK
    folder = running.open_run(task, run)
    recorded = running.with_cell(running.recorded_options(task, folder), given.get("cell"), folder)
    options: TaskOptions = build_from(recorded, given)
    return options


def own_cell(cell: str | None) -> str:
    """What a command needs besides the run, for a run with a cell of one's own."""
    return f" --cell {shlex.quote(cell)}" if cell and ":" in cell else ""


def _observers(unit: str, tensorboard: bool) -> list[Observer]:
    display = make_display(unit)
    if not tensorboard:
        return [display]
    from ..training.tensorboard import TensorBoard

    return [display, TensorBoard()]


def _end(page: Any, command: Command, training: Training[Any], cell: str | None) -> int:
    folder, outcome = training.folder, training.outcome
    if not outcome.finished:
        print(
            f"Stopped after step {outcome.step} of {outcome.steps}, and saved. Go on with:\n"
            f"unrolled train {command.name} --resume {shlex.quote(str(folder))}{own_cell(cell)}"
        )
        return 128 + 2
    if outcome.stopped_early:
        print(f"Stopped at step {outcome.step} of {outcome.steps}: no better evaluation for a while.", file=sys.stderr)
    page.report(training, cell)
    return 0
