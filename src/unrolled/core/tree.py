"""States, inputs and outputs are trees: a tensor, or a nested tuple / NamedTuple of tensors."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from torch import Tensor

from .errors import InputError, InputTypeError

Tree: TypeAlias = Any  # Tensor | tuple[Tree, ...]; a recursive alias would need Python 3.12


def rebuild(tree: tuple[Any, ...], children: list[Any]) -> Any:
    """A tuple of the same type as ``tree`` (NamedTuples keep their names) with these children."""
    return type(tree)(*children) if hasattr(tree, "_fields") else tuple(children)


def map_tree(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """``function`` of every tensor of ``tree`` and its counterparts; the result has ``tree``'s structure."""
    if isinstance(tree, tuple):
        rows = zip(tree, *others, strict=True)
        return rebuild(tree, [map_tree(function, *row) for row in rows])
    return function(tree, *others)


def named_leaves(tree: Tree, name: str) -> list[tuple[str, Tensor]]:
    """The tensors of a tree, each with the name by which an error can speak of it (``state.c``, ``x[1]``).

    Raises:
        InputTypeError: if there is anything but tensors in (nested) tuples.
    """
    if isinstance(tree, Tensor):
        return [(name, tree)]
    if not isinstance(tree, tuple):
        raise InputTypeError(f"{name}: expected a tensor or a (nested) tuple of tensors, got {type(tree).__name__}.")
    fields = getattr(tree, "_fields", None)
    names = [f"{name}.{f}" for f in fields] if fields else [f"{name}[{i}]" for i in range(len(tree))]
    return [leaf for child, child_name in zip(tree, names, strict=True) for leaf in named_leaves(child, child_name)]


def leaves(tree: Tree) -> list[Tensor]:
    """The tensors of a tree, depth first."""
    if isinstance(tree, tuple):
        return [leaf for child in tree for leaf in leaves(child)]
    return [tree]


def unflatten(tree: Tree, tensors: Iterable[Tensor]) -> Tree:
    """A tree of ``tree``'s structure with these tensors, given in the order of :func:`leaves`."""
    remaining = iter(tensors)
    return map_tree(lambda _: next(remaining), tree)


def keep_names(tree: Tree, named: Tree) -> Tree:
    """``tree``, its plain tuples made the NamedTuples that stand in their places in ``named``."""
    if not isinstance(tree, tuple):
        return tree
    children = [keep_names(child, other) for child, other in zip(tree, named, strict=True)]
    return rebuild(named if hasattr(named, "_fields") else tree, children)


def describe(tree: Tree) -> str:
    """The structure with its shapes, as an error message shows it: ``((2, 3), (2, 4))``."""
    if isinstance(tree, Tensor):
        return str(tuple(tree.shape))
    if isinstance(tree, tuple):
        return "(" + ", ".join(describe(child) for child in tree) + ("," if len(tree) == 1 else "") + ")"
    return type(tree).__name__


def check_same(found: Tree, expected: Tree, name: str, remedy: str) -> None:
    """Require the same structure and shapes; the class of a tuple (plain or named) is left free."""
    if not _same(found, expected):
        raise InputError(f"{name}: expected shapes {describe(expected)}, got {describe(found)}. {remedy}")


def check_dtypes(found: Tree, expected: Tree, name: str, remedy: str) -> None:
    """Require the same dtypes, of trees of the same structure."""
    for (leaf_name, a), b in zip(named_leaves(found, name), leaves(expected), strict=True):
        if a.dtype != b.dtype:
            raise InputTypeError(f"{leaf_name}: expected dtype {b.dtype}, got {a.dtype}. {remedy}")


def _same(a: Tree, b: Tree) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    return False
