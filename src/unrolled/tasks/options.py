"""The options that tasks share: one definition, for Python, the command line and config.json."""

from typing import Any

from pydantic import Field

from ..training.options import Options, TrainingOptions

CELLS = "elman, general, gru, jordan, lstm, output-feedback, rnn, or path.py:ClassName."


def tuned(**range_: Any) -> dict[str, Any]:
    """For a field: what a search may set it to, ``low`` and ``high`` (``log``), or ``choices``."""
    return {"json_schema_extra": {"tune": range_}}


class DataOptions(Options):
    """What every task is told about its data."""

    validation: str | None = Field(
        None, min_length=1, description="A file or folder for validation, in place of --validation-share."
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of the data that is held out for validation.")
    batch_size: int = Field(64, ge=1, le=10**6, description="Sequences that a step reads side by side.")


class ModelOptions(Options):
    """What every task is told about the recurrent layers of its model."""

    cell: str = Field("lstm", description=CELLS)
    layers: int = Field(1, ge=1, le=1000, description="Recurrent layers.", **tuned(low=1, high=2))
    hidden_size: int = Field(
        128, ge=1, le=10**6, description="Features of the state of a layer.", **tuned(choices=[64, 128, 256])
    )
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Dropout of the input, between layers and before the output.",
        **tuned(low=0.0, high=0.6),
    )
    residual: bool = Field(False, description="Add a layer's input to its output where the sizes agree.")


class TaskOptions(Options):
    """All options of a task's training."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()
