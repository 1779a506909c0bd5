"""The cells that a module of this package runs: their parameters are the module's, whatever those are at a call.

They are an attribute of the module, but no submodules: what torch's code finds in it (``state_dict``, ``modules()``) is
what it finds in torch's own. A copy of the module, a pickled one too, gets cells of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

import torch
from torch import nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.compiler import is_compiling

from ..layers import Recurrent
from ..layers.twin import twin


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

    def layers_with(self, weights: Sequence[Any], training: bool) -> list[list[Recurrent]]:
        """The layers with these weights.

        Parameters are put into the cells. Anything else, what a parametrization, a transform or a cast has in their
        place, belongs to one call, which gets layers of its own: another thread may have other weights. So does a call
        that is traced, which should change nothing.
        """
        if is_compiling() or not all(type(weight) is nn.Parameter for weight in weights):
            remaining = iter(weights)
            return [[_twin(layer, remaining, training) for layer in directions] for directions in self.layers]
        if len(self.last) != len(weights) or not all(map(is_, weights, self.last)):
            for (parameters, name), value in zip(self.places, weights, strict=True):
                parameters[name] = value
            self.last = weights  # at the end: another thread must not believe that they are there before
        for directions in self.layers:
            for layer in directions:
                if layer.cell.training is not training:
                    layer.train(training)
        return self.layers

    def weights(self, module: nn.Module) -> list[Any]:
        """The module's weights as they are now."""
        parameters = module._parameters
        return [parameters[name] if name in parameters else getattr(module, name) for name in self.names]

    def __deepcopy__(self, memo: Any) -> None:
        return None  # the copy of a module makes its own

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def keep(module: Any) -> Bound:
    """Give a module cells; ``module.make_cells()`` makes them, for each layer one a direction."""
    bound = _bind(module)
    module.__dict__["_unrolled_cells"] = bound
    return bound


def bound_of(module: Any) -> Bound:
    """What a module runs; made now where it was copied since."""
    return module.__dict__.get("_unrolled_cells") or keep(module)


def weights_in(module: Any, cells: list[list[nn.Module]]) -> Iterator[tuple[Any, list[tuple[str, str]]]]:
    """In torch's order each cell, and of its parameters the names: in it, and in the module."""
    for depth, directions in enumerate(cells):
        for direction, cell in enumerate(directions):
            own = (name for name, _ in cell.named_parameters(recurse=False))
            yield cell, [(name, module.name_of(name, depth, direction)) for name in own]


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` is at work."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined]
    return tracing


def _twin(layer: Recurrent, weights: Iterator[Any], training: bool) -> Recurrent:
    """A layer that shares all with another, but for the weights of its cell, which are the next ones."""
    own = {name: next(weights) for name, parameter in layer.cell._parameters.items() if parameter is not None}
    cell = twin(layer.cell, _parameters={**layer.cell._parameters, **own}, training=training)
    made: Recurrent = twin(layer, _modules={"cell": cell}, training=training)
    return made


def _bind(module: Any) -> Bound:
    with temporarily_clear_interpreter_stack(), torch.device("meta"):  # their own parameters are never used
        cells: list[list[nn.Module]] = module.make_cells()
    weights = [(cell._parameters, *names) for cell, pairs in weights_in(module, cells) for names in pairs]
    layers = [
        [
            Recurrent(cell, reverse=bool(direction), return_all_states=module.return_all_states)
            for direction, cell in enumerate(directions)
        ]
        for directions in cells
    ]
    places = [(parameters, own) for parameters, own, _ in weights]
    return Bound(layers, places, tuple(name for _, _, name in weights))
