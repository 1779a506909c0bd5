"""The recurrence compiler: any step, traced, planned and run as one operation on the whole sequence."""

from .engine import run_planned
from .fallback import run_auto, run_named

__all__ = ["run_auto", "run_named", "run_planned"]
