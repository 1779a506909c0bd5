"""What is drawn of a step: its inputs, its state, its outputs, and the weights on the way."""

from dataclasses import dataclass

from ..equation import Equations

SHOWN = 3  # steps of the unfolded graph


@dataclass(frozen=True)
class Network:
    """Names without their time."""

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, str]  # of the edges "x", "state" and "output", where one weight alone is on it
    clock: str

    def label(self, names: tuple[str, ...], time: int | str) -> str:
        """``x(2), dt(2)``."""
        return ", ".join(f"{name}({time})" for name in names)


def network(found: Equations) -> Network:
    """What there is to draw of a step."""
    names = (tuple(dict.fromkeys(s.name for s in group)) for group in (found.inputs, found.states, found.outputs))
    inputs, states, outputs = names
    return Network(inputs, states, outputs, found.weights, found.clock)
