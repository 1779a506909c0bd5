"""What the command line must know of a task before it is run."""

from dataclasses import dataclass

from ..training.options import Options
from .options import TaskOptions


class NoOptions(Options):
    """Where a command has none of its own."""


@dataclass(frozen=True)
class Command:
    """A task's commands; what they do is in ``unrolled.cli.NAME``, imported when one of them runs.

    A name of an option of ``predicting`` or ``evaluating`` means the same in every task that has it: ``unrolled
    predict`` and ``unrolled evaluate`` offer those of all tasks, and refuse what the run's task does not have.
    """

    name: str  # of the task, as in `unrolled train NAME`
    options: type[TaskOptions]
    summary: str  # one line, for the list of tasks
    data: str  # what its data may be, for the help text
    help: str  # of `unrolled train NAME`: what it does, and examples
    predicting: type[Options] = NoOptions
    evaluating: type[Options] = NoOptions
    verb: str | None = None  # the natural name of `unrolled predict` for this task, if it is made from this
    verb_help: str = ""  # of that command: what it does, and examples
    inputs: str = "Files to predict for."  # of that command
