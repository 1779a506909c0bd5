"""The graph of one step, as torch.compile has traced it: read, compiled, and put in place of the sequence.

A graph is read once (:func:`_read`): which of its arguments are rows of the input, the state, or closed over, and what
of it is the step. Where it runs, or a backend traces it, the step's kernels are found by the kinds of the tensors that
are given, and the whole sequence becomes one call of ``unrolled::sequence``; or else the loop of the reference.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import tracing
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.weak import WeakIdKeyDictionary

from ..core import Tree, UnrolledError, Unrolling, UnsupportedStep, leaves, run_reference
from .build import wanted_gradients
from .context import check_context
from .fallback import is_no_refusal, say
from .graph import Graph
from .operator import sequence
from .portable import ready, write
from .recent import Recent
from .rewrite import rewrite
from .trace import trace


@dataclass(frozen=True)
class _Lowered:
    """What is known of the graph of one step."""

    roles: tuple[tuple[int, ...], ...]  # places among the arguments: of x, state, reset, spare
    valid: int | None
    restart: int | None
    steps: Any  # where there is no x: a place, in a list, or a number
    reverse: bool
    window: int
    closed: tuple[int, ...]
    sizes: tuple[int, ...]  # places of numbers of rows that the step reads
    numbers: tuple[int, ...]  # places of attributes that are floats and come as tensors
    step: fx.GraphModule  # (x, state, closed, sizes, numbers) -> (output, after)
    outputs: int
    order: tuple[int, ...]  # what the node returns, each one of outputs and last state
    single: bool  # that itself, not a tuple of it
    own_texts: Recent[Any] = field(default_factory=lambda: Recent(16))  # where the graph is like no other


def lower(module: fx.GraphModule, given: tuple[Any, ...], named: bool) -> Any:
    """Run the node of a sequence: ``module`` is the graph of its step, ``given`` are the arguments of both."""
    lowered = _LOWERED.get(module)
    if lowered is None:
        lowered = _LOWERED[module] = _read(module)
    flat = _run(lowered, given, named)
    results = tuple(flat[k] for k in lowered.order)
    return results[0] if lowered.single else results


def _run(step: _Lowered, given: tuple[Any, ...], named: bool) -> list[Tensor]:
    """Leaves of outputs and last state, by the operator or else by the loop."""
    x, state, reset, spare = ([given[k] for k in places] for places in step.roles)
    closed = [given[k] for k in step.closed]
    sizes, numbers = [given[k] for k in step.sizes], [float(given[k].item()) for k in step.numbers]
    run = Unrolling(
        x=tuple(x) or None,
        state=tuple(state),
        steps=x[0].shape[0] if x else given[step.steps[0]] if isinstance(step.steps, list) else step.steps,
        batch_size=state[0].shape[0],
        valid=None if step.valid is None else given[step.valid],
        restart=None if step.restart is None else given[step.restart],
        reset_state=tuple(reset or state),
        spare_state=tuple(spare or state),
        reverse=step.reverse,
        truncated_bptt_steps=step.window or None,
    )
    try:
        check_context(run, compiled=True)
        text, used = _text(step, run, closed, sizes, numbers)
        return call_operator(run, used, text, keep=not is_exporting())[: step.outputs + len(state)]
    except Exception as error:
        if named or is_no_refusal(error):
            raise
        reason = str(error) if isinstance(error, UnrolledError) else f"{type(error).__name__}: {error}"

    def one(x: Any, state: Any) -> tuple[Tree, Tree]:
        made = step.step(*(x or ()), *state, *closed, *sizes, *numbers)
        return tuple(made[: step.outputs]), tuple(made[step.outputs :])

    results = run_reference(one, run)
    say(reason)
    return [*leaves(results[0]), *leaves(results[1])]


def call_operator(run: Unrolling, closed: list[Tensor], text: str, *, keep: bool) -> list[Tensor]:
    """The operator's call for a run."""
    tensors = [*leaves_of(run.x), *leaves(run.state), *leaves(run.reset_state), *closed]
    tensors += leaves(run.spare_state) if run.valid is not None else []
    window = run.truncated_bptt_steps or 0
    keep = keep and ready(text).known.plan.backward is not None
    return sequence(tensors, run.valid, run.restart, run.steps, run.reverse, window, keep, text)


