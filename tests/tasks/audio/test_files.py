"""Recordings of every kind are the samples that were written, whole or in blocks."""

import os
import struct

import numpy as np
import pytest
import torch

from unrolled.core import InputError
from unrolled.tasks.audio import LogMel, audio_blocks, read_audio, sample_rate_of

soundfile = pytest.importorskip("soundfile")

KINDS = {  # by how much a sample may differ: a step of its kind, or what a code for ears leaves out
    ("wav", "PCM_U8"): 2**-7,
    ("wav", "PCM_16"): 2**-15,
    ("wav", "PCM_24"): 2**-23,
    ("wav", "PCM_32"): 2**-24,
    ("wav", "FLOAT"): 0.0,
    ("wav", "DOUBLE"): 0.0,
    ("wav", "ALAW"): 2**-6,
    ("wav", "ULAW"): 2**-6,
    ("flac", "PCM_16"): 2**-15,
    ("flac", "PCM_24"): 2**-23,
    ("aiff", "PCM_16"): 2**-15,
    ("au", "PCM_16"): 2**-15,
    ("rf64", "PCM_16"): 2**-15,
    ("wavex", "PCM_24"): 2**-23,
    ("ogg", "VORBIS"): 0.05,
    ("ogg", "OPUS"): 0.05,
    ("mp3", "MPEG_LAYER_III"): 0.05,
}


def chord(rate, seconds=0.8, channels=1):
    """A sine for each channel, smoothly begun and ended."""
    at = np.arange(round(rate * seconds)) / rate
    shape = np.sin(np.pi * at / seconds) ** 2
    found = np.stack([0.4 * shape * np.sin(2 * np.pi * (220 + 90 * k) * at) for k in range(channels)], 1)
    return found.astype(np.float32)


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_samples_are_those_written(tmp_path, kind, subtype, channels):
    path = tmp_path / f"a.{kind if kind not in ('rf64', 'wavex') else 'wav'}"
    samples = chord(48000, channels=channels)
    soundfile.write(path, samples, 48000, format=kind.upper(), subtype=subtype)
    found = read_audio(path, 48000).numpy()
    assert sample_rate_of(path) == 48000
    assert found.dtype == np.float32
    assert found.shape == (len(samples),)
    np.testing.assert_allclose(found, samples.mean(1), atol=KINDS[kind, subtype] + 1e-7)


def test_an_extensible_header_is_read(tmp_path):
    path = tmp_path / "a.wav"
    samples = chord(16000)[:, 0]
    data = np.rint(samples * 32767).astype("<i2").tobytes()
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    np.testing.assert_allclose(read_audio(path, 16000).numpy(), samples, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_the_rate_is_changed(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, chord(rate), rate, subtype="FLOAT")
    found = read_audio(path, 16000).numpy()
    assert len(found) == round(16000 * 0.8)
    np.testing.assert_allclose(found, chord(16000)[:, 0], atol=1e-3)


def test_eight_channels_at_96_khz_are_averaged(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, chord(96000, channels=8), 96000, subtype="PCM_24")
    np.testing.assert_allclose(read_audio(path, 16000).numpy(), chord(16000, channels=8).mean(1), atol=1e-3)


@pytest.mark.parametrize(("rate", "sample_rate"), [(16000, 16000), (44100, 16000), (8000, 16000), (96000, 8000)])
@pytest.mark.parametrize("seconds", [1 / 8000, 0.0313, 0.1, 100])
def test_the_blocks_are_the_whole(tmp_path, rate, sample_rate, seconds):
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(rate).standard_normal((round(0.37 * rate), 2)) * 0.1
    soundfile.write(path, samples, rate)
    blocks = list(audio_blocks(path, sample_rate, seconds))
    whole = read_audio(path, sample_rate)
    assert torch.equal(torch.cat(blocks), whole)
    size = max(1, round(seconds * sample_rate))
    assert {len(block) for block in blocks[:-1]} <= {size}
    assert 0 < len(blocks[-1]) <= size


def test_the_whole_is_what_soxr_makes_of_it(tmp_path):
    soxr = pytest.importorskip("soxr")
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(1).standard_normal(150_001).astype(np.float32) * 0.1
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, 16000).numpy(), soxr.resample(samples, 44100, 16000))


def test_arguments_that_are_none_are_told(tmp_path):
    with pytest.raises(InputError, match="sample_rate: expected at least 1, got 0"):
        read_audio(tmp_path / "a.wav", 0)
    with pytest.raises(InputError, match="sample_rate: expected 1 to 1000000 samples a second, got 1099511627776"):
        read_audio(tmp_path / "a.wav", 2**40)  # at which the resampler ends the whole program
    for seconds in (0, -1, float("inf"), float("nan")):
        with pytest.raises(InputError, match="seconds: expected a length above 0"):
            next(audio_blocks(tmp_path / "a.wav", 8000, seconds))


def test_features_of_blocks_are_those_of_the_recording(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, chord(44100, channels=2), 44100)
    log_mel = LogMel(16000, 40)
    stream = log_mel.stream()
    frames = torch.cat([stream(block) for block in audio_blocks(path, 16000, 0.05)])
    assert torch.equal(frames, log_mel(read_audio(path, 16000)))
    assert len(frames) == 78


@pytest.mark.parametrize("name", ["-", "--help.wav", "a b\n%d.wav", "\u65e5\u672c.wav", b"\xff.wav"])
def test_a_file_may_have_any_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    samples = chord(8000)[:, 0]
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    try:
        os.rename("a.wav", path)
    except (OSError, UnicodeError):
        pytest.skip("a file system that has no such names")
    np.testing.assert_array_equal(read_audio(path, 8000), samples)
