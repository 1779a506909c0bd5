"""The text task's parts, each against something simpler."""

import math
import sysconfig

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unrolled.cells import GRU, LSTM
from unrolled.core import CheckpointError, DataError, InputError
from unrolled.models import LanguageModel
from unrolled.tasks import text
from unrolled.tasks.text import corpus as corpora
from unrolled.tasks.text import problem as problems
from unrolled.tasks.text.corpus import STANDARD_LIBRARY, read_corpus
from unrolled.tasks.text.options import DataOptions, TextOptions
from unrolled.tasks.text.problem import TextProblem, Windows, mean_loss
from unrolled.tasks.text.sampling import draw, write
from unrolled.tasks.text.task import known_words
from unrolled.tasks.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    dump_tokenizer,
    load_tokenizer,
    make_tokenizer,
)

# ---- windows


@settings(deadline=None, max_examples=150)
@given(
    n=st.integers(2, 400),
    window=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 2**63 - 1),
    epochs=st.integers(1, 3),
)
def test_windows_carry_on_from_one_to_the_next(n, window, batch_size, seed, epochs):
    tokens = torch.arange(n, dtype=torch.int32)  # so a token tells its place
    data = DataOptions(window=window, batch_size=batch_size)
    if n <= window:
        with pytest.raises(DataError, match=f"{n} tokens, expected more than one window of {window}"):
            Windows.cut(tokens, data, seed)
        return
    windows = Windows.cut(tokens, data, seed)
    before = None
    for step in range(min(windows.per_epoch * epochs, 60)):
        inputs, targets = windows(step)
        assert inputs.shape == targets.shape == (window, windows.batch_size)
        assert torch.equal(targets, inputs + 1)  # shifted by one
        assert torch.equal(inputs.diff(dim=0), torch.ones(window - 1, windows.batch_size, dtype=torch.long))
        assert int(inputs.min()) >= 0
        assert int(targets.max()) < n
        if step % windows.per_epoch:
            assert torch.equal(inputs[0], before + 1)
        else:  # each stream begins within its own part of the text, none in another's
            assert torch.equal(inputs[0].diff(), torch.full((windows.batch_size - 1,), windows.stream))
            assert int(inputs[0, 0]) + windows.per_epoch * window <= windows.stream
        before = inputs[-1]
    again = Windows.cut(tokens, data, seed)
    assert all(torch.equal(a, b) for a, b in zip(again(3), windows(3), strict=True))  # whatever came before


def test_an_epoch_covers_nearly_all_of_the_text_and_the_next_begins_elsewhere():
    windows = Windows.cut(torch.arange(10_001), DataOptions(window=10, batch_size=4), 0)
    seen = [set(torch.cat([windows(e * windows.per_epoch + i)[1].flatten() for i in range(windows.per_epoch)]).tolist())
            for e in range(2)]  # fmt: skip
    assert len(seen[0]) == windows.per_epoch * 40 >= 0.99 * 10_000
    begins = {int(windows(e * windows.per_epoch)[0][0, 0]) for e in range(30)}
    assert len(begins) > 5
    assert {int(Windows.cut(torch.arange(10_001), DataOptions(window=10, batch_size=4), s)(0)[0][0, 0])
            for s in range(20)} != {int(windows(0)[0][0, 0])}  # fmt: skip


def make_problem(seed=0):
    torch.manual_seed(seed)
    model = LanguageModel(7, lambda size: LSTM(size, 8), embedding_size=4)
    tokens = torch.randint(7, (300,), dtype=torch.int32)
    windows = Windows.cut(tokens, DataOptions(window=10, batch_size=3), 0)
    return TextProblem(model, windows, tokens[:50], 1.5, CharacterTokenizer("abcdefg"))


def test_the_state_is_carried_within_an_epoch_and_starts_anew_with_the_next():
    problem = make_problem()
    first = problem.loss(0, problem.start())
    carried, fresh = problem.loss(1, first.carry), problem.loss(1, problem.start())
    assert carried.value.item() != fresh.value.item()
    # two windows, one after the other, are one long window
    (a, x), (b, y) = problem.windows(0), problem.windows(1)
    logits, _ = problem.language_model(torch.cat([a, b]))
    whole = F.cross_entropy(logits.flatten(0, 1), torch.cat([x, y]).flatten())
    assert whole.item() == pytest.approx((first.value.item() + carried.value.item()) / 2, rel=1e-5)
    epoch = problem.windows.per_epoch
    assert problem.loss(epoch, first.carry).value.item() == problem.loss(epoch, problem.start()).value.item()
    assert problem.loss(0, problem.start()).count == 30


def test_a_learnable_start_learns():
    class Learnable(GRU):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.begin = torch.nn.Parameter(torch.zeros(hidden_size))

        def initial_state(self, batch_size, **_):
            return self.begin.expand(batch_size, -1)

    problem = make_problem()
    problem.model = problem.language_model = LanguageModel(7, lambda size: Learnable(size, 8), embedding_size=4)
    problem.loss(0, tuple(s.detach() for s in problem.start())).value.backward()
    assert problem.model.layers.layers[0].cell.begin.grad.abs().sum() > 0


