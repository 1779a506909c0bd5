"""The commands."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..tasks.text.options import DataOptions, ModelOptions, SamplingOptions, TextOptions
from ..training.options import TrainingOptions
from .bench_command import bench
from .errors import UsageProblem, run
from .options import build, flag, used, with_options

app = typer.Typer(
    name="unrolled",
    help="Recurrent neural networks: train one on your data, let it write, measure it.",
    epilog="Begin with: unrolled train text. In two minutes it learns to write Python.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train = typer.Typer(help="Train a model: name the task.", no_args_is_help=True)
app.add_typer(train, name="train")

Call = Callable[[], int]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder that `unrolled train` made.", show_default=False)
]
OwnCell = Annotated[
    str | None,
    typer.Option(
        "--cell",
        help="path.py:ClassName once more, for a run made with a cell of your own.",
        show_default=False,
    ),
]


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


@train.command("text")
@with_options(("Data", DataOptions), ("Model", ModelOptions), ("Training", TrainingOptions))
def train_text(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files and folders of UTF-8 text; none: the source of Python's standard library.",
            show_default=False,
            metavar="PATHS",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The run folder to make. \\[default: runs/text-DATE-TIME]",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", help="Go on with this run, exactly as if it had not stopped.", show_default=False),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write figures for TensorBoard into the run folder too.")
    ] = False,
    **given: Any,
) -> Call:
    """Train a language model on any text.

    With no path it learns from modules of Python's own standard library.
    The run folder holds the options, figures, weights, and a plot of the loss.

    Examples:
    unrolled train text

    unrolled train text book.txt --minutes 10 --hidden-size 384 --output runs/book

    unrolled train text src/ --tokenizer bpe --cell gru --layers 2

    unrolled train text book.txt --cell my_cell.py:MyCell

    unrolled train text --resume runs/book
    """
    options = used(given)
    if resume is not None:
        refused = [flag(name) for name in options if name not in ("cell", "steps")]
        refused += ["--output"] * (output is not None) + [str(path) for path in paths or ()]
        if refused:
            raise UsageProblem(
                f"--resume: expected nothing but --cell and --steps beside it, got {' '.join(refused)}; "
                "the other options are those of the run."
            )
    elif "steps" in options and "minutes" in options:
        raise UsageProblem("--steps, --minutes: expected one of the two, got both.")
    settings = build(TextOptions, given)

    def call() -> int:
        from . import text

        if resume is not None:
            return text.resume(resume, options.get("cell"), options.get("steps"), tensorboard)
        folder = output or Path("runs") / f"text-{datetime.now():%Y%m%d-%H%M%S}"
        return text.train(paths or [], folder, settings, tensorboard)

    return call


@app.command()
@with_options(("Sampling", SamplingOptions))
def generate(
    run: Run,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="The text to go on from.", show_default=False)] = "",
    weights: Annotated[
        str,
        typer.Option("--weights", help="best (on validation) or last.", autocompletion=lambda: ["best", "last"]),
    ] = "best",
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


@app.command()
def evaluate(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(help="Files and folders of UTF-8 text.", show_default=False, metavar="FILES"),
    ],
    weights: Annotated[
        str,
        typer.Option("--weights", help="best (on validation) or last.", autocompletion=lambda: ["best", "last"]),
    ] = "best",
    cell: OwnCell = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> Call:
    """Measure a trained language model on a text: loss, perplexity, bits per character.

    Example:
    unrolled evaluate runs/book other-book.txt
    """

    def call() -> int:
        from . import text

        return text.evaluate(run, files, weights, cell, as_json)

    return call


def _cell_names() -> list[str]:
    from .explain import cell_names

    return cell_names()


@app.command()
def explain(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="A cell of the library, such as LSTM, or path.py:ClassName of your own.",
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
    steps: Annotated[int, typer.Option("--steps", min=1, help="T of the sequence whose cost the plan totals.")] = 100,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="B of that sequence.")] = 16,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --stage source: the hand-written C that comes before it, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> Call:
    """Show what the compiler makes of a cell: nothing is trained or run.

    Examples:
    unrolled explain LSTM

    unrolled explain GRU --stage graph --hidden-size 64

    unrolled explain my_cell.py:MyCell --stage source > my_cell.c
    """
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
