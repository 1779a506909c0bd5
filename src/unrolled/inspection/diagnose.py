"""``diagnose``: how far back a model's memory reaches, measured by gradients."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core import Cell, InputError, InputTypeError, Tree, at_least_1
from ..layers import Recurrent
from .memory.facts import LayerMemory, plain
from .memory.loss import last_and_first
from .memory.measure import gradients_of, layer_of
from .memory.page import page
from .memory.watch import Trajectory, watch


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found; ``str`` of it is a page of at most 80 columns."""

    name: str  # of the model
    loss: str  # what was differentiated
    layers: tuple[LayerMemory, ...]  # in the order in which they ran; see unrolled.inspection.memory.facts

    def __str__(self) -> str:
        return page(self.name, self.loss, self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The facts as dicts, lists, strings and numbers, as JSON has them; None where a number is not finite."""
        return {"name": self.name, "loss": self.loss, "layers": plain(self.layers)}

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the gradient over the lag, a line for each layer and part of its state, and how full the gates are.

        Args:
            path: a file to write, .svg, .png or .pdf; none: only the figure is made.

        Returns:
            The figure of matplotlib, which is in the extra ``tasks``.
        """
        from .memory.picture import draw, save

        figure = draw(self.name, self.layers)
        if path is not None:
            save(figure, Path(path))
        return figure


def diagnose(
    model: Any,
    x: Any = None,
    *,
    lengths: Any = None,
    loss: Callable[[Any], Tensor] | None = None,
    state: Tree | None = None,
    steps: int | None = None,
    exponents: int = 1,
) -> Diagnosis:
    """Say how the gradient of a loss at the last step falls or grows on its way back through time.

    For each layer, with s(t) its state, L the loss and T a row's last step:

        g(k) = |dL / ds(T-k)|, k = 0, 1, ...                       the gradient by lag, over every path
        λ = lim 1/T log |J(T) ... J(1) v|, J(t) = ds(t)/ds(t-1)    the largest Lyapunov exponent

    Where g falls the model cannot learn from what happened long ago; where it grows a step of training may ruin it. λ
    below 0 says that the layer forgets any difference in its state, above 0 that the smallest one grows: chaos. The
    model runs in evaluation mode by the reference loop, and is as before when all is done, its gradients too.

    Args:
        model: any module with :class:`unrolled.Recurrent` layers in it, as :class:`unrolled.Stack`, the models, and the
            drop-ins of ``unrolled.nn`` have; or a cell; or a step function, with a ``state``.
        x: what the model is called with; None for a system without input (then give ``steps`` and ``state``).
        lengths: valid steps of each row, for a model that takes ``lengths``; a row's last step is then its own.
        loss: a function from what the model returns to a scalar. Default: a fixed random projection of each row's last
            output; for a layer that runs from the last step to the first that of its first output, where it ends.
        state: state before the first step, for a model that takes ``state``.
        steps: number of steps, for a cell without input.
        exponents: how many of the largest Lyapunov exponents, at most one for each number of the state.

    Shape:
        x as the model takes it, (T, B, ...) for one of ours; T at least 2.

    Units:
        Lags and lengths of memory in time steps, Lyapunov exponents in nats a step.

    Returns:
        An object to print or to ``plot``; its ``layers`` hold the same as data.

    Raises:
        InputError: no recurrent layer ran, there are no rows or less than 2 steps, or the loss is no scalar.
        InputTypeError: the model is none.

    Reference:
        Bengio et al. 1994, doi:10.1109/72.279181; Pascanu et al. 2013, arXiv:1211.5063.

    Example:
        >>> from unrolled.cells import Elman
        >>> cell = Elman(3, 5, bias=False)
        >>> _ = torch.nn.init.orthogonal_(cell.weight_hh, gain=0.5)  # half of the gradient is left at each step
        >>> found = diagnose(cell, 0.01 * torch.randn(50, 4, 3)).layers[0]
        >>> f"{found.state.rate:.2f} {found.state.half_life:.1f} {found.state.memory} {found.exponents[0]:.2f}"
        '0.50 1.0 7 -0.69'
    """
    module = _module(model, state)
    count = at_least_1(exponents, "exponents")
    with _as_it_was(module, x):
        call = _call(module, x, lengths=lengths, state=state, steps=steps)
        result, found = watch(module, call)
        _check(found, module)
        if loss is None:
            firsts = any(getattr(part, "batch_first", False) for part in module.modules())
            at_ends = last_and_first(result, found, batch_first=firsts)
        else:
            value = _scalar(loss(result))
            at_ends = value, value
        gradients = gradients_of(found, at_ends)
        layers = tuple(layer_of(seen, of_it, count) for seen, of_it in zip(found, gradients, strict=True))
    said = "a fixed projection of each row's last output" if loss is None else "the given one"
    return Diagnosis(_name_of(model), said, layers)


def _module(model: Any, state: Tree | None) -> nn.Module:
    if isinstance(model, type) or not callable(model):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise InputTypeError(f"model: expected a module with recurrent layers, or a cell, got {kind}.")
    if not isinstance(model, nn.Module):
        if state is None:
            raise InputError("state: expected a state (B, ...) with a step function, got None.")
        return Recurrent(_Function(model))
    module: nn.Module = getattr(model, "_orig_mod", model)  # compiled by torch.compile it has no layers to look into
    own = all(callable(getattr(module, name, None)) for name in ("step", "initial_state"))
    if isinstance(module, Cell) or (own and not any(isinstance(part, Recurrent) for part in module.modules())):
        return Recurrent(module)
    return module


class _Function(nn.Module):
    """A step function as a cell."""

    def __init__(self, step: Callable[..., Any]):
        super().__init__()
        self.step, self.function_name = step, _name_of(step)

    def initial_state(self, batch_size: int) -> Tree:
        """None of its own: a state is always given."""
        raise InputError("state: expected a state (B, ...) with a step function, got None.")


def _call(module: nn.Module, x: Any, **given: Any) -> Callable[[], Any]:
    """The model's call, with those of the options that are given."""
    options = {name: value for name, value in given.items() if value is not None}
    parameters = inspect.signature(module.forward).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    names = {name: name if name in parameters or name != "state" else "hx" for name in options}
    for name, own in names.items():
        if own not in parameters and not takes_all:
            raise InputError(
                f"{name}: expected none, since {type(module).__name__}.forward does not take {name}; leave it out."
            )
    named = {names[name]: value for name, value in options.items()}
    if isinstance(x, Tensor) and x.is_inference():
        x = x.clone()
    return lambda: module(x, **named)


@contextmanager
def _as_it_was(module: nn.Module, x: Any) -> Iterator[None]:
    """In evaluation mode, with gradients; afterwards all modes and random states are what they were."""
    modes = {part: part.training for part in module.modules()}
    tensors = [*module.parameters(), *(x if isinstance(x, tuple | list) else [x])]
    devices = {t.get_device() for t in tensors if isinstance(t, Tensor) and t.device.type == "cuda"}
    # what torch.compile has made of a part of the model has no layers to look into
    eagerly: Any = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    random = torch.random.fork_rng(devices=sorted(devices))
    module.eval()
    try:
        with random, torch.inference_mode(False), torch.enable_grad(), eagerly:
            yield
    finally:
        for part, training in modes.items():
            part.training = training


def _check(found: Sequence[Trajectory], module: nn.Module) -> None:
    if not found:
        raise InputError(
            f"model: expected recurrent layers that run over a sequence with a state of floats, found none in "
            f"{type(module).__name__}. torch's own become ours by unrolled.convert(model); a GPU runs those "
            "as torch's, so move the model to the CPU."
        )
    if not max(seen.rows for seen in found):
        raise InputError("x: expected at least one row, got B = 0.")
    longest = max(int(seen.valid.sum(0).max()) for seen in found if seen.valid is not None and seen.rows)
    if longest < 2:
        raise InputError(f"x: expected at least 2 time steps to look back over, got {longest}.")


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"loss: expected a function to a scalar tensor, got {got}; sum over the rows.")
    if not value.requires_grad:
        raise InputError("loss: expected a function of what the model returns, got what does not depend on it.")
    return value.sum()


def _name_of(model: Any) -> str:
    """As ``explain`` names a cell; a model by its class, a function by its name."""
    inner = model.cell if isinstance(model, Recurrent) else model
    if not isinstance(inner, nn.Module):
        return str(getattr(inner, "__name__", type(inner).__name__))
    sizes = [f"{key}={getattr(inner, key)}" for key in ("input_size", "hidden_size") if hasattr(inner, key)]
    return f"{type(inner).__name__}({', '.join(sizes)})" if sizes else type(inner).__name__
