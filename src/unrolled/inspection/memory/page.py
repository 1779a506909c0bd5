"""What ``diagnose`` found, as a page of at most 80 columns."""

from collections.abc import Sequence

from ..text import INDENT, WIDTH, paragraph, shortened, table
from .advice import advice, figure, help_for, of_exponent, steps
from .facts import Decay, Gate, LayerMemory

_NAME = 22  # columns of a gate's name


def page(name: str, loss: str, layers: Sequence[LayerMemory]) -> str:
    """All of it.

    Args:
        name: of the model.
        loss: what was differentiated.
        layers: in the order in which they ran.
    """
    lines = paragraph(f"{name}: memory over time")
    lines += paragraph(
        "A loss at a row's last step learns what was k steps before only by the gradient that arrives there. Shown is "
        f"its size, in parts of that at lag 0, the last step itself. The loss: {loss}."
    )
    for layer in layers:
        lines += ["", *_layer(layer)]
    for text in help_for(layers):
        lines += ["", *paragraph(text)]
    return "\n".join(lines)


def _layer(layer: LayerMemory) -> list[str]:
    title = f"{layer.name}: {layer.cell}" if layer.name else layer.cell
    rows = f"{layer.rows} row" + "s" * (layer.rows != 1)
    way = ", from the last step to the first" if layer.reverse else ""
    lines = paragraph(f"{title}, {steps(layer.steps)}, {rows}{way}")
    lags = _lags(len(layer.state.mean))
    header = ["gradient", *(f"lag {lag}" for lag in lags), "a step", "half in", "1 % in"]
    of_input = [] if layer.input is None else [layer.input]
    decays = [layer.state, *layer.parts, *of_input]
    lines += table([header, *(_decay(decay, lags) for decay in decays)], right=range(1, len(header)))
    if layer.gates:
        header = ["values of", "", "low end", "high end", "mean"]
        lines += table([header, *map(_gate, layer.gates)], right=(2, 3, 4))
    for place, (value, spread) in enumerate(zip(layer.exponents, layer.spread, strict=True)):
        label = "Lyapunov exponent" if len(layer.exponents) == 1 else f"Lyapunov exponent {place + 1}"
        lines += paragraph(f"{label} {of_exponent(value, spread)}", INDENT, INDENT)
    for sentence in advice(layer):
        lines += paragraph(f"-> {sentence}", INDENT, "   ")
    return lines


def _lags(count: int) -> list[int]:
    """Three lags that tell the story: the first, one in the middle of the decades, the last."""
    last = count - 1
    middle = next((lag for lag in (100, 50, 20, 10, 5, 2) if 1 < lag <= last / 2), None)
    return sorted({1, last} | ({middle} if middle else set()))


def _decay(decay: Decay, lags: Sequence[int]) -> list[str]:
    first = next((value for value in decay.mean if value > 0), 1.0)
    shown = [
        "inf/NaN" if decay.not_finite is not None and lag >= decay.not_finite else _number(decay.mean[lag] / first)
        for lag in lags
    ]
    if decay.nothing:
        return [decay.name, *shown, "", "", ""]
    rate = "" if decay.rate is None else f"x {_factor(decay.rate)}"
    half = "grows" if decay.doubling is not None else "" if decay.half_life is None else figure(decay.half_life)
    memory = (
        f"> {len(decay.mean) - 1}" if decay.memory is None and decay.not_finite is None else str(decay.memory or "")
    )
    return [decay.name, *shown, rate, half, memory]


def _gate(gate: Gate) -> list[str]:
    if gate.dead is not None:
        high = f"{100 * gate.dead:.0f} % dead"
    else:
        high = f"{100 * gate.high:.0f} %" if gate.function != "relu" else ""
    name = f"{gate.function} {gate.name}" if gate.name != gate.function else gate.name
    return [
        name if len(name) <= _NAME else f"{name[: _NAME - 2]}..",
        shortened(gate.line, WIDTH - _NAME - 36),
        f"{100 * gate.low:.0f} %",
        high,
        f"{gate.mean:.2f}",
    ]


def _number(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.2f}" if 0.01 <= value < 100 else f"{value:.0e}"


def _factor(rate: float) -> str:
    return f"{rate:.3f}" if rate < 10 else f"{rate:.1e}"
