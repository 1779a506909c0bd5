"""Trace a step: PyTorch's own tracer gives its operations and, with them, those of its derivative.

The step is run once on fake tensors whose batch is a large prime (see compiler/graph.py), through
``aot_export_joint_simple``, which functionalises and differentiates by autograd itself; so ``detach``,
``no_grad``, in-place operations and a custom ``autograd.Function`` mean what they mean in an eager step.
That function is private to PyTorch; this file is the only one that knows it.
"""

import random
import sys
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from ..core import Step, Tree, UnrolledError, UnsupportedStep, check_step, leaves, map_tree
from .graph import Builder, Graph, Ref, is_rows
from .normalise import Normaliser

PRIMES = (7919, 7907, 7901, 7883, 7879, 7877, 7873, 7867)


@dataclass(frozen=True)
class Traced:
    """The graph of a step and the structure of what it returns."""

    graph: Graph
    closed: tuple[int, ...]  # which of the reachable tensors the step uses
    output: Tree  # a tree of fakes: the structure


def trace(step: Step, x: Tree | None, state: Tree, tensors: tuple[Tensor, ...], names: tuple[str, ...]) -> Traced:
    """The graph of ``step``.

    Args:
        step: the user's function.
        x: an input (T, B, ...) and
        state: a state (B, ...): only their structure, sizes, dtypes and device are used.
        tensors: every tensor that the step could read besides.
        names: how the step reaches them, for messages.

    Raises:
        UnsupportedStep: the step cannot be traced.
        UnrolledError: the step does not return (output, state).
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    fake_mode = FakeTensorMode()
    examples = [leaf[0] for leaf in leaves(x)] if x is not None else []
    given = [*examples, *leaves(state)]
    batch = _prime([*given, *tensors])

    def fake(like: Tensor, shape: tuple[int, ...]) -> Tensor:
        with fake_mode:
            grad = like.is_floating_point()
            return torch.empty(shape, dtype=like.dtype, device=like.device, requires_grad=grad)

    inputs = [fake(leaf, (batch, *leaf.shape[1:])) for leaf in given]
    step_call = _Call(step, x, state, tensors, names, batch)
    with fake_mode, _no_draws_outside_torch():
        doubles = [fake(tensor, tuple(tensor.shape)) for tensor in tensors]
        results = step_call.first(inputs, doubles)
        used = step_call.used
        arguments = [*inputs, *(doubles[k] for k in used)]
        has_grad = [result.requires_grad for result in results]
        count = len(given)

        def whole(*flat: Tensor) -> tuple[Tensor, ...]:
            return tuple(step_call(list(flat[:count]), dict(zip(used, flat[count:], strict=True))))

        try:
            module = _export(whole, tuple(arguments), any(has_grad))
        except UnrolledError:
            raise
        except Exception as error:
            raise UnsupportedStep(_reason(step_call, error)) from error
    graph = _graph(module, len(examples), len(leaves(state)), has_grad, batch, step_call)
    return Traced(graph, tuple(used), step_call.output)


class _Call:
    """The step as a function of flat tensors: real tensors that it closes over are replaced by their doubles."""

    def __init__(
        self, step: Step, x: Tree | None, state: Tree, tensors: tuple[Tensor, ...], names: tuple[str, ...], batch: int
    ):
        self.step, self.x, self.state, self.batch = step, x, state, batch
        self.where_is = {id(tensor): k for k, tensor in enumerate(tensors)}
        self.tensors, self.names = tensors, names
        self.used: list[int] = []
        self.output: Tree = None
        self.place = ""  # the line of the user's code that ran last

    def first(self, inputs: list[Tensor], doubles: list[Tensor]) -> list[Tensor]:
        """Run once to learn which tensors are used and what is returned; errors are those of the step."""
        try:
            results = self(inputs, dict(enumerate(doubles)))
        except UnrolledError:
            raise
        except Exception as error:
            raise UnsupportedStep(_reason(self, error)) from error
        self._check_gradients(results)
        return results

    def _check_gradients(self, results: list[Tensor]) -> None:
        """A custom ``autograd.Function`` takes its arguments past PyTorch's hooks: their gradient would be lost."""
        own = {id(tensor.grad_fn): k for k, tensor in enumerate(self.tensors) if tensor.grad_fn is not None}
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

    def __call__(self, inputs: list[Tensor], doubles: dict[int, Tensor]) -> list[Tensor]:
        remaining = iter(inputs)
        x = None if self.x is None else map_tree(lambda _: next(remaining), self.x)
        state = map_tree(lambda _: next(remaining), self.state)
        with _Doubles(self, doubles):
            result = self.step(x, state)
        output, after = check_step(result, state, self.batch)
        self.output = output
        # a clone, because a result that is an argument, or another result, has no derivative of its own
        return [leaf.clone() for leaf in [*leaves(output), *leaves(after)]]

    def double(self, tensor: Tensor, doubles: dict[int, Tensor]) -> Tensor:
        """What stands in for a tensor that the step reads."""
        from torch._subclasses.fake_tensor import FakeTensor

        if isinstance(tensor, FakeTensor) or torch._C._functorch.is_functionaltensor(tensor):
            return tensor
        k = self.where_is.get(id(tensor))
        if k is None:
            return tensor
        if k not in doubles:
            raise UnsupportedStep(f"step read {self.names[k]} in one trace and not in another.")
        if k not in self.used:
            self.used.append(k)
        return doubles[k]


