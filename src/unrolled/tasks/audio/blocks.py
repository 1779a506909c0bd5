"""Blocks of samples: brought to another rate, cut to one size, and read from a stream of raw PCM."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core import DataError, InputError, at_least_1
from .headers import HIGHEST_RATE

Samples = NDArray[np.float32]


def pcm_blocks(
    stream: BinaryIO, rate: int, sample_rate: int, seconds: float, *, channels: int = 1, name: str = "standard input"
) -> Iterator[Tensor]:
    """Blocks of samples from a stream of raw PCM, signed 16 bit little-endian, such as standard input.

    Each is given as soon as its samples are there; where the rate is changed, a few milliseconds later.

    Args:
        stream: of bytes, such as ``sys.stdin.buffer``.
        rate: samples a second of each channel of the stream.
        sample_rate: samples a second of what is returned.
        seconds: of a block; the last may be shorter.
        channels: of the stream, which come in turn; they are averaged.
        name: what an error calls the stream.

    Raises:
        DataError: the stream is empty, or ends in the midst of a sample.
        InputError: an argument is not as it should be.

    Example:
        >>> import io
        >>> [block.tolist() for block in pcm_blocks(io.BytesIO(bytes([0, 64, 0, 192])), 8000, 8000, 1 / 8000)]
        [[0.5], [-0.5]]
    """
    size = block_size(sample_rate, seconds)
    check_wanted_rate(rate, "rate")
    at_least_1(channels, "channels")
    wanted = max(1, round(rate * seconds))
    yield from in_blocks(at_rate(_pcm(stream, wanted, channels, name), rate, sample_rate), size)


def _pcm(stream: BinaryIO, wanted: int, channels: int, name: str) -> Iterator[Samples]:
    """The stream's samples, at most so many at a time, the channels averaged."""
    width, held, found = 2 * channels, b"", False
    while part := stream.read(wanted * width - len(held)):  # a pipe may give less than was asked for
        held += part
        whole = len(held) - len(held) % width
        if whole:
            values = np.frombuffer(held[:whole], "<i2").reshape(-1, channels).astype(np.float32) / 32768
            yield values.mean(axis=1)
            found = True
        held = held[whole:]
    if held:
        raise DataError(
            f"{name}: expected whole samples of {width} bytes, got {len(held)} bytes at the end; "
            f"send signed 16 bit little-endian samples (s16le), channels: {channels}."
        )
    if not found:
        raise DataError(f"{name}: expected samples, got an empty stream.")


def block_size(sample_rate: int, seconds: float) -> int:
    """Samples of a block of so many seconds, at least one.

    Raises:
        InputError: one of the two is not above 0, or the rate is more than that of any recording.
        InputTypeError: the rate is no whole number.
    """
    check_wanted_rate(sample_rate, "sample_rate")
    if not 0 < seconds < float("inf"):
        raise InputError(f"seconds: expected a length above 0, got {seconds}.")
    return max(1, round(sample_rate * seconds))


def check_wanted_rate(rate: int, name: str) -> None:
    """That a rate can be asked for; far above it the resampler fails without a word."""
    if at_least_1(rate, name) > HIGHEST_RATE:
        raise InputError(f"{name}: expected 1 to {HIGHEST_RATE} samples a second, got {rate}.")


def at_rate(blocks: Iterable[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """The same sound with another number of samples a second; the result does not depend on the blocks' sizes."""
    if rate == sample_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)


def in_blocks(parts: Iterable[Samples], size: int) -> Iterator[Tensor]:
    """The same samples in blocks of one size, the last of what is left."""
    held: list[Samples] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= size:
            joined = np.concatenate(held)
            whole = count - count % size
            for begin in range(0, whole, size):
                yield torch.from_numpy(joined[begin : begin + size].copy())
            held, count = [joined[whole:]], count - whole
    if count:
        yield torch.from_numpy(np.concatenate(held))
