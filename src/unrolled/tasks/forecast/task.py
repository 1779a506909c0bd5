"""The forecasting task as Python sees it: ``train``, ``resume``, and ``load`` for a run to forecast with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core import DataError, InputError
from ...training.problem import Observer
from ...training.run_folder import RunFolder
from .. import running
from ..cells import cell_factory, first_step
from ..origin import Origin, paths_to_go_on_with
from ..running import Training, damaged
from .backtest import naive_errors
from .division import Division, all_positive, check_counts, check_positive, divide, emphasis_of, prepare
from .ends import ends_of
from .frequency import Frequency, Whole
from .linear import Linear, fit_linear, with_typical
from .memory import source_in_memory
from .network import ForecastNetwork
from .options import ForecastOptions, parse_seasons
from .outputs import Output, make_output
from .panel import Panel
from .preparation import Preparation
from .problem import ForecastProblem
from .source import Source, read_source
from .windows import Cutter

FILE = "forecast.json"
_HELD = 2000  # windows of an evaluation while training


@dataclass(frozen=True)
class ForecastData:
    """Series, how they are divided and prepared, and the linear model that the network begins with."""

    source: Source
    origin: Origin
    prepared: Preparation
    division: Division
    linear: Linear

    @property
    def panel(self) -> Panel:
        """The series."""
        return self.source.panel

    @property
    def record(self) -> dict[str, Any]:
        """The files, their hash, and how much there is."""
        panel = self.panel
        return self.origin.record(
            series=len(panel),
            values=int(panel.lengths.sum()),
            frequency=None if panel.frequency is None else str(panel.frequency),
            found=self.source.said,
        )

    @property
    def files(self) -> dict[str, str]:
        """All that a forecast needs besides the weights."""
        kept = {
            "preparation": asdict(self.prepared),
            "columns": self.source.columns,
            "frequency": None if self.panel.frequency is None else asdict(self.panel.frequency),
            "spread": [round(float(value), 6) for value in self.linear.spread],
            "standard": self.standard(),
        }
        ends = ends_of(self.panel, self.prepared.context) if self.origin.in_memory else {}
        return {FILE: json.dumps(kept) + "\n", **ends}

    def standard(self) -> dict[str, list[float]]:
        """Mean and standard deviation of each series' training part."""
        parts = zip(self.panel.names, range(len(self.panel)), self.division.training, strict=True)
        found = {name: np.asarray(self.panel.series(index)[:end]) for name, index, end in parts}
        return {name: [float(part.mean()), float(part.std())] for name, part in found.items()}


class ForecastTask(running.Task[ForecastOptions, ForecastData]):
    """Forecasts of any number of series by one network."""

    name = "forecast"
    options = ForecastOptions

    def read(self, source: Any, options: ForecastOptions, saved: RunFolder | None = None) -> ForecastData:
        """See :class:`unrolled.tasks.running.Task`; the source is files, none for the made series, or (table, None)."""
        kept = None if saved is None else recorded(saved)
        resumed = saved if source is None else None
        if isinstance(source, tuple):
            return self._read_memory(source, options, kept)
        paths = paths_to_go_on_with(resumed) if resumed else tuple(map(Path, source))
        validation = [] if options.data.validation is None else [Path(options.data.validation)]
        origin = Origin.of_files(paths, options.data.validation)
        if resumed:
            origin.check_unchanged(resumed)
        columns = None if kept is None else kept.columns
        options = with_frequency(options, kept)
        found = read_source([*paths, *validation], options.data, columns)
        held_out = None
        if validation:
            before = read_source(paths, options.data, found.columns).panel
            held_out = _begins(before, found.panel, validation[0])
        return self._prepared(found, origin, options, kept, held_out, new=resumed is None)

    def _read_memory(self, source: tuple[Any, Any], options: ForecastOptions, kept: "Recorded | None") -> ForecastData:
        if options.data.validation is not None:
            raise InputError("validation: expected validation_steps for data in memory, got a path.")
        options = with_frequency(options, kept)
        found = source_in_memory(source[0], options.data, None if kept is None else kept.columns)
        return self._prepared(found, Origin(in_memory=True), options, kept, None, new=True)

    def _prepared(
        self,
        found: Source,
        origin: Origin,
        options: ForecastOptions,
        kept: "Recorded | None",
        held_out: Whole | None,
        *,
        new: bool,
    ) -> ForecastData:
        if kept is None:
            prepared, division = prepare(found.panel, options, held_out)
        else:
            prepared = kept.preparation
            if new:
                check_kept(options, prepared)
            check_alike(found.panel, prepared)
            division = divide(found.panel, options.data, prepared.horizon, held_out)
        if not new:  # the weights will be those of the checkpoint
            return ForecastData(found, origin, prepared, division, Linear.none(prepared))
        if kept is None:
            prepared = with_typical(found.panel, prepared, division)
        linear = fit_linear(found.panel, prepared, division)
        if kept is None and options.model.transform == "auto" and not prepared.counts and all_positive(found.panel):
            bent = with_typical(
                found.panel, replace(prepared, transform="log", emphasis=emphasis_of(options.model, "log")), division
            )
            other = fit_linear(found.panel, bent, division)
            if other.error < linear.error:
                prepared, linear = bent, other
        return ForecastData(found, origin, prepared, division, linear)

    def problem(self, data: ForecastData, options: ForecastOptions) -> ForecastProblem:
        """The network, beginning with the linear model, and windows to learn from."""
        cutter = Cutter(data.panel, data.prepared)
        network, output = build(data.prepared, options, data.panel.frequency)
        network.begin_with(data.linear.weight, data.linear.bias)
        learnt, held_out = data.division.origins(data.prepared)
        season = data.prepared.seasons[0] if data.prepared.seasons else 1
        errors = naive_errors(data.panel, data.division.training, season)
        return ForecastProblem(
            network,
            output,
            cutter,
            learnt,
            held_out.spread(_HELD),
            errors,
            options.data.batch_size,
            options.training.seed,
        )


