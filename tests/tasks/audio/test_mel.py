"""Log-mel features against Kaldi's, and in a stream."""

import numpy as np
import pytest
import torch

from unrolled.core import InputError
from unrolled.tasks.audio import DeltaStream, LogMel, with_deltas


def sound(kind, rate, seconds=1.0):
    """Noise, voices with a pitch and its overtones that come and go, or single loud clicks in nothing."""
    generator = np.random.default_rng(rate)
    at = np.arange(int(rate * seconds)) / rate
    if kind == "noise":
        samples = 0.1 * generator.standard_normal(len(at))
    elif kind == "voice":
        pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 2 * at)) / rate
        overtones = sum(np.sin(k * pitch + k) / k for k in range(1, 25) if k * 150 < rate / 2)
        samples = 0.1 * overtones * np.sin(np.pi * 3 * at) ** 2 + 1e-4 * generator.standard_normal(len(at))
    else:
        samples = np.zeros(len(at))
        samples[:: rate // 7] = 0.9
    return samples.astype(np.float32)


def kaldis(samples, rate, bins):
    kaldi = pytest.importorskip("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = bins
    oracle = kaldi.OnlineFbank(options)
    oracle.accept_waveform(rate, samples.tolist())
    oracle.input_finished()
    return np.stack([oracle.get_frame(i) for i in range(oracle.num_frames_ready)])


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100])
@pytest.mark.parametrize("bins", [23, 40, 80])
@pytest.mark.parametrize("kind", ["noise", "voice", "clicks"])
def test_the_features_are_kaldis(rate, bins, kind):
    """Ours in float64 stand for the truth: in float32 we are as near to them as Kaldi is."""
    samples = sound(kind, rate)
    expected = kaldis(samples, rate, bins)
    log_mel = LogMel(rate, bins)
    exact = log_mel(torch.from_numpy(samples).double()).numpy()
    found = log_mel(torch.from_numpy(samples)).numpy()
    assert found.shape == expected.shape
    for features in (expected, found):
        error = np.abs(features - exact)
        assert np.median(error) < 5e-6
        assert error.max() < 1e-3  # in bands of little energy beside others of much


@pytest.mark.parametrize("window", [20.0, 32.0])
def test_other_windows_are_kaldis_too(window):
    kaldi = pytest.importorskip("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.frame_length_ms = window
    options.frame_opts.frame_shift_ms = 8
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 40
    oracle = kaldi.OnlineFbank(options)
    samples = sound("voice", 16000)
    oracle.accept_waveform(16000, samples.tolist())
    expected = np.stack([oracle.get_frame(i) for i in range(oracle.num_frames_ready)])
    found = LogMel(16000, 40, window, 8.0)(torch.from_numpy(samples)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_tone_is_loudest_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000).astype(np.float32)
    features = LogMel(8000, 23)(torch.from_numpy(tone))
    mels = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(4000 / 700), 25)[1:-1]
    nearest = int(np.abs(mels - 1127 * np.log1p(1000 / 700)).argmin())
    assert (features.argmax(1) == nearest).all()


def test_samples_shorter_than_a_frame_give_no_frame():
    assert LogMel(8000)(torch.randn(199)).shape == (0, 40)
    assert LogMel(8000)(torch.randn(200)).shape == (1, 40)


def test_too_many_bands_are_refused():
    with pytest.raises(InputError, match="bins: expected so few that every band holds a frequency, got 200"):
        LogMel(8000, 200)(torch.randn(400))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sizes", [[1], [63], [80], [200, 1, 0, 7], [399, 1000], [40000]])
@pytest.mark.parametrize(("rate", "bins"), [(8000, 40), (16000, 23), (11025, 30)])
def test_features_in_a_stream_are_those_of_the_whole_to_the_bit(rate, bins, sizes, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        samples = torch.from_numpy(sound("voice", rate, 0.1 if sizes == [1] else 2.0))
        log_mel = LogMel(rate, bins)
        stream, parts, at, turn = log_mel.stream(), [], 0, 0
        while at < len(samples):
            size = sizes[turn % len(sizes)]
            parts.append(stream(samples[at : at + size]))
            at, turn = at + size, turn + 1
        assert torch.equal(torch.cat(parts), log_mel(samples))
    finally:
        torch.set_num_threads(before)


def test_a_frame_comes_with_the_last_of_its_samples():
    stream = LogMel(8000).stream()
    assert len(stream(torch.randn(199))) == 0
    assert len(stream(torch.randn(1))) == 1
    assert len(stream(torch.randn(79))) == 0
    assert len(stream(torch.randn(1))) == 1


def test_a_stream_with_gaps_between_its_frames_is_refused():
    with pytest.raises(InputError, match="hop: expected at most the window, 25 ms, got 30 ms"):
        LogMel(8000, hop=30.0).stream()


def test_deltas_of_second_order_are_deltas_of_deltas():
    features = torch.randn(9, 3)
    both = with_deltas(features, 2)
    once = with_deltas(features, 1)
    assert torch.equal(both[:, :6], once)
    assert torch.equal(both[:, 6:], with_deltas(once[:, 3:], 1)[:, 3:])


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", [1, 2, 4, 23])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_deltas_in_a_stream_are_those_of_the_whole(order, steps, size):
    features = torch.randn(steps, 3, generator=torch.Generator().manual_seed(steps))
    stream = DeltaStream(order)
    parts = [stream(part) for part in (features[:0], *features.split(size), features[:0])]
    late = [max(0, end - 2 * order) for end in range(size, steps, size)]
    assert [sum(map(len, parts[: 2 + k])) for k in range(len(late))] == late
    assert torch.equal(torch.cat([*parts, stream.finish()]), with_deltas(features, order))


def test_the_end_of_no_features_is_told():
    with pytest.raises(InputError, match="expected features before the end, got none"):
        DeltaStream().finish()


def test_arguments_that_are_none_are_told():
    for wrong, words in (
        ({"sample_rate": 0}, "sample_rate: expected a number above 0, got 0"),
        ({"sample_rate": 30}, "a rate above 40 Hz, got 25 ms at 30 Hz"),
        ({"bins": 0}, "bins: expected at least 1, got 0"),
        ({"window": 0.1}, r"expected windows of 2 samples at least .*, got 0\.1 ms at 8000 Hz"),
        ({"window": float("nan")}, "window: expected a number above 0, got nan"),
        ({"hop": -5}, "hop: expected a number above 0, got -5"),
    ):
        with pytest.raises(InputError, match=words):
            LogMel(**{"sample_rate": 8000, **wrong})
    for samples in (torch.randn(2, 400), torch.ones(400, dtype=torch.int16)):
        with pytest.raises(InputError, match=r"samples: expected numbers of floating point \(N,\), got"):
            LogMel(8000)(samples)
