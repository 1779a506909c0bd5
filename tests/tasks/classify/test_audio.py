"""Log-mel features against Kaldi's, and what a recording may not be."""

import struct
import wave

import numpy as np
import pytest
import torch

from unrolled.core import DataError, InputError
from unrolled.tasks.audio import LogMel, read_audio, sample_rate_of, with_deltas

pytest.importorskip("soundfile")


def tone(rate=8000, seconds=0.5, frequency=440.0):
    at = np.arange(int(rate * seconds)) / rate
    return (0.3 * np.sin(2 * np.pi * frequency * at)).astype(np.float32)


def write_wav(path, samples, rate=8000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("bins", [23, 40])
def test_the_features_are_kaldis(rate, bins):
    kaldi = pytest.importorskip("kaldi_native_fbank")
    generator = np.random.default_rng(rate + bins)
    samples = (tone(rate) + 0.05 * generator.standard_normal(rate // 2)).astype(np.float32)
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = bins
    oracle = kaldi.OnlineFbank(options)
    oracle.accept_waveform(rate, samples.tolist())
    oracle.input_finished()
    expected = np.stack([oracle.get_frame(i) for i in range(oracle.num_frames_ready)])
    found = LogMel(rate, bins)(torch.from_numpy(samples))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_a_tone_is_loudest_in_its_band():
    features = LogMel(8000, 23)(torch.from_numpy(tone(frequency=1000.0)))
    mels = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(4000 / 700), 25)[1:-1]
    nearest = int(np.abs(mels - 1127 * np.log1p(1000 / 700)).argmin())
    assert (features.argmax(1) == nearest).all()


def test_samples_shorter_than_a_frame_give_no_frame():
    assert LogMel(8000)(torch.randn(199)).shape == (0, 40)
    assert LogMel(8000)(torch.randn(200)).shape == (1, 40)


def test_too_many_bands_are_refused():
    with pytest.raises(InputError, match="bins: expected so few that every band holds a frequency, got 200"):
        LogMel(8000, 200)(torch.randn(400))


def test_deltas_of_second_order_are_deltas_of_deltas():
    features = torch.randn(9, 3)
    both = with_deltas(features, 2)
    once = with_deltas(features, 1)
    assert torch.equal(both[:, :6], once)
    assert torch.equal(both[:, 6:], with_deltas(once[:, 3:], 1)[:, 3:])


def test_channels_are_averaged_and_the_rate_is_changed(tmp_path):
    left, right = tone(frequency=300.0), tone(frequency=900.0)
    path = write_wav(tmp_path / "a.wav", np.stack([left, right], 1).ravel(), channels=2)
    assert sample_rate_of(path) == 8000
    np.testing.assert_allclose(read_audio(path, 8000).numpy(), (left + right) / 2, atol=1e-4)
    twice = read_audio(path, 16000).numpy()
    assert len(twice) == 8000
    expected = (tone(16000, frequency=300.0) + tone(16000, frequency=900.0)) / 2
    np.testing.assert_allclose(twice[400:-400], expected[400:-400], atol=2e-3)


def test_what_is_no_recording_is_told(tmp_path):
    whole = write_wav(tmp_path / "whole.wav", tone()).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:-1000])
    (tmp_path / "header.wav").write_bytes(whole[:20])
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not a recording at all, but text of some length")
    write_wav(tmp_path / "none.wav", [])
    write_wav(tmp_path / "silent.wav", np.zeros(4000))
    expected = {
        "cut.wav": "is cut: its header tells of 8000 bytes of samples, the file holds 7000",
        "header.wav": "not a recording that can be read",
        "empty.wav": "got an empty file",
        "text.wav": "not a recording that can be read",
        "none.wav": "got one of 0 samples",
        "silent.wav": "is silent",
        "missing.wav": "there is no such file",
    }
    for name, message in expected.items():
        with pytest.raises(DataError, match=message) as raised:
            read_audio(tmp_path / name, 8000)
        assert str(tmp_path / name) in str(raised.value)


def test_a_streamed_wav_that_does_not_know_its_size_is_read(tmp_path):
    data = bytearray(write_wav(tmp_path / "a.wav", tone()).read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(bytes(data))
    assert len(read_audio(tmp_path / "a.wav", 8000)) == 4000


def test_samples_that_are_not_finite_are_told(tmp_path):
    import soundfile

    samples = tone()
    samples[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(DataError, match="got nan at sample 7"):
        read_audio(tmp_path / "nan.wav", 8000)
