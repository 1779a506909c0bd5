"""The forecasting task's commands: call it, and print what came out."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np

from ..core import InputError
from ..tasks.bars import bars
from ..tasks.forecast.forecasts import Forecasts, check_output
from ..tasks.forecast.options import EvaluateOptions, PredictOptions, parse_levels
from ..tasks.forecast.plot import plot_forecasts
from ..tasks.forecast.run import ForecastRun
from ..tasks.forecast.task import TASK, ForecastData
from ..tasks.pictures import check_picture
from ..tasks.running import Training
from ..training.progress import printable
from .tables import scores_table, shown, table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "values"
_METRICS = ("MASE", "sMAPE", "CRPS", "MAE", "MSE", "coverage_80", "coverage_95")
_SERIES, _STEPS = 5, 8  # that are shown on a terminal


def report(training: Training[ForecastData], cell: str | None) -> None:
    """Print what came out of training: figures beside simple rules, and a forecast of what comes next."""
    folder, data = training.folder, training.data
    run = ForecastRun(folder, cell=cell if own_cell(cell) else None)
    prepared, panel = data.prepared, data.panel
    best = training.outcome.best
    if best is None:
        raise InputError("expected an evaluation in the run, got none.")
    frequency = "without times" if panel.frequency is None else f"by {panel.frequency}"
    seasons = ", ".join(map(str, prepared.seasons)) or "none"
    said = printable(data.source.said)
    print(f"\nData: {said}; {len(panel):,} series of {int(panel.lengths.sum()):,} values, {frequency}.")
    print(f"Seasons {seasons}; {prepared.context} steps are read, {prepared.horizon} are forecast", end="")
    print("; the logarithm is taken." if prepared.transform == "log" else ".")
    _, held_out = data.division.origins(prepared)
    scores = run.measure(panel, held_out.spread(2000), data.division.training, prepared.horizon)
    print(f"Best at step {best['step']} of {training.outcome.steps}. On the held-out ends of the series:\n")
    print(scores_table(scores, _METRICS))
    print(_verdict(scores.figures))
    where = shlex.quote(str(folder))
    reach = int(np.min(np.diff(panel.future_offsets) - panel.lengths)) if panel.future.shape[1] else prepared.horizon
    if reach >= prepared.horizon:
        forecasts = run.predict(panel)
        print(f"\nWhat comes next:\n\n{_look(forecasts)}\n")
        plot_forecasts(folder / "forecast.svg", forecasts)
        print(f"Plot        {folder / 'forecast.svg'}")
    print(f"Run folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Forecast    unrolled forecast {where}{own_cell(cell)} --horizon {2 * prepared.horizon} --plot ahead.svg")


def _verdict(figures: dict[str, dict[str, float]]) -> str:
    """Whether the model is worth more than a simple rule, in words."""
    measured = {name: found["MASE"] for name, found in figures.items() if "MASE" in found}
    if "model" not in measured or len(measured) < 2:
        return "No MASE: the series do not move before what is measured, or are too short for it."
    model = measured.pop("model")
    best = min(measured, key=lambda name: measured[name])
    if model < 0.995 * measured[best]:
        return f"By MASE the model is {100 * (1 - model / measured[best]):.0f} % better than the best rule, {best}."
    if model < 1.005 * measured[best]:
        return f"By MASE the model and the best rule, {best}, are alike, to half a percent."
    return f"By MASE the model is not better than {best}: use that rule."


def evaluate(
    run: Path, data: list[Path], weights: str, cell: str | None, as_json: bool, options: EvaluateOptions
) -> int:
    """Print the figures of a rolling backtest."""
    trained = ForecastRun(run, cell=cell, weights=weights)
    scores = trained.evaluate(data, horizon=options.horizon, last=options.last, stride=options.stride)
    if as_json:
        print(json.dumps(scores.to_dict()))
        return 0
    print(scores_table(scores, _METRICS))
    print(_verdict(scores.figures))
    model = scores.model
    if "MSE_standardised" in model:
        print(
            "\nIn units of each series' standard deviation in training, the model's "
            f"MSE {shown(model['MSE_standardised'])}, MAE {shown(model['MAE_standardised'])}."
        )
    return 0


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: PredictOptions) -> int:
    """Forecast what comes after the end of each series."""
    if options.plot is not None:
        check_picture(options.plot)
    if options.output is not None:
        check_output(Path(options.output))
    trained = ForecastRun(run, cell=cell, weights=weights)
    levels = [100 * share for share in parse_levels(options.levels)]
    forecasts = trained.predict(inputs or None, horizon=options.horizon, levels=levels)
    if forecasts.steps > trained.horizon:
        print(
            f"unrolled: {trained.horizon} steps were learnt; what is beyond them goes on from there, less surely.",
            file=sys.stderr,
        )
    print(_look(forecasts))
    if options.output is not None:
        forecasts.write(options.output)
        print(f"\nForecasts  {options.output}")
    if options.plot is not None:
        plot_forecasts(Path(options.plot), forecasts)
        print(f"Plot       {options.plot}")
    return 0


def _look(forecasts: Forecasts) -> str:
    """Of the first series a table of the first steps, of some more a row of bars."""
    share = forecasts.shares[0]
    lower, upper = forecasts.interval(share)
    header = [forecasts.panel.names[0][:24], "median", f"{100 * share:g} % from", "to"]
    rows = [
        [time, *(shown(float(part[0, step])) for part in (forecasts.median, lower, upper))]
        for step, time in enumerate(forecasts.times(0)[:_STEPS])
    ]
    lines = [table(header, rows)]
    if forecasts.steps > _STEPS:
        lines.append(f"... and {forecasts.steps - _STEPS} more steps")
    lines.append("")
    width = max(len(name) for name in forecasts.panel.names[:_SERIES])
    steps = min(forecasts.steps, 46)
    for index, name in enumerate(forecasts.panel.names[:_SERIES]):
        history = np.asarray(forecasts.panel.series(index)[-min(40, 76 - min(width, 16) - steps) :])
        drawn = bars(np.concatenate([history, forecasts.median[index, :steps]]))
        lines.append(f"{name[:16].ljust(min(width, 16))} {drawn[: len(history)]}|{drawn[len(history) :]}")
    if len(forecasts.panel) > _SERIES:
        lines.append(f"... and {len(forecasts.panel) - _SERIES} more series")
    return printable("\n".join(lines))
