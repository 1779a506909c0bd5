"""What a recording may not be: each fault is told in one line, with the file, where it stands, and what to do."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from unrolled.core import DataError
from unrolled.tasks.audio import audio_blocks, read_audio, sample_rate_of

soundfile = pytest.importorskip("soundfile")


def tone(rate=8000, seconds=0.5, frequency=440.0):
    at = np.arange(int(rate * seconds)) / rate
    return (0.3 * np.sin(2 * np.pi * frequency * at)).astype(np.float32)


def pcm(samples):
    return np.rint(np.asarray(samples) * 32767).astype("<i2").tobytes()


def wav(data, rate=8000, *, channels=1, bits=16, code=1, told=None, after=b"", marker=b"RIFF", before=b""):
    """The bytes of a WAV, whose header may tell of another number of bytes than there are."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * width % 2**32, width, bits)
    told = len(data) if told is None else told
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", told) + data
    return marker + struct.pack("<I", len(body + after)) + body + after


def big_endian(told):
    """A WAV in the other order of bytes."""
    data = np.rint(tone() * 32767).astype(">i2").tobytes()
    form = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFX" + struct.pack(">I", 8036) + b"WAVE" + form + b"data" + struct.pack(">I", told) + data


def encoded(samples, kind, subtype=None, rate=16000):
    """The bytes of a file that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def changed(samples, at, value):
    samples = samples.copy()
    samples[at] = value
    return samples


NOISE = np.random.default_rng(0).standard_normal(48000) * 0.1
LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"
FLAC = encoded(NOISE, "FLAC")
CUT = "is cut: its header tells of 8000 bytes of samples, the file holds 7000; restore the file from its source, or"
PAGE = "is cut: the last page of its stream is missing; restore the file from its source, or leave it out"
RATE = "expected 100 to 1000000 samples a second, got a header that tells of {}; export the recording again"
NOT = "not a recording that can be read .*; convert it, for example to WAV or FLAC, or leave it out"
MORE = r"expected as many samples as the header tells of, {} bytes, got {} bytes more; mend it, for example: ffmpeg -ig"
MORE_KINDLY = "expected as many samples as the header tells of, {} bytes, got {} bytes more; export it again"
AU, AIFF = encoded(tone(), "AU"), encoded(tone(), "AIFF")


def changed_bytes(content, at, new):
    return content[:at] + new + content[at + len(new) :]


def of_length(samples):
    """A FLAC whose header tells of another number of samples; 0 is that of one not known beforehand."""
    rest = int.from_bytes(FLAC[18:26], "big") >> 36 << 36
    return changed_bytes(FLAC, 18, (rest | samples).to_bytes(8, "big"))


BAD = {
    "cut.wav": (lambda: wav(pcm(tone()))[:-1000], CUT),
    "cut-24-bit.wav": (lambda: wav(bytes(9000), bits=24, told=12000), "tells of 12000 bytes .* holds 9000; restore"),
    "cut-behind-its-header.wav": (lambda: wav(pcm(tone()))[:44], "tells of 8000 bytes .* holds 0; restore"),
    "cut-in-its-header.wav": (lambda: wav(pcm(tone()))[:20], NOT),
    "cut-before-its-samples.wav": (lambda: wav(pcm(tone()))[:36], NOT),
    "cut-adpcm.wav": (lambda: encoded(NOISE, "WAV", "IMA_ADPCM")[:-3000], "is cut: .*; restore"),
    "cut-64-bit.wav": (lambda: encoded(tone(), "RF64")[:-1000], CUT),
    "cut-big-endian.wav": (lambda: big_endian(8000)[:-1000], CUT),
    "cut.aiff": (lambda: encoded(tone(), "AIFF")[:-1000], "is cut: .* the file holds 7008; restore"),
    "cut.au": (lambda: encoded(tone(), "AU")[:-1000], CUT),
    "cut.flac": (lambda: FLAC[:-5000], "is cut.*; restore the file from its source, or leave it out"),
    "cut-by-a-byte.flac": (lambda: FLAC[:-1], "is cut.*; restore the file from its source, or leave it out"),
    "changed.flac": (
        lambda: FLAC[:40000] + bytes(64) + FLAC[40064:],
        "is cut.*; restore the file from its source, or leave it out",
    ),
    "cut.ogg": (lambda: encoded(NOISE, "OGG")[:-3000], PAGE),
    "cut-by-a-byte.ogg": (lambda: encoded(NOISE, "OGG")[:-1], PAGE),
    "cut-opus.ogg": (lambda: encoded(NOISE, "OGG", "OPUS")[:-1000], PAGE),
    "cut-in-its-header.ogg": (lambda: encoded(NOISE, "OGG")[:100], PAGE),
    "cut.mp3": (
        lambda: encoded(NOISE, "MP3")[:6000],
        "is cut: its header tells of 48000 samples, the file holds .*; r",
    ),
    "says-less.wav": (lambda: wav(pcm(tone()), told=1000), MORE.format(1000, 7000)),
    "says-less-with-a-list.wav": (lambda: wav(pcm(tone()), told=6000, after=LIST), MORE.format(6000, 2012)),
    "says-less-big-endian.wav": (lambda: big_endian(1000), MORE.format(1000, 7000)),
    "says-less.au": (lambda: changed_bytes(AU, 8, struct.pack(">I", 1000)), MORE_KINDLY.format(1000, 7000)),
    "says-less.aiff": (
        lambda: changed_bytes(AIFF, AIFF.index(b"SSND") + 4, struct.pack(">I", 1008)),
        MORE_KINDLY.format(1008, 7000),
    ),
    "says-more.flac": (lambda: of_length(2**36 - 1), "its header tells of 68719476735 samples, the file holds 48000"),
    "rate-0.wav": (lambda: wav(pcm(tone()), 0), RATE.format(0)),
    "rate-1.wav": (lambda: wav(pcm(tone()), 1), RATE.format(1)),
    "rate-of-a-billion.wav": (lambda: wav(pcm(tone()), 10**9), RATE.format(10**9)),
    "rate-99.flac": (lambda: encoded(tone(), "FLAC", rate=99), RATE.format(99)),
    "no-channel.wav": (lambda: wav(pcm(tone()), channels=0), NOT),
    "5000-channels.wav": (lambda: wav(pcm(tone()), channels=5000), NOT),
    "no-bits.wav": (lambda: wav(pcm(tone()), bits=0), NOT),
    "unknown-code.wav": (lambda: wav(pcm(tone()), code=99), NOT),
    "silent.wav": (lambda: wav(bytes(8000)), "is silent .*; leave this file out"),
    "constant.wav": (lambda: wav(pcm(np.full(4000, 0.25))), "is silent .*; leave this file out"),
    "opposite-channels.wav": (
        lambda: wav(pcm(np.stack([tone(), -tone()], 1)), channels=2),
        "the mean of its 2 channels is silent; export one of them alone",
    ),
    "nothing.wav": (lambda: b"", "got an empty file; leave this file out"),
    "one-byte.wav": (lambda: b"R", NOT),
    "no-samples.wav": (lambda: wav(b""), "got one of 0 samples; leave this file out"),
    "no-samples-but-a-list.wav": (lambda: wav(b"", after=LIST), "got one of 0 samples; leave this file out"),
    "text.wav": (lambda: b"this is text, and no recording\n" * 20, NOT),
    "text.mp3": (lambda: b"this is text, and no recording\n" * 20, "without a frame of MP3; leave this file out"),
    "tag.mp3": (lambda: b"ID3\4\0\0\0\0\0\0" + bytes(100), r"not a recording .* \(Format not recognised\); convert it"),
    "text.raw": (lambda: bytes(100), NOT),
    "cut-mp3.wav": (lambda: encoded(NOISE, "MP3")[:500], NOT),
    "archive.wav": (lambda: b"PK\3\4" + bytes(100), NOT),
    "phone.wav": (lambda: b"\0\0\0\x20ftypM4A " + bytes(200), NOT),
    "other.w64": (lambda: encoded(tone(), "W64")[:-1000], "expected WAV, .*, got W64; convert it, for example to WAV"),
    "nan.wav": (
        lambda: encoded(changed(tone(), 7, np.nan), "WAV", "FLOAT"),
        "expected finite samples up to 4294967296, got nan at sample 7; export the recording again",
    ),
    "of-a-thousand-decibels.wav": (
        lambda: encoded(NOISE * 1e30, "WAV", "DOUBLE"),
        r"expected finite samples up to 4294967296, got .*e\+28 at sample 0; export the recording again",
    ),
    "infinite.wav": (
        lambda: encoded(changed(np.stack([NOISE * 30, NOISE], 1).repeat(2, 0), (70000, 1), -np.inf), "WAV", "DOUBLE"),
        "expected finite samples up to 4294967296, got -inf at sample 70000; export the recording again",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_told_in_one_line(tmp_path, name, capfd):
    make, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(make())
    for read in (lambda **place: read_audio(path, 8000, **place), lambda **place: [*audio_blocks(path, 7, 1, **place)]):
        with pytest.raises(DataError, match=message) as raised:
            read()
        assert str(raised.value).startswith(f"{path}: ")
        with pytest.raises(DataError, match=message) as raised:
            read(place="manifest.csv:7")
        assert str(raised.value).startswith(f"manifest.csv:7: {path}: ")
        assert str(raised.value).endswith(".")
        assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""  # the decoders are silent


def test_what_is_no_file_is_told(tmp_path, monkeypatch):
    folder = tmp_path / "folder.wav"
    folder.mkdir()
    with pytest.raises(
        DataError, match=r"^m.csv:2: .*folder.wav: expected a file, got a folder; give another path, or"
    ):
        read_audio(folder, 8000, place="m.csv:2")
    with pytest.raises(DataError, match=r"^m.csv:3: .*missing.wav: there is no such file or folder; give another path"):
        sample_rate_of(tmp_path / "missing.wav", place="m.csv:3")
    closed = tmp_path / "closed.wav"
    closed.write_bytes(wav(pcm(tone())))
    monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(
        DataError, match=r"closed.wav: cannot read this file \(Permission denied\); give another path, or"
    ):
        read_audio(closed, 8000)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_a_recording_that_is_too_long_is_told(tmp_path, kind):
    path = tmp_path / "long"
    path.write_bytes(encoded(NOISE, kind))
    assert len(read_audio(path, 8000, longest=3.0)) == 24000
    with pytest.raises(DataError, match=r"at most 2.9 s, got one of 3.0 s or more; cut it into parts, or allow longer"):
        read_audio(path, 8000, longest=2.9)


def test_a_recording_whose_header_does_not_know_how_long_it_is_is_not_read_past_the_limit(tmp_path):
    path = tmp_path / "streamed.wav"
    path.write_bytes(wav(pcm(np.tile(NOISE, 8)), 16000, told=0xFFFFFFFF))
    with pytest.raises(DataError, match=r"at most 5 s, got one of .* s or more"):
        read_audio(path, 8000, longest=5)


def test_headers_that_are_unusual_but_true_are_read(tmp_path):
    path = tmp_path / "a.wav"
    odd = np.arange(1, 100, dtype=np.uint8)
    for content in (
        wav(pcm(tone()), after=LIST),
        wav(pcm(tone()), before=LIST),
        wav(pcm(tone()), after=bytes(512)),  # filled up
        wav(pcm(tone()), after=b"\0" * 5),
    ):
        path.write_bytes(content)
        assert len(read_audio(path, 8000)) == 4000
    path.write_bytes(big_endian(8000))
    np.testing.assert_allclose(read_audio(path, 8000).numpy(), tone(), atol=1e-4)
    path.write_bytes(wav(odd.tobytes(), bits=8, after=b"\0" + LIST))
    assert len(read_audio(path, 8000)) == 99


@pytest.mark.parametrize("told", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_streamed_recording_is_read_to_its_end(tmp_path, told):
    path = tmp_path / "streamed.wav"
    path.write_bytes(wav(pcm(tone()), told=told))
    np.testing.assert_allclose(read_audio(path, 8000).numpy(), tone(), atol=1e-4)
    assert sample_rate_of(path) == 8000
    path.write_bytes(big_endian(told))
    np.testing.assert_allclose(read_audio(path, 8000).numpy(), tone(), atol=1e-4)


def test_a_flac_that_does_not_know_its_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "streamed.flac"
    path.write_bytes(FLAC)
    whole = read_audio(path, 8000)
    path.write_bytes(of_length(0))
    np.testing.assert_array_equal(read_audio(path, 8000), whole)
    with pytest.raises(DataError, match=r"at most 2\.5 s, got one of"):
        read_audio(path, 8000, longest=2.5)


def test_a_recording_shorter_than_a_sample_of_the_rate_is_told(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(pcm([0.1, -0.2, 0.3]), 96000))
    with pytest.raises(DataError, match="expected at least one sample at 8000 a second, got 3 samples at 96000, which"):
        read_audio(path, 8000)
