"""Windows of a text, and the loss on them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from unrolled.cells import GRU, LSTM
from unrolled.core import DataError
from unrolled.models import LanguageModel
from unrolled.tasks.text.options import DataOptions
from unrolled.tasks.text.problem import TextProblem, Windows
from unrolled.tasks.text.tokenizers import CharacterTokenizer


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
