"""What a model hears: features of recordings, or features that are prepared, each on one scale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...core import DataError
from ..audio import LogMel, read_audio, sample_rate_of, with_deltas
from ..scaling import FeatureScaler, standardised
from .options import DataOptions
from .utterances import Features, Samples, Utterance, read_npy

HIGHEST_RATE = 16_000  # speech above 8 kHz helps little and costs time


@dataclass(frozen=True)
class FrontEnd:
    """From an utterance to features (T, F).

    Args:
        kind: of what: log-mel energies of a recording, or features that come prepared.
        bins: features of a frame, without deltas.
        sample_rate: of recordings; 0 where there are none.
        window: milliseconds of a frame.
        hop: milliseconds from frame to frame.
        deltas: order of the changes that are further features.
        longest: seconds of an utterance.
        scaler: of all utterances; None: each is standardised by itself.
    """

    kind: Literal["audio", "features"]
    bins: int
    sample_rate: int
    window: float
    hop: float
    deltas: int
    longest: float
    scaler: FeatureScaler | None = None

    @classmethod
    def of_first(cls, first: Utterance, data: DataOptions) -> "FrontEnd":
        """What the first utterance and the options ask for."""
        kind: Literal["audio", "features"] = "audio" if is_recording(first) else "features"
        rate, bins = 0, data.bins
        if kind == "audio":
            rate = data.sample_rate or min(HIGHEST_RATE, _rate(first))
        else:
            bins = _prepared(first).shape[1]
        return cls(kind, bins, rate, data.window, data.hop, data.deltas, data.longest)

    @property
    def size(self) -> int:
        """Features F of a frame."""
        return self.bins * (1 + self.deltas)

    @cached_property
    def log_mel(self) -> LogMel:
        """Of recordings."""
        return LogMel(self.sample_rate, self.bins, self.window, self.hop)

    def __call__(self, utterance: Utterance) -> Features:
        """Features (T, F), not yet on one scale.

        Raises:
            DataError: the recording or the features cannot be used; the row is named.
        """
        self.check_kind(utterance)
        found = self._of_recording(utterance) if self.kind == "audio" else self.prepared(utterance)
        made: Features = with_deltas(found, self.deltas).numpy()
        return made

    def check_kind(self, utterance: Utterance) -> None:
        """That it is a recording where the model hears recordings.

        Raises:
            DataError: it is not, or it is where the model reads features.
        """
        if is_recording(utterance) != (self.kind == "audio"):
            wanted = "recordings" if self.kind == "audio" else "prepared features"
            raise DataError(
                f"{utterance.name}: expected {wanted}, as the first utterance of the training data has; "
                "convert it, or leave it out."
            )

    def _of_recording(self, utterance: Utterance) -> Tensor:
        found = self.log_mel(self.samples(utterance))
        if not len(found):
            raise DataError(
                f"{utterance.name}: expected a recording of at least {self.window:g} ms, got a shorter one; "
                "leave it out."
            )
        return found

    def samples(self, utterance: Utterance) -> Tensor:
        """Of a recording (N,), at the model's rate."""
        source = utterance.source
        if isinstance(source, Path):
            return read_audio(source, self.sample_rate, longest=self.longest, place=utterance.place)
        assert isinstance(source, Samples)
        if not len(source.values):
            raise DataError(f"{utterance.name}: expected samples, got none; leave this one out.")
        if not np.isfinite(source.values).all() or not np.ptp(source.values, axis=None) > 0:
            raise DataError(
                f"{utterance.name}: expected finite samples that are not all equal, got others; leave this one out."
            )
        if len(source.values) > self.longest * source.rate:
            raise DataError(
                f"{utterance.name}: expected at most {self.longest:g} s, got {len(source.values) / source.rate:.1f} s; "
                "cut it, or allow more with --longest."
            )
        return brought_to(source, self.sample_rate)

    def prepared(self, utterance: Utterance) -> Tensor:
        """Features (T, F) as they come, checked."""
        found = _prepared(utterance)
        if found.shape[1] != self.bins:
            raise DataError(
                f"{utterance.name}: expected {self.bins} features a frame, as the first utterance of the training "
                f"data has, got {found.shape[1]}; compute them in the same way."
            )
        if not len(found):
            raise DataError(f"{utterance.name}: expected at least one frame, got none; leave it out.")
        if len(found) * self.hop / 1000 > self.longest:
            raise DataError(
                f"{utterance.name}: expected at most {self.longest:g} s, got {len(found) * self.hop / 1000:.1f} s; "
                "cut it, or allow more with --longest."
            )
        wrong = np.argwhere(~np.isfinite(found))
        if len(wrong):
            t, f = wrong[0].tolist()
            raise DataError(
                f"{utterance.name}: expected finite features, got {found[t, f]} at frame {t}, feature {f}; "
                "compute them again, or leave the utterance out."
            )
        return torch.from_numpy(found)

    def scaled(self, features: Tensor) -> Tensor:
        """Features (T, F) of one utterance with mean 0 and deviation 1, by itself or by all."""
        return standardised(features) if self.scaler is None else self.scaler(features)

    def batch(self, heard: Iterable[Features]) -> tuple[Tensor, Tensor]:
        """Features of utterances as a model reads them (T, B, F), on one scale, and the frames of each (B,)."""
        rows = [self.scaled(torch.from_numpy(row)) for row in heard]
        return pad_sequence(rows), torch.tensor([len(row) for row in rows])

    def to_dict(self) -> dict[str, Any]:
        """For a file of JSON."""
        scaler = None if self.scaler is None else self.scaler.to_dict()
        names = ("kind", "bins", "sample_rate", "window", "hop", "deltas", "longest")
        return {**{name: getattr(self, name) for name in names}, "scaler": scaler}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "FrontEnd":
        """What :meth:`to_dict` gave.

        Raises:
            Exception: of any kind, where it is something else.
        """
        scaler = found["scaler"]
        made = cls(**{**found, "scaler": None if scaler is None else FeatureScaler.from_dict(scaler)})
        if made.kind not in ("audio", "features") or made.bins < 1 or not made.hop > 0 or made.deltas < 0:
            raise ValueError("expected features of a known kind and size")
        if made.scaler is not None and len(made.scaler.mean) != made.size:
            raise ValueError("expected a scale for each feature")
        return made


def brought_to(samples: Samples, rate: int) -> Tensor:
    """A recording in memory with so many samples a second."""
    if samples.rate == rate:
        return torch.from_numpy(samples.values)
    import soxr

    return torch.from_numpy(np.ascontiguousarray(soxr.resample(samples.values, samples.rate, rate)))


def _rate(utterance: Utterance) -> int:
    source = utterance.source
    if isinstance(source, Path):
        return sample_rate_of(source, place=utterance.place)
    assert isinstance(source, Samples)
    return source.rate


def is_recording(utterance: Utterance) -> bool:
    """Whether it is sound, not features of it."""
    source = utterance.source
    return source.suffix.lower() != ".npy" if isinstance(source, Path) else isinstance(source, Samples)


def _prepared(utterance: Utterance) -> Features:
    source = utterance.source
    assert not isinstance(source, Samples)
    return read_npy(source, utterance.name) if isinstance(source, Path) else source
