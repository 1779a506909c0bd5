"""The picture: a bar for each kind of comparison, a dot for each shape."""

from pathlib import Path

from .results import Results

SUFFIXES = (".svg", ".png", ".pdf")
COLOURS = {"onnxruntime": "tab:purple", "jax lax.scan": "tab:green", "Python loop": "tab:orange"}


def plot(results: Results, path: Path) -> None:
    """Draw the ratios: the geometric mean over all shapes as a bar, each shape as a dot, 1 as a line.

    Args:
        results: of :func:`unrolled.bench.run`.
        path: ends in .svg, .png or .pdf.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second: only where it is needed
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    lines = results.summary()
    figure = Figure(figsize=(8, 1.4 + 0.34 * max(len(lines), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, line in enumerate(lines):
        kind = tuple(line[name] for name in ("group", "name", "mode", "unit", "peer"))
        mean, colour = line["geometric_mean"], COLOURS.get(line["peer"], "tab:blue")
        axes.barh(place, mean - 1, left=1, color=colour, alpha=0.55, height=0.7)
        ratios = [row.best for row in results.rows if row.kind == kind]
        axes.plot(ratios, [place] * len(ratios), "o", color=colour, markersize=3.5)
        axes.text(1.02, place, f"{mean:.2f}", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_yticks(range(len(lines)), [_name(line) for line in lines], fontsize=9)
    axes.set_ylim(max(len(lines), 1) - 0.5, -0.5)
    axes.axvline(1, color="black", linewidth=1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("the peer's time or memory over unrolled's")
    figure.suptitle(f"unrolled beside its peers on {results.machine['processor']}", fontsize=12)
    axes.set_title("right of 1: unrolled is better; bars: geometric means; dots: shapes", fontsize=9)
    figure.savefig(path, dpi=150)


def _name(line: dict[str, str]) -> str:
    what = "memory" if line["unit"] == "bytes" else "one step" if line["mode"] == "step" else line["mode"]
    return f"{line['name']}, {what} / {line['peer']}"
