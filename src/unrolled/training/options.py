"""The options that every task's training shares: one definition, for Python, the command line and config.json."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Options(BaseModel):
    """A frozen group of options; an unknown name or a value out of range is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def groups_of(options: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The groups of options that make up a model of groups, by their names; of one without groups none."""
    kinds = {name: field.annotation for name, field in options.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def grouped(options: type[BaseModel], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values of options by name, each in the group that it belongs to."""
    return {
        name: {key: value for key, value in values.items() if key in group.model_fields}
        for name, group in groups_of(options).items()
    }


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Of options that are refused the name of the first, and what was expected and came."""
    first = error.errors()[0]
    message = first["msg"].replace("Input should be", "expected a value").replace(" a value a ", " a ")
    return str(first["loc"][-1]), f"{message}, got {first['input']!r}."


def tuned(**range_: Any) -> Any:
    """For a field: what a search may set it to, ``low`` and ``high`` (``log``), or ``choices``."""
    return {"json_schema_extra": {"tune": range_}}


# An option whose default is another in some tasks: what it is, and what it may be, stands here once.
Minutes = Annotated[
    float | None,
    Field(
        gt=0,
        le=10**6,
        description="Train for about this long; turned once into a number of steps, which is recorded.",
    ),
]
LearningRate = Annotated[
    float,
    Field(gt=0, le=1e30, description="The highest learning rate.", **tuned(low=0.0005, high=0.02, log=True)),
]
Averaging = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Evaluate and keep a moving average of the weights, with this decay a step (0 = the weights "
        "themselves).",
    ),
]

WarmupSteps = Annotated[
    int,
    Field(
        ge=0,
        le=10**12,
        description="Steps over which the learning rate rises from zero, at most half of all.",
    ),
]


class TrainingOptions(Options):
    """How to train: how long, with which optimizer, and how often to look."""

    minutes: Minutes = 2.0
    steps: int | None = Field(None, ge=1, le=10**12, description="Train for this many steps (instead of minutes).")
    epochs: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Read the training data this many times (instead of minutes), evaluating after each.",
    )
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = Field("adamw", description="The optimizer.")
    learning_rate: LearningRate = 0.004
    schedule: Literal["cosine", "linear", "constant", "exponential"] = Field(
        "cosine",
        description="After the warm-up the learning rate falls to zero along a cosine or a line, stays, or is "
        "multiplied by --decay at each epoch after the --constant-epochs.",
    )
    constant_epochs: int = Field(
        1, ge=0, le=10**9, description="Epochs at the full learning rate, of schedule exponential only."
    )
    decay: float = Field(
        0.5, gt=0, le=1, description="Factor of the learning rate from epoch to epoch, of schedule exponential only."
    )
    warmup_steps: WarmupSteps = 50
    weight_decay: float = Field(0.01, ge=0, le=1e6, description="Weight decay.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum, of sgd only.")
    gradient_clipping: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 = do not clip.")
    evaluate_every: int | None = Field(
        None,
        ge=1,
        le=10**12,
        description="Evaluate after this many steps (default: ten times in a run, or with --epochs after each).",
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Stop after so many evaluations in a row without a better one (default: never).",
    )
    averaging: Averaging = 0.0
    save_every: float = Field(30.0, gt=0, description="Save a checkpoint at least every so many seconds.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the weights, the dropout and the order of the data.")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads (default: PyTorch's choice; recorded).")
    device: str = Field("cpu", description="Where to train: cpu, cuda, cuda:1 ...")
