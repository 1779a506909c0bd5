"""A run from its beginning to its forecasts: the same again, resumed, begun from another, by every way in."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from unrolled.core import CheckpointError, DataError, InputError
from unrolled.tasks import forecast
from unrolled.tasks.forecast.options import ForecastOptions
from unrolled.training.problem import Observer

SMALL = {"hidden_size": 6, "dropout": 0.2}
SHORT = {"steps": 6, "evaluate_every": 3, "threads": 1}


def options(data=None, model=None, training=None):
    return ForecastOptions.model_validate(
        {
            "data": {"horizon": 4, "context": 12, "batch_size": 8, **(data or {})},
            "model": {**SMALL, **(model or {})},
            "training": {**SHORT, **(training or {})},
        }
    )


@pytest.fixture
def sales(tmp_path):
    """Two series of 90 days with a promotion that is known for five days more, and rain that is not."""
    chance = np.random.default_rng(3)
    rows = ["date,shop,sales,rain,promotion,size"]
    days = np.datetime64("2024-01-01") + np.arange(95)
    for shop, size in (("north", 1), ("south", 3)):
        for place, day in enumerate(days):
            promotion = int(place % 9 == 0)
            sold = f"{20 * size + 5 * (place % 7) + 9 * promotion + chance.normal():.2f}" if place < 90 else ""
            rows.append(f"{day},{shop},{sold},{chance.random():.2f},{promotion},{size}")
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


COLUMNS = {
    "id": "shop", "target": "sales", "past_covariates": "rain", "future_covariates": "promotion",
    "static_covariates": "size",
}  # fmt: skip


def weights(folder, name="model.safetensors"):
    from unrolled.training.checkpoint import load_checkpoint

    return load_checkpoint(folder / name).tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class StopAt(Observer):
    def __init__(self, step):
        self.step = step

    def stepped(self, record):
        if record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("model", [{}, {"says": "student-t", "cell": "lstm"}])
def test_a_run_that_stopped_and_went_on_is_the_one_that_never_stopped(sales, tmp_path, model):
    chosen = options(COLUMNS, model)
    whole = forecast.train([sales], tmp_path / "whole", chosen)
    stopped = forecast.train([sales], tmp_path / "stopped", chosen, [StopAt(4)])
    assert not stopped.outcome.finished
    done = forecast.resume(tmp_path / "stopped")
    assert done.outcome.finished
    assert same(weights(whole.folder, "last.safetensors"), weights(done.folder, "last.safetensors"))
    assert same(weights(whole.folder), weights(done.folder))
    one, other = (forecast.load(folder).predict(horizon=5) for folder in (whole.folder, done.folder))
    np.testing.assert_array_equal(one.quantiles, other.quantiles)


def test_changed_data_are_not_gone_on_with(sales, tmp_path):
    forecast.train([sales], tmp_path / "run", options(COLUMNS), [StopAt(2)])
    sales.write_text(sales.read_text().replace("2024-01-03,north,", "2024-01-03,north,1"))
    with pytest.raises(DataError, match="expected the data that the run began with"):
        forecast.resume(tmp_path / "run")


def test_a_run_that_begins_from_another_has_its_weights_and_scales(sales, tmp_path):
    first = forecast.train([sales], tmp_path / "first", options(COLUMNS))
    more = tmp_path / "more.csv"
    more.write_text(sales.read_text().replace("south", "east"))
    second = forecast.train(
        [more], tmp_path / "second", options(COLUMNS, training={"learning_rate": 1e-12}), begin_from=first.folder
    )
    assert second.data.prepared == first.data.prepared
    for name, tensor in weights(first.folder).items():
        torch.testing.assert_close(weights(second.folder)[name], tensor, atol=1e-6, rtol=1e-5)
    other = options({**COLUMNS, "static_covariates": None})
    with pytest.raises(DataError, match="expected 1 static covariates, as the run was made with, got 0"):
        forecast.train([more], tmp_path / "third", other, begin_from=first.folder)


@pytest.mark.parametrize("says", ["quantiles", "normal", "student-t"])
@pytest.mark.parametrize("scaling", ["standard", "mean-absolute", "seasonal"])
def test_every_way_to_say_and_to_scale(sales, tmp_path, says, scaling):
    run = forecast.train([sales], tmp_path / "run", options(COLUMNS, {"says": says, "scaling": scaling}))
    found = forecast.load(run.folder).predict(horizon=5, levels=(50, 90, 99))
    assert found.mean.shape == (2, 5)
    assert np.isfinite(found.quantiles).all()
    assert (np.diff(found.quantiles, axis=-1) >= 0).all()
    assert found.columns()[4:] == ("lower_50", "upper_50", "lower_90", "upper_90", "lower_99", "upper_99")
    days = np.arange(90, 95)
    expected = np.stack([20 * size + 5 * (days % 7) + 9 * (days % 9 == 0) for size in (1, 3)])
    assert np.abs(found.median - expected).mean() < 8


def test_counts(tmp_path):
    chance = np.random.default_rng(0)
    path = tmp_path / "counts.csv"
    path.write_text("n\n" + "\n".join(str(chance.poisson(3 + 2 * (day % 7))) for day in range(120)) + "\n")
    run = forecast.train([path], tmp_path / "run", options({"seasonality": "7"}, {"says": "negative-binomial"}))
    found = forecast.load(run.folder).predict(levels=(80,))
    assert (found.quantiles == np.round(found.quantiles)).all()
    assert (found.quantiles >= 0).all()


def test_a_constant_series_is_forecast_as_it_is(tmp_path):
    (tmp_path / "flat.csv").write_text("y\n" + "5\n" * 60)
    run = forecast.train([tmp_path / "flat.csv"], tmp_path / "run", options())
    model = forecast.load(run.folder)
    found = model.predict(horizon=9)
    np.testing.assert_allclose(found.quantiles, 5, atol=0.05)
    scores = model.evaluate(tmp_path / "flat.csv")
    assert "MASE" not in scores.model  # there is nothing to divide by
    assert scores.model["MAE"] < 0.05


def test_the_backtest_has_the_figures_of_the_naive_forecast(sales, tmp_path):
    run = forecast.train([sales], tmp_path / "run", options(COLUMNS))
    model = forecast.load(run.folder)
    scores = model.evaluate(sales, last=10, stride=2)
    assert scores.count == 2 * 4
    assert list(scores.figures) == ["model", "seasonal naive", "naive", "linear (ridge)"]
    panel = model.read(sales)
    errors, weekly = [], []
    for index in range(2):
        values = panel.series(index)
        for origin in range(80, 87, 2):
            errors += list(np.abs(values[origin : origin + 4] - values[origin - 1]))
            weekly += list(np.abs(values[origin : origin + 4] - values[origin - 7 : origin - 3]))
    assert scores.figures["naive"]["MAE"] == pytest.approx(np.mean(errors))
    assert scores.figures["seasonal naive"]["MAE"] == pytest.approx(np.mean(weekly))
    assert json.dumps(scores.to_dict())


def test_what_comes_later_does_not_change_a_forecast(sales, tmp_path):
    run = forecast.train([sales], tmp_path / "run", options(COLUMNS))
    model = forecast.load(run.folder)
    panel = model.read(sales)
    from unrolled.tasks.forecast.backtest import forecast as say
    from unrolled.tasks.forecast.windows import Cutter

    origin = np.array([60])
    before = say(model.network, model.output, Cutter(panel, model.preparation).cut(np.array([0]), origin, 4), (0.5,))
    panel.values[60:90] += 1000
    panel.past[60:90] += 1000
    after = say(model.network, model.output, Cutter(panel, model.preparation).cut(np.array([0]), origin, 4), (0.5,))
    np.testing.assert_array_equal(before[0], after[0])


def test_an_unknown_series_is_forecast(sales, tmp_path):
    run = forecast.train([sales], tmp_path / "run", options(COLUMNS))
    new = tmp_path / "new.csv"
    rows = [row for row in sales.read_text().splitlines() if "south" not in row]
    new.write_text("\n".join(rows).replace("north", "west"))
    found = forecast.load(run.folder).predict(new, horizon=2)
    assert found.panel.names == ("west",)
    assert found.times(0) == ["2024-03-31", "2024-04-01"]


def test_a_file_for_validation_goes_on_from_the_training_data(tmp_path):
    (tmp_path / "a.csv").write_text("y\n" + "\n".join(str(day % 7 + 1) for day in range(60)) + "\n")
    (tmp_path / "b.csv").write_text("y\n" + "\n".join(str(day % 7 + 1) for day in range(60, 70)) + "\n")
    chosen = options({"validation": str(tmp_path / "b.csv")})
    done = forecast.train([tmp_path / "a.csv"], tmp_path / "run", chosen)
    assert done.data.division.training.tolist() == [60]
    assert done.data.panel.lengths.tolist() == [70]
    assert forecast.load(done.folder).predict().times(0)[0] == "70"


def test_the_logarithm_is_taken_where_validation_prefers_it(tmp_path):
    months = np.arange(120)
    values = (
        100
        * 1.02**months
        * (1.5 + np.sin(2 * np.pi * months / 12))
        * np.exp(0.02 * np.random.default_rng(0).normal(size=120))
    )
    path = tmp_path / "grows.csv"
    path.write_text("y\n" + "\n".join(f"{value:.3f}" for value in values) + "\n")
    chosen = options({"seasonality": "12", "context": 24})
    assert forecast.train([path], tmp_path / "auto", chosen).data.prepared.transform == "log"
    path.write_text("y\n" + "\n".join(f"{value - 500:.3f}" for value in values) + "\n")
    assert forecast.train([path], tmp_path / "none", chosen).data.prepared.transform == "none"


def test_a_damaged_file_of_the_run_is_named(sales, tmp_path):
    run = forecast.train([sales], tmp_path / "run", options(COLUMNS))
    (run.folder / "forecast.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"forecast.json"):
        forecast.load(run.folder)


def test_arguments_out_of_range(sales, tmp_path):
    model = forecast.load(forecast.train([sales], tmp_path / "run", options(COLUMNS)).folder)
    with pytest.raises(InputError, match="horizon: expected at least 1 step, got 0"):
        model.predict(horizon=0)
    with pytest.raises(InputError, match="levels: expected percents"):
        model.predict(levels=(0,))


@pytest.fixture
def plain(tmp_path):
    """One series of 60 days."""
    days = np.datetime64("2024-01-01") + np.arange(60)
    path = tmp_path / "plain.csv"
    path.write_text("date,y\n" + "".join(f"{day},{n % 7 + 1}\n" for n, day in enumerate(days)))
    return path


@pytest.mark.parametrize(
    ("data", "model", "message"),
    [
        ({"horizon": 5}, {}, "--horizon"),
        ({"context": 10}, {}, "--context"),
        ({"seasonality": "5"}, {}, "--seasonality"),
        ({}, {"scaling": "none"}, "--scaling"),
        ({}, {"says": "negative-binomial"}, "--says"),
        ({}, {"calendar": False}, "--no-calendar"),
    ],
)
def test_what_a_run_is_bound_to_is_not_changed_by_beginning_from_it(plain, tmp_path, data, model, message):
    forecast.train([plain], tmp_path / "run", options(training={"steps": 1}))
    with pytest.raises(InputError, match=f"{message}: expected that of the run"):
        forecast.train([plain], tmp_path / "more", options(data, model), begin_from=tmp_path / "run")
    assert not (tmp_path / "more").exists()


def test_series_of_another_frequency_do_not_begin_from_a_run(plain, tmp_path):
    forecast.train([plain], tmp_path / "run", options(training={"steps": 1}))
    hours = np.datetime64("2024-01-01T00") + np.arange(60)
    (tmp_path / "hours.csv").write_text("date,y\n" + "".join(f"{hour},{n}\n" for n, hour in enumerate(hours)))
    with pytest.raises(DataError, match="expected a time of the frequency 'day'"):
        forecast.train([tmp_path / "hours.csv"], tmp_path / "more", options(), begin_from=tmp_path / "run")
