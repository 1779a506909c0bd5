"""``unrolled train TASK`` and ``unrolled tune TASK``: one command for each task, with the task's options."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..tasks.registry import COMMANDS, Command
from .errors import UsageProblem
from .options import build, flag, used, with_options

Call = Callable[[], int]

train = typer.Typer(help="Train a model: name the task.", no_args_is_help=True)
tune = typer.Typer(help="Search for good options: name the task.", no_args_is_help=True)

TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write figures for TensorBoard into the run folder too.")
]
_LENGTHS = ("steps", "minutes", "epochs")
_EITHER = (_LENGTHS, ("validation", "validation_share"))
_RESUMED = ("cell", "steps")  # what may stand beside --resume


def _paths(command: Command) -> Any:
    return Annotated[list[Path] | None, typer.Argument(help=command.data, show_default=False, metavar="PATHS")]


def _groups(command: Command) -> list[tuple[str, Any]]:
    return [(name.capitalize(), field.annotation) for name, field in command.options.model_fields.items()]


def _add_train(command: Command) -> None:
    def call(
        paths: Any = None,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                "-o",
                help=f"The run folder to make. \\[default: runs/{command.name}-DATE-TIME]",
                show_default=False,
            ),
        ] = None,
        resume: Annotated[
            Path | None,
            typer.Option("--resume", help="Go on with this run, exactly as if it had not stopped.", show_default=False),
        ] = None,
        begin_from: Annotated[
            Path | None,
            typer.Option(
                "--from",
                help="Begin with the weights of this run, and its options where none are given here.",
                show_default=False,
            ),
        ] = None,
        tensorboard: TensorBoard = False,
        **given: Any,
    ) -> Call:
        options = used(given)
        if resume is not None:
            _check_alone(options, {"--output": output, "--from": begin_from}, paths or [])
        _check_either(options)
        settings = build(command.options, given)

        def run() -> int:
            from . import training

            if resume is not None:
                return training.resume(command, resume, options.get("cell"), options.get("steps"), tensorboard)
            folder = output or _new_folder(command.name)
            if begin_from is not None:
                wanted = training.options_from(command, begin_from, options)
                return training.train(command, paths or [], folder, wanted, tensorboard, begin_from)
            return training.train(command, paths or [], folder, settings, tensorboard)

        return run

    call.__annotations__["paths"] = _paths(command)
    call.__doc__ = command.help
    train.command(command.name, short_help=command.summary)(with_options(*_groups(command))(call))


def _add_tune(command: Command) -> None:
    def call(
        paths: Any = None,
        trials: Annotated[int, typer.Option("--trials", min=1, help="Runs to make.")] = 20,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                "-o",
                help=f"The folder for the runs; one that is there is gone on with. "
                f"\\[default: runs/tune-{command.name}-DATE-TIME]",
                show_default=False,
            ),
        ] = None,
        **given: Any,
    ) -> Call:
        _check_either(used(given))
        build(command.options, given)

        def run() -> int:
            from . import tuning

            folder = output or _new_folder(f"tune-{command.name}")
            return tuning.show(command, paths or [], folder, used(given), trials)

        return run

    call.__annotations__["paths"] = _paths(command)
    call.__doc__ = f"""Search for good options: {command.summary[0].lower()}{command.summary[1:]}

    Each trial is a run with other sizes, dropout, learning rate and more.
    Options that are given here stay as they are, --minutes are those of one run.
    What does best on the validation data wins; a run that does badly is stopped.
    Needs optuna: pip install 'unrolled\\[tune]'.

    Examples:
    unrolled tune {command.name} --trials 10 --minutes 1

    unrolled tune {command.name} DATA --trials 50 --epochs 5 --cell gru --output runs/search
    """
    tune.command(command.name, short_help=command.summary)(with_options(*_groups(command))(call))


def _new_folder(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _check_alone(options: dict[str, Any], others: dict[str, Any], paths: list[Path]) -> None:
    refused = [flag(name) for name in options if name not in _RESUMED]
    refused += [name for name, value in others.items() if value is not None] + [str(path) for path in paths]
    if refused:
        raise UsageProblem(
            f"--resume: expected nothing but --cell and --steps beside it, got {' '.join(refused)}; "
            "the other options are those of the run."
        )


def _check_either(options: dict[str, Any]) -> None:
    for names in _EITHER:
        both = [flag(name) for name in names if name in options]
        if len(both) > 1:
            got = "the two, got both" if len(both) == 2 else f"them, got {len(both)}"
            raise UsageProblem(f"{', '.join(both)}: expected one of {got}.")


for _command in COMMANDS.values():
    _add_train(_command)
    _add_tune(_command)
