"""From the sequences that ran in a model, and a loss, to what is said of each layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .decay import by_lag, decay_of, norm, norms
from .facts import LayerMemory
from .lyapunov import exponents
from .watch import Trajectory


@dataclass(frozen=True)
class Gradients:
    """Of a layer: of each float tensor of its state one a step, and of its inputs."""

    parts: list[list[Tensor | None]]
    x: list[Tensor | None]


def gradients_of(found: Sequence[Trajectory], at_ends: tuple[Tensor, Tensor]) -> list[Gradients]:
    """Of each layer, by the loss that is at its last step in the order of processing."""
    gradients: dict[int, Tensor] = {}
    for reverse in (False, True):
        value = at_ends[reverse]
        group = [seen for seen in found if seen.reverse == reverse]
        wanted = [leaf for seen in group for leaf in [*(leaf for step in seen.after for leaf in step), *seen.x]]
        wanted = list({id(leaf): leaf for leaf in wanted if leaf.requires_grad}.values())
        if not wanted or not value.requires_grad:
            continue
        computed = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
        pairs = zip(wanted, computed, strict=True)
        gradients |= {id(leaf): gradient for leaf, gradient in pairs if gradient is not None}
    return [
        Gradients(
            [[gradients.get(id(step[part])) for step in seen.after] for part in range(len(seen.names))],
            [gradients.get(id(leaf)) for leaf in seen.x],
        )
        for seen in found
    ]


def layer_of(seen: Trajectory, gradients: Gradients, count: int) -> LayerMemory:
    """What is said of a layer; ``count``: of how many Lyapunov exponents."""
    assert seen.valid is not None
    shape = seen.steps, seen.rows
    lags = seen.lags
    parts = [by_lag(norms(part, shape), lags, seen.valid) for part in gradients.parts]
    whole = _together(parts)
    read = [_in_order(gradient, seen) for gradient in gradients.x]
    of_input = decay_of("input", _together([by_lag(norms(g, shape), lags, seen.valid) for g in read])) if read else None
    named = tuple(decay_of(name, part) for name, part in zip(seen.names, parts, strict=True))
    largest = [_over_rows(of_rows) for of_rows in exponents(seen, count).unbind(1)]
    largest.sort(key=lambda pair: -pair[0])
    return LayerMemory(
        seen.name,
        getattr(seen.cell, "function_name", None) or type(seen.cell).__name__,
        seen.steps,
        seen.rows,
        seen.reverse,
        decay_of("state", whole),
        named if len(named) > 1 else (),
        of_input,
        tuple(mean for mean, _ in largest),
        tuple(spread for _, spread in largest),
        seen.gates.found(seen.valid),
    )


def _over_rows(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation; of an exponent that is -infinity, for a state at 0, only where all rows have it."""
    some = values[values > -math.inf] if not values.isnan().any() else values
    return (float(some.mean()), float(some.std(correction=0))) if len(some) else (-math.inf, 0.0)


def _together(parts: Sequence[Tensor]) -> Tensor:
    """The norm over all parts; -1 where there is no such lag."""
    whole = norm(torch.stack(list(parts), -1).flatten(0, 1)).view_as(parts[0])
    return torch.where(parts[0] == -1, parts[0], whole)


def _in_order(gradient: Tensor | None, seen: Trajectory) -> list[Tensor | None]:
    """The gradient of a layer's input, one a step in the order of processing."""
    if gradient is None:
        return [None] * seen.steps
    by_step = list((gradient.transpose(0, 1) if seen.batch_first else gradient).unbind(0))
    return list(reversed(by_step)) if seen.reverse else by_step  # type: ignore[return-value]