def _text(
    step: _Lowered, run: Unrolling, closed: list[Tensor], sizes: list[Any], numbers: list[float]
) -> tuple[str, list[Tensor]]:
    """The step's text, for these kinds of tensors, and those that it uses; what is refused is remembered too."""
    rows = run.batch_size
    if not all(_is_same(size, rows) for size in sizes):
        raise UnsupportedStep("step reads a size that changes from call to call and is not that of the batch.")
    kinds = [kind_of(leaf, 2) for leaf in leaves_of(run.x)] + [kind_of(leaf, 1) for leaf in leaves(run.state)]
    fixed = [kind_of(leaf, 0, rows) for leaf in closed]
    about = (wanted_in(run, closed), len(kinds), *kinds, *fixed, *map(repr, numbers))
    code = _code(step.step)
    texts, key = step.own_texts if code is None else _TEXTS, (code, about, torch.get_default_dtype())
    found = texts.get(key)
    if found is None:
        try:
            with untraced():
                graph, used = _graph(step, kinds, fixed, numbers)
                found = write(graph, wanted_in(run, [closed[k] for k in used])), used
                ready(found[0])
        except UnsupportedStep as error:
            found = UnsupportedStep(*error.args)
        texts.put(key, found)
    if isinstance(found, UnsupportedStep):
        raise UnsupportedStep(*found.args)
    return found[0], [closed[k] for k in found[1]]


def is_exporting() -> bool:
    """Whether torch.export traces."""
    return bool(getattr(torch.compiler, "is_exporting", bool)())


def wanted_in(run: Unrolling, closed: list[Tensor]) -> tuple[bool, ...] | None:
    """Which gradients are wanted; of an exported program, whose inputs may be others, those of all inputs."""
    wanted = wanted_gradients(run, closed)
    if wanted is None or not is_exporting():
        return wanted
    return (*(True for _ in wanted[: len(wanted) - len(closed)]), *(leaf.requires_grad for leaf in closed))


def kind_of(leaf: Tensor, skip: int, rows: Any = None) -> tuple[Any, ...]:
    """Sizes of features, which stay what they are, dtype and whether there is a gradient."""
    if any(_is_same(size, rows) for size in leaf.shape[skip:]):
        raise UnsupportedStep("step closes over a tensor with a row for each of the batch: give it as input or state.")
    if leaf.device.type != "cpu":
        raise UnsupportedStep(f"kernels run on the CPU; the step reads a tensor on {leaf.device}.")
    return tuple(map(int, leaf.shape[skip:])), leaf.dtype, leaf.requires_grad


def _is_same(size: Any, rows: Any) -> bool:
    """Whether a size is the number of rows, in a trace in which that is no fixed number."""
    both = isinstance(size, torch.SymInt) and isinstance(rows, torch.SymInt)
    return both and bool(size.node.expr == rows.node.expr)


def _code(module: fx.GraphModule) -> str | None:
    """What tells a graph from others: its text, if all that it calls is PyTorch's; else None."""
    for node in module.graph.nodes:
        home = getattr(node.target, "__module__", None) or ""
        known = isinstance(node.target, (str, BuiltinFunctionType, torch._ops.OpOverload)) or home.startswith("torch")
        if node.op in ("get_attr", "call_module") or not known:
            return None
    return str(module.code)


def _graph(step: _Lowered, kinds: list[Any], fixed: list[Any], numbers: list[float]) -> tuple[Graph, tuple[int, ...]]:
    """The step as a graph of ours, and which tensors it uses; traced on tensors of one row that nobody reads."""
    x, state = one_row(kinds, len(step.roles[0]))
    closed = tuple(torch.empty(shape, dtype=dtype, requires_grad=grad) for shape, dtype, grad in fixed)

    def one(x: Any, state: Any) -> tuple[Tree, Tree]:
        rows = [state[0].shape[0]] * len(step.sizes)
        made = step.step(*(x or ()), *state, *closed, *rows, *numbers)
        return tuple(made[: step.outputs]), tuple(made[step.outputs :])

    names = tuple(f"tensor {k}" for k in range(len(closed)))
    traced = trace(one, x or None, state, closed, names)
    return rewrite(traced.graph), traced.closed


