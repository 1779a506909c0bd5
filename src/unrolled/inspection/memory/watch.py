"""The sequences that run in a model, step by step: the states, what is read, and the gates on the way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...core import Tree, check_step, leaves, map_tree, named_leaves, valid_steps
from ...layers import Recurrent
from ...layers.twin import twin
from .gates import Gates

_ONE_AT_A_TIME = threading.RLock()


@dataclass(eq=False)
class Trajectory:
    """One sequence that a layer ran; steps are in the order of processing, which is backwards for some layers."""

    name: str
    cell: Any
    reverse: bool
    batch_first: bool
    x: list[Tensor] = field(default_factory=list)  # the floating tensors that are read, as the layer got them
    names: list[str] = field(default_factory=list)  # of the floating tensors of the state
    before: list[list[Tensor]] = field(default_factory=list)  # these tensors as each step got them, and
    after: list[list[Tensor]] = field(default_factory=list)  # as it returned them
    valid: Tensor | None = None  # (T, B) bool; set when the sequence has ended
    gates: Gates = field(default_factory=Gates)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.after)

    @property
    def rows(self) -> int:
        """B."""
        return self.after[0][0].shape[0]

    @property
    def lags(self) -> Tensor:
        """Of each step (T, B) how many valid ones come after it; of a masked step it means nothing."""
        assert self.valid is not None
        count = self.valid.long()
        return count.flip(0).cumsum(0).flip(0) - count

    def take(self, before: Tree, after: Tree) -> None:
        """One more step."""
        pairs = list(zip(named_leaves(before, "state"), leaves(after), strict=True))
        kept = [(name, b, a) for (name, b), a in pairs if a.is_floating_point()]
        self.names = [name for name, _, _ in kept]
        self.before.append([b for _, b, _ in kept])
        self.after.append([a for _, _, a in kept])


def watch(model: nn.Module, call: Callable[[], Any]) -> tuple[Any, list[Trajectory]]:
    """What a call of a model returns, and every sequence that its layers ran in it, by the reference loop.

    While it runs every :class:`~unrolled.Recurrent` of this thread does its work here, in models that keep theirs to
    themselves too.
    """
    found: list[Trajectory] = []
    names = {id(module): name.replace("._orig_mod", "") for name, module in model.named_modules()}
    usual = Recurrent.forward
    thread = threading.get_ident()

    def forward(layer: Any, x: Any = None, state: Tree | None = None, **options: Any) -> Any:
        if threading.get_ident() != thread:
            return usual(layer, x, state, **options)
        seen = Trajectory(_named(layer, names, running, found), layer.cell, layer.reverse, layer.batch_first)
        return _run(usual, layer, x, state, options, seen, found)

    with _ONE_AT_A_TIME, _running(model, names) as running:
        Recurrent.forward = forward  # type: ignore[method-assign, assignment]
        try:
            return call(), found
        finally:
            Recurrent.forward = usual  # type: ignore[method-assign]


def _run(
    usual: Any, layer: Any, x: Any, state: Any, options: Any, seen: Trajectory, found: list[Trajectory]
) -> tuple[Tree, ...]:
    """The usual way of a layer, with a step that takes notes."""
    x = map_tree(_own, x)
    seen.x = [leaf for leaf in leaves(x) if _is_floating(leaf)]

    def step(given: Tree | None, before: Tree, *noise: Tree) -> tuple[Tree, Tree]:
        before = map_tree(_own, before)
        with seen.gates:
            result = layer.cell.step(given, before, *noise)
        output, after = check_step(result, before, leaves(before)[0].shape[0])
        seen.take(before, after)
        return output, after

    noting = twin(layer.cell, step=step)
    looked = twin(layer, backend="reference", checkpoint_every=None, _modules={**layer._modules, "cell": noting})
    results: tuple[Tree, ...] = usual(looked, x, state, **options)
    if seen.steps and seen.names:
        mask = options.get("mask")
        mask = mask.transpose(0, 1) if mask is not None and layer.batch_first else mask
        shape = seen.steps, seen.rows
        device = seen.after[0][0].device
        valid = valid_steps(*shape, lengths=options.get("lengths"), mask=mask, device=device)
        valid = torch.ones(shape, dtype=torch.bool, device=device) if valid is None else valid
        seen.valid = valid.flip(0) if layer.reverse else valid
        found.append(seen)
    return results


def _own(leaf: Any) -> Any:
    """A tensor that nothing else is, so that a gradient that goes to it goes nowhere else."""
    if not _is_floating(leaf):
        return leaf
    return leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().requires_grad_()


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()


@contextmanager
def _running(model: nn.Module, names: dict[int, str]) -> Iterator[list[str]]:
    """The names of the modules that are at work, the innermost last."""
    running: list[str] = []

    def begin(module: nn.Module, _: Any) -> None:
        running.append(names[id(module)])

    def end(*_: Any) -> None:
        running.pop()

    with ExitStack() as stack:
        for module in model.modules():
            stack.callback(module.register_forward_pre_hook(begin).remove)
            stack.callback(module.register_forward_hook(end, always_call=True).remove)
        yield running


def _named(layer: Any, names: dict[int, str], running: list[str], found: list[Trajectory]) -> str:
    """Where a layer is in the model; one that is no module of it is a numbered layer of the module that runs it."""
    name = names.get(id(layer))
    if name is None:
        outer = running[-1] if running else ""
        inside = f"{outer}." if outer else ""
        taken = {seen.name for seen in found if seen.reverse == layer.reverse}
        return next(made for k in range(len(taken) + 1) if (made := f"{inside}layer {k}") not in taken)
    before = sum(seen.name.partition(" (call ")[0] == name for seen in found)
    return f"{name} (call {before + 1})" if before else name
