"""Energies in mel-spaced bands, of a recording or of samples as they come."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...core import InputError, at_least_1

_LOWEST = 20.0  # Hz, where the bands begin
_FLOOR = torch.finfo(torch.float32).eps  # of an energy before its logarithm


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
        InputError: the bands are so many that one of them holds no frequency, a window has less than two samples, or a
            number is not above 0.

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

    def __post_init__(self) -> None:
        at_least_1(self.bins, "bins")
        for name, value in (("sample_rate", self.sample_rate), ("window", self.window), ("hop", self.hop)):
            if not 0 < value < math.inf:
                raise InputError(f"{name}: expected a number above 0, got {value!r}.")
        if self.window_samples < 2 or self.sample_rate <= 2 * _LOWEST:
            raise InputError(
                f"window, sample_rate: expected windows of 2 samples at least and a rate above {2 * _LOWEST:g} Hz, "
                f"got {self.window:g} ms at {self.sample_rate} Hz."
            )

    @property
    def window_samples(self) -> int:
        """Samples of a frame."""
        return int(self.sample_rate * self.window / 1000)

    @property
    def hop_samples(self) -> int:
        """Samples from frame to frame."""
        return max(1, int(self.sample_rate * self.hop / 1000))

    @cached_property
    def _shape(self) -> Tensor:
        """Of the window; in float64, as near its ends 1 - cos is a difference of almost equal numbers."""
        return torch.hann_window(self.window_samples, periodic=False, dtype=torch.float64) ** 0.85

    @cached_property
    def _weights(self) -> Tensor:
        """Of each frequency of the spectrum in each band (F, frequencies)."""
        size = 2 ** math.ceil(math.log2(self.window_samples))
        low, high = _mel(torch.tensor([_LOWEST, self.sample_rate / 2], dtype=torch.float64))
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

    @cached_property
    def _triangles(self) -> tuple[Tensor, Tensor, Tensor]:
        """The weights that are not 0: of which band, of which frequency, and how large."""
        bands, frequencies = self._weights.nonzero(as_tuple=True)
        return bands, frequencies, self._weights[bands, frequencies][:, None]

    def stream(self) -> "LogMelStream":
        """The same for samples as they come."""
        return LogMelStream(self)

    def __call__(self, samples: Tensor) -> Tensor:
        """Features (T, F) of samples (N,); T is 0 where they are shorter than one frame."""
        if samples.dim() != 1 or not samples.is_floating_point():
            raise InputError(
                f"samples: expected numbers of floating point (N,), got {tuple(samples.shape)} of {samples.dtype}."
            )
        if len(samples) < self.window_samples:
            return samples.new_zeros(0, self.bins)
        frames = samples.unfold(0, self.window_samples, self.hop_samples)
        frames = frames - frames.mean(1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
        size = 2 * (self._weights.shape[1] - 1)
        power = torch.fft.rfft((frames - 0.97 * before) * self._shape.to(frames.dtype), n=size).abs().square().t()
        bands, frequencies, weights = self._triangles
        # a band's sum in one order whatever the number of frames, which a product of matrices does not keep
        energies: Tensor = power.new_zeros(self.bins, power.shape[1]).index_add(0, bands, power[frequencies] * weights)
        return energies.t().clamp(min=_FLOOR).log()


class LogMelStream:
    """Features of samples as they come, equal to the bit to those of all the samples at once.

    There are no frames left at the end: samples that fill no window give none in :class:`LogMel` either.

    Args:
        log_mel: what is computed.

    Shape:
        samples (N,) of any N, features (T, F) of the frames that these complete, T = 0 where there are none.

    Raises:
        InputError: frames stand further apart than they are long.

    Example:
        >>> import torch
        >>> log_mel, samples = LogMel(8000, bins=23), torch.randn(8000)
        >>> stream = log_mel.stream()
        >>> parts = [stream(part) for part in samples.split(700)]
        >>> [len(part) for part in parts[:3]], torch.equal(torch.cat(parts), log_mel(samples))
        ([7, 9, 8], True)
    """

    def __init__(self, log_mel: LogMel):
        if log_mel.hop_samples > log_mel.window_samples:
            raise InputError(f"hop: expected at most the window, {log_mel.window:g} ms, got {log_mel.hop:g} ms.")
        self.log_mel = log_mel
        self._held = torch.zeros(0)  # samples of frames to come

    def __call__(self, samples: Tensor) -> Tensor:
        """Features (T, F) of the frames that the next samples (N,) complete."""
        held = torch.cat([self._held.to(samples), samples])
        features = self.log_mel(held)
        self._held = held[len(features) * self.log_mel.hop_samples :].clone()
        return features


def _mel(frequency: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(frequency / 700.0)
