"""The cells that a module of this package runs: their parameters are the module's, whatever those are at a call.

They are kept beside the module, not in it: what torch's code finds in it (``state_dict``, ``modules()``, what is copied
and pickled) is what it finds in torch's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from ..layers import Recurrent


@dataclass(eq=False, slots=True)
class Bound:
    """The layers of a module, each a cell over time, for each layer one a direction."""

    layers: list[list[Recurrent]]
    places: list[tuple[dict[str, Any], str]]  # of every weight: the parameters of its cell, and its name there
    names: tuple[str, ...]  # of every weight in the module
    last: Sequence[Any] = ()  # the weights that are in the cells now

    @property
    def cells(self) -> list[Any]:
        """The cells in torch's order: layer by layer, in it direction by direction."""
        return [layer.cell for directions in self.layers for layer in directions]

    def put(self, weights: Sequence[Any]) -> None:
        """Put weights into the cells: parameters, or what a parametrization or a transform has in their place."""
        if len(self.last) == len(weights) and all(map(is_, weights, self.last)):
            return
        for (parameters, name), value in zip(self.places, weights, strict=True):
            parameters[name] = value
        self.last = weights

    def weights(self, module: nn.Module) -> list[Tensor]:
        """The module's weights as they are now."""
        parameters: dict[str, Any] = module._parameters
        return [parameters[name] if name in parameters else getattr(module, name) for name in self.names]


_BOUND: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, Bound]] = WeakKeyDictionary()


def bound_of(module: Any, autocast: torch.dtype | None = None) -> Bound:
    """What a module runs; ``module.make_cells()`` gives the cells, for each layer one a direction.

    Under autocast it runs others, so that two threads, of which one casts, do not take each other's weights.
    """
    known = _BOUND.get(module)
    if known is None:
        known = _BOUND[module] = {}
    found = known.get(autocast)
    if found is None:
        with temporarily_clear_interpreter_stack(), torch.device("meta"):  # their own parameters are never used
            cells = module.make_cells()
        found = known[autocast] = _bind(module, cells)
    training = module.training
    for directions in found.layers:
        for layer in directions:
            if layer.cell.training is not training:
                layer.train(training)
    return found


def _bind(module: Any, cells: list[list[nn.Module]]) -> Bound:
    names, places = [], []
    for depth, directions in enumerate(cells):
        for direction, cell in enumerate(directions):
            for name, _ in cell.named_parameters(recurse=False):
                names.append(module.name_of(name, depth, direction))
                places.append((cell._parameters, name))
    layers = [
        [
            Recurrent(cell, reverse=bool(direction), return_all_states=module.return_all_states)
            for direction, cell in enumerate(directions)
        ]
        for directions in cells
    ]
    return Bound(layers, places, tuple(names))
