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
import struct
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from ..core import Step, Unrolling, leaves, map_tree
from .engine import Planned, noted
from .fingerprint_recall import Recalled
from .function import Job, apply_to_tensors
from .graph import Graph
from .kernel import HABITS as USUAL_HABITS
from .kernel import Compiled
from .operations import RANDOM
from .runtime import pool, thread_count
from .stepper_text import Again, Held, checks, put_together

HABITS = (ctypes.c_long * 4)(32, 48, 2, 100_000)
"""For a single step: to call threads together pays only where it is large."""

_PLAIN = (Tensor, nn.Parameter)
_MOST_PACKS = 63  # bits of a number
_SMALL = 1 << 16  # numbers of a weight that is packed anew for each sequence: that takes no longer than to look at all
_MOST_BYTES = 1 << 20  # of sequences that nobody asks for
_POINTER = ctypes.sizeof(ctypes.c_void_p)


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
    if planned.scans is None or planned.scans.engine_for(run, thread_count()) is not None:
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
    held = Held()
    tests, xs, states = checks(held, recalled, run, function, backend, single)
    lines = [*tests, *_call(held, planned, closed, run, packs, xs, states, single)]
    return held.function(lines)


def _write_learning(
    known: tuple[Recalled, Planned, list[Tensor]], run: Unrolling, function: FunctionType, backend: str
) -> Again | None:
    """The same for a sequence with gradients; None where none are wanted, or random numbers are drawn."""
    recalled, planned, closed = known
    plan = planned.known.plan
    if plan.backward is None or any(node.op in RANDOM for node in plan.graph.nodes):
        return None
    held = Held()
    tests, xs, states = checks(held, recalled, run, function, backend, single=False)
    of_run = {name: map_tree(torch.empty_like, getattr(run, name)) for name in ("state", "reset_state", "spare_state")}
    empty = None if run.x is None else map_tree(lambda leaf: leaf.new_empty(0), run.x)
    of_step = planned.known.output, planned.known.after
    kept = held((replace(run, x=empty, **of_run), plan, planned.engine, *of_step, thread_count()))
    made = [f"o{k}" for k in range(len(plan.graph.output))], [f"n{k}" for k in range(len(states))]
    lines = [
        *tests,
        f"{', '.join((*made[0], *made[1]))}, = {held(apply_to_tensors)}({held(Job)}(cell.step, *{kept}), "
        f"{', '.join((*xs, *states, *states))}, *{held(tuple(closed))})",
        f"return {put_together(held, planned.known.output, iter(made[0]))}, "
        f"{put_together(held, planned.known.after, iter(made[1]))}",
    ]
    return held.function(lines)


def _call(
    held: Held,
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
        f"return {put_together(held, planned.known.output, iter(outputs.values()))}, "
        f"{put_together(held, planned.known.after, iter(after))}",
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
