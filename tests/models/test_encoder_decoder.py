"""A sequence made of another: the equations, the steps, the padding, every cell, and a task learnt."""

import pytest
import torch
from torch import nn

from small_cells import SMALL, I
from unrolled import Cell
from unrolled.cells import GRU, LSTM
from unrolled.cells.wrappers import WeightDrop, Zoneout
from unrolled.core import InputError, InputTypeError, leaves
from unrolled.models import EncoderDecoder

S, T, B, X, Y = 5, 6, 4, 7, 9  # X and Y tokens
LENGTHS, TARGET_LENGTHS = torch.tensor([5, 2, 0, 3]), torch.tensor([6, 2, 4, 0])
VALID, TARGET_VALID = torch.arange(S)[:, None] < LENGTHS, torch.arange(T)[:, None] < TARGET_LENGTHS


class Odd(Cell):
    """Its state is a tuple of a matrix a row, which starts at ones, and a count."""

    def __init__(self, input_size):
        super().__init__()
        self.inner = nn.Linear(input_size, 2)

    def initial_state(self, batch_size, **_):
        return self.inner.weight.new_ones(batch_size, 2, 2), torch.zeros(batch_size, dtype=torch.int64)

    def step(self, x, state):
        matrix, count = state
        matrix = 0.5 * matrix + torch.tanh(self.inner(x)).unsqueeze(-1)
        return matrix.flatten(1), (matrix, count + 1)


CELLS = {"lstm": lambda size: LSTM(size, 5), "gru": lambda size: GRU(size, 5, learn_initial_state=True), "odd": Odd}
KINDS = {
    "plain": {"attention": "none"},
    "plain, tied": {"attention": "none", "tie": "output"},
    "multiplicative": {},
    "additive": {"attention": "additive", "bidirectional": False},
    "tied": {"tie": "output", "residual": True},
    "input feeding": {"input_feeding": True},
    "additive, input feeding": {"attention": "additive", "input_feeding": True, "tie": "output"},
}


def make(kind="multiplicative", cell="lstm", x=X, **options):
    torch.manual_seed(0)
    options = {"embedding_size": 3, "num_layers": 2, **KINDS[kind], **options}
    model = EncoderDecoder(x, CELLS[cell] if isinstance(cell, str) else cell, Y, **options).double()
    if isinstance(model.output.bias, nn.Parameter):
        nn.init.normal_(model.output.bias)  # zeros, where it is tied
    return model


