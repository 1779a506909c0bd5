"""The command line: arguments to a call. Torch is imported only when a command runs."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code is 0, 1 for a failure, 2 for wrong usage, 130 when interrupted."""
    try:
        from .app import main as run
    except ModuleNotFoundError as error:
        print(f"unrolled: {error.name} is not installed; pip install 'unrolled[tasks]'.", file=sys.stderr)
        return 1
    return run(arguments)
