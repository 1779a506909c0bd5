"""The text to learn from."""

import sysconfig

import pytest

from unrolled.core import DataError
from unrolled.tasks.text import corpus as corpora
from unrolled.tasks.text.corpus import STANDARD_LIBRARY, read_corpus


def test_a_folder_is_read_in_order_without_what_is_hidden_or_binary(tmp_path):
    for name, data in {
        "b.txt": b"b", "a/z.txt": b"z\n", "a/y.txt": b"\xef\xbb\xbfy", ".git/config": b"no", "c/.x": b"no",
        "c/pic.png": b"\x89PNG\0", "empty.txt": b"",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    corpus = read_corpus([tmp_path])
    assert corpus.text == "y\nz\nb\n"
    assert corpus.skipped == (str(tmp_path / "c/pic.png"),)
    assert read_corpus([tmp_path / "b.txt", tmp_path / "a"]).text == "b\ny\nz\n"
    assert corpus.sha256 == read_corpus([tmp_path]).sha256 != read_corpus([tmp_path / "a"]).sha256


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected text, got none: it is empty"),
        (b" \n\t", "expected text, got none: it is empty"),
        (b"ab\0c", "expected text, got a binary file"),
        ("text".encode("utf-16"), "expected text, got a binary file"),
        (b"one\ntwo \xff", r"got the byte 0xff at byte 8 \(line 2\)"),
        (b"\xef\xbb\xbfone\ntwo \xe9!", r"got the byte 0xe9 at byte 11 \(line 2\)"),
        (b"cut \xe2\x82", r"got the byte 0xe2 at byte 4 \(line 1\)"),
    ],
)
def test_a_file_that_is_not_text_is_named(data, message, tmp_path):
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    with pytest.raises(DataError, match=rf"file\.txt: .*{message}"):
        read_corpus([file])


def test_the_default_corpus():
    corpus = read_corpus([])
    assert 1_000_000 < len(corpus.text.encode()) <= 3_000_000
    assert len(corpus.files) == len(STANDARD_LIBRARY) == len(set(STANDARD_LIBRARY))  # each exists
    assert "class ArgumentParser" in corpus.text
    assert corpus.skipped == ()


def test_an_interpreter_without_its_source_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(DataError, match=r"no source of its standard library .*unrolled train text FILE"):
        read_corpus([])
    (tmp_path / "abc.py").write_text("x = 1")
    assert read_corpus([]).text == "x = 1\n"


def test_the_default_corpus_never_exceeds_its_limit(monkeypatch):
    monkeypatch.setattr(corpora, "_LIMIT", 200_000)
    assert 100_000 < len(read_corpus([]).text.encode()) <= 200_000
