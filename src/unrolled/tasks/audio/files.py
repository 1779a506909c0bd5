"""Samples of recordings, whole or in blocks: channels averaged, at the rate that is wanted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import DataError
from ..reading import open_binary
from .blocks import Samples, at_rate, block_size, in_blocks
from .headers import check_rate, is_cut_ogg, opened

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".au"})
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU")
_NOT_MP3 = (b"RIFF", b"RF64", b"RIFX", b"fLaC", b"OggS", b"FORM", b".snd")  # how files of the others begin
_FRAMES = 2**16  # decoded at a time
_MP3_PADDING = 2304  # samples that a decoder may leave out at both ends together
_LOUDEST = 2**32  # as integers of 32 bits are; the energy of one far above has no number in float32
_UNKNOWN = 2**62  # frames of a file that does not say how many


def is_audio(path: Path) -> bool:
    """Whether a file's name ends as those of recordings do."""
    return path.suffix.lower() in AUDIO_SUFFIXES


def sample_rate_of(path: str | Path, *, place: str | None = None) -> int:
    """Samples a second of a recording, from its header.

    Raises:
        DataError: it is not a recording that can be read.
    """
    with _opened(Path(path), _name(path, place)) as file:
        return int(file.samplerate)


def read_audio(path: str | Path, sample_rate: int, *, longest: float | None = None, place: str | None = None) -> Tensor:
    """A recording's samples (N,) in float32, its channels averaged, at the wanted rate.

    The header of a WAV may tell of fewer samples than follow. Where it tells of none, or of 2 GB and more, a program
    wrote it that could not go back, and all that follows is read; any other number must be the right one.

    Args:
        path: WAV of any kind, FLAC, OGG (Vorbis, Opus), MP3, AIFF or AU.
        sample_rate: samples a second of what is returned.
        longest: seconds that a recording may have, for the memory's sake; by default any number.
        place: where the path stands, such as the row of a table; it comes first in an error.

    Raises:
        DataError: the file is missing, cut, malformed, silent, empty or too long, its header is false, or it holds
            numbers that are not finite or absurdly large.
        InputError: ``sample_rate`` is not above 0.
    """
    return torch.cat(list(audio_blocks(path, sample_rate, 10.0, longest=longest, place=place)))


def audio_blocks(
    path: str | Path, sample_rate: int, seconds: float, *, longest: float | None = None, place: str | None = None
) -> Iterator[Tensor]:
    """A recording in blocks of samples, one after the other: together those of :func:`read_audio`, to the bit.

    Args:
        path: a recording.
        sample_rate: samples a second of what is returned.
        seconds: of a block; the last may be shorter.
        longest: seconds that a recording may have; by default any number.
        place: where the path stands; it comes first in an error.

    Raises:
        DataError: as :func:`read_audio`, when the fault is reached: that all is silent shows at the end.
        InputError: ``sample_rate`` or ``seconds`` is not above 0.
    """
    size = block_size(sample_rate, seconds)
    path, name = Path(path), _name(path, place)
    found = False
    with _opened(path, name) as file:
        for block in in_blocks(at_rate(_decoded(file, path, name, longest), file.samplerate, sample_rate), size):
            yield block
            found = True
        if not found:
            raise DataError(
                f"{name}: expected at least one sample at {sample_rate} a second, got {file.frames} samples at "
                f"{file.samplerate}, which is less; leave this file out."
            )


