"""One traced graph, node by node."""

import operator
import re
from typing import Any

from torch import Tensor, fx

from ...core import UnsupportedStep
from ..graph import Builder, Ref, at
from . import elements, lookups, made, products, reductions, shapes  # noqa: F401  each of them registers its handlers
from .site import HANDLERS, Args, Site


class Normaliser:
    """Translates a traced graph; ``ids`` says what became of each of its nodes."""

    def __init__(self, module: fx.GraphModule, builder: Builder, lines: dict[int, str]):
        self.module, self.builder, self.lines = module, builder, lines
        self.ids: dict[fx.Node, Any] = {}  # the number of our node, or a tuple of Refs

    def run(self, node: fx.Node) -> None:
        """Translate one node."""
        self.ids[node] = self._translated(node)

    def operand(self, value: Any) -> Any:
        """An argument of a traced node as one of ours."""
        if isinstance(value, fx.Node):
            known = self.ids[value]
            return Ref(known) if isinstance(known, int) else known
        if isinstance(value, (list, tuple)):
            return tuple(self.operand(item) for item in value)
        return value

    def _translated(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            return _constant(self.builder, getattr(self.module, str(node.target)))
        value = node.meta.get("val")
        args = tuple(self.operand(arg) for arg in node.args)
        kwargs = {name: self.operand(arg) for name, arg in node.kwargs.items()}
        where = self.lines.get(node.meta.get("seq_nr", -1)) or _own_line(node)
        here = Site(self.builder, str(node.target).removeprefix("aten."), args, kwargs, value, where)
        if node.target is operator.getitem:
            return _getitem(here)
        return () if value is None else _operation(here, str(node.target))


def _own_line(node: fx.Node) -> str:
    """The line beside a node of a trace without derivative."""
    return "" if node.meta.get("seq_nr", -1) >= 0 else line_of(node.meta.get("stack_trace") or "")


def line_of(text: str) -> str:
    """The ``file:line`` noted for an operation; older versions of PyTorch add words of their own to it."""
    found = re.match(r".*?:\d+", text.strip())
    return found[0] if found else text.strip()


def _getitem(here: Site) -> Any:
    parts, index = here.args
    if isinstance(parts, tuple):
        known = parts[index]
        return known.index if isinstance(known, Ref) else known
    return here.add("getitem", parts, index).index  # a part of an operation that stays aten's


def _operation(here: Site, target: str) -> Any:
    handler = HANDLERS.get(here.name)
    result = handler(here) if handler else None
    if isinstance(result, list):
        return tuple(result)
    if result is not None:
        return result.index
    if target.count(".") != 2:  # no operation by name, but one of PyTorch's on functions
        raise UnsupportedStep(
            f"step uses {target}{at(here.where)}, which has no place in a plan. Use backend='reference'."
        )
    if isinstance(here.value, (list, tuple)):
        first = next(part for part in here.value if isinstance(part, Tensor))
        return here.add(target, *_all_arguments(here), shape=(), dtype=first.dtype).index
    return here.add(target, *_all_arguments(here)).index


def _all_arguments(here: Site) -> Args:
    """Those of an operation that stays aten's; keywords as a last ("kwargs", (name, value), ...)."""
    return (*here.args, ("kwargs", *sorted(here.kwargs.items()))) if here.kwargs else here.args


def _constant(builder: Builder, value: Any) -> int:
    known = getattr(value, "constant", None)  # of a fake tensor
    value = value if known is None else known
    flat = tuple(value.detach().reshape(-1).tolist())
    return builder.add("full" if len(flat) == 1 else "constant", flat, value.shape, value.dtype)
