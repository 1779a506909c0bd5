"""Looking at a cell: what its step is to the compiler, how it runs, the C; and at how far a model's memory reaches."""

from .diagnose import Diagnosis, diagnose
from .explain import Explanation, explain

__all__ = ["Diagnosis", "Explanation", "diagnose", "explain"]
