"""Reading sentences: every format by hand, and what is wrong with a file named with its row."""

import json

import pytest

from unrolled.core import DataError
from unrolled.tasks.tag.sentences import Columns, Sentence, read_sentences, split_text

CONLL = """# intent = flight
fly\tO
to\tO
New\tB-city
York\tI-city

-DOCSTART-\tO

#\tO
hash\tO
\t
"""


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path, *arguments, **options):
    return list(read_sentences(path, *arguments, **options))


def test_conll(tmp_path):
    first, second = read(write(tmp_path, "a.conll", CONLL))
    assert first.tokens == ["fly", "to", "New", "York"]
    assert first.tags == ["O", "O", "B-city", "I-city"]
    assert (first.label, second.label) == ("flight", None)
    assert first.where.endswith("a.conll:2")
    assert second == Sentence(["#", "hash"], ["O", "O"], None, f"{tmp_path / 'a.conll'}:9")


def test_conll_of_spaces_without_an_end_with_dos_ends_and_a_mark(tmp_path):
    text = "\ufeff# a comment\r\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n\r\n# O O O\r\nx y z O"
    sentences = read(write(tmp_path, "a.txt", text), columns=Columns(1, -1))
    assert [s.tokens for s in sentences] == [["EU", "rejects"], ["#", "x"]]
    assert [s.tags for s in sentences] == [["B-ORG", "O"], ["O", "O"]]
    (first, _) = read(tmp_path / "a.txt", "conll", Columns(-4, 2))
    assert first.tags == ["NNP", "VBZ"]


def test_conllu(tmp_path):
    columns = "_\t" * 5 + "_"
    rows = ["1-2\tal\t_\t_", "1\ta\ta\tADP", "2\tel\tel\tDET"]
    text = "\n".join(["# sent_id = 1", "# text = al mar", *(f"{row}\t{columns}" for row in rows)])
    (sentence,) = read(write(tmp_path, "a.conllu", text), columns=Columns(2, 4))
    assert (sentence.tokens, sentence.tags) == (["a", "el"], ["ADP", "DET"])


def test_jsonl(tmp_path):
    records = [
        {"tokens": ["a", "b c"], "tags": ["O", "B-x"], "intent": "i", "more": 1},
        {"tokens": ["d"], "tags": ["O"], "label": "j"},
    ]
    path = write(tmp_path, "a.jsonl", "\n\n".join(map(json.dumps, records)))
    first, second = read(path)
    assert first == Sentence(["a", "b c"], ["O", "B-x"], "i", f"{path}:1")
    assert (second.label, second.where) == ("j", f"{path}:3")


def test_parallel(tmp_path):
    write(tmp_path, "seq.in", "to Oslo\nhello\n")
    write(tmp_path, "seq.out", "O B-city\nO\n")
    assert [s.label for s in read(tmp_path)] == [None, None]
    write(tmp_path, "label", "flight\ngreeting\n")
    first, second = read(tmp_path)
    assert first == Sentence(["to", "Oslo"], ["O", "B-city"], "flight", f"{tmp_path / 'seq.in'}:1")
    assert second.label == "greeting"
    (tmp_path / "seq.out").unlink()
    assert [s.tokens for s in read(tmp_path, tagged=False)] == [["to", "Oslo"], ["hello"]]


