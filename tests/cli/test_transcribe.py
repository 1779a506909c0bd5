"""The transcribe task's commands, from training to text; and what is wrong with data, in one line with its row."""

import json
import shutil
import sys
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest

from unrolled.tasks.transcribe.example import RATE, messages

soundfile = pytest.importorskip("soundfile")

SMALL = ["--hidden-size", "8", "--layers", "1", "--threads", "1"]
STREAM = ["--streaming", "--bins", "16", "--subsampling", "3", "--steps", "30", "--learning-rate", "0.03"]


def manifest(folder, count, seed=0, name="data.tsv"):
    rows = ["audio\ttext"]
    for place, message in enumerate(messages(count, seed)):
        soundfile.write(folder / f"{seed}-{place}.flac", message.source.values, RATE)
        rows.append(f"{seed}-{place}.flac\t{message.text}")
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run for all, since each test copies it."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("transcribe")
    data = manifest(folder, 30)
    assert main(["train", "transcribe", str(data), *SMALL, *STREAM, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def data(tmp_path):
    return manifest(tmp_path, 12, seed=2)


def test_training_shows_the_baseline_samples_and_the_next_commands(main, data):
    code, out, err = main("train", "transcribe", data, *SMALL, "--steps", 3, "-o", "out")
    assert code == 0, err
    for shown in ("most frequent text", "nothing at all", "said     ", "written  ", "unrolled transcribe out FILE"):
        assert shown in out
    assert max(map(len, out.splitlines()[:8])) <= 80


def test_evaluate_says_what_the_errors_are(main, run, data):
    code, out, _ = main("evaluate", run, data, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["count"] == 12
    words = sum(len(message.text.split()) for message in messages(12, 2))
    assert found["words"] == words
    wrong = found["substitutions"] + found["insertions"] + found["deletions"]
    assert found["figures"]["model"]["wer"] == pytest.approx(wrong / words)
    assert found["figures"]["nothing at all"]["wer"] == 1
    _, table, _ = main("evaluate", run, data)
    assert f"Of {words} words" in table
    assert "times" in table
    assert max(map(len, table.splitlines())) <= 80
    code, beam, _ = main("evaluate", run, data, "--json", "--decoding", "beam", "--lexicon", "--beam-size", 4)
    assert code == 0
    assert set(json.loads(beam)["figures"]) == set(found["figures"])


def test_characters_never_seen_are_errors_and_are_named(main, run, data):
    data.write_text(data.read_text().replace("FOG", "FÖG").replace("\tYES", "\tß"))
    code, out, err = main("evaluate", run, data, "--json")
    assert code == 0
    assert set(json.loads(out)["unseen"]) == {c for c in "Öß" if c in data.read_text()}
    assert "Never seen in training, and so never right" in err


def test_every_style(main, run, data, tmp_path):
    _, plain, _ = main("transcribe", run, "2-0.flac")
    _, lines, _ = main("transcribe", run, data, "2-1.flac")
    text = plain.strip()
    assert text
    assert lines.splitlines()[0] == f"{tmp_path / '2-0.flac'}\t{text}"
    assert len(lines.splitlines()) == 13
    _, objects, _ = main("transcribe", run, data, "--style", "jsonl", "--times")
    records = [json.loads(line) for line in objects.splitlines()]
    assert [f"{record['audio']}\t{record['text']}" for record in records] == lines.splitlines()[:-1]
    for record in records:
        assert " ".join(word["word"] for word in record["words"]) == record["text"]
        assert all(0 <= word["start"] < word["end"] for word in record["words"])
        starts = [word["start"] for word in record["words"]]
        assert starts == sorted(starts)
    _, times, _ = main("transcribe", run, "2-0.flac", "--times")
    words = [line.split("\t") for line in times.splitlines()]
    assert [word for _, _, word in words] == text.split()
    assert [float(start) for start, _, _ in words] == pytest.approx(
        [word["start"] for word in records[0]["words"]], abs=0.006
    )
    _, ctm, _ = main("transcribe", run, "2-0.flac", "--style", "ctm")
    assert [line.split()[0] for line in ctm.splitlines()] == ["2-0"] * len(words)
    _, srt, _ = main("transcribe", run, "2-0.flac", "--style", "srt")
    assert srt.startswith("1\n00:00:")
    assert " --> " in srt
    _, vtt, _ = main("transcribe", run, "2-0.flac", "--style", "vtt")
    assert vtt.startswith("WEBVTT\n\n1\n00:00:0")


def test_an_output_is_there_when_all_is_written(main, refused, run, data, tmp_path):
    code, out, err = main("transcribe", run, data, "--output", "a.jsonl")
    assert (code, out) == (0, "")
    assert "Written to  a.jsonl" in err
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 12
    (tmp_path / "2-11.flac").write_bytes(b"fLaC")
    line = refused(1, "transcribe", run, data, "--output", "b.jsonl")
    assert "data.tsv:13: " in line
    assert "2-11.flac" in line


def raw(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(content)))


def test_raw_samples_from_standard_input(main, refused, run, data, monkeypatch):
    sound = (soundfile.read(data.parent / "2-0.flac")[0] * 32768).astype("<i2")
    _, expected, _ = main("transcribe", run, "2-0.flac")
    raw(monkeypatch, sound.tobytes())
    assert main("transcribe", run, "--raw-rate", RATE)[:2] == (0, expected)
    raw(monkeypatch, sound.tobytes())
    _, out, _ = main("transcribe", run, "--raw-rate", RATE, "--style", "jsonl")
    assert json.loads(out)["text"] == expected.strip()
    raw(monkeypatch, b"")
    assert "standard input: expected samples" in refused(1, "transcribe", run, "--raw-rate", RATE)
    raw(monkeypatch, b"123")
    assert "got 1 bytes at the end" in refused(1, "transcribe", run, "--raw-rate", RATE)
    assert "expected no files beside it" in refused(2, "transcribe", run, "2-0.flac", "--raw-rate", RATE)
    assert "expected recordings" in refused(2, "transcribe", run)


def wav(path, samples, rate=RATE, **more):
    soundfile.write(path, samples, rate, **more)


def spoil(folder, data, kind):
    """Make the data bad in one way, in the third row."""
    rows = data.read_text().splitlines()
    file = folder / "2-1.flac"
    good = messages(3, 2)
    sound = [message.source.values for message in good][1]
    if kind == "outside":
        shutil.copy(file, folder.parent / "away.flac")
        rows[2] = "../away.flac\tNO"
    elif kind == "absolute":
        rows[2] = "/etc/passwd\tNO"
    elif kind == "missing":
        rows[2] = "nothing.flac\tNO"
    elif kind == "no column":
        rows[0] = "audio\tsaid"
    elif kind == "empty text":
        rows[2] = "2-1.flac\t "
    elif kind == "fields":
        rows[2] = "2-1.flac"
    elif kind == "too long a text":
        rows[2] = "2-1.flac\t" + "NO " * 400
    elif kind == "no recording":
        rows[2] = "data.tsv\tNO"
    elif kind == "empty file":
        file.write_bytes(b"")
    elif kind == "no samples":
        rows[2] = "x.wav\tNO"
        wav(folder / "x.wav", sound[:0])
    elif kind == "silent":
        rows[2] = "x.wav\tNO"
        wav(folder / "x.wav", np.zeros(8000))
    elif kind == "short":
        rows[2] = "x.wav\tNO"
        wav(folder / "x.wav", sound[800:900])
    elif kind == "malformed":
        file.write_bytes(b"no sound at all")
    elif kind == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif kind == "a lie":
        rows[2] = "x.wav\tNO"
        wav(folder / "x.wav", sound)
        (folder / "x.wav").write_bytes((folder / "x.wav").read_bytes()[:-1000])
    elif kind == "not finite":
        rows[2] = "x.wav\tNO"
        wav(folder / "x.wav", np.where(np.arange(8000) == 5, np.nan, 0.1).astype("f4"), subtype="FLOAT")
    elif kind == "too long":
        rows[2] = "x.flac\tNO"
        wav(folder / "x.flac", np.tile(sound, 61 * RATE // len(sound) + 1))
    elif kind == "features":
        rows[2] = "x.npy\tNO"
        np.save(folder / "x.npy", np.ones((50, 16), "f4"))
    data.write_text("\n".join(rows) + "\n")


BAD = {
    "outside": "expected a path inside",
    "absolute": "expected a path inside",
    "missing": "there is no such file; correct the path, or leave the row out",
    "no column": "expected a column 'text', got 'audio', 'said'",
    "empty text": "the column 'text' is empty",
    "fields": "expected 2 fields as in the header",
    "too long a text": "use --subsampling 1",
    "no recording": "expected a recording (",
    "empty file": "got an empty file",
    "no samples": "0 samples",
    "silent": "silent",
    "short": "expected a recording of at least 25 ms",
    "malformed": "not a recording that can be read",
    "cut": "cut",
    "a lie": "the recording is cut",
    "not finite": "expected finite samples",
    "too long": "expected a recording of at most 60 s",
    "features": "expected recordings, as the first utterance",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_with_a_manifest_is_said_with_its_row(refused, data, tmp_path, kind):
    spoil(tmp_path, data, kind)
    line = refused(1, "train", "transcribe", data, *SMALL, "--steps", 2, "-o", "out")
    assert BAD[kind] in line
    assert f"{data}:{1 if kind == 'no column' else 3}" in line


@pytest.mark.parametrize(
    ("shape", "rate"),
    [((96000, 1), 96000), ((48000, 8), 48000), ((4000, 2), 1000)],
    ids=["96 kHz", "8 channels", "1 kHz"],
)
def test_unusual_recordings_are_read(main, run, tmp_path, shape, rate):
    wav(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, shape), rate)
    code, _, err = main("transcribe", run, "a.wav")
    assert code == 0, err


def arrays(count=12, width=5):
    draw = np.random.default_rng(0)
    lengths = draw.integers(20, 40, count)
    features = draw.normal(size=(lengths.sum(), width)).astype("f4")
    return {"features": features, "lengths": lengths, "texts": np.array(["ab", "b a"] * (count // 2))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": arrays()["features"][:-1]}, "expected as many rows of features as the lengths sum up to"),
        ({"lengths": arrays()["lengths"] * 1.0}, "lengths: expected whole numbers"),
        ({"texts": np.array(["ab"])}, "texts: expected 12 strings"),
        ({"texts": np.array(["ab"] * 11 + [""])}, "[11]: the text is empty"),
        ({"texts": np.array(["ab", None] * 6, dtype=object)}, "it holds Python objects"),
        ({"features": arrays()["features"].astype(int)}, "features: expected numbers"),
        ({"features": np.where(np.arange(5) == 3, np.nan, arrays()["features"])}, "[0]: expected finite features"),
        ({"texts": np.array(["ab"] * 5 + ["abba" * 9] + ["b"] * 6)}, "[5]: expected at least"),
        ({"texts": np.array(["ab", "b\ud800"] * 6)}, "[1]: expected whole characters"),
        ({"texts": np.array(["ab", "b\0a"] * 6)}, "[1]: expected text, got a NUL character"),
        ({"features": np.full(arrays()["features"].shape, 1e300)}, "[0]: expected finite features"),
        ({"features": arrays()["features"][:, :0]}, "features: expected numbers (sum of lengths, F)"),
        ({"texts": None}, "expected the arrays features, lengths, texts, got features, lengths; save texts too"),
    ],
)
def test_what_is_wrong_with_features_is_said(refused, tmp_path, change, message):
    np.savez(tmp_path / "a.npz", **{name: x for name, x in {**arrays(), **change}.items() if x is not None})
    line = refused(1, "train", "transcribe", "a.npz", *SMALL, "--steps", 2, "-o", "out")
    assert message in line
    assert "a.npz" in line


def test_lengths_may_be_of_any_whole_kind(main, tmp_path):
    np.savez(tmp_path / "a.npz", **{**arrays(), "lengths": arrays()["lengths"].astype(np.uint64)})
    assert main("train", "transcribe", "a.npz", *SMALL, "--steps", 2, "-o", "out")[0] == 0


def test_the_texts_of_a_manifest_have_their_recordings_names(main, refused, run, data, tmp_path):
    lines = main("transcribe", run, data)[1].splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(tmp_path / f"2-{place}.flac") for place in range(12)]
    assert "expected one recording" in refused(2, "transcribe", run, data, "--output", "a.srt")
    assert "expected one recording" in refused(2, "transcribe", run, "2-0.flac", "2-1.flac", "--style", "vtt")


def test_a_long_recording_is_transcribed_where_that_is_asked_for(main, refused, run, tmp_path):
    wav(tmp_path / "x.wav", np.random.default_rng(0).normal(0, 0.1, 61 * RATE))
    assert "allow longer ones with --longest" in refused(1, "transcribe", run, "x.wav")
    assert main("transcribe", run, "x.wav", "--longest", 100)[0] == 0
    assert main("transcribe", run, "x.wav", "--longest", 100, "--style", "jsonl")[0] == 0


def test_features_from_training_to_text(main, refused, run, tmp_path, data):
    np.savez(tmp_path / "a.npz", **arrays())
    assert main("train", "transcribe", "a.npz", *SMALL, "--steps", 2, "-o", "out")[0] == 0
    assert main("evaluate", "out", "a.npz")[0] == 0
    np.save(tmp_path / "b.npy", arrays()["features"][:30])
    assert main("transcribe", "out", "b.npy", "a.npz")[1].splitlines()[0].startswith("b.npy\t")
    np.save(tmp_path / "c.npy", arrays(width=6)["features"][:30])
    assert "c.npy: expected 5 features a frame" in refused(1, "transcribe", "out", "c.npy")
    np.save(tmp_path / "d.npy", np.array([None]), allow_pickle=True)
    assert "it holds Python objects" in refused(1, "transcribe", "out", "d.npy")
    assert "expected prepared features" in refused(1, "transcribe", "out", "2-0.flac")
    assert "expected recordings" in refused(1, "transcribe", run, "b.npy")
    (tmp_path / "e.npz").write_bytes(b"PK no archive")
    assert "e.npz: expected arrays" in refused(1, "evaluate", "out", "e.npz")
    assert "--raw-rate: expected a model that hears recordings" in refused(2, "transcribe", "out", "--raw-rate", 8000)


def test_a_damaged_run_is_refused(refused, run):
    for name in ("speech.json", "ngram.txt"):
        text = (run / name).read_text()
        (run / name).write_text(text[: len(text) // 2])
        line = refused(1, "transcribe", run, "x.wav", "--decoding", "beam")
        assert name in line
        (run / name).write_text(text)
    assert "x.wav: there is no such file" in refused(1, "transcribe", run, "x.wav")
    assert "expected a manifest" in refused(1, "transcribe", run, run / "config.json")
    assert "expected --decoding beam" in refused(2, "transcribe", run, "x.wav", "--lexicon")


def test_no_option_of_a_stream_is_lost(refused, data):
    given = ["--streaming", "--normalisation", "utterance"]
    assert "expected global" in refused(2, "train", "transcribe", data, *SMALL, *given, "-o", "out")


def test_groups_are_held_out_whole_or_not_at_all(refused, main, data, tmp_path):
    assert "expected a column 'who'" in refused(1, "train", "transcribe", data, "--group-column", "who", "-o", "out")
    rows = data.read_text().splitlines()
    (tmp_path / "one.tsv").write_text("\n".join([rows[0] + "\twho", *(row + "\tme" for row in rows[1:])]) + "\n")
    line = refused(1, "train", "transcribe", "one.tsv", "--group-column", "who", "-o", "out")
    assert "expected at least 2 groups, got 1" in line
    np.savez(tmp_path / "a.npz", **arrays())
    line = refused(1, "train", "transcribe", "a.npz", "--group-column", "who", "-o", "out")
    assert "a.npz[0]: expected a group" in line
    np.savez(tmp_path / "b.npz", **arrays(), groups=np.array(["x", "y"] * 6))
    assert main("train", "transcribe", "b.npz", *SMALL, "--steps", 2, "-o", "out")[0] == 0
