"""``convert`` makes the recurrent modules of a model ours, ``restore`` makes them torch's again.

A module is not replaced by another: it is given the other class. So its parameters, hooks and place are what they were,
whoever else holds them: an optimizer, a tied layer, a wrapper for several processes.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ..core import InputTypeError
from .base import Layers
from .bound import keep
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import GRU, LSTM, RNN

OURS: dict[type, type] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
TORCHS: dict[type, type] = {ours: torchs for torchs, ours in OURS.items()}


@dataclass(frozen=True)
class Conversion:
    """What was done to a model.

    Attributes:
        replaced: the names in the model of the modules that now have another class.
        left: the names of the recurrent modules that were left as they are, with the reason.
    """

    replaced: tuple[str, ...]
    left: dict[str, str]

    def __str__(self) -> str:
        count = len(self.replaced)
        lines = [f"{count} recurrent module{'' if count == 1 else 's'} replaced" + (":" if count else ".")]
        lines += [f"  {name or '(the model itself)'}" for name in self.replaced]
        if self.left:
            lines += [
                "Left as they are:",
                *(f"  {name or '(the model itself)'}: {why}" for name, why in self.left.items()),
            ]
        return "\n".join(lines)


def convert(module: nn.Module) -> Conversion:
    """Make every torch recurrent module inside a model one of :mod:`unrolled.nn`, in place.

    RNN, LSTM, GRU and their cells keep their parameters, hooks and places, so that an optimizer, tied weights and
    wrappers go on as they are. Somebody's subclass of them is left alone: it may compute something else.

    Args:
        module: the model, or such a module itself.

    Returns:
        What was replaced and what was left; printed, one line a module.

    Raises:
        InputTypeError: it is no module.

    Example:
        >>> import torch, unrolled
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GRU(8, 16))
        >>> print(unrolled.convert(model))
        1 recurrent module replaced:
          1
        >>> type(model[1])
        <class 'unrolled.nn.layers.GRU'>
        >>> unrolled.restore(model).replaced
        ('1',)
    """
    return _swap(module, OURS)


def restore(module: nn.Module) -> Conversion:
    """Make every module of :mod:`unrolled.nn` inside a model torch's own again, in place; undoes :func:`convert`.

    Args:
        module: the model, or such a module itself.

    Returns:
        What was replaced; left is what has options that torch does not have.

    Raises:
        InputTypeError: it is no module.
    """
    return _swap(module, TORCHS)


def _swap(module: nn.Module, table: dict[type, type]) -> Conversion:
    if not isinstance(module, nn.Module):
        raise InputTypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}.")
    replaced, left = [], {}
    for name, found in module.named_modules():
        new, why = _new_class(found, table)
        if why:
            left[name] = why
        elif new is not None:
            found.__class__ = new
            if table is OURS:
                keep(found)
            else:
                found.__dict__.pop("_unrolled_cells", None)
            replaced.append(name)
    return Conversion(tuple(replaced), left)


def _new_class(module: nn.Module, table: dict[type, type]) -> tuple[type | None, str]:
    """The class that a module gets, None for none; why not, if one would expect it to."""
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        return None, "it is compiled by torch.jit.script." if name in {kind.__name__ for kind in OURS} else ""
    own = type(module)
    kind = own.__bases__[0] if is_parametrized(module) else own  # a parametrization gives each module its own class
    if kind not in table:
        is_other = isinstance(module, nn.RNNBase | nn.RNNCellBase) and kind not in OURS and kind not in TORCHS
        return None, f"{own.__module__}.{own.__qualname__} may compute something else." if is_other else ""
    if isinstance(module, Layers) and not module.is_torchs():
        return None, f"it has what torch does not have: {module.extra_repr()}."
    new = table[kind]
    if kind is not own:
        inside = {name: value for name, value in vars(own).items() if name not in ("__dict__", "__weakref__")}
        new = type(own.__name__, (new,), inside)
    return new, ""
