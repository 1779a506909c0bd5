"""Tokens of a side, there and back, and the vocabulary as it is kept."""

import json

import pytest

from unrolled.core import CheckpointError
from unrolled.tasks.translate.options import DataOptions
from unrolled.tasks.translate.pairs import Pair
from unrolled.tasks.translate.tokens import SPECIAL, UNKNOWN, learn_tokens, load_tokens
from unrolled.tasks.translate.vocabulary import Vocabulary, learn_vocabulary, looks_tokenised

TEXTS = ["ein mann geht .", "ein hund läuft über die straße .", "<s> </s> <unk> ☃", "a  b"] * 3


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_there_and_back(kind):
    tokens = learn_tokens(kind, TEXTS, 300 if kind == "bpe" else None, 1)
    again = load_tokens(kind, json.loads(json.dumps(tokens.save())))
    assert again.size == tokens.size
    for text in TEXTS[:3]:
        encoded = tokens.encode(text)
        assert min(encoded) >= len(SPECIAL)  # also of words that are written like them
        assert max(encoded) < tokens.size
        assert tokens.decode(encoded) == text
        assert again.encode(text) == encoded
        assert len(tokens.split(text)) == len(encoded)
    assert tokens.encode("") == []
    assert tokens.decode([]) == ""


def test_what_is_rare_is_unknown():
    words = learn_tokens("words", ["a a b b c"], None, 2)
    assert words.encode("a c d") == [words.places["a"], UNKNOWN, UNKNOWN]
    assert words.decode(words.encode("a c d")) == "a <unk> <unk>"
    assert words.decode(words.encode("a c d"), ["x", "y", "z"]) == "a y z"
    assert learn_tokens("characters", ["aab"], None, 2).encode("ba") == [UNKNOWN, 3]
    assert learn_tokens("words", ["a a b b c"], 4, 1).size == 4


def test_pieces_begin_every_line_as_every_word():
    pieces = learn_tokens("bpe", ["the man the man the man"] * 9, 280, 1)
    assert len(set(pieces.encode("the"))) == 1
    assert pieces.encode("the man the")[0] == pieces.encode("the man the")[-1]
    assert pieces.encode("\N{SNOWMAN}")  # never seen, and known nevertheless


def pairs(*rows):
    return [Pair(*row) for row in rows]


def test_what_is_measured_by_default():
    sentences = pairs(("ein mann geht .", "a man walks ."), ("ein hund .", "a dog is there ."))
    known = learn_vocabulary(sentences, DataOptions(minimum_count=1))
    assert (known.metric, known.tokenize) == ("bleu", "none")
    assert known.expansion == pytest.approx(6 / 4, rel=1e-3)
    raw = learn_vocabulary(pairs(("Ein Mann geht.", "A man walks here.")), DataOptions(minimum_count=1))
    assert (raw.metric, raw.tokenize) == ("bleu", "13a")
    spelled = DataOptions(minimum_count=1, source_tokens="characters")
    assert learn_vocabulary(sentences, spelled).metric == "errors"
    assert (
        learn_vocabulary(pairs(("ein mann", "a man")), DataOptions(minimum_count=1)).metric == "errors"
    )  # BLEU counts four words
    assert (
        learn_vocabulary(sentences, DataOptions(minimum_count=1, metric="errors", bleu_tokenize="zh")).tokenize == "zh"
    )
    assert looks_tokenised(["no mark", "and none here"])


@pytest.mark.parametrize("shared", [False, True])
def test_a_vocabulary_is_kept(shared):
    options = DataOptions(shared_vocabulary=shared, minimum_count=1)
    known = learn_vocabulary(pairs(("ein mann geht .", "a man walks .")), options)
    text = known.dump()
    again = Vocabulary.load(text, "vocabulary.json")
    assert again.dump() == text
    assert (again.source is again.target) == shared
    assert ("mann" in again.target.places) == shared


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"kind": "letters", "saved": []}},
        {"source": {"kind": "words", "saved": ["a", "a"]}},
        {"source": {"kind": "words", "saved": ["a b"]}},
        {"source": {"kind": "words", "saved": [3]}},
        {"target": {"kind": "bpe", "saved": "{}"}},
        {"metric": "luck"},
        {"expansion": None},
    ],
)
def test_a_damaged_vocabulary(change):
    record = json.loads(learn_vocabulary(pairs(("a b", "c d")), DataOptions(minimum_count=1)).dump())
    with pytest.raises(CheckpointError, match=r"vocabulary.json: damaged"):
        Vocabulary.load(json.dumps({**record, **change}), "vocabulary.json")
    with pytest.raises(CheckpointError, match=r"made by a newer version"):
        Vocabulary.load(json.dumps({**record, "format": 99}), "vocabulary.json")
