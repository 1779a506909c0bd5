"""Looking at a cell or a model: what its step is to the compiler, how it is run, the C, and how far its memory reaches."""

from .diagnose import Diagnosis, diagnose
from .explain import Explanation, explain

__all__ = ["Diagnosis", "Explanation", "diagnose", "explain"]
