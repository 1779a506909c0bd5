"""The graph of a step as one line of text, which can stand in a traced or exported program as an operator's argument.

Only the graph is in it: plan and C are made of it anew, or found on disk. Text may come from a file of somebody else,
so nothing of it is evaluated, and a graph is believed only when every node has been computed on tensors without data
and has the shape and dtype that it says; a kernel computes its addresses from these.
"""

import base64
import json
import math
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..core import InputError, UnrolledError, UnsupportedStep
from .codegen.source import generate
from .graph import Graph, Node, Ref
from .interpret import compute
from .kernel import Compiled
from .operations import POINTWISE, PRODUCTS, RANDOM, REDUCTIONS, VIEWS
from .plan import make_plan
from .recent import Recent
from .runtime import settings
from .stored import Known, decode, encode, find, store
from .trace import PRIMES

FORMAT = 1
_LARGEST = 1 << 24  # characters of a graph, unpacked
_MOST_ELEMENTS = 1 << 40  # of one value
_WORDS = ("Graph", "Node", "Ref", "dtype")  # all that a graph is made of, besides lists and numbers
_OWN = frozenset({*POINTWISE, *PRODUCTS, *REDUCTIONS, *VIEWS, "cat", "full", "iota", "constant", "input"})
_LISTS = ("x", "state", "closed", "output", "new_state", "d_output", "d_new_state", "d_x", "d_state", "d_closed")
_SAME = ("d_x", "d_state", "d_closed", "new_state", "d_output", "d_new_state")  # each as one of these:
_AS = ("x", "state", "closed", "state", "output", "new_state")


@dataclass(frozen=True)
class Portable:
    """A step that can be run, by the text of its graph."""

    known: Known
    engine: Compiled
    wanted: tuple[bool, ...] | None  # of which of x, state and closed tensors there is a gradient


def _version() -> str:
    """The library's, so that what another version of it has compiled is not taken for this one's."""
    version: str = sys.modules[__name__.partition(".")[0]].__version__
    return version


def write(graph: Graph, wanted: tuple[bool, ...] | None) -> str:
    """The text of a rewritten graph.

    Args:
        graph: the step.
        wanted: of which of x, state and closed tensors the gradient is wanted.

    Raises:
        UnsupportedStep: the step draws random numbers: a program may hold several such calls, of which a compiler
            would make one; or it holds something that has no text.
    """
    for node in graph.nodes:
        if node.op in RANDOM:
            raise UnsupportedStep(f"step draws random numbers{node.at}, inside torch.compile or torch.export.")
        if not _has_text(node):
            raise UnsupportedStep(f"step uses {node.op}{node.at}, inside torch.compile or torch.export.")
    bare = replace(graph, nodes=tuple(replace(node, where="") for node in graph.nodes))
    try:
        text = json.dumps([FORMAT, encode(bare), encode(wanted), _version()], separators=(",", ":"))
    except TypeError as error:
        raise UnsupportedStep(f"step holds an operation that has no text: {error}") from error
    if len(text) > _LARGEST:
        raise UnsupportedStep(
            f"step's graph is {len(text):,} characters, and inside torch.compile or torch.export at most {_LARGEST:,}: "
            "give a table of many numbers as a tensor, a buffer of the module."
        )
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def ready(text: str) -> Portable:
    """What runs the step of a text.

    Raises:
        InputError: it is no such text.
        UnsupportedStep: it cannot be compiled here.
    """
    key = (text, settings())
    found = _READY.get(key)
    if found is None:
        known = find(f"graph {text}")
        if known is None or known.source is None:
            graph, wanted = read(text)
            try:
                plan = make_plan(graph, wanted)
                known = Known(plan, (), None, None, generate(plan))
            except UnrolledError:
                raise
            except Exception as error:  # what no step leads to, but a text may
                raise InputError(f"a step in a saved program: no kernel can be made of it, {error!r}.") from error
            store(f"graph {text}", known)
        else:
            wanted = _unpack(text)[2]
        assert known.source is not None
        found = Portable(known, Compiled(known.source, known.plan), None if wanted is None else tuple(wanted))
        _READY.put(key, found)
    return found


def read(text: str) -> tuple[Graph, tuple[bool, ...] | None]:
    """The graph of a text, and of what a gradient is wanted.

    Raises:
        InputError: it is no such text, or of another version.
    """
    try:
        number, graph, wanted, _ = _unpack(text)
        if type(number) is not int or number != FORMAT:
            raise InputError(f"a step in a saved program: expected format {FORMAT}, got {number!r}. Export it again.")
        graph, wanted = decode(graph), decode(wanted)
        if type(graph) is not Graph:
            raise TypeError("no graph")
        _check(graph)
        count = len(graph.x) + len(graph.state) + len(graph.closed)
        flags = wanted is None or (len(wanted) == count and all(type(flag) is bool for flag in wanted))
        if not flags:
            raise TypeError("wanted gradients")
    except InputError:
        raise
    except Exception as error:  # whatever it is that a damaged text leads to
        raise InputError(f"a step in a saved program: expected the text of its graph, got {error!r}.") from error
    return graph, wanted


def _unpack(text: str) -> list[Any]:
    """Format, graph and wanted gradients; and our version, by which a compiler's cache tells other plans apart."""
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    if not unpacker.eof:
        raise ValueError("only a part of it, or too much")
    found: list[Any] = json.loads(plain, object_hook=_word)
    return found


