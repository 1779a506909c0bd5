"""The names that a step gives to what it computes: its local variables, watched while it is traced."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..core import Step, Tree, leaves

PART = 100


class Local(NamedTuple):
    """A local variable of the step, or of a function that it calls, when it was bound to a tensor."""

    name: str
    depth: int  # 0 in the step itself; PART more for a member of a variable
    tensor: Tensor


class Recorder:
    """A step that puts out, behind its output, the tensors that its local variables were bound to.

    So the trace says which operation has which name, whatever the user's code looks like and wherever it came from.
    Without ``watch`` there are none.
    """

    def __init__(self, step: Step, *, watch: bool = True):
        self.step, self.watch = step, watch
        self.found: list[Local] = []
        self.active: list[FrameType] = []
        self.seen: list[set[tuple[str, int]]] = []  # of each active frame: names and what they were bound to

    def __call__(self, x: Tree, state: Tree) -> Any:
        """The step's result, its output made the pair (output, the tensors of ``found``)."""
        self.found, self.active, self.seen = [], [], []
        before = sys.gettrace()
        if self.watch:
            sys.settrace(self._entered)
        try:
            with _Unwatched():
                result: Any = self.step(x, state)
        finally:
            sys.settrace(before)
        if not (isinstance(result, tuple) and len(result) == 2):
            return result
        rows = leaves(state)[0].shape[0]
        self.found = [local for local in self.found if local.tensor.layout == torch.strided]
        return (result[0], tuple(_by_row(local.tensor, rows) for local in self.found)), result[1]

    def _entered(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_name
        if self.active and frame.f_back is not self.active[-1] and name not in ("step", "forward"):
            return None  # called by PyTorch, not by the user's code
        if not _is_users(frame) or (name.startswith("<") and name != "<lambda>"):
            return None
        self.active.append(frame)
        self.seen.append(set())
        self._look(frame)
        return self._went_on

    def _went_on(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._look(frame)
        if event == "return" and self.active and self.active[-1] is frame:
            self.active.pop()
            self.seen.pop()
        return self._went_on

    def _look(self, frame: FrameType) -> None:
        """Note what is bound now and was not before."""
        if frame not in self.active:
            return
        place = self.active.index(frame)
        depth = 0  # a step that a step calls, as a wrapper does, is as near as that
        while place > depth and self.active[place - depth].f_code.co_name != "step":
            depth += 1
        for name, value in list(frame.f_locals.items()):
            for full, tensor, away in _tensors(name, value):
                key = (full, id(tensor))
                if key not in self.seen[place]:  # ``found`` holds the tensor, so its id is not given again
                    self.seen[place].add(key)
                    self.found.append(Local(full, depth + away, tensor))


class _Unwatched(TorchFunctionMode):
    """Nothing is watched inside a function of PyTorch: that would take most of the time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        watch = sys.gettrace()
        sys.settrace(None)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            sys.settrace(watch)


def _tensors(name: str, value: Any) -> list[tuple[str, Tensor, int]]:
    """A variable that is a tensor, or a list or tuple of some, each with how far its name is from the user's."""
    if isinstance(value, Tensor):
        return [(name, value, 0)]
    if not isinstance(value, list | tuple) or not all(isinstance(item, Tensor) for item in value):
        return []
    fields = getattr(value, "_fields", None)
    if fields:
        return [(field, item, PART) for field, item in zip(fields, value, strict=True)]
    if len(value) == 1:
        return [(name, value[0], 0)]
    return [(f"{name}_{k}", item, 2 * PART) for k, item in enumerate(value, 1)]


def _by_row(tensor: Tensor, rows: int) -> Tensor:
    """The same elements with the rows first, as an output has them."""
    for axis, size in enumerate(tensor.shape):
        if size == rows:
            return tensor.movedim(axis, 0)
    for axis, size in enumerate(tensor.shape):
        if size and size % rows == 0:
            return torch.unflatten(tensor, axis, (rows, size // rows)).movedim(axis, 0)
    return tensor.unsqueeze(0).expand(rows, *tensor.shape)


_OTHERS = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parent))


def _is_users(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith((*_OTHERS, "<frozen", "<eval_with_key"))
