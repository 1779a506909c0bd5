"""Looking at a cell: what its step is to the compiler, how it is run, and the C that runs it."""

from .explain import Explanation, explain

__all__ = ["Explanation", "explain"]
