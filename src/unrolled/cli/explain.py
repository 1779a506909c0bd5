"""Show what the compiler makes of a cell."""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from .. import cells
from ..core import Cell, InputError, UnrolledError, UnsupportedStep
from ..inspection import explain
from ..layers import Recurrent
from ..tasks.cells import cell_factory, first_step, is_own, plain_name

SIZE = 128  # features, where none are asked for
BY_REFERENCE = "With backend='auto' the reference runs it, step by step."
DTYPES = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Sizes:
    """The sizes asked for; None: not asked for."""

    input_size: int | None
    hidden_size: int | None


def cell_names() -> list[str]:
    """The cells of the library, by the names of their classes."""
    return sorted(_classes())


def show(
    choice: str,
    sizes: Sizes,
    dtype: str,
    *,
    stage: str,
    backward: bool,
    steps: int,
    batch_size: int,
    whole: bool,
    as_json: bool,
) -> int:
    """Print one stage of a cell.

    Args:
        choice: a cell of the library, or a file and a class of one's own, ``path.py:ClassName``.
        sizes: those of the constructor.
        dtype: of the parameters, the input and the state.
        stage: as in :func:`unrolled.explain`, and so are
        backward: whether gradients are wanted,
        steps: T and
        batch_size: B of the example, and
        whole: the C with the part that is not generated.
        as_json: for programs.
    """
    cell, x = checked(choice, sizes, dtype)
    x = None if x is None else x.requires_grad_(backward)
    state = None if x is not None else cell.initial_state(1)
    try:
        found = explain(cell, x, state, stage=stage, backward=backward, steps=steps, batch_size=batch_size, whole=whole)
    except UnsupportedStep as error:
        raise UnsupportedStep(f"{error} {BY_REFERENCE}") from error
    print(json.dumps(found.to_dict()) if as_json else found)
    return 0


def checked(choice: str, sizes: Sizes, dtype: str) -> tuple[Any, torch.Tensor | None]:
    """The cell in this dtype and an input, None if it takes none; one of one's own has done a step.

    Raises:
        InputError: an unknown dtype or cell, or a size that the cell does not have.
        DataError: a cell of one's own is at fault.
    """
    if dtype not in DTYPES:
        raise InputError(f"--dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}.")
    kind: torch.dtype = getattr(torch, dtype)
    cell, features = made_for(choice, sizes)  # what is wrong with it is said before what is wrong with compiling it
    return cell.to(kind), None if features is None else torch.zeros(1, 1, features, dtype=kind)


def made_for(choice: str, sizes: Sizes) -> tuple[Any, int | None]:
    """As :func:`_made`, with what is wrong said of the argument; one of the user's own has taken its first step."""
    with _for_the_argument():
        cell, features = _made(choice, sizes)
        if is_own(choice):
            with first_step(choice), torch.no_grad():
                Recurrent(cell, backend="reference")(torch.zeros(1, 1, features or 0))
    return cell, features


def _made(choice: str, sizes: Sizes) -> tuple[Any, int | None]:
    """The cell, made with the sizes that its class takes, and the features of its input."""
    features, hidden_size = sizes.input_size or SIZE, sizes.hidden_size or SIZE
    if is_own(choice):
        cell: Any = cell_factory(choice, hidden_size)(features)  # whatever the class makes
        if not isinstance(cell, torch.nn.Module):
            name = choice.rpartition(":")[2]
            raise InputError(f"CELL: expected {name} to be a class of modules, such as unrolled.Cell.")
        return cell, features
    kind = class_of(choice)
    if kind is None:
        raise InputError(
            f"CELL: expected one of {', '.join(cell_names())}, or path.py:ClassName of your own, got {choice!r}."
        )
    return make(kind, sizes), features if "input_size" in inspect.signature(kind).parameters else None


def make(kind: type[torch.nn.Module], sizes: Sizes) -> torch.nn.Module:
    """A cell of the library, with those sizes that its constructor takes.

    Raises:
        InputError: it needs more than sizes, or has no place for one that was asked for.
    """
    parameters = inspect.signature(kind).parameters
    others = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in ("input_size", "hidden_size")
    ]
    if others:
        raise InputError(
            f"CELL: expected a class that is made of input_size and hidden_size, got {kind.__name__}, which needs "
            f"{', '.join(others)} too; make it in Python and call unrolled.explain(cell)."
        )
    given = {}
    for name, size in (("input_size", sizes.input_size), ("hidden_size", sizes.hidden_size)):
        if name in parameters:
            given[name] = size or SIZE
        elif size is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag}: expected none, since {kind.__name__} has no {name}, got {size}; leave it out.")
    return kind(**given)


def class_of(choice: str) -> type[Cell] | None:
    """The cell of the library of this name; None if there is none."""
    return {plain_name(name): kind for name, kind in _classes().items()}.get(plain_name(choice))


def _classes() -> dict[str, type[Cell]]:
    every = {name: getattr(cells, name) for name in cells.__all__}
    return {name: kind for name, kind in every.items() if isinstance(kind, type) and issubclass(kind, Cell)}


@contextmanager
def _for_the_argument() -> Iterator[None]:
    """The loader of the text task speaks of its option --cell; here the cell is an argument."""
    try:
        yield
    except UnrolledError as error:
        raise type(error)(str(error).replace("--cell", "CELL", 1)) from error