# ---- figures


def naive_loss(model, tokens, context=None, length=None):
    """One token at a time; with a context, each piece of so many tokens starts anew, so much earlier."""
    losses, count = [], len(tokens) - 1
    length = length or count
    for begin in range(0, count, length):
        state = None
        for at in range(max(0, begin - (context or 0)), min(begin + length, count)):
            logits, state = model(tokens[at].long().reshape(1, 1), state)
            if at >= begin:
                losses.append(F.cross_entropy(logits[0], tokens[at + 1].long().reshape(1)).double())
    return float(torch.stack(losses).mean())


@pytest.fixture
def model():
    torch.manual_seed(4)
    made = LanguageModel(11, lambda size: LSTM(size, 9), embedding_size=5, num_layers=2, dropout=0.3).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # so that the state matters
    return made


@pytest.mark.parametrize("n", [2, 3, 255, 256, 257, 600])
@torch.no_grad()
def test_the_loss_of_a_text_is_that_of_reading_it_token_by_token(model, n):
    tokens = torch.randint(11, (n,), dtype=torch.int32)
    assert mean_loss(model, tokens) == pytest.approx(naive_loss(model, tokens), rel=1e-6)


@pytest.mark.parametrize(("n", "pieces"), [(1200, 2), (1601, 3), (2048 + 5, 4)])
@torch.no_grad()
def test_a_long_text_is_read_in_pieces_each_with_what_came_before(model, n, pieces):
    tokens = torch.randint(11, (n,), dtype=torch.int32)
    length = math.ceil((n - 1) / pieces)
    assert (n - 1) // problems.SHORTEST == pieces
    expected = naive_loss(model, tokens, context=problems.CONTEXT, length=length)
    assert mean_loss(model, tokens) == pytest.approx(expected, rel=1e-6)
    assert mean_loss(model, tokens) != pytest.approx(naive_loss(model, tokens, 0, length), rel=1e-6)


def test_a_model_that_knows_nothing_has_the_loss_of_a_guess():
    model = LanguageModel(16, lambda size: GRU(size, 3), embedding_size=2).eval()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    assert mean_loss(model, torch.randint(16, (700,))) == pytest.approx(math.log(16), rel=1e-6)


TEXT = "Grüße aus Köln ☃ und 東京 😀!\nThe cat sat on the mat, and the cat was fat.\n" * 12


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe"])
def test_bits_per_character_are_all_bits_over_all_characters(kind, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    options = {
        "data": {"tokenizer": kind, "vocabulary_size": 300, "window": 8, "batch_size": 2, "validation_share": 0.3},
        "model": {"hidden_size": 6, "embedding_size": 4},
        "training": {"steps": 2},
    }
    run = text.train([file], tmp_path / "run", TextOptions.model_validate(options))
    loaded = text.load(run.folder)
    other = tmp_path / "other.txt"
    for written in ("über den Fluß\n", "東京 T\n", "the cat\n"):
        other.write_text(written, encoding="utf-8")
        if kind == "characters" and set(written) - set(TEXT):
            with pytest.raises(DataError, match="never seen"):
                loaded.evaluate([other])
            continue
        tokens = loaded.tokenizer.encode(written)
        with torch.no_grad():
            nats = naive_loss(loaded.model, tokens) * (len(tokens) - 1)
        given = loaded.tokenizer.stream()(int(tokens[0]))
        figures = loaded.evaluate([other])
        assert figures["bits_per_character"] == pytest.approx(
            nats / math.log(2) / (len(written) - len(given)), rel=1e-5
        )
        assert figures["perplexity"] == pytest.approx(math.exp(nats / (len(tokens) - 1)), rel=1e-5)
        assert figures["characters"] == len(written)
    held_out = tmp_path / "held-out.txt"
    border = len(TEXT) - round(len(TEXT) * 0.3)
    held_out.write_text(TEXT[border:], encoding="utf-8")
    assert loaded.evaluate([held_out])["bits_per_character"] == pytest.approx(
        run.outcome.best["bits_per_character"], rel=1e-6
    )


# ---- tokenizers

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


# ---- sampling


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


# ---- corpus


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


# ---- the run, from Python


def test_a_run_from_python_says_what_it_holds(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("a rose is a rose is a rose\n" * 20)
    options = {"model": {"hidden_size": 5}, "data": {"window": 8, "batch_size": 2}, "training": {"steps": 3}}
    run = text.train([file], tmp_path / "run", TextOptions.model_validate(options))
    loaded = text.load(run.folder)
    with pytest.raises(InputError, match="temperature"):
        loaded.write(temperature=-1)
    with pytest.raises(DataError, match=r"the prompt: .*'X'"):
        loaded.write("X")
    assert len("".join(loaded.write("a ro", length=9))) == 9
    from unrolled.training.run_folder import RunFolder

    config = RunFolder(run.folder).config
    assert config["corpus"]["sha256"] == run.corpus.sha256
    assert config["corpus"]["paths"] == [str(file)]
    last = text.load(run.folder, weights="last")
    assert last.model.state_dict().keys() == loaded.model.state_dict().keys()