def given():
    rng = torch.Generator().manual_seed(1)
    return torch.randint(X, (S, B), generator=rng), torch.randint(Y, (T, B), generator=rng)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_equations(kind, cell):
    model = make(kind, cell)
    source, inputs = given()
    decoder = model.decoder
    memory, _ = model.encoder(model.source_embedding.weight[source])
    half = memory.shape[-1] // 2
    vector = (
        memory[-1] if not model.encoder.bidirectional else torch.cat([memory[-1, :, :half], memory[0, :, half:]], -1)
    )
    moves, parts = vector @ decoder.bridge.weight.T + decoder.bridge.bias, []
    for part in leaves(decoder.layers.initial_state(B)):
        size = part[0].numel() if part.is_floating_point() else 0
        parts.append(part + moves[:, :size].reshape(part.shape) if size else part)
        moves = moves[:, size:]
    assert moves.shape[1] == 0
    encoded = model.encode(source)
    torch.testing.assert_close(leaves(encoded.state), parts)

    state, u, scores, looks = encoded.state, torch.zeros(B, model.feature_size, dtype=torch.double), [], []
    for tokens in inputs:
        x = decoder.embedding.weight[tokens]
        h, state = decoder.layers.step(torch.cat([x, u], -1) if decoder.input_feeding else x, state)
        u = h
        if decoder.attend is not None:
            c, a = decoder.attend(h.unsqueeze(0), decoder.attend.keys(memory), memory, torch.ones(S, B, dtype=bool))
            linear = decoder.combine[0]
            u = torch.tanh(torch.cat([h, c[0]], -1) @ linear.weight.T + linear.bias)
            looks.append(a[0])
        elif decoder.combine is not None:
            u = h @ decoder.combine.weight.T
        scores.append(u @ model.output.weight.T + model.output.bias)
    torch.testing.assert_close(model(source, inputs), torch.stack(scores))
    assert (decoder.embedding.weight is model.output.weight) == (model.tie == "output")
    if looks:
        torch.testing.assert_close(model.attention(source, inputs), torch.stack(looks))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_whole(kind, cell):
    model = make(kind, cell)
    source, inputs = given()
    whole = model(source, inputs, LENGTHS)
    encoded = model.encode(source, LENGTHS)
    state = model.start(encoded)
    looks = None if kind.startswith("plain") else model.attention(source, inputs, LENGTHS)
    for t, tokens in enumerate(inputs):
        scores, state, attention = model.step(tokens, state, encoded)
        torch.testing.assert_close(scores, whole[t])
        assert attention is None if looks is None else torch.equal(attention > 0, VALID.t())
        if looks is not None:
            torch.testing.assert_close(attention, looks[t])
    torch.testing.assert_close(whole, model.output(model.features(source, inputs, LENGTHS)))


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_nor_do_the_other_rows(kind):
    model = make(kind)
    source, inputs = given()
    scores = model(
        source.masked_fill(~VALID, -1), inputs.masked_fill(~TARGET_VALID, 99), LENGTHS, target_lengths=TARGET_LENGTHS
    )
    order = torch.tensor([2, 0, 3, 1])
    moved = model(source[:, order], inputs[:, order], LENGTHS[order], target_lengths=TARGET_LENGTHS[order])
    torch.testing.assert_close(moved, scores[:, order])
    assert torch.equal(scores[~TARGET_VALID], model.output.bias.expand_as(scores[~TARGET_VALID]))
    if not kind.startswith("plain"):
        looks = model.attention(source, inputs, LENGTHS, target_lengths=TARGET_LENGTHS)
        assert not looks.masked_select(~(TARGET_VALID.unsqueeze(-1) & VALID.t())).any()
    for row, (length, steps) in enumerate(zip(LENGTHS.tolist(), TARGET_LENGTHS.tolist(), strict=True)):
        if length and steps:
            alone = model(source[:length, row : row + 1], inputs[:steps, row : row + 1])
            torch.testing.assert_close(scores[:steps, row], alone[:, 0])


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind, ratio):
    model = make(kind, "gru", num_layers=1)
    source, inputs = given()
    parameters = dict(model.named_parameters())

    def scores(*values):
        torch.manual_seed(3)  # the draws of the ratio
        arguments = (source, inputs, LENGTHS)
        options = {"target_lengths": TARGET_LENGTHS, "teacher_forcing_ratio": ratio}
        return torch.func.functional_call(model, dict(zip(parameters, values, strict=True)), arguments, options)

    if kind == "multiplicative" or (ratio == 1 and kind == "additive, input feeding"):
        assert torch.autograd.gradcheck(scores, tuple(parameters.values()), fast_mode=True)
    scores(*parameters.values()).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in parameters.values())


SEQUENCES = [name for name in SMALL if isinstance(SMALL[name].x(1, 1), torch.Tensor)]


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_cell_encodes_and_decodes(name):
    """That of LTC with the time since the last step aside, whose input is a pair."""
    model = make(cell=lambda _: SMALL[name].make(), embedding_size=I, num_layers=1)
    source, inputs = given()
    whole = model(source, inputs, LENGTHS)
    encoded = model.encode(source, LENGTHS)
    state = model.start(encoded)
    for t, tokens in enumerate(inputs):
        scores, state, _ = model.step(tokens, state, encoded)
        torch.testing.assert_close(scores, whole[t])
    assert whole.isfinite().all()
    for (best,) in model.translate(source, LENGTHS, begin=0, end=1, max_length=4, beam_size=3):
        assert len(best.tokens) <= 4
        assert best.score < 0


@pytest.mark.parametrize(("kind", "cell"), [("plain", "odd"), ("multiplicative", "lstm"), ("input feeding", "lstm")])
def test_the_backends_agree(kind, cell, monkeypatch):
    monkeypatch.delenv("UNROLLED_BACKEND", raising=False)
    source, inputs = given()
    found = []
    for backend in ("reference", "plan", "compiled"):
        model = make(kind, cell, num_layers=1, backend=backend)
        for ratio in (1.0, 0.4):
            torch.manual_seed(4)
            scores = model(source, inputs, LENGTHS, target_lengths=TARGET_LENGTHS, teacher_forcing_ratio=ratio)
            scores.square().sum().backward()
            found.append((ratio, scores, {name: p.grad.clone() for name, p in model.named_parameters()}))
            model.zero_grad()
    for ratio, scores, grads in found[2:]:
        _, expected, expected_grads = found[0 if ratio == 1 else 1]
        torch.testing.assert_close(scores, expected)
        torch.testing.assert_close(grads, expected_grads)


