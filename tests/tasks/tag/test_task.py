"""Training, going on, and predicting from Python: in memory, from files, and on real questions."""

import json
import signal
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from unrolled.core import DataError, InputError, InputTypeError
from unrolled.tasks import Tagger, tag
from unrolled.tasks.running import settle
from unrolled.tasks.tag import numbers
from unrolled.tasks.tag.data import read_data
from unrolled.tasks.tag.example import requests
from unrolled.tasks.tag.options import TagOptions
from unrolled.tasks.tag.sentences import read_sentences
from unrolled.tasks.tag.task import TASK
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.problem import Observer

SMALL = {
    "model": {"hidden_size": 12, "embedding_size": 12, "subwords": 200},
    "data": {"batch_size": 16},
    "training": {"steps": 20, "threads": 1, "evaluate_every": 8, "save_every": 0.001},
}


def options(**groups):
    return TagOptions.model_validate({name: {**group, **groups.get(name, {})} for name, group in SMALL.items()})


class StopAt(Observer):
    def __init__(self, step):
        self.step = step

    def stepped(self, record):
        if record["step"] == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("crf", [False, True])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, crf):
    chosen = options(model={"crf": crf})
    whole = tag.train([], tmp_path / "whole", chosen)
    stopped = tag.train([], tmp_path / "run", chosen, [StopAt(11)])
    assert not stopped.outcome.finished
    resumed = tag.resume(tmp_path / "run")
    assert resumed.outcome.best == whole.outcome.best
    for name in ("model", "last"):
        one, other = (load_checkpoint(tmp_path / run / f"{name}.safetensors").tensors for run in ("whole", "run"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_data_that_changed_are_not_gone_on_with(tmp_path):
    file = tmp_path / "a.conll"
    rows = "fly O\nto O\nOslo B-city\n\nfly O\nto O\nNew B-city\nYork I-city\n\n"
    file.write_text(rows * 20)
    tag.train([file], tmp_path / "run", options(), [StopAt(3)])
    file.write_text(rows * 21)
    with pytest.raises(DataError, match="restore the data, or start a new run"):
        tag.resume(tmp_path / "run")
    tag.train(([*requests(30)], None), tmp_path / "memory", options(), [StopAt(3)])
    with pytest.raises(DataError, match="was made from data in memory"):
        tag.resume(tmp_path / "memory")


def test_beginning_from_another_run_keeps_its_vocabulary(tmp_path):
    tag.train([], tmp_path / "first", options())
    file = tmp_path / "a.conll"
    file.write_text("fly O\nto O\noldport B-to\n\n" * 20)
    tag.train([file], tmp_path / "second", options(), begin_from=tmp_path / "first")
    first, second = (tag.load(tmp_path / name).vocabulary for name in ("first", "second"))
    assert first == second
    file.write_text("fly O\nto O\noldport B-harbour\n\n" * 20)
    with pytest.raises(DataError, match="with the tags and intents of this run only, got B-harbour; leave those out"):
        tag.train([file], tmp_path / "third", options(), begin_from=tmp_path / "first")


def test_data_that_do_not_fit_in_memory_are_the_same(monkeypatch):
    chosen = settle(options())
    expected = read_data([], chosen, None)
    monkeypatch.setattr(numbers, "store", partial(numbers.store, in_memory=1000))
    monkeypatch.setattr(numbers, "_AT_ONCE", 1000)
    mapped = read_data([], chosen, None)
    assert isinstance(mapped.training.tags.values, np.memmap)
    assert mapped.vocabulary == expected.vocabulary
    assert mapped.sentences(mapped.training) == expected.sentences(expected.training)


def test_every_cell_and_option_learns(tmp_path):
    for number, model in enumerate(
        [
            {"cell": "gru", "layers": 2, "residual": True},
            {"cell": "elman", "bidirectional": False, "subwords": 0},
            {"cell": "rnn", "crf": True, "intent": False},
        ]
    ):
        run = tag.train([], tmp_path / str(number), options(model=model, training={"averaging": 0, "steps": 60}))
        losses = [record["loss"] for record in _records(run.folder) if "loss" in record]
        assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
        (tagged,) = tag.load(run.folder).tag([["fly", "to", "oldport"]])
        assert len(tagged.tags) == 3
        assert (tagged.label is None) == (model.get("intent") is False)


def _records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_predictions_do_not_depend_on_their_company(tmp_path):
    run = tag.load(tag.train([], tmp_path / "run", options()).folder)
    sentences = [sentence.tokens for sentence in requests(150, seed=3)] + [[]]
    together = run.tag(sentences)
    alone = [run.tag([tokens])[0] for tokens in sentences]
    assert [s.tags for s in together] == [s.tags for s in alone]
    assert [s.label for s in together] == [s.label for s in alone]
    assert together[-1].tags == []


def test_schemes_of_data_and_model(tmp_path):
    file = tmp_path / "a.conll"
    file.write_text("in O\nNew B-city\nYork E-city\nOslo S-city\n\nin O\nRome S-city\n\n" * 20)
    data = read_data([file], settle(options()), None)
    assert (data.vocabulary.scheme, data.vocabulary.written) == ("iobes", "iobes")
    data = read_data([file], settle(options(data={"scheme": "iob2"})), None)
    assert data.vocabulary.tags == ["O", "B-city", "I-city"]
    assert data.vocabulary.written == "iobes"
    learning = {"steps": 100, "averaging": 0, "learning_rate": 0.02}
    run = tag.train([file], tmp_path / "run", options(data={"scheme": "iob2"}, training=learning))
    (tagged,) = tag.load(run.folder).tag([["in", "New", "York", "Oslo"]])
    assert tagged.tags == ["O", "B-city", "E-city", "S-city"]


def test_labels_that_are_no_spans(tmp_path):
    file = tmp_path / "a.conll"
    file.write_text("dogs NOUN\nbark VERB\n\nbirds NOUN\nsing VERB\nwell ADV\n\n" * 20)
    data = read_data([file], settle(options()), None)
    assert data.vocabulary.scheme == "none"
    run = tag.train([file], tmp_path / "run", options(training={"steps": 80, "averaging": 0, "learning_rate": 0.02}))
    assert run.outcome.best["token_accuracy"] == 1
    assert "span_f1" not in run.outcome.best


def test_held_out_tags_that_are_not_learnt_count_as_wrong(tmp_path):
    train, valid = tmp_path / "train.conll", tmp_path / "valid.conll"
    train.write_text("to O\nOslo B-city\n\n" * 40)
    valid.write_text("to O\nOslo B-city\n\nto O\nMay B-month\n\n")
    for crf in (False, True):
        chosen = options(model={"crf": crf}, training={"averaging": 0, "learning_rate": 0.02, "steps": 60})
        run = tag.train([tmp_path], tmp_path / f"run{crf}", chosen)
        assert run.data.vocabulary.tags == ["O", "B-city"]
        assert run.data.tags == ["O", "B-city", "B-month"]
        assert run.outcome.best["span_recall"] == 0.5


def test_the_random_share_is_held_out_and_nothing_else(tmp_path):
    data = read_data([], settle(options(data={"validation_share": 0.2})), None)
    assert (len(data.training), len(data.validation)) == (1200, 300)
    both = np.concatenate([data.training.rows, data.validation.rows])
    assert sorted(both.tolist()) == list(range(1500))
    every = requests(1500)
    assert [s.tags for s in data.sentences(data.validation)] == [every[row].tags for row in data.validation.rows]
    problem = TASK.problem(data, settle(options()))
    assert problem.steps_per_epoch == 75


def test_estimator():
    sentences = requests(160)
    X, y = [s.tokens for s in sentences], [s.tags for s in sentences]
    tagger = Tagger(hidden_size=24, embedding_size=24, epochs=20, learning_rate=0.02, dropout=0.1, averaging=0)
    tagger.set_params(threads=1, progress=False, subwords=500, batch_size=16)
    assert tagger.fit(X, y, intents=[s.label for s in sentences]) is tagger
    assert tagger.score(X, y) > 0.9
    assert sum(a == s.label for a, s in zip(tagger.predict_intents(X), sentences, strict=True)) > 144
    assert [len(tags) for tags in tagger.predict(X[:3])] == [len(tokens) for tokens in X[:3]]
    assert set(tagger.intents_) == {s.label for s in sentences}
    assert clone(tagger).get_params() == tagger.get_params()
    folds = cross_val_score(clone(tagger).set_params(epochs=1), X[:40], y[:40], cv=2)
    assert len(folds) == 2


def test_estimator_saved_and_loaded(tmp_path):
    sentences = requests(60)
    X, y = [s.tokens for s in sentences], [s.tags for s in sentences]
    tagger = Tagger(hidden_size=8, embedding_size=8, subwords=50, steps=5, threads=1).fit(X, y)
    tagger.save(tmp_path / "run")
    loaded = Tagger.load(tmp_path / "run")
    assert loaded.predict(X) == tagger.predict(X)
    assert loaded.hidden_size == 8
    assert loaded.predict_intents(X[:2]) == [None, None]


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ("fly to oslo", None, InputTypeError, "X: expected a list of sentences, each a list of tokens, got str"),
        (["fly"], [["O"]], InputTypeError, r"X\[0\]: expected a list of tokens, got str; split it: text.split"),
        ([["fly", 3]], [["O", "O"]], InputTypeError, r"X\[0\]: expected tokens of type str, got int"),
        ([["fly"]], None, InputError, "y: expected a list of tags for each sentence, got None"),
        ([["fly"]], [], InputError, "X, y: expected as many sentences in both, at least one, got 1 and 0"),
        ([["fly"], ["a", "b"]], [["O"], ["O"]], InputError, r"X\[1\], y\[1\]: .*, got 2 tokens and 1 tags"),
        ([["fly", ""]], [["O", "O"]], DataError, r"X\[0\]: expected a token, got an empty one"),
        ([["fly", "b"]], [["O", ""]], DataError, r"X\[0\]: expected a tag such as O or B-city, got ''"),
    ],
)
def test_estimator_refuses(X, y, error, message):  # noqa: N803
    with pytest.raises(error, match=message):
        Tagger(steps=1).fit(X, y)


