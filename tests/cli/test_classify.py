"""The commands of classification, from training to pictures."""

import csv
import io
import json
import wave
from xml.etree import ElementTree

import numpy as np
import pytest

SMALL = ["--hidden-size", "8", "--embedding-size", "8", "--subwords", "50", "--batch-size", "8", "--learning-rate",
         "0.02", "--threads", "1", "--dropout", "0"]  # fmt: skip


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A folder with a table, and a run that was trained on it."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("reviews")
    (folder / "train.csv").write_text("text,label\n" + "a fine bright film,good\na dull grey film,bad\n" * 20)
    arguments = ["train", "classify", str(folder / "train.csv"), *SMALL, "--steps", "60", "-o", str(folder / "run")]
    assert main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """The same of rising and falling curves."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("curves")
    rising = np.linspace(0, 1, 12) + np.random.default_rng(0).normal(0, 0.1, (40, 12))
    x = np.where(np.arange(40)[:, None] % 2, rising, -rising)
    np.savez(folder / "train.npz", x=x, y=np.where(np.arange(40) % 2, "up", "down"))
    arguments = ["train", "classify", str(folder / "train.npz"), *SMALL, "--steps", "40", "-o", str(folder / "run")]
    assert main(arguments) == 0
    return folder


def test_training_says_what_came_out(main):
    code, out, err = main("train", "classify", *SMALL, "--steps", "30", "-o", "run")
    assert code == 0, err
    for words in (
        "accuracy",
        "summary statistics",
        "most frequent class",
        "unrolled classify run",
        "run/confusion.svg",
    ):
        assert words in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "accuracy" in err


def test_the_run_folder_holds_no_pickle_and_all_that_is_needed(reviews):
    names = {path.name for path in (reviews / "run").iterdir()}
    assert names >= {"config.json", "encoder.json", "baselines.json", "model.safetensors", "confusion.svg", "loss.svg"}
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".npy", ".joblib"))]
    config = json.loads((reviews / "run" / "config.json").read_text())
    assert config["data"]["kind"] == "text"
    assert config["data"]["training_of_class"] == {"bad": 18, "good": 18}


def test_evaluation_beside_the_baselines(main, reviews, tmp_path):
    (tmp_path / "test.tsv").write_text("label\ttext\ngood\ta bright thing\nbad\ta dull thing\nbad\tgrey\n")
    code, out, _ = main("evaluate", reviews / "run", "test.tsv", "--plot", "matrix.svg")
    assert code == 0
    assert out.startswith("3 texts")
    assert "bag of words" in out
    assert (tmp_path / "matrix.svg").read_text().startswith("<?xml")
    found = json.loads(main("evaluate", reviews / "run", "test.tsv", "--json")[1])
    assert found["figures"]["model"]["accuracy"] == 1.0
    assert found["figures"]["most frequent class"]["accuracy"] == pytest.approx(2 / 3)
    assert found["confusion"] == [[2, 0], [0, 1]]
    assert found["classes"] == ["bad", "good"]


def test_predictions_as_a_table_and_in_files(main, reviews, tmp_path):
    (tmp_path / "new.txt").write_text("a bright film\na grey day\n")
    code, out, _ = main("classify", reviews / "run", "new.txt")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["example", "class", "%", "bad", "%", "good"]
    assert [line.split()[3] for line in lines[1:]] == ["good", "bad"]
    assert main("predict", reviews / "run", "new.txt")[1] == out
    rows = list(csv.DictReader(io.StringIO(main("classify", reviews / "run", "new.txt", "--write", "csv")[1])))
    assert [row["label"] for row in rows] == ["good", "bad"]
    assert float(rows[0]["probability bad"]) + float(rows[0]["probability good"]) == pytest.approx(1)
    assert rows[1]["example"] == "new.txt:2"
    code, out, _ = main("classify", reviews / "run", "new.txt", "--output", "out.jsonl", "--explain")
    assert (code, out) == (0, "")
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["label"] for record in records] == ["good", "bad"]
    assert records[1]["words"] == ["a", "grey", "day"]
    assert records[1]["words"][int(np.argmax(records[1]["contributions"]))] == "grey"


def test_explanations_on_the_screen(main, reviews, tmp_path):
    (tmp_path / "new.jsonl").write_text('{"text": "a bright film"}\n{"text": "a grey day"}\n')
    code, out, _ = main("classify", reviews / "run", "new.jsonl", "--explain")
    assert code == 0
    assert "bright+" in out
    assert "grey+" in out
    assert "gradient times input of the predicted class" in out


def test_series_are_classified_and_explained_with_a_picture(main, curves, tmp_path):
    np.savez(tmp_path / "new.npz", x=np.stack([np.linspace(0, 1, 9), np.linspace(0, -1, 9)]))
    code, out, _ = main("classify", curves / "run", "new.npz", "--explain", "--plot", "why.svg")
    assert code == 0
    assert "up" in out.splitlines()[0]
    assert "steps" in out
    assert (tmp_path / "why.svg").read_text().startswith("<?xml")
    rows = [
        "id,time,value",
        *(f"{name},{step},{sign * step / 9}" for name, sign in (("a", 1), ("b", -1)) for step in range(9)),
    ]
    (tmp_path / "new.csv").write_text("\n".join(rows) + "\n")
    found = csv.DictReader(io.StringIO(main("classify", curves / "run", "new.csv", "--write", "csv")[1]))
    assert [row["label"] for row in found] == ["up", "down"]


def test_recordings_from_a_folder_to_a_file(main, tmp_path):
    pytest.importorskip("soundfile")
    draw = np.random.default_rng(0)
    for label, frequency in (("high", 2000), ("low", 200)):
        for number in range(8):
            samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(1600) / 8000) + draw.normal(0, 0.02, 1600)
            (tmp_path / "tones").mkdir(exist_ok=True)
            with wave.open(str(tmp_path / "tones" / f"{label}_{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes((samples * 32767).astype("<i2").tobytes())
    train = ["train", "classify", "tones", "--label-pattern", "{label}_{n}", *SMALL, "--steps", "40", "-o", "run"]
    code, out, err = main(*train, "--mask-time", "0.1", "--mask-features", "0.1", "--bands", "20")
    assert code == 0, err
    assert "summary statistics" in out
    assert json.loads((tmp_path / "run" / "encoder.json").read_text())["sample_rate"] == 8000
    code, out, _ = main("classify", "run", "tones/high_0.wav", "tones/low_3.wav")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["high_0.wav", "high"], ["low_3.wav", "low"]]
    assert main("evaluate", "run", "tones")[0] == 0


def test_resuming_through_the_command_line(main, tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "a fine bright film,good\na dull grey film,bad\n" * 20)
    assert main("train", "classify", "train.csv", *SMALL, "--steps", "10", "-o", "run")[0] == 0
    code, out, _ = main("train", "classify", "--resume", "run", "--steps", "20")
    assert code == 0
    assert "of 20:" in out
    assert main("train", "classify", "train.csv", "--from", "run", "--steps", "4", "-o", "next")[0] == 0


def test_help_names_every_group(main):
    code, out, _ = main("train", "classify", "--help")
    assert code == 0
    for words in ("Data", "Model", "Training", "Augment", "--label-pattern", "--ensemble", "--mask-time"):
        assert words in out
    assert "--explain" in main("classify", "--help")[1]


def test_a_file_is_one_text_where_files_were_learnt(main, tmp_path):
    for label, word in (("good", "fine"), ("bad", "dull")):
        (tmp_path / "texts" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "texts" / label / f"{number}.txt").write_text(f"a {word} film\n\nof some length\n")
    assert main("train", "classify", "texts", *SMALL, "--steps", "40", "-o", "run")[0] == 0
    (tmp_path / "new.txt").write_text("so dull\n\nit was\n")
    code, out, err = main("classify", "run", "new.txt")
    assert code == 0, err
    assert [line.split()[:5] for line in out.splitlines()[1:]] == [["so", "dull", "it", "was", "bad"]]


def test_many_classes_with_odd_names(main, tmp_path):
    names = ["\x1b[31mred", "a$b$", 'say "hi"', "<b>&amp;", "[bold]", "x" * 300, "två", "猫", *map(str, range(10))]
    rows = [json.dumps({"text": f"word{at} here", "label": name}) for at, name in enumerate(names) for _ in range(4)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n")
    code, out, err = main("train", "classify", "train.jsonl", *SMALL, "--steps", "4", "-o", "run")
    assert code == 0, err
    assert "\x1b" not in out + err
    assert "most confused" in out
    picture = ElementTree.fromstring((tmp_path / "run" / "confusion.svg").read_text())
    drawn = {element.text for element in picture.iter() if element.text}
    assert {"a$b$", 'say "hi"', "<b>&amp;", "[bold]", "två", "猫"} <= drawn
    code, out, _ = main("classify", "run", "train.jsonl", "--explain")
    assert code == 0
    assert "... and 52 more; --output FILE has all." in out
    assert "\x1b[31mred" not in out
    code, out, _ = main("classify", "run", "train.jsonl", "--write", "csv")
    table = list(csv.DictReader(io.StringIO(out)))
    assert len(table) == len(rows)
    assert {name.removeprefix("probability ") for name in table[0] if name.startswith("probability")} == set(names)


def test_long_names_fit_in_80_columns(main, tmp_path):
    for count in (2, 12):
        names = [f"a class of a long name {at}" for at in range(count)]
        rows = [
            json.dumps({"text": f"word{at} here", "label": name}) for at, name in enumerate(names) for _ in range(2)
        ]
        (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n")
        _, out, _ = main("train", "classify", "train.jsonl", *SMALL, "--steps", "2", "-o", f"run{count}")
        report = out.partition("Best on")[2].partition("Run folder")[0]
        _, shown, _ = main("classify", f"run{count}", "train.jsonl")
        assert "taken for" in report
        assert max(map(len, [*report.splitlines(), *shown.splitlines()])) <= 80
        assert count > 2 or "% a cl..me 1" in shown
