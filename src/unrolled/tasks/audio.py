"""Recordings as sequences: read, brought to one rate, turned into log-mel features."""

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core import DataError, InputError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au"})
_FLOOR = torch.finfo(torch.float32).eps  # of an energy before its logarithm
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what a program writes that streams a wav and cannot go back


def is_audio(path: Path) -> bool:
    """Whether a file's name ends as those of recordings do."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def sample_rate_of(path: str | Path) -> int:
    """Samples a second of a recording, from its header.

    Raises:
        DataError: it is not a recording that can be read.
    """
    import soundfile

    try:
        return int(soundfile.info(str(path)).samplerate)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise _unreadable(Path(path), error) from error


def read_audio(path: str | Path, sample_rate: int) -> Tensor:
    """A recording's samples (N,) in float32, its channels averaged, at the wanted rate.

    Args:
        path: a file that libsndfile reads: WAV, FLAC, OGG, MP3, AIFF.
        sample_rate: samples a second of what is returned.

    Raises:
        DataError: the file is missing, cut, malformed, silent or empty, or holds numbers that are not finite.
    """
    import soundfile

    path = Path(path)
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    _check_wav_is_whole(path)
    mono: NDArray[np.float32] = samples.mean(axis=1)
    if not len(mono):
        raise DataError(f"{path}: expected a recording, got one of 0 samples; leave this file out.")
    if not np.isfinite(mono).all():
        at = int(np.flatnonzero(~np.isfinite(mono))[0])
        raise DataError(f"{path}: expected finite samples, got {mono[at]} at sample {at}; export the recording again.")
    if float(mono.max() - mono.min()) == 0:
        raise DataError(f"{path}: the recording is silent (all of its samples are equal); leave this file out.")
    if rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, rate, sample_rate)
    return torch.from_numpy(np.ascontiguousarray(mono))


def _unreadable(path: Path, error: Exception) -> DataError:
    if not path.exists():
        return DataError(f"{path}: there is no such file.")
    if path.stat().st_size == 0:
        return DataError(f"{path}: expected a recording, got an empty file; leave this file out.")
    reason = str(error).rpartition(": ")[2].rstrip(". ") or type(error).__name__
    return DataError(f"{path}: not a recording that can be read ({reason}); convert it, for example to WAV or FLAC.")


def _check_wav_is_whole(path: Path) -> None:
    """Refuse a WAV whose end is missing: its header says how much there should be."""
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        size = path.stat().st_size
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", header)
            begin = file.tell()
            if name == b"data":
                if length not in _UNKNOWN_SIZES and begin + length > size:
                    raise DataError(
                        f"{path}: the recording is cut: its header tells of {length} bytes of samples, "
                        f"the file holds {size - begin}; restore the file from its source, or leave it out."
                    )
                return
            file.seek(begin + length + length % 2)


@dataclass(frozen=True)
class LogMel:
    """Logarithms of the energies in mel-spaced bands of short frames, as Kaldi computes them.

    A frame is freed of its mean, filtered y(n) = x(n) - 0.97 x(n - 1), and windowed by a Hann window to the power
    0.85; the energy in a band is the power spectrum weighted by a triangle that is linear in
    mel(f) = 1127 ln(1 + f / 700). There is a frame for each whole window: none reaches over an end.

    Args:
        sample_rate: samples a second.
        bins: bands F, from 20 Hz to half the sample rate.
        window: milliseconds of a frame.
        hop: milliseconds from frame to frame.

    Shape:
        samples (N,), features (T, F).

    Raises:
        InputError: the bands are so many that one of them holds no frequency.

    Reference:
        Povey et al. 2011, The Kaldi speech recognition toolkit.

    Example:
        >>> import torch
        >>> LogMel(8000, bins=23)(torch.randn(8000)).shape
        torch.Size([98, 23])
    """

    sample_rate: int
    bins: int = 40
    window: float = 25.0
    hop: float = 10.0

    @property
    def window_samples(self) -> int:
        """Samples of a frame."""
        return int(self.sample_rate * self.window / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from frame to frame."""
        return max(1, int(self.sample_rate * self.hop / 1000))

    @cached_property
    def _weights(self) -> Tensor:
        """Of each frequency of the spectrum in each band (F, frequencies)."""
        size = 2 ** math.ceil(math.log2(self.window_samples))
        low, high = _mel(torch.tensor([20.0, self.sample_rate / 2], dtype=torch.float64))
        edges = torch.linspace(float(low), float(high), self.bins + 2, dtype=torch.float64)[:, None]
        at = _mel(torch.arange(size // 2 + 1, dtype=torch.float64) * self.sample_rate / size)
        left, centre, right = edges[:-2], edges[1:-1], edges[2:]
        weights = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp(min=0)
        weights[:, -1] = 0  # Kaldi leaves out the last frequency, half the sample rate
        empty = (weights.sum(1) == 0).nonzero().flatten().tolist()
        if empty:
            raise InputError(
                f"bins: expected so few that every band holds a frequency, got {self.bins} bands at "
                f"{self.sample_rate} Hz, of which {len(empty)} are empty; take fewer, or a longer window."
            )
        return weights.float()

    def __call__(self, samples: Tensor) -> Tensor:
        """Features (T, F) of samples (N,); T is 0 where they are shorter than one frame."""
        if len(samples) < self.window_samples:
            return samples.new_zeros(0, self.bins)
        frames = samples.unfold(0, self.window_samples, self.hop_samples)
        frames = frames - frames.mean(1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
        shape = torch.hann_window(self.window_samples, periodic=False, dtype=samples.dtype) ** 0.85
        size = 2 * (self._weights.shape[1] - 1)
        power = torch.fft.rfft((frames - 0.97 * before) * shape, n=size).abs().square()
        energies: Tensor = power @ self._weights.to(power.dtype).t()
        return energies.clamp(min=_FLOOR).log()


def _mel(frequency: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(frequency / 700.0)


def with_deltas(features: Tensor, order: int = 1) -> Tensor:
    """Features (T, F) and beside them how they change over time, up to an order: (T, F (1 + order)).

    The change at t is the slope of the least-squares line through t - 2 ... t + 2; ends are held.

    Example:
        >>> import torch
        >>> with_deltas(torch.arange(5.0)[:, None])[:, 1]
        tensor([0.5000, 0.8000, 1.0000, 0.8000, 0.5000])
    """
    parts = [features]
    for _ in range(order):
        last = parts[-1]
        held = torch.cat([last[:1], last[:1], last, last[-1:], last[-1:]])
        count = len(last)
        near, far = held[3 : 3 + count] - held[1 : 1 + count], held[4 : 4 + count] - held[:count]
        parts.append((near + 2 * far) / 10)
    return torch.cat(parts, 1)
