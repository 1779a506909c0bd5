"""Windows: scaled and back, padded where a series is short, the covariates at their places; and the network on them."""

import numpy as np
import pytest
import torch

from unrolled.cells import GRU, LSTM
from unrolled.core import InputError
from unrolled.tasks.forecast.division import Origins, divide
from unrolled.tasks.forecast.frequency import Frequency
from unrolled.tasks.forecast.linear import fit_linear
from unrolled.tasks.forecast.network import ForecastNetwork, Window
from unrolled.tasks.forecast.options import DataOptions
from unrolled.tasks.forecast.panel import panel_of
from unrolled.tasks.forecast.preparation import Preparation, Standard
from unrolled.tasks.forecast.windows import Cutter


def ramp(count=30, **more):
    series = [np.arange(count) + 5.0, 100 - 2.0 * np.arange(count)]
    return panel_of(series, frequency=Frequency("hour"), **more)


def at(*numbers):
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("scaling", ["standard", "mean-absolute", "seasonal", "none"])
@pytest.mark.parametrize("transform", ["none", "log"])
def test_scaling_is_undone(scaling, transform):
    panel = ramp()
    batch = Cutter(panel, Preparation(8, 4, (3,), scaling, transform)).cut(at(0, 1), at(10, 20), 4)
    assert batch.window.history.shape == (8, 2)
    own = batch.own_units(batch.target).numpy()
    np.testing.assert_allclose(own[:, 0], np.arange(10, 14) + 5, rtol=1e-5)
    np.testing.assert_allclose(own[:, 1], 100 - 2 * np.arange(20, 24), rtol=1e-5)


@pytest.mark.parametrize("scaling", ["standard", "mean-absolute", "seasonal"])
def test_a_window_in_other_units_is_the_same_window(scaling):
    prepared = Preparation(8, 4, (3,), scaling)
    values = np.random.default_rng(0).normal(5, 2, 40)
    one = Cutter(panel_of([values]), prepared).cut(at(0), at(20), 4)
    other = Cutter(panel_of([values * 1000]), prepared).cut(at(0), at(20), 4)
    torch.testing.assert_close(one.window.history, other.window.history)
    torch.testing.assert_close(one.target, other.target)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e12, 1e-200])
def test_a_constant_series_is_finite(value):
    batch = Cutter(panel_of([np.full(20, value)]), Preparation(8, 4, ())).cut(at(0), at(12), 4)
    assert torch.isfinite(batch.window.history).all()
    assert torch.isfinite(batch.window.ahead).all()
    np.testing.assert_allclose(batch.own_units(batch.target).numpy(), value, rtol=1e-9)


def test_before_a_series_begins_nothing_is_valid_and_after_it_ends_nothing_is_known():
    batch = Cutter(ramp(), Preparation(8, 4, ())).cut(at(0, 0), at(3, 28), 4)
    assert batch.window.valid[:, 0].tolist() == [False] * 5 + [True] * 3
    assert batch.window.valid[:, 1].all()
    assert (batch.window.history[:5, 0] == 0).all()
    assert batch.target[:, 1].isnan().tolist() == [False, False, True, True]


def test_covariates_stand_at_their_steps():
    steps = np.arange(30.0)[:, None]
    panel = ramp(past=[steps, steps + 0.5], future=[np.arange(40.0)[:, None]] * 2, static=np.array([[1.0], [2.0]]))
    past, future, static = Standard((0.0,), (1.0,)), Standard((0.0,), (2.0,)), Standard((1.5,), (0.5,))
    prepared = Preparation(8, 4, (), calendar=False, past=past, future=future, static=static)
    window = Cutter(panel, prepared).cut(at(0, 1), at(10, 30), 6).window
    assert window.past[:, 0, 0].tolist() == list(range(2, 10))
    assert window.past[:, 1, 0].tolist() == [22.5 + step for step in range(8)]
    assert window.past[:, 0, 1].tolist() == [step / 2 for step in range(2, 10)]
    assert window.ahead[:, 1, 0].tolist() == [step / 2 for step in range(30, 36)]
    assert window.ahead[0, :, 1].tolist() == [-1, 1]
    assert window.past.shape[-1] == prepared.past_size(0)
    assert window.ahead.shape[-1] == prepared.ahead_size(0)


def test_the_calendar_of_a_window_is_that_of_its_times():
    frequency = Frequency("hour")
    panel = ramp(starts=[1000, 5000])
    prepared = Preparation(8, 4, (), year=False)
    window = Cutter(panel, prepared).cut(at(1), at(12), 4).window
    expected = frequency.calendar(np.arange(5012, 5016), year=False)
    np.testing.assert_array_equal(window.ahead[:, 0, : expected.shape[1]], expected)
    far = Cutter(panel, prepared).cut(at(1), at(12), 4000).window  # beyond the table that is kept ready
    last = frequency.calendar(at(5012 + 3999), year=False)
    np.testing.assert_array_equal(far.ahead[-1:, 0, : expected.shape[1]], last)


