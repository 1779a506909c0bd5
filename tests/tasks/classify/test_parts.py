"""The parts of classification: figures, baselines, templates, augmentation, division, words, pictures of examples."""

import json

import numpy as np
import pytest
import torch

from unrolled.core import CheckpointError, DataError, InputError
from unrolled.tasks.classify.augment import augmented, without_words
from unrolled.tasks.classify.baselines import Baselines, Linear, fit_series, fit_words, most_frequent_phrases
from unrolled.tasks.classify.examples import classes_of, divide
from unrolled.tasks.classify.figures import confusion, f1_scores, figures
from unrolled.tasks.classify.gather import gather
from unrolled.tasks.classify.options import AugmentOptions, DataOptions
from unrolled.tasks.classify.plot import MOST_NAMES, plot_confusion
from unrolled.tasks.classify.series_files import read_npz, read_ts
from unrolled.tasks.classify.show import curve, picture, side_by_side
from unrolled.tasks.classify.template import Template
from unrolled.tasks.words import LONGEST_WORD, Vocabulary, split_words


def test_the_figures_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    truth, said = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    counts = confusion(truth.tolist(), said.tolist(), 4)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(truth, said))
    np.testing.assert_allclose(f1_scores(counts), metrics.f1_score(truth, said, average=None))
    found = figures(counts, "abcd")
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))


def test_a_class_that_does_not_occur_does_not_count():
    assert figures(confusion([0, 1], [0, 1], 3), "abc") == {"accuracy": 1.0, "f1": 1.0}


def test_the_bag_of_words_is_scikit_learns():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    texts = [[str(word) for word in draw.integers(0, 30, 12)] for _ in range(80)]
    labels = [int("3" in words) + int("4" in words) for words in texts]
    made = fit_words(texts, labels, 3)
    counter = text.CountVectorizer(analyzer=lambda words: [*words, *(" ".join(p) for p in zip(words, words[1:]))])  # noqa: B905, RUF007
    features = counter.fit_transform(texts)
    oracle = LogisticRegression(max_iter=1000).fit(features, labels)
    new = [[str(word) for word in draw.integers(0, 33, 9)] for _ in range(50)]
    assert made.of_words(new).tolist() == oracle.predict(counter.transform(new)).tolist()


def test_rare_phrases_are_forgotten_where_there_are_too_many():
    texts = [["often", "often", f"once{row}", f"never again {row}"] for row in range(100)]
    assert most_frequent_phrases(texts, 2, counted=20) == most_frequent_phrases(texts, 2) == ["often", "often often"]
    assert set(most_frequent_phrases([list("aab")], counted=2)) <= {"a"}


@pytest.mark.parametrize("classes", [2, 3])
def test_baselines_come_back_from_json_alike(classes):
    draw = np.random.default_rng(0)
    series = [draw.normal(size=(draw.integers(2, 9), 2)) + row % classes for row in range(60)]
    made = fit_series(series, [row % classes for row in range(60)], classes)
    again = Linear.from_json(json.loads(json.dumps(made.to_json())))
    said = made.of_series(series)
    assert said.tolist() == again.of_series(series).tolist()
    assert (said == np.arange(60) % classes).mean() > 0.8


def test_a_damaged_baseline_is_refused():
    for text in ("", "{}", '{"frequent": 0, "linear": {"weights": [[1]], "bias": [0, 1], "phrases": ["a"]}}'):
        with pytest.raises(CheckpointError, match="base: damaged"):
            Baselines.from_json(text, "base")


@pytest.mark.parametrize(
    ("template", "name", "label"),
    [
        ("{label}", "all of it", "all of it"),
        ("{label}_{speaker}_{index}", "7_jackson_32", "7"),
        ("{speaker}-{label}", "a-b-c", "b-c"),
        ("x{label}.{rest}", "xyes.1.2", "yes"),
        ("x{label}y", "xnoy", "no"),
        ("x{label}y", "xno", None),
        ("{a}_{label}", "_", None),
        ("{label}_(.*)", "7_(.*)", "7"),
        ("{label}_(.*)", "7_32", None),
    ],
)
def test_templates(template, name, label):
    assert Template(template).label(name) == label


@pytest.mark.parametrize("template", ["", "{a}", "{label}{b}", "{label}_{label}", "{label", "{label}_}", "{la bel}"])
def test_templates_that_are_none(template):
    with pytest.raises(InputError, match="--label-pattern"):
        Template(template)


