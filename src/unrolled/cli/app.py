"""The commands."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from . import run_commands
from .bench_command import bench
from .errors import run
from .explain_command import explain
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


app.command()(explain)
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
