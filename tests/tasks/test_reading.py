"""Rows, lines and files: what is read, and what is said of what cannot be."""

import os

import pytest

from unrolled.core import DataError
from unrolled.tasks.reading import columns_of, files_in, hash_of, inside, lines_of, read_rows


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_table_with_quotes_line_breaks_and_a_byte_order_mark(tmp_path):
    file = write(tmp_path / "a.csv", '\ufefftext , label\n"two\nlines, and a ""quote""",x\n\nplain,y\n')
    rows = list(read_rows(file, ["text", "label"]))
    assert [row.values for row in rows] == [
        {"text": 'two\nlines, and a "quote"', "label": "x"},
        {"text": "plain", "label": "y"},
    ]
    assert [row.place for row in rows] == [f"{file}:2", f"{file}:5"]
    assert columns_of(file) == ["text", "label"]


def test_tabs_and_other_delimiters(tmp_path):
    assert [row.values for row in read_rows(write(tmp_path / "a.tsv", "a\tb\n1,5\t2\n"))] == [{"a": "1,5", "b": "2"}]
    file = write(tmp_path / "a.csv", "a;b\n1,5;2\n")
    assert [row.values for row in read_rows(file, delimiter=";")] == [{"a": "1,5", "b": "2"}]


def test_objects_one_a_line(tmp_path):
    file = write(tmp_path / "a.jsonl", '{"text": "é", "label": 3}\n\n{"label": null, "text": "b"}\n')
    rows = list(read_rows(file, ["text"]))
    assert [(row["text"], row["label"]) for row in rows] == [("é", 3), ("b", None)]
    assert rows[1].place == f"{file}:3"


def test_a_field_of_ten_megabytes(tmp_path):
    long = "word " * 2_000_000
    (row,) = read_rows(write(tmp_path / "a.csv", f"text,label\n{long},x\n"))
    assert len(row["text"]) == len(long)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", r"a\.csv: expected a table with a header, got an empty file"),
        ("a.jsonl", "\n", r"a\.jsonl: expected objects in JSON, one a line, got an empty file"),
        ("a.csv", "text,label\nx\n", r"a\.csv:2: expected 2 fields as in the header \(text, label\), got 1"),
        ("a.csv", "text,label\nx,y\nx,y,z\n", r"a\.csv:3: expected 2 fields .* got 3; put a field .* double quotes"),
        ("a.csv", "text,text\nx,y\n", r"a\.csv:1: expected a header of different names, got text twice"),
        ("a.csv", "words,label\nx,y\n", r"a\.csv:1: expected a column 'text', got 'words', 'label'; name the right"),
        ("a.csv", 'text,label\n"x,y\n', r"a\.csv:2: not a row of a table \(unexpected end of data\)"),
        ("a.csv", b"text\n\xe9t\xe9\n", r"a\.csv:2: expected UTF-8 text, got the byte 0xe9 at column 1; convert"),
        ("a.csv", b"text\nab\0c\n", r"a\.csv:2: expected text, got a binary file \(it holds NUL bytes\)"),
        ("a.jsonl", "{\n", r"a\.jsonl:1: expected one object in JSON, got what is none"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: expected one object in JSON, got list"),
        ("a.jsonl", '{"label": 1}\n', r"a\.jsonl:1: expected a column 'text', got 'label'"),
        ("a.jsonl", "[" * 100_000, r"a\.jsonl:1: expected one object in JSON, got what is none"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, said):
    with pytest.raises(DataError, match=said):
        list(read_rows(write(tmp_path / name, content), ["text"]))


def test_no_file_and_no_permission_to_be_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv: there is no such file or folder"):
        list(lines_of(tmp_path / "nothing.csv"))
    with pytest.raises(DataError, match="expected a file, got a folder"):
        list(lines_of(tmp_path))


def test_files_of_a_folder_and_what_leads_out_of_it(tmp_path):
    data = tmp_path / "data"
    for name in ("b/2.txt", "a/1.txt", "a/1.wav", ".hidden/3.txt", "a/.hidden"):
        write(data / name, name)
    assert files_in(data, [".TXT"]) == [data / "a" / "1.txt", data / "b" / "2.txt"]
    assert len(files_in(data)) == 3
    before = hash_of([data])
    write(data / "a" / "1.txt", "else")
    assert hash_of([data]) != before
    os.symlink(write(tmp_path / "secret.txt", "x"), data / "b" / "link.txt")
    with pytest.raises(
        DataError, match=r"link\.txt: expected a path inside .*data, got .* leads to .*secret\.txt; copy"
    ):
        files_in(data)
    os.unlink(data / "b" / "link.txt")
    os.symlink(tmp_path, data / "b" / "up")
    with pytest.raises(DataError, match=r"up: expected a path inside"):
        files_in(data)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../secret.txt"])
def test_a_path_in_a_table_must_stay_inside(tmp_path, name):
    with pytest.raises(DataError, match=r"list\.csv:7: expected a path inside .* copy the file into the folder"):
        inside(tmp_path / "data", name, "list.csv:7")
    assert inside(tmp_path, "a/../b.wav") == tmp_path / "a/../b.wav"