def test_origins_are_all_windows_once():
    origins = Origins(at(3, 5, 1), at(2, 0, 3))
    series, first = origins.at(np.arange(origins.total))
    assert list(zip(series.tolist(), first.tolist(), strict=True)) == [(0, 3), (0, 4), (2, 1), (2, 2), (2, 3)]
    assert origins.spread(2)[0].tolist() == [0, 2]


def test_training_never_sees_what_is_held_out():
    panel = panel_of([np.arange(100.0), np.arange(40.0)])
    division = divide(panel, DataOptions(validation_share=0.2, test_steps=5), 6)
    prepared = Preparation(10, 6, ())
    learnt, held_out = division.origins(prepared)
    series, first = learnt.at(np.arange(learnt.total))
    assert (first + 6 <= division.training[series]).all()
    assert (first + 6).max() == division.training[0] == 100 - 5 - 19
    series, first = held_out.at(np.arange(held_out.total))
    assert (first >= division.training[series]).all()
    assert (first + 6 <= panel.lengths[series] - 5).all()


def test_the_linear_model_finds_a_linear_series():
    chance = np.random.default_rng(0)
    wave = 10 + np.sin(2 * np.pi * np.arange(300) / 12) + 0.01 * chance.normal(size=300)
    panel = panel_of([wave])
    prepared = Preparation(24, 6, (12,))
    found = fit_linear(panel, prepared, divide(panel, DataOptions(), 6))
    assert found.error < 0.01
    assert found.spread.shape == (6,)
    assert found.spread.max() < 0.1


def network(horizon=6, lags=(4,), cell=GRU, **options):
    torch.manual_seed(0)
    made = ForecastNetwork(
        lambda size: cell(size, 8), 12, horizon, past_size=1, ahead_size=2, output_size=3, lags=lags, **options
    )
    with torch.no_grad():
        made.output.weight.normal_()
        made.begin_with(torch.randn(horizon, 12) / 12, torch.randn(horizon))
    return made


def window(steps, batch=3, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return Window(
        torch.randn(12, batch, generator=chance),
        torch.randn(12, batch, 1, generator=chance),
        torch.randn(50, batch, 2, generator=chance)[:steps],
        None,
    )


@pytest.mark.parametrize("cell", [GRU, LSTM])
def test_a_longer_forecast_begins_as_a_shorter_one(cell):
    made = network(cell=cell, num_layers=2)
    raw, base = made(window(6))
    longer, further = made(window(50))
    torch.testing.assert_close(longer[:6], raw)
    torch.testing.assert_close(further[:6], base)
    assert longer.shape == (50, 3, 3)
    assert torch.isfinite(further).all()


def test_the_linear_path_goes_on_from_its_own_forecasts():
    made = network()
    first = made.base(window(6).history, 6)
    again = made.base(torch.cat([window(6).history, first])[6:], 6)
    torch.testing.assert_close(made.base(window(6).history, 12), torch.cat([first, again]))


def test_the_lagged_value_is_the_last_known_one_of_its_season():
    made = network(lags=(4, 5))
    history = torch.arange(12.0)[:, None]
    lagged = made._lagged(history, 7)[:, 0]
    assert lagged[:, 0].tolist() == [8, 9, 10, 11, 8, 9, 10]
    assert lagged[:, 1].tolist() == [7, 8, 9, 10, 11, 7, 8]


def test_what_stands_before_a_series_changes_nothing():
    made = network()
    given = window(6)
    valid = torch.ones(12, 3, dtype=torch.bool)
    valid[:5, 1] = False
    history = given.history.masked_fill(~valid, 0)
    raw, _ = made(Window(history, given.past, given.ahead, valid))
    poisoned = given.past.clone()
    poisoned[:5, 1] = torch.nan
    torch.testing.assert_close(made(Window(history, poisoned, given.ahead, valid))[0], raw)


def test_a_new_network_says_what_the_linear_model_says():
    torch.manual_seed(0)
    made = ForecastNetwork(lambda size: GRU(size, 8), 12, 6, past_size=1, ahead_size=2, output_size=3)
    weight, bias = torch.randn(6, 12), torch.randn(6)
    made.begin_with(weight, bias)
    raw, base = made(window(6))
    assert (raw == 0).all()
    torch.testing.assert_close(base, weight @ window(6).history + bias[:, None])


def test_a_lag_beyond_the_window_is_refused():
    with pytest.raises(InputError, match=r"lags: expected each from 1 to the context of 12, got \[13\]"):
        network(lags=(13,))
