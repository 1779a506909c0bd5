"""In words: what a layer's figures mean, and what helps."""

import math
from collections.abc import Sequence

from .facts import LayerMemory

GROWS = 10.0  # times over all lags, from which a gradient counts as exploding
STUCK = 0.8  # share of a gate's values at its ends that is worth a word
DEAD = 0.2  # share of relu units that are never anything but 0

HELP = {
    "forgets": "To remember longer: a cell with gates, a forget gate that begins open (a bias of 1 or more), an "
    "orthogonal or identity recurrent matrix; or bring nearer what belongs together.",
    "explodes": "Against explosion: clip the norm of the gradient in training, begin with smaller recurrent weights, "
    "lower the learning rate.",
    "not finite": "Against infinite numbers: smaller weights or a lower learning rate, float32 in place of 16 bits, "
    "and a look at what the step divides by or takes the root or logarithm of.",
}


def verdict(layer: LayerMemory) -> str:
    """What the gradient does, in a word or two."""
    state = layer.state
    if state.not_finite is not None:
        return "explodes" if state.not_finite and _grown(layer) else "not finite"
    if state.nothing:
        return "no gradient"
    if _grown(layer):
        return "explodes"
    return "remembers" if state.memory is None else "forgets"


def _grown(layer: LayerMemory) -> bool:
    change = layer.state.change
    return change is not None and change > GROWS


def advice(layer: LayerMemory) -> list[str]:
    """Sentences about one layer, the most important first."""
    found = [_of_gradient(layer)]
    for gate in layer.gates:
        if gate.dead is not None and gate.dead > DEAD:
            found.append(
                f"{100 * gate.dead:.0f} % of the units of {gate.name} are never above 0 and learn nothing here: lower "
                "the learning rate, or begin with smaller weights."
            )
        elif gate.dead is None and gate.stuck > STUCK:
            found.append(
                f"{100 * gate.stuck:.0f} % of the values of {gate.function} {gate.name} are at its flat ends: a switch "
                "that hardly learns any more. Where that is not wanted: smaller weights, or an input scaled to about 1."
            )
    return found


def help_for(layers: Sequence[LayerMemory]) -> list[str]:
    """What helps, each once for all layers that need it."""
    said = [verdict(layer) for layer in layers]
    return [text for name, text in HELP.items() if name in said]


def _of_gradient(layer: LayerMemory) -> str:
    state, last = layer.state, len(layer.state.mean) - 1
    said = verdict(layer)
    if said == "not finite":
        where = "at the last step already" if state.not_finite == 0 else f"from {steps(state.not_finite)} back on"
        return f"The gradient is NaN or infinite {where}."
    if said == "no gradient":
        return "No gradient of this loss reaches the layer: it does not depend on it, or a unit on the way is at 0."
    if said == "explodes":
        if state.not_finite is not None:
            return f"Explodes: {steps(state.not_finite)} back the gradient is infinite."
        return f"Explodes: over {steps(last)} back the gradient grows {_many(state.change or 0.0)} times."
    if said == "forgets":
        return f"Forgets within {steps(state.memory)}: a loss at the end hardly teaches it what was before that."
    left = state.mean[-1] / next(value for value in state.mean if value > 0)
    return f"Remembers all {steps(last)}: {_percent(left)} of the gradient is left. Only longer ones show its limit."


def of_exponent(value: float, spread: float) -> str:
    """A Lyapunov exponent in words."""
    if math.isnan(value):
        return "not finite"
    if value == -math.inf:
        return "-inf: one step forgets everything"
    shown = f"{value:+.3f} a step (+- {spread:.3f} over rows)"
    if abs(value) < max(0.005, spread / 2):
        return f"{shown}: differences stay as they are"
    turned = math.log(2) / abs(value)
    return f"{shown}: a difference {'halves' if value < 0 else 'doubles'} in {figure(turned)} steps"


def steps(count: int | None) -> str:
    """``1 step``, ``12 steps``."""
    return f"{count} step" + "s" * (count != 1)


def figure(value: float) -> str:
    """A number of steps: ``1.5``, ``120``."""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.0e}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"


def _many(times: float) -> str:
    return f"{times:,.0f}" if times < 1e6 else f"{times:.0e}"
