"""Our side of every comparison: a cell run by its compiled kernels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..cells import GRU, LSTM, Elman
from ..core import Tree, leaves, named_leaves, unflatten
from ..layers import Recurrent
from .problem import Problem
from .sides import Named, Side, copied, torch_side

NAME = "unrolled"
KINDS: dict[str, Callable[[int, int], nn.Module]] = {"lstm": LSTM, "gru": GRU, "rnn": Elman}


def gated_cell(kind: str, problem: Problem) -> nn.Module:
    """Our cell of this kind with the problem's weights; of the plain network the two biases are one, their sum."""
    cell = KINDS[kind](problem.shape.H, problem.shape.H)
    weights = dict(problem.weights)
    if kind == "rnn":
        weights["bias_h"] = weights.pop("bias_ih") + weights.pop("bias_hh")
    return with_weights(cell, weights)


def with_weights(cell: nn.Module, weights: Named) -> nn.Module:
    """The cell, holding copies of these."""
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.copy_(weights[name])
    return cell


def ours(
    cell: nn.Module,
    problem: Problem,
    *,
    training: bool,
    name: str = NAME,
    checkpoint_every: int | None = None,
    of_input: bool = True,
) -> Side:
    """A cell over the problem's sequence, from its first state; ``of_input``: with the gradients of both."""
    layer = Recurrent(cell, backend="compiled", checkpoint_every=checkpoint_every)
    dtype = next(cell.parameters()).dtype
    x = problem.x.detach().to(dtype, copy=True).requires_grad_(training and of_input)
    state = copied({key: s.to(dtype) for key, s in problem.state.items()}, training and of_input)
    names = list(state)
    tree = as_state(cell, state)

    def forward() -> tuple[Tensor, Named]:
        outputs, last = layer(x, tree)
        return outputs, dict(zip(names, leaves(last), strict=True))

    wanted = {**({"x": x, **state} if of_input else {}), **dict(cell.named_parameters())}
    side = torch_side(name, forward, wanted, problem.d_outputs.to(dtype) if training else None)
    return _with_both_biases(side) if isinstance(cell, Elman) else side


def as_state(cell: nn.Module, state: Named) -> Tree:
    """The tensors as the tree that the cell's state is."""
    return unflatten(cell.initial_state(1), list(state.values()))  # type: ignore[operator]


def _with_both_biases(side: Side) -> Side:
    """The gradient of a sum of two biases is that of each of them."""

    def named(result: object) -> Named:
        found = side.named(result)
        gradient = found.pop("gradient of bias_h", None)
        if gradient is not None:
            found |= {"gradient of bias_ih": gradient, "gradient of bias_hh": gradient}
        return found

    return Side(side.name, side.run, named, side.pool)


def own(cell: nn.Module, x: Tensor, d_outputs: list[Tensor], backend: str = "compiled") -> Side:
    """A cell of the user's over x, from its own initial state, forward and backward."""
    layer = Recurrent(cell, backend=backend)
    return tree_side(NAME, cell, lambda given: layer(given), x, d_outputs)


def tree_side(
    name: str, cell: nn.Module, forward: Callable[[Tensor], tuple[Tree, Tree]], x: Tensor, d_outputs: list[Tensor]
) -> Side:
    """A side whose outputs and state may be any tree, and whose first state is the cell's own affair."""
    x = x.detach().clone().requires_grad_()
    wanted = {"x": x, **{key: p for key, p in cell.named_parameters() if p.requires_grad}}

    def run() -> tuple[Tree, Tree, tuple[Tensor | None, ...]]:
        torch.manual_seed(0)  # the masks of the library's own random cells are the same on both sides
        outputs, last = forward(x)
        found = [leaf for leaf in leaves(outputs) if leaf.requires_grad]
        gradients = torch.autograd.grad(found, list(wanted.values()), d_outputs, allow_unused=True)
        return outputs, last, gradients

    def named(result: tuple[Tree, Tree, tuple[Tensor | None, ...]]) -> Named:
        outputs, last, gradients = result
        found = {**dict(named_leaves(outputs, "outputs")), **dict(named_leaves(last, "last state"))}
        for (key, value), gradient in zip(wanted.items(), gradients, strict=True):
            found[f"gradient of {key}"] = torch.zeros_like(value) if gradient is None else gradient
        return {key: value.detach() for key, value in found.items()}

    return Side(name, run, named)
