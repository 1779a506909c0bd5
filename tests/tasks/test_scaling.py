"""Features brought to mean 0 and deviation 1."""

import json

import numpy as np
import pytest
import torch

from unrolled.core import InputError
from unrolled.tasks.scaling import FeatureScaler, standardised


def rows(seed=0):
    draw = np.random.default_rng(seed)
    return [(3 + 2 * draw.standard_normal((length, 3))).astype(np.float32) for length in (5, 1, 17)]


def test_all_steps_together_get_mean_0_and_deviation_1():
    together = np.concatenate(rows())
    scaler = FeatureScaler.learn(rows())
    np.testing.assert_allclose(scaler.mean, together.mean(0), rtol=1e-6)
    np.testing.assert_allclose(scaler.deviation, together.std(0), rtol=1e-6)
    found = scaler(torch.from_numpy(together))
    np.testing.assert_allclose(found.mean(0), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(found.std(0, correction=0), np.ones(3), rtol=1e-6)


def test_a_batch_holds_the_rows_and_zeros():
    scaler = FeatureScaler.learn(rows())
    batch, lengths = scaler.padded(rows(1))
    assert batch.shape == (17, 3, 3)
    assert lengths.tolist() == [5, 1, 17]
    for place, row in enumerate(rows(1)):
        assert torch.equal(batch[: len(row), place], scaler(torch.from_numpy(row)))
        assert not batch[len(row) :, place].any()


def test_a_constant_feature_becomes_0():
    row = np.stack([np.full(4, 1e4, dtype=np.float32), np.arange(4, dtype=np.float32)], 1)
    scaler = FeatureScaler.learn([row])
    assert scaler.deviation[0] == 1
    assert not scaler(torch.from_numpy(row))[:, 0].any()


def test_one_sequence_by_itself():
    x = torch.from_numpy(rows()[2])
    found = standardised(x)
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(found, standardised(5 * x - 3), atol=1e-5, rtol=1e-5)  # what is the same for all steps
    assert standardised(x[:1]).tolist() == [[0, 0, 0]]
    assert standardised(x[:0]).shape == (0, 3)


def test_it_is_written_and_read():
    scaler = FeatureScaler.learn(rows())
    found = FeatureScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(found.mean, scaler.mean)
    np.testing.assert_array_equal(found.deviation, scaler.deviation)


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [([0.0], [1.0, 1.0]), ([[0.0]], [[1.0]]), ([0.0], [0.0]), ([float("nan")], [1.0]), ([0.0], [float("inf")])],
)
def test_what_is_no_scale_is_told(mean, deviation):
    with pytest.raises(InputError, match="expected"):
        FeatureScaler.from_dict({"mean": mean, "deviation": deviation})


def test_no_steps_are_told():
    with pytest.raises(InputError, match="expected sequences with a step at least, got none"):
        FeatureScaler.learn([np.zeros((0, 3))])


def test_other_features_are_told():
    with pytest.raises(InputError, match=r"expected sequences of equally many features, got \[\(1,\), \(2,\)\]"):
        FeatureScaler.learn([np.ones((3, 2)), np.ones((3, 1))])
    scaler = FeatureScaler.learn([np.ones((3, 2))])
    with pytest.raises(InputError, match=r"features: expected \(..., F\) with F = 2, got \(4, 1\)"):
        scaler(torch.ones(4, 1))
