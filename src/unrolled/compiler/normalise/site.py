"""What a handler sees of the traced node that it translates, and how it adds operations in its place."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from ..graph import Builder, Node, Ref

Args = tuple[Any, ...]


@dataclass(frozen=True)
class Site:
    """One traced node being translated."""

    builder: Builder
    name: str  # of the aten operation and its overload: "add.Tensor"
    args: Args
    kwargs: dict[str, Any]
    value: Any  # its result, a fake tensor or several
    where: str  # file:line of the user's code

    @property
    def operation(self) -> str:
        """The aten operation without its overload."""
        return self.name.split(".")[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> torch.dtype:
        """Of the result."""
        return self.value.dtype  # type: ignore[no-any-return]

    def node(self, ref: Ref) -> Node:
        """The node that an operand is the value of."""
        return self.builder.nodes[ref.index]

    def shape_of(self, ref: Any) -> tuple[int, ...]:
        """The shape of an operand, a number's too."""
        return self.node(ref).shape if isinstance(ref, Ref) else ()

    def dtype_of(self, ref: Ref) -> torch.dtype:
        """The dtype of an operand."""
        return self.node(ref).dtype

    def padded(self, *defaults: Any) -> Args:
        """The positional arguments, those that were left out at their defaults."""
        return (*self.args, *defaults[len(self.args) :])

    def add(self, op: str, *args: Any, shape: Iterable[int] | None = None, dtype: torch.dtype | None = None) -> Ref:
        """An operation; shape and dtype are those of the result unless given."""
        return Ref(self.builder.add(op, args, self.shape if shape is None else shape, dtype or self.dtype, self.where))

    def reshape(self, a: Ref, shape: Iterable[int]) -> Ref:
        """The same elements in another shape."""
        shape = tuple(shape)
        while self.node(a).op == "reshape":
            a = self.node(a).args[0]
        return a if self.shape_of(a) == shape else self.add("reshape", a, shape=shape, dtype=self.dtype_of(a))

    def permute(self, a: Ref, axes: tuple[int, ...]) -> Ref:
        """The same elements with the axes in another order."""
        axes = tuple(axis % len(axes) for axis in axes)
        source = self.node(a)
        if source.op == "permute":
            a, axes = source.args[0], tuple(source.args[1][axis] for axis in axes)
        if axes == tuple(range(len(axes))):
            return a
        shape = self.shape_of(a)
        if [axis for axis in axes if shape[axis] != 1] == [axis for axis in range(len(axes)) if shape[axis] != 1]:
            return self.reshape(a, [shape[axis] for axis in axes])
        return self.add("permute", a, axes, shape=[shape[axis] for axis in axes], dtype=self.dtype_of(a))

    def slice(self, a: Ref, axis: int, start: int | None, stop: int | None, step: int = 1) -> Ref:
        """A part along one axis; of a part of a ``cat``, where it lies in one."""
        source, shape = self.node(a), list(self.shape_of(a))
        axis %= len(shape)
        start, stop, step = slice(start, stop, step).indices(shape[axis])
        if (start, stop, step) == (0, shape[axis], 1):
            return a
        shape[axis] = len(range(start, stop, step))
        if source.op == "full":
            return self.add("full", source.args[0], shape=shape, dtype=source.dtype)
        if source.op == "cat" and source.args[1] == axis and step == 1:
            first = 0
            for part in source.args[0]:
                last = first + self.shape_of(part)[axis]
                if first <= start and stop <= last:
                    return self.slice(part, axis, start - first, stop - first)
                first = last
        return self.add("slice", a, axis, start, stop, step, shape=shape, dtype=self.dtype_of(a))

    def cast(self, a: Any, dtype: torch.dtype) -> Any:
        """An operand in another dtype; a number as it is."""
        if not isinstance(a, Ref) or self.dtype_of(a) == dtype:
            return a
        return self.add("cast", a, dtype, shape=self.shape_of(a), dtype=dtype)


Handler = Callable[[Site], Any]  # gives a Ref, a list of Refs, or None: the operation stays aten's
HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register the handler of these aten operations."""

    def keep(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return keep
