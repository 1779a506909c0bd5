"""What a token is to the model, and how tagged sentences are written."""

import io
import json

import pytest
import torch

from unrolled.core import DataError
from unrolled.tasks.tag.sentences import Sentence, read_sentences
from unrolled.tasks.tag.vocabulary import Vocabulary
from unrolled.tasks.tag.words import TokenEmbedding, Words, shape
from unrolled.tasks.tag.writing import Writer
from unrolled.tasks.writing import writing_to

KNOWN = Vocabulary(["boston", "Rome", "a"], ["O", "B-x"], [], "iob2", "iob2", [0, 1, 0])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("boston", "x"),
        ("Boston", "Xx"),
        ("NASA", "X"),
        ("iPhone6s", "xXx0x"),
        ("1,000", "0,0"),
        ("...", "..."),
        ("Élan", "Xx"),
        ("日本", "x"),
        ("", ""),
    ],
)
def test_shapes(word, expected):
    assert shape(word) == expected


def test_case_changes_the_shape_and_nothing_else():
    words = Words(["boston", "Boston", "BOSTON", "rome", "Rome", "bostons"], KNOWN, 1000)
    rows = words(torch.arange(6).view(6, 1))[:, 0]
    assert rows[0, 0] != rows[1, 0] != rows[2, 0]
    assert torch.equal(rows[0, 1:], rows[1, 1:])
    assert torch.equal(rows[0, 1:], rows[2, 1:])
    assert rows[:, 1].tolist() == [1, 1, 1, 0, 2, 0]  # rome is known with a capital only
    shared = set(rows[0, 2:].tolist()) & set(rows[5, 2:].tolist()) - {0}
    assert len(shared) > 10  # parts of an unknown word that is like a known one


def test_a_batch_has_room_for_its_longest_word_only():
    words = Words(["a", "boston"], KNOWN, 1000)
    assert words(torch.tensor([[0, 0]])).shape == (1, 2, 2 + 2)  # the parts <a and a>
    assert words(torch.tensor([[0], [1]])).shape[2] > 10


@pytest.mark.parametrize("subwords", [0, 100])
def test_unknown_words_have_a_vector_of_their_own_with_parts(subwords):
    torch.manual_seed(0)
    embedding = TokenEmbedding(3, 8, subwords)
    words = Words(["Oslo", "1999", "2024", "boston"], KNOWN, subwords)
    oslo, one, other, boston = embedding(words(torch.arange(4).view(4, 1)))[:, 0]
    assert torch.equal(one, oslo) == (subwords == 0)
    assert torch.equal(one, other) == (subwords == 0)
    assert not torch.equal(oslo, boston)


SENTENCE = Sentence(["to", "New", "York", "\x1b[31m"], ["O", "B-city", "I-city", "O"], "flight")
LABELS = Sentence(["dogs bark"], ["NOUN"])


def written(style, *sentences):
    file = io.StringIO()
    writer = Writer(file, style)
    for sentence in sentences:
        writer.write(sentence)
    writer.end()
    return file.getvalue()


def test_styles_by_hand():
    assert written("inline", SENTENCE, Sentence([], [])) == "flight: to New/B-city York/I-city \x1b[31m\n\n"
    assert written("conll", SENTENCE) == "# intent = flight\nto\tO\nNew\tB-city\nYork\tI-city\n\x1b[31m\tO\n\n"
    assert written("conll", Sentence([], [])) == ""
    assert json.loads(written("jsonl", SENTENCE)) == {
        "tokens": SENTENCE.tokens,
        "tags": SENTENCE.tags,
        "intent": "flight",
    }


def test_colors_let_no_control_character_through():
    text = written("colors", SENTENCE, LABELS)
    assert "\x1b[31m" not in text
    assert text.splitlines()[0] == "flight: to New York \N{REPLACEMENT CHARACTER}[31m"
    assert text.splitlines()[1] == "dogs bark"
    assert text.splitlines()[-1].split() == ["NOUN", "city"]


def test_what_is_written_in_columns_is_read_again(tmp_path):
    odd = Sentence(["a\tb", "c\nd", "#", "-"], ["O", "B-x", "O", "O"])
    file = tmp_path / "a.conll"
    file.write_text(written("conll", SENTENCE, odd, LABELS))
    first, second, third = read_sentences(file)
    assert (first.tags, first.label) == (SENTENCE.tags, "flight")
    assert (second.tokens, second.tags, second.label) == (["a b", "c d", "#", "-"], odd.tags, None)
    assert third.tags == ["NOUN"]


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("before")

    def fail():
        with writing_to(path) as file:
            file.write("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert path.read_text() == "before"
    with writing_to(path) as file:
        file.write("all")
    assert path.read_text() == "all"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot write here"), writing_to(tmp_path / "nowhere" / "a"):
        pass
