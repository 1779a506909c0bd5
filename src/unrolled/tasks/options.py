"""The options that tasks share: one definition, for Python, the command line and config.json."""

from typing import Annotated, ClassVar

from pydantic import Field

from ..training.options import Options, TrainingOptions, tuned

CELLS = "elman, general, gru, jordan, lstm, output-feedback, rnn, or path.py:ClassName."


# An option whose default is another in some tasks: what it is, and what it may be, stands here once.
BatchSize = Annotated[int, Field(ge=1, le=10**6, description="Sequences that a step reads side by side.")]
HiddenSize = Annotated[
    int,
    Field(ge=1, le=10**6, description="Features of the state of a layer.", **tuned(choices=[64, 128, 256])),
]
Dropout = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Dropout of the input, between layers and before the output.",
        **tuned(low=0.0, high=0.6),
    ),
]


class DataOptions(Options):
    """What every task is told about its data."""

    paths: ClassVar[tuple[str, ...]] = ("validation",)  # options that are paths; a run folder keeps them absolute

    validation: str | None = Field(
        None, min_length=1, description="A file or folder for validation, in place of --validation-share."
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of the data that is held out for validation.")
    batch_size: BatchSize = 64


class ModelOptions(Options):
    """What every task is told about the recurrent layers of its model."""

    cell: str = Field("lstm", description=CELLS)
    layers: int = Field(1, ge=1, le=1000, description="Recurrent layers.", **tuned(low=1, high=2))
    hidden_size: HiddenSize = 128
    dropout: Dropout = 0.1
    residual: bool = Field(False, description="Add a layer's input to its output where the sizes agree.")


class TaskOptions(Options):
    """All options of a task's training."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()
