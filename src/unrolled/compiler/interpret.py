"""Run a plan with torch, operation by operation: what a kernel must equal, and the phases around its loop."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..core import Unrolling, leaves, select
from .graph import Graph, Node, Ref, resize
from .operations import POINTWISE, PRODUCTS, RANDOM, REDUCTIONS, VIEWS
from .plan import Direction

if TYPE_CHECKING:
    from .function import Job

Values = dict[int, Any]


def evaluate(
    graph: Graph,
    order: Iterable[int],
    values: Values,
    rows: int,
    device: torch.device,
    products: Mapping[str, Callable[..., Any]] = PRODUCTS,
) -> None:
    """Compute these nodes, in this order, where the batch has this number of rows; adds to ``values``."""
    for index in order:
        if index not in values:
            node = graph.nodes[index]
            values[index] = compute(node, values, resize(node.shape, graph.batch, rows), device, products)


def compute(
    node: Node,
    values: Mapping[int, Any],
    shape: tuple[int, ...],
    device: torch.device,
    products: Mapping[str, Callable[..., Any]] = PRODUCTS,
) -> Any:
    """The value of one node, whose operands are known, in this shape."""
    args = tuple(_operand(arg, values) for arg in node.args)
    op = node.op
    if op in POINTWISE:
        return _pointwise(node, args, shape, device)
    if op in ("reshape", "expand"):
        return VIEWS[op](args[0], shape)
    if op in VIEWS:
        return VIEWS[op](*args)
    if op in PRODUCTS:
        return products[op](*args)
    if op in REDUCTIONS:
        return REDUCTIONS[op](*args, node.dtype)
    if op == "cat":
        return torch.cat(args[0], args[1])
    if op == "full":
        return torch.full(shape, args[0], dtype=node.dtype, device=device)
    if op == "iota":
        return torch.arange(shape[0], dtype=node.dtype, device=device)
    if op == "constant":
        return torch.tensor(args, dtype=node.dtype, device=device).reshape(shape)
    if op in RANDOM:
        return getattr(torch, op)(shape, dtype=node.dtype, device=device)
    return _aten(node, args)


def _operand(arg: Any, values: Mapping[int, Any]) -> Any:
    if isinstance(arg, Ref):
        return values[arg.index]
    return tuple(_operand(item, values) for item in arg) if isinstance(arg, tuple) else arg


NEED_TENSORS = frozenset({"maximum", "minimum", "atan2", "pow", "where", "and", "or", "xor"})


def _pointwise(node: Node, args: tuple[Any, ...], shape: tuple[int, ...], device: torch.device) -> Tensor:
    function = POINTWISE[node.op].torch
    given = [isinstance(arg, Tensor) for arg in args]
    if not any(given) or (node.op in NEED_TENSORS and not all(given)):
        first = next((arg for arg in args if isinstance(arg, Tensor) and arg.dtype != torch.bool), None)
        dtype = node.dtype if first is None else first.dtype
        args = tuple(arg if isinstance(arg, Tensor) else torch.tensor(arg, dtype=dtype, device=device) for arg in args)
    result: Tensor = function(*args)
    if result.dtype != node.dtype:
        result = result.to(node.dtype)
    return result if result.shape == shape else result.expand(shape)


def _aten(node: Node, args: tuple[Any, ...]) -> Any:
    if node.op == "getitem":
        return args[0][args[1]]
    kwargs: dict[str, Any] = {}
    if args and isinstance(args[-1], tuple) and args[-1][:1] == ("kwargs",):
        kwargs, args = dict(args[-1][1:]), args[:-1]
    namespace, packet, overload = node.op.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload)(
        *[list(arg) if isinstance(arg, tuple) else arg for arg in args], **kwargs
    )


class Interpreter:
    """A plan run by torch, its loop as a Python loop over the nodes."""

    owns_state = False

    def forward(
        self, job: "Job", values: Values, state: list[Tensor], reset: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor], list[Tensor]]:
        """Forward in time; what is computed is added to ``values`` as sequences (T·B rows).

        Returns:
            Nothing that is not in ``values``, the state after the last step, and what is kept for the way back.
        """
        plan, run = job.plan, job.run
        graph, part, rows = plan.graph, plan.forward, run.steps * run.batch_size
        evaluate(graph, part.before, values, rows, state[0].device)
        spare = leaves(run.spare_state)
        columns: dict[int, list[Tensor]] = {index: [None] * run.steps for index in part.writes}  # type: ignore[list-item]
        for t in run.times():
            if run.restart is not None:
                state = [select(run.restart[t], r, s) for r, s in zip(reset, state, strict=True)]
            seen = state
            if run.valid is not None:
                seen = [select(run.valid[t], s, p) for s, p in zip(state, spare, strict=True)]
            here = self._at(graph, part, values, run, t)
            here.update(zip(graph.state, seen, strict=True))
            evaluate(graph, part.loop, here, run.batch_size, state[0].device)
            after = [here[index] for index in graph.new_state]
            if run.valid is not None:
                after = [select(run.valid[t], a, s) for a, s in zip(after, state, strict=True)]
            state = after
            for index, column in columns.items():
                column[t] = here[index]
        _gather(graph, columns, values)
        evaluate(graph, part.after, values, rows, state[0].device)
        return {}, state, [values[index] for index in plan.saved] if plan.backward is not None else []

    def backward(
        self, job: "Job", values: Values, kept: list[Tensor], adjoint: list[Tensor | None], shapes: list[Tensor]
    ) -> tuple[dict[int, Tensor], list[Tensor | None], list[Tensor | None]]:
        """Back through time; what is computed is added to ``values`` as sequences (T·B rows).

        Returns:
            Nothing that is not in ``values``, and the gradients of the first state and of the state of the resets.
        """
        plan, run = job.plan, job.run
        graph, part, rows = plan.graph, plan.backward, run.steps * run.batch_size
        assert part is not None
        values.update(zip(plan.saved, kept, strict=True))
        evaluate(graph, part.before, values, rows, shapes[0].device)
        columns: dict[int, list[Tensor]] = {index: [None] * run.steps for index in part.writes}  # type: ignore[list-item]
        resets: list[Tensor | None] = [None] * len(adjoint)
        carried = list(adjoint)
        times = list(run.times())
        for done in range(run.steps - 1, -1, -1):
            t = times[done]
            here = self._at(graph, part, values, run, t)
            held: list[Tensor | None] = [None] * len(carried)
            for k, index in enumerate(graph.d_new_state):
                if index is None:
                    continue
                here[index] = carried[k] if carried[k] is not None else torch.zeros_like(shapes[k])
                if run.valid is not None:
                    nothing = torch.zeros_like(here[index])
                    held[k] = select(run.valid[t], nothing, here[index])
                    here[index] = select(run.valid[t], here[index], nothing)
            evaluate(graph, part.loop, here, run.batch_size, shapes[0].device)
            for k, index in enumerate(graph.d_state):
                grad = None if index is None else here[index]
                if grad is not None and run.valid is not None:
                    grad = select(run.valid[t], grad, torch.zeros_like(grad))
                grad = _plus(grad, held[k])
                if grad is not None and run.restart is not None:
                    nothing = torch.zeros_like(grad)
                    resets[k] = _plus(resets[k], select(run.restart[t], grad, nothing))
                    grad = select(run.restart[t], nothing, grad)
                carried[k] = None if run.cuts(done) else grad
            for index, column in columns.items():
                column[t] = here[index]
        _gather(graph, columns, values)
        evaluate(graph, part.after, values, rows, shapes[0].device)
        return {}, carried, resets

    @staticmethod
    def _at(graph: Graph, part: Direction, values: Values, run: Unrolling, t: int) -> Values:
        here = {index: values[index] for index in part.constants}
        for index in part.reads:
            here[index] = values[index].narrow(graph.sequence_axis(index), t * run.batch_size, run.batch_size)
        return here


def _gather(graph: Graph, columns: dict[int, list[Tensor]], values: Values) -> None:
    for index, column in columns.items():
        values[index] = torch.cat(column, graph.sequence_axis(index))


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return a if b is None else b
    return a + b