class _Doubles(TorchFunctionMode):
    """Sees each torch function that the step calls: replaces its tensors and notes its line."""

    def __init__(self, call: _Call, doubles: dict[int, Tensor]):
        super().__init__()
        self.call, self.doubles = call, doubles

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.call.place = users_line()
        fx_traceback.set_stack_trace([self.call.place])
        args, kwargs = tree_map_only(Tensor, lambda t: self.call.double(t, self.doubles), (args, kwargs or {}))
        return func(*args, **kwargs)


_LIBRARIES = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def users_line() -> str:
    """``file:line`` of the innermost running frame that is neither PyTorch's nor the compiler's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_LIBRARIES) and not name.startswith("<"):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@contextmanager
def _no_draws_outside_torch() -> Any:
    """A number drawn by Python or numpy would be drawn once, in the trace, and stay: refuse it."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()[1:3]  # type: ignore[index]
    yield
    if random.getstate() != python or str(np.random.get_state()[1:3]) != str(numpy):  # type: ignore[index]
        raise UnsupportedStep(
            "step draws a random number outside PyTorch (random or numpy.random), which would stay the same at "
            "each step. Draw it with torch.rand."
        )


def _prime(tensors: list[Tensor]) -> int:
    sizes = {size for tensor in tensors for size in tensor.shape}
    return next(p for p in PRIMES if not any(is_rows(size, p) for size in sizes))


def _export(function: Callable[..., Any], arguments: tuple[Tensor, ...], joint: bool) -> torch.fx.GraphModule:
    from torch._functorch.aot_autograd import aot_export_joint_simple

    from .decompositions import decompositions

    grad = torch.enable_grad() if joint else nullcontext()
    with fx_traceback.preserve_node_meta(), grad:
        return aot_export_joint_simple(  # type: ignore[return-value]
            function, arguments, trace_joint=joint, decompositions=decompositions()
        )


def _graph(
    module: torch.fx.GraphModule, inputs: int, states: int, has_grad: list[bool], batch: int, call: _Call
) -> Graph:
    """The traced module as a graph of ours."""
    builder = Builder()
    lines = _lines(module)
    normaliser = Normaliser(module, builder, lines)
    placeholders: list[int] = []
    results: list[int | None] = []
    for node in module.graph.nodes:
        if node.op == "placeholder":
            value = node.meta["val"]
            normaliser.ids[node] = builder.add("input", (), value.shape, value.dtype)
            placeholders.append(normaliser.ids[node])
        elif node.op == "output":
            flat = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
            results = [None if item is None else _index(normaliser.operand(item)) for item in flat]
        else:
            normaliser.run(node)
    count = len(has_grad)
    primals, tangents = (
        placeholders[: inputs + states + len(call.used)],
        placeholders[inputs + states + len(call.used) :],
    )
    cotangents = iter(tangents)
    d_results = tuple(next(cotangents) if needs else None for needs in has_grad)
    grads = results[count:] or [None] * len(primals)
    outputs = count - states
    return Graph(
        batch=batch,
        nodes=tuple(builder.nodes),
        x=tuple(primals[:inputs]),
        state=tuple(primals[inputs : inputs + states]),
        closed=tuple(primals[inputs + states :]),
        output=tuple(results[:outputs]),  # type: ignore[arg-type]
        new_state=tuple(results[outputs:count]),  # type: ignore[arg-type]
        d_output=d_results[:outputs],
        d_new_state=d_results[outputs:],
        d_x=tuple(grads[:inputs]),
        d_state=tuple(grads[inputs : inputs + states]),
        d_closed=tuple(grads[inputs + states :]),
    )


def _index(operand: Any) -> int:
    assert isinstance(operand, Ref)
    return operand.index


def _lines(module: torch.fx.GraphModule) -> dict[int, str]:
    """The user's line of each operation; a derivative shares its number with what it is the derivative of."""
    lines: dict[int, str] = {}
    for node in module.graph.nodes:
        text = node.meta.get("stack_trace")
        if text and not node.meta.get("autograd_backward") and node.meta.get("seq_nr", -1) >= 0:
            lines.setdefault(node.meta["seq_nr"], text.strip())
    return lines


def _reason(call: _Call, error: Exception) -> str:
    first = str(error).strip().split("\n")[0]
    place = f" at {call.place}" if call.place else ""
    return f"step cannot be traced{place}: {type(error).__name__}: {first}"