def batch(lengths, features=2):
    x = torch.zeros(max(lengths), len(lengths), features)
    for row, length in enumerate(lengths):
        x[:length, row] = torch.arange(1.0, length + 1)[:, None] + 100 * row
    return x, torch.tensor(lengths)


def test_without_augmentation_nothing_changes():
    x, lengths = batch([5, 3, 1])
    found, after = augmented(x, lengths, AugmentOptions())
    assert torch.equal(found, x)
    assert torch.equal(after, lengths)


@pytest.mark.parametrize(
    "options",
    [{"crop": 0.5}, {"stretch": 0.5}, {"roll": 1.0}, {"scale": 0.2}, {"offset": 1.0}, {"noise": 1.0},
     {"mask_time": 0.5}, {"mask_features": 0.6}],
    ids=str,
)  # fmt: skip
def test_augmented_sequences(options):
    torch.manual_seed(0)
    x, lengths = batch([12, 7, 1, 2])
    for _ in range(20):
        found, after = augmented(x, lengths, AugmentOptions(**options))
        inside = torch.arange(len(found))[:, None] < after
        assert torch.isfinite(found).all()
        assert (after >= 1).all()
        assert not found[~inside].any()
        kind = next(iter(options))
        for row in range(4):
            values = found[: after[row], row, 0]
            if kind == "roll":
                assert sorted(values.tolist()) == x[: lengths[row], row, 0].tolist()
            if kind == "crop":
                assert after[row] >= lengths[row] / 2 - 0.5
                assert ((values[1:] - values[:-1]) == 1).all()
            if kind == "stretch":
                assert lengths[row] / 1.5 - 0.5 <= after[row] <= lengths[row] * 1.5 + 0.5
                assert values[0] == x[0, row, 0]
                if after[row] > 1:
                    assert values[-1] == pytest.approx(float(x[lengths[row] - 1, row, 0]), rel=1e-5)
            if kind == "mask_time":
                assert set(values.tolist()) <= {0.0, *x[:, row, 0].tolist()}
    assert not torch.equal(x, found)


def test_words_are_left_out_half_of_them_with_their_parts():
    torch.manual_seed(0)
    words = torch.randint(2, 50, (40, 50, 4))
    found = without_words(words, 0.5, 1)
    unknown, without_parts = found[..., 0] == 1, ~found[..., 1:].any(2)
    assert 0.45 < unknown.float().mean() < 0.55
    assert 0.2 < without_parts.float().mean() < 0.3
    assert (unknown | ~without_parts).all()
    assert torch.equal(found[~unknown], words[~unknown])
    assert torch.equal(found[~without_parts][:, 1:], words[~without_parts][:, 1:])


def test_division_holds_out_the_same_share_of_each_class():
    targets = [0] * 50 + [1] * 20 + [2] * 2
    rows, held_out = divide(targets, 0.1, "abc")
    assert sorted(rows + held_out) == list(range(72))
    assert np.bincount([targets[row] for row in held_out]).tolist() == [5, 2, 1]
    assert divide(targets, 0.1, "abc") == (rows, held_out)
    with pytest.warns(UserWarning, match=r"1 of 2 classes \(b\) have one example"):
        assert divide([0, 0, 1], 0.5, "ab")[1] in ([0], [1])
    with pytest.raises(DataError, match="at least two examples of a class"):
        divide([0, 1], 0.5, "ab")


def test_classes_that_are_numbers_are_in_the_order_of_numbers():
    assert classes_of(["10", "9", "10", "1"], "x") == ("1", "9", "10")
    assert classes_of(["-1", "-10", "2"], "x") == ("-10", "-1", "2")
    assert classes_of(["b", "a", "10"], "x") == ("10", "a", "b")
    assert classes_of(["nan", "2", "10"], "x") == ("10", "2", "nan")


def test_words():
    assert " ".join(split_words("Don't re-enter: O'Brien's 2.5 €!")) == "don't re-enter : o'brien's 2 . 5 € !"
    assert split_words("can 't", lower=False) == ["can", "'t"]
    assert split_words("我是 ネコ über_x") == ["我", "是", "ネ", "コ", "über_x"]
    assert split_words("a b c", limit=2) == ["a", "b"]
    assert split_words("x" * 1000) == ["x" * LONGEST_WORD]
    assert split_words(" \t\n") == []
    vocabulary = Vocabulary.learn([["b", "a", "b"], ["<unk>", "c"]], size=4)
    assert vocabulary.words == ("<pad>", "<unk>", "b", "a")
    assert len(vocabulary) == 4


