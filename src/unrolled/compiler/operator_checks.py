"""What the operators of operator.py take and give: a kernel believes sizes and dtypes, so they are asked for here."""

from typing import Any

import torch
from torch import Tensor

from ..core import InputError
from .graph import resize
from .kernel import starts
from .portable import Portable

_MOST_THREADS = 4096


def check(step: Portable, tensors: list[Tensor], way: tuple[Any, ...]) -> None:
    """Require the tensors that the step was compiled for: a kernel trusts their sizes."""
    graph, (valid, restart, steps, *_) = step.known.plan.graph, way
    inputs, states = len(graph.x), len(graph.state)
    rows = next(iter(tensors[inputs].shape), 0) if len(tensors) > inputs else 0
    once, batch = [graph.nodes[i] for i in graph.state], graph.batch
    nodes = [*(graph.nodes[i] for i in graph.x), *once, *once, *(graph.nodes[i] for i in graph.closed), *once]
    shapes = [resize(node.shape, batch, rows) for node in nodes]
    shapes[:inputs] = [(steps, *shape) for shape in shapes[:inputs]]
    if valid is None:
        nodes, shapes = nodes[: len(nodes) - states], shapes[: len(shapes) - states]
    fits = steps >= 1 and len(nodes) == len(tensors)
    fits = fits and all(
        _fits(tensor, shape, node.dtype) for tensor, shape, node in zip(tensors, shapes, nodes, strict=True)
    )
    flags = [f for f in (valid, restart) if f is not None]
    if not (fits and all(_fits(flag, (steps, rows), torch.bool) for flag in flags)):
        raise InputError(
            f"unrolled::sequence: expected tensors on the CPU of shapes {shapes}, "
            f"got {[tuple(tensor.shape) for tensor in tensors]}."
        )


def check_way_back(
    step: Portable,
    grads: list[Tensor | None],
    given: int,
    needed: list[bool],
    kept: list[Tensor],
    steps: int,
    rows: int,
) -> None:
    """Likewise the gradients of outputs and last state, and what was kept."""
    shapes = result_shapes(step, steps, rows)
    fits = len(grads) == len(shapes) and len(needed) == given
    fits = fits and all(
        grad is None or _fits(grad, shape, dtype) for grad, (shape, dtype) in zip(grads, shapes, strict=True)
    )
    if not fits:
        raise InputError(
            f"unrolled::sequence_backward: expected gradients of shapes {[shape for shape, _ in shapes]}, or None, "
            f"got {[None if grad is None else tuple(grad.shape) for grad in grads]}, and {given} answers whether they "
            f"are needed, got {len(needed)}."
        )
    if kept:
        shapes = [*kept_shapes(step, steps, rows), ((), torch.int64)]
        fits = len(kept) == len(shapes)
        fits = fits and all(_fits(leaf, *shape) for leaf, shape in zip(kept, shapes, strict=True))
        if not (fits and 1 <= int(kept[-1]) <= _MOST_THREADS):
            raise InputError("unrolled::sequence_backward: expected what unrolled::sequence has kept.")


def _fits(tensor: Tensor, shape: tuple[Any, ...], dtype: torch.dtype) -> bool:
    return tuple(tensor.shape) == shape and tensor.dtype is dtype and tensor.device.type == "cpu"


def result_shapes(step: Portable, steps: Any, rows: Any) -> list[tuple[tuple[Any, ...], torch.dtype]]:
    """Outputs and last state."""
    graph = step.known.plan.graph
    shapes: list[tuple[tuple[Any, ...], torch.dtype]] = []
    for index in graph.output:
        axis = graph.sequence_axis(index)
        features = [size for d, size in enumerate(graph.row_shape(index)) if d != axis]
        shapes.append(((steps, rows, *features), graph.nodes[index].dtype))
    return shapes + [(resize(graph.nodes[i].shape, graph.batch, rows), graph.nodes[i].dtype) for i in graph.state]


def kept_shapes(step: Portable, steps: Any, rows: Any) -> list[tuple[tuple[Any, ...], torch.dtype]]:
    """What is kept for the way back, besides the number of threads."""
    graph, engine = step.known.plan.graph, step.engine
    block = engine.forwards.block
    shapes: list[tuple[tuple[Any, ...], torch.dtype]] = []
    if block:
        shapes.append(((starts(block, steps * rows)[1],), torch.uint8))
    for index in apart(step):
        node = graph.nodes[index]
        shapes.append((resize(node.shape, graph.batch, steps * rows), node.dtype))
    return shapes


def apart(step: Portable) -> list[int]:
    """The values kept as tensors of their own, but for those that were given."""
    graph = step.known.plan.graph
    return [index for index in step.engine.apart if index not in graph.x and index not in graph.closed]
