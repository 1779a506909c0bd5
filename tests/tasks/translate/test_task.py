"""Training, going on, and translating from Python: in memory, from files, and on real sentences."""

import gzip
import json
import signal

import pytest
import torch
from sklearn.base import clone

from unrolled.core import DataError, InputError, InputTypeError
from unrolled.tasks import Translator, translate
from unrolled.tasks.running import settle
from unrolled.tasks.translate.data import read_data
from unrolled.tasks.translate.example import dates
from unrolled.tasks.translate.options import DecodingOptions, LearningOptions, TranslateOptions
from unrolled.tasks.translate.pairs import Pair, read_pairs
from unrolled.tasks.translate.problem import forcing
from unrolled.tasks.translate.task import TASK
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.problem import Observer

SMALL = {
    "model": {"hidden_size": 12, "embedding_size": 8},
    "data": {"batch_size": 32, "evaluation_sources": 20},
    "training": {"steps": 16, "threads": 1, "evaluate_every": 7, "save_every": 0.001},
}


def options(**groups):
    return TranslateOptions.model_validate({name: {**group, **groups.get(name, {})} for name, group in SMALL.items()})


class StopAt(Observer):
    def __init__(self, step):
        self.step = step

    def stepped(self, record):
        if record["step"] == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "training", [{}, {"teacher_forcing_end": 0.3, "teacher_forcing_schedule": "inverse-sigmoid"}], ids=["all", "less"]
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, training):
    chosen = options(training=training)
    pairs = dates(200)
    files = [tmp_path / "a.words", tmp_path / "a.digits"]
    files[0].write_text("".join(f"{pair.source}\n" for pair in pairs))
    files[1].write_text("".join(f"{pair.target}\n" for pair in pairs))
    whole = translate.train(files, tmp_path / "whole", chosen)
    stopped = translate.train(files, tmp_path / "run", chosen, [StopAt(9)])
    assert not stopped.outcome.finished
    resumed = translate.resume(tmp_path / "run")
    assert resumed.outcome.best == whole.outcome.best
    for name in ("model", "last"):
        one, other = (load_checkpoint(tmp_path / run / f"{name}.safetensors").tensors for run in ("whole", "run"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_data_that_changed_are_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = dates(60)
    for name, some in (("train", pairs[:50]), ("valid", pairs[50:])):
        (tmp_path / f"{name}.a").write_text("".join(f"{pair.source}\n" for pair in some))
        (tmp_path / f"{name}.b").write_text("".join(f"{pair.target}\n" for pair in some))
    chosen = options(data={"validation": "valid.a", "validation_target": "valid.b"})
    translate.train(["train.a", "train.b"], tmp_path / "run", chosen, [StopAt(3)])
    monkeypatch.chdir("/")  # all paths are kept whole
    translate.resume(tmp_path / "run", observers=[StopAt(5)])
    file = tmp_path / "valid.b"
    file.write_text(file.read_text().replace("1", "2", 1))
    with pytest.raises(DataError, match=r"valid.* changed since"):
        translate.resume(tmp_path / "run")


def test_beginning_from_another_run_keeps_its_vocabulary(tmp_path):
    first = translate.train([], tmp_path / "first", options())
    other = ([Pair("one two three four", "1 2 3 4"), Pair("zebra two", "z 2")] * 5, None)
    chosen = options(data={"validation_share": 0.5})
    second = translate.train(other, tmp_path / "second", chosen, begin_from=tmp_path / "first")
    assert second.data.vocabulary.dump() == first.data.vocabulary.dump()
    with pytest.raises(DataError, match="made from data in memory, which it does not hold"):
        translate.resume(tmp_path / "second")


@pytest.mark.parametrize(
    "groups",
    [
        {"model": {"cell": "lstm", "attention": "additive", "layers": 2, "residual": True}},
        {"model": {"attention": "none", "bidirectional": False, "tie": "output"}},
        {"model": {"input_feeding": True}, "training": {"label_smoothing": 0.0}},
        {"model": {"tie": "all"}, "data": {"shared_vocabulary": True, "tokens": "bpe", "vocabulary_size": 300}},
        {"data": {"tokens": "characters", "lowercase": True}},
        {"data": {"source_tokens": "bpe", "target_tokens": "characters", "vocabulary_size": 280}},
    ],
)
def test_every_option_learns_and_can_be_opened(tmp_path, groups):
    run = translate.train([], tmp_path / "run", options(**groups))
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if "loss" in record]
    assert losses[-1] < losses[0]
    opened = translate.load(tmp_path / "run")
    for method in ("beam", "greedy", "sample"):
        found = opened.translate(["May the third nineteen ninety", ""], DecodingOptions(method=method))
        assert found[1][0].text == ""
        assert len(found) == 2
    assert run.outcome.finished


def test_translations_do_not_depend_on_their_company(tmp_path):
    translate.train([], tmp_path / "run", options(training={"steps": 60}))
    opened = translate.load(tmp_path / "run")
    texts = [pair.source for pair in dates(45, seed=3)]
    together = opened.translate(texts, n_best=2)
    for text, found in zip(texts[::9], together[::9], strict=True):
        (alone,) = opened.translate([text], n_best=2)
        assert [one.text for one in alone] == [one.text for one in found]
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], rel=1e-4)
    best = together[0][0]
    assert best.attention.shape == (len(best.pieces), len(best.source))
    torch.testing.assert_close(best.attention.sum(1), torch.ones(len(best.pieces)))
    some = list(opened.translate_all(iter(texts), DecodingOptions(), at_once=7))
    assert [found[0].text for found in some] == [found[0].text for found in together]


