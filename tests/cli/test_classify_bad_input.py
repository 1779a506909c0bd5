"""Whatever is wrong with the data of a classifier: one line with the place and the remedy, and nothing left behind."""

import json
import re
import shutil
import wave

import numpy as np
import pytest

pytest.importorskip("soundfile")

SMALL = ["--steps", "2", "--hidden-size", "4", "--embedding-size", "4", "--subwords", "20", "--batch-size", "4",
         "--threads", "1"]  # fmt: skip
TABLE = "text,label\n" + "a fine day,good\na grey day,bad\n" * 6


def write_wav(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


def noise(seed, count=2000):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, count)


def spoken(folder, count=3):
    for label in ("no", "yes"):
        for number in range(count):
            write_wav(folder / label / f"{number}.wav", noise(number))
    return folder


def long_table(changes=lambda rows: rows):
    rows = [f"{name},{step},{step * 0.1},{name % 2}" for name in range(8) for step in range(4)]
    return "id,time,value,label\n" + "\n".join(changes(rows)) + "\n"


def rewritten(before, after):
    return TABLE.replace(before, after, 1)


TABLES = {
    "empty.csv": ("", "empty.csv: expected a table with a header, got an empty file"),
    "header.csv": ("text,label\n", "header.csv: expected"),
    "words.csv": (
        "sentence,label\na,b\n",
        r"words.csv: expected a column 'text' \(of texts\).*got 'sentence', 'label'",
    ),
    "unlabelled.csv": ("text,class\na b,c\n", r"unlabelled.csv:1: expected a column 'label', got 'text', 'class'"),
    "one.csv": (
        "text,label\na b,good\nc d,good\n",
        r"one.csv: expected examples of at least two classes, got only 'good'",
    ),
    "each.csv": ("text,label\na b,good\nc d,bad\n", "expected at least two examples of a class"),
    "blank.csv": (rewritten("a grey day", " "), r"blank.csv:3: expected a text of at least one word, got ' '"),
    "nolabel.csv": (rewritten(",bad", ","), r"nolabel.csv:3: label: expected a label, got none"),
    "ragged.csv": (rewritten("a grey day", "a grey, day"), r"ragged.csv:3: expected 2 fields as in the header.*got 3"),
    "latin.csv": (
        TABLE.encode() + b"caf\xe9,good\n",
        r"latin.csv:14: expected UTF-8 text, got the byte 0xe9 at column 4",
    ),
    "binary.csv": (b"\x7fELF\0\0\0", r"binary.csv:1: expected text, got a binary file"),
    "array.jsonl": ('["a"]\n', r"array.jsonl:1: expected one object in JSON, got list"),
    "list.jsonl": ('{"text": ["a"], "label": "b"}\n', r"list.jsonl:1: text: expected a text, got list"),
    "dict.jsonl": ('{"text": "a", "label": {}}\n', r"dict.jsonl:1: label: expected a name or a whole number, got dict"),
    "notes.xyz": ("some text", r"notes.xyz: its name does not tell what is in it; name the form with --format"),
    "plain.txt": ("some text\nmore\n", r"plain.txt: expected labels, got a file of plain text"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, refused, tmp_path):
    content, message = TABLES[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(message, refused(1, "train", "classify", name, *SMALL, "-o", "run"))


def swapped(rows, at, row):
    return [*rows[:at], row, *rows[at + 1 :]]


LONG = {
    "nan": (lambda rows: swapped(rows, 5, "1,1,nan,1"), r"long.csv:7: value: expected a finite number, got 'nan'"),
    "word": (lambda rows: swapped(rows, 5, "1,1,high,1"), r"long.csv:7: value: expected a number, got 'high'"),
    "missing": (lambda rows: swapped(rows, 5, "1,1,,1"), r"long.csv:7: value: expected a number, got ''"),
    "huge": (lambda rows: swapped(rows, 5, "1,1,1e200,1"), r"long.csv:6: sequence '1': expected finite numbers"),
    "twice": (lambda rows: swapped(rows, 5, "1,0,0.5,1"), r"expected each time of sequence '1' once, got '0' twice"),
    "date": (lambda rows: swapped(rows, 5, "1,noon,0.5,1"), r"long.csv:7: time: expected a number or a date.*'noon'"),
    "apart": (lambda rows: [*rows, "1,9,0.5,1"], r"long.csv:34: expected the rows of sequence '1' to stand together"),
    "labels": (
        lambda rows: swapped(rows, 5, "1,1,0.5,0"),
        r"expected one label for the rows of sequence '1', got 0, 1",
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_tables_of_steps(name, refused, tmp_path):
    changes, message = LONG[name]
    (tmp_path / "long.csv").write_text(long_table(changes))
    assert re.search(message, refused(1, "train", "classify", "long.csv", *SMALL, "-o", "run"))


def test_arrays(refused, tmp_path):
    x, y = np.zeros((6, 5, 2)), np.arange(6) % 2
    bad = x.copy()
    bad[2, 3, 1] = np.inf
    files = {
        "pickled.npz": ({"x": x, "y": np.array([{}] * 6, dtype=object)}, r"y: expected an array.*got pickled Python"),
        "nox.npz": ({"data": x, "y": y}, r"expected an array named x \(or x_train, x_test\), got data, y"),
        "short.npz": ({"x": x, "y": y[:5]}, r"y: expected 6 whole numbers or names.*got int64 \(5,\)"),
        "deep.npz": (
            {"x": x[None], "y": y},
            r"x: expected numbers \(N, T, F\) or \(N, T\), got float64 \(1, 6, 5, 2\)",
        ),
        "inf.npz": ({"x": bad, "y": y}, r"x\[2\]: expected finite numbers, got inf at step 3, feature 1"),
        "real.npz": ({"x": x, "y": y + 0.5}, r"y: expected 6 whole numbers or names.*got float64"),
        "lengths.npz": ({"x": x, "y": y, "lengths": y * 9}, r"lengths: expected 6 whole numbers from 1 to 5"),
        "nolabel.npz": ({"x": x}, r"x\[0\]: expected a label, got none"),
    }
    for name, (arrays, message) in files.items():
        np.savez(tmp_path / name, **arrays)
        assert re.search(message, refused(1, "train", "classify", name, *SMALL, "-o", "run"))
    (tmp_path / "text.npz").write_text("no archive")
    assert "expected an .npz file of numpy.savez" in refused(1, "train", "classify", "text.npz", *SMALL, "-o", "run")
    whole = (tmp_path / "inf.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    assert "expected an .npz file of numpy.savez" in refused(1, "train", "classify", "cut.npz", *SMALL, "-o", "run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@data\n1,2:3,4:a\n1,?:3,4:b\n", r"a.ts: line 3: expected numbers.*a missing number \(\?\)"),
        ("@data\n1,2:3:a\n", r"a.ts: line 2: expected dimensions of one length, got lengths from 1 to 2"),
        ("@data\n1,2\n", r"a.ts: line 2: expected dimensions and a class"),
        ("@timeStamps true\n@data\n", r"a.ts: line 1: expected sequences without time stamps"),
        ("1,2:a\n", r"a.ts: line 1: expected @data before the sequences"),
        ("# nothing\n", r"a.ts: expected a line @data"),
        ("@data\n1:a\n1,2:3,4:b\n", r"a.ts: line 3: expected 1 features at each step, as in a.ts: line 2, got 2"),
    ],
)
def test_ts_files(text, message, refused, tmp_path):
    (tmp_path / "a.ts").write_text(text)
    assert re.search(message, refused(1, "train", "classify", "a.ts", *SMALL, "-o", "run"))


def test_recordings(refused, tmp_path):
    folder = spoken(tmp_path / "spoken")
    whole = (folder / "no" / "0.wav").read_bytes()
    cases = {
        "silent.wav": (lambda path: write_wav(path, np.zeros(2000)), "is silent"),
        "none.wav": (lambda path: write_wav(path, []), "got one of 0 samples"),
        "short.wav": (lambda path: write_wav(path, noise(0, 150)), "expected a recording of at least 25 ms"),
        "cut.wav": (lambda path: path.write_bytes(whole[:-500]), "the recording is cut"),
        "text.wav": (lambda path: path.write_text("not a sound, but text"), "not a recording that can be read"),
        "empty.wav": (lambda path: path.write_bytes(b""), "got an empty file"),
        "notes.txt": (lambda path: path.write_text("some words"), "expected recordings only"),
    }
    for name, (make, message) in cases.items():
        path = folder / "yes" / name
        make(path)
        line = refused(1, "train", "classify", "spoken", *SMALL, "-o", "run")
        assert message in line
        assert name in line
        path.unlink()


def test_folders(refused, tmp_path):
    folder = spoken(tmp_path / "spoken")
    stray = write_wav(folder / "stray.wav", noise(1))
    train = ["train", "classify", "spoken", *SMALL, "-o", "run"]
    assert "stray.wav: expected it in a sub-folder named as its class" in refused(1, *train)
    assert "expected a name that fits --label-pattern {label}_{n}" in refused(
        1, *train, "--label-pattern", "{label}_{n}"
    )
    assert "--label-pattern: expected {label} in it once" in refused(2, *train, "--label-pattern", "{name}_{n}")
    assert "some text between two parts" in refused(2, *train, "--label-pattern", "{label}{n}")
    stray.unlink()
    outside = write_wav(tmp_path / "outside.wav", noise(2))
    (folder / "yes" / "link.wav").symlink_to(outside)
    assert "expected a path inside spoken" in refused(1, *train)
    (tmp_path / "empty").mkdir()
    assert "got one without files" in refused(1, "train", "classify", "empty", *SMALL, "-o", "run")
    assert "there is no such file or folder" in refused(1, "train", "classify", "nowhere", *SMALL, "-o", "run")
    assert "a device or a pipe" in refused(1, "train", "classify", "/dev/null", *SMALL, "-o", "run")


def test_manifests(refused, tmp_path):
    spoken(tmp_path / "data" / "sounds")
    write_wav(tmp_path / "outside.wav", noise(2))
    rows = [f"sounds/{label}/{number}.wav,{label}" for label in ("no", "yes") for number in range(3)]
    for extra, message in (
        ("../outside.wav,no", r"list.csv:8: expected a path inside data, got '../outside.wav'"),
        ("sounds/no/9.wav,no", r"list.csv:8: data/sounds/no/9.wav: there is no such file"),
        (f"{tmp_path}/outside.wav,no", r"list.csv:8: expected a path inside data"),
        (",no", r"list.csv:8: path: expected the path of a file, got ''"),
    ):
        (tmp_path / "data" / "list.csv").write_text("\n".join(["path,label", *rows, extra]) + "\n")
        assert re.search(message, refused(1, "train", "classify", "data/list.csv", *SMALL, "-o", "run"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--pooling sum", "--pooling: expected .*'last', 'mean', 'max' or 'attention', got 'sum'"),
        ("--format excel", "--format: expected"),
        ("--word-dropout 1", "--word-dropout: expected a value less than 1"),
        ("--ensemble 0", "--ensemble: expected a value greater than or equal to 1"),
        ("--label-smoothing nan", "--label-smoothing: expected a finite number"),
        ("--bands 0", "--bands: expected"),
        ("--cell perceptron", "--cell: expected one of .*elman"),
    ],
)
def test_wrong_options(options, message, refused, tmp_path):
    (tmp_path / "table.csv").write_text(TABLE)
    assert re.search(message, refused(2, "train", "classify", "table.csv", *SMALL, *options.split(), "-o", "run"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("trained")
    (folder / "table.csv").write_text(TABLE)
    assert main(["train", "classify", str(folder / "table.csv"), *SMALL, "-o", str(folder / "run")]) == 0
    return folder / "run"


def test_what_a_run_cannot_measure_or_classify(trained, refused, main, tmp_path):
    (tmp_path / "other.csv").write_text("text,label\nsome words,unheard\n")
    line = refused(1, "evaluate", trained, "other.csv")
    assert "other.csv:2: expected one of the 2 classes of the training data (bad, good), got 'unheard'" in line
    (tmp_path / "blank.csv").write_text('text\n""\n')
    assert "blank.csv:2: expected a text of at least one word" in refused(1, "classify", trained, "blank.csv")
    assert "expected text, of which the run was trained, got audio" in refused(
        1, "classify", trained, write_wav(tmp_path / "a.wav", noise(0))
    )
    assert "INPUT: expected files to classify, got none" in refused(2, "classify", trained)
    (tmp_path / "new.txt").write_text("a fine day\n")
    assert "--plot: expected --explain with it" in refused(2, "classify", trained, "new.txt", "--plot", "a.svg")
    assert "--plot: expected a name that ends in .svg" in refused(
        2, "evaluate", trained, "other.csv", "--plot", "a.doc"
    )
    assert "there is no folder nowhere" in refused(2, "evaluate", trained, "other.csv", "--plot", "nowhere/a.svg")
    assert "expected numeric sequences or recordings, got texts" in refused(
        2, "classify", trained, "new.txt", "--explain", "--plot", "a.svg"
    )
    assert "No such file or directory" in refused(1, "classify", trained, "new.txt", "--output", "nowhere/a.csv")
    assert main("classify", trained, "new.txt")[0] == 0


@pytest.mark.parametrize("name", ["encoder.json", "baselines.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "text"}', '{"frequent": "x", "linear": {}}', "nonsense"])
def test_a_damaged_file_of_a_run(name, content, trained, refused, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / name).write_text(content)
    (tmp_path / "new.txt").write_text("a fine day\n")
    assert re.search(rf"{name}: damaged .*restore the file from a copy", refused(1, "classify", run, "new.txt"))


def test_a_file_of_a_run_that_is_gone_or_changed(trained, refused, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "new.txt").write_text("a fine day\n")
    encoder = json.loads((run / "encoder.json").read_text())
    (run / "encoder.json").write_text(json.dumps({**encoder, "classes": ["good", "bad"]}))
    assert "encoder.json: damaged (its hash is not that in config.json)" in refused(1, "classify", run, "new.txt")
    (run / "encoder.json").unlink()
    assert "encoder.json: cannot be read" in refused(1, "classify", run, "new.txt")


@pytest.mark.filterwarnings("default:.*were cut")
def test_a_field_of_ten_megabytes_is_read_and_cut(main, tmp_path):
    (tmp_path / "table.csv").write_text(TABLE + "word " * 2_000_000 + ",good\n" + "w" * 10_000_000 + ",bad\n")
    code, out, err = main("train", "classify", "table.csv", *SMALL, "-o", "run", "--longest", "50")
    assert code == 0, err
    assert "1 of 14 examples are longer than 50 words and were cut; --longest reads more" in err
    assert "Best on the validation data" in out


@pytest.mark.filterwarnings("default:.*have one example")
def test_a_class_with_one_example_is_learnt_from_and_told(main, tmp_path):
    (tmp_path / "table.csv").write_text(TABLE + "who knows,unsure\n")
    code, _, err = main("train", "classify", "table.csv", *SMALL, "-o", "run")
    assert code == 0
    assert "1 of 3 classes (unsure) have one example, which is learnt from" in err
