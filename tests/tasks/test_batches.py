"""Mini-batches and stored sequences."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.tasks.batches import Batches, by_length, pad
from unrolled.tasks.storage import store


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.integers(1, 40), st.integers(0, 5))
def test_every_sequence_once_an_epoch(lengths, batch_size, seed):
    batches = Batches(np.array(lengths), batch_size, seed)
    for epoch in (0, 3):
        steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
        seen = [batches(step) for step in steps]
        assert sorted(np.concatenate(seen)) == list(range(len(lengths)))
        assert max(map(len, seen)) <= batch_size
    again = Batches(np.array(lengths), batch_size, seed)
    assert np.array_equal(again(batches.per_epoch + 0), batches(batches.per_epoch + 0))


def test_orders_differ_and_lengths_are_alike():
    lengths = np.random.default_rng(0).integers(1, 1000, 4096)
    batches = Batches(lengths, 32, 0)
    assert not np.array_equal(batches(0), batches(batches.per_epoch))
    assert not np.array_equal(batches(0), Batches(lengths, 32, 1)(0))
    spread = np.mean([np.ptp(lengths[batches(step)]) for step in range(batches.per_epoch)])
    assert spread < 100  # by chance it would be about 940


def test_the_longest_first():
    found = list(by_length(np.array([3, 9, 1, 9, 5]), 2))
    assert [list(batch) for batch in found] == [[1, 3], [4, 0], [2]]


def test_padding():
    padded, lengths = pad([np.array([1, 2, 3]), np.array([], dtype=np.int64), np.array([4])], value=-1)
    assert padded.tolist() == [[1, -1, 4], [2, -1, -1], [3, -1, -1]]
    assert lengths.tolist() == [3, 0, 1]
    padded, _ = pad([np.ones((2, 3), dtype=np.float32), np.zeros((4, 3), dtype=np.float32)])
    assert (padded.shape, padded.dtype) == ((4, 2, 3), torch.float32)


@pytest.mark.parametrize("in_memory", [2**20, 16])
def test_what_is_stored_comes_back(in_memory):
    draw = np.random.default_rng(1)
    arrays = [draw.normal(size=(length, 3)).astype(np.float32) for length in (4, 0, 7, 1)]
    stored = store(iter(arrays), in_memory)
    assert isinstance(stored.values, np.memmap) == (in_memory == 16)
    assert stored.lengths.tolist() == [4, 0, 7, 1]
    for found, expected in zip(stored, arrays, strict=True):
        assert np.array_equal(found, expected)
    assert np.array_equal(stored[-1], arrays[-1])
    assert [len(part) for part in stored[1:3]] == [0, 7]
    with pytest.raises(IndexError):
        stored[4]
    assert len(store([])) == 0


def test_arrays_that_differ_are_refused():
    with pytest.raises(ValueError, match="expected arrays alike"):
        store([np.zeros((2, 3)), np.zeros((2, 4))])
