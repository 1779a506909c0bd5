"""Drawing tokens, and writing."""

import math

import pytest
import torch

from unrolled.cells import GRU, LSTM
from unrolled.models import LanguageModel
from unrolled.tasks.text.sampling import draw, write
from unrolled.tasks.text.task import known_words
from unrolled.tasks.text.tokenizers import BPETokenizer, ByteTokenizer, CharacterTokenizer

BPE = BPETokenizer.learn("Grüße aus Köln!\nThe cat sat on the mat, and the cat was fat.\n" * 12, 320)


@pytest.fixture
def model():
    torch.manual_seed(4)
    made = LanguageModel(11, lambda size: LSTM(size, 9), embedding_size=5, num_layers=2, dropout=0.3).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # so that the state matters
    return made


def drawn(logits, n, recent=(), temperature=1.0, top_k=0, top_p=1.0, penalty=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    chosen = [draw(logits, list(recent), generator, temperature, top_k, top_p, penalty) for _ in range(n)]
    return torch.bincount(torch.tensor(chosen), minlength=len(logits))


def assert_drawn_from(counts, probabilities):
    """Chi-square, at about one in a million."""
    expected = probabilities * counts.sum()
    assert not counts[probabilities == 0].any()
    kept = probabilities > 0
    statistic = float(((counts - expected)[kept] ** 2 / expected[kept]).sum())
    freedom = int(kept.sum()) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 12


LOGITS = torch.tensor([0.5, 2.0, -1.0, 1.9, 0.0, 1.0])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_are_drawn_as_the_softmax_says(temperature):
    assert_drawn_from(drawn(LOGITS, 4000, temperature=temperature), torch.softmax(LOGITS / temperature, 0))


def test_top_k_and_top_p_keep_the_likeliest_and_their_proportions():
    probabilities = torch.softmax(LOGITS, 0)
    order = probabilities.argsort(descending=True)

    def only(n):
        kept = torch.zeros_like(probabilities)
        kept[order[:n]] = probabilities[order[:n]]
        return kept / kept.sum()

    assert_drawn_from(drawn(LOGITS, 3000, top_k=3), only(3))
    held = probabilities[order].cumsum(0)
    assert_drawn_from(drawn(LOGITS, 3000, top_p=float(held[2]) - 1e-3), only(3))
    assert_drawn_from(drawn(LOGITS, 3000, top_p=float(held[2]) + 1e-3), only(4))
    assert_drawn_from(drawn(LOGITS, 3000, top_k=100, top_p=1.0), probabilities)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0}, {"temperature": 1e-40}, {"temperature": 5e-324}, {"top_k": 1}, {"top_p": 1e-9},
     {"top_p": 1e-300}],
)  # fmt: skip
def test_greedy(options):
    assert drawn(LOGITS, 50, **options)[1] == 50


def test_the_repetition_penalty_makes_recent_tokens_less_likely():
    expected = LOGITS.clone()
    expected[1] /= 1.5
    expected[2] *= 1.5
    counts = drawn(LOGITS, 4000, recent=[1, 2, 2, 1], penalty=1.5)
    assert_drawn_from(counts, torch.softmax(expected, 0))
    assert drawn(LOGITS, 20, recent=[1], temperature=0, penalty=1.5)[3] == 20
    assert torch.equal(LOGITS, torch.tensor([0.5, 2.0, -1.0, 1.9, 0.0, 1.0]))  # not written to


@pytest.mark.parametrize("penalty", [0.01, 100])
@pytest.mark.parametrize("temperature", [1e-40, 1.0, 1e300])
def test_the_ends_of_the_allowed_ranges_draw(penalty, temperature):
    logits = torch.tensor([-3e4, -2e4, -1e4])
    assert drawn(logits, 20, recent=[0, 1, 2], penalty=penalty, temperature=temperature).sum() == 20


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer("\nabcdefgh☃"), ByteTokenizer(), BPE])
def test_writing_is_exact_in_length_and_repeats_with_the_seed(tokenizer):
    torch.manual_seed(0)
    model = LanguageModel(tokenizer.size, lambda size: GRU(size, 8), embedding_size=4).eval()
    for length in (1, 2, 37):
        first, again, other = ("".join(write(model, tokenizer, "abc", length=length, seed=s)) for s in (1, 1, 2))
        assert len(first) == length
        assert first == again
    assert first != other
    assert "".join(write(model, tokenizer, length=20, seed=1)) == "".join(
        write(model, tokenizer, "\n", length=20, seed=1)
    )
    assert "".join(write(model, tokenizer, length=30)) != "".join(write(model, tokenizer, length=30))


@torch.no_grad()
def test_a_token_of_many_characters_is_cut_at_the_length():
    token = max(range(BPE.size), key=lambda token: len(BPE.stream()(token)))
    assert len(BPE.stream()(token)) >= 3
    model = LanguageModel(BPE.size, lambda size: GRU(size, 3), embedding_size=2).eval()
    model.output.bias[token] = 99.0
    for length in range(1, 9):
        assert "".join(write(model, BPE, length=length)) == (BPE.stream()(token) * 9)[:length]


@torch.no_grad()
def test_greedy_writing_follows_the_likeliest_token_after_all_that_came_before(model):
    """Also with a prompt that is much longer than a window, against reading everything anew each time."""
    tokenizer = CharacterTokenizer("abcdefghijk")
    prompt = "abcabkbbcjhgd" * 25
    whole = prompt
    for _ in range(25):
        logits, _ = model(tokenizer.encode(whole).long()[:, None])
        whole += tokenizer.alphabet[int(logits[-1, 0].argmax())]
    assert "".join(write(model, tokenizer, prompt, length=25, temperature=0)) == whole[len(prompt) :]


def test_the_share_of_known_words():
    assert known_words("the cat sat on qzx the ma", "the cat sat on the mat") == 5 / 6
    assert known_words("", "the") == 0.0
