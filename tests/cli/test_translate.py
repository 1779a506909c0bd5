"""The translate task's commands, from training to translations as text, objects and pictures."""

import io
import json
import shutil
import sys

import pytest

from unrolled.tasks.translate.example import dates

SMALL = ["--hidden-size", "8", "--embedding-size", "8", "--threads", "1"]
TRAINED = ["--hidden-size", "64", "--embedding-size", "32", "--threads", "1", "--steps", "250", "--learning-rate",
           "0.01", "--averaging", "0.9", "--dropout", "0", "--evaluate-every", "125"]  # fmt: skip


def write_pairs(folder, name, pairs):
    for ending, side in (("words", "source"), ("digits", "target")):
        (folder / f"{name}.{ending}").write_text("".join(f"{getattr(pair, side)}\n" for pair in pairs))
    return [folder / f"{name}.words", folder / f"{name}.digits"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run for all, since each test copies it."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("translate")
    pairs = dates(1500)
    train = write_pairs(folder, "train", pairs[:1400])
    valid, its = write_pairs(folder, "valid", pairs[1400:])
    arguments = [*train, "--validation", valid, "--validation-target", its, *TRAINED, "-o", folder / "run"]
    assert main(["train", "translate", *map(str, arguments)]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def give(monkeypatch):
    def call(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return call


def test_training_shows_figures_samples_and_the_next_commands(main, tmp_path):
    files = write_pairs(tmp_path, "dates", dates(60))
    code, out, err = main("train", "translate", *files, *SMALL, "--steps", 3, "-o", "out")
    assert code == 0, err
    assert "copying the source" in out
    assert "bleu: sacrebleu nrefs:1|case:mixed|eff:no|tok:none" in out
    assert "unrolled evaluate out FILES" in out
    assert "unrolled translate out --text" in out
    assert max(len(line) for line in out.splitlines()[:6]) <= 80


def test_it_learns(main, run, tmp_path):
    files = write_pairs(tmp_path, "test", dates(1600)[1500:])
    code, out, _ = main("evaluate", run, *files, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["figures"]["model"]["bleu"] > 80
    assert found["figures"]["copying the source"]["bleu"] < 5
    assert found["count"] == 100
    assert found["signatures"]["chrf"].startswith("nrefs:1|")
    _, table, _ = main("evaluate", run, *files, "--beam-size", 1)
    assert "100 pairs" in table
    _, table, _ = main("evaluate", run, *files, "--metric", "errors", "--method", "greedy")
    assert "line error rate" in table
    assert "the word error rate" in table
    _, table, _ = main("evaluate", run, *files, "--bleu-tokenize", "13a")
    assert "tok:13a" in table


def test_letters_to_phonemes(main, tmp_path):
    """Several rows of a source are references of it, and stay together."""
    rows = ["".join(f"{a}{b}\t{a.upper()} {b.upper()}\n" for b in "aeiou") for a in "bcdfghk"]
    (tmp_path / "words.tsv").write_text("source\ttarget\n" + "".join(rows) + "to\tT UW\nto\tT AH\n")
    letters = ["--source-tokens", "characters", "--target-tokens", "words", "--minimum-count", 1]
    code, out, err = main("train", "translate", "words.tsv", *letters, *SMALL, "--steps", 5, "-o", "run")
    assert code == 0, err
    assert "line error rate" in out
    (tmp_path / "test.tsv").write_text("source\ttarget\nto\tT UW\nto\tT AH\nbad\tB A D\n")
    _, out, _ = main("evaluate", "run", "test.tsv", "--json")
    found = json.loads(out)
    assert found["count"] == 2
    assert set(found["figures"]["model"]) == {"line_error_rate", "token_error_rate"}


def test_lines_and_objects(main, run, tmp_path, give):
    (tmp_path / "some.txt").write_text("may the third nineteen ninety\n\nat half past two on may the third\n")
    code, out, err = main("translate", run, "some.txt")
    assert code == 0
    first, empty, last, end = out.split("\n")
    assert (empty, end) == ("", "")
    assert first and last  # noqa: PT018 (neither is empty)
    assert err == ""
    code, out, err = main("predict", run, "some.txt", "--output", "some.jsonl", "--n-best", 2)
    assert (code, out) == (0, "")
    assert "Written to  some.jsonl" in err
    objects = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text().splitlines()]
    assert [found["translation"] for found in objects] == [first, "", last]
    assert objects[0]["source"] == "may the third nineteen ninety"
    assert objects[0]["n_best"][0]["translation"] == first
    scores = [one["score"] for one in objects[0]["n_best"]]
    assert scores == sorted(scores, reverse=True)
    _, out, _ = main("translate", run, "some.txt", "--n-best", 2, "--output", "some.txt.out")
    rows = [line.split("\t") for line in (tmp_path / "some.txt.out").read_text().splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "3"]
    assert rows[0][2] == first
    (tmp_path / "some.tsv").write_text("n\tsource\n1\tmay the third nineteen ninety\n")
    assert main("translate", run, "some.tsv")[1] == f"{first}\n"
    give("\ufeffmay the third nineteen ninety\n\n".encode())
    assert main("translate", run)[1] == f"{first}\n\n"
    assert main("translate", run, "--text", "may the third nineteen ninety")[1] == f"{first}\n"
    assert not list(tmp_path.glob(".*.partial"))


def test_ways_of_decoding(main, run):
    text = ["--text", "the third of may nineteen sixty two"]
    _, greedy, _ = main("translate", run, *text, "--method", "greedy")
    assert main("translate", run, *text, "--beam-size", 1)[1] == greedy
    assert main("translate", run, *text, "--method", "sample", "--temperature", 0)[1] == greedy
    drawn = [main("translate", run, *text, "--method", "sample", "--temperature", 3, "--seed", s)[1] for s in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(main("translate", run, *text, "--max-output", 3)[1].split()) <= 3
    tokens = main("translate", run, *text, "--no-repeat-ngram", 1)[1].split()
    assert len(set(tokens)) == len(tokens)


def test_words_come_one_by_one_on_a_terminal(main, run, monkeypatch):
    written = []
    text = ["--text", "the third of may nineteen sixty two", "--method", "greedy"]
    _, plain, _ = main("translate", run, *text)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "write", written.append)
    main("translate", run, *text)
    assert "".join(written) == plain
    assert len(written) > 8


def test_attention_as_pictures(main, run, tmp_path):
    text = ["--text", "may the third nineteen ninety"]
    code, out, err = main("translate", run, *text, "--attention", "where.svg")
    assert code == 0, err
    drawn = (tmp_path / "where.svg").read_text()
    assert all(f">{word}<" in drawn for word in ("may", "nineteen", "source", "translation"))
    (tmp_path / "some.txt").write_text("may the third\n\nat two o'clock on may the third\n")
    code, _, err = main("translate", run, "some.txt", "--attention", "pictures")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["1.svg", "3.svg"]
    _, shown, _ = main("translate", run, *text, "--style", "attention")
    head, *rows = shown.rstrip("\n").splitlines()
    assert head.split() == text[1].split()
    assert [row.split()[0] for row in rows] == out.split()


def test_words_that_are_not_known_are_said_once(main, run):
    code, _, err = main("translate", run, "--text", "may the zebra of the zebra")
    assert code == 0
    assert err == "unrolled: 1 word that the model has not learnt was read as <unk> (zebra).\n"
