"""The options of the forecasting task: one definition, for Python, the command line and config.json."""

from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from ...training import options as training
from ...training.options import Options
from .. import options as shared
from ..command import Command


class DataOptions(shared.DataOptions):
    """Which columns are what, what a step of time is, and what is learnt from."""

    horizon: int | None = Field(
        None, ge=1, le=10**5, description="Steps ahead that are learnt (default: one season, such as 24 hours)."
    )
    context: int | None = Field(
        None, ge=1, le=10**5, description="Steps of history that a forecast reads (default: some seasons)."
    )
    target: str | None = Field(
        None, min_length=1, description="The column to forecast; of a wide table several, with commas, or all."
    )
    time: str | None = Field(None, min_length=1, description="The column of times (default: guessed).")
    id: str | None = Field(None, min_length=1, description="The column that names the series (default: guessed).")
    past_covariates: str | None = Field(
        None, min_length=1, description="Columns of numbers that are known of the past only, with commas."
    )
    future_covariates: str | None = Field(
        None, min_length=1, description="Columns of numbers that are known ahead too, with commas."
    )
    static_covariates: str | None = Field(
        None, min_length=1, description="Columns that describe a series, numbers or words, with commas."
    )
    frequency: str | None = Field(
        None, min_length=1, description="A step of time, such as hourly, '15 minutes', D (default: found in the times)."
    )
    seasonality: str | None = Field(
        None, min_length=1, description="Steps of the seasons, such as 24,168; 1 for none (default: by the frequency)."
    )
    fill: Literal["none", "forward", "linear", "zero"] = Field(
        "none", description="What stands in for missing times and values; none refuses them."
    )
    validation_steps: int | None = Field(
        None, ge=1, le=10**9, description="Steps at each series' end that are held out, in place of --validation-share."
    )
    test_steps: int = Field(
        0, ge=0, le=10**9, description="Steps at each series' very end that training does not look at at all."
    )

    @field_validator("seasonality")
    @classmethod
    def _numbers(cls, text: str | None) -> str | None:
        if text is not None:
            parse_seasons(text)
        return text


def parse_seasons(text: str) -> tuple[int, ...]:
    """The seasons that an option names, the shortest first."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 0 < len(part) < 7 and int(part) > 0 for part in parts):
        raise PydanticCustomError("seasonality", "expected whole numbers of steps with commas between, such as 24,168")
    return tuple(sorted({int(part) for part in parts if int(part) > 1}))


class ModelOptions(shared.ModelOptions):
    """The network and what it says of each step ahead."""

    cell: str = Field("gru", description=shared.CELLS)
    hidden_size: shared.HiddenSize = Field(64, **training.tuned(choices=[32, 64, 128]))
    says: Literal["quantiles", "normal", "student-t", "negative-binomial"] = Field(
        "quantiles", description="How a step ahead is described; negative-binomial is for counts."
    )
    scaling: Literal["standard", "mean-absolute", "seasonal", "none"] = Field(
        "standard", description="What a window is divided by after its mean is taken away; by itself, and undone."
    )
    emphasis: Literal["auto", "equal", "scale"] = Field(
        "auto",
        description="What a window counts in the loss: as much as any other, or by what it is divided by; auto: scale "
        "where the logarithm is taken, else equal.",
    )
    transform: Literal["auto", "none", "log"] = Field(
        "auto", description="Taken of the values first; auto: log where all are positive and validation prefers it."
    )
    linear: bool = Field(True, description="Add the linear path from the window to each step ahead.")
    calendar: bool = Field(True, description="Tell the network the hour, weekday and season.")


class TrainingOptions(training.TrainingOptions):
    """How to train, with defaults of this task."""

    minutes: training.Minutes = 1.0
    learning_rate: training.LearningRate = Field(0.002, **training.tuned(low=0.0003, high=0.01, log=True))


class ForecastOptions(shared.TaskOptions):
    """All options of ``unrolled train forecast``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()


def parse_levels(text: str) -> tuple[float, ...]:
    """Shares from percents with commas between: ``80,95`` is 0.8 and 0.95."""
    try:
        levels = sorted({float(part) / 100 for part in text.split(",")})
    except ValueError:
        levels = []
    if not levels or not all(0 < level < 1 for level in levels):
        raise PydanticCustomError("levels", "expected percents between 0 and 100 with commas between, such as 80,95")
    return tuple(levels)


class PredictOptions(Options):
    """What is forecast, and where it goes."""

    horizon: int | None = Field(None, ge=1, le=10**6, description="Steps ahead (default: those that were learnt).")
    levels: str = Field("80,95", description="Percents of the intervals, with commas between.")
    plot: str | None = Field(None, min_length=1, description="Draw the forecasts into this file, .svg, .png or .pdf.")
    output: str | None = Field(None, min_length=1, description="Write the predictions into this file, .csv or .jsonl.")

    @field_validator("levels")
    @classmethod
    def _percents(cls, text: str) -> str:
        parse_levels(text)
        return text


class EvaluateOptions(Options):
    """What a model is measured on."""

    horizon: int | None = Field(None, ge=1, le=10**6, description="Steps ahead (default: those that were learnt).")
    last: int | None = Field(
        None, ge=1, le=10**9, description="Forecast within so many last steps of each series (default: the horizon)."
    )
    stride: int = Field(1, ge=1, le=10**9, description="Steps from one forecast's beginning to the next.")


_HELP: Any = """Train a network that forecasts series, with intervals.

    A table with a column of times and one of numbers, several series by --id;
    a wide one (--target names its columns); a column of numbers; M4's files.
    With no path it learns from made series of hourly demand.

    Examples:
    unrolled train forecast

    unrolled train forecast sales.csv --id store --target sales --horizon 28

    unrolled train forecast ETTh1.csv --target all --horizon 24 --minutes 5

    unrolled train forecast more.csv --from runs/sales --output runs/more
    """

COMMAND = Command(
    name="forecast",
    options=ForecastOptions,
    summary="A forecaster of any number of series, with intervals.",
    data="Tables in CSV, read one after the other; none: made series of hourly demand.",
    help=_HELP,
    predicting=PredictOptions,
    evaluating=EvaluateOptions,
    verb="forecast",
    verb_help="""Forecast the steps after the end of each series.

    With no file the series that the run was trained on go on.

    Examples:
    unrolled forecast runs/sales --horizon 56 --levels 50,80,95 --plot ahead.svg

    unrolled forecast runs/sales new.csv --output ahead.csv
    """,
    inputs="Tables of the form that the run was trained on; none: its own.",
)
