"""The recurrence compiler: any step, traced, planned and run as one operation on the whole sequence."""

from .engine import run_planned

__all__ = ["run_planned"]
