"""Run the benchmark and print its table; progress goes to standard error."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..bench.benchmark import Watcher, run
from ..bench.options import Options, Shape
from ..bench.plot import SUFFIXES, plot
from ..bench.races import OwnCell
from ..bench.report import report
from ..bench.results import Results
from ..core import InputError
from ..layers import Recurrent
from ..tasks.cells import cell_factory, first_step
from ..training.checkpoint import write_atomically

PLAIN_EVERY = 5.0  # seconds between two plain lines


def show(options: Options, choice: str | None, json_to: str | None, plot_to: Path | None) -> int:
    """Measure, and print, write and draw what was found: all of it, or until Ctrl-C.

    Args:
        options: what to measure.
        choice: a cell of one's own, ``path.py:ClassName``.
        json_to: a file for the figures, or - for standard output.
        plot_to: a file for the picture.

    Returns:
        The exit code: 1 where something could not be compared, 130 where it was interrupted.
    """
    _check_files(json_to, plot_to)
    cell = None if choice is None else _own_cell(choice, options.shapes[0])
    display = make_display()
    try:
        results = run(options, cell=cell, watcher=display)
    finally:
        display.stop()
    if json_to == "-":
        print(json.dumps(results.to_dict()))
    else:
        print(report(results))
    if json_to not in (None, "-"):
        write_atomically(Path(str(json_to)), json.dumps(results.to_dict(), indent=1) + "\n")
    if plot_to is not None:
        plot(results, plot_to)
    if not results.complete:
        return 128 + 2
    return 1 if results.failures else 0


def _check_files(json_to: str | None, plot_to: Path | None) -> None:
    """What would only show after minutes of measuring is said before."""
    files = {"--json": None if json_to == "-" else json_to, "--plot": plot_to}
    for flag, name in files.items():
        if name is not None and (Path(name).is_dir() or not Path(name).absolute().parent.is_dir()):
            raise InputError(f"{flag}: expected a file in a folder that exists, got {str(name)!r}.")
    if plot_to is not None:
        if plot_to.suffix.lower() not in SUFFIXES:
            raise InputError(f"--plot: expected a name that ends in {' or '.join(SUFFIXES)}, got {str(plot_to)!r}.")
        import matplotlib.figure  # noqa: F401 (half a second; whether it is there must show now)


def _own_cell(choice: str, shape: Shape) -> OwnCell:
    """The cell, after one step of it in plain PyTorch: what is wrong with it is said at once."""

    def make(hidden_size: int) -> Any:
        return cell_factory(choice, hidden_size)(hidden_size)

    name = choice.rpartition(":")[2]
    made = make(shape.H)
    if not isinstance(made, torch.nn.Module):
        raise InputError(f"--cell: expected {name} to be a class of modules, such as unrolled.Cell.")
    with first_step(choice), torch.no_grad():
        Recurrent(made, backend="reference")(torch.zeros(1, 1, shape.H))
    return OwnCell(name, make)


class Display(Watcher):
    """Says what is being measured; it draws only between two measurements, never during one."""

    def stop(self) -> None:
        """Leave the terminal as it was."""


class PlainDisplay(Display):
    """A line every few seconds."""

    def __init__(self, console: Console):
        self.console, self.count, self.done = console, 0, 0
        self.said = float("-inf")

    def started(self, results: Results, count: int) -> None:
        """Say how much is to come."""
        self.count = count
        self._say(f"{count} comparisons; Ctrl-C ends it with what was measured until then")

    def begins(self, title: str) -> None:
        """Say what is being measured, now and then."""
        if time.monotonic() - self.said >= PLAIN_EVERY:
            self._say(f"{self.done}/{self.count}  {title}")
            self.said = time.monotonic()

    def ended(self) -> None:
        """Count it."""
        self.done += 1

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay(Display):
    """A bar with the name of what is being measured."""

    def __init__(self, console: Console):
        columns = (
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self.bar = Progress(*columns, console=console, auto_refresh=False, transient=True)

    def started(self, results: Results, count: int) -> None:
        """Begin to draw."""
        self.task = self.bar.add_task("", total=count)
        self.bar.console.print("measuring (Ctrl-C ends it with what was measured until then)", highlight=False)
        self.bar.start()

    def begins(self, title: str) -> None:
        """Show its name."""
        self.bar.update(self.task, description=title[:40], refresh=True)

    def ended(self) -> None:
        """Move the bar."""
        self.bar.advance(self.task)

    def stop(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def make_display() -> Display:
    """The bar if standard error is a terminal, plain lines otherwise."""
    console = Console(file=sys.stderr)
    return LiveDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay(console)
