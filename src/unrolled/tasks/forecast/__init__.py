"""Forecasting: train a network on many series, forecast them with intervals, measure it beside simple rules.

What is here is imported when it is first used, so that the command line can read ``tasks.forecast.options`` without
loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .estimator import Forecaster
    from .run import ForecastRun
    from .task import resume, train

    load = ForecastRun

_HOME = {"ForecastRun": ".run", "Forecaster": ".estimator", "load": ".run", "resume": ".task", "train": ".task"}

__all__ = ["ForecastRun", "Forecaster", "load", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name], __name__), "ForecastRun" if name == "load" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
