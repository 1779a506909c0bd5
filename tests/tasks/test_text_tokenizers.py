"""Tokenizers: what they read they give back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.core import CheckpointError, DataError
from unrolled.tasks.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    dump_tokenizer,
    load_tokenizer,
    make_tokenizer,
)

TEXT = "Grüße aus Köln ☃ und 東京 😀!\nThe cat sat on the mat, and the cat was fat.\n" * 12
BPE = BPETokenizer.learn(TEXT, 320)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_bytes_and_bpe_read_any_text_back(written):
    for tokenizer in (ByteTokenizer(), BPE):
        tokens = tokenizer.encode(written)
        stream = tokenizer.stream()
        assert "".join(stream(int(token)) for token in tokens) == written
        assert tokens.dtype == torch.int32
        assert len(tokens) <= len(written.encode())


@settings(deadline=None, max_examples=100)
@given(st.text(min_size=1, max_size=60))
def test_characters_read_back_every_text_of_their_alphabet(written):
    tokenizer = make_tokenizer("characters", written, 0)
    tokens = tokenizer.encode(written[::-1])
    assert "".join(map(tokenizer.stream(), tokens.tolist())) == written[::-1]
    assert sorted(set(tokens.tolist())) == list(range(tokenizer.size))
    loaded, alphabet = load_tokenizer(dump_tokenizer(tokenizer, written), "tokenizer.json")
    assert torch.equal(loaded.encode(written), tokenizer.encode(written))
    assert alphabet == written


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 255), max_size=40), st.randoms(use_true_random=False))
def test_a_stream_of_any_tokens_is_their_bytes_decoded(values, chance):
    stream = ByteTokenizer().stream()
    whole = bytes(values).decode(errors="replace")
    assert whole.startswith("".join(map(stream, values)))
    tokens = [chance.randrange(BPE.size) for _ in values]
    stream = BPE.stream()
    assert BPE._tokenizer.decode(tokens, skip_special_tokens=False).startswith("".join(map(stream, tokens)))


def test_bytes_that_never_become_text_do_not_hold_the_rest_back():
    """A model may write half a character again and again; each half that is dead is shown as one mark."""
    lead = next(token for token in range(BPE.size) if BPE._tokenizer.id_to_token(token) == "ð")
    stream = BPE.stream()
    assert "".join(stream(lead) for _ in range(6)) == "\N{REPLACEMENT CHARACTER}" * 5


def test_a_character_without_a_token_is_named():
    with pytest.raises(DataError, match="2 that it has never seen: 'x' '☃'"):
        CharacterTokenizer("abc").encode("ax☃")


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "5", "{}", '{"format": 1}', '{"format": "x", "kind": "bytes", "saved": null, "alphabet": ""}',
     '{"format": 1, "kind": "bpe", "saved": "{}", "alphabet": ""}',
     '{"format": 1, "kind": "characters", "saved": null, "alphabet": ""}',
     '{"format": 1, "kind": "words", "saved": null, "alphabet": ""}',
     '{"format": 2, "kind": "bytes", "saved": null, "alphabet": ""}'],
)  # fmt: skip
def test_a_damaged_tokenizer_is_named(damaged):
    with pytest.raises(CheckpointError, match=r"run/tokenizer\.json: "):
        load_tokenizer(damaged, "run/tokenizer.json")
