"""Pairs from files of every kind, and what is wrong with them."""

import gzip
import json

import pytest

from unrolled.core import DataError, InputError
from unrolled.tasks.translate.pairs import Columns, read_pairs, read_sources


def texts(pairs):
    return [(pair.source, pair.target) for pair in pairs]


@pytest.fixture
def write(tmp_path):
    def call(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


PAIRS = [('ein "mann" ,', "a man"), ("zwei", "two, three")]


def test_every_format_has_the_same_pairs(write):
    rows = [f"{one}\t{other}\n" for one, other in PAIRS]
    as_csv = '"ein ""mann"" ,",a man\nzwei,"two, three"\n'
    files = {
        "lines": [write("a.de", 'ein "mann" ,\nzwei'), write("a.en", "a man\r\ntwo, three\r\n")],
        "tsv": [write("a.tsv", "source\ttarget\n" + "".join(rows))],
        "csv": [write("a.csv", "source,target\n" + as_csv)],
        "jsonl": [write("a.jsonl", "".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in PAIRS))],
        "packed": [write("b.de.gz", gzip.compress(b'ein "mann" ,\nzwei\n')), write("b.en", "a man\ntwo, three\n")],
        "packed table": [write("b.tsv.gz", gzip.compress(("source\ttarget\n" + "".join(rows)).encode()))],
    }
    for paths in files.values():
        assert texts(read_pairs(paths)) == PAIRS
    assert texts(read_pairs(files["tsv"] + [write("c.tsv", "n\ttarget\tsource\n1\tx\ty\n")])) == [*PAIRS, ("y", "x")]


def test_columns(write):
    named = write("a.tsv", "en\tnumber\tde\na\t1\tein\n")
    assert texts(read_pairs([named], columns=Columns("de", "en"))) == [("ein", "a")]
    bare = write("b.tsv", "ein\ta\n\nzwei\ttwo\n")
    assert texts(read_pairs([bare], columns=Columns(header=False))) == [("ein", "a"), ("zwei", "two")]
    assert texts(read_pairs([bare], columns=Columns("2", "1", header=False)))[1] == ("two", "zwei")
    assert next(iter(read_sources(bare, columns=Columns("2", header=False)))) == ("a", f"{bare}:1")
    same = read_pairs([write("odd.txt", "source\ttarget\na\tb\n")], "tsv")
    assert texts(same) == [("a", "b")]


def test_sources_may_be_empty_and_keep_their_rows(write):
    path = write("a.de", " ein mann \n\nzwei")
    assert list(read_sources(path)) == [("ein mann", f"{path}:1"), ("", f"{path}:2"), ("zwei", f"{path}:3")]


BAD = {
    "counts": (["a\nb\nc\n", "a\nb\n"], "expected as many lines in both, got 3 and 2; .*line 3 at the latest"),
    "empty side": (["a\nb\n", "a\n \n"], r"1\.txt:2: expected a line of text on both sides, got an empty one"),
    "empty source": (["a\n\n", "a\nb\n"], r"0\.txt:2: expected a line of text on both sides"),
    "nothing": (["", ""], "expected lines of text, got empty files"),
    "latin": (["a\nb\n", b"a\ncaf\xe9\n"], r"1\.txt:2: expected UTF-8 text, got the byte 0xe9"),
    "binary": ([b"a\n\0\n", "a\nb\n"], r"0\.txt:2: expected text, got a binary file"),
}


@pytest.mark.parametrize("name", BAD)
def test_aligned_files_are_refused_with_the_row(write, name):
    contents, message = BAD[name]
    paths = [write(f"{place}.txt", content) for place, content in enumerate(contents)]
    with pytest.raises(DataError, match=message):
        list(read_pairs(paths))


TABLES = {
    "fields.tsv": ("source\ttarget\na\tb\nc\n", r"fields.tsv:3: expected 2 fields with tabs between them.*got 1"),
    "columns.tsv": ("de\ten\na\tb\n", r"columns.tsv:1: expected a column 'source', got 'de', 'en'; name the right one"),
    "empty.tsv": ("source\ttarget\na\t \n", r"empty.tsv:2: target: expected a text on both sides, got an empty one"),
    "header.tsv": ("source\ttarget\n", "header.tsv: expected rows with a source and a target, got none"),
    "none.tsv": ("", "none.tsv: expected rows with a source and a target, got none"),
    "list.jsonl": ('{"source": ["a"], "target": "b"}\n', r"list.jsonl:1: source: expected a text, got list"),
    "key.jsonl": ('{"source": "a"}\n', r"key.jsonl:1: expected a column 'target', got 'source'"),
    "half.jsonl": ('{"source": "\\ud800", "target": "b"}\n', r"half.jsonl:1: expected whole characters"),
    "quote.csv": ('source,target\n"a,b\n', r"quote.csv:2: not a row of a table"),
    "cut.tsv.gz": (gzip.compress(b"source\ttarget\na\tb\n" * 99)[:-9], r"cut.tsv.gz: not a whole file of gzip"),
    "plain.tsv.gz": ("source\ttarget\n", r"plain.tsv.gz: not a whole file of gzip"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_refused_with_the_row(write, name):
    content, message = TABLES[name]
    with pytest.raises(DataError, match=message):
        list(read_pairs([write(name, content)]))


def test_the_wrong_number_or_kind_of_files(write):
    one, table = write("a.de", "a\n"), write("a.csv", "source,target\na,b\n")
    with pytest.raises(InputError, match="expected two line-aligned files, the source's and the target's"):
        read_pairs([one])
    with pytest.raises(InputError, match="expected two files of lines, or tables only"):
        read_pairs([one, table])
    with pytest.raises(InputError, match="--no-header: expected a TSV"):
        list(read_pairs([table], columns=Columns(header=False)))
    with pytest.raises(DataError, match="there is no such file; to translate a text, give it with --text"):
        read_sources(one.with_name("ein mann"))
