"""The command line: arguments to a call. Torch is imported only when a command runs."""

from .app import main

__all__ = ["main"]
