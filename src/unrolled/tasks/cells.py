"""Cells by the name that a user gives: one of the library's, or ``path.py:ClassName`` of one's own."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from ..cells._registry import made_of_two_sizes
from ..cells._registry import plain_name as plain_name  # for those who look cells up
from ..core import DataError, InputError, UnrolledError
from . import OWN_MODULE

NAMED: dict[str, type[nn.Module]] = {plain_name(name): kind for name, kind in made_of_two_sizes().items()}


def is_own(choice: str) -> bool:
    """Whether the choice names a file of the user's, which only the user may ask to run."""
    return ":" in choice


def cell_factory(choice: str, hidden_size: int) -> Callable[[int], nn.Module]:
    """A factory ``(input_size) -> cell`` for a name, or for ``path.py:ClassName``, which is run.

    Raises:
        InputError: an unknown name, or a choice that is not of these forms.
        DataError: the file is missing, fails to run, or has no such class.
    """
    if not is_own(choice):
        kind = NAMED.get(plain_name(choice))
        if kind is None:
            raise InputError(
                f"--cell: expected one of {', '.join(sorted(NAMED))}, or path.py:ClassName of your own, got {choice!r}."
            )
        return lambda input_size: kind(input_size, hidden_size)
    made = _load(choice)

    def factory(input_size: int) -> nn.Module:
        try:
            return made(input_size, hidden_size)
        except UnrolledError:
            raise
        except Exception as error:
            path, _, name = choice.rpartition(":")
            raise DataError(
                f"--cell: {_place(Path(path).resolve(), error)}: {name}({input_size}, {hidden_size}) failed: "
                f"{_described(error)}. It is called with (input_size, hidden_size)."
            ) from error

    return factory


@contextmanager
def first_step(choice: str) -> Iterator[None]:
    """What goes wrong when a cell of one's own does its first step, as an error that names its file.

    Raises:
        DataError: of the cell's own, with the line where there is one.
    """
    try:
        yield
    except DataError:  # it names the file already
        raise
    except Exception as error:
        if not is_own(choice):
            raise
        place = _place(Path(choice.rpartition(":")[0]).resolve(), error)
        if isinstance(error, UnrolledError):  # it says already what was expected
            raise DataError(f"--cell: {place}: {error}") from error
        raise DataError(
            f"--cell: {place}: its first step failed: {_described(error)}. "
            "A step takes x (B, I) and a state, and returns (output, state)."
        ) from error


def own_object(choice: str) -> Callable[..., object]:
    """What ``path.py:name`` names: the file is run.

    Raises:
        InputError: the choice is not of this form.
        DataError: the file is missing, fails to run, or has nothing of this name that can be called.
    """
    return _load(choice)


def _load(choice: str) -> Callable[[int, int], nn.Module]:
    path_text, _, name = choice.rpartition(":")
    path = Path(path_text).resolve()
    if path.suffix != ".py" or not name.isidentifier():
        raise InputError(f"--cell: expected path.py:ClassName, got {choice!r}.")
    if not path.is_file():
        raise DataError(f"--cell {choice}: there is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"{OWN_MODULE}{path.stem}", path)
    assert spec is not None  # a .py file always has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look it up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DataError(f"--cell: {_place(path, error)}: the file does not run: {_described(error)}.") from error
    made = getattr(module, name, None)
    if made is None:
        raise DataError(f"--cell {choice}: {path} defines no {name}.")
    if not callable(made):
        raise DataError(f"--cell {choice}: expected {name} to be a class, got {type(made).__name__}.")
    return made  # type: ignore[no-any-return]


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")


def _place(path: Path, error: BaseException) -> str:
    """The file, with the line of it where the error arose."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else str(path)