def test_one_embedding_for_all():
    model = make("tied", tie="all", x=Y)
    assert sum(len(p) == Y and p.dim() == 2 for p in model.parameters()) == 1
    assert model.output.weight is model.decoder.embedding.weight
    source, inputs = given()
    again = make("tied", tie="all", x=Y)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(source, inputs), model(source, inputs))


class TestTeacherForcing:
    @pytest.mark.parametrize("kind", KINDS)
    def test_with_a_ratio_of_0_the_model_reads_what_it_finds_likeliest(self, kind):
        model = make(kind)
        source, inputs = given()
        free = model(source, inputs, LENGTHS, teacher_forcing_ratio=0)
        guessed = torch.cat([inputs[:1], free[:-1].argmax(-1)])
        assert not torch.equal(guessed, inputs)
        torch.testing.assert_close(model(source, guessed, LENGTHS), free)
        other = torch.cat([inputs[:1], inputs[1:].flip(0)])  # of which only the first step is read
        assert torch.equal(model(source, other, LENGTHS, teacher_forcing_ratio=0), free)

    def test_it_is_drawn_for_each_step_and_row_by_the_seed(self):
        model = make(num_layers=1)
        source, inputs = torch.randint(X, (3, 400)), torch.full((5, 400), Y - 1)
        torch.manual_seed(7)
        scores = model(source, inputs, teacher_forcing_ratio=0.7)
        torch.manual_seed(7)
        assert torch.equal(model(source, inputs, teacher_forcing_ratio=0.7), scores)
        torch.manual_seed(7)
        forced = torch.rand(inputs.shape) < 0.7
        read = torch.cat([inputs[:1], torch.where(forced[1:], inputs[1:], scores[:-1].argmax(-1))])
        torch.testing.assert_close(model(source, read), scores)

    def test_a_ratio_of_1_draws_nothing(self):
        for kind in ("multiplicative", "input feeding"):
            model, before = make(kind), torch.get_rng_state()
            model(*given())
            assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "cell",
    [
        lambda size: LSTM(size, 5, recurrent_dropout=0.5),
        lambda size: WeightDrop(GRU(size, 5), 0.5),
        lambda size: Zoneout(GRU(size, 5), 0.5),
    ],
)
def test_what_is_random_in_a_cell_is_drawn_once_a_sequence_step_by_step_too(cell):
    model = make(cell=cell).train()
    source, inputs = given()
    torch.manual_seed(5)
    whole = model(source, inputs)
    torch.manual_seed(5)
    torch.testing.assert_close(model(source, inputs, teacher_forcing_ratio=1 - 1e-9), whole)
    assert not torch.equal(model(source, inputs), whole)


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    source, inputs = given()
    assert not torch.equal(model(source, inputs), model(source, inputs))
    assert torch.equal(model.eval()(source, inputs), model(source, inputs))


def reversals(count, generator):
    """Digits (9, count), and the same backwards between a token that begins and one that ends."""
    lengths = torch.randint(1, 9, (count,), generator=generator)
    source = torch.randint(3, 13, (9, count), generator=generator)
    target = torch.zeros(11, count, dtype=torch.int64)
    target[0] = 1
    for row, length in enumerate(lengths.tolist()):
        target[1 : length + 1, row] = source[:length, row].flip(0)
        target[length + 1, row] = 2
    return source, lengths, target


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_it_learns_to_reverse(method, learnt):
    source, lengths, target = reversals(200, torch.Generator().manual_seed(1))
    found = learnt.translate(source, lengths, begin=1, end=2, max_length=12, method=method)
    expected = [tuple(target[1 : n + 1, row].tolist()) for row, n in enumerate(lengths.tolist())]
    right = sum(best.tokens == tokens for (best,), tokens in zip(found, expected, strict=True))
    assert right >= 196
    looks = [best.attention.argmax(-1) for (best,) in found]
    assert sum(torch.equal(look, torch.arange(len(look)).flip(0)) for look in looks) >= 190


@pytest.fixture(scope="module")
def learnt():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = EncoderDecoder(13, lambda size: GRU(size, 64), 13, embedding_size=32, backend="auto")
    optimizer = torch.optim.Adam(model.parameters(), 6e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 250)
    for _ in range(250):
        source, lengths, target = reversals(64, generator)
        scores = model(source, target[:-1], lengths, target_lengths=lengths + 1)
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores.flatten(0, 1), target[1:].flatten(), ignore_index=0).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