def _word(found: dict[str, Any]) -> dict[str, Any]:
    """One that a graph is made of; no other class is looked for, and no module."""
    if len(found) != 1 or next(iter(found)) not in _WORDS:
        raise ValueError(f"the words {sorted(found)}")
    return found


def _check(graph: Graph) -> None:
    """Compute every node on tensors without data; then the lists of the graph."""
    if type(graph.batch) is not int or graph.batch not in PRIMES:
        raise ValueError(f"batch {graph.batch!r}")
    values: dict[int, Any] = {}
    meta = torch.device("meta")
    for index, node in enumerate(graph.nodes):
        _check_node(node, index)
        if node.op in ("input", "constant"):
            if node.op == "constant" and len(node.args) != math.prod(node.shape):
                raise ValueError(f"the numbers of node {index}")
            values[index] = torch.empty(node.shape, dtype=node.dtype, device=meta)
            continue
        if not _is_normal(node, graph):
            raise ValueError(f"the arguments of node {index}")
        made = compute(node, values, node.shape, meta)
        if not isinstance(made, Tensor) or tuple(made.shape) != node.shape or made.dtype != node.dtype:
            raise ValueError(f"node {index} is not what it says")
        values[index] = made
    _check_lists(graph)


def _check_node(node: Node, index: int) -> None:
    if type(node) is not Node or node.where != "" or not isinstance(node.dtype, torch.dtype):
        raise TypeError(f"node {index}")
    if not all(type(size) is int and 0 <= size < _MOST_ELEMENTS for size in node.shape):
        raise ValueError(f"the shape of node {index}")
    if math.prod(max(size, 1) for size in node.shape) >= _MOST_ELEMENTS:
        raise ValueError(f"the shape of node {index}")
    if not isinstance(node.op, str) or not (node.op in _OWN or node.op.startswith("aten.")):
        raise ValueError(f"operation {node.op!r}")
    for atom in _atoms(node.args):
        if isinstance(atom, Ref):
            if type(atom.index) is not int or not 0 <= atom.index < index:
                raise ValueError(f"an operand of node {index}")
        elif not _is_plain(atom):
            raise TypeError(f"an argument of node {index}: {atom!r}")


def _is_normal(node: Node, graph: Graph) -> bool:
    """Whether arguments are as a trace writes them: PyTorch knows others, such as an axis -1."""
    if node.op == "cat":
        parts, axis = node.args
        return bool(parts) and type(axis) is int and 0 <= axis < len(node.shape)
    if node.op not in VIEWS and node.op not in REDUCTIONS:
        return True
    source, *rest = node.args
    sizes = graph.nodes[source.index].shape
    if node.op in ("reshape", "expand"):
        return not rest
    if node.op == "slice":
        axis, start, stop, step = rest
        whole = all(type(number) is int for number in rest)
        return whole and 0 <= axis < len(sizes) and 0 <= start <= stop <= sizes[axis] and step >= 1
    (axes,) = rest
    inside = all(type(axis) is int and 0 <= axis < len(sizes) for axis in axes) and len({*axes}) == len(axes) >= 1
    if node.op == "permute":
        return len(axes) == len(sizes) and (inside or not sizes)
    return inside and (len(axes) == 1 or node.op not in ("prod", "argmax", "argmin"))


def _check_lists(graph: Graph) -> None:
    """Which nodes are inputs and results: as many and of the kinds that a caller gives and gets."""
    for name in _LISTS:
        found = getattr(graph, name)
        if type(found) is not tuple or not all((i is None and name.startswith("d_")) or type(i) is int for i in found):
            raise TypeError(name)
        if any(i is not None and not 0 <= i < len(graph.nodes) for i in found):
            raise ValueError(name)
    cotangents = [i for i in (*graph.d_output, *graph.d_new_state) if i is not None]
    inputs = sorted([*graph.x, *graph.state, *graph.closed, *cotangents])
    if not graph.state or inputs != [index for index, node in enumerate(graph.nodes) if node.op == "input"]:
        raise ValueError("the inputs")
    for name, other in zip(_SAME, _AS, strict=True):
        mine, theirs = getattr(graph, name), getattr(graph, other)
        if len(mine) != len(theirs) and (mine or not name.startswith("d_")):
            raise ValueError(name)
        for i, k in zip(mine, theirs, strict=False):
            if i is not None and _kind(graph, i) != _kind(graph, k):
                raise ValueError(f"the shapes of {name}")
    if any(graph.is_rows(index) for index in graph.closed):
        raise ValueError("rows that are closed over")
    if any(graph.sequence_axis(index) for index in (*graph.x, *graph.state)):
        raise ValueError("the rows of an input")
    for index in graph.output:
        graph.sequence_axis(index)


def _kind(graph: Graph, index: int) -> tuple[tuple[int, ...], torch.dtype]:
    return graph.nodes[index].shape, graph.nodes[index].dtype


def _has_text(node: Node) -> bool:
    known = node.op in _OWN or node.op.startswith("aten.")
    return known and all(isinstance(atom, Ref) or _is_plain(atom) for atom in _atoms(node.args))


def _is_plain(atom: Any) -> bool:
    return atom is None or type(atom) in (bool, int, float) or isinstance(atom, torch.dtype)


def _atoms(args: Any) -> Iterator[Any]:
    for arg in args:
        if isinstance(arg, tuple):
            yield from _atoms(arg)
        else:
            yield arg


_READY: Recent[Portable] = Recent(256)
