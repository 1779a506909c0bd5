"""How a training run is shown: a live display on a terminal, plain lines elsewhere (in a notebook: notebook.py)."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from .problem import Observer

_KNOWN = ("step", "validation_loss", "criterion", "perplexity", "tokens_per_second")
PLAIN_EVERY = 10.0  # seconds between two plain lines


class Display(Observer):
    """What both displays share: the figures so far, as words."""

    def __init__(self, unit: str = "tok") -> None:
        self.unit = unit  # what a step reads so many of
        self.step = self.first = self.steps = 0
        self.began = time.monotonic()
        self.training: dict[str, Any] = {}
        self.validation: dict[str, Any] = {}
        self.smoothed: float | None = None  # of the training loss, over about 20 steps
        self.smoothed_bits: float | None = None

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Remember where the run begins."""
        self.step = self.first = step
        self.steps = steps
        self.began = time.monotonic()

    def stepped(self, record: dict[str, Any]) -> None:
        """Take in a step's figures."""
        self.step, self.training = record["step"], record
        self.smoothed = _follow(self.smoothed, record["loss"])
        self.smoothed_bits = _follow(self.smoothed_bits, record.get("bits_per_character"))

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Take in an evaluation's figures."""
        self.validation = record

    def figures(self) -> str:
        """One line, within 80 columns, with room for the ^C that a terminal shows."""
        parts = [f"loss {_loss(self.smoothed, self.smoothed_bits)}"]
        if self.validation:
            parts.append(f"val. {_validation(self.validation)}")
        if self.training:
            parts.append(f"grad {self.training['gradient_norm']:.2f}")
            parts.append(f"{_short(self.training['tokens_per_second'])} {self.unit}/s")
        return "  ".join(parts)

    def left(self) -> str:
        """The time that the rest will take, judged by what is done."""
        done = self.step - self.first
        if not done:
            return "-:--"
        seconds = round((time.monotonic() - self.began) / done * (self.steps - self.step))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class PlainDisplay(Display):
    """A line every few seconds and at each evaluation."""

    def __init__(self, console: Console, unit: str = "tok"):
        super().__init__(unit)
        self.console = console
        self.said = time.monotonic()

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self.said = time.monotonic()

    def measuring(self, minutes: float) -> None:
        """Say why nothing seems to happen."""
        self._say(_measuring(minutes))

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Say what begins."""
        super().started(step, steps, folder)
        self._say(f"training from step {step} of {steps} in {folder}")

    def stepped(self, record: dict[str, Any]) -> None:
        """Say how it goes, now and then."""
        super().stepped(record)
        if time.monotonic() - self.said >= PLAIN_EVERY:
            self._say(f"step {self.step}/{self.steps}  {self.figures()}  {self.left()} left")

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Say how well it does, with the sample."""
        super().evaluated(record, sample)
        self._say(f"step {self.step}/{self.steps}  {self.figures()}  {self.left()} left")
        if sample is not None:
            self._say("\n".join("    | " + line for line in printable(sample).splitlines()))


class LiveDisplay(Display):
    """A bar and a line of figures that stay in place; evaluations scroll by above them."""

    def __init__(self, console: Console, unit: str = "tok"):
        super().__init__(unit)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left"),
            console=console,
            expand=True,
        )
        self.live = Live(console=console, get_renderable=self._picture, refresh_per_second=4)

    def _picture(self) -> Group:
        line = Text(self.figures() if self.training else "the first step ...", no_wrap=True, overflow="ellipsis")
        return Group(self.bar, line)

    def measuring(self, minutes: float) -> None:
        """Say why nothing seems to happen."""
        self.live.console.print(Text(_measuring(minutes)))

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Begin to draw."""
        super().started(step, steps, folder)
        self.live.console.print(Text(f"training in {folder}  (Ctrl-C saves and stops)"))
        self.task = self.bar.add_task("training", total=steps, completed=step, left="-:--")
        self.live.start()

    def stepped(self, record: dict[str, Any]) -> None:
        """Move the bar."""
        super().stepped(record)
        self.bar.update(self.task, completed=self.step, description="training", left=self.left())

    def evaluating(self, step: int) -> None:
        """Say so: it takes a moment."""
        self.bar.update(self.task, description="evaluating")

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Print the evaluation and the sample above the bar."""
        super().evaluated(record, sample)
        self.live.console.print(Text(f"\nstep {record['step']}: validation {_validation(record)}", style="bold"))
        if sample is not None:
            self.live.console.print(Text(printable(sample), style="dim"))

    def stopped(self) -> None:
        """Leave the last picture standing."""
        if self.live.is_started:
            self.live.stop()


def make_display(unit: str = "tok") -> Display:
    """In a notebook its display, on a terminal the live one, plain lines elsewhere; a step reads so many units."""
    from .notebook import NotebookDisplay, in_notebook

    if in_notebook():
        return NotebookDisplay(unit)
    console = Console(stderr=True)
    is_live = console.is_terminal and not console.is_dumb_terminal
    return LiveDisplay(console, unit) if is_live else PlainDisplay(console, unit)


def observers_here(progress: bool | None, unit: str = "tok") -> list[Observer]:
    """The display for training from Python: where it is wanted, or by default where somebody can see it."""
    if progress is None:
        from .notebook import in_notebook

        progress = in_notebook() or Console(stderr=True).is_terminal
    return [make_display(unit)] if progress else []


def printable(text: str) -> str:
    """A text whose control characters cannot act on a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _measuring(minutes: float) -> str:
    return f"measuring how many steps fit into {minutes:g} min ..."


def _short(number: float) -> str:
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k"


def _follow(average: float | None, value: float | None) -> float | None:
    if average is None or value is None:
        return value
    return average + 0.05 * (value - average)


def _validation(record: dict[str, Any]) -> str:
    """The loss, and the most telling of what else was evaluated."""
    loss, bits = record["validation_loss"], record.get("bits_per_character")
    others = [name for name in record if name not in _KNOWN]
    if bits is not None or not others:
        return _loss(loss, bits)
    return f"{loss:.3f}  {others[0].replace('_', ' ')} {record[others[0]]:.4g}"


def _loss(nats: float | None, bits: float | None) -> str:
    if nats is None:
        return "-"
    return f"{nats:.3f}" if bits is None else f"{nats:.3f} nats {bits:.3f} bits"
