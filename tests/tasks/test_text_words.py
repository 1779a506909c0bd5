"""Words as tokens."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.cells import GRU
from unrolled.core import CheckpointError
from unrolled.models import LanguageModel
from unrolled.tasks import text
from unrolled.tasks.text.options import TextOptions
from unrolled.tasks.text.sampling import write
from unrolled.tasks.text.tokenizers import dump_tokenizer, load_tokenizer, make_tokenizer
from unrolled.tasks.text.words import WordTokenizer

RHYME = " the cat sat \n the dog sat on the cat \n"


def read(tokenizer, written):
    return [tokenizer.words[token] for token in tokenizer.encode(written).tolist()]


def test_words_and_line_ends_are_tokens_by_frequency():
    tokenizer = make_tokenizer("words", RHYME)
    assert tokenizer.words == ["<eos>", "<unk>", "the", "cat", "sat", "dog", "on"]
    assert read(tokenizer, RHYME) == ["the", "cat", "sat", "<eos>", "the", "dog", "sat", "on", "the", "cat", "<eos>"]
    assert read(tokenizer, "the\t bird\n\nsat") == ["the", "<unk>", "<eos>", "<eos>", "sat"]
    assert tokenizer.encode("").tolist() == []
    assert tokenizer.encode(RHYME).dtype == torch.int32


def test_the_most_frequent_words_are_kept_and_the_others_are_unknown():
    tokenizer = make_tokenizer("words", RHYME, 4)
    assert tokenizer.size == 4
    assert read(tokenizer, "the cat sat") == ["the", "cat", "<unk>"]
    assert make_tokenizer("words", RHYME, 1000).size == 7


def test_a_text_that_has_the_two_names_itself_gains_no_token():
    """As the Penn Treebank's usual files: 9,999 words with <unk> among them, and the line end."""
    tokenizer = make_tokenizer("words", "a <unk> b\n<unk> c\n")
    assert sorted(tokenizer.words) == ["<eos>", "<unk>", "a", "b", "c"]
    assert read(tokenizer, "a <eos> b") == ["a", "<eos>", "b"]


@pytest.mark.slow
def test_the_penn_treebank(real_data):
    training, test = (real_data(f"ptb/ptb.{name}.txt").read_text() for name in ("train", "test"))
    tokenizer = make_tokenizer("words", training)
    assert tokenizer.size == 10_000
    assert len(tokenizer.encode(training)) == 929_589
    assert len(tokenizer.encode(test)) == 82_430


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.sampled_from(["a", "bc", "d", "über", "☃"]), min_size=1, max_size=5), max_size=6))
def test_what_is_written_of_tokens_reads_as_the_same_tokens(lines):
    tokenizer = WordTokenizer.learn("a bc d über ☃ \n")
    written = "".join(" ".join(line) + "\n" for line in lines)
    tokens = tokenizer.encode(written)
    stream = tokenizer.stream()
    assert "".join(map(stream, tokens.tolist())) == written
    loaded, alphabet = load_tokenizer(dump_tokenizer(tokenizer, "abc"), "tokenizer.json")
    assert torch.equal(loaded.encode(written), tokens)
    assert alphabet == "abc"


@pytest.mark.parametrize(
    ("after", "written"), [("", "a a\na"), ("a", " a a\na"), ("a ", "a a\na"), ("a\n", "a a\na"), ("(", " a a\na")]
)
def test_words_go_on_from_a_text_with_one_space_between(after, written):
    tokenizer = WordTokenizer(["<eos>", "<unk>", "a"])
    stream = tokenizer.stream(after)
    assert "".join(map(stream, [2, 2, 0, 2])) == written


@pytest.mark.parametrize(
    "words",
    [
        ["a", "a", "<eos>", "<unk>"],
        ["<eos>", "a"],
        ["<unk>"],
        ["<eos>", "<unk>", "a b"],
        ["<eos>", "<unk>", ""],
        ["<eos>", "<unk>", 5],
        {"a": 1},
        None,
    ],
)
def test_a_damaged_vocabulary_is_named(words):
    record = {"format": 1, "kind": "words", "saved": words, "alphabet": ""}
    with pytest.raises(CheckpointError, match=r"run/tokenizer\.json: damaged"):
        load_tokenizer(json.dumps(record), "run/tokenizer.json")


@torch.no_grad()
def test_writing_goes_on_from_the_prompt():
    tokenizer = WordTokenizer(["<eos>", "<unk>", "rose"])
    model = LanguageModel(3, lambda size: GRU(size, 4), embedding_size=2).eval()
    model.output.bias[2] = 99.0
    assert "".join(write(model, tokenizer, "a rose", length=12)) == " rose rose r"
    assert "".join(write(model, tokenizer, length=9)) == "rose rose"


def test_a_run_with_words_reports_the_perplexity_of_a_word(tmp_path):
    files = {"train": "one two three two one\n" * 40, "valid": "two three two four\n" * 5, "test": "one two\nsix two\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    options = {
        "data": {"tokenizer": "words", "validation": str(tmp_path / "valid"), "window": 5, "batch_size": 2},
        "model": {"hidden_size": 6, "embedding_size": 4, "initialization": "uniform", "initialization_range": 0.5},
        "training": {"epochs": 2},
    }
    run = text.train([tmp_path / "train"], tmp_path / "run", TextOptions.model_validate(options))
    best = run.outcome.best
    assert best["perplexity"] == pytest.approx(math.exp(best["validation_loss"]))
    assert "bits_per_character" not in best
    loaded = text.load(run.folder)
    assert sorted(loaded.tokenizer.words) == ["<eos>", "<unk>", "one", "three", "two"]  # none from the other files
    figures = loaded.evaluate([tmp_path / "test"])
    assert (figures["words"], figures["unknown"]) == (6, 1)
    tokens = loaded.tokenizer.encode(files["test"]).long()
    logits, _ = loaded.model(tokens[:-1, None])
    nats = torch.nn.functional.cross_entropy(logits[:, 0], tokens[1:]).item()
    assert figures["loss"] == pytest.approx(nats, rel=1e-5)
    assert figures["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert loaded.evaluate([tmp_path / "valid"])["loss"] == pytest.approx(best["validation_loss"], rel=1e-6)
    written = "".join(loaded.write("Seven two", length=40, seed=0))  # an unknown word in a prompt is read as <unk>
    assert set(written.split()[:-1]) <= {"one", "two", "three", "<unk>"}
