"""Looking at a cell: its equation, what its step is to the compiler, how it is run, and the C that runs it."""

from .equation import Equations, equations
from .explain import Explanation, explain

__all__ = ["Equations", "Explanation", "equations", "explain"]
