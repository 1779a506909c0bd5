"""A step's equations, read off its trace."""

from .front import equations
from .printed import Equations

__all__ = ["Equations", "equations"]
