"""The tag task's commands, from training to tagged text; and what is wrong with data, in one line with its row."""

import io
import json
import shutil
import sys

import pytest

from unrolled.tasks.tag.example import requests

SMALL = ["--hidden-size", "24", "--embedding-size", "24", "--subwords", "500", "--threads", "1"]
TRAINED = [*SMALL, "--steps", "200", "--learning-rate", "0.02", "--averaging", "0.9", "--dropout", "0.1"]


def conll(sentences, labels=True):
    blocks = []
    for sentence in sentences:
        rows = [f"{token}\t{tag}" for token, tag in zip(sentence.tokens, sentence.tags, strict=True)]
        blocks.append("\n".join([f"# intent = {sentence.label}", *rows] if labels else rows))
    return "\n\n".join(blocks) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run for all, since each test copies it, and what it printed."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("tag")
    (folder / "train.conll").write_text(conll(requests(300)))
    (folder / "dev.conll").write_text(conll(requests(60, seed=1)))
    assert main(["train", "tag", str(folder), *TRAINED, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.conll"
    path.write_text(conll(requests(40, seed=2)))
    return path


def test_training_shows_the_baseline_samples_and_the_next_commands(main, data):
    code, out, err = main("train", "tag", data, *SMALL, "--steps", 3, "-o", "out")
    assert code == 0, err
    assert "most frequent tag of each word" in out
    assert "intent accuracy" in out
    assert "unrolled tag out --text" in out
    assert max(map(len, out.splitlines()[:6])) <= 80


def test_it_learns_more_than_the_baseline(main, run, data):
    code, out, _ = main("evaluate", run, data, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["figures"]["model"]["span_f1"] > 0.6
    assert found["figures"]["model"]["span_f1"] > found["figures"]["most frequent tag of each word"]["span_f1"] + 0.2
    assert found["figures"]["model"]["intent_accuracy"] > 0.8
    assert found["count"] == 40
    assert found["unseen"] == {"tags": [], "intents": []}
    code, table, _ = main("evaluate", run, data)
    assert f"{found['figures']['model']['span_f1']:.4f}" in table
    assert "precision" in table
    assert max(map(len, table.splitlines())) <= 80


def test_every_style(main, run, monkeypatch):
    sentence = "play moon river by anna wilton"
    _, inline, _ = main("tag", run, "--text", sentence)
    _, columns, _ = main("tag", run, "--text", sentence, "--style", "conll")
    _, objects, _ = main("tag", run, "--text", sentence, "--style", "jsonl")
    _, colors, _ = main("tag", run, "--text", sentence, "--style", "colors")
    record = json.loads(objects)
    assert record["tokens"] == sentence.split()
    assert columns.splitlines()[0] == f"# intent = {record['intent']}"
    assert columns.splitlines()[1:7] == ["\t".join(p) for p in zip(record["tokens"], record["tags"], strict=True)]
    words = [
        word if tag == "O" else f"{word}/{tag}" for word, tag in zip(record["tokens"], record["tags"], strict=True)
    ]
    assert inline == f"{record['intent']}: {' '.join(words)}\n"
    assert colors.split("\n")[0].strip() == f"{record['intent']}: {sentence}"
    kinds = {tag[2:] for tag in record["tags"] if tag != "O"}
    assert set(colors.split("\n")[2].split()) == kinds


def test_files_keep_their_format_and_number_of_sentences(main, run, data, tmp_path):
    code, out, _ = main("tag", run, data)
    assert code == 0
    given = [line.split("\t")[0] for line in data.read_text().splitlines() if not line.startswith("#")]
    assert [line.split("\t")[0] for line in out.rstrip("\n").splitlines() if not line.startswith("#")] == given
    (tmp_path / "tagged.conll").write_text(out)
    _, figures, _ = main("evaluate", run, "tagged.conll", "--json")
    assert json.loads(figures)["figures"]["model"]["span_f1"] == 1  # of its own tags
    (tmp_path / "a.jsonl").write_text('{"tokens": ["fly"]}\n{"text": "to oldport"}\n{"tokens": []}\n')
    _, out, _ = main("tag", run, "a.jsonl")
    assert [json.loads(line)["tokens"] for line in out.splitlines()] == [["fly"], ["to", "oldport"], []]
    (tmp_path / "a.txt").write_text("fly\n\nto oldport.\n")
    _, out, _ = main("predict", run, "a.txt", "--style", "jsonl")
    assert [json.loads(line)["tokens"] for line in out.splitlines()] == [["fly"], [], ["to", "oldport", "."]]
    code, out, _ = main("tag", run, "a.txt", "--output", "b.jsonl", "--split", "spaces")
    assert (code, out) == (0, "")
    assert [json.loads(line)["tokens"] for line in (tmp_path / "b.jsonl").read_text().splitlines()] == [
        ["fly"],
        [],
        ["to", "oldport."],
    ]
    assert main("tag", run, "a.txt", "--output", "b.json")[0] == 0  # which is read as JSONL, too
    assert json.loads((tmp_path / "b.json").read_text().splitlines()[0])["tokens"] == ["fly"]
    assert not list(tmp_path.glob(".*.partial"))


def test_nothing_half_written(refused, run, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"tokens": ["fly"]}\n' * 5000 + "{\n")
    assert "a.jsonl:5001: expected one JSON object a line" in refused(1, "tag", run, "a.jsonl", "--output", "b.jsonl")
    assert "cannot write here" in refused(1, "tag", run, "--text", "fly", "--output", "nowhere/b.jsonl")


def test_standard_input(main, refused, run, monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    give("\ufefffly to oldport\n\nwake me\n".encode())
    code, out, _ = main("tag", run, "--style", "jsonl")
    assert code == 0
    assert [json.loads(line)["tokens"] for line in out.splitlines()] == [["fly", "to", "oldport"], [], ["wake", "me"]]
    give(b"fly\tO\nto\tO\n\nwake\tO\n")
    _, out, _ = main("tag", run, "--format", "conll")
    assert [line.split("\t")[0] for line in out.splitlines() if line[:1] != "#"] == ["fly", "to", "", "wake", ""]
    give(b"fly\ncaf\xe9\n")
    assert "standard input:2: expected UTF-8 text, got the byte 0xe9" in refused(1, "tag", run)
    give(b"fly\0\n")
    assert "standard input:1: expected text, got a NUL byte in a token" in refused(1, "tag", run)


BAD = {
    "columns.conll": ("a O\nb O\nc\n", "columns.conll:3: expected 2 columns, as in row 1, got 1"),
    "lengths.jsonl": (
        '{"tokens": ["a", "b"], "tags": ["O"]}\n',
        "lengths.jsonl:1: expected a tag for each of 2",
    ),
    "latin1.conll": (b"a O\ncaf\xe9 O\n", "latin1.conll:2: expected UTF-8 text, got the byte 0xe9"),
    "empty.conll": ("", "empty.conll: expected sentences with a tag for every token, got none: it is empty"),
    "blank.conll": ("\n\n# nothing\n\n", "blank.conll: expected sentences with a tag for every token, got none"),
    "sentence.jsonl": ('{"tokens": [], "tags": []}\n', "sentence.jsonl:1: expected at least one token"),
    "long.conll": ("x" * 10**7 + "\tO\n", "long.conll:1: expected tokens of at most 1000 characters"),
    "bare.conll": ("a B-x\nb B-\n", "bare.conll:2: expected a tag such as O or B-city, got 'B-'"),
    "mixed.conll": ("a B-x\n\nb X\n", "mixed.conll:3: the tag 'X': expected O, or B- or I-"),
    "nul.conll": (b"a O\nb\0 O\n", "nul.conll:2: expected text, got a binary file"),
    "one.conll": ("a O\n\nb O\n" * 9, "expected tags that differ, got only O; is it the right --tag-column?"),
    "few.conll": ("a B-x\n", "expected sentences for training and for validation, got 1 in all"),
    "plain.conll": ("just some text\nand more of it\n", "plain.conll:2: expected 3 columns, as in row 1, got 4"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused_with_its_row(refused, tmp_path, name):
    text, message = BAD[name]
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    line = refused(1, "train", "tag", name, *SMALL, "--steps", 2, "-o", "out")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_parallel_files_of_different_length(refused, tmp_path):
    (tmp_path / "seq.in").write_text("a\nb\n")
    (tmp_path / "seq.out").write_text("O\n")
    line = refused(1, "train", "tag", tmp_path, *SMALL, "--steps", 2, "-o", "out")
    assert "seq.out: expected as many lines as" in line


def test_a_folder_without_sentences(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    line = refused(1, "train", "tag", "folder", *SMALL, "--steps", 2, "-o", "out")
    assert "folder: expected a folder with seq.in and seq.out, or with parts that are named train and valid" in line


def test_tags_that_the_model_does_not_know(main, refused, run, tmp_path):
    (tmp_path / "more.conll").write_text("fly\tO\nto\tO\noldport\tB-to\n\nby\tO\nnoon\tB-deadline\n")
    code, out, _ = main("evaluate", run, "more.conll")
    assert code == 0
    assert "Never seen in training, and so never right: 1 types of tags (deadline)." in out
    (tmp_path / "other.conll").write_text("fly\tO\nto\tO\noldport\tB-geo\n")
    assert "other.conll:1: expected tags that the model knows, such as O, B-airline" in refused(
        1, "evaluate", run, "other.conll"
    )
    (tmp_path / "labels.conll").write_text("fly\tVERB\n")
    assert "labels.conll:1: the tag 'VERB': expected O or a tag of a span" in refused(
        1, "evaluate", run, "labels.conll"
    )


def test_wrong_usage(refused, run, data, tmp_path):
    assert "--text: expected no files beside it" in refused(2, "tag", run, data, "--text", "a")
    assert "there is no such file; to tag a text, give it with --text" in refused(1, "tag", run, "fly to oldport")
    assert "there is no such file" in refused(1, "tag", run, "nothing.txt")
    assert "expected files or folders to measure" in refused(2, "evaluate", run)
    assert "--tag-column: expected a column from 1 to 2, or -1 to -2, got 5" in refused(
        1, "evaluate", run, data, "--tag-column", 5
    )


def test_a_vocabulary_that_is_damaged(refused, run):
    (run / "vocabulary.json").write_text("{}")
    assert "vocabulary.json: damaged" in refused(1, "tag", run, "--text", "fly")