def test_unknown_words_are_copied_from_where_the_model_looked(tmp_path):
    pairs = [Pair(f"a{n} b", f"a{n} c") for n in range(60)]
    chosen = options(model={"hidden_size": 16, "dropout": 0}, training={"steps": 200, "learning_rate": 0.02})
    translate.train((pairs, None), tmp_path / "run", chosen)
    opened = translate.load(tmp_path / "run")
    ((found,),) = opened.translate(["new b"])
    assert found.text == "new c"
    ((found,),) = opened.translate(["new b"], DecodingOptions(replace_unknown=False))
    assert found.text == "<unk> c"


def test_a_source_is_held_out_with_all_its_targets():
    pairs = [Pair(f"s{n % 10}", f"t{n}") for n in range(40)]
    data = read_data((pairs, None), options(data={"validation_share": 0.3, "minimum_count": 1}), None)
    held_out = {pair.source for pair in data.held_out}
    assert len(held_out) == 3
    assert len(data.held_out) == 12
    assert len(data.training) == 28
    again = read_data((pairs, None), options(data={"validation_share": 0.3, "minimum_count": 1}), None)
    assert again.held_out == data.held_out


def test_long_pairs():
    pairs = [Pair(f"a {n}", "b c", f"row {n}") for n in range(20)] + [Pair("a " * 6, "b", "row 20")]
    with pytest.raises(DataError, match=r"row 20: expected at most --max-length 5 .* got 6 in the source"):
        read_data((pairs, None), options(data={"max_length": 5}), None)
    data = read_data((pairs, None), options(data={"max_length": 5, "skip_long": True}), None)
    assert data.skipped == 1
    assert len(data.training) + len(data.validation) == 20
    with pytest.raises(DataError, match="expected a pair of at most --max-length 1 tokens, got none"):
        read_data((pairs, None), options(data={"max_length": 1, "skip_long": True}), None)


def test_the_loss_is_that_of_all_scores():
    """Of what torch computes from the scores, smoothed, over the tokens that are no padding."""
    chosen = settle(options(model={"dropout": 0.0}, training={"label_smoothing": 0.3}))
    data = read_data([], chosen, None)
    torch.manual_seed(1)
    problem = TASK.problem(data, chosen)
    loss = problem.loss(2, ()).value
    total, count = 0.0, 0
    for source, target in zip(*data.training.of(problem.batches(2)), strict=True):
        inputs = torch.tensor([0, *target[:-1].tolist()]).unsqueeze(1)
        scores = problem.network(torch.from_numpy(source).long().unsqueeze(1), inputs).squeeze(1)
        wanted = torch.from_numpy(target).long()
        total += torch.nn.functional.cross_entropy(scores, wanted, label_smoothing=0.3, reduction="sum").item()
        count += len(target)
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_teacher_forcing_falls_from_the_one_to_the_other():
    def ratios(**given):
        return [forcing(LearningOptions(steps=101, **given), step) for step in (0, 25, 50, 100)]

    assert ratios() == [1, 1, 1, 1]
    assert ratios(teacher_forcing_end=0.5) == [1, 0.875, 0.75, 0.5]
    curve = ratios(teacher_forcing_end=0.5, teacher_forcing_schedule="inverse-sigmoid")
    assert [curve[0], curve[2], curve[3]] == pytest.approx([1, 0.75, 0.5])
    assert 0.95 < curve[1] < 1
    assert forcing(LearningOptions(teacher_forcing_end=0.0), 7) == 0.5  # while steps are timed


