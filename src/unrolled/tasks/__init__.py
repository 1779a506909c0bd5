"""The jobs that people have: data, model, loss, metric and decoding of each, one package a task.

The estimators are imported when they are first used: they need scikit-learn.
"""

from importlib import import_module
from typing import Any

OWN_MODULE = "_unrolled_own_"  # begins the name of a module that is a file of the user's own
_ESTIMATORS = {  # name -> module
    "Classifier": ".classify.estimator",
    "Forecaster": ".forecast.estimator",
    "Tagger": ".tag.estimator",
    "Translator": ".translate.estimator",
}

__all__ = ["OWN_MODULE", *_ESTIMATORS]


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(import_module(_ESTIMATORS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
