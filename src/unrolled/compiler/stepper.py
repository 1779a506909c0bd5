"""The same call again and again, one time step of a stream or a whole sequence: prepared once.

The usual path settles arguments, looks for a plan and packs weights at every call, which takes longer than a small step
itself. Here that is done once; what is left is a function, written for one step and one shape of its arguments, that
asks whether everything still is as it was, fills in the pointers and calls the kernel. With gradients it calls the one
differentiable operation that a sequence is.

Weights stay packed from call to call. A pack is used again only if its weight is the same tensor with the same
metadata, address and version, and if samples of it agree with the pack, which the kernel looks at: a write through
``.data`` does not raise the version. Otherwise the weight is packed anew.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from types import BuiltinMethodType, FunctionType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from ..core import Step, Tree, Unrolling, leaves, map_tree
from .context import is_plain_context
from .engine import Planned, noted
from .fingerprint_recall import Recalled
from .fingerprint_watch import metadata_check
from .function import Job, apply_to_tensors
from .graph import Graph
from .kernel import HABITS as USUAL_HABITS
from .kernel import Compiled
from .operations import RANDOM
from .runtime import pool, thread_count

Again: TypeAlias = Callable[[dict[str, Any], Tree, Tree], tuple[Tree, Tree] | None]
"""From the attributes of a layer, x and the state to what its call returns; None: go the usual way."""

HABITS = (ctypes.c_long * 4)(32, 48, 2, 100_000)
"""For a single step: to call threads together pays only where it is large."""

_PLAIN = (Tensor, nn.Parameter)
_MOST_PACKS = 63  # bits of a number
_SMALL = 1 << 16  # numbers of a weight that is packed anew for each sequence: that takes no longer than to look at all
_MOST_BYTES = 1 << 20  # of sequences that nobody asks for
_POINTER = ctypes.sizeof(ctypes.c_void_p)


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


@dataclass(eq=False)
class _Packs:
    """The packed weights of a plan, for all who run single steps of it, one at a time."""

    planned: Planned
    places: Any  # an array of their addresses
    memory: list[Tensor]
    turn: list[bool] = field(default_factory=lambda: [True])  # who takes it out may call
    seen: tuple[int, ...] = ()  # addresses and versions of the weights when they were packed


def make_again(step: Step, run: Unrolling, backend: str, *, single: bool) -> tuple[Recalled | None, Again | None]:
    """A function that runs sequences like this one; None where there can be none, or not yet.

    It holds the weights and all that the step reads, but not the object whose method the step is.

    Args:
        step: the method ``step`` of a layer's cell.
        run: a sequence without masks and resets, which has been run by the usual path.
        backend: the layer's own ``backend``, as it has to be.
        single: whether it is one time step, and x and the outputs have no axis for time.

    Returns:
        The step as it was read, and the function, which is of use for as long as the step is read so.
    """
    owner: Any = getattr(step, "__self__", None)
    function: Any = getattr(step, "__func__", None)
    known = noted(step, run)
    if known is None:
        return None, None
    recalled, planned, closed = known
    if getattr(type(owner), "step", None) is not function:
        return recalled, None
    if not isinstance(function, FunctionType):
        return recalled, None
    given = [*([] if run.x is None else leaves(run.x)), *leaves(run.state)]
    versions = not any(tensor.is_inference() for tensor in closed)  # those have none
    if not versions or not isinstance(planned.engine, Compiled) or not all(map(_is_readable, (*given, *closed))):
        return recalled, None
    if torch.is_grad_enabled():
        return recalled, _write_learning(known, run, function, backend)
    graph = planned.known.plan.graph
    unseen = {*planned.engine.source.forward.makes} - {*graph.output}
    size = sum(graph.row_size(index) * graph.nodes[index].dtype.itemsize for index in unseen)
    if not _is_all_in_one(graph, planned.engine) or size * run.steps * run.batch_size > _MOST_BYTES:
        return recalled, None
    return recalled, _write(known, run, function, backend, _packs_of(recalled, planned), single)


def _is_readable(tensor: Tensor) -> bool:
    """Whether C can read a tensor where it lies, now and, by its address and version, later on."""
    plain = type(tensor) in _PLAIN and tensor.layout is torch.strided and tensor.device.type == "cpu"
    return plain and tensor.is_contiguous() and tensor.numel() > 0 and not tensor.is_neg()


def _is_all_in_one(graph: Graph, engine: Compiled) -> bool:
    """Whether the kernel computes all of the step, from what is given to what is returned."""
    kernel, nodes = engine.source.forward, graph.nodes
    parts = kernel.parts
    moved = any(graph.sequence_axis(index) for index in (*kernel.reads, *kernel.makes))
    return (
        not (parts.first or parts.last or kernel.totals or moved)
        and {*kernel.reads} <= {*graph.x}
        and {*kernel.constants} <= {*graph.closed}
        and {*graph.output} <= {*kernel.makes}
        and len({*graph.output}) == len(graph.output)
        and len(kernel.carried) == len(graph.state)
        and len(kernel.packed) <= _MOST_PACKS
        and engine.forwards.is_wide
        and all(nodes[index].dtype == dtype for index, dtype in engine.forwards.constants)
    )


def _packs_of(recalled: Recalled, planned: Planned) -> _Packs:
    """Those that are kept with a step as it was read, or new ones."""
    key = ("packs", id(planned))
    known = recalled.notes.get(key)
    if isinstance(known, _Packs):  # which holds the plan: the number is still its own
        return known
    engine = planned.engine
    assert isinstance(engine, Compiled)
    memory = [torch.empty(size, dtype=torch.uint8, device="cpu") for size in _sizes(engine)]
    places = (ctypes.c_void_p * max(len(memory), 1))(*(block.data_ptr() for block in memory))
    made: _Packs = recalled.notes.setdefault(key, _Packs(planned, places, memory))
    return made


def _sizes(engine: Compiled) -> list[int]:
    """Bytes of each packed weight."""
    count = len(engine.source.forward.packed)
    sizes = (ctypes.c_long * max(count, 1))()
    engine.library.u_forward_packed(sizes)
    return list(sizes)[:count]


@dataclass
class _Held:
    """The things that the function names, by the names of the arguments with which it is made."""

    things: dict[str, Any] = field(default_factory=dict)

    def __call__(self, thing: Any) -> str:
        name = f"c{len(self.things)}"
        self.things[name] = thing
        return name


def _write(
    known: tuple[Recalled, Planned, list[Tensor]],
    run: Unrolling,
    function: FunctionType,
    backend: str,
    packs: _Packs,
    single: bool,
) -> Again:
    """The function as Python source, made once for all calls that are alike, with the things of this one."""
    recalled, planned, closed = known
    held = _Held()
    checks, xs, states = _checks(held, recalled, run, function, backend, single)
    lines = [*checks, *_call(held, planned, closed, run, packs, xs, states, single)]
    return _make(tuple(lines), len(held.things))(*held.things.values())


def _write_learning(
    known: tuple[Recalled, Planned, list[Tensor]], run: Unrolling, function: FunctionType, backend: str
) -> Again | None:
    """The same for a sequence with gradients; None where none are wanted, or random numbers are drawn."""
    recalled, planned, closed = known
    plan = planned.known.plan
    if plan.backward is None or any(node.op in RANDOM for node in plan.graph.nodes):
        return None
    held = _Held()
    checks, xs, states = _checks(held, recalled, run, function, backend, single=False)
    of_run = {name: map_tree(torch.empty_like, getattr(run, name)) for name in ("state", "reset_state", "spare_state")}
    empty = None if run.x is None else map_tree(lambda leaf: leaf.new_empty(0), run.x)
    of_step = planned.known.output, planned.known.after
    kept = held((replace(run, x=empty, **of_run), plan, planned.engine, *of_step, thread_count()))
    made = [f"o{k}" for k in range(len(plan.graph.output))], [f"n{k}" for k in range(len(states))]
    lines = [
        *checks,
        f"{', '.join((*made[0], *made[1]))}, = {held(apply_to_tensors)}({held(Job)}(cell.step, *{kept}), "
        f"{', '.join((*xs, *states, *states))}, *{held(tuple(closed))})",
        f"return {_put_together(held, planned.known.output, iter(made[0]))}, "
        f"{_put_together(held, planned.known.after, iter(made[1]))}",
    ]
    return _make(tuple(lines), len(held.things))(*held.things.values())


def _checks(
    held: _Held, recalled: Recalled, run: Unrolling, function: FunctionType, backend: str, single: bool
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


def _refuse(*conditions: str) -> str:
    return f"if {' or '.join(conditions)}: return None"


def _contexts(held: _Held, backend: str, reverse: bool, single: bool, *, native: bool) -> list[str]:
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


def _of_sequences(held: _Held) -> list[str]:
    """What more would be run another way of a whole sequence; a step has no time to ask for settings."""
    learning = "not grad_enabled()" if torch.is_grad_enabled() else "grad_enabled()"
    return [learning, f"named() != {held(_named())}"]


def _named() -> tuple[str | None, str | None]:
    """The settings that name a backend or an instruction set."""
    return os.environ.get("UNROLLED_BACKEND"), os.environ.get("UNROLLED_ISA")


def _take_apart(held: _Held, name: str, tree: Tree, names: Iterator[str]) -> list[str]:
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


def _put_together(held: _Held, tree: Tree, names: Iterator[str]) -> str:
    """The expression of a tree of this structure."""
    if not isinstance(tree, tuple):
        return next(names)
    children = "".join(f"{_put_together(held, child, names)}, " for child in tree)
    return f"{held(type(tree))}({children})" if hasattr(tree, "_fields") else f"({children})"


def _call(
    held: _Held,
    planned: Planned,
    closed: list[Tensor],
    run: Unrolling,
    packs: _Packs,
    xs: list[str],
    states: list[str],
    single: bool,
) -> list[str]:
    """Make the results, fill in the pointers and call the kernel."""
    graph, engine = planned.known.plan.graph, planned.engine
    assert isinstance(engine, Compiled)
    kernel, tensors = engine.source.forward, dict(zip(graph.closed, closed, strict=True))
    constants = {index: held(tensors[index]) for index in kernel.constants}
    rows = (run.batch_size,) if single else (run.steps, run.batch_size)
    shapes = {i: (*rows, *graph.row_shape(i)[1:]) for i in kernel.makes}
    outputs = {i: f"o{k}" for k, i in enumerate(graph.output)}
    others = {
        i: held(torch.empty(shape, dtype=graph.nodes[i].dtype, device="cpu"))
        for i, shape in shapes.items()
        if i not in outputs
    }
    after = [f"n{k}" for k in range(len(states))]
    made = [(name, shapes[i], graph.nodes[i].dtype) for i, name in outputs.items()]
    made += [(name, leaf.shape, leaf.dtype) for name, leaf in zip(after, leaves(run.state), strict=True)]
    weights = {i: f"a{k}" for k, i in enumerate(dict.fromkeys(kernel.packed))}
    pointers = [
        f"({weights[i]} := {name}.data_ptr())" if i in weights else f"{name}.data_ptr()"
        for i, name in constants.items()
    ]
    given = [xs[graph.x.index(i)] for i in kernel.reads]
    given += [outputs.get(i) or others[i] for i in kernel.makes]
    given += [name for pair in zip(states, after, strict=True) for name in pair]
    pointers += [f"{name}.data_ptr()" for name in given]
    alone = len(constants) + len(kernel.reads) + len(kernel.makes)
    layout = f"{alone}P" + f"2P{2 * _POINTER}x" * len(states)  # no resets, no masks
    habits = HABITS if single else USUAL_HABITS
    every = sum(1 << k for k, i in enumerate(kernel.packed) if single or tensors[i].numel() > _SMALL)
    numbers = (ctypes.c_long * 7)(run.steps, run.batch_size, run.reverse, 0, 0, thread_count(), every)
    places = (ctypes.c_void_p * (alone + 4 * len(states)))()
    call = f"{held(engine.library.u_forward_again)}({held(_arguments(engine, numbers, places, packs, habits))})"
    now = [*weights.values(), *(f"{constants[i]}._version" for i in weights)]
    seen, packed, turn = f"{held(packs)}.seen", f"{held(numbers)}[6]", held(packs.turn)
    return [
        f"try: {turn}.pop()",
        "except IndexError: return None",
        "try:",
        *(
            f"    {name} = empty({held(tuple(shape))}, {held(_stride(shape))}, {held(dtype)})"
            for name, shape, dtype in made
        ),
        f"    {held(struct.Struct(layout).pack_into)}({held(places)}, 0, {', '.join(pointers)})",
        f"    if {seen} == (now := ({', '.join([*now, '0'])})): {call}",
        "    else:",
        f"        {seen}, {packed} = None, 0",
        f"        {call}",
        f"        {seen}, {packed} = now, {every}",
        f"finally: {turn}.append(True)",
        f"return {_put_together(held, planned.known.output, iter(outputs.values()))}, "
        f"{_put_together(held, planned.known.after, iter(after))}",
    ]


class _Arguments(ctypes.c_void_p * 6):  # type: ignore[misc]
    """The fields of ``u_call``, and what keeps alive that to which they point."""

    held: tuple[Any, ...]


def _arguments(engine: Compiled, numbers: Any, places: Any, packs: _Packs, habits: Any) -> _Arguments:
    engine.library.u_forward_memory.restype = ctypes.c_long
    size = engine.library.u_forward_memory(numbers, habits) - sum(
        (block.numel() + 63) // 64 * 64 for block in packs.memory
    )
    memory = torch.empty(size, dtype=torch.uint8, device="cpu")
    arrays = (numbers, places, packs.places, pool(), habits)
    arguments = _Arguments(*map(ctypes.addressof, arrays), memory.data_ptr())
    arguments.held = (*arrays, memory)
    return arguments


def _stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    return torch.empty(shape, device="meta").stride()