def test_dates_are_what_they_say():
    pairs = {pair.source: pair.target for pair in dates(3000)}
    assert len(pairs) == 3000
    assert dates(18)[17] == dates(3000)[17] != dates(18, seed=1)[17]
    for source, target in pairs.items():
        assert target.count("-") == 2
        year = int("".join(target.split()[:4]))
        assert 1910 <= year <= 2019
        assert ("in the evening" in source or "in the morning" in source) == (":" in target)
        if target.endswith("1 9 : 3 0"):
            assert "half past seven in the evening" in source


def test_estimator(tmp_path):
    pairs = dates(150)
    X, y = [p.source for p in pairs], [p.target for p in pairs]
    small = {"hidden_size": 8, "embedding_size": 8, "threads": 1}
    translator = Translator(steps=5, **small).fit(X, y)
    assert len(translator.predict(X[:3])) == 3
    assert 0 <= translator.score(X[:20], y[:20]) <= 100
    assert clone(translator).get_params() == translator.get_params()
    translator.save(tmp_path / "run")
    loaded = Translator.load(tmp_path / "run")
    assert loaded.predict(X[:5]) == translator.predict(X[:5])
    assert loaded.hidden_size == 8
    spelled = Translator(steps=2, metric="errors", **small).fit(X, y)
    assert 0 <= spelled.score(X[:20], y[:20]) <= 1


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ("ein mann", ["a man"], InputTypeError, "X: expected a list of texts, got str"),
        (["ein mann", 3], ["a", "b"], InputTypeError, r"X\[1\]: expected a text, got int"),
        (["ein mann"], None, InputError, "y: expected a target for each source, got None"),
        (["ein", "zwei"], ["one"], InputError, "X, y: expected as many texts in both, at least one, got 2 and 1"),
        (["ein", "zwei"], ["one", " "], InputError, r"y\[1\]: expected a text, got an empty one"),
        (["a " * 300] * 9, ["b"] * 9, DataError, "expected sources for training and for validation, got 1 different"),
        (["a " * (300 + n) for n in range(9)], ["b"] * 9, DataError, r"X\[\d\]: expected at most --max-length 200"),
    ],
)
def test_estimator_refuses(X, y, error, message):  # noqa: N803
    with pytest.raises(error, match=message):
        Translator(steps=1).fit(X, y)


@pytest.fixture
def multi30k(real_data, tmp_path):
    """Paths of a part of the German and English sentences, unpacked by the reader."""
    folder = real_data("multi30k")
    return lambda part: [folder / f"{part}.lc.norm.tok.{language}.gz" for language in ("de", "en")]


def test_multi30k_is_read_whole(multi30k):
    counts = {part: len(list(read_pairs(multi30k(part)))) for part in ("train", "val", "test_2016_flickr")}
    assert counts == {"train": 29000, "val": 1014, "test_2016_flickr": 1000}


@pytest.mark.slow
def test_multi30k_is_learnt(multi30k, tmp_path):
    validation, its = map(str, multi30k("val"))
    chosen = TranslateOptions.model_validate(
        {
            "data": {"validation": validation, "validation_target": its, "evaluation_sources": 300},
            "model": {"dropout": 0.1},
            "training": {
                "steps": 450,
                "evaluate_every": 450,
                "warmup_steps": 200,
                "averaging": 0.98,
                "threads": 1,
            },
        }
    )
    run = translate.train(multi30k("train"), tmp_path / "run", chosen)
    assert run.outcome.best["bleu"] > 7  # it was 9.4; copying the source has 0.5


def test_cmudict_is_read_as_letters_and_phonemes(real_data, tmp_path):
    lines = gzip.decompress((real_data("cmudict") / "cmudict.dict.gz").read_bytes()).decode().splitlines()[:3000]
    rows = [line.split("#")[0].split() for line in lines]
    table = "".join(f"{word.split('(')[0]}\t{' '.join(phonemes)}\n" for word, *phonemes in rows)
    (tmp_path / "words.tsv").write_text(table)
    chosen = options(data={"source_tokens": "characters", "target_tokens": "words", "header": False})
    data = read_data([tmp_path / "words.tsv"], chosen, None)
    assert len(data.training) + len(data.validation) == 3000
    assert data.vocabulary.metric == "errors"
