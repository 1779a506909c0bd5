"""The figures against numbers by hand and against another library's."""

import numpy as np
import pytest

from unrolled.tasks.forecast.metrics import (
    LEVELS,
    coverage,
    crps_from_quantiles,
    crps_from_samples,
    levels_of,
    naive_error,
    smape,
)


def test_smape_by_hand():
    found = smape(np.array([100.0, 50.0, 0.0, 0.0]), np.array([110.0, 50.0, 0.0, 5.0]))
    assert found.tolist() == pytest.approx([200 * 10 / 210, 0.0, 0.0, 200.0])


def test_naive_error_by_hand():
    history = np.array([1.0, 2.0, 4.0, 7.0])
    assert naive_error(history, 1) == pytest.approx(2.0)
    assert naive_error(history, 2) == pytest.approx(4.0)
    assert np.isnan(naive_error(history, 4))
    assert np.isnan(naive_error(np.full(5, 3.0), 1))


def test_crps_is_that_of_scoringrules():
    scoringrules = pytest.importorskip("scoringrules")
    chance = np.random.default_rng(0)
    actual, samples = chance.normal(size=30), chance.normal(1, 2, size=(30, 40))
    theirs = scoringrules.crps_ensemble(actual, samples, estimator="nrg")
    np.testing.assert_allclose(crps_from_samples(actual, samples), theirs, rtol=1e-10)
    levels = np.array(LEVELS)
    quantiles = np.quantile(samples, levels, axis=1).T
    theirs = scoringrules.crps_quantile(actual, quantiles, levels)
    np.testing.assert_allclose(crps_from_quantiles(actual, quantiles, levels), theirs, rtol=1e-10)


def test_crps_of_quantiles_comes_near_that_of_the_distribution():
    scoringrules = pytest.importorskip("scoringrules")
    from statistics import NormalDist

    actual = np.random.default_rng(1).normal(2, 3, size=400)
    quantiles = np.array([NormalDist(2, 3).inv_cdf(level) for level in LEVELS])
    found = crps_from_quantiles(actual, np.tile(quantiles, (400, 1)), np.array(LEVELS)).mean()
    assert found == pytest.approx(scoringrules.crps_normal(actual, 2, 3).mean(), rel=0.01)


def test_coverage_counts_the_bounds():
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    assert coverage(actual, np.full(4, 2.0), np.full(4, 3.0)) == 0.5


def test_levels_of_intervals():
    assert levels_of([0.8, 0.95]) == (0.025, 0.1, 0.5, 0.9, 0.975)
    assert levels_of([0.5]) == (0.25, 0.5, 0.75)
