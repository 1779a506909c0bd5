"""How a training run is shown in a notebook: one output that changes in place, plain HTML."""

import sys
import time
from html import escape
from pathlib import Path
from typing import Any

from .progress import Display, printable

EVERY = 0.2  # seconds between two pictures
ROWS = 12  # evaluations that are shown, the last ones
_BAR = (
    '<div style="display:flex;align-items:center;gap:0.8em;font-family:monospace">'
    '<div style="flex:1;max-width:30em;border:1px solid;border-radius:3px">'
    '<div style="width:{share:.1%};height:0.9em;background:currentColor;opacity:0.55"></div></div>'
    "<div>{text}</div></div>"
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookDisplay(Display):
    """A bar, a line of figures, a table of the evaluations and the last sample, in the output of the cell."""

    def __init__(self, unit: str = "tok"):
        super().__init__(unit)
        from IPython.display import display  # a notebook has it

        self._display = display
        self._handle: Any = None
        self._shown = 0.0
        self._doing = "training"
        self._folder: Path | None = None
        self._evaluations: list[dict[str, Any]] = []
        self._sample: str | None = None

    def measuring(self, minutes: float) -> None:
        """Say why nothing seems to happen."""
        self._doing = f"measuring how many steps fit into {minutes:g} min ..."
        self._show()

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Begin to draw."""
        super().started(step, steps, folder)
        self._doing, self._folder = "training", folder
        self._show()

    def stepped(self, record: dict[str, Any]) -> None:
        """Move the bar, a few times a second."""
        super().stepped(record)
        self._doing = "training"
        if time.monotonic() - self._shown >= EVERY:
            self._show()

    def evaluating(self, step: int) -> None:
        """Say so: it takes a moment."""
        self._doing = "evaluating"
        self._show()

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Add a row to the table."""
        super().evaluated(record, sample)
        self._evaluations.append(record)
        self._sample = sample
        self._show()

    def stopped(self) -> None:
        """Leave the last picture standing."""
        self._doing = "done" if self.step == self.steps else "stopped"
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        picture = {"text/html": self.html(), "text/plain": self.plain()}
        if self._handle is None:
            self._handle = self._display(picture, raw=True, display_id=True)
        else:
            self._handle.update(picture, raw=True)

    def plain(self) -> str:
        """One line, where HTML cannot be shown."""
        if not self.steps:
            return self._doing
        left = "" if self.step == self.steps else f"  {self.left()} left"
        return f"{self._doing}: step {self.step}/{self.steps}  {self.figures()}{left}"

    def html(self) -> str:
        """The whole picture."""
        if not self.steps:
            return f"<div>{escape(self._doing)}</div>"
        left = "" if self.step == self.steps else f", {self.left()} left"
        parts = [_BAR.format(share=self.step / self.steps, text=f"{self._doing} {self.step}/{self.steps}{left}")]
        if self.training:
            parts.append(f"<div><code>{escape(self.figures())}</code></div>")
        parts.append(_table(self._evaluations[-ROWS:]))
        if self._sample is not None:
            shown = escape(printable(self._sample))
            parts.append(f'<pre style="white-space:pre-wrap;opacity:0.7">{shown}</pre>')
        return "\n".join(filter(None, parts))


def _table(records: list[dict[str, Any]]) -> str:
    if not records:
        return ""
    hidden = ("criterion", "tokens_per_second")
    names = [name for name in records[-1] if name not in hidden]
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(record.get(name))}</td>' for name in names)}</tr>" for record in records)
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else escape(str(value))
