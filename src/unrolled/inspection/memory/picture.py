"""What ``diagnose`` found, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core import InputError
from .facts import Decay, Gate, LayerMemory

FORMATS = (".svg", ".png", ".pdf")
_MOST_GATES = 24  # bars of one picture
_STYLES = ("-", "--", ":", "-.")  # of a layer's lines: the state, its parts


def draw(name: str, layers: Sequence[LayerMemory]) -> Any:
    """A figure: on the left the gradient over the lag, on the right how many values of the gates are at their ends."""
    from matplotlib.figure import Figure  # half a second: only where it is needed

    names = short_names(layers)
    gates = [(name, gate) for name, layer in zip(names, layers, strict=True) for gate in layer.gates][:_MOST_GATES]
    height = max(4.2, 1.2 + 0.32 * len(gates))
    figure = Figure(figsize=(10 if gates else 6.5, height), layout="constrained")
    axes = figure.subplots(1, 2 if gates else 1, width_ratios=[3, 2] if gates else None, squeeze=False)[0]
    figure.suptitle(f"{_plain(name)}: memory over time", fontsize=11)
    _gradients(axes[0], layers)
    if gates:
        _gates(axes[1], gates)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write the figure in the format of the file's name; the same figure gives the same bytes.

    Raises:
        InputError: the name does not end as a picture's.
    """
    import matplotlib

    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"path: expected a name that ends in {', '.join(FORMATS)}, got {str(path)!r}.")
    undated: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "unrolled"}):
        figure.savefig(path, dpi=150, metadata=undated.get(ending))


def _gradients(axes: Any, layers: Sequence[LayerMemory]) -> None:
    for place, (layer, name) in enumerate(zip(layers, short_names(layers), strict=True)):
        color = f"C{place % 10}"
        decays = layer.parts or (layer.state,)
        for style, decay in zip(_STYLES * len(decays), decays, strict=False):
            shown = decay.name if layer.parts or not name else ""
            way = "(backwards)" if layer.reverse else ""
            label = " ".join(part for part in (name, shown, way) if part)
            _line(axes, decay, color, style, _plain(label))
            if decay is decays[0]:
                lags = range(len(decay.mean))
                some = [low > 0 for low in decay.lower]
                axes.fill_between(lags, decay.lower, decay.upper, some, color=color, alpha=0.15, linewidth=0)
    if axes.lines:
        axes.set_yscale("log")
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel("lag: steps before the last one")
    axes.set_ylabel("norm of the loss's gradient")
    axes.set_title("How much of the gradient arrives", fontsize=10, loc="left")
    axes.tick_params(which="both", labelsize=8)
    axes.grid(alpha=0.3)


def _line(axes: Any, decay: Decay, color: str, style: str, label: str) -> None:
    points = [(lag, value) for lag, value in enumerate(decay.mean) if value > 0]
    if not points:
        return
    if decay.not_finite is not None:
        label += f" (not finite from lag {decay.not_finite})"
    lags, values = zip(*points, strict=True)
    axes.plot(lags, values, style, color=color, linewidth=1.4, label=label)


def _gates(axes: Any, gates: Sequence[tuple[str, Gate]]) -> None:
    names = []
    for place, (layer, gate) in enumerate(gates):
        middle = max(0.0, 1 - gate.low - gate.high)
        axes.barh(place, gate.low, color="tab:blue", label="low end" if not place else None)
        axes.barh(place, middle, left=gate.low, color="0.88", label="between" if not place else None)
        axes.barh(place, gate.high, left=gate.low + middle, color="tab:orange", label="high end" if not place else None)
        where = f"{layer}: " if layer else ""
        names.append(_plain(f"{where}{gate.function} {gate.name}" if gate.name != gate.function else where + gate.name))
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title("Values of the gates", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.06))


def short_names(layers: Sequence[LayerMemory]) -> list[str]:
    """The names of layers without the modules that all of them are in; of a single layer none."""
    parts = [layer.name.split(".") for layer in layers]
    shared = 0
    while all(len(part) > shared and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    if shared and any(part[shared : shared + 1] and part[shared].isdigit() for part in parts):
        shared -= 1  # the number of a layer needs the word before it
    return [".".join(part[shared:]) for part in parts]


def _plain(text: str) -> str:
    """A text that is never taken for a formula."""
    return text.replace("$", r"\$")
