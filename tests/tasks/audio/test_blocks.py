"""Samples from a stream of raw PCM, as they come."""

import io
import os
import threading

import numpy as np
import pytest
import torch

from unrolled.core import DataError, InputError
from unrolled.tasks.audio import pcm_blocks


class Trickle(io.BytesIO):
    """A stream that gives fewer bytes than it is asked for."""

    def read(self, size=-1):
        return super().read(min(size, 7))


def values(count, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype("<i2")


@pytest.mark.parametrize("stream", [io.BytesIO, Trickle])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_samples_are_the_streams(stream, channels):
    sent = values(999 * channels)
    blocks = list(pcm_blocks(stream(sent.tobytes()), 16000, 16000, 0.01, channels=channels))
    assert [len(block) for block in blocks] == [160] * 6 + [39]
    expected = (sent.astype(np.float32) / 32768).reshape(-1, channels).mean(1)
    np.testing.assert_allclose(torch.cat(blocks).numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("seconds", [0.0001, 0.013, 9])
def test_a_stream_at_another_rate_is_the_whole_resampled(seconds):
    soxr = pytest.importorskip("soxr")
    sent = values(5003)
    blocks = list(pcm_blocks(Trickle(sent.tobytes()), 44100, 16000, seconds))
    expected = soxr.resample(sent.astype(np.float32) / 32768, 44100, 16000)
    np.testing.assert_array_equal(torch.cat(blocks).numpy(), expected)


def test_a_block_comes_before_the_stream_ends():
    reading, writing = os.pipe()
    sent = values(100)
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as other:
        blocks = pcm_blocks(stream, 1000, 1000, 0.05)
        writer = threading.Thread(target=other.write, args=(sent[:50].tobytes(),))
        writer.start()
        assert len(next(blocks)) == 50
        writer.join()
        other.write(sent[50:].tobytes())
        other.close()
        assert [len(block) for block in blocks] == [50]


def test_what_is_wrong_with_a_stream_is_told():
    with pytest.raises(DataError, match=r"^standard input: expected samples, got an empty stream"):
        list(pcm_blocks(io.BytesIO(), 8000, 8000, 1))
    with pytest.raises(
        DataError, match=r"^a: expected whole samples of 4 bytes, got 3 bytes at the end; send signed 16"
    ):
        list(pcm_blocks(io.BytesIO(bytes(11)), 8000, 8000, 1, channels=2, name="a"))
    with pytest.raises(InputError, match="channels: expected at least 1, got 0"):
        list(pcm_blocks(io.BytesIO(bytes(8)), 8000, 8000, 1, channels=0))
    with pytest.raises(InputError, match="rate: expected 1 to 1000000 samples a second, got 1000000000000"):
        list(pcm_blocks(io.BytesIO(bytes(8)), 10**12, 8000, 1))
