"""What is done with a run: ``generate``, ``evaluate``, ``predict``, and ``predict`` by each task's own verb."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import create_model

from ..tasks.registry import COMMANDS, Command
from ..tasks.text.options import SamplingOptions
from ..training.options import Options
from .errors import UsageProblem
from .options import build, flag, used, with_options

Call = Callable[[], int]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder that `unrolled train` made.", show_default=False)
]
Weights = Annotated[
    str, typer.Option("--weights", help="best (on validation) or last.", autocompletion=lambda: ["best", "last"])
]
OwnCell = Annotated[
    str | None,
    typer.Option(
        "--cell", help="path.py:ClassName once more, for a run made with a cell of your own.", show_default=False
    ),
]


def _all(groups: Iterable[type[Options]], title: str) -> type[Options]:
    """The options of all tasks, each once."""
    fields = {name: (field.annotation, field) for group in groups for name, field in group.model_fields.items()}
    made: Any = create_model(title, __base__=Options, **fields)  # type: ignore[call-overload]
    return made


_EVALUATING = _all((command.evaluating for command in COMMANDS.values()), "Evaluating")
_PREDICTING = _all((command.predicting for command in COMMANDS.values()), "Predicting")


def add_to(app: typer.Typer) -> None:
    """Add the commands, one of them for each task that has a verb."""
    app.command()(generate)
    app.command()(evaluate)
    app.command()(predict)
    for command in COMMANDS.values():
        if command.verb is not None:
            app.command(command.verb)(_by_verb(command))


@with_options(("Sampling", SamplingOptions))
def generate(
    run: Run,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="The text to go on from.", show_default=False)] = "",
    weights: Weights = "best",
    cell: OwnCell = None,
    **given: Any,
) -> Call:
    """Let a trained language model write.

    Examples:
    unrolled generate runs/book --prompt "It was a dark"

    unrolled generate runs/book --temperature 0.5 --seed 7 --length 2000
    """
    options = build(SamplingOptions, given)

    def call() -> int:
        from . import text

        return text.generate(run, prompt, weights, cell, options)

    return call


@with_options(("Evaluating", _EVALUATING))
def evaluate(
    run: Run,
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files and folders of the kind that the task is trained on.", show_default=False, metavar="DATA"
        ),
    ] = None,
    weights: Weights = "best",
    cell: OwnCell = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    **given: Any,
) -> Call:
    """Measure a trained model on other data, beside simple baselines.

    Examples:
    unrolled evaluate runs/book other-book.txt

    unrolled evaluate runs/reviews test.csv --json
    """
    if not data:
        raise UsageProblem("DATA: expected files or folders to measure the model on, got none.")

    def call() -> int:
        page, options = _page_and_options(run, given, lambda command: command.evaluating)
        return int(page.evaluate(run, data, weights, cell, as_json, options))

    return call


_INPUTS = typer.Argument(
    help="Files to predict for, as the task's own command says.", show_default=False, metavar="INPUT"
)


@with_options(("Predicting", _PREDICTING))
def predict(
    run: Run,
    inputs: Annotated[list[Path] | None, _INPUTS] = None,
    weights: Weights = "best",
    cell: OwnCell = None,
    **given: Any,
) -> Call:
    """Predict with a trained model of any task.

    Each option belongs to some tasks, whose own command describes it: unrolled TASK --help.

    Examples:
    unrolled predict runs/reviews new.csv --output labels.csv

    unrolled predict runs/demand --horizon 48
    """

    def call() -> int:
        page, options = _page_and_options(run, given, lambda command: command.predicting)
        return int(page.predict(run, inputs or [], weights, cell, options))

    return call


def _by_verb(command: Command) -> Callable[..., Call]:
    def call(
        run: Run,
        inputs: Any = None,
        weights: Weights = "best",
        cell: OwnCell = None,
        **given: Any,
    ) -> Call:
        options = build(command.predicting, given)

        def run_it() -> int:
            from .training import page_of

            return int(page_of(command.name).predict(run, inputs or [], weights, cell, options))

        return run_it

    argument = typer.Argument(help=command.inputs, show_default=False, metavar="INPUT")
    call.__annotations__["inputs"] = Annotated[list[Path] | None, argument]
    call.__doc__ = command.verb_help
    return with_options(("Predicting", command.predicting))(call)


def _page_and_options(run: Path, given: dict[str, Any], of: Callable[[Command], type[Options]]) -> tuple[Any, Options]:
    """The page of the run's task, and its options among those that were given."""
    from ..core import CheckpointError
    from ..training.run_folder import RunFolder
    from .training import page_of

    name = RunFolder(run).config.get("task")
    if name not in COMMANDS:
        raise CheckpointError(f"{run}: expected a run of {', '.join(COMMANDS)}, got one of {name!r}.")
    model = of(COMMANDS[name])
    options = used(given)
    others = [flag(key) for key in options if key not in model.model_fields]
    if others:
        raise UsageProblem(
            f"{' '.join(others)}: not for a run of {name}; see unrolled {COMMANDS[name].verb or 'generate'} --help."
        )
    return page_of(name), build(model, options)