def test_without_tags(tmp_path):
    assert [s.tokens for s in read(write(tmp_path, "a.txt", "one two\n\nthree"), tagged=False)] == [
        ["one", "two"],
        [],
        ["three"],
    ]
    conll = write(tmp_path, "a.conll", "one\ntwo\n\nthree\n")
    assert [s.tokens for s in read(conll, tagged=False)] == [["one", "two"], ["three"]]
    jsonl = write(tmp_path, "a.jsonl", '{"tokens": []}\n{"text": "a b"}\n')
    assert [(s.tokens, s.tags) for s in read(jsonl, tagged=False)] == [([], None), (["a", "b"], None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conll", "a O\nb\n", r"a\.conll:2: expected 2 columns, as in row 1, got 1; correct the row"),
        ("a.conll", "a\tO\nb O\n", r"a\.conll:2: expected 2 columns with tabs between them, as in row 1, got 1"),
        ("a.conll", "a\nb\n", r"a\.conll:1: expected columns of tokens and tags, as in: Paris B-city, got 1 column;"),
        ("a.conll", "a\tO\n\tO\n", r"a\.conll:2: expected a token, got an empty one"),
        ("a.conll", "a\tO\nb\t\n", r"a\.conll:2: expected a tag such as O or B-city, got ''"),
        ("a.conll", "a O\nb B-\n", r"a\.conll:2: expected a tag such as O or B-city, got 'B-'"),
        ("a.conll", b"a O\ncaf\xe9 O\n", r"a\.conll:2: expected UTF-8 text, got the byte 0xe9"),
        ("a.conll", b"a O\nb\0 O\n", r"a\.conll:2: expected text, got a binary file"),
        (
            "a.conll",
            "x" * 10**7 + " O\n",
            r"a\.conll:1: expected tokens of at most 1000 characters, got one of 10{7}:",
        ),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}\n', r"a\.jsonl:1: expected a tag for each of 1 tokens, got 0 tags"),
        ("a.jsonl", '{"tokens": [], "tags": []}\n', r"a\.jsonl:1: expected at least one token, got an empty sentence"),
        ("a.jsonl", '{"tokens": ["a"]}\n', r'a\.jsonl:1: "tags": expected a list of texts, got nothing'),
        ("a.jsonl", '{"tokens": ["a", 3], "tags": []}\n', r'"tokens": expected a list of texts, got int in it'),
        ("a.jsonl", '{"tokens": "a", "tags": "O"}\n', r'"tokens": expected a list of texts, got str'),
        ("a.jsonl", '\n["a"]\n', r"a\.jsonl:2: expected a JSON object"),
        ("a.jsonl", "{'tokens'}\n", r"a\.jsonl:1: expected one JSON object a line"),
        ("a.jsonl", "[" * 10**5, r"a\.jsonl:1: expected one JSON object a line"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["O"], "intent": 3}', r'a\.jsonl:1: "intent": expected a text, got int'),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["O"], "intent": " "}', r'a\.jsonl:1: "intent": expected a label'),
        ("a.jsonl", '{"tokens": ["\\ud800"], "tags": ["O"]}', r"a\.jsonl:1: expected whole characters"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["\\ud800"]}', r"a\.jsonl:1: expected whole characters"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, name, text))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"seq.in": "a\nb\n", "seq.out": "O\n"}, r"seq\.out: expected as many lines as .*seq\.in has, got 1"),
        (
            {"seq.in": "a\n", "seq.out": "O\n", "label": "i\nj\n"},
            r"seq\.in: expected as many lines as .*label",
        ),
        ({"seq.in": "a b\n", "seq.out": "O\n"}, r"seq\.in:1: expected a tag for each of 2 tokens, got 1 tags"),
        ({"seq.in": "a\n\n", "seq.out": "O\n\n"}, r"seq\.in:2: expected at least one token"),
        ({"seq.in": "a\n", "seq.out": "O\n", "label": "\n"}, r"label:1: expected a label, got an empty line"),
        ({"seq.in": "a\n"}, r"got no seq\.out"),
    ],
)
def test_parallel_files_that_do_not_agree(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_columns_that_are_not_there(tmp_path):
    path = write(tmp_path, "a.conll", "a O\n")
    with pytest.raises(DataError, match="--tag-column: expected a column from 1 to 2, or -1 to -2, got 3"):
        read(path, columns=Columns(1, 3))
    with pytest.raises(DataError, match="--token-column: expected a column from 1 to 2, or -1 to -2, got 0"):
        read(path, columns=Columns(0, 1))
    with pytest.raises(DataError, match="expected columns of tokens and tags"):
        read(path, columns=Columns(2, -1))


def test_no_file_and_no_tags(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        read(tmp_path / "nothing.conll")
    with pytest.raises(DataError, match="expected sentences with tags, got plain text"):
        read(write(tmp_path, "a.txt", "a"), "text")
    with pytest.raises(DataError, match="expected a file of format conll, got a folder"):
        read(tmp_path, "conll")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("  a  b\t", ["a", "b"]),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ('("yes")', ["(", '"', "yes", '"', ")"]),
        ("don't 10:30 3.5% a-b e.g. x", ["don't", "10:30", "3.5", "%", "a-b", "e.g", ".", "x"]),
        ("@ana #tag ...", ["@ana", "#tag", "..."]),
        ("st. louis", ["st.", "louis"]),  # known
        ("ünïcode, 日本語。", ["ünïcode", ",", "日本語", "。"]),
    ],
)
def test_text_is_split(text, tokens):
    assert split_text(text, {"st."}.__contains__) == tokens
