"""Whatever is wrong with pairs, or with what is to be translated: one line with the place and the remedy."""

import io
import re
import shutil
import sys

import pytest

SMALL = ["--steps", "2", "--hidden-size", "4", "--embedding-size", "4", "--batch-size", "4", "--threads", "1",
         "--minimum-count", "1"]  # fmt: skip
SOURCE = "".join(f"ein mann {n} geht da\n" for n in range(12))
TARGET = "".join(f"a man {n} walks there\n" for n in range(12))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.de").write_text(SOURCE)
    (tmp_path / "a.en").write_text(TARGET)
    return ["a.de", "a.en"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs for all: of words, and of characters without attention."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("translate")
    (folder / "a.de").write_text(SOURCE)
    (folder / "a.en").write_text(TARGET)
    of = ["train", "translate", str(folder / "a.de"), str(folder / "a.en"), *SMALL]
    assert main([*of, "-o", str(folder / "words")]) == 0
    assert main([*of, "--tokens", "characters", "--attention", "none", "-o", str(folder / "letters")]) == 0
    return folder


@pytest.fixture
def runs(trained, tmp_path):
    for name in ("words", "letters"):
        shutil.copytree(trained / name, tmp_path / name)


ALIGNED = {
    "counts": (SOURCE, TARGET + "more\n", "a.de, a.en: expected as many lines in both, got 12 and 13"),
    "empty target": (SOURCE, TARGET.replace("a man 3 walks there", ""), "a.en:4: expected a line of text on both"),
    "empty source": (SOURCE.replace("ein mann 3 geht da", " "), TARGET, "a.de:4: expected a line of text on both"),
    "empty files": ("", "", "a.de, a.en: expected lines of text, got empty files"),
    "latin source": (SOURCE.encode() + b"caf\xe9\n", TARGET + "a\n", "a.de:13: expected UTF-8 text, got the byte 0xe9"),
    "latin target": (SOURCE + "a\n", TARGET.encode() + b"caf\xe9\n", "a.en:13: expected UTF-8 text, got the byte 0xe9"),
    "binary": (b"\x7fELF\0\0\n" + SOURCE.encode(), "x\n" + TARGET, "a.de:1: expected text, got a binary file"),
    "long source": (SOURCE + "a " * 300 + "\n", TARGET + "b\n", r"a.de:13: .*--max-length 200.*got 300 in the source"),
    "long target": (SOURCE + "a\n", TARGET + "b " * 201 + "\n", r"a.de:13: .*got 201 in the target.*--skip-long"),
    "one pair": ("a\n", "b\n", "expected sources for training and for validation, got 1 different ones"),
    "one source": ("a\n" * 9, "b\n" * 9, "expected sources for training and for validation, got 1 different ones"),
}


@pytest.mark.parametrize("name", ALIGNED)
def test_aligned_files(refused, tmp_path, name):
    *contents, message = ALIGNED[name]
    for ending, content in zip(("de", "en"), contents, strict=True):
        (tmp_path / f"a.{ending}").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert re.search(message, refused(1, "train", "translate", "a.de", "a.en", *SMALL, "-o", "run"))


ROWS = "".join(f"ein mann {n}\ta man {n}\n" for n in range(12))
TABLES = {
    "other.tsv": ("de\ten\n" + ROWS, r"other.tsv:1: expected a column 'source', got 'de', 'en'.*--no-header"),
    "ragged.tsv": ("source\ttarget\n" + ROWS + "alone\n", r"ragged.tsv:14: expected 2 fields.*got 1; correct the row"),
    "wide.tsv": ("source\ttarget\n" + ROWS + "a\tb\tc\n", r"wide.tsv:14: expected 2 fields.*got 3; correct the row"),
    "empty.tsv": ("source\ttarget\n" + ROWS + "\tb\n", r"empty.tsv:14: source: expected a text on both sides"),
    "nothing.tsv": ("source\ttarget\n", r"nothing.tsv: expected rows with a source and a target, got none"),
    "list.jsonl": ('{"source": "a", "target": ["b"]}\n', r"list.jsonl:1: target: expected a text, got list"),
    "none.jsonl": ('{"source": "a"}\n', r"none.jsonl:1: expected a column 'target', got 'source'"),
    "cut.jsonl": ('{"source": "a", \n', r"cut.jsonl:1: expected one object in JSON"),
    "no.csv": ("source;target\na;b\n", r"no.csv:1: expected a column 'source', got 'source;target'"),
    "packed.tsv.gz": ("source\ttarget\n" + ROWS, r"packed.tsv.gz: not a whole file of gzip"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(refused, tmp_path, name):
    content, message = TABLES[name]
    (tmp_path / name).write_text(content)
    assert re.search(message, refused(1, "train", "translate", name, *SMALL, "-o", "run"))


def test_wrong_usage_of_training(refused, files):
    def line(code, *arguments):
        return refused(code, "train", "translate", *arguments, *SMALL, "-o", "run")

    assert "expected two line-aligned files, the source's and the target's, or a table" in line(2, "a.de")
    assert "expected two line-aligned files" in line(2, *files, "--validation", "a.de")
    assert "--validation-target: expected the source's file beside it" in line(2, *files, "--validation-target", "a.en")
    assert "--shared-vocabulary: expected the same --tokens on both sides" in line(
        2, *files, "--shared-vocabulary", "--source-tokens", "characters"
    )
    assert "--tie all: expected --shared-vocabulary beside it" in line(2, *files, "--tie", "all")
    assert "--input-feeding: expected an --attention" in line(2, *files, "--input-feeding", "--attention", "none")
    assert "--no-header: expected a TSV" in line(2, *files, "--no-header", "--format", "csv")
    assert "b.en: there is no such file" in line(1, "a.de", "b.en")
    assert "--vocabulary-size: expected 260 to 65536 with bpe" in line(
        2, *files, "--tokens", "bpe", "--vocabulary-size", 100
    )
    rare = refused(1, "train", "translate", *files, *SMALL, "--minimum-count", 99, "-o", "run")
    assert "expected words that occur at least --minimum-count 99 times in the sources, got none; lower it" in rare
    assert "--label-smoothing: " in line(2, *files, "--label-smoothing", 1)


def test_files_the_other_way_round_are_no_mistake(main, files):
    assert main("train", "translate", "a.en", "a.de", *SMALL, "-o", "run")[0] == 0


def test_long_pairs_are_left_out_with_their_number(main, tmp_path):
    (tmp_path / "a.de").write_text(SOURCE + "a " * 300 + "\n")
    (tmp_path / "a.en").write_text(TARGET + "b\n")
    code, out, _ = main("train", "translate", "a.de", "a.en", *SMALL, "--skip-long", "-o", "run")
    assert code == 0
    assert "Left out: 1 pair that is too long." in out


@pytest.mark.usefixtures("runs")
def test_what_cannot_be_measured(refused, tmp_path, files):
    assert "expected two line-aligned files" in refused(2, "evaluate", "words", "a.de")
    (tmp_path / "short.en").write_text("a\n")
    assert "got 12 and 1;" in refused(1, "evaluate", "words", "a.de", "short.en")
    assert "expected files or folders to measure" in refused(2, "evaluate", "words")


@pytest.mark.usefixtures("runs")
def test_what_cannot_be_translated(refused, files, tmp_path, monkeypatch):
    assert "--text: expected no files beside it" in refused(2, "translate", "words", "a.de", "--text", "a")
    assert "to translate a text, give it with --text" in refused(1, "translate", "words", "ein mann")
    assert "b.de: there is no such file" in refused(1, "translate", "words", "b.de")
    assert "--n-best: expected at most the --beam-size, 5, got 6" in refused(
        2, "translate", "words", "a.de", "--n-best", 6
    )
    assert "--n-best: expected --method beam, got greedy" in refused(
        2, "translate", "words", "a.de", "--n-best", 2, "--method", "greedy"
    )
    assert "cannot write here" in refused(1, "translate", "words", "a.de", "--output", "nowhere/b.en")
    (tmp_path / "bad.de").write_bytes(b"ein\nmann\n" * 200 + b"caf\xe9\n")
    for more in ([], ["--output", "b.en"], ["--attention", "pictures"]):
        assert "bad.de:401: expected UTF-8 text, got the byte 0xe9" in refused(1, "translate", "words", "bad.de", *more)
    assert not (tmp_path / "pictures").exists()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ein\ncaf\xe9\n")))
    assert "standard input:2: expected UTF-8 text" in refused(1, "translate", "words")
    (tmp_path / "a.tsv").write_text("text\nein\n")
    assert "a.tsv:1: expected a column 'source', got 'text'" in refused(1, "translate", "words", "a.tsv")


@pytest.mark.usefixtures("runs")
def test_pictures_that_cannot_be_drawn(refused, files):
    def line(run, *arguments):
        return refused(2, "translate", run, *arguments)

    assert "--attention: expected a model with attention" in line("letters", "a.de", "--attention", "a.svg")
    assert "--style attention: expected a model with" in line("letters", "a.de", "--style", "attention")
    one = ["--attention", "a.svg", "--output", "a.txt"]
    assert re.search(r"expected one line to draw, got \d+; name a folder", line("words", "a.de", *one))
    assert "expected a name that ends in .svg" in line("words", "--text", "ein", "--attention", "a.txt")
    assert "there is no folder nowhere" in line("words", "--text", "ein", "--attention", "nowhere/a.svg")


@pytest.mark.usefixtures("runs")
def test_characters_that_were_never_seen(main, refused, tmp_path):
    (tmp_path / "b.de").write_text("ein mann\nein \u2603 da\n")
    line = refused(1, "translate", "letters", "b.de", "--output", "b.en")
    assert "b.de:2: expected only characters that the model has learnt, got '\u2603'" in line
    assert "--unseen skip" in line
    code, out, err = main("translate", "letters", "b.de", "--unseen", "skip")
    assert code == 0
    assert out.count("\n") == 2
    assert err == "unrolled: 1 character that the model has not learnt was left out (\u2603).\n"


@pytest.mark.usefixtures("runs")
def test_a_damaged_vocabulary(refused, tmp_path):
    (tmp_path / "words" / "vocabulary.json").write_text("{}")
    assert "vocabulary.json: damaged" in refused(1, "translate", "words", "--text", "ein")


def test_a_run_to_begin_from_has_tokens_of_its_own(refused, files, runs):
    begun = ["train", "translate", *files, "--from", "words", "--steps", "2", "-o", "run"]
    assert "--tokens: expected words to words, of which the vocabulary of words is, got bpe to bpe" in refused(
        2, *begun, "--tokens", "bpe"
    )