class TestTranslate:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", ["greedy", "beam"])
    def test_a_row_at_a_time_and_in_another_order_is_the_batch(self, kind, method):
        model = make(kind).eval()
        source, _ = given()
        options = {"begin": 1, "end": 2, "max_length": 7, "method": method}
        options |= {"beam_size": 3, "n_best": 3} if method == "beam" else {}
        whole = model.translate(source, LENGTHS, **options)
        order = [2, 0, 3, 1]
        moved = model.translate(source[:, order], LENGTHS[order], **options)
        for row, found in enumerate(whole):
            alone = model.translate(source[:, row : row + 1], LENGTHS[row : row + 1], **options)[0]
            for others in (alone, moved[order.index(row)]):
                assert [one.tokens for one in others] == [one.tokens for one in found]
                for one, other in zip(found, others, strict=True):
                    assert one.score == pytest.approx(other.score, rel=1e-9)
                    assert (one.attention is None) == kind.startswith("plain")
                    if one.attention is not None:
                        torch.testing.assert_close(one.attention, other.attention)

    @pytest.mark.parametrize("kind", KINDS)
    @torch.no_grad()
    def test_the_scores_and_the_attention_are_those_under_teacher_forcing(self, kind):
        model = make(kind).eval()
        source, _ = given()
        model.output.bias[2] = 1.5  # so that some end
        options = {"begin": 1, "end": 2, "max_length": torch.tensor([7, 2, 6, 1])}
        found = model.translate(source, LENGTHS, **options, beam_size=4, n_best=4)
        assert {one.ended for row in found for one in row} == {True, False}
        for row, hypotheses in enumerate(found):
            for one in hypotheses:
                tokens = torch.tensor([1, *one.tokens, 2][: 8 if one.ended else -1]).unsqueeze(1)
                rows = (source[:, row : row + 1], tokens[:-1], LENGTHS[row : row + 1])
                likely = model(*rows).log_softmax(-1).gather(-1, tokens[1:].unsqueeze(-1)).sum()
                assert one.score == pytest.approx(float(likely), rel=1e-9)
                if one.attention is not None:
                    assert one.attention.shape == (len(one.tokens), S)
                    torch.testing.assert_close(one.attention, model.attention(*rows)[: len(one.tokens), 0])

    def test_options_reach_the_search(self, learnt):
        source, lengths, _ = reversals(3, torch.Generator().manual_seed(2))
        whole = {"begin": 1, "end": 2, "max_length": torch.tensor([3, 1, 12])}
        for method in ("beam", "greedy", "sample"):
            found = learnt.translate(source, lengths, **whole, method=method, forbidden=[0, 1, 5], no_repeat_ngram=1)
            assert all(5 not in one.tokens and len(set(one.tokens)) == len(one.tokens) for (one,) in found)
            assert [len(one.tokens) for (one,) in found][:2] == [min(3, int(lengths[0])), 1]

    def test_a_stream_gives_the_tokens_one_by_one(self, learnt):
        source, lengths, target = reversals(1, torch.Generator().manual_seed(3))
        n = int(lengths)
        tokens = learnt.stream(source[:n, 0], begin=1, end=2, max_length=12)
        assert next(tokens) == target[1, 0]
        assert [*tokens] == target[2 : n + 1, 0].tolist()
        drawn = [[*learnt.stream(source[:n], begin=1, end=2, max_length=12, method="sample", seed=s)] for s in (1, 1)]
        assert drawn[0] == drawn[1]

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_rows(self, kind):
        source = torch.zeros(S, 0, dtype=torch.int64)
        assert make(kind)(source, source).shape == (S, 0, Y)
        for method in ("beam", "greedy", "sample"):
            assert make(kind).translate(source, begin=1, end=2, max_length=5, method=method) == []

    def test_scores_of_half_precision_are_summed_in_single(self):
        """Log-scores near -5 have steps of 1/32 in bfloat16: many sequences would seem equal."""
        model = make().bfloat16().eval()
        found = model.translate(given()[0], LENGTHS, begin=1, end=2, max_length=3, beam_size=50, n_best=50)
        for row in found:
            assert len({one.score for one in row}) > 45

    def test_options_of_another_method_are_told(self):
        model, source = make(), given()[0]
        options = {"begin": 1, "end": 2, "max_length": 5}
        words = "temperature: expected an option of method='greedy', which are end, max_length, forbidden, no_repeat"
        with pytest.raises(InputTypeError, match=words):
            model.translate(source, **options, method="greedy", temperature=2.0)
        with pytest.raises(InputTypeError, match=words):
            model.stream(source[:, 0], **options, temperature=2.0)
        with pytest.raises(InputTypeError, match="beam_width: expected an option of method='beam'"):
            model.translate(source, **options, beam_width=2)
        with pytest.raises(InputTypeError, match=r"begin: expected a token, a whole number, got 1\.5"):
            model.translate(source, begin=1.5, end=2, max_length=5)


