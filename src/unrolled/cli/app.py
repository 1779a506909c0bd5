"""The commands."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from . import run_commands
from .bench_command import bench
from .errors import UsageProblem, run
from .train_command import train, tune

app = typer.Typer(
    name="unrolled",
    help="Recurrent neural networks: train one on your data, measure it, predict with it.",
    epilog="Begin with: unrolled train text. In two minutes it learns to write Python.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train, name="train")
app.add_typer(tune, name="tune")

Call = Callable[[], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """See :func:`unrolled.cli.main`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    border = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:border]
    given = [word for place, word in enumerate(given) if word != "--debug" or place >= border]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another

    def command() -> int:
        # the parser gives back what a command is to do, or an exit code: it would take Ctrl-C for its own
        wanted = app(given, prog_name="unrolled", standalone_mode=False)
        return int(wanted() if callable(wanted) else wanted or 0)

    return run(command, debug)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"unrolled {__version__}")
        raise typer.Exit


@app.callback()
def _unrolled(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from (anywhere on the line).")
    ] = False,
) -> None:
    pass


def _cell_names() -> list[str]:
    from .explain import cell_names

    return cell_names()


@app.command()
def explain(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="A cell of the library, such as LSTM, or path.py:ClassName of your own; with --gradients also the "
            "folder of a run.",
            show_default=False,
            autocompletion=_cell_names,
        ),
    ],
    stage: Annotated[
        str,
        typer.Option(
            "--stage",
            help="graph: the operations of the step and of its derivative; plan: what runs before, in and after the "
            "loop, and what it costs; source: the C.",
            autocompletion=lambda: ["graph", "plan", "source"],
        ),
    ] = "plan",
    input_size: Annotated[
        int | None, typer.Option("--input-size", min=1, help="Features of x. \\[default: 128]", show_default=False)
    ] = None,
    hidden_size: Annotated[
        int | None,
        typer.Option("--hidden-size", min=1, help="Features of the state. \\[default: 128]", show_default=False),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            help="Of parameters and input: float32, float64 or bfloat16.",
            autocompletion=lambda: ["float32", "float64", "bfloat16"],
        ),
    ] = "float32",
    no_backward: Annotated[
        bool, typer.Option("--no-backward", help="Without gradients, as when a model only predicts.")
    ] = False,
    steps: Annotated[
        int,
        typer.Option(
            "--steps", min=1, help="T of the sequence whose cost the plan totals, or that is looked back over."
        ),
    ] = 100,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="B of that sequence.")] = 16,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --stage source: the hand-written C that comes before it, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
    gradients: Annotated[
        bool,
        typer.Option("--gradients", help="Instead: how far back gradients reach, in a trained run or a new cell."),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="With --gradients: other data than the run's own.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="With --gradients: a picture, .svg, .png or .pdf.", show_default=False),
    ] = None,
    weights: run_commands.Weights = "best",
    own_cell: run_commands.OwnCell = None,
) -> Call:
    """Show what the compiler makes of a cell: nothing is trained or run.

    Examples:
    unrolled explain LSTM

    unrolled explain GRU --stage graph --hidden-size 64

    unrolled explain my_cell.py:MyCell --stage source > my_cell.c

    unrolled explain runs/book --gradients --output memory.svg
    """
    if gradients:
        if stage != "plan" or whole or no_backward:
            raise UsageProblem("--gradients: expected none of --stage, --whole and --no-backward with it.")

        def look() -> int:
            from .diagnose import Looking, show
            from .explain import Sizes

            looking = Looking(data or [], weights, own_cell, steps, batch_size)
            return show(cell, looking, Sizes(input_size, hidden_size), dtype, output, as_json=as_json)

        return look
    if data or output is not None or own_cell is not None or weights != "best":
        raise UsageProblem("--data, --output, --weights, --cell: expected --gradients with them.")
    if stage not in ("graph", "plan", "source"):
        raise UsageProblem(f"--stage: expected one of graph, plan, source, got {stage!r}.")
    if whole and stage != "source":
        raise UsageProblem(f"--whole: expected --stage source with it, got --stage {stage}.")

    def call() -> int:
        from .explain import Sizes, show

        return show(
            cell,
            Sizes(input_size, hidden_size),
            dtype,
            stage=stage,
            backward=not no_backward,
            steps=steps,
            batch_size=batch_size,
            whole=whole,
            as_json=as_json,
        )

    return call


run_commands.add_to(app)
app.command()(bench)


@app.command()
def doctor(
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Remove the compiled kernels instead.")] = False,
) -> Call:
    """Say whether steps can be compiled on this machine, with what, and why.

    Example:
    unrolled doctor
    """

    def call() -> int:
        from . import doctor as page

        return page.clear() if clear_cache else page.report()

    return call
