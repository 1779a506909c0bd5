"""The Python text of a prepared call: its checks, and what takes arguments apart and puts results together.

A function is written as source for one step, one shape of its arguments and one context, so that it asks of objects
what the usual path asks of names. Every thing that it holds is an argument of the function that makes it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from types import BuiltinMethodType, FunctionType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..core import Tree, Unrolling, leaves
from .context import is_plain_context
from .fingerprint_recall import Recalled
from .fingerprint_watch import metadata_check

Again: TypeAlias = Callable[[dict[str, Any], Tree, Tree], tuple[Tree, Tree] | None]
"""From the attributes of a layer, x and the state to what its call returns; None: go the usual way."""


def _empty(shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="cpu")


def _quick_empty() -> Callable[..., Tensor]:
    """What makes a tensor in a third of the time that ``torch.empty`` takes, where there is such a thing."""
    try:
        guards = import_module("torch._C._dynamo.guards")
    except ImportError:
        return _empty
    found: Callable[..., Tensor] = getattr(guards, "_empty_strided_cpu", _empty)
    return found


_NAMES: dict[str, Any] = {
    "grad_enabled": torch.is_grad_enabled,
    "default_dtype": torch.get_default_dtype,
    "threads": torch.get_num_threads,
    "anomaly": torch.is_anomaly_enabled,
    "forward_ad": forward_ad,
    "dispatch_modes": torch._C._len_torch_dispatch_stack,
    "tracing": torch.jit.is_tracing,  # type: ignore[attr-defined]
    "is_plain": is_plain_context,
    "empty": _quick_empty(),
    "named": lambda: _named(),
}


@dataclass
class Held:
    """The things that the function names, by the names of the arguments with which it is made."""

    things: dict[str, Any] = field(default_factory=dict)

    def __call__(self, thing: Any) -> str:
        """Hold a thing; its name."""
        name = f"c{len(self.things)}"
        self.things[name] = thing
        return name

    def function(self, lines: list[str]) -> Again:
        """The function of (attributes, x, state) with this body; its text is compiled once for all that are alike."""
        return _make(tuple(lines), len(self.things))(*self.things.values())


def checks(
    held: Held, recalled: Recalled, run: Unrolling, function: FunctionType, backend: str, single: bool
) -> tuple[list[str], list[str], list[str]]:
    """Statements that return None unless everything is as it was; the names of the tensors of x and of the state."""
    x = [] if run.x is None else [leaf.squeeze(0) if single else leaf for leaf in leaves(run.x)]
    state = leaves(run.state)
    xs, states = [f"x{k}" for k in range(len(x))], [f"s{k}" for k in range(len(state))]
    same = metadata_check([*x, *state])
    lines = [
        _refuse(*_contexts(held, backend, run.reverse, single, native=isinstance(same, BuiltinMethodType))),
        *_take_apart(held, "x", run.x, iter(xs)),
        *_take_apart(held, "state", run.state, iter(states)),
        _refuse(f"not {held(same)}({', '.join((*xs, *states))})"),
        "cell = attributes['_modules'].get('cell')",
        _refuse(
            f"{held(recalled.owner)}() is not cell",
            f"{held(type(recalled.owner()))}.step is not {held(function)}",
            f"not {held(recalled.check)}(cell)",
        ),
    ]
    return lines, xs, states


def _refuse(*conditions: str) -> str:
    return f"if {' or '.join(conditions)}: return None"


def _contexts(held: Held, backend: str, reverse: bool, single: bool, *, native: bool) -> list[str]:
    """What would be run another way: most contexts that are refused show in PyTorch's own check of tensors."""
    return [
        f"attributes['backend'] is not {held(backend)}",
        "not attributes['reverse']" if reverse else "attributes['reverse']",
        *(() if single else _of_sequences(held)),
        "anomaly()",
        "forward_ad._current_level >= 0",
        f"default_dtype() is not {held(torch.get_default_dtype())}",
        f"threads() != {torch.get_num_threads()}",
        *(() if native else ("dispatch_modes()", "tracing()", "not is_plain()")),
    ]


def _of_sequences(held: Held) -> list[str]:
    """What more would be run another way of a whole sequence; a step has no time to ask for settings."""
    learning = "not grad_enabled()" if torch.is_grad_enabled() else "grad_enabled()"
    return [learning, f"named() != {held(_named())}"]


def _named() -> tuple[str | None, str | None]:
    """The settings that name a backend or an instruction set."""
    return os.environ.get("UNROLLED_BACKEND"), os.environ.get("UNROLLED_ISA")


def _take_apart(held: Held, name: str, tree: Tree, names: Iterator[str]) -> list[str]:
    """Names for the tensors of a tree of the same structure."""
    if tree is None:
        return [_refuse(f"{name} is not None")]
    if not isinstance(tree, tuple):
        return [f"{next(names)} = {name}"]
    parts, inner = [], []
    for k, child in enumerate(tree):
        if isinstance(child, tuple):
            parts.append(f"{name}_{k}")
            inner += _take_apart(held, parts[-1], child, names)
        else:
            parts.append(next(names))
    return [
        _refuse(f"type({name}) is not {held(type(tree))}", f"len({name}) != {len(tree)}"),
        *([f"{', '.join(parts)}, = {name}"] if parts else []),
        *inner,
    ]


def put_together(held: Held, tree: Tree, names: Iterator[str]) -> str:
    """The expression of a tree of this structure."""
    if not isinstance(tree, tuple):
        return next(names)
    children = "".join(f"{put_together(held, child, names)}, " for child in tree)
    return f"{held(type(tree))}({children})" if hasattr(tree, "_fields") else f"({children})"


@lru_cache(64)
def _make(lines: tuple[str, ...], count: int) -> Callable[..., Again]:
    """What makes the function from the things that are held."""
    body = "\n".join(f"        {line}" for line in lines)
    source = (
        f"def make({', '.join(f'c{k}' for k in range(count))}):\n"
        f"    def again(attributes, x, state):\n{body}\n"
        "    return again\n"
    )
    space = dict(_NAMES)
    exec(compile(source, "<one step again>", "exec"), space)
    made: Callable[..., Again] = space["make"]
    return made
