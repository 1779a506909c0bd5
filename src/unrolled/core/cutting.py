"""A run cut in time and put together again, forward and back, without a second copy of its sequences.

The gradient of an ordinary slice is as long as the whole sequence, and ``cat`` holds the pieces beside what it makes of
them. Here pieces are seen in one tensor and written to one, and so are their gradients.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .tree import Tree, check_dtypes, check_same, leaves, map_tree, unflatten
from .unrolling import Unrolling


def chunks(run: Unrolling, size: int) -> Iterator[Unrolling]:
    """A run cut after every ``size`` steps, in the order of processing. Run one after another, each from the
    state at the end of the one before (here each still has the first state), they are the whole.

    Run each before the next is asked for: autograd goes back in the order in which things were made, and so has
    written one chunk's gradient of x to its place before it makes another's.
    """
    rest = [] if run.x is None else leaves(run.x)
    for done in range(0, run.steps, size):
        times = _times(run, done, min(size, run.steps - done))
        taken = [_take(leaf, times) for leaf in rest]
        rest = [others for _, others in taken]
        yield replace(
            run,
            x=None if run.x is None else unflatten(run.x, [piece for piece, _ in taken]),
            valid=None if run.valid is None else run.valid[times],
            restart=None if run.restart is None else run.restart[times],
            steps=times.stop - times.start,
            done=run.done + done,
        )


def join(outputs: Iterable[Tree], run: Unrolling) -> Tree:
    """The outputs of a run, (T, B, ...), from those of its :func:`chunks`, given in the order of processing.

    Each is written to its place as it comes, so of an iterator only one is held beside the whole.

    Raises:
        InputError: they differ in more than their number of steps.
        InputTypeError: they differ in dtype.
    """
    whole, done = None, 0
    for output in outputs:
        if whole is None:
            whole = map_tree(lambda leaf: leaf.new_empty(run.steps, *leaf.shape[1:]), output)
        times = _times(run, done, len(leaves(output)[0]))
        done += times.stop - times.start
        name, place = f"output of step after {done} steps", map_tree(lambda leaf, at=times: leaf.detach()[at], whole)
        check_same(output, place, name, "A step must keep the shapes of its output.")
        check_dtypes(output, place, name, "A step must keep the dtypes of its output.")
        whole = map_tree(lambda leaf, piece, at=times: _put(leaf, piece, at), whole, output)
    return whole


def _times(run: Unrolling, done: int, count: int) -> slice:
    """Where these many steps stand in time, of which so many were processed before them."""
    first = done if not run.reverse else run.steps - done - count
    return slice(first, first + count)


def _take(whole: Tensor, times: slice) -> tuple[Tensor, Tensor]:
    """Some steps of a sequence, and the sequence to take others from."""
    if not whole.requires_grad or _is_transformed():
        return whole[times], whole
    return _Take.apply(whole, times)  # type: ignore[no-any-return]


def _put(whole: Tensor, piece: Tensor, times: slice) -> Tensor:
    """The sequence with these steps, that nobody has written yet."""
    if _is_transformed():
        return whole.slice_scatter(piece, 0, times.start, times.stop)
    return _Put.apply(whole, piece, times)  # type: ignore[no-any-return]


def _is_transformed() -> bool:
    """Whether more is asked for than gradients: forward-mode differentiation, or a graph of all operations."""
    return forward_ad._current_level >= 0 or torch.compiler.is_compiling()


class _Take(torch.autograd.Function):
    """A sequence -> some of its steps, and the sequence for who takes others."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, times: slice) -> tuple[Tensor, Tensor]:
        ctx.times, ctx.shape = times, whole.shape
        ctx.set_materialize_grads(False)
        return whole[times], whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, d_piece: Tensor | None, d_whole: Tensor | None) -> tuple[Tensor | None, None]:
        """The gradient that comes from who took others is made here and nobody else's: what is missing is written."""
        if d_piece is None:
            return d_whole, None
        if d_whole is None:
            d_whole = d_piece.new_zeros(ctx.shape)
        if torch.is_grad_enabled():
            return d_whole.slice_scatter(d_piece, 0, ctx.times.start, ctx.times.stop), None
        d_whole[ctx.times] = d_piece
        return d_whole, None


class _Put(torch.autograd.Function):
    """A sequence and some steps -> the sequence with these steps in it."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, piece: Tensor, times: slice) -> Tensor:
        ctx.times = times
        ctx.mark_dirty(whole)
        whole[times] = piece
        return whole

    @staticmethod
    def backward(ctx: Any, d_whole: Tensor) -> tuple[Tensor, Tensor, None]:
        """What stood there before is read by nobody, so its gradient need not be zero."""
        return d_whole, d_whole[ctx.times], None