def one_row(kinds: list[Any], inputs: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Tensors of x, one step of one row, and of the state."""
    made = [torch.empty((1, *shape), dtype=dtype, requires_grad=grad) for shape, dtype, grad in kinds]
    return tuple(leaf.unsqueeze(0) for leaf in made[:inputs]), tuple(made[inputs:])


def leaves_of(tree: Tree | None) -> list[Tensor]:
    """The tensors of a tree, or none."""
    return [] if tree is None else leaves(tree)


def untraced() -> Any:
    """A context in which nobody records what is computed."""
    stack = ExitStack()
    stack.enter_context(_disable_current_modes())
    stack.enter_context(tracing(None))
    return stack


def _read(module: fx.GraphModule) -> _Lowered:
    """What stands in the graph of one step."""
    nodes: list[Any] = list(module.graph.nodes)
    graph = fx.Graph()
    places = {node: k for k, node in enumerate(n for n in nodes if n.op == "placeholder")}
    mark = next(node for node in nodes if node.target in (torch.ops.unrolled.steps, torch.ops.unrolled.steps.default))
    x, now, state, reset, spare, valid, restart, output, after, steps, reverse, window = mark.args
    roles = [node for part in (x, state, reset, spare) for node in part]
    roles += [node for node in (valid, restart) if node is not None]
    copies: dict[fx.Node, fx.Node] = {}
    for node in [*now, *state]:
        copies[node] = graph.placeholder(node.name)
    body = _needed([*output, *after], set(copies))
    others = [node for node in places if node in body and node not in roles and node not in copies]
    closed = [node for node in others if isinstance(node.meta.get("example_value"), Tensor)]
    numbers = [node for node in module.graph.nodes if node in body and _is_attribute(node, others)]
    closed = [node for node in closed if any(user not in numbers for user in node.users)]
    sizes = [node for node in others if not isinstance(node.meta.get("example_value"), Tensor)]
    for node in [*closed, *sizes, *numbers]:
        copies[node] = graph.placeholder(node.name)
    for node in module.graph.nodes:  # all of them: some only change a tensor in place, or the mode of gradients
        if node in copies or node is mark or node.op in ("placeholder", "output"):
            continue
        if all(other in copies for other in node.all_input_nodes):
            copies[node] = graph.node_copy(node, lambda n: copies[n])
        elif node in body:
            raise UnsupportedStep("step reads more of its input than the row of one time step.")
    graph.output(tuple(copies[node] for node in [*output, *after]))
    results: Any = nodes[-1].args[0]
    single = isinstance(results, fx.Node)
    return _Lowered(
        roles=tuple(tuple(places[node] for node in part) for part in (x, state, reset, spare)),
        valid=None if valid is None else places[valid],
        restart=None if restart is None else places[restart],
        steps=[places[steps]] if isinstance(steps, fx.Node) else steps,
        reverse=reverse,
        window=window,
        closed=tuple(places[node] for node in closed),
        sizes=tuple(places[node] for node in sizes),
        numbers=tuple(places[node.all_input_nodes[0]] for node in numbers),
        step=fx.GraphModule(module, graph),
        outputs=len(output),
        order=tuple(node.args[1] for node in ([results] if single else results)),
        single=single,
    )


def _is_attribute(node: fx.Node, others: list[fx.Node]) -> bool:
    """Whether a node is a float of Python, which torch.compile gives as a tensor once it has changed."""
    value = node.meta.get("example_value")
    from_tensor = node.op == "call_method" and node.target == "item" and node.args[0] in others
    return from_tensor and isinstance(value, torch.SymFloat) and bool(value.node.has_hint())


def _needed(results: list[fx.Node], stop: set[fx.Node]) -> set[fx.Node]:
    """The nodes of which results are computed."""
    found: set[fx.Node] = set()
    waiting = list(results)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            if node not in stop:
                waiting.extend(node.all_input_nodes)
    return found


_LOWERED: Any = WeakIdKeyDictionary()
_TEXTS: Recent[Any] = Recent(256)
