"""Every failure as one line on standard error: exit code 2 for wrong usage, 1 for anything else."""

import errno
import os
import sys
import traceback
from collections.abc import Callable


class UsageProblem(Exception):
    """The command line itself is wrong."""


def run(command: Callable[[], int], debug: bool) -> int:
    """The exit code of a command; what it raises is shown as one line, or with ``debug`` as a traceback."""
    try:
        return command()
    except BrokenPipeError:  # the reader of our output has gone, as in `unrolled generate RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except KeyboardInterrupt:
        print("\nunrolled: interrupted.", file=sys.stderr)
        return 128 + 2
    except Exception as error:  # noqa: BLE001 (no traceback reaches a user who did not ask for one)
        if debug:
            traceback.print_exc()
        message, code = _describe(error)
        print(f"unrolled: {' '.join(message.split())}", file=sys.stderr)
        return code


def _describe(error: Exception) -> tuple[str, int]:
    if isinstance(error, UsageProblem):
        return str(error), 2
    if hasattr(error, "format_message"):  # the command line parser's own
        hint = " See --help." if getattr(error, "exit_code", 1) == 2 else ""
        return error.format_message() + hint, getattr(error, "exit_code", 1)
    core = sys.modules.get("unrolled.core")
    if core is not None and isinstance(error, core.UnrolledError):
        return str(error), 2 if isinstance(error, core.InputError | core.InputTypeError) else 1
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        advice = "; free some space, nothing was left half-written" if error.errno == errno.ENOSPC else ""
        return f"{where}{error.strerror or error}{advice}.", 1
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; pip install 'unrolled[tasks]'.", 1
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "not enough memory; try a smaller --batch-size, --window or --hidden-size.", 1
    return f"unexpected {type(error).__name__}: {error} (--debug shows where; please report it)", 1
