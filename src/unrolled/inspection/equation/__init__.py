"""A step's equations, read off its trace."""

from .front import Equations, equations

__all__ = ["Equations", "equations"]
