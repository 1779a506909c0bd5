"""The figures of a model beside those of simple baselines, on the same data."""

from dataclasses import dataclass, field
from typing import Any

MODEL = "model"


@dataclass(frozen=True)
class Scores:
    """What a model reaches, and what it takes to be better than nothing."""

    figures: dict[str, dict[str, float]]  # name of who predicted -> metric -> value; the model is the first
    count: int  # of what was predicted
    unit: str  # name of one of it, such as "sentence"
    details: dict[str, Any] = field(default_factory=dict)  # of the model: a confusion matrix, figures of each class

    @property
    def model(self) -> dict[str, float]:
        """The model's figures."""
        return self.figures[MODEL]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"count": self.count, "unit": self.unit, "figures": self.figures, **self.details}