TASK = ForecastTask()


def build(
    prepared: Preparation, options: ForecastOptions, frequency: Frequency | None
) -> tuple[ForecastNetwork, Output]:
    """The network of a run, and how it is read."""
    output = make_output(options.model.says)
    dates = prepared.dates(frequency)
    factory = cell_factory(options.model.cell, options.model.hidden_size)
    with first_step(options.model.cell):
        network = ForecastNetwork(
            factory,
            prepared.context,
            prepared.horizon,
            past_size=prepared.past_size(dates),
            ahead_size=prepared.ahead_size(dates),
            output_size=output.size,
            lags=prepared.seasons or (1,),
            num_layers=options.model.layers,
            dropout=options.model.dropout,
            residual=options.model.residual,
            linear=options.model.linear,
        )
    return network, output


@dataclass(frozen=True)
class Recorded:
    """What ``forecast.json`` of a run says."""

    preparation: Preparation
    columns: dict[str, Any]
    frequency: dict[str, Any] | None
    spread: np.ndarray
    standard: dict[str, list[float]]


def with_frequency(options: ForecastOptions, kept: Recorded | None) -> ForecastOptions:
    """Options whose frequency is that of a run, whose seasons and calendar are steps of it."""
    if kept is None or kept.frequency is None or options.data.frequency is not None:
        return options
    frequency = str(Frequency(**kept.frequency))
    return options.model_copy(update={"data": options.data.model_copy(update={"frequency": frequency})})


def recorded(folder: RunFolder) -> Recorded:
    """What a run keeps besides its weights.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        kept = json.loads(folder.read_checked(FILE))
        return Recorded(
            Preparation.from_saved(kept["preparation"]),
            kept["columns"],
            kept["frequency"],
            np.array(kept["spread"], dtype=np.float64),
            kept["standard"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder, f"{FILE}: {error}") from error


def check_kept(options: ForecastOptions, prepared: Preparation) -> None:
    """Raise InputError where an option differs from what a run is bound to, which is begun from."""
    data, model = options.data, options.model
    seasons = None if data.seasonality is None else parse_seasons(data.seasonality)
    bound = {
        "--horizon": (data.horizon, prepared.horizon),
        "--context": (data.context, prepared.context),
        "--seasonality": (
            None if seasons is None else ",".join(str(s) for s in seasons if s <= prepared.context),
            ",".join(map(str, prepared.seasons)),
        ),
        "--says": (
            None if (model.says == "negative-binomial") == prepared.counts else model.says,
            "negative-binomial" if prepared.counts else "not of counts",
        ),
        "--scaling": (None if prepared.counts else model.scaling, prepared.scaling),
        "--transform": (None if model.transform == "auto" else model.transform, prepared.transform),
        "--emphasis": (emphasis_of(model, prepared.transform), prepared.emphasis),
        "--no-calendar": (None if model.calendar else False, prepared.calendar),
    }
    for option, (wanted, kept) in bound.items():
        if wanted is not None and wanted != kept:
            raise InputError(
                f"{option}: expected that of the run of --from, whose weights are bound to it ({kept}), got another; "
                "leave it out, or train without --from."
            )


def check_alike(panel: Panel, prepared: Preparation) -> None:
    """Raise DataError where a panel does not have the covariates, the times or the range that a run was made with."""
    if prepared.calendar and not panel.dated:
        raise DataError("expected a table with times, as the run was made with, got series without; see --time.")
    if prepared.transform == "log":
        check_positive(panel)
    if prepared.counts:
        check_counts(panel)
    for name, rows, wanted in (
        ("past", panel.past, prepared.past),
        ("future", panel.future, prepared.future),
        ("static", panel.static, prepared.static),
    ):
        if rows.shape[1] != len(wanted.mean):
            raise DataError(
                f"expected {len(wanted.mean)} {name} covariates, as the run was made with, got {rows.shape[1]}; "
                "give a table with the same columns."
            )


def _begins(before: Panel, whole: Panel, path: Path) -> Whole:
    lengths = dict(zip(before.names, before.lengths, strict=True))
    new = [name for name in whole.names if name not in lengths]
    if new:
        raise DataError(f"{path}: expected series that go on from the training data, got the new series {new[0]}.")
    return np.array([lengths[name] for name in whole.names], dtype=np.int64)


def train(
    paths: Sequence[str | Path],
    output: str | Path,
    options: ForecastOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[ForecastData]:
    """Train a forecaster on files, into a new run folder.

    Args:
        paths: tables, read one after the other; none for made series of hourly demand.
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.
        begin_from: a run whose best weights and scales are those that this one begins with.

    Raises:
        DataError: the data or the output folder cannot be used.
        InputError: an option cannot be used.
        NonFiniteError: training left the finite numbers.
    """
    source = [Path(path) for path in paths]
    return running.train(TASK, source, output, options or ForecastOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[ForecastData]:
    """Go on with a run of forecasting; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)
