"""The protocols of two known data sets: the simple rules have the figures that others publish for them."""

from itertools import islice

import numpy as np
import pytest

from unrolled.tasks.forecast.backtest import backtest, naive_errors, of_season
from unrolled.tasks.forecast.options import DataOptions
from unrolled.tasks.forecast.preparation import Preparation
from unrolled.tasks.forecast.source import read_source
from unrolled.tasks.forecast.windows import Cutter


def figures(panel, windows, steps, standard):
    prepared = Preparation(48, steps, (24,))
    ends = np.full(len(panel), 24 * 300) if panel.lengths.min() > 24 * 300 else panel.lengths - steps
    errors = naive_errors(panel, ends, 24)
    said = {"seasonal naive": of_season(panel, 24, prepared)}
    return backtest(Cutter(panel, prepared), said, windows, steps, standard, errors).figures["seasonal naive"]


def test_m4_hourly(real_data):
    files = [real_data(f"m4/Hourly-{part}.csv") for part in ("train", "test")]
    found = read_source(files, DataOptions()).panel
    windows = (np.arange(414), found.lengths - 48)
    measured = figures(found, windows, 48, (np.zeros(414), np.ones(414)))
    assert measured["sMAPE"] == pytest.approx(13.912, abs=0.001)
    assert measured["MASE"] == pytest.approx(1.193, abs=0.001)


@pytest.mark.parametrize(("steps", "expected"), [(24, 0.424), (168, 0.571)])
def test_etth1(real_data, tmp_path, steps, expected):
    path = tmp_path / "ETTh1.csv"
    with real_data("ett/ETTh1.csv").open() as file:
        path.write_text("".join(islice(file, 14401)))
    panel = read_source([path], DataOptions(target="all")).panel
    parts = [panel.series(index)[:8640] for index in range(7)]
    standard = (np.array([part.mean() for part in parts]), np.array([part.std() for part in parts]))
    begins = np.arange(11520, 14400 - steps + 1)
    windows = (np.repeat(np.arange(7), len(begins)), np.tile(begins, 7))
    assert figures(panel, windows, steps, standard)["MSE_standardised"] == pytest.approx(expected, abs=0.001)
