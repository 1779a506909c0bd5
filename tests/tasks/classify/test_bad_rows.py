"""What rows of tables and data in memory must not be: each is told, with its place."""

import json

import numpy as np
import pytest
from sklearn.metrics import log_loss

from unrolled.core import DataError, InputError
from unrolled.tasks import Classifier
from unrolled.tasks.classify.gather import gather, gather_memory
from unrolled.tasks.classify.options import DataOptions

DATA = DataOptions()


def steps(folder, rows, header="id,time,label,x,y", name="t.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_columns_are_known_by_their_names(tmp_path):
    first = steps(tmp_path, ["a,0,no,1,2", "b,0,yes,3,4"])
    other = steps(tmp_path, ["c,0,no,6,5"], "id,time,label,y,x", "other.csv")
    found = gather([first, other], DATA)
    assert found.columns == ("x", "y")
    assert found.examples.rows[2].tolist() == [[5.0, 6.0]]
    assert gather([first], DATA, columns=("y", "x")).examples.rows[0].tolist() == [[2.0, 1.0]]
    with pytest.raises(DataError, match=r"t.csv:2.*'x', 'z', got 'x', 'y'"):
        gather([first], DATA, columns=("x", "z"))


def test_times_sort_the_steps(tmp_path):
    nanoseconds = 1_700_000_000_000_000_000
    rows = [f"a,{nanoseconds + 1},no,2,0", f"a,{nanoseconds},no,1,0", "b,2024-03-31T03:30,no,2,0"]
    path = steps(tmp_path, [*rows, "b,2024-03-31T02:30,no,1,0"])  # an hour that summer time leaves out somewhere
    for row in gather([path], DATA).examples.rows:
        assert row[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("time", ["nan", "inf", "2024-01-02T00:00Z", "2024-01-02", ""])
def test_times_that_do_not_sort_are_told(tmp_path, time):
    with pytest.raises(DataError, match=r"t.csv:3: time: expected a"):
        gather([steps(tmp_path, ["a,0,no,1,2", f"a,{time},no,1,2"])], DATA)
    with pytest.raises(DataError, match=r"t.csv:3: time: expected a"):
        gather([steps(tmp_path, ["a,2024-01-01T00:00,no,1,2", f"a,{time or 5}{'Z' * (time == '2024-01-02')},no,1,2"])],
               DATA)  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"x": 1, "z": 2}, r"t.jsonl:2: expected the columns .*'x' as in .*t.jsonl:1, got .*'z'"),
        ({"x": 1, "label": None}, r"expected one label"),
    ],
)
def test_objects_of_a_sequence_are_alike(tmp_path, more, message):
    path = tmp_path / "t.jsonl"
    rows = [{"id": "a", "time": 0, "label": "no", "x": 1}, {"id": "a", "time": 1, "label": "no", **more}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=message):
        gather([path], DATA)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "text,label\na,no\nb,  \n", r"t.csv:3: label: expected a label"),
        ("t.csv", "text,label\n", r"t.csv: expected rows under the header"),
        ("t.jsonl", '{"text": "a", "label": null}\n', r"t.jsonl:1: label: expected a label"),
        ("t.jsonl", '{"id": 1, "time": 1, "label": null, "x": 1}\n', r"t.jsonl:1: label: expected a label"),
        ("t.jsonl", '{"text": "a \\ud800", "label": "no"}\n', r"t.jsonl:1: expected whole characters, .*'\\ud800'"),
    ],
)
def test_rows_that_cannot_be_used_are_told(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        gather([tmp_path / name], DATA)


def test_an_emoji_that_json_wrote_in_two_halves_is_whole(tmp_path):
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": "\N{GRINNING FACE} a", "label": "no"}))
    assert gather([tmp_path / "t.jsonl"], DATA).examples.words[0] == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3, 0)), "y": [0, 1]}, r"x: expected numbers"),
        ({"x": np.zeros((2, 3)), "y": [0, 1], "lengths": np.zeros(0, int)}, r"lengths: expected 2 whole numbers"),
        ({"x": np.zeros((2, 3)), "y": ["a", ""]}, r"y\[1\]: expected a label"),
        ({"x": np.zeros((2, 3)), "y": [0.0, 1.0]}, r"y: expected 2 whole numbers .* y.astype\(int\)"),
    ],
)
def test_arrays_that_cannot_be_used_are_told(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        gather([tmp_path / "a.npz"], DATA)


def test_what_is_in_memory_and_cannot_be_used_is_told():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputError, match=r"got a table \(DataFrame\)"):
        gather_memory(pandas.DataFrame({"text": ["a", "b"]}), None, DATA)
    with pytest.raises(DataError, match=r"X\[0\]: expected at least one number"):
        gather_memory(np.zeros((2, 3, 0)), None, DATA)
    with pytest.raises(DataError, match=r"X\[0\]: expected whole characters"):
        gather_memory(["\ud800"], None, DATA)


@pytest.mark.parametrize("missing", [None, float("nan"), "", " "])
def test_a_missing_label_is_no_class(missing):
    with pytest.raises(InputError, match=r"y\[1\]: expected a label"):
        Classifier().fit(np.zeros((3, 2)), np.array(["a", missing, "b"], dtype=object))


def test_classes_stand_in_the_order_of_scikit_learn():
    y = np.array(["9", "10", "11"] * 8)
    X = np.array([int(name) for name in y])[:, None, None] * np.ones((1, 3, 1))
    model = Classifier(hidden_size=8, steps=80, learning_rate=0.03, progress=False).fit(X, y)
    assert model.classes_.tolist() == sorted(set(y))
    assert log_loss(y, model.predict_proba(X)) < 0.7
    assert (model.classes_[model.predict_proba(X).argmax(1)] == model.predict(X)).all()
