"""A step's equations, read off its trace."""

from .equations import Equations, equations

__all__ = ["Equations", "equations"]