def test_pictures_of_examples():
    assert curve(np.array([0.0, 1.0, 0.5])) == "▁█▅"
    assert len(curve(np.zeros(500))) == 48
    assert picture(np.eye(2)) == ["██  ", "  ██"]
    assert picture(np.zeros((40, 80))) == [""]
    assert side_by_side([["ab", "cd"], ["e"]], ["one", "two"]) == "ab   e\ncd\none  two"


def test_files_of_arrays_have_parts_and_lengths(tmp_path):
    x = np.arange(24.0).reshape(4, 3, 2)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[b"a", b"b", b"a", b"b"], x_test=x[:1], y_test=["c"])
    assert [(s.label, s.values.shape) for s in read_npz(tmp_path / "a.npz")] == [(n, (3, 2)) for n in "abab"]
    assert [s.label for s in read_npz(tmp_path / "a.npz", "test")] == ["c"]
    np.savez(tmp_path / "b.npz", x=x[:, :, 0], y=[0, 1, 0, 1], lengths=[1, 2, 3, 3])
    found = list(read_npz(tmp_path / "b.npz", "test"))
    assert [s.values[:, 0].tolist() for s in found[:2]] == [[0.0], [6.0, 8.0]]
    assert found[1].place == f"{tmp_path / 'b.npz'}: x[1]"


def test_ts_files_have_dimensions_of_any_length(tmp_path):
    text = "# about\n@problemName x\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8:9,1:b\n"
    (tmp_path / "x.ts").write_text(text)
    found = list(read_ts(tmp_path / "x.ts"))
    assert [(s.label, s.values.tolist()) for s in found] == [
        ("a", [[1, 4], [2, 5], [3, 6]]),
        ("b", [[7, 9], [8, 1]]),
    ]
    (tmp_path / "x.ts").write_text("@classLabel false\n@data\n1,2\n")
    assert next(read_ts(tmp_path / "x.ts")).label is None


def test_every_form_of_text_gives_the_same_examples(tmp_path):
    rows = [("good", "a fine day"), ("bad", "a grey one")]
    (tmp_path / "a.csv").write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in rows))
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in rows))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for label, t in rows))
    (tmp_path / "a.lines").write_text("".join(f"{label} {text}\n" for label, text in rows))
    for label, text in rows:
        (tmp_path / "folder" / label).mkdir(parents=True)
        (tmp_path / "folder" / label / "1.txt").write_text(text)
        (tmp_path / "flat").mkdir(exist_ok=True)
        (tmp_path / "flat" / f"1-{label}.txt").write_text(text)
    (tmp_path / "list.csv").write_text("path,label\nfolder/good/1.txt,good\nfolder/bad/1.txt,bad\n")
    found = []
    for name, given in (
        ("a.csv", {}),
        ("a.tsv", {}),
        ("a.jsonl", {}),
        ("a.lines", {"format": "labelled-lines"}),
        ("folder", {}),
        ("flat", {"label_pattern": "{n}-{label}"}),
        ("list.csv", {}),
    ):
        examples = gather([tmp_path / name], DataOptions(**given)).examples
        pairs = zip(examples.labels, examples.texts(range(2)), strict=True)
        found.append(sorted((label, " ".join(words)) for label, words in pairs))
    assert all(one == sorted(rows) for one in found), found


def test_a_table_of_steps_is_sorted_by_time(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,time,label,x,y\nb,2024-01-02,1,3,4\nb,2024-01-01,1,1,2\nc,0,0,5,6\n", encoding="utf-8"
    )
    examples = gather([tmp_path / "a.csv"], DataOptions()).examples
    assert [row.tolist() for row in examples.rows] == [[[1, 2], [3, 4]], [[5, 6]]]
    assert list(examples.labels) == ["1", "0"]


@pytest.mark.parametrize("count", [60, 200])
def test_names_beside_a_confusion_matrix_have_room(tmp_path, count):
    plot_confusion(tmp_path / "a.svg", np.eye(count, dtype=int).tolist(), [f"name {at}" for at in range(count)])
    drawn = (tmp_path / "a.svg").read_text()
    assert 2 <= drawn.count(">name ") // 2 <= MOST_NAMES
    assert ">name 0<" in drawn
