"""Every failure as one line on standard error: exit code 2 for wrong usage, 1 for anything else."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from ..tasks import OWN_MODULE

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TOO_LARGE = ("allocate memory", "size calculation overflowed", "out of memory")


class UsageProblem(Exception):
    """The command line itself is wrong."""


def run(command: Callable[[], int], debug: bool) -> int:
    """The exit code of a command; what it raises is shown as one line, or with ``debug`` as a traceback."""
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            code = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # what is wrong with it must show here, not at the exit
        return code
    except BrokenPipeError:  # the reader of our output has gone, as in `unrolled generate RUN | head`
        _drop_output()
        return 128 + 13
    except KeyboardInterrupt:
        print("\nunrolled: interrupted.", file=sys.stderr)
        return 128 + 2
    except Exception as error:  # noqa: BLE001 (no traceback reaches a user who did not ask for one)
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError):
            _drop_output()
        message, code = _describe(error)
        if message:
            print(f"unrolled: {' '.join(message.split())}", file=sys.stderr)
        return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"unrolled: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _drop_output() -> None:
    """Where standard output cannot be written, what is still buffered must not fail once more at the exit."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: Exception) -> tuple[str, int]:
    if isinstance(error, UsageProblem):
        return str(error), 2
    if hasattr(error, "format_message"):  # the command line parser's own
        message = error.format_message()  # empty where the help text has been shown instead
        end = "" if message.endswith((".", "?")) else "."
        return f"{message}{end} See --help." if message else "", getattr(error, "exit_code", 2)
    core = sys.modules.get("unrolled.core")
    if core is not None and isinstance(error, core.UnrolledError):
        return str(error), 2 if isinstance(error, core.InputError | core.InputTypeError) else 1
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        advice = "; free some space, nothing was left half-written" if error.errno in _FULL else ""
        return f"{where}{error.strerror or error}{advice}.", 1
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; pip install 'unrolled[tasks]'.", 1
    if isinstance(error, MemoryError) or any(words in str(error) for words in _TOO_LARGE):
        return "not enough memory; try a smaller --batch-size, --window or --hidden-size.", 1
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    place = _own_place(error)
    if place:
        return f"--cell: {place}: {reason} (--debug shows the whole traceback).", 1
    return f"unexpected {reason} (--debug shows where; please report it).", 1


def _own_place(error: Exception) -> str:
    """The line of a cell of the user's own where an error arose, as ``path:line``; empty if elsewhere."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith(OWN_MODULE):
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
