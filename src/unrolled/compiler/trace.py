"""Trace a step: PyTorch's own tracer gives its operations and, with them, those of its derivative.

The step is run once on fake tensors whose batch is a large prime (see compiler/graph.py), through
``aot_export_joint_simple``, which functionalises and differentiates by autograd itself; so ``detach``,
``no_grad``, in-place operations and a custom ``autograd.Function`` mean what they mean in an eager step.
That function is private to PyTorch; this file is the only one that knows it.
"""

import logging
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor

from ..core import Step, Tree, UnsupportedStep, leaves
from .graph import Builder, Graph, Ref, ancestors, is_rows
from .normalise import Normaliser, line_of
from .step_call import StepCall, users_line

__all__ = ["Traced", "trace", "users_line"]

PRIMES = (7919, 7907, 7901, 7883, 7879, 7877, 7873, 7867)


@dataclass(frozen=True)
class Traced:
    """The graph of a step and the structure of what it returns."""

    graph: Graph
    closed: tuple[int, ...]  # which of the reachable tensors the step uses
    output: Tree  # a tree of fakes: the structure, and
    after: Tree  # that of the state returned


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
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fake_mode = FakeTensorMode()
    examples = [leaf[0] for leaf in leaves(x)] if x is not None else []
    given = [*examples, *leaves(state)]
    batch = _prime([*given, *tensors])

    def fake(like: Tensor, shape: tuple[int, ...], grad: bool) -> Tensor:
        with fake_mode:
            return torch.empty(shape, dtype=like.dtype, device=like.device, requires_grad=grad)

    inputs = [fake(leaf, (batch, *leaf.shape[1:]), leaf.is_floating_point()) for leaf in given]
    call = StepCall(step, x, state, tensors, names, batch)
    plain = sdpa_kernel(SDPBackend.MATH)  # attention as products and a softmax
    with fake_mode, _quiet(), _no_draws_outside_torch(), _no_hooks(), plain:
        doubles = [fake(tensor, tuple(tensor.shape), tensor.requires_grad) for tensor in tensors]
        with call.refusing():  # once to learn which tensors are used and what is returned
            results = call(inputs, dict(enumerate(doubles)))
        call.check_gradients(results)
        has_grad = [result.requires_grad for result in results]
        used, count = tuple(call.used), len(given)

        def whole(*flat: Tensor) -> tuple[Tensor, ...]:
            return tuple(call(list(flat[:count]), dict(zip(used, flat[count:], strict=True))))

        with call.refusing():
            module = _export(whole, (*inputs, *(doubles[k] for k in used)), any(has_grad))
    graph = _graph(module, batch, (len(examples), count - len(examples), len(used)), has_grad)
    if any(not graph.row_size(k) for k in (*ancestors(graph, [*graph.output, *graph.new_state]), *graph.state)):
        raise UnsupportedStep("step has a tensor without elements, which no loop in C can run over.")
    return Traced(graph, used, call.output, call.after)


def _no_hooks() -> Any:
    """What a trace saves is nobody's business: neither a checkpoint's nor another hook's around the call."""
    return torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor)


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch says of a failing trace what our error says: as a warning, and as a logged traceback."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")

    def other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("failed while attempting to run meta")

    logger.addFilter(other)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Error detected in \S+\. (Traceback of|No) forward")  # of anomaly mode
            yield
    finally:
        logger.removeFilter(other)


@contextmanager
def _no_draws_outside_torch() -> Iterator[None]:
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


def _graph(module: torch.fx.GraphModule, batch: int, counts: tuple[int, int, int], has_grad: list[bool]) -> Graph:
    """The traced module as a graph of ours.

    Args:
        module: what was traced: arguments, then gradients of results, to results, then gradients of arguments.
        batch: the number of rows.
        counts: how many arguments are of x, of the state, of closed-over tensors.
        has_grad: for each result whether it has a gradient.
    """
    builder = Builder()
    normaliser = Normaliser(module, builder, _lines(module))
    placeholders: list[int] = []
    results: list[Any] = []
    for node in module.graph.nodes:
        if node.op == "placeholder":
            value = node.meta["val"]
            normaliser.ids[node] = builder.add("input", (), value.shape, value.dtype)
            placeholders.append(normaliser.ids[node])
        elif node.op == "output":
            flat = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
            results = [normaliser.operand(item) for item in flat]
        else:
            normaliser.run(node)
    arguments, count = sum(counts), len(has_grad)
    x, state, closed = _cut(placeholders[:arguments], counts)
    grads = [None if grad is None else _index(grad) for grad in results[count:]]
    d_x, d_state, d_closed = _cut(grads or [None] * arguments, counts)
    halves = (count - len(state), len(state))
    output, new_state = _cut([_index(result) for result in results[:count]], halves)
    cotangents = iter(placeholders[arguments:])
    d_output, d_new_state = _cut([next(cotangents) if has else None for has in has_grad], halves)
    d_new_state = tuple(  # one that nobody reads, of a state with a gradient after which comes one without
        builder.add("input", (), builder.nodes[state[k]].shape, builder.nodes[state[k]].dtype)
        if index is None and d_state[k] is not None
        else index
        for k, index in enumerate(d_new_state)
    )
    return Graph(
        batch, tuple(builder.nodes), x, state, closed, output, new_state, d_output, d_new_state, d_x, d_state, d_closed
    )


_T = TypeVar("_T")


def _cut(items: Sequence[_T], counts: Sequence[int]) -> list[tuple[_T, ...]]:
    """A sequence in parts of these lengths."""
    remaining = iter(items)
    return [tuple(next(remaining) for _ in range(count)) for count in counts]


def _index(operand: Any) -> int:
    assert isinstance(operand, Ref)
    return operand.index


def _lines(module: torch.fx.GraphModule) -> dict[int, str]:
    """The user's line of each operation; a derivative shares its number with what it is the derivative of."""
    lines: dict[int, str] = {}
    for node in module.graph.nodes:
        text = node.meta.get("stack_trace")
        if text and not node.meta.get("autograd_backward") and node.meta.get("seq_nr", -1) >= 0:
            lines.setdefault(node.meta["seq_nr"], line_of(text))
    return lines