@pytest.mark.parametrize("label", [1, float("nan"), ""])
def test_intents_are_texts(label):
    with pytest.raises(InputError, match=r"intents\[1\]: expected a text, or None"):
        Tagger(steps=1).fit([["a"], ["b"]], [["O"], ["B-x"]], intents=["yes", label])


def test_atis_is_read_whole(real_data):
    counts = {}
    for part in ("train", "valid", "test"):
        sentences = list(read_sentences(real_data("slu/atis") / part))
        counts[part] = len(sentences)
        assert all(sentence.label for sentence in sentences)
    assert counts == {"train": 4478, "valid": 500, "test": 893}


@pytest.mark.slow
def test_atis_is_learnt(real_data, tmp_path):
    chosen = options(
        model={"hidden_size": 64, "embedding_size": 64, "subwords": 5000},
        data={"batch_size": 32},
        training={"steps": 560, "evaluate_every": 140, "save_every": 60, "learning_rate": 0.008},
    )
    run = tag.train([real_data("slu/atis")], tmp_path / "run", chosen)
    assert len(run.data.training) == 4478
    assert run.outcome.best["span_f1"] > 0.85
    assert run.outcome.best["intent_accuracy"] > 0.9


def test_wnut_is_read_whole(real_data):
    files = ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"]
    read = [list(read_sentences(real_data("tagging") / file)) for file in files]
    assert [len(sentences) for sentences in read] == [3394, 1009, 1287]
    assert [sum(len(s.tokens) for s in sentences) for sentences in read] == [62730, 15733, 23394]