def test_what_was_read_can_be_repeated():
    model = make("input feeding")
    source, inputs = given()
    encoded, rows = model.encode(source, LENGTHS), torch.tensor([1, 1, 3])
    chosen, direct = encoded.select(rows), model.encode(source[:, rows], LENGTHS[rows])
    torch.testing.assert_close(leaves(chosen.state), leaves(direct.state))
    for name in ("memory", "mask", "keys"):
        torch.testing.assert_close(getattr(chosen, name), getattr(direct, name))
    scores, _, _ = model.step(inputs[0, :3], model.start(chosen), chosen)
    expected, _, _ = model.step(inputs[0, :3], model.start(direct), direct)
    torch.testing.assert_close(scores, expected)


def test_wrong_arguments_are_told():
    with pytest.raises(InputError, match="attention: expected one of multiplicative, additive, none, got 'dot'"):
        make(attention="dot")
    with pytest.raises(InputError, match="tie: expected one of none, output, all, got 'both'"):
        make(tie="both")
    with pytest.raises(InputError, match="tie: expected source_size = target_size for 'all', got 7 and 9"):
        make(tie="all")
    with pytest.raises(InputError, match="input_feeding: expected an attention whose result is fed"):
        make("plain", input_feeding=True)
    model = make()
    source, inputs = given()
    with pytest.raises(InputError, match=r"source: expected tokens \(S, B\) with at least one step, got \(0, 4\)"):
        model(source[:0], inputs)
    with pytest.raises(InputError, match=r"inputs: expected tokens \(T, B\).* as the source has, 4, got \(6, 3\)"):
        model(source, inputs[:, 1:])
    for ratio in (-0.1, 1.1):
        with pytest.raises(InputError, match="teacher_forcing_ratio: expected a number from 0 to 1"):
            model(source, inputs, teacher_forcing_ratio=ratio)
    with pytest.raises(InputError, match="attention: expected a model with attention"):
        make("plain").attention(source, inputs)
    encoded = model.encode(source)
    with pytest.raises(InputError, match=r"inputs: expected tokens \(N,\), N a multiple of the 4 sources, got \(3,\)"):
        model.step(inputs[0, :3], encoded.select(torch.tensor([0, 1, 2])).state, encoded)
    with pytest.raises(InputError, match="method: expected one of beam, greedy, sample, got 'best'"):
        model.translate(source, begin=1, end=2, max_length=5, method="best")
    with pytest.raises(InputError, match=r"source: expected tokens of one row \(S,\), got \(5, 4\)"):
        model.stream(source, begin=1, end=2, max_length=5)
    with pytest.raises(InputError, match="method: expected one of greedy, sample, got 'beam'"):
        model.stream(source[:, 0], begin=1, end=2, max_length=5, method="beam")


@pytest.mark.parametrize("kind", ["multiplicative", "input feeding"])
def test_what_is_no_token_is_told(kind):
    model = make(kind)
    source, inputs = given()
    with pytest.raises(InputError, match="source: expected tokens from 0 to 6, got 7 to 7"):
        model(torch.full_like(source, X), inputs)
    with pytest.raises(InputError, match="inputs: expected tokens from 0 to 8, got -1 to -1"):
        model(source, torch.full_like(inputs, -1))
    with pytest.raises(InputTypeError, match=r"source: expected tokens, a tensor of torch.int64 or torch.int32, got"):
        model(source.double(), inputs)
    with pytest.raises(InputTypeError, match=r"inputs: expected tokens, .*, got a tensor of torch.float64"):
        model(source, inputs.double())
    with pytest.raises(InputTypeError, match=r"source: expected a tensor of tokens \(S, B\), got list"):
        model(source.tolist(), inputs)
    with pytest.raises(InputTypeError, match=r"inputs: expected a tensor of tokens \(T, B\), got list"):
        model(source, inputs.tolist())
    torch.testing.assert_close(model(source.int(), inputs.int()), model(source, inputs))
