"""``Forecaster``: every kind of table and array, scikit-learn's conventions, there and back over a run folder."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from unrolled.core import DataError, InputError
from unrolled.tasks import Forecaster

SMALL = {"horizon": 4, "context": 14, "hidden_size": 4, "steps": 4, "batch_size": 8, "threads": 1}


def frame(count=70):
    days = np.datetime64("2024-01-01") + np.arange(count)
    values = 10 + np.arange(count) % 7 + 0.1 * np.random.default_rng(0).normal(size=count)
    return {"date": days, "sales": values, "rain": np.arange(count) % 3 * 1.0}


def tables():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    return [pandas.DataFrame(frame()), polars.DataFrame(frame())]


def test_tables_of_other_libraries_are_the_same():
    found = [Forecaster(target="sales", past_covariates="rain", **SMALL).fit(table).predict() for table in tables()]
    np.testing.assert_array_equal(found[0].mean, found[1].mean)
    assert found[0].times(0) == found[1].times(0) == ["2024-03-11", "2024-03-12", "2024-03-13", "2024-03-14"]


def test_a_long_table_of_pandas_with_words():
    pandas = pytest.importorskip("pandas")
    one = pandas.DataFrame({**frame(), "shop": "a", "town": "Rome"})
    other = pandas.DataFrame({**frame(60), "shop": "b", "town": "Oslo"})
    model = Forecaster(id="shop", target="sales", static_covariates="town", **SMALL).fit(pandas.concat([one, other]))
    found = model.predict(horizon=2)
    assert found.panel.names == ("a", "b")
    assert found.times(1) == ["2024-03-01", "2024-03-02"]
    assert model.predict(one, horizon=1).panel.names == ("a",)


def test_times_with_a_zone():
    pandas = pytest.importorskip("pandas")
    hours = pandas.date_range("2024-01-01", periods=60, freq="h", tz="UTC")
    table = pandas.DataFrame({"t": hours, "y": np.arange(60.0)})
    assert Forecaster(**SMALL).fit(table).predict().times(0)[0] == "2024-01-03 12:00:00Z"


def test_arrays():
    values = frame()["sales"]
    one = Forecaster(seasonality="7", **SMALL).fit(values).predict()
    again = Forecaster(seasonality="7", **SMALL).fit(values.tolist()).predict()
    np.testing.assert_array_equal(one.mean, again.mean)
    several = Forecaster(**SMALL).fit(np.stack([values, 2 * values], 1)).predict(horizon=9)
    assert several.mean.shape == (2, 9)
    ragged = Forecaster(**SMALL).fit([values, values[:40]]).predict()
    assert ragged.panel.lengths.tolist()[1] <= 40
    assert ragged.times(0)[0].isdigit()


def test_there_and_back_over_a_run_folder(tmp_path):
    model = Forecaster(seasonality="7", **SMALL).fit(frame()["sales"])
    model.save(tmp_path / "run")
    loaded = Forecaster.load(tmp_path / "run")
    assert loaded.get_params()["hidden_size"] == 4
    np.testing.assert_array_equal(model.predict(horizon=6).quantiles, loaded.predict(horizon=6).quantiles)
    np.testing.assert_array_equal(
        model.predict(frame()["sales"], horizon=6).quantiles, loaded.predict(horizon=6).quantiles
    )


def test_the_conventions_of_scikit_learn():
    model = Forecaster(**SMALL)
    copy = clone(model).set_params(hidden_size=3)
    assert copy.get_params()["horizon"] == 4
    with pytest.raises(NotFittedError):
        copy.predict()
    values = frame()["sales"]
    fitted = copy.fit(values)
    assert fitted is copy
    assert copy.score(values) == -copy.backtest(values).model["MASE"] < 0


def test_what_cannot_be_used():
    values = frame()["sales"]
    for bad, error, message in [
        (
            np.array([1.0, np.nan] * 30),
            DataError,
            "X: series 1, value 2: expected a finite number of at most 1e.100, got nan",
        ),
        (np.zeros((2, 2, 2)), InputError, r"X: expected numbers \(n,\) or \(n, series\)"),
        (np.array(["a"]), InputError, r"X: expected numbers"),
        ([["a"], [1]], InputError, "got a list of other things|expected"),
        (object(), InputError, "X: expected a table .* got object"),
        (np.arange(5.0), DataError, "series 1: expected at least 9 values"),
    ]:
        with pytest.raises(error, match=message):
            Forecaster(**SMALL).fit(bad)
    with pytest.raises(InputError, match="y: expected nothing"):
        Forecaster(**SMALL).fit(values, values)
    with pytest.raises(InputError, match="horizon: expected"):
        Forecaster(**{**SMALL, "horizon": 0}).fit(values)
    with pytest.raises(TypeError, match="horizons"):
        Forecaster(horizons=3)


def test_bad_rows_of_a_table_are_named():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(frame())
    table.loc[5, "sales"] = np.inf
    with pytest.raises(DataError, match=r"X: row 5: column 'sales': expected a finite number of at most .*, got inf"):
        Forecaster(target="sales", **SMALL).fit(table)
    table.loc[5, "sales"] = np.nan
    with pytest.raises(DataError, match="row 5: column 'sales': expected a number, got a missing value; use --fill"):
        Forecaster(target="sales", **SMALL).fit(table)
    assert Forecaster(target="sales", fill="linear", **SMALL).fit(table).predict().steps == 4
    with pytest.raises(DataError, match="expected one of the columns date, sales, rain, got 'price'"):
        Forecaster(target="price", **SMALL).fit(table)


def test_whole_numbers_are_names_and_years():
    table = {"year": np.arange(1950, 2020), "store": np.full(70, 3), "sales": frame()["sales"]}
    pandas = pytest.importorskip("pandas")
    found = Forecaster(id="store", target="sales", **SMALL).fit(pandas.DataFrame(table)).predict()
    assert found.panel.names == ("3",)
    assert found.times(0)[0] == "2020-01-01"


def test_times_in_an_index_are_not_lost():
    pandas = pytest.importorskip("pandas")
    table = frame()
    indexed = pandas.DataFrame({"sales": table["sales"]}, index=pandas.DatetimeIndex(table["date"]))
    with pytest.raises(InputError, match=r"give X.reset_index\(\)"):
        Forecaster(**SMALL).fit(indexed)


def test_what_was_not_forecast_or_kept_is_not_made_up():
    values = frame()["sales"]
    model = Forecaster(**SMALL).fit(values)
    ahead = model.predict(levels=(80,))
    assert np.array_equal(ahead.interval(0.8)[0], ahead.quantile(0.1))
    with pytest.raises(InputError, match=r"one of 0.1, 0.5, 0.9, got 0.25"):
        ahead.interval(0.5)
    with pytest.raises(InputError, match="expected the series to measure on, got none"):
        model.backtest()
    with pytest.raises(InputError, match="at least 1 step, got 4 and 0"):
        model.backtest(values, stride=0)


def test_series_far_from_zero_are_not_taken_for_constants():
    week = 10 * np.sin(2 * np.pi * np.arange(140) / 7) + np.random.default_rng(0).normal(size=140)
    options = {**SMALL, "seasonality": "7", "transform": "none", "steps": 1}
    near, far = (Forecaster(**options).fit(week + level).backtest(week + level) for level in (100, 1e6))
    assert far.figures["linear (ridge)"]["MASE"] < 1.5 * near.figures["linear (ridge)"]["MASE"]
    assert far.model["MASE"] < 1.5 * near.model["MASE"]


def test_a_picture_of_any_name(tmp_path):
    plot = pytest.importorskip("unrolled.tasks.forecast.plot")
    table = {**frame(), "shop": np.array(["$\\frac$ 日本 \x1b[31m"] * 70)}
    ahead = Forecaster(id="shop", target="sales", **SMALL).fit(table).predict()
    plot.plot_forecasts(tmp_path / "ahead.svg", ahead)
    assert "<svg" in (tmp_path / "ahead.svg").read_text(encoding="utf-8")
