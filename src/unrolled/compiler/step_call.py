"""The user's step while it is traced: which tensors it reads, at which line it is, and why it failed."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from ..core import Step, Tree, UnrolledError, UnsupportedStep, check_step, leaves, map_tree
from .graph import at, is_rows


class StepCall:
    """The step as a function of flat tensors: real tensors that it closes over are replaced by their doubles."""

    def __init__(
        self, step: Step, x: Tree | None, state: Tree, tensors: tuple[Tensor, ...], names: tuple[str, ...], batch: int
    ):
        self.step, self.x, self.state, self.batch = step, x, state, batch
        self.where_is = {id(tensor): k for k, tensor in enumerate(tensors)}
        self.tensors, self.names = tensors, names
        self.used: list[int] = []
        self.output: Tree = None
        self.after: Tree = None
        self.place = ""  # the line of the user's code that ran last

    def __call__(self, inputs: list[Tensor], doubles: dict[int, Tensor]) -> list[Tensor]:
        """The leaves of output and state; ``doubles`` of the tensors at these places."""
        remaining = iter(inputs)
        x = None if self.x is None else map_tree(lambda _: next(remaining), self.x)
        state = map_tree(lambda _: next(remaining), self.state)
        with _Doubles(self, doubles):
            result = self.step(x, state)
        output, after = check_step(result, state, self.batch)
        self.output, self.after = output, after
        # a clone, because a result that is an argument, or another result, has no derivative of its own
        return [leaf.clone() for leaf in [*leaves(output), *leaves(after)]]

    def double(self, tensor: Tensor, doubles: dict[int, Tensor]) -> Tensor:
        """What stands in for a tensor that the step reads."""
        k = self.where_is.get(id(tensor))
        if k is None:
            return tensor
        if k not in doubles:
            raise UnsupportedStep(f"step read {self.names[k]} in one trace and not in another.")
        if tensor.layout != torch.strided:
            raise UnsupportedStep(f"step reads {self.names[k]}, which is sparse: only backend='reference' does.")
        if k not in self.used:
            self.used.append(k)
        return doubles[k]

    def check_gradients(self, results: list[Tensor]) -> None:
        """A custom ``autograd.Function`` takes its arguments past PyTorch's hooks: their gradient would be lost."""
        functions = [tensor.grad_fn for tensor in self.tensors]  # held: PyTorch makes them anew
        own = {id(function): k for k, function in enumerate(functions) if function is not None}
        waiting = [result.grad_fn for result in results]
        seen: set[Any] = set()
        while waiting:
            function = waiting.pop()
            if function is None or function in seen:
                continue
            seen.add(function)
            k = own.get(id(function), self.where_is.get(id(getattr(function, "variable", None))))
            if k is not None:
                raise UnsupportedStep(
                    f"step gives {self.names[k]} to a custom autograd.Function as it is, where a trace cannot "
                    f"follow it. Give it {self.names[k]}.clone(), or use backend='reference'."
                )
            waiting.extend(following for following, _ in function.next_functions)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """An error of the step, or of PyTorch in tracing it, as one that says where and why.

        Raises:
            UnsupportedStep: for any error that is not ours, and where the number of rows is at fault.
            UnrolledError: ours, as it is.
        """
        try:
            yield
        except Exception as error:
            rows = self._rows_at_fault(str(error))
            if isinstance(error, UnrolledError):
                if not rows:
                    raise
                raise UnsupportedStep(f"step cannot be traced: {error} {rows}") from error
            place = at(_users_line_of(error) or self.place)
            first = str(error).strip().split("\n")[0]
            raise UnsupportedStep(
                f"step cannot be traced{place}: {type(error).__name__}: {first} {rows}".rstrip()
            ) from error

    def _rows_at_fault(self, text: str) -> str:
        """What to say where PyTorch complains that the traced number of rows meets the real one."""
        rows = leaves(self.state)[0].shape[0]
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        if rows not in numbers or not any(is_rows(number, self.batch) for number in numbers):
            return ""
        stand_in = f"(A trace has {self.batch} rows in place of B = {rows}.)"
        for k in [*self.used, *range(len(self.tensors))]:
            if self.tensors[k].shape[:1] == (rows,):
                return (
                    f"{stand_in} A tensor that a step closes over may have sizes of features only, got "
                    f"{self.names[k]} of shape {tuple(self.tensors[k].shape)}, whose first size is B. If it holds "
                    "something for each row, give it as part of x (repeated for each step) or of the state, or use "
                    "backend='reference'."
                )
        return f"{stand_in} Take the number of rows from x or the state, as in h.shape[0], or use backend='reference'."


class _Doubles(TorchFunctionMode):
    """Sees each torch function that the step calls: replaces its tensors and notes its line."""

    def __init__(self, call: StepCall, doubles: dict[int, Tensor]):
        super().__init__()
        self.call, self.doubles = call, doubles

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.call.place = users_line()
        fx_traceback.set_stack_trace([self.call.place])
        args, kwargs = tree_map_only(Tensor, lambda t: self.call.double(t, self.doubles), (args, kwargs or {}))
        return func(*args, **kwargs)


_LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parent))


def users_line() -> str:
    """``file:line`` of the innermost running frame that is neither PyTorch's nor the compiler's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_users(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _users_line_of(error: Exception) -> str:
    """Likewise of the frames that an error went through."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if _is_users(trace.tb_frame):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _is_users(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return not name.startswith((*_LIBRARIES, "<"))