def _name(path: str | Path, place: str | None) -> str:
    return str(path) if place is None else f"{place}: {path}"


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    """A recording as libsndfile opens it, with a header that can be true."""
    import soundfile

    try:
        file = open_binary(path)
    except DataError as error:
        reason = str(error).removeprefix(str(path)).rstrip(".")
        raise DataError(f"{name}{reason}; give another path, or leave this file out.") from error
    try:
        with file:
            source = opened(path, file, name)
        with _silent_decoder(path):
            sound = soundfile.SoundFile(source)
            sound.seekable = lambda: False  # else it seeks after each read, which a FLAC of unknown length cannot
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError) as error:
        if is_cut_ogg(path):
            raise _cut(name) from error
        raise DataError(
            f"{name}: not a recording that can be read ({_reason(error)}); convert it, for example to WAV or FLAC, "
            "or leave it out."
        ) from error
    with sound:
        if sound.format not in _FORMATS:  # the others may be cut, and nobody would know
            raise DataError(
                f"{name}: expected {', '.join(_FORMATS)}, got {sound.format}; convert it, for example to WAV or FLAC."
            )
        check_rate(sound.samplerate, name)
        yield sound


@contextmanager
def _silent_decoder(path: Path) -> Iterator[None]:
    """The decoder of MP3 writes remarks on a file's header to the terminal, past Python; they go nowhere."""
    with path.open("rb") as file:
        if file.read(4) in _NOT_MP3:
            yield
            return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _decoded(file: Any, path: Path, name: str, longest: float | None) -> Iterator[Samples]:
    """The samples, the channels averaged, at the file's own rate; what is wrong with them is told when it shows."""
    told = file.frames if file.frames < _UNKNOWN else 0
    _check_length(told, file.samplerate, longest, name)
    count = 0
    first = first_mean = np.zeros(0, dtype=np.float32)
    varied = mean_varied = False
    while len(samples := _read(file, path, name, count)):
        if not (np.abs(samples) <= _LOUDEST).all():
            at, channel = map(int, np.argwhere(~(np.abs(samples) <= _LOUDEST))[0])
            raise DataError(
                f"{name}: expected finite samples up to {_LOUDEST}, got {samples[at, channel]} at sample {count + at}; "
                "export the recording again."
            )
        mono: Samples = samples.mean(axis=1)
        if not count:
            first, first_mean = samples[0], mono[:1]
        varied = varied or bool((samples != first).any())
        mean_varied = mean_varied or bool((mono != first_mean).any())
        count += len(mono)
        _check_length(count, file.samplerate, longest, name)
        yield mono
    if count < told - (_MP3_PADDING if file.format == "MP3" else 0):
        raise DataError(
            f"{name}: the recording is cut: its header tells of {told} samples, the file holds {count}; "
            "restore the file from its source, or leave it out."
        )
    if is_cut_ogg(path):
        raise _cut(name)
    if not count:
        raise DataError(f"{name}: expected a recording, got one of 0 samples; leave this file out.")
    if not varied:
        raise DataError(f"{name}: the recording is silent (all of its samples are equal); leave this file out.")
    if not mean_varied:
        raise DataError(f"{name}: the mean of its {len(first)} channels is silent; export one of them alone.")


def _read(file: Any, path: Path, name: str, count: int) -> Samples:
    """The next samples (N, channels), none at the end."""
    import soundfile

    try:
        samples: Samples = file.read(_FRAMES, dtype="float32", always_2d=True)
        return samples
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise DataError(
            f"{name}: the recording is cut or damaged after {count / file.samplerate:.1f} s ({_reason(error)}); "
            "restore the file from its source, or leave it out."
        ) from error


def _reason(error: Exception) -> str:
    """Why libsndfile does not read a file."""
    reason = str(error).rpartition(": ")[2].rstrip(". ")
    if "File does not exist" in reason:  # it does; this is said of an MP3 without a frame
        return "Format not recognised"
    return reason or type(error).__name__


def _cut(name: str) -> DataError:
    return DataError(
        f"{name}: the recording is cut: the last page of its stream is missing; "
        "restore the file from its source, or leave it out."
    )


def _check_length(frames: int, rate: int, longest: float | None, name: str) -> None:
    if longest is not None and frames > longest * rate:
        raise DataError(
            f"{name}: expected a recording of at most {longest:g} s, got one of {frames / rate:.1f} s or more; "
            "cut it into parts, or allow longer ones with --longest."
        )
