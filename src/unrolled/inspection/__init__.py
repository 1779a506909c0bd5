"""Looking at a cell: its equation, what its step is to the compiler, how it runs; and at how far a memory reaches."""

from .diagnose import Diagnosis, diagnose
from .equation import Equations, equations
from .explain import Explanation, explain

__all__ = ["Diagnosis", "Equations", "Explanation", "diagnose", "equations", "explain"]
