"""Vectors of words and of their parts."""

import subprocess
import sys

import pytest
import torch

from unrolled.cells import GRU
from unrolled.core import InputError, InputTypeError
from unrolled.models import SequenceToSequence, WordEmbedding, word_numbers, word_parts

VOCABULARY = {"<unk>": 0, "tree": 1, "trees": 2, "a": 3}
WORDS = ["a", "trees", "treetop", "tree", "", "größe", "😀"]


def make(**options):
    torch.manual_seed(0)
    return WordEmbedding(len(VOCABULARY), 6, 50, **options).double()


def test_the_parts_of_a_word_by_hand():
    assert word_parts("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>"]  # the paper's example
    assert word_parts("ab", 2, 6) == ["<a", "ab", "b>", "<ab", "ab>"]  # all of it is the word itself
    assert word_parts("a") == word_parts("") == []
    assert word_parts("aaaaa", 3, 3).count("aaa") == 3


def test_the_numbers_of_words():
    table = word_numbers(WORDS, VOCABULARY, subwords=50)
    assert table[:, 0].tolist() == [3, 2, 0, 1, 0, 0, 0]
    counts = [len(word_parts(word)) for word in WORDS]
    assert table.shape == (len(WORDS), 1 + max(counts))
    assert (table[:, 1:] > 0).sum(1).tolist() == counts
    assert int(table[:, 1:].max()) <= 50
    shared = set(word_parts("trees")) & set(word_parts("treetop"))
    assert len(set(table[1, 1:].tolist()) & set(table[2, 1:].tolist()) - {0}) >= len(shared) > 5
    assert word_numbers(WORDS, VOCABULARY).shape == (len(WORDS), 1)
    assert word_numbers([], VOCABULARY, subwords=50).shape == (0, 1)


def test_the_numbers_are_the_same_in_every_process():
    code = "from unrolled.models import word_numbers as n; print(n(['Zebra', 'größe'], {}, subwords=997).tolist())"
    run = [sys.executable, "-c", code]
    printed = {
        subprocess.run(run, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, **_paths()}).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{word_numbers(['Zebra', 'größe'], {}, subwords=997).tolist()}\n"}


def _paths():
    return {"PYTHONPATH": ":".join(sys.path)}


def test_an_endless_word_has_as_many_parts_as_are_allowed():
    table = word_numbers(["x" * 10**6, "tree"], VOCABULARY, subwords=50, most=20)
    assert table.shape == (2, 21)


def test_the_vector_is_the_word_and_the_mean_of_its_parts():
    embedding = make()
    table = word_numbers(WORDS, VOCABULARY, subwords=50)
    vectors = embedding(table[torch.arange(len(WORDS))[:, None]])
    assert vectors.shape == (len(WORDS), 1, 6)
    for word, row, vector in zip(WORDS, table, vectors[:, 0], strict=True):
        expected = embedding.words.weight[VOCABULARY.get(word, 0)]
        parts = row[1:][row[1:] > 0]
        if len(parts):
            expected = expected + embedding.parts.weight[parts].mean(0)
        torch.testing.assert_close(vector, expected)


def test_other_words_in_the_batch_change_nothing():
    embedding = make()
    alone = embedding(word_numbers(["tree"], VOCABULARY, subwords=50)[None])
    beside = embedding(word_numbers(["tree", "internationalisation"], VOCABULARY, subwords=50)[None])
    assert torch.equal(alone[0, 0], beside[0, 0])


def test_words_without_parts_are_an_embedding():
    embedding = make()
    words = torch.tensor([[0, 1, 2], [3, 3, 0]])
    assert torch.equal(embedding(words), embedding.words.weight[words])
    assert torch.equal(embedding(words[..., None]), embedding.words.weight[words])
    assert WordEmbedding(4, 6).parts is None


def test_unknown_words_of_like_parts_are_near():
    embedding = WordEmbedding(1, 40, 10_000)
    numbers = word_numbers(["unrolled", "unrolling", "bicycle"], {}, subwords=10_000)
    a, b, c = embedding(numbers[None])[0] - embedding.words.weight[0]
    assert torch.cosine_similarity(a, b, 0) > torch.cosine_similarity(a, c, 0) + 0.3


def test_gradients_reach_words_and_parts_and_not_the_filling():
    embedding = make()
    table = word_numbers(["tree", "a"], VOCABULARY, subwords=50)
    embedding(table[None]).square().sum().backward()
    touched = embedding.words.weight.grad.abs().sum(1) > 0
    assert touched.tolist() == [False, True, False, True]
    of_parts = embedding.parts.weight.grad.abs().sum(1) > 0
    assert set(of_parts.nonzero().flatten().tolist()) == set(table[0, 1:].tolist()) - {0}


def test_word_dropout_takes_words_for_unknown_and_leaves_their_parts():
    embedding = make(word_dropout=0.3)
    torch.manual_seed(1)
    x = torch.full((100, 100, 2), 1)
    found = embedding(x)
    part = embedding.parts.weight[1]
    unknown, known = embedding.words.weight[0] + part, embedding.words.weight[1] + part
    are_unknown = (found - unknown).abs().amax(-1) < 1e-12
    assert ((found - known).abs().amax(-1) < 1e-12).sum() + are_unknown.sum() == 100 * 100
    assert abs(float(are_unknown.double().mean()) - 0.3) < 0.03
    torch.testing.assert_close(embedding.eval()(x), known.expand_as(found))


def test_in_a_tagger_padding_changes_nothing():
    tagger = SequenceToSequence(6, lambda size: GRU(size, 5), 3, bidirectional=True, embedding=make()).double()
    x = word_numbers(WORDS, VOCABULARY, subwords=50)[torch.tensor([[0, 1], [2, 3], [4, 5]])]
    wild = x.clone()
    wild[1:, 0] = -7
    a, _ = tagger(x, lengths=[1, 3])
    b, _ = tagger(wild, lengths=[1, 3])
    assert torch.equal(a, b)


def test_wrong_arguments_are_told():
    for options, words in (
        ({"word_dropout": 1.0}, "word_dropout: expected a probability from 0 to below 1"),
        ({"unknown": 4}, "unknown: expected a number below vocabulary_size = 4, got 4"),
    ):
        with pytest.raises(InputError, match=words):
            make(**options)
    with pytest.raises(InputError, match="subwords: expected a number of vectors, 0 for none, got -1"):
        WordEmbedding(3, 4, -1)
    with pytest.raises(InputError, match="subwords: expected"):
        word_numbers(WORDS, VOCABULARY, subwords=-1)
    with pytest.raises(InputError, match="smallest, largest: expected 1 <= smallest <= largest, got 4 and 3"):
        word_numbers(WORDS, VOCABULARY, subwords=5, smallest=4, largest=3)
    with pytest.raises(InputError, match="most: expected at least 1"):
        word_numbers(WORDS, VOCABULARY, most=0)
    with pytest.raises(InputError, match=r"x: expected \(T, B\), or \(T, B, 1 \+ N\)"):
        make()(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputTypeError, match=r"x: expected whole numbers of words, got torch\.float32"):
        make()(torch.zeros(3, 2))
